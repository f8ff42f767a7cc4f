"""Dead letters on the real engine: the same bad record is one letter, and its state is right at any point."""

import json
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from rates.effects import DeadLetter, Reached, version
from rates.wire import Reason, Rejection
from sinks import deadletters, migrate
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from sinks.deadletters import Chosen, Try
from streams.batches import Folder
from streams.events import Message
from tests.support.calls import UNIT, call, full
from tests.support.register import SmallRegister

NOW = 1_700_000_000
FIELDS = '{"MaHoSo":"H18.21-231002-0001","TrangThaiHoSo":"77"}'
HEAD = '{"service":"DongBoHoSoMC","madonvi":"H18.21","isUpdating":"True"}'
BAD = Rejection(0, Reason.UNKNOWN_STATUS, "TrangThaiHoSo", "'77' is no status", "H18.21", FIELDS, HEAD)
_names = count(1)


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, f"letters_{next(_names)}") as connected:
        await migrate.migrate(connected, NOW, lambda _line: None)
        yield connected


async def refuse(database: Database, offset: int, rejection: Rejection = BAD, generation: int = 1) -> None:
    at = version(generation, offset, rejection.index)
    await CohortStore(database).save_dead_letters([DeadLetter(at, 3, offset, NOW + offset, rejection)])


async def reach(database: Database, offset: int, generation: int = 1) -> None:
    at = version(generation, offset, 0)
    await CohortStore(database).save_progress([Reached(3, at, NOW, NOW)])


async def sent(database: Database, offset: int | None, number: int = 1, generation: int = 1) -> None:
    """The one letter is sent again; `offset` None: that is only meant."""
    (letter,) = [one for one in await deadletters.undone(database) if not one.whole]
    position = 0 if offset is None else version(generation, offset, 0)
    await deadletters.record(
        database, [Try(letter.letter, number, 3, position, False, letter.seen)], "ground", NOW
    )


async def only(database: Database) -> dict[str, Any]:
    (row,) = await deadletters.shown(database)
    return row


async def test_the_same_record_refused_fifty_times_is_one_letter_seen_fifty_times(database: Database) -> None:
    for offset in range(50):
        await refuse(database, offset)
        await refuse(database, offset)  # redelivered
    row = await only(database)
    assert (row["seen"], row["first_seen"], row["last_seen"], row["offset"]) == (50, NOW, NOW + 49, 49)
    (counted,) = await deadletters.counted(database)
    assert (counted["reason"], counted["unit"], counted["letters"]) == ("unknown_status", "H18.21", 1)
    assert (counted["seen"], counted["waiting"]) == (50, 1)


@pytest.mark.parametrize(
    ("fields", "head", "letters"),
    [
        (FIELDS, HEAD.replace("True", "False"), 1),
        (FIELDS, HEAD.replace("H18.21", "H18"), 2),
        (FIELDS, HEAD.replace("DongBoHoSoMC", "CapNhatTienDoHoSoMC"), 2),
        (FIELDS.replace("77", "78"), HEAD, 2),
        ("", "", 2),
    ],
)
async def test_a_letter_is_its_record_and_who_sent_it_how(
    database: Database, fields: str, head: str, letters: int
) -> None:
    await refuse(database, 1)
    other = Rejection(0, Reason.UNKNOWN_STATUS, "TrangThaiHoSo", "", "H18.21", fields, head)
    await refuse(database, 2, other)
    assert len(await deadletters.shown(database)) == letters


async def test_a_message_of_which_nothing_is_kept_is_its_digest_whatever_it_is_refused_for(
    database: Database,
) -> None:
    digest = "0f" * 32
    for offset, (reason, why) in enumerate(((Reason.NOT_JSON, "truncated"), (Reason.TOO_DEEP, "deep"))):
        await refuse(database, offset, Rejection(0, reason, "", f"{why}; 9 bytes, sha256 {digest}"))
    row = await only(database)
    assert (row["seen"], row["reason"]) == (2, "too_deep")


async def test_a_letter_waits_until_what_was_sent_is_durable_and_is_then_replayed(database: Database) -> None:
    await refuse(database, 10)
    await sent(database, None)
    assert ((await only(database))["state"], (await only(database))["tries"]) == ("waiting", 1)
    await sent(database, 20)
    assert (await only(database))["state"] == "sent"
    await reach(database, 19)
    assert (await only(database))["state"] == "sent"
    await reach(database, 20)
    assert (await only(database))["state"] == "replayed"
    assert not await deadletters.undone(database)


async def test_a_letter_that_fails_again_is_the_same_letter_with_its_newest_reason(
    database: Database,
) -> None:
    await refuse(database, 10)
    await sent(database, 20)
    # Refused for something else, and the head is no longer kept: it is the letter that was sent all the same.
    await refuse(database, 20, Rejection(0, Reason.BAD_FIELD, "data", "other", "H18.21", FIELDS))
    await reach(database, 20)
    row = await only(database)
    assert (row["state"], row["tries"], row["seen"], row["reason"]) == ("failed_again", 1, 1, "bad_field")
    # Its sender sends it once more: seen again, and still one that fails.
    await refuse(database, 30)
    row = await only(database)
    assert (row["state"], row["seen"]) == ("failed_again", 2)


async def test_a_letter_that_was_taken_and_is_refused_anew_waits_again(database: Database) -> None:
    await refuse(database, 10)
    await sent(database, 20)
    await reach(database, 25)
    await deadletters.settle(database)
    assert (await only(database))["state"] == "replayed"
    await refuse(database, 30)
    assert (await only(database))["state"] == "waiting"
    assert [one.next_try for one in await deadletters.undone(database)] == [2]


async def test_what_became_of_a_letter_outlives_the_topic_once_it_is_settled(database: Database) -> None:
    await refuse(database, 10)
    await sent(database, 20)
    await reach(database, 20)
    await deadletters.settle(database)
    await reach(database, 1, generation=2)
    assert (await only(database))["state"] == "replayed"


async def test_what_was_sent_to_a_topic_that_was_made_anew_before_it_was_taken_waits_again(
    database: Database,
) -> None:
    await refuse(database, 10)
    await sent(database, 20)
    await reach(database, 19)
    await deadletters.settle(database)
    await reach(database, 30, generation=2)
    assert (await only(database))["state"] == "waiting"


async def test_a_message_sent_as_it_was_is_taken_though_single_records_of_it_are_refused(
    database: Database,
) -> None:
    await refuse(database, 10, Rejection(0, Reason.NOT_A_CALL, "", f"no call; 9 bytes, sha256 {'0f' * 32}"))
    (letter,) = await deadletters.undone(database)
    assert letter.whole
    again = Try(letter.letter, 1, 3, version(1, 20, 0), True, letter.seen)
    await deadletters.record(database, [again], "ground", NOW)
    await refuse(database, 20)
    await reach(database, 20)
    states = {row["reason"]: row["state"] for row in await deadletters.shown(database)}
    assert states == {"not_a_call": "replayed", "unknown_status": "waiting"}


async def test_letters_are_chosen_by_reason_unit_time_and_body(database: Database) -> None:
    await refuse(database, 10)
    other = Rejection(0, Reason.WRONG_UNIT, "madonvi", "", "H14.77", '{"MaHoSo":"H14.77-1"}', HEAD)
    await refuse(database, 20, other)
    for chosen in (
        Chosen(reason="wrong_unit"),
        Chosen(unit="H14.77"),
        Chosen(since=NOW + 20),
        Chosen(body="H14"),
    ):
        assert [row["unit"] for row in await deadletters.shown(database, chosen)] == ["H14.77"]
        assert [row["unit"] for row in await deadletters.counted(database, chosen)] == ["H14.77"]
        assert [one.unit for one in await deadletters.undone(database, chosen)] == ["H14.77"]
    assert not await deadletters.shown(database, Chosen(since=NOW + 21))
    assert len(await deadletters.shown(database)) == 2


async def test_the_ground_is_another_once_register_tables_or_program_change(database: Database) -> None:
    first = await deadletters.ground(database, "1")
    assert await deadletters.ground(database, "1") == first
    grounds = {first, await deadletters.ground(database, "2")}
    await database.run("ALTER TABLE dossiers ADD CONSTRAINT c CHECK number != 'x'")
    grounds.add(await deadletters.ground(database, "1"))
    await database.run("ALTER TABLE dossiers DROP CONSTRAINT c")
    assert await deadletters.ground(database, "1") == first
    await database.run("INSERT INTO register_log SELECT * FROM generateRandom() LIMIT 1")
    grounds.add(await deadletters.ground(database, "1"))
    assert len(grounds) == 4


@pytest.mark.parametrize(
    ("stored", "status_time", "overtaken"),
    [
        (NOW + 60, "20231005100000", True),  # the same clocks, and received after the letter
        (NOW - 60, "20231005100000", False),  # received before it
        (NOW + 60, "20231005095959", False),  # an older state: the letter's wins by its own clock
        (NOW + 60, "20231005100001", False),  # a newer one: the letter's loses by its own clock
    ],
)
async def test_a_letter_never_takes_the_place_of_a_record_that_came_later(
    database: Database, stored: int, status_time: str, overtaken: bool
) -> None:
    """Records of the same time and stage stand by arrival, and a replay arrives last."""
    number = "H18.21-231002-0147's"
    refused = full(MaHoSo=number)
    fields = json.dumps(refused, ensure_ascii=False)
    await refuse(database, 0, Rejection(0, Reason.WRONG_UNIT, "madonvi", "", UNIT, fields, HEAD))
    folder = Folder(CohortStore(database), SmallRegister(), generation=1, millis=lambda: NOW * 1000)
    other = call([full(MaHoSo=number, NgayKetThucXuLy=status_time, MaTTHC="1.000009")])
    await folder.take([Message(3, 1, stored * 1000, UNIT.encode(), other)])
    letters = await deadletters.undone(database)
    texts = await deadletters.contents(database, letters)
    found = await deadletters.overtaken(database, SmallRegister(), letters, texts)
    assert found == ({letters[0].letter} if overtaken else set())
