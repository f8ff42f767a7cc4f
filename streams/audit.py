"""The monitor checks itself: a worker holds the tallies of its own cohorts against their dossiers, for ever.

Recently written cohorts come first, then those that were unchecked for longest. A cohort whose newest dossier
is not yet covered by its partition's progress is in flight and is skipped. A difference is read a second time
before it counts; then the owner repairs it by loading the cohort and writing its tallies anew, which it does
between two micro-batches and only while the partition is still its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

import structlog
from aiokafka.partitioner import murmur2

from rates.cohort import CohortKey
from rates.effects import Checked, Compared, Reached
from rates.failures import Retry
from streams.batches import Folder
from streams.intake import App

log = structlog.get_logger(__name__)

_COHORTS: Final = 200
"""So many cohorts are read at once."""
_REST: Final = 30
"""How many times as long as a reading took the audit rests after it, a second at least."""
_IDLE_SECONDS: Final = 10.0
"""How long it rests when everything was checked."""


class AuditStore(Protocol):
    """Where tallies and dossiers are held against each other. Each call raises `Retry` or `Fatal`."""

    async def cohorts(self) -> Sequence[tuple[CohortKey, int]]:
        """Every cohort, longest unchecked first, and how many dossiers it has."""

    async def known(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Checked]:
        """What earlier audits found of these cohorts; partitions change hands, so it is asked each time."""

    async def compare(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Compared]: ...

    async def save_audits(self, rows: Sequence[Checked], now: int) -> None: ...

    async def progress(self) -> Mapping[int, Reached]: ...


def partition_of(unit: str, partitions: int) -> int:
    """Where Kafka's clients put a unit's messages (their default partitioner)."""
    return int(murmur2(unit.encode()) & 0x7FFFFFFF) % partitions


def in_flight(compared: Compared, reached: Reached | None) -> bool:
    """Whether a dossier is stored that a batch has not finished with: its tallies may follow yet."""
    newest = compared.newest_dossier
    return newest > compared.newest_tally and (reached is None or newest > reached.version)


class Auditor:
    """Audits the cohorts of the partitions that its app reads at the moment."""

    def __init__(
        self, app: App, folder: Folder, store: AuditStore, partitions: int, now: Callable[[], int]
    ) -> None:
        self._app = app
        self._folder = folder
        self._store = store
        self._partitions = partitions
        self._now = now

    async def run(self) -> None:
        """Audit until the app stops."""
        loop = asyncio.get_running_loop()
        while not self._app.should_stop:
            try:
                async for keys in self._due():
                    began = loop.time()
                    await self.check(keys)
                    await self._app.sleep(max(1.0, _REST * (loop.time() - began)))
            except Retry as away:
                log.debug("the audit waits", reason=str(away))
            await self._app.sleep(_IDLE_SECONDS)

    async def check(self, keys: Sequence[CohortKey]) -> None:
        """Check some cohorts, repair what differs, and keep what was found."""
        rows: list[Checked] = []
        reached = await self._store.progress()
        compared = await self._store.compare(keys)
        suspects = [
            key for key, one in compared.items() if one.differences and self._settled(key, one, reached)
        ]
        wrong: Mapping[CohortKey, Compared] = {}
        if suspects:
            await self._app.sleep(1.0)
            reached = await self._store.progress()
            again = await self._store.compare(suspects)
            wrong = {
                key: one for key, one in again.items() if one.differences and self._settled(key, one, reached)
            }
        before = await self._store.known(keys)
        for key, one in compared.items():
            known = before.get(key, Checked(key))
            if key in wrong:
                rows.append(await self._repaired(known, wrong[key], reached))
            elif not one.differences:
                rows.append(known._replace(checked_at=self._now(), wrong=0))
            else:
                self._folder.counts["audits_skipped"] += 1
        self._folder.counts["audited"] += len(rows)
        if rows:
            await self._store.save_audits(rows, self._now())

    async def _repaired(self, known: Checked, found: Compared, reached: Mapping[int, Reached]) -> Checked:
        key, first = known.key, found.differences[0]
        cells = {difference.cell for difference in found.differences}
        now = self._now()
        self._folder.counts["disagreements"] += 1
        log.error(
            "tallies disagree with their dossiers",
            unit=key.unit,
            cohort=key.month,
            cells=len(cells),
            first=f"{first.tally} of {tuple(first.cell)}: stored {first.stored}, counted {first.counted}",
        )
        row = known._replace(
            checked_at=now, wrong=len(found.differences), found=known.found + 1, found_at=now
        )
        partition = partition_of(key.unit, self._partitions)
        async with self._app.folding:
            if self._app.rebalancing or partition not in self._app.buffer.durable:
                return row  # somebody else's now; found, and left for its owner
            position = reached[partition].version if partition in reached else 0
            await self._folder.repair(key, cells, max(position, found.newest_tally))
        after = await self._store.compare([key])
        left = len(after[key].differences) if key in after else 0
        log.warning("tallies written anew from their dossiers", unit=key.unit, cohort=key.month, wrong=left)
        return row._replace(wrong=left, repaired_at=now)

    def _settled(self, key: CohortKey, compared: Compared, reached: Mapping[int, Reached]) -> bool:
        return not in_flight(compared, reached.get(partition_of(key.unit, self._partitions)))

    async def _due(self) -> AsyncIterator[Sequence[CohortKey]]:
        """Slices of own cohorts, each once: what was written meanwhile comes before what waits longest."""
        own = self._app.buffer.durable
        listed = await self._store.cohorts()
        # One by one: what is own may change before a cohort's turn comes.
        waiting = (key for key, _ in listed if partition_of(key.unit, self._partitions) in own)
        while not self._app.should_stop:
            # Half and half: a stream that never rests must not starve what nobody writes to.
            keys = _taken(self._folder.written, _COHORTS // 2)
            keys += islice(waiting, _COHORTS - len(keys))
            if not keys:
                return
            yield keys


def _taken(written: dict[CohortKey, int], most: int) -> list[CohortKey]:
    keys = list(islice(written, most))
    for key in keys:
        del written[key]
    return keys


def slices(cohorts: Iterable[tuple[CohortKey, int]], dossiers: int = 200_000) -> Iterable[list[CohortKey]]:
    """All cohorts, so many at once as have about so many dossiers together."""
    some: list[CohortKey] = []
    held = 0
    for key, count in cohorts:
        some.append(key)
        held += count
        if held >= dossiers or len(some) >= 5_000:
            yield some
            some, held = [], 0
    if some:
        yield some
