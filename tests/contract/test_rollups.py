"""Sums by body and by unit are what the tallies add up to, whoever settled a month, whatever came since."""

from collections.abc import AsyncIterator
from itertools import count
from random import Random

import pytest

from rates.cohort import Cell, CohortKey
from rates.effects import TallyRow, version
from rates.tallies import BASES, SYSTEMS, TALLIES, lanes
from sinks import migrate, reference, rollups
from sinks.client import Database, connect
from sinks.cohorts import CohortStore

NOON = 1_696_222_800  # 2023-10-02 12:00 local
UNITS = ("H18.21", "H63.05", "G15.01", "000.17.22.H56", "H99.01")
MONTHS = (202310, 202506, 202507, 3, 17)
DAYS = range(20_240, 20_300)  # around 2025-07-01, when 63 provinces became 34
VIEWS = {
    "body_sums": ("body", "basis", "system", "day"),
    "unit_days": ("unit", "body", "basis", "day"),
    "unit_sums": ("unit", "body", "basis"),
}
_names = count(1)


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, f"rollups_{next(_names)}") as connected:
        await migrate.migrate(connected, NOON, lambda _line: None)
        await reference.save(connected, NOON)
        yield connected


async def write(database: Database, random: Random, at: int, months: tuple[int, ...] = MONTHS) -> None:
    """A thousand cells; many that were there before, some of them emptied."""
    cells = {
        (
            CohortKey(random.choice(UNITS), random.choice(months)),
            Cell(random.randrange(7), random.randrange(3), random.choice(DAYS)),
        )
        for _ in range(1_000)
    }
    await CohortStore(database).save_tallies(
        [
            TallyRow(key, cell, version(1, at, 0), random.choice((0, 1, 3)) * lanes(random.getrandbits(22)))
            for key, cell in sorted(cells)
        ]
    )


async def rolled(database: Database, first: str, last: str) -> list[dict]:
    sums = ", ".join(f"toUInt64(sum(s.{name})) AS {name}" for name in TALLIES)
    return await database.rows(
        f"SELECT body, basis, {sums} FROM body_sums(first = {{first:Date}}, last = {{last:Date}}) AS s "
        "GROUP BY body, basis ORDER BY body, basis",
        {"first": first, "last": last},
    )


async def summed(database: Database, first: str, last: str) -> list[dict]:
    """The same from the tallies, row by row, each with the body of its own day."""
    sums = ", ".join(f"toUInt64(sum(c.{name})) AS {name}" for name in TALLIES)
    return await database.rows(
        f"SELECT body, toUInt8(indexOf({list(BASES)}, basis) - 1) AS basis, {sums} FROM counts AS c "
        "WHERE day BETWEEN {first:Date} AND {last:Date} GROUP BY body, basis ORDER BY body, basis",
        {"first": first, "last": last},
    )


async def agree(database: Database) -> None:
    for first, last in (
        ("1970-01-01", "2149-06-06"),
        ("2025-06-10", "2025-07-12"),
        ("2025-07-01", "2025-07-01"),
    ):
        found = await rolled(database, first, last)
        assert found
        assert found == await summed(database, first, last)
        period = {"first": first, "last": last}
        for view, keys in VIEWS.items():
            named = ", ".join(keys)
            sums = ", ".join(f"toUInt64(sum(s.{name})) AS {name}" for name in TALLIES)
            made = await database.rows(
                f"SELECT {named}, {sums} FROM {view}(first = {{first:Date}}, last = {{last:Date}}) AS s "
                f"GROUP BY {named} ORDER BY {named}",
                period,
            )
            assert made == await database.rows(
                f"SELECT {named}, {sums} FROM ("
                f"SELECT * EXCEPT (system, basis), indexOf({list(SYSTEMS)}, system) - 1 AS system, "
                f"toUInt8(basis_index) AS basis FROM counts) AS s "
                f"WHERE day BETWEEN {{first:Date}} AND {{last:Date}} GROUP BY {named} ORDER BY {named}",
                period,
            )


async def settle(database: Database) -> int:
    """Settle everything that is at rest; parts that are merged meanwhile are not."""
    made = 0
    settling = rollups.Rollups(database, migrate.body("day"))
    for _ in range(3):
        made += await settling.settle(NOON, most=100)
    return made


async def test_sums_by_body_are_those_of_the_tallies_before_and_after_a_month_is_settled(
    database: Database,
) -> None:
    random = Random(3)
    for at in range(4):
        await write(database, random, at)
        await agree(database)
    assert await settle(database)
    await agree(database)
    # Rows of months that are settled: corrections, emptied cells, and an older row that comes late and loses.
    for at in (9, 10, 2):
        await write(database, random, at, MONTHS[1:4])
        await agree(database)
    assert await settle(database)
    await agree(database)


async def test_a_settled_month_is_what_an_answer_is_made_of(database: Database) -> None:
    await write(database, Random(4), 1)
    await settle(database)
    before = await rolled(database, "1970-01-01", "2149-06-06")
    for table in ("rolled", "rolled_units"):
        await database.run(
            f"ALTER TABLE {table} UPDATE received = received + 1 WHERE 1 SETTINGS mutations_sync = 2"
        )
    assert await rolled(database, "1970-01-01", "2149-06-06") != before
    await write(database, Random(5), 2)
    await agree(database)


async def test_a_register_that_is_loaded_anew_unsettles_every_month(database: Database) -> None:
    await write(database, Random(6), 1)
    await settle(database)
    for table in ("rolled", "rolled_units"):
        await database.run(
            f"ALTER TABLE {table} UPDATE received = received + 1 WHERE 1 SETTINGS mutations_sync = 2"
        )
    await reference.save(database, NOON + 1)
    await agree(database)


async def test_without_a_register_sums_are_there_too(engine_url: str) -> None:
    async with connect(engine_url, f"rollups_{next(_names)}") as database:
        await migrate.migrate(database, NOON, lambda _line: None)
        await write(database, Random(7), 1)
        await agree(database)


async def test_sums_that_count_no_more_are_dropped_after_a_while(database: Database) -> None:
    settling = rollups.Rollups(database, migrate.body("day"))
    for at in (1, 2):
        await write(database, Random(at), at, MONTHS[:1])
        await database.run("OPTIMIZE TABLE tallies FINAL")
        for _ in range(2):
            await settling.settle(NOON + at, most=100)
    for table in ("rolled", "rolled_units"):
        assert await database.value(f"SELECT uniqExact(made) FROM {table}") == 2
    await settling.settle(NOON + 1_000, most=100)
    for table in ("rolled", "rolled_units"):
        assert await database.value(f"SELECT uniqExact(made) FROM {table}") == 1
    await agree(database)


async def test_tallies_of_the_former_schema_are_all_there_after_the_migration(engine_url: str) -> None:
    async with connect(engine_url, f"rollups_{next(_names)}") as database:
        await database.create()
        await migrate.lay(database, range(1, 6), NOON)
        for name in TALLIES:  # the store writes those of today
            await database.run(f"ALTER TABLE tallies ADD COLUMN IF NOT EXISTS {name} UInt32")
        random = Random(8)
        for at in range(3):
            await write(database, random, at)
        before = await database.rows("SELECT * FROM tallies FINAL ORDER BY ALL")
        for _ in range(2):
            await migrate.migrate(database, NOON, lambda _line: None)
            await reference.save(database, NOON)
            assert await database.rows("SELECT * FROM tallies FINAL ORDER BY ALL") == before
            await agree(database)
            await database.run("ALTER TABLE schema_log DELETE WHERE number = 6 SETTINGS mutations_sync = 2")
