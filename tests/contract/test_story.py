"""The scripted story through fold and rules on the real engine: each alert once, about the right one."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta

import pytest

from dashboards.panels import ALERT_HISTORY, DISTRIBUTION, UNITS
from motcua.alerts import backtested
from producers import scenario_story
from rates.alerts import RULES, altered
from rates.register import Register
from rates.sheets import EPOCH, day_number
from rates.wire import DAY, LOCAL
from sinks.client import Database, connect
from tests.support.story import TET, evenings, play

REGISTER = Register.shipped()


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, "story") as connected:
        yield connected


@pytest.mark.timeout(900)
async def test_each_alert_of_the_story_fires_once_for_the_right_one_and_nothing_turns_at_tet_or_on_stale_data(
    database: Database,
) -> None:
    turned = {day: count async for day, count in play(database, REGISTER)}

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
    assert turned[scenario_story.STALE[0] // DAY] is None

    await _a_backtest_tells_the_same(database)
    await _history_is_told_from_the_period_on(database, low, games)
    await _units_are_counted_in_the_band_of_their_rate(database)


async def _a_backtest_tells_the_same(database: Database) -> None:
    """Live was judged some evenings, the backtest judges all: the same alerts, and never later."""
    first, last = (EPOCH + timedelta(days=day) for day in (evenings()[0], scenario_story.PLAYED[-1]))
    lenient = altered({"R7": {"threshold": 1.0, "recovery": 1.0}, "R3": {"off": True}})
    sets = [("shipped", RULES), ("lenient", lenient)]
    judged, rows = await backtested(database, str(first), str(last), sets, "")
    assert judged > 50
    live = await database.rows(
        "SELECT rule, subject, state, toUInt32(min(complete_to)) AS at FROM alert_history GROUP BY ALL"
    )
    fired = {(row["rule"], row["subject"]): row["at"] for row in live if row["state"] == "firing"}
    ended = {(row["rule"], row["subject"]) for row in live if row["state"] == "ok"}
    told: dict[str, dict[tuple[str, str], list[str]]] = {"shipped": {}, "lenient": {}}
    for row in rows:
        key = row["rule"], row["subject"]
        told[row["rules"]].setdefault(key, []).append(row["state"])
        assert row["reason_vi"]
        if (
            row["rules"] == "shipped"
            and told["shipped"][key].count("firing") == 1
            and row["state"] == "firing"
        ):
            assert datetime.fromisoformat(row["at"]).timestamp() < fired[key] + DAY
    course = {key: states for key, states in told["shipped"].items() if "firing" in states}
    assert set(course) == set(fired)
    assert {key for key, states in course.items() if states[-1] == "ok"} == ended & set(fired)
    fewer = {key for key, states in told["lenient"].items() if "firing" in states}
    assert fewer == {key for key in course if key[0] not in ("R3", "R7")}
    assert await backtested(database, str(first), str(last), sets[:1], "H02") == (
        judged,
        [row for row in rows if row["rules"] == "shipped" and row["body"] == "H02"],
    )


async def _history_is_told_from_the_period_on(database: Database, low: str, games: str) -> None:
    period = {"first": "2024-03-15", "last": "2024-04-26"}
    begin = day_number(date(2024, 3, 15)) * DAY - LOCAL

    async def told(**asked: object) -> dict[str, list[tuple[int, str]]]:
        found = defaultdict(list)
        for row in await database.rows(ALERT_HISTORY.text(), ALERT_HISTORY.values(period | asked)):
            found[row["alert_name"]].append((row["changed_time"], row["state_name"]))
        return found

    found = await told()
    assert found[f"R7 {games}"][0] == (begin, "firing")
    assert found[f"R1 {low}"][0] == (begin, "pending")
    assert [state for _, state in found[f"R1 {low}"]] == ["pending", "firing", "ok"]
    assert all(at >= begin for line in found.values() for at, _ in line)
    assert all(line == sorted(line, key=lambda one: one[0]) for line in found.values())
    # What had ended before is no part of it; a reader's limit holds.
    assert await told(first="2024-06-01", last="2024-06-30") == {
        name: [(day_number(date(2024, 6, 1)) * DAY - LOCAL, line[-1][1])]
        for name, line in found.items()
        if line[-1][1] != "ok"
    }
    assert {name.split()[1][:3] for name in await told(only=low)} == {low}
    assert len(await told(limit=3)) == 3


async def _units_are_counted_in_the_band_of_their_rate(database: Database) -> None:
    for first, last in (("2024-02-01", "2024-02-29"), ("2024-03-01", "2024-03-31")):
        period = {"first": first, "last": last}
        bands = Counter[str]()
        for body in scenario_story.cast(REGISTER):
            for row in await database.rows(UNITS.text(), UNITS.values({**period, "body": body})):
                if row["total"] >= UNITS.least:
                    bands[f"from_{min(10 * row['reported'] // row['total'], 9) * 10}"] += 1
        assert sum(bands.values()) > 20
        (row,) = await database.rows(DISTRIBUTION.text(), DISTRIBUTION.values(period))
        assert row.pop("month") == first
        assert {band: units for band, units in row.items() if units} == bands
