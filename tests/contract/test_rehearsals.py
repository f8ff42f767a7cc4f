"""What is known of rehearsals, on the real engine: whole records, orders, and the register that one gets."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count

import pytest

from sinks import generations, migrate, reference, rehearsals
from sinks.client import Database, connect
from sinks.generations import Source
from sinks.rehearsals import File, Rehearsal

NOW = 1_780_000_000
_names = count()


@pytest.fixture
async def two(engine_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """A live database and a rehearsal's."""
    name = f"rehearsals_{next(_names)}"
    async with AsyncExitStack() as stack:
        found = []
        for one in (name, f"{name}_re"):
            database = await stack.enter_async_context(connect(engine_url, one))
            await migrate.migrate(database, NOW, lambda _line: None)
            found.append(database)
        yield found[0], found[1]


def rehearsal(name: str, **changes: object) -> Rehearsal:
    values = {
        "name": name,
        "state": "running",
        "database": f"motcua_{name}",
        "topic": f"dossiers.{name}",
        "started_at": NOW,
        **changes,
    }
    return Rehearsal(**values)  # type: ignore[arg-type]


async def test_a_record_is_read_as_it_was_written_and_the_last_stands(
    two: tuple[Database, Database],
) -> None:
    live, _ = two
    assert await rehearsals.find(live, "re") is None
    first = rehearsal("re", files=(File("/logs/'a'.ndjson", 7, 3, 1_780_000_000_123),), speed=60)
    then = rehearsal(
        "re", state="done", from_topic=True, ends={0: 1 << 39, 11: 4}, offsets={0: 5}, error="ế\n"
    )
    await rehearsals.save(live, first, 1, NOW)
    found = await rehearsals.find(live, "re")
    assert found == rehearsals.Stored(1, first)
    await rehearsals.save(live, then, 2, NOW)
    await rehearsals.save(live, rehearsal("other"), 1, NOW)
    assert await rehearsals.find(live, "re") == rehearsals.Stored(2, then)
    assert await rehearsals.listed(live) == [rehearsal("other"), then]


async def test_one_that_was_dropped_is_not_listed_and_keeps_its_version(
    two: tuple[Database, Database],
) -> None:
    live, _ = two
    await rehearsals.save(live, rehearsal("re", state="dropped"), 5, NOW)
    assert await rehearsals.listed(live) == []
    found = await rehearsals.find(live, "re")
    assert found is not None
    assert (found.version, found.rehearsal.state) == (5, "dropped")


async def test_each_order_comes_after_the_one_before(two: tuple[Database, Database]) -> None:
    live, _ = two
    assert await rehearsals.ordered(live, "re") == (0, "")
    await rehearsals.order(live, "re", "pause", NOW)
    await rehearsals.order(live, "other", "pause", NOW)
    assert await rehearsals.ordered(live, "re") == (1, "pause")
    await rehearsals.order(live, "re", "stop", NOW)
    assert await rehearsals.ordered(live, "re") == (2, "stop")


async def test_a_rehearsal_gets_the_register_that_is_loaded_once(two: tuple[Database, Database]) -> None:
    live, own = two
    await reference.copy(live, own, NOW)
    assert await reference.loads(own) == 0
    await reference.save(live, NOW)
    await live.run("INSERT INTO targets SELECT * REPLACE ('a test' AS source) FROM targets LIMIT 1")
    await reference.copy(live, own, NOW)
    for table in (*reference.TABLES, "unit_bodies"):
        query = f"SELECT * FROM {table} ORDER BY ALL"
        assert await own.rows(query) == await live.rows(query)
    assert await reference.loads(own) == 1
    assert await own.value(
        "SELECT dictGet('body_of', 'body', tuple('H18.21'), toDate('2025-01-01'))"
    ) == await live.value("SELECT dictGet('body_of', 'body', tuple('H18.21'), toDate('2025-01-01'))")
    await reference.save(live, NOW)
    await reference.copy(live, own, NOW)
    assert await own.value("SELECT count() FROM targets WHERE source = 'a test'") == 1


async def test_a_rehearsals_generation_is_above_the_live_one_and_stays(
    two: tuple[Database, Database],
) -> None:
    _, own = two
    topic = Source("cluster", "dossiers.re", "id", 12)
    assert await generations.number(own, topic, 7) == 8
    assert await generations.register(own, topic, NOW, 7) == 8
    assert await generations.register(own, topic, NOW, 9) == 8
    anew = topic._replace(topic_id="another")
    assert await generations.register(own, anew, NOW, 7) == 9
