"""Alerts on the real engine: a province that slips is found, explained, and let go, each once."""

from collections.abc import AsyncIterator
from itertools import count

import pytest
from msgspec.structs import replace

from rates.alerts import RULES, Arrivals, Reading
from rates.calendar import Calendar
from rates.cohort import Cell, CohortKey
from rates.dossier import Dossier
from rates.effects import NOWHERE, ChangeRow, Reached, TallyRow, version
from rates.register import Register
from rates.tallies import BIT, LANE_BITS, SYSTEMS
from rates.verdicts import Key, Ruling, State
from rates.wire import day_of
from sinks import alerts, generations, migrate, reference
from sinks.alerts import Alerts, Asked
from sinks.client import Database, connect, strings, uints
from sinks.cohorts import CohortStore
from sinks.generations import Source
from streams.verdicts import Judge

DAY = 86_400
MONDAY = 1_678_672_800  # 2023-03-13 09:00 local
CANARY = 10.0
_names = count(1)
PROVINCES = ("H01", "H05", "H12", "H13", "H18", "H20", "H26")
SLIPPING = "H18"


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, f"alerts_{next(_names)}") as connected:
        await migrate.migrate(connected, MONDAY, lambda _line: None)
        await reference.save(connected, MONDAY)
        await generations.register(connected, Source("cluster", "dossiers", "id", 2), MONDAY)
        yield connected


class World:
    """Provinces by unit and system, evaluated at a moment of the test's own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = CohortStore(database)
        self.now = MONDAY
        self.at = count(1)
        self.judge = Judge(Alerts(database, Calendar.shipped()), Calendar.shipped(), lambda: self.now, CANARY)
        day = day_of(MONDAY)
        register = Register.shipped()
        self.units: dict[str, list[str]] = {}
        for unit in register.one_stop_units(day):
            row = register.unit(unit, day)
            if row is not None and row.level == "commune":
                self.units.setdefault(register.body(unit, day), []).append(unit)

    async def lay(self, unit: str, rate: float, required: int = 400, system: str = "land") -> None:
        """What a unit received yesterday: of so many dossiers with a result due, that share has one."""
        await self.lay_counts(
            unit,
            system,
            received=required,
            done=required,
            digitised=required // 2,
            result_required=required,
            e_result=round(required * rate),
            e_result_clean=round(required * rate),
            e_result_required=round(required * rate),
            e_result_clean_required=round(required * rate),
        )

    async def lay_counts(self, unit: str, system: str = "land", **counts: int) -> None:
        vector = sum(value << LANE_BITS * BIT[name] for name, value in counts.items())
        day = day_of(MONDAY) - 3
        cell = Cell(SYSTEMS.index(system), 0, day)
        row = TallyRow(CohortKey(unit, 202303), cell, version(1, next(self.at), 0), vector)
        await self.store.save_tallies([row])

    async def heard(self, unit: str, at: int) -> None:
        """Ten dossiers of a unit, learnt at a moment."""
        day = day_of(at)
        await self.database.insert(
            "heard", {"unit": strings([unit]), "day": uints([day], 16), "last": uints([at], 32)}
        )
        vector = sum(10 << LANE_BITS * BIT[name] for name in ("received", "open", "digitised"))
        row = TallyRow(CohortKey(unit, 202303), Cell(0, 0, day), version(1, next(self.at), 0), vector)
        await self.store.save_tallies([row])

    async def evaluate(self, now: int) -> int | None:
        self.now = now
        at = next(self.at)
        await self.store.save_progress([Reached(part, version(1, at, 0), now, now) for part in range(2)])
        return await self.judge.judge()

    async def rows(self, **asked: str) -> list[dict]:
        return await alerts.now(self.database, Asked(**asked))


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_a_province_that_slips_below_target_and_peers_fires_once_with_the_units_behind_it(
    world: World,
) -> None:
    for place, province in enumerate(PROVINCES):
        for unit in world.units[province][:3]:
            await world.lay(unit, 0.80 + place / 100)
    assert await world.evaluate(MONDAY) is not None
    assert await world.rows(rule="R1", level="province") == []

    first, second, third = world.units[SLIPPING][:3]
    await world.lay(first, 0.05, system="land")
    await world.lay(second, 0.40, system="land")
    await world.evaluate(MONDAY + 3600)
    (row,) = await world.rows(rule="R1", level="province")
    assert (row["subject"], row["state"]) == (SLIPPING, "pending")
    await world.evaluate(MONDAY + DAY)
    await world.evaluate(MONDAY + 2 * DAY)
    (row,) = await world.rows(rule="R1", level="province")
    assert (row["subject"], row["state"], row["severity"]) == (SLIPPING, "firing", "warn")
    assert (row["numerator"], row["denominator"]) == (20 + 160 + 336, 1200)
    assert row["threshold"] == 0.70
    assert row["reason_en"].index(first) < row["reason_en"].index(second)
    assert third not in row["reason_en"]
    assert "Systems: land" in row["reason_en"]
    assert "đất đai" in row["reason_vi"]
    for hours in range(1, 4):
        await world.evaluate(MONDAY + 2 * DAY + hours * 3600)

    await world.lay(first, 0.90)
    await world.lay(second, 0.90)
    await world.evaluate(MONDAY + 3 * DAY)
    await world.evaluate(MONDAY + 4 * DAY)
    await world.evaluate(MONDAY + 4 * DAY + 3600)
    assert await world.rows(rule="R1", level="province") == []
    told = await alerts.history(world.database, "R1", SLIPPING)
    assert [row["state"] for row in reversed(told)] == ["pending", "firing", "ok"]
    assert told[1]["median"] == pytest.approx(0.825)


async def test_every_rule_and_registered_subject_has_its_row_whatever_is_stored(world: World) -> None:
    day = day_of(MONDAY)
    register = Register.shipped()
    subjects = {
        "unit": len(register.one_stop_units(day)),
        "province": len(register.bodies(day, "province")),
        "ministry": len(register.bodies(day, "ministry")),
    }
    for evaluated in (False, True):
        if evaluated:
            await world.lay(world.units[SLIPPING][0], 0.1)
            await world.evaluate(MONDAY)
        found = await world.database.rows(
            "SELECT rule, level, count() AS n, uniqExact(subject) AS one FROM alerts_now GROUP BY rule, level"
        )
        if not evaluated:
            assert {row["rule"] for row in found} == {rule.id for rule in RULES}
            continue
        assert {(row["rule"], row["level"]): (row["n"], row["one"]) for row in found} == {
            (rule.id, level): (subjects[level], subjects[level]) for rule in RULES for level in rule.levels
        }


async def test_an_office_that_falls_silent_fires_on_the_next_working_day(world: World) -> None:
    silent, awake = world.units[SLIPPING][:2]
    first = MONDAY - 40 * DAY
    for unit in (silent, awake):
        for back in range(40):
            await world.heard(unit, first + back * DAY)
    thursday, friday, saturday, monday = (MONDAY + days * DAY for days in (3, 4, 5, 7))
    for unit, until in ((silent, thursday), (awake, saturday)):
        for at in range(MONDAY, until + 1, DAY):
            await world.heard(unit, at)
    for at in (friday, saturday, saturday + 3600, saturday + DAY):
        await world.evaluate(at)
        # Friday went by without a word; nobody is called for that on a weekend.
        assert await world.rows(rule="R4", state="firing") == []
    assert [row["subject"] for row in await world.rows(rule="R4", state="pending")] == [silent]
    await world.evaluate(monday)
    fired = [(row["subject"], row["severity"]) for row in await world.rows(rule="R4", state="firing")]
    assert fired == [(silent, "critical")]
    await world.heard(silent, monday + 60)
    await world.evaluate(monday + 3600)
    await world.evaluate(monday + 7200)
    assert await world.rows(rule="R4", state="firing") == []
    told = await alerts.history(world.database, "R4", silent)
    assert [row["state"] for row in reversed(told)] == ["pending", "firing", "ok"]


async def test_a_silence_of_a_body_s_units_is_shown_beside_each_of_them_and_not_beside_the_body(
    world: World,
) -> None:
    await world.evaluate(MONDAY)
    given = {"reason": "moving house", "by": "a test", "until": MONDAY + DAY}
    await alerts.silence(world.database, rule="R1", subject="H18.*", now=1, **given)
    rows = await alerts.now(world.database, Asked(rule="R1"), quiet=True)
    silenced = {row["subject"] for row in rows if row["silenced_until"]}
    assert silenced == {row["subject"] for row in rows if row["body"] == "H18" and row["level"] == "unit"}
    await world.evaluate(MONDAY + 2 * DAY)
    rows = await alerts.now(world.database, Asked(rule="R1"), quiet=True)
    assert not any(row["silenced_until"] for row in rows)


async def test_while_data_are_stale_what_is_well_is_not_vouched_for_and_what_fires_goes_on(
    world: World,
) -> None:
    for unit in world.units[SLIPPING][:3]:
        await world.lay(unit, 0.1)
    for days in range(3):
        await world.evaluate(MONDAY + days * DAY)
    before = await world.rows(rule="R1", state="firing")
    assert before
    world.now += 3600
    assert await world.judge.judge() is None
    assert await world.rows(rule="R1", state="firing") == before
    assert await world.rows(rule="R7", state="ok") == []
    assert len(await world.rows(rule="R7", state="stale", level="province")) == 63


async def test_an_evaluator_that_was_stalled_changes_nothing_when_it_wakes(world: World) -> None:
    for unit in world.units[SLIPPING][:3]:
        await world.lay(unit, 0.1)
    for days in range(3):
        await world.evaluate(MONDAY + days * DAY)
    before = await alerts.now(world.database, Asked(), quiet=True)
    assert any(row["state"] == "firing" for row in before)
    stalled = Ruling(
        Key("R1", "province", SLIPPING), SLIPPING, State(), State(), Reading("good"), "", "", tells=False
    )
    store = Alerts(world.database, Calendar.shipped())
    await store.save([stalled], MONDAY + DAY, fresh=True)
    assert await alerts.now(world.database, Asked(), quiet=True) == before


async def test_what_was_sent_lately_is_counted_by_the_day_on_which_it_was_learnt(database: Database) -> None:
    """Ten events a day for two weeks, and forty today, thirty of them old."""
    old = 1 << BIT["backdated"] | 1 << BIT["received"]
    rows = []
    for back in range(15):
        learnt = MONDAY - back * DAY
        for at in range(40 if back == 0 else 10):
            mask = old if back == 0 and at < 30 else 1 << BIT["received"]
            position = version(1, back * 100 + at, 0)
            state = Dossier(position, learnt, mask, 6, 4, learnt, 0, 0, learnt, 0, 0, 0, "", "")
            rows.append(ChangeRow(CohortKey("H18.21", 202303), f"{back}-{at}", state, NOWHERE))
    later = [row._replace(dossier=replace(row.dossier, learnt=MONDAY + 5)) for row in rows[:3]]
    store = CohortStore(database)
    await store.save_history(rows + later)
    await store.save_history(rows[:20])  # a crash had them written again
    units, bodies = await Alerts(database, Calendar.shipped()).arrived(MONDAY)
    assert units == {"H18.21": Arrivals(((40, 30), (10, 0)), 10.0)}
    assert bodies == {"H18": Arrivals(((40, 30), (10, 0)), 10.0)}
    units, _ = await Alerts(database, Calendar.shipped()).arrived(MONDAY - 10 * DAY)
    assert units == {"H18.21": Arrivals(((10, 0), (10, 0)), 0.0)}
