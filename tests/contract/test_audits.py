"""An audit on the real engine: it finds what differs, lets pass what is in flight, and its repair holds."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rates.cohort import CohortKey
from rates.effects import Compared, Reached, TallyRow, version
from sinks.audits import Audits
from sinks.client import Database, connect
from sinks.cohorts import CohortStore
from sinks.migrate import migrate
from streams.audit import Auditor, in_flight, partition_of
from streams.batches import Folder
from streams.events import Message
from tests.support.calls import call, full
from tests.support.register import SmallRegister

KEY = CohortKey("H18.21", 202310)
PARTITIONS = 4
MINE = partition_of(KEY.unit, PARTITIONS)
NOON = 1_696_222_800


class App(SimpleNamespace):
    """What an auditor needs of a worker: what it owns, its lock, its sleep."""

    def __init__(self, *owned: int) -> None:
        super().__init__(
            should_stop=False,
            rebalancing=False,
            folding=asyncio.Lock(),
            buffer=SimpleNamespace(durable=dict.fromkeys(owned, 0)),
        )

    async def sleep(self, _: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture
async def database(engine_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    name = f"audits_{abs(hash(request.node.name)) % 10**9}"
    async with connect(engine_url, name) as connected:
        await migrate(connected, NOON, lambda _: None)
        yield connected


async def folded(database: Database) -> Folder:
    folder = Folder(CohortStore(database), SmallRegister(), generation=1, millis=lambda: NOON * 1000)
    await folder.take(
        [
            Message(
                MINE,
                offset,
                NOON * 1000,
                KEY.unit.encode(),
                call([full(MaHoSo=f"{KEY.unit}-231002-{offset:04}", NgayKetThucXuLy="20231002090000")]),
            )
            for offset in range(12)
        ]
    )
    return folder


async def plant(database: Database, change: str, version: str = "version") -> None:
    """A wrong row for each cell of the cohort, as a bug would write it."""
    await database.run(
        f"INSERT INTO tallies SELECT * REPLACE ({change} AS received, {version} AS version) "
        "FROM tallies FINAL WHERE basis = 0"
    )


def auditor(database: Database, folder: Folder, app: Any, store: Any = None) -> Auditor:
    return Auditor(app, folder, store or Audits(database), PARTITIONS, lambda: NOON)


async def kept(database: Database) -> list[dict[str, Any]]:
    return await database.rows("SELECT wrong, found, repaired_at > 0 AS repaired FROM audits FINAL")


async def test_what_was_folded_agrees(database: Database) -> None:
    folder = await folded(database)
    compared = await Audits(database).compare([KEY])
    assert compared[KEY].dossiers == 12
    assert compared[KEY].differences == []
    await auditor(database, folder, App(MINE)).check([KEY])
    assert await kept(database) == [{"wrong": 0, "found": 0, "repaired": 0}]
    assert folder.counts["audited"] == 1


@pytest.mark.parametrize("version", ["version", "version + 1", "version + 99999999"])
async def test_a_wrong_tally_is_found_reported_and_repaired(database: Database, version: str) -> None:
    folder = await folded(database)
    await plant(database, "received + 3", version)
    await auditor(database, folder, App(MINE)).check([KEY])
    assert folder.counts["disagreements"] == 1
    assert await kept(database) == [{"wrong": 0, "found": 1, "repaired": 1}]
    assert (await Audits(database).compare([KEY]))[KEY].differences == []
    assert await database.value("SELECT sum(received) FROM tallies FINAL WHERE basis = 0") == 12


async def test_what_one_worker_found_is_not_forgotten_by_the_next(database: Database) -> None:
    folder = await folded(database)
    later = auditor(database, folder, App(MINE))
    await plant(database, "received + 3")
    await auditor(database, folder, App(MINE)).check([KEY])
    await later.check([KEY])
    assert await kept(database) == [{"wrong": 0, "found": 1, "repaired": 1}]


async def test_a_tally_without_any_dossier_is_a_difference(database: Database) -> None:
    await folded(database)
    await database.run(
        "INSERT INTO tallies SELECT * REPLACE (toDate('2023-10-09') AS day) "
        "FROM tallies FINAL WHERE basis = 0"
    )
    (difference, *_) = (await Audits(database).compare([KEY]))[KEY].differences
    assert (difference.stored, difference.counted) == (12, 0)


async def test_a_missing_tally_row_is_a_difference(database: Database) -> None:
    await folded(database)
    await database.run("DELETE FROM tallies WHERE basis = 0")
    assert (await Audits(database).compare([KEY]))[KEY].differences


async def test_somebody_elses_cohort_is_reported_and_left_to_its_owner(database: Database) -> None:
    folder = await folded(database)
    await plant(database, "received + 3")
    await auditor(database, folder, App((MINE + 1) % PARTITIONS)).check([KEY])
    assert await kept(database) == [{"wrong": 1, "found": 1, "repaired": 0}]
    assert (await Audits(database).compare([KEY]))[KEY].differences


async def test_a_cohort_in_flight_is_skipped_until_its_batch_is_through(database: Database) -> None:
    folder = await folded(database)
    # A worker that died between dossiers and tallies: its offsets are not acknowledged.
    await database.run(
        "INSERT INTO dossiers SELECT * REPLACE "
        "('H18.21-231002-9999' AS number, version + 4096 * 99 AS version) FROM dossiers FINAL LIMIT 1"
    )
    await auditor(database, folder, App(MINE)).check([KEY])
    assert await kept(database) == []
    assert folder.counts["audits_skipped"] == 1
    assert folder.counts["disagreements"] == 0


def test_a_dossier_that_counts_nowhere_does_not_keep_its_cohort_in_flight_for_ever() -> None:
    compared = Compared(dossiers=2, newest_dossier=900, newest_tally=500, differences=[])
    assert in_flight(compared, Reached(0, 800, 0, 0))
    assert in_flight(compared, None)
    assert not in_flight(compared, Reached(0, 901, 0, 0))


class Passing(Audits):
    """A difference that the second reading no longer shows: a flush came between."""

    async def compare(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Compared]:
        found = dict(await super().compare(keys))
        await self._database.run(
            "INSERT INTO tallies SELECT * REPLACE (12 AS received) FROM tallies FINAL WHERE basis = 0"
        )
        return found


async def test_a_difference_that_is_gone_at_the_second_reading_does_not_count(database: Database) -> None:
    folder = await folded(database)
    await plant(database, "received + 3")
    await auditor(database, folder, App(MINE), Passing(database)).check([KEY])
    assert folder.counts["disagreements"] == 0


class Busy(CohortStore):
    """Stops between dossiers and tallies until it is told to go on."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.half, self.go = asyncio.Event(), asyncio.Event()

    async def save_tallies(self, rows: Sequence[TallyRow]) -> None:
        self.half.set()
        await self.go.wait()
        await super().save_tallies(rows)


class Crossed(Audits):
    """Each reading of differences falls between a batch's dossiers and its tallies, which come after."""

    def __init__(self, database: Database) -> None:
        super().__init__(SimpleNamespace(rows=self.rows))  # type: ignore[arg-type]  # all that is asked
        self._real, self._offset = database, 50

    async def rows(self, query: str) -> list[dict[str, Any]]:
        if "HAVING" not in query:
            return await self._real.rows(query)
        store = Busy(self._real)
        folder = Folder(store, SmallRegister(), generation=1, millis=lambda: NOON * 1000)
        number = f"{KEY.unit}-231002-{self._offset:04}"
        message = Message(MINE, self._offset, NOON * 1000, KEY.unit.encode(), call([full(MaHoSo=number)]))
        self._offset += 1
        batch = asyncio.create_task(folder.take([message]))
        await store.half.wait()
        found = await self._real.rows(query)
        store.go.set()
        await batch
        return found

    async def progress(self) -> Mapping[int, Reached]:
        return await CohortStore(self._real).progress()


async def test_a_stream_of_batches_is_no_difference_however_readings_fall(database: Database) -> None:
    folder = await folded(database)
    await CohortStore(database).save_progress([Reached(MINE, version(1, 49, 0), NOON, NOON)])
    await auditor(database, folder, App(MINE), Crossed(database)).check([KEY])
    assert folder.counts["disagreements"] == 0
    assert folder.counts["audits_skipped"] == 1


class Listed(Audits):
    """Tells which cohorts were looked at, in their order, and ends the app after so many."""

    def __init__(self, database: Database, app: App, most: int) -> None:
        super().__init__(database)
        self.app, self.most, self.asked = app, most, list[CohortKey]()

    async def cohorts(self) -> Sequence[tuple[CohortKey, int]]:
        return [(CohortKey(f"H18.{n}", 202310), 1) for n in range(10, 30)]

    async def compare(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Compared]:
        self.asked += keys
        self.app.should_stop = len(self.asked) >= self.most
        return {}


async def test_what_was_written_comes_first_then_what_is_unchecked_for_longest(database: Database) -> None:
    app = App(*range(PARTITIONS))
    store = Listed(database, app, 21)
    folder = await folded(database)
    await auditor(database, folder, app, store).run()
    assert store.asked[0] == KEY
    assert [key.unit for key in store.asked[1:]] == [f"H18.{n}" for n in range(10, 30)]


async def test_only_cohorts_of_own_partitions_are_audited(database: Database) -> None:
    app = App(MINE)
    store = Listed(database, app, 1)
    folder = await folded(database)
    folder.written.clear()
    await auditor(database, folder, app, store).run()
    assert store.asked
    assert {partition_of(key.unit, PARTITIONS) for key in store.asked} == {MINE}
