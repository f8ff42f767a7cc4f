"""Load and save cohorts in ClickHouse: the durable side of `streams.batches.Store`.

One range query loads every cohort that a micro-batch misses, its dossiers and the cells that exist; saves are
columnar inserts. A save may be repeated: rows are full state, and of a key the highest version stands.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from rates.cohort import Cohort, CohortKey, packed
from rates.dossier import Dossier
from rates.effects import Canary, DeadLetter, DossierRow, Reached, TallyRow
from rates.tallies import TALLIES, counts
from sinks.client import Database, millis, strings, uints


class CohortStore:
    """The store of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Cohort]:
        wanted = among(keys)
        table = await self._database.arrow(
            "SELECT unit, cohort, number, version, toUInt32(learnt), mask, system, record_status, "
            "toUInt32(record_time), progress_status, toUInt32(progress_time), toUInt32(received), "
            "toUInt32(completed), toUInt32(due), facts, procedure, sector "
            f"FROM dossiers FINAL WHERE {wanted} {_PARTITIONED}"
        )
        dossiers: defaultdict[CohortKey, list[tuple[str, Dossier]]] = defaultdict(list)
        for unit, month, number, *state in zip(*(c.to_pylist() for c in table.columns), strict=True):
            dossiers[CohortKey(unit, month)].append((number, Dossier(*state)))
        table = await self._database.arrow(
            f"SELECT DISTINCT unit, cohort, system, basis, toUInt16(day) AS day FROM tallies WHERE {wanted}"
        )
        cells: defaultdict[CohortKey, list[int]] = defaultdict(list)
        for unit, month, *cell in zip(*(c.to_pylist() for c in table.columns), strict=True):
            cells[CohortKey(unit, month)].append(packed(*cell))
        return {key: Cohort(key, dossiers.get(key, ()), cells.get(key, ())) for key in keys}

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        states = [row.dossier for row in rows]
        days = [state.days for state in states]
        await self._database.insert(
            "dossiers",
            {
                "unit": strings([row.key.unit for row in rows]),
                "cohort": uints([row.key.month for row in rows], 32),
                "number": strings([row.number for row in rows]),
                "version": uints([state.version for state in states], 64),
                "learnt": uints([state.learnt for state in states], 32),
                "status": uints([state.status for state in states], 8),
                "record_status": uints([state.record_status for state in states], 8),
                "record_time": uints([state.record_time for state in states], 32),
                "progress_status": uints([state.progress_status for state in states], 8),
                "progress_time": uints([state.progress_time for state in states], 32),
                "received": uints([state.received for state in states], 32),
                "completed": uints([state.completed for state in states], 32),
                "due": uints([state.due for state in states], 32),
                "facts": uints([state.facts for state in states], 8),
                "procedure": strings([state.procedure for state in states]),
                "sector": strings([state.sector for state in states]),
                "system": uints([state.system for state in states], 8),
                "mask": uints([state.mask for state in states], 32),
                "received_day": uints([day[0] for day in days], 16),
                "completed_day": uints([day[1] for day in days], 16),
                "due_day": uints([day[2] for day in days], 16),
            },
        )

    async def save_tallies(self, rows: Sequence[TallyRow]) -> None:
        lanes = zip(*(counts(row.vector) for row in rows), strict=True)
        await self._database.insert(
            "tallies",
            {
                "unit": strings([row.key.unit for row in rows]),
                "cohort": uints([row.key.month for row in rows], 32),
                "system": uints([row.cell.system for row in rows], 8),
                "basis": uints([row.cell.basis for row in rows], 8),
                "day": uints([row.cell.day for row in rows], 16),
                "version": uints([row.version for row in rows], 64),
                **{name: uints(lane, 32) for name, lane in zip(TALLIES, lanes, strict=True)},
            },
        )

    async def save_dead_letters(self, rows: Sequence[DeadLetter]) -> None:
        await self._database.insert(
            "dead_letters",
            {
                "version": uints([row.version for row in rows], 64),
                "partition": uints([row.partition for row in rows], 16),
                "offset": uints([row.offset for row in rows], 64),
                "received_at": uints([row.received_at for row in rows], 32),
                "unit": strings([row.rejection.unit for row in rows]),
                "reason": strings([row.rejection.reason.value for row in rows]),
                "field": strings([row.rejection.field for row in rows]),
                "detail": strings([row.rejection.detail for row in rows]),
                "fields": strings([row.rejection.fields for row in rows]),
                "head": strings([row.rejection.head for row in rows]),
            },
        )

    async def save_progress(self, rows: Sequence[Reached]) -> None:
        await self._database.insert(
            "progress",
            {
                "partition": uints([row.partition for row in rows], 16),
                "version": uints([row.version for row in rows], 64),
                "received_at": uints([row.received_at for row in rows], 32),
                "complete_to": uints([row.complete_to for row in rows], 32),
            },
        )

    async def save_canaries(self, rows: Sequence[Canary]) -> None:
        # The engine adds `visible_at`: whoever reads progress could see these versions by then.
        await self._database.insert(
            "canaries",
            {
                "partition": uints([row.partition for row in rows], 16),
                "version": uints([row.version for row in rows], 64),
                "sent_at": millis([row.sent_at for row in rows]),
            },
        )

    async def progress(self) -> Mapping[int, Reached]:
        rows = await self._database.rows(
            "SELECT partition, version, toUInt32(received_at) AS received_at, "
            "toUInt32(complete_to) AS complete_to FROM progress FINAL"
        )
        return {row["partition"]: Reached(**row) for row in rows}


_PARTITIONED = "SETTINGS do_not_merge_across_partitions_select_final = 1"
"""A row and its replacement are always in the same partition, so no partition is merged with another."""


def among(keys: Collection[CohortKey]) -> str:
    """A condition for these cohorts. As two strings: literals of a thousand tuples cost more than the query.

    Units are of the portal's two forms (digits, dots, G or H), so they need no quoting.
    """
    units = ",".join(key.unit for key in keys)
    months = ",".join(str(key.month) for key in keys)
    return (
        "(unit, cohort) IN (SELECT pair.1, toUInt32(pair.2) FROM (SELECT arrayJoin(arrayZip("
        f"splitByChar(',', '{units}'), splitByChar(',', '{months}'))) AS pair))"
    )
