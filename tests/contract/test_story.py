"""The scripted story through fold and rules on the real engine: each alert once, about the right one."""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import date, datetime

import pytest

from producers import scenario_story
from producers.scenario import scenario
from rates.calendar import Calendar
from rates.register import Register
from rates.sheets import day_number
from rates.wire import DAY, LOCAL, unit_of
from sinks import generations, migrate, reference
from sinks.alerts import Alerts
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from sinks.generations import Source
from streams.batches import CANARY, Folder
from streams.events import Message
from streams.verdicts import Judge

REGISTER = Register.shipped()
EVENING = 17 * 3600 + 1800
TET = range(day_number(date(2024, 2, 8)), day_number(date(2024, 2, 15)))
CANARY_SECONDS = 10.0
PARTITIONS = 2


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, "story") as connected:
        begin = scenario_story.PLAYED[0] * DAY - LOCAL
        await migrate.migrate(connected, begin, lambda _line: None)
        await reference.save(connected, begin)
        await generations.register(connected, Source("cluster", "dossiers", "id", PARTITIONS), begin)
        yield connected


def evenings() -> list[int]:
    """When rules are evaluated, in local days: each Tuesday, and when something is to be seen."""
    calendar = Calendar.shipped()
    judged = (scenario_story.STALE[0] // DAY, *scenario_story.SILENT[-3:], scenario_story.PLAYED[-1])
    begin = scenario_story.PLAYED[0] + 28
    return [
        day
        for day in scenario_story.PLAYED
        if day >= begin
        and (day in TET or day in judged or (calendar.is_working_day(day) and (day + 3) % 7 == 1))
    ]


@pytest.mark.timeout(900)
async def test_each_alert_of_the_story_fires_once_for_the_right_one_and_nothing_turns_at_tet_or_on_stale_data(
    database: Database,
) -> None:
    now = 0
    judge = Judge(Alerts(database, Calendar.shipped()), Calendar.shipped(), lambda: now, CANARY_SECONDS)
    folder = Folder(CohortStore(database), REGISTER, generation=1, millis=lambda: now * 1000)
    offsets = Counter[int]()

    def message(unit: str, value: bytes, at: int, partition: int) -> Message:
        offsets[partition] += 1
        return Message(partition, offsets[partition] - 1, at * 1000, unit.encode(), value)

    coming = iter(scenario("story", seed=1, scale=1.0, register=REGISTER))
    entry = next(coming, None)
    turned: dict[int, int | None] = {}
    begin, lasting = scenario_story.STALE
    for day in evenings():
        now = day * DAY + EVENING - LOCAL
        sent: list[Message] = []
        while entry is not None:
            at = int(datetime.fromisoformat(entry[0]).timestamp())
            if at > now:
                break
            unit = unit_of(entry[1]["data"][0]["MaHoSo"])
            assert unit is not None
            sent.append(message(unit, json.dumps(entry[1]).encode(), at, sum(unit.encode()) % PARTITIONS))
            entry = next(coming, None)
        if not begin <= now + LOCAL < begin + lasting:
            # The pipe works: what was sent just now tells that everything before has come.
            sent += [Message(p, offsets[p], now * 1000, *CANARY) for p in range(PARTITIONS)]
            offsets.update(range(PARTITIONS))
        if sent:
            await folder.take(sent)
        turned[day] = await judge.judge()

    rows = await database.rows(
        "SELECT rule, subject, state, toUInt32(complete_to) AS at, reason_en, reason_vi "
        "FROM alert_history ORDER BY at"
    )
    courses: dict[tuple[str, str], list[str]] = defaultdict(list)
    reasons: dict[tuple[str, str], str] = {}
    for row in rows:
        assert row["at"] // DAY not in TET
        if row["rule"] in ("R1", "R2", "R3", "R4", "R5", "R6", "R7", "R9", "R10", "R12"):
            course = courses[row["rule"], row["subject"]]
            if course[-1:] != [row["state"]]:  # an alert that grows worse fires on
                course.append(row["state"])
            if row["state"] == "firing":
                reasons[row["rule"], row["subject"]] = row["reason_en"]
                assert row["reason_vi"]

    low, quiet = scenario_story.slipping(REGISTER), scenario_story.silent(REGISTER)
    games = scenario_story.gaming(REGISTER)
    assert {key: states for key, states in courses.items() if states.count("firing") > 1} == {}
    for subject in (low, *scenario_story.cast(REGISTER)[low]):
        assert courses["R2", subject][-2:] == ["firing", "ok"]
    assert courses["R1", low][-2:] == ["firing", "ok"]
    assert all(unit in reasons["R1", low] for unit in scenario_story.cast(REGISTER)[low][:3])
    assert {subject for rule, subject in courses if rule == "R7"} == {games, games.partition(".")[0]}
    assert courses["R7", games][-1] == "firing"
    assert [key for key in courses if key[0] == "R4"] == [("R4", quiet)]
    assert courses["R4", quiet][-2:] == ["firing", "ok"]
    # Who is told of is who something happened to, as a unit or through one.
    touched = {low, games, quiet, *(unit.partition(".")[0] for unit in (games, quiet))}
    touched |= set(scenario_story.cast(REGISTER)[low])
    assert {subject for rule, subject in reasons} <= touched, reasons
    assert all(turned[day] == 0 for day in TET[1:])
    assert turned[begin // DAY] is None
