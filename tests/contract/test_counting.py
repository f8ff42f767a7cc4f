"""SQL counts nothing by a rule of its own: every tally and every rate is a sum over the stored masks."""

from collections.abc import AsyncIterator
from datetime import date
from random import Random

import pytest

from rates.cohort import Cohort, CohortKey, cohort_of
from rates.definitions import DEFINITIONS, FORMS
from rates.effects import DossierRow, TallyRow, version
from rates.tallies import BASES, BIT, TALLIES
from rates.wire import Full, Progress
from sinks import migrate, reads, reference
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from tests.support.register import SmallRegister

NOON = 1_696_222_800  # 2023-10-02 12:00 local
UNITS = ("H18.21", "H63.05", "G15.01", "000.17.22.H56", "H99.01")


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    """A database with a random world, folded by the heart and saved by the sink."""
    random, register = Random(5), SmallRegister()
    cohorts: dict[CohortKey, Cohort] = {}
    for at in range(3_000):
        unit = random.choice(UNITS)
        number = f"{unit}-{random.choice(('231002', '250630', 'x'))}-{random.randrange(200):04}"
        time = NOON + random.randrange(-90, 700) * 86_400
        event: Full | Progress = Progress(number, unit, 0, random.randint(1, 10), time)
        if random.random() < 0.8:
            received, ended, due = (random.choice((0, time + random.randrange(9) * 86_400)) for _ in range(3))
            event = Full(
                number,
                unit,
                0,
                random.randint(1, 10),
                time,
                received,
                ended,
                due,
                random.choice(("1.003560", "9.900009", "2.000001")),
                random.choice(("", "G15-HT01")),
                random.randrange(16),
            )
        key = cohort_of(unit, number)
        cohort = cohorts.setdefault(key, Cohort(key))
        cohort.fold(event, version=version(1, at, 0), learnt=time, procedures=register)
    async with connect(engine_url, "counting") as connected:
        await migrate.migrate(connected, NOON, lambda _line: None)
        await reference.save(connected, NOON)
        store = CohortStore(connected)
        await store.save_dossiers(
            [DossierRow(key, number, d) for key, c in cohorts.items() for number, d in c.changed_dossiers()]
        )
        await store.save_tallies(
            [
                TallyRow(key, cell, version(1, 3_000, 0), vector)
                for key, c in cohorts.items()
                for cell, vector in c.changed_cells()
            ]
        )
        yield connected


async def test_every_stored_tally_is_the_sum_of_the_bits_of_its_dossiers(database: Database) -> None:
    sums = ", ".join(f"sum(t.{name}) AS {name}" for name in TALLIES)
    bits = ", ".join(f"sum(bitTest(mask, {bit})) AS {name}" for name, bit in BIT.items())
    for index, basis in enumerate(BASES):
        day = f"{basis}_day"
        stored = await database.rows(
            f"SELECT toString(unit) AS u, cohort, system, toString(day) AS d, {sums} FROM tallies AS t FINAL "
            f"WHERE basis = {index} GROUP BY unit, cohort, system, day ORDER BY u, cohort, system, d"
        )
        counted = await database.rows(
            f"SELECT toString(unit) AS u, cohort, system, toString({day}) AS d, {bits} FROM dossiers FINAL "
            f"WHERE {day} > toDate(0) GROUP BY unit, cohort, system, {day} ORDER BY u, cohort, system, d"
        )
        assert counted
        # Cells that have emptied stand as zeros; no dossier tells of them any more.
        assert [row for row in stored if any(row[name] for name in TALLIES)] == counted


async def test_every_rate_is_the_sum_of_two_bits_of_its_dossiers(database: Database) -> None:
    for definition in DEFINITIONS:
        for form in FORMS:
            (row,) = await reads.rates(database, (definition,), (form,))
            (counted,) = await database.rows(
                f"SELECT sum(bitTest(mask, {BIT[definition.tally(form)]})) AS numerator, "
                f"sum(bitTest(mask, {BIT[definition.denominator]})) AS denominator "
                f"FROM dossiers FINAL WHERE {definition.basis}_day > toDate(0)"
            )
            assert (row["numerator"], row["denominator"]) == (counted["numerator"], counted["denominator"])
            behind = await reads.dossiers(database, definition, form)
            assert len(behind) == row["denominator"]
            assert sum(dossier["counts"] for dossier in behind) == row["numerator"]
            missing = await reads.dossiers(database, definition, form, missing=True)
            assert len(missing) == row["denominator"] - row["numerator"]


async def test_a_dossier_belongs_to_the_body_of_its_own_day(database: Database) -> None:
    register = await reference.load(database)
    rows = await reads.rates(database, DEFINITIONS, by=("unit", "day", "body"))
    for row in rows:
        day = (date.fromisoformat(row["day"]) - date(1970, 1, 1)).days
        assert row["body"] == register.body(row["unit"], day)
    assert {row["body"] for row in rows if row["unit"] == "H63.05"} == {"H63", "H38"}
