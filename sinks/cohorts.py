"""Load and save cohorts in ClickHouse: the durable side of `streams.batches.Store`.

One range query loads every cohort that a micro-batch misses, its dossiers and the cells that exist; saves are
columnar inserts. A save may be repeated: rows are full state, and of a key the highest version stands.
"""

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final

from rates.cohort import Cell, CohortKey
from rates.dossier import Dossier
from rates.effects import (
    ByColumn,
    Canary,
    ChangeRow,
    Columns,
    DeadLetter,
    DossierRow,
    Reached,
    Stored,
    TallyRow,
)
from rates.tallies import BASES, TALLIES, counts
from sinks.client import Database, ints, millis, strings, texts, uints

if TYPE_CHECKING:
    import pyarrow as pa


class CohortStore:
    """The store of one database."""

    def __init__(self, database: Database, seconds: MutableMapping[str, float] | None = None) -> None:
        """`seconds`: to what is there under "encode", the time that columns take to become Arrow is added."""
        self._database = database
        self._seconds = seconds if seconds is not None else {}

    async def cohorts(self) -> Collection[CohortKey]:
        table = await self._database.arrow("SELECT DISTINCT unit, cohort FROM dossiers")
        return list(map(CohortKey, *(column.to_pylist() for column in table.columns)))

    async def sizes(self) -> list[tuple[CohortKey, int]]:
        """Every cohort with about how many dossiers it has, those of a month together."""
        table = await self._database.arrow(
            "SELECT unit, cohort, count() AS size FROM dossiers GROUP BY unit, cohort ORDER BY cohort, unit"
        )
        units, months, sizes = (column.to_pylist() for column in table.columns)
        return list(zip(map(CohortKey, units, months), sizes, strict=True))

    async def load(self, keys: Collection[CohortKey]) -> Stored:
        wanted = among(keys)
        dossiers = await self._database.arrow(
            "SELECT unit, cohort, number, version, toUInt32(learnt) AS learnt, mask, system, record_status, "
            "toUInt32(record_time) AS record_time, progress_status, "
            "toUInt32(progress_time) AS progress_time, toUInt32(received) AS received, "
            "toUInt32(completed) AS completed, toUInt32(due) AS due, facts, "
            f"procedure, sector FROM dossiers FINAL WHERE {wanted} {_PARTITIONED}"
        )
        cells = await self._database.arrow(
            f"SELECT DISTINCT unit, cohort, system, basis, toUInt16(day) AS day FROM tallies WHERE {wanted}"
        )
        return Stored(*(_columns(table) for table in (dossiers, cells)))

    async def save_history(self, rows: Sequence[ChangeRow]) -> None:
        columns = rows.columns if isinstance(rows, ByColumn) else _history(rows)
        await self._database.insert("history", self._encoded(columns, _HISTORY))

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        columns = rows.columns if isinstance(rows, ByColumn) else _dossiers(rows)
        await self._database.insert("dossiers", self._encoded(columns, _DOSSIERS))

    async def save_tallies(self, rows: Sequence[TallyRow]) -> None:
        columns = rows.columns if isinstance(rows, ByColumn) else _tallies(rows)
        await self._database.insert("tallies", self._encoded(columns, _TALLIES))

    def _encoded(self, columns: Columns, bits: Mapping[str, int]) -> dict[str, "pa.Array"]:
        began = perf_counter()
        found = {
            name: uints(columns[name], size) if size else strings(columns[name])
            for name, size in bits.items()
        }
        self._seconds["encode"] = self._seconds.get("encode", 0.0) + perf_counter() - began
        return found

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


_DOSSIERS: Final = {
    **dict.fromkeys(("unit", "number", "procedure", "sector"), 0),
    **dict.fromkeys(("system", "status", "record_status", "progress_status", "facts"), 8),
    **dict.fromkeys(("received_day", "completed_day", "due_day"), 16),
    **dict.fromkeys(
        ("cohort", "learnt", "record_time", "progress_time", "received", "completed", "due", "mask"), 32
    ),
    "version": 64,
}
"""The bits of each column; 0 for a text."""
_DERIVED: Final = ("status", *(f"{basis}_day" for basis in BASES))
"""Of a change the engine finds them itself."""
_HISTORY: Final = {
    **{name: bits for name, bits in _DOSSIERS.items() if name not in _DERIVED},
    **dict.fromkeys((f"was_{basis}_day" for basis in BASES), 16),
    "was_mask": 32,
    "was_system": 8,
}
_BITS: Final = _DOSSIERS | {"basis": 8, "day": 16}
_TALLIES: Final = {
    "unit": 0,
    "cohort": 32,
    "system": 8,
    "basis": 8,
    "day": 16,
    "version": 64,
    **dict.fromkeys(TALLIES, 32),
}


def _dossiers(rows: Sequence[DossierRow]) -> Columns:
    states = [row.dossier for row in rows]
    return {
        "unit": [row.key.unit for row in rows],
        "cohort": [row.key.month for row in rows],
        "number": [row.number for row in rows],
        "status": [state.status for state in states],
        **{f"{basis}_day": [state.days[at] for state in states] for at, basis in enumerate(BASES)},
        **{name: [getattr(state, name) for state in states] for name in Dossier.__struct_fields__},
    }


def _history(rows: Sequence[ChangeRow]) -> Columns:
    return {
        **_dossiers([DossierRow(row.key, row.number, row.dossier) for row in rows]),
        **{f"was_{basis}_day": [row.was.days[at] for row in rows] for at, basis in enumerate(BASES)},
        "was_mask": [row.was.mask for row in rows],
        "was_system": [row.was.system for row in rows],
    }


def _tallies(rows: Sequence[TallyRow]) -> Columns:
    lanes = zip(*(counts(row.vector) for row in rows), strict=True)
    return {
        "unit": [row.key.unit for row in rows],
        "cohort": [row.key.month for row in rows],
        **{name: [getattr(row.cell, name) for row in rows] for name in Cell._fields},
        "version": [row.version for row in rows],
        **dict(zip(TALLIES, lanes, strict=True)),
    }


def _columns(table: "pa.Table") -> Columns:
    columns = {name: table.column(name) for name in table.column_names}
    return {
        name: ints(column) if _BITS[name] else texts(column) if name == "number" else column.to_pylist()
        for name, column in columns.items()
    }


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
