"""What was known on a day is what a recount of the log up to its end finds, whatever came afterwards."""

from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any, NamedTuple

import pytest

from rates.cohort import Cohort, CohortKey, cohort_of
from rates.definitions import DEFINITIONS, FORMS
from rates.effects import ChangeRow, DossierRow, TallyRow, counted, version
from rates.tallies import TALLIES
from rates.wire import Full, Progress
from sinks import history, migrate, reads, reference
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from tests.support.register import SmallRegister

NOON = 1_696_222_800  # 2023-10-02 12:00 local
DAY = 86_400
DAYS = 90
EVENTS = 3_000
UNITS = ("H18.21", "H63.05", "G15.01", "000.17.22.H56", "H99.01")
REGISTER = SmallRegister()


ASKED = (
    ((), reads.EVERYWHERE, reads.ALWAYS),
    (("unit", "body", "day", "month", "system"), reads.EVERYWHERE, reads.ALWAYS),
    (("day", "system"), reads.Scope(body="H18"), reads.Period("2023-10-05", "2023-10-20")),
    (("unit",), reads.Scope(unit="H18.21"), reads.Period("2023-10-05", "")),
)


class Told(NamedTuple):
    event: Full | Progress
    version: int
    learnt: int


def log() -> list[Told]:
    """Late links, corrections, days that move, copies and rows that come before their record."""
    random = Random(7)
    told: list[Told] = []
    for at in range(EVENTS):
        learnt = NOON - 12 * 3_600 + at * DAYS * DAY // EVENTS
        if told and random.random() < 0.1:
            told.append(Told(random.choice(told).event, version(1, at, 0), learnt))
            continue
        unit = random.choice(UNITS)
        number = f"{unit}-{random.choice(('231002', '231102', 'x'))}-{random.randrange(100):04}"
        time = learnt - random.choice((0, 3_600, 9 * DAY))
        if random.random() < 0.25:
            event: Full | Progress = Progress(number, unit, 0, random.randint(3, 10), time)
        else:
            received, ended, due = (
                random.choice((0, *(NOON + random.randrange(40) * DAY for _ in range(4)))) for _ in range(3)
            )
            procedure = random.choice(("1.003560", "9.900009", "2.000001"))
            status = random.choice((1, 2, 4, 5, 7, 9, 10, 10))
            facts = random.randrange(16)
            event = Full(number, unit, 0, status, time, received, ended, due, procedure, "", facts)
        told.append(Told(event, version(1, at, 0), learnt))
    return told


def folded(told: list[Told]) -> dict[CohortKey, Cohort]:
    cohorts: dict[CohortKey, Cohort] = {}
    for event, position, learnt in told:
        key = cohort_of(event.unit, event.number)
        cohort = cohorts.setdefault(key, Cohort(key))
        cohort.fold(event, version=position, learnt=learnt, procedures=REGISTER)
    return cohorts


def changes(cohorts: dict[CohortKey, Cohort]) -> list[ChangeRow]:
    return [
        ChangeRow(key, number, after, counted(before))
        for key, cohort in cohorts.items()
        for number, before, after in cohort.changes
    ]


async def save(database: Database, cohorts: dict[CohortKey, Cohort]) -> None:
    await migrate.migrate(database, NOON, lambda _line: None)
    await reference.save(database, NOON)
    store = CohortStore(database)
    rows = changes(cohorts)
    if not rows:
        return
    await store.save_history(rows)
    await store.save_history(rows[::3])  # a crash had them written again
    await store.save_dossiers(
        [DossierRow(key, number, d) for key, c in cohorts.items() for number, d in c.changed_dossiers()]
    )
    await store.save_tallies(
        [
            TallyRow(key, cell, version(1, EVENTS, 0), vector)
            for key, c in cohorts.items()
            for cell, vector in c.changed_cells()
        ]
    )


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, "history") as connected:
        await save(connected, folded(log()))
        yield connected


@pytest.mark.parametrize("days", [-1, 0, 1, 17, 44, DAYS - 1, DAYS + 400])
async def test_what_was_known_at_the_end_of_a_day_is_a_recount_of_the_log_up_to_then(
    database: Database, engine_url: str, days: int
) -> None:
    end = NOON + 12 * 3_600 + days * DAY
    until = folded([one for one in log() if one.learnt < end])
    assert bool(until) == (days >= 0)
    async with connect(engine_url, f"cut_{days + 1}") as cut:
        await save(cut, until)
        for by, scope, period in ASKED:
            was = await reads.rates(cut, DEFINITIONS, FORMS, by, period, scope)
            assert await reads.rates(database, DEFINITIONS, FORMS, by, period, scope, end) == was
        shown = f"number, unit, system, status, received_at, completed_at, due_at, {', '.join(TALLIES)}"
        query = f"SELECT {shown} FROM dossiers_named ORDER BY number"
        assert await database.rows(history.as_known(query), {"known": end}) == await cut.rows(query)


async def test_all_changes_together_are_the_tallies(database: Database) -> None:
    sums = ", ".join(f"sum(t.{name}) AS {name}" for name in TALLIES)
    query = (
        f"SELECT unit, basis, day, {sums} FROM unit_days(first = '1970-01-02', last = '2149-06-06') AS t "
        f"GROUP BY unit, basis, day HAVING received > 0 ORDER BY unit, basis, day"
    )
    assert await database.rows(history.as_known(query), {"known": NOON + 1_000 * DAY}) == await database.rows(
        query
    )


async def test_a_dossier_tells_each_of_its_accepted_versions_and_when_it_was_learnt(
    database: Database,
) -> None:
    cohorts = folded(log())
    ((key, number), _) = Counter((row.key, row.number) for row in changes(cohorts)).most_common(1)[0]
    told = [(one.dossier, one.was.mask) for one in changes(cohorts) if one.number == number]
    found = await history.versions(database, number, *key)
    assert [
        (row["version"], row["learnt_time"], row["status"], row["mask"], row["was_mask"]) for row in found
    ] == [(after.version, after.learnt, after.status, after.mask, was) for after, was in told]
    assert len(found) > 5
    assert {row["kind"] for row in found} <= {*history.KINDS}


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.id)
async def test_what_a_month_was_restated_by_is_what_it_says_now_less_what_it_said_at_its_end(
    database: Database, definition: Any
) -> None:
    rows = await database.rows(
        f"SELECT month, sum(above) AS up, sum(below) AS down FROM ({history.restated(definition, 'clean')}) "
        "GROUP BY month ORDER BY month",
        {"first": "2023-10-01", "last": "2023-10-31"},
    )
    october = reads.Period("2023-10-01", "2023-10-31")
    end = NOON + 30 * DAY - 12 * 3_600  # 1 November, 0:00
    (now,) = await reads.rates(database, (definition,), ("clean",), (), october)
    (first,) = await reads.rates(database, (definition,), ("clean",), (), october, known=end)
    assert first["denominator"]
    assert now != first
    assert [(row["month"], row["up"], row["down"]) for row in rows] == [
        ("2023-10", now["numerator"] - first["numerator"], now["denominator"] - first["denominator"])
    ]


async def test_a_database_from_before_history_knows_what_it_had_with_each_dossiers_last_event(
    engine_url: str,
) -> None:
    cohorts = folded(log())
    async with connect(engine_url, "before_history") as connected:
        await save(connected, cohorts)
        await connected.run("TRUNCATE TABLE history")
        (statement,) = [
            statement
            for one in migrate.migrations()
            if one.name == "history"
            for statement in one.statements(connected.name)
            if statement.startswith("INSERT")
        ]
        await connected.run(statement)
        now = await reads.rates(connected, DEFINITIONS, FORMS, ("unit", "day"))
        assert (
            await reads.rates(connected, DEFINITIONS, FORMS, ("unit", "day"), known=NOON + 999 * DAY) == now
        )
