"""What a replay does with each letter is decided by one rule, and options that mean nothing are wrong use."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from motcua.cli import app, instant
from motcua.dead import _plain
from motcua.running import durable
from producers.calls import split
from producers.replay import _alone, _record
from rates.effects import version
from rates.failures import Retry
from rates.wire import Reason, decode
from sinks.deadletters import Letter, planned, portions
from tests.support.calls import FULL, RECEIVED_AT, UNIT, call, decoded, full
from tests.support.register import SmallRegister

GROUND = "motcua 1, register 1"


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that runs in this process sets up its logs, on a stream that ends with it."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def letter(**changes: Any) -> Letter:
    values = {
        "letter": "0a",
        "unit": UNIT,
        "reason": "wrong_unit",
        "state": "waiting",
        "tries": 0,
        "step": 0,
        "ground": "",
        "seen": 1,
        "partition": 3,
        "version": version(2, 40, 7),
        "size": 100,
        "whole": False,
        "kept": True,
    }
    return Letter(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "todo"),
    [
        ({}, "send"),
        ({"state": "sent", "step": 1, "tries": 1}, "wait"),
        ({"state": "failed_again", "tries": 1, "step": 3, "ground": GROUND}, "leave"),
        ({"state": "failed_again", "tries": 1, "step": 3, "ground": "motcua 0, register 1"}, "send"),
        ({"state": "waiting", "tries": 1, "step": 0, "ground": GROUND}, "send"),
        ({"kept": False}, "send"),
        ({"kept": False, "version": version(1, 40, 7)}, "cannot"),
        ({"kept": False, "version": version(2, 4, 7)}, "cannot"),
        ({"version": version(1, 4, 7)}, "send"),
    ],
)
def test_a_letter_is_sent_unless_it_is_on_its_way_or_failed_on_this_ground_or_is_gone(
    changes: dict[str, Any], todo: str
) -> None:
    (plan,) = planned([letter(**changes)], GROUND, 2, {3: 5})
    assert plan.todo == todo
    assert bool(plan.why) == (todo != "send")


def test_a_try_that_was_only_meant_is_taken_up_again_under_its_own_number() -> None:
    assert letter().next_try == 1
    assert letter(tries=1, step=0).next_try == 1
    assert letter(tries=1, step=1).next_try == 2
    assert letter(tries=4, step=3).next_try == 5


def test_portions_hold_what_is_to_be_sent_once_each_within_their_bounds() -> None:
    letters = [letter(letter=f"{n:02x}", size=30) for n in range(7)]
    left = letter(letter="ff", state="sent", step=1, tries=1)
    plan = planned([*letters, left, letter(letter="ee", size=1_000)], GROUND, 2, {})
    cut = list(portions(plan, letters=3, size=100))
    assert [[one.letter for one in portion] for portion in cut] == [
        ["00", "01", "02"],
        ["03", "04", "05"],
        ["06"],
        ["ee"],
    ]


def test_a_rejected_record_is_rebuilt_as_the_call_it_came_in_without_its_neighbours() -> None:
    value = call([full(), full(TrangThaiHoSo="77", ChuHoSo="An", MaLinhVuc=9.0)], isUpdating="False")
    (rejection,) = decoded(value)[1]
    message, whole = _alone(rejection.head.encode(), rejection.fields.encode())
    assert not whole
    sent = json.loads(message.value)
    assert {name: sent[name] for name in ("service", "madonvi", "isUpdating")} == {
        "service": FULL,
        "madonvi": UNIT,
        "isUpdating": "False",
    }
    assert sent["data"] == [
        {k: v for k, v in full(TrangThaiHoSo="77", MaLinhVuc=9.0).items() if k != "ChuHoSo"}
    ]
    assert message.key == UNIT.encode()
    events, (again,) = decode(message.value, message.key, RECEIVED_AT, SmallRegister())
    assert not events
    assert (again.reason, again.fields, again.head) == (rejection.reason, rejection.fields, rejection.head)
    assert split(message.value) == [message]


def test_a_head_that_is_out_of_all_proportion_is_not_kept_with_each_record() -> None:
    value = call([full()] * 3, madonvi="9" * 1_000)
    rejections = decoded(value)[1]
    assert [(one.reason, one.head) for one in rejections] == [(Reason.WRONG_UNIT, "")] * 3
    # Its record can still be taken out of the message, with what may be kept of it.
    found = _record(value, 1)
    assert found is not None
    assert json.loads(found[0])["madonvi"] == "9" * 1_000


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"data":[{}]}', call([full()]), b"\xff"])
def test_a_message_that_is_no_call_with_that_record_is_not_taken_apart(value: bytes) -> None:
    assert _record(value, 1) is None


@pytest.mark.parametrize(
    "options",
    [
        ("--reason", "wrong"),
        ("--unit", "Hà Nội"),
        ("--since", "yesterday"),
        ("--since", "20231006"),
        ("--since", "1969-12-31"),
        ("--since", "9999-12-31T23:59:59-12:00"),
    ],
)
@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_an_option_that_means_nothing_is_wrong_use(command: str, options: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["dead", command, *options], env={"COLUMNS": "400"})
    assert done.exit_code == 2
    assert options[0] in done.output
    if options[0] == "--reason":
        assert all(reason.value in done.output for reason in Reason)


def test_since_is_a_local_day_or_an_instant() -> None:
    assert instant("", "--since") == 0
    assert (
        instant("2023-10-06", "--since") == instant("2023-10-06T00:00:00+07:00", "--since") == 1_696_525_200
    )
    assert (
        instant("2023-10-06T01:00", "--since")
        == instant("2023-10-05T18:00:00+00:00", "--since")
        == 1_696_528_800
    )


def test_what_anybody_sent_cannot_steer_a_terminal() -> None:
    assert _plain("Hồ sơ\x1b[2J\x9b\n[red]") == "Hồ sơ\\x1b[2J\\x9b\\n[red]"


async def test_waiting_for_what_was_sent_ends_once_nothing_becomes_durable_any_more() -> None:
    stored = {3: 10}

    async def moving(_database: object) -> dict[int, int]:
        stored[3] += 1
        return dict(stored)

    await durable(None, {3: 14}, moving, patience=60)
    assert stored == {3: 14}

    async def still(_database: object) -> dict[int, int]:
        return {3: 13}

    with pytest.raises(Retry, match="does a worker run"):
        await durable(None, {3: 14}, still, patience=0)
