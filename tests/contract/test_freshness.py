"""What the database tells of its own currency, on the real engine: the pipe, and when units were heard of."""

from collections.abc import AsyncIterator, Sequence
from itertools import count

import pytest
import pytest_asyncio

from dashboards.fresh import EVERYBODY, activities, offices, pipe_of, quiet
from dashboards.panels import ACTIVITY, FRESHNESS, RHYTHM, Panel
from rates.calendar import Calendar
from rates.cohort import Cell, cohort_of
from rates.dossier import Dossier
from rates.effects import Canary, DossierRow, Reached, TallyRow, version
from rates.freshness import Pipe
from rates.register import Register
from rates.tallies import lanes, mask_of
from sinks import generations, migrate, reference
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from sinks.generations import Source

DAY = 86_400
LAST = 1_775_696_400  # Thursday, 2026-04-09 08:00 local
TODAY = LAST + 5 * DAY  # Tuesday: Friday and Monday went by
BUSY, SMALL, AWAKE, OLD = "H18.100", "H18.101", "H18.102", "H17.100"
_names = count(1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def dossier(number: str, received: int, at: int, learnt: int = 0) -> DossierRow:
    unit = number.split("-")[0]
    state = Dossier(
        version=version(1, at, 0),
        learnt=learnt or received,
        mask=mask_of(4, received, 0, 0, 0),
        system=0,
        record_status=4,
        record_time=received,
        progress_status=0,
        progress_time=0,
        received=received,
        completed=0,
        due=0,
        facts=0,
        procedure="",
        sector="",
    )
    return DossierRow(cohort_of(unit, number), number, state)


async def keep(store: CohortStore, rows: Sequence[DossierRow], cells: dict[str, int]) -> None:
    """Dossiers, and as many received a day as `cells` says of their unit."""
    await store.save_dossiers(rows)
    tallies = []
    for row in rows:
        day = (row.dossier.received + 25_200) // DAY
        vector = lanes(row.dossier.mask) * cells[row.key.unit]
        tallies.append(TallyRow(row.key, Cell(0, 0, day), row.dossier.version, vector))
    await store.save_tallies(tallies)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(engine_url: str) -> AsyncIterator[Database]:
    """Forty days of three offices, of which one speaks on; one that was heard of two years before alone."""
    async with connect(engine_url, f"fresh_{next(_names)}") as database:
        await migrate.migrate(database, LAST, lambda _line: None)
        await reference.save(database, LAST)
        await generations.register(database, Source("cluster", "dossiers", "id", 3), LAST)
        store = CohortStore(database)
        at = count(1)
        rows = [
            dossier(f"{unit}-2604{back:02}-0001", LAST - back * DAY, next(at))
            for unit in (BUSY, SMALL, AWAKE)
            for back in range(40)
        ]
        rows.append(dossier(f"{AWAKE}-260413-0001", TODAY - 3600, next(at)))
        rows.append(dossier(f"{OLD}-240105-0001", LAST - 800 * DAY, next(at)))
        await keep(store, rows, {BUSY: 9, SMALL: 1, AWAKE: 9, OLD: 9})
        await store.save_progress(
            [Reached(part, version(1, 500, 0), TODAY, TODAY + part) for part in range(3)]
        )
        yield database


async def ask(database: Database, panel: Panel, **given: object) -> list[dict]:
    return await database.rows(panel.text(), panel.values(given))


async def states(database: Database, now: int = TODAY) -> dict[str, str]:
    (row,) = await ask(database, FRESHNESS)
    through = pipe_of(row, canary_seconds=10, now=now)
    known = activities(await ask(database, ACTIVITY))
    units = quiet(known, through, Calendar.shipped())
    rhythms = await ask(database, RHYTHM, units=units) if units else []
    found = offices(known, rhythms, through, Register.shipped(), Calendar.shipped())
    return {code: one.state for code, one in found.items()}


async def test_a_busy_office_falls_silent_a_small_one_rests_and_one_that_speaks_is_fresh(
    stored: Database,
) -> None:
    assert await states(stored) == {BUSY: "silent", SMALL: "fresh", AWAKE: "fresh", OLD: "unknown"}


async def test_while_the_pipe_is_stale_no_office_is_anything_else(stored: Database) -> None:
    assert set((await states(stored, TODAY + 3600)).values()) == {"stale"}


async def test_a_unit_is_known_by_its_first_day_and_its_last_moment(stored: Database) -> None:
    rows = {row["code"]: row for row in await ask(stored, ACTIVITY)}
    assert rows[BUSY] == {"code": BUSY, "first_day": "2026-03-01", "last_time": LAST, "complete": TODAY}
    assert rows[AWAKE]["last_time"] == TODAY - 3600
    assert [row["code"] for row in await ask(stored, ACTIVITY, only="H18")] == [BUSY, SMALL, AWAKE]


async def test_the_rhythm_is_of_the_window_alone_and_of_the_units_asked_for(stored: Database) -> None:
    every = {row["code"]: row for row in await ask(stored, RHYTHM)}
    assert every[BUSY] == {"code": BUSY, "days": (1 << 29) - 1, "accepted": 28 * 9}
    assert every[SMALL]["accepted"] == 28
    assert (every[OLD]["days"], every[OLD]["accepted"]) == (1, 0)
    assert [row["code"] for row in await ask(stored, RHYTHM, units=f"{SMALL},{OLD}")] == [OLD, SMALL]
    assert [row["code"] for row in await ask(stored, RHYTHM, units=EVERYBODY, only="H17")] == [OLD]


async def test_only_quiet_units_are_asked_about_and_a_crowd_by_one_word() -> None:
    rows = [
        {"code": f"H18.{n}", "first_day": "2026-01-05", "last_time": LAST, "complete": TODAY}
        for n in range(400)
    ]
    fresh = Pipe(state="fresh", why="in_time", complete_to=TODAY, heard=3, expected=3)
    assert quiet(activities(rows), fresh, Calendar.shipped()) == EVERYBODY
    assert quiet(activities(rows[:2]), fresh, Calendar.shipped()) == "H18.0,H18.1"
    awake = [{**row, "complete": LAST + DAY} for row in rows]
    assert quiet(activities(awake), fresh, Calendar.shipped()) == ""


async def test_a_batch_that_is_written_twice_is_heard_once(engine_url: str) -> None:
    async with connect(engine_url, f"fresh_{next(_names)}") as database:
        await migrate.migrate(database, LAST, lambda _line: None)
        await reference.save(database, LAST)
        store = CohortStore(database)
        early, late = (dossier(f"{BUSY}-260409-0001", LAST, at, LAST + at) for at in (1, 2))
        for row in (early, late, early, late, early):
            await store.save_dossiers([row])
        before = await ask(database, ACTIVITY)
        assert [row["last_time"] for row in before] == [LAST + 2]
        # A database that is older than the table is filled from its dossiers, as often as one likes.
        (heard,) = [one for one in migrate.migrations() if one.name == "heard"]
        for statement in ("TRUNCATE TABLE heard", *heard.statements(database.name)):
            await database.run(statement)
        assert await ask(database, ACTIVITY) == before


async def test_the_pipe_of_a_topic_that_was_made_anew_is_unknown_until_each_partition_is_heard_of(
    engine_url: str,
) -> None:
    async with connect(engine_url, f"fresh_{next(_names)}") as database:
        await migrate.migrate(database, LAST, lambda _line: None)
        store = CohortStore(database)

        async def state() -> tuple[str, str]:
            (row,) = await ask(database, FRESHNESS)
            through = pipe_of(row, canary_seconds=10, now=TODAY)
            return through.state, through.why

        async def reached(generation: int, *partitions: int) -> None:
            await store.save_progress(
                [Reached(part, version(generation, 9, 0), TODAY, TODAY) for part in partitions]
            )

        assert await state() == ("unknown", "nothing")
        await generations.register(database, Source("cluster", "dossiers", "id", 2), LAST)
        await reached(1, 0)
        assert await state() == ("unknown", "partly")
        await reached(1, 1)
        assert await state() == ("fresh", "in_time")
        await generations.register(database, Source("cluster", "dossiers", "another", 2), LAST)
        assert await state() == ("unknown", "nothing")
        await reached(2, 0)
        assert await state() == ("unknown", "partly")


async def test_the_delay_is_measured_by_canaries_and_one_that_clocks_make_negative_is_not_known(
    engine_url: str,
) -> None:
    async with connect(engine_url, f"fresh_{next(_names)}") as database:
        await migrate.migrate(database, LAST, lambda _line: None)
        store = CohortStore(database)
        now = int(await database.value("SELECT toUnixTimestamp64Milli(now64(3))"))
        await store.save_progress([Reached(part, version(1, 9, 0), LAST, LAST) for part in range(4)])
        (row,) = await ask(database, FRESHNESS)
        assert (row["delay"], row["slowest"], row["lag"]) == (None, None, None)
        sent = (now - 2_000, now - 3_000, now - 60_000, now + 600_000)
        await store.save_canaries([Canary(part, version(1, 9, 0), at) for part, at in enumerate(sent)])
        (row,) = await ask(database, FRESHNESS)
        assert 2_000 <= row["delay"] < 60_000 <= row["slowest"] < 120_000
        assert pipe_of(row, canary_seconds=10, now=now // 1000).delay == row["delay"]
        assert pipe_of(row, canary_seconds=10, now=now // 1000 + 3600).delay is None
