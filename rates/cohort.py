"""A cohort: one unit's dossiers of one receipt month, and the tallies of the days they count on.

It is loaded as a whole, events are folded into it, what changed is written, and a clean one may be dropped.
Its vectors are always computed from its dossiers; of the stored tallies it only needs to know which cells
exist, so that a day which has emptied is written as zeros and not left standing.

A cell is `(system, basis, day)` packed into one integer. Rules 3 and 4 of correctness live here: an event
that was applied before still marks its whole cohort dirty, and a folded record marks every day it names.
"""

from binascii import crc32
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from rates.dossier import Dossier, Outcome, Procedures, fold, pack, unpack
from rates.tallies import lanes
from rates.wire import Event, Full, day_of, instant

UNDATED: Final = 32
"""Into how many cohorts a unit's dossiers without a readable date are spread."""


class CohortKey(NamedTuple):
    """`month` is yyyymm, or 0–31 for the unit's dossiers without a readable date (`0000-NN`)."""

    unit: str
    month: int


class Cell(NamedTuple):
    """Where tallies stand: indexes of `SYSTEMS` and `BASES`, and a day since 1970."""

    system: int
    basis: int
    day: int


def packed(system: int, basis: int, day: int) -> int:
    return system << 20 | basis << 16 | day


def unpacked(cell: int) -> Cell:
    return Cell(cell >> 20, cell >> 16 & 15, cell & 0xFFFF)


def cohort_of(unit: str, number: str) -> CohortKey:
    """The cohort of a dossier number: `H18.21-231002-0147` → ("H18.21", 202310)."""
    date, dash, _ = number[len(unit) + 1 :].partition("-")
    month = _month(date) if dash and len(date) == 6 else 0
    return CohortKey(unit, month or crc32(number.encode()) % UNDATED)


@lru_cache(maxsize=65_536)
def _month(date: str) -> int:
    return int("20" + date[:4]) if instant("20" + date) else 0


class Cohort:
    """The dossiers of a cohort (packed, by number) and its vectors (lanes, by packed cell)."""

    __slots__ = ("_all_dirty", "_dirty_cells", "_dirty_dossiers", "changes", "dossiers", "key", "vectors")

    def __init__(
        self, key: CohortKey, dossiers: Iterable[tuple[str, Dossier]] = (), cells: Iterable[int] = ()
    ) -> None:
        self.key = key
        self.dossiers: dict[str, bytes] = {}
        self.vectors: dict[int, int] = dict.fromkeys(cells, 0)
        self._dirty_dossiers: set[str] = set()
        self._dirty_cells: set[int] = set()
        self._all_dirty = False
        self.changes: list[tuple[str, Dossier | None, Dossier]] = []
        """Since it was clean: what became of which dossier, by each accepted event."""
        for number, dossier in dossiers:
            self.dossiers[number] = pack(dossier)
            self._add(dossier, 1)
        self.mark_clean()

    def fold(self, event: Event, *, version: int, learnt: int, procedures: Procedures) -> Outcome:
        """Take in one event; afterwards it knows what must be written for it."""
        if isinstance(event, Full):
            system = procedures.system(event.procedure, event.sector)
            for basis, time in enumerate((event.received, event.completed, event.due)):
                if time:
                    self._touch(packed(system, basis, day_of(time)))
        held = self.dossiers.get(event.number)
        stored = unpack(held) if held is not None else None
        if stored is not None and version <= stored.version:
            self._all_dirty = True
            return Outcome.APPLIED
        folded = fold(stored, event, version=version, learnt=learnt, procedures=procedures)
        if folded is None:
            return Outcome.LOST
        if stored is None or (stored.mask, stored.system, stored.days) != (
            folded.mask,
            folded.system,
            folded.days,
        ):
            if stored is not None:
                self._add(stored, -1)
            self._add(folded, 1)
        self.dossiers[event.number] = pack(folded)
        self._dirty_dossiers.add(event.number)
        self.changes.append((event.number, stored, folded))
        return Outcome.ACCEPTED

    @property
    def weight(self) -> int:
        """About how many cached dossiers' memory it takes: its own, its cells, and itself."""
        return len(self.dossiers) + len(self.vectors) + 4

    def changed_dossiers(self) -> Iterator[tuple[str, Dossier]]:
        for number in self._dirty_dossiers:
            yield number, unpack(self.dossiers[number])

    def changed_cells(self) -> Iterator[tuple[Cell, int]]:
        """The cells to write, with their vectors; an emptied one with zeros."""
        for cell in self.vectors if self._all_dirty else self._dirty_cells:
            yield unpacked(cell), self.vectors[cell]

    def mark_clean(self) -> None:
        """What changed is durable now."""
        self._dirty_dossiers.clear()
        self._dirty_cells.clear()
        self._all_dirty = False
        self.changes.clear()

    def _touch(self, cell: int) -> None:
        self.vectors.setdefault(cell, 0)
        self._dirty_cells.add(cell)

    def _add(self, dossier: Dossier, sign: int) -> None:
        vector = lanes(dossier.mask) * sign
        for basis, day in enumerate(dossier.days):
            if day:
                cell = packed(dossier.system, basis, day)
                self.vectors[cell] = self.vectors.get(cell, 0) + vector
                self._dirty_cells.add(cell)
