"""Migrations: repeatable, explained when half-applied, refused when changed; and the views that follow."""

from collections.abc import AsyncIterator
from itertools import count

import pytest

from rates.definitions import DEFINITIONS
from rates.failures import Fatal
from rates.tallies import TALLIES
from sinks import generations, migrate, reference
from sinks.client import Database, connect, strings, uints
from sinks.generations import Source

_names = count(1)
NOW = 1_700_000_000


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    async with connect(engine_url, f"migrate_{next(_names)}") as connected:
        yield connected


async def test_a_database_that_is_not_migrated_is_refused_with_the_next_command(database: Database) -> None:
    with pytest.raises(Fatal, match=r"0001 .* is missing\. Next: motcua migrate"):
        await migrate.check(database)


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    said: list[str] = []
    await migrate.migrate(database, NOW, said.append)
    assert len(said) == len(migrate.migrations())
    await migrate.migrate(database, NOW + 1, said.append)
    assert len(said) == len(migrate.migrations())
    await migrate.check(database)


async def test_a_half_applied_migration_is_named_and_taken_up_again(database: Database) -> None:
    await migrate.migrate(database, NOW, lambda _line: None)
    await _log(database, number=2, applied=False, note="statement 3 of 6: CREATE TABLE …")
    with pytest.raises(Fatal, match=r"0002 .* stopped half-way \(statement 3 of 6"):
        await migrate.check(database)
    said: list[str] = []
    await migrate.migrate(database, NOW + 10, said.append)
    assert "had stopped half-way: statement 3 of 6" in said[0]
    await migrate.check(database)


async def test_a_migration_that_changed_after_it_was_applied_is_refused(database: Database) -> None:
    await migrate.migrate(database, NOW, lambda _line: None)
    await _log(database, number=1, applied=True, note="")
    with pytest.raises(Fatal, match="changed after it had been applied"):
        await migrate.check(database)


async def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    await migrate.migrate(database, NOW, lambda _line: None)
    await _log(database, number=99, applied=True, note="")
    with pytest.raises(Fatal, match="0099, which this program does not know"):
        await migrate.check(database)


async def test_the_table_of_tallies_has_a_column_for_each_tally(database: Database) -> None:
    await migrate.migrate(database, NOW, lambda _line: None)
    rows = await database.rows(
        "SELECT name FROM system.columns WHERE database = {name:String} AND table = 'tallies' "
        "AND type = 'UInt32' AND name != 'cohort' ORDER BY position",
        {"name": database.name},
    )
    assert tuple(row["name"] for row in rows) == TALLIES


async def test_every_definition_has_a_view(database: Database) -> None:
    await migrate.migrate(database, NOW, lambda _line: None)
    for definition in DEFINITIONS:
        assert await database.rows(f"SELECT numerator_clean, denominator, body FROM {definition.view}") == []


async def test_the_register_comes_back_as_it_was_loaded(database: Database) -> None:
    await migrate.migrate(database, NOW, lambda _line: None)
    await reference.save(database, NOW)
    loaded = await reference.load(database)
    assert loaded.body("H63.01", 20_269) == "H63"  # 2025-06-30 is day 20,269
    assert (await _body(database, "H63.01", "2025-06-30"), await _body(database, "H63.01", "2025-07-01")) == (
        loaded.body("H63.01", 20_269),
        "H38",
    )


async def test_a_topic_keeps_its_generation_and_another_gets_the_next(database: Database) -> None:
    await migrate.migrate(database, NOW, lambda _line: None)
    topic = Source("cluster", "dossiers", "id-1", 12)
    with pytest.raises(Fatal, match="no topic is registered"):
        await generations.confirmed(database, topic)
    assert await generations.register(database, topic, NOW) == 1
    assert await generations.register(database, topic, NOW) == 1
    assert await generations.confirmed(database, topic) == 1
    wider = topic._replace(partitions=24)
    with pytest.raises(Fatal, match="partitions 12 → 24"):
        await generations.confirmed(database, wider)
    assert await generations.register(database, wider, NOW) == 2


async def _body(database: Database, unit: str, day: str) -> str:
    found = await database.value(
        f"SELECT {migrate.body('day')} FROM (SELECT {{unit:String}} AS unit, {{day:Date}} AS day)",
        {"unit": unit, "day": day},
    )
    return str(found)


async def _log(database: Database, *, number: int, applied: bool, note: str) -> None:
    await database.insert(
        "schema_log",
        {
            "number": uints([number], 16),
            "version": uints([(NOW + 5) << 16], 64),
            "name": strings(["planted"]),
            "checksum": strings(["0" * 64]),
            "applied": uints([int(applied)], 8),
            "note": strings([note]),
            "at": uints([NOW], 32),
        },
    )
