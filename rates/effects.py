"""The rows that folding leads to: what a store is asked to make durable, and nothing about how.

Every row carries the version it is full state as of, so a store may receive it any number of times and in any
order: the highest version of a key stands. `version = generation << 52 | offset << 12 | index`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar, overload

from rates.cohort import Cell, CohortKey
from rates.dossier import Dossier
from rates.tallies import BASES, LANE_BITS, TALLIES
from rates.wire import Rejection

R = TypeVar("R")
Columns: TypeAlias = Mapping[str, Any]
"""Rows by column: equally long sequences, by the names of their table's columns."""

MAX_GENERATION: Final = (1 << 12) - 1


def version(generation: int, offset: int, index: int) -> int:
    """The position of a record as one number: 12 bits of generation, 40 of offset, 12 of index."""
    return generation << 52 | offset << 12 | index


def generation_of(position: int) -> int:
    """The generation of a version."""
    return position >> 52


def offset_of(position: int) -> int:
    """The offset of the message that a version stands for."""
    return position >> 12 & (1 << 40) - 1


def due(reached: Mapping[int, int], generation: int) -> dict[int, int]:
    """From which offset on each partition is not durable yet, by the versions of this generation."""
    return {
        partition: offset_of(position) + 1
        for partition, position in reached.items()
        if generation_of(position) == generation
    }


class DossierRow(NamedTuple):
    """The state of one dossier; keyed by (unit, month, number)."""

    key: CohortKey
    number: str
    dossier: Dossier


class Counted(NamedTuple):
    """How a dossier counts: its mask, its system, and its day on each basis, 0 where there is none."""

    mask: int
    system: int
    days: tuple[int, int, int]


NOWHERE: Final = Counted(0, 0, (0, 0, 0))
"""How a dossier counts of which nothing is known."""


def counted(dossier: Dossier | None) -> Counted:
    """How a dossier counts, None for one that is not known."""
    return Counted(dossier.mask, dossier.system, dossier.days) if dossier is not None else NOWHERE


class ChangeRow(NamedTuple):
    """What one accepted event made of a dossier, and how that had counted until then.

    Each is what it is by the log alone, wherever micro-batches began and ended, so one that is written again
    is the same row. Whatever counts is the sum of all changes: what they add less what they take away.
    """

    key: CohortKey
    number: str
    dossier: Dossier
    was: Counted


class TallyRow(NamedTuple):
    """The tallies of one cell of a cohort, as lanes; `version` is the position of the flush."""

    key: CohortKey
    cell: Cell
    version: int
    vector: int


class ByColumn(Sequence[R], Generic[R]):
    """Rows that are kept by column: a store takes the columns, and nobody makes an object of each row."""

    def __init__(self, columns: Columns, row: Callable[[Mapping[str, Any]], R]) -> None:
        self.columns = columns
        self._row = row

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @overload
    def __getitem__(self, at: int) -> R: ...
    @overload
    def __getitem__(self, at: slice) -> "ByColumn[R]": ...
    def __getitem__(self, at: int | slice) -> "R | ByColumn[R]":
        found = {name: column[at] for name, column in self.columns.items()}
        return ByColumn(found, self._row) if isinstance(at, slice) else self._row(found)


def dossier_row(fields: Mapping[str, Any]) -> DossierRow:
    """The row of a dossier's columns."""
    state: dict[str, Any] = {name: fields[name] for name in Dossier.__struct_fields__}
    state |= {name: int(value) for name, value in state.items() if not isinstance(value, str)}
    return DossierRow(CohortKey(fields["unit"], int(fields["cohort"])), fields["number"], Dossier(**state))


def change_row(fields: Mapping[str, Any]) -> ChangeRow:
    """The row of a change's columns."""
    received, completed, due = (int(fields[f"was_{basis}_day"]) for basis in BASES)
    was = Counted(int(fields["was_mask"]), int(fields["was_system"]), (received, completed, due))
    return ChangeRow(*dossier_row(fields), was)


def tally_row(fields: Mapping[str, Any]) -> TallyRow:
    """The row of a cell's columns."""
    key = CohortKey(fields["unit"], int(fields["cohort"]))
    cell = Cell(int(fields["system"]), int(fields["basis"]), int(fields["day"]))
    vector = sum(int(fields[name]) << LANE_BITS * lane for lane, name in enumerate(TALLIES))
    return TallyRow(key, cell, int(fields["version"]), vector)


class Texts(Sequence[str]):
    """A column of texts, kept as their bytes one after the other and where each ends (from 0 on)."""

    def __init__(self, data: Any, ends: Any) -> None:
        """`data`: a buffer of UTF-8; `ends`: one more integer than there are texts."""
        self.data = data
        self.ends = ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        encoded = [text.encode() for text in texts]
        return cls(b"".join(encoded), list(accumulate(map(len, encoded), initial=0)))

    def __len__(self) -> int:
        return len(self.ends) - 1

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> "Texts": ...
    def __getitem__(self, at: int | slice) -> "str | Texts":
        if isinstance(at, int):
            at = range(len(self))[at]
            return bytes(self.data[self.ends[at] : self.ends[at + 1]]).decode()
        first, last, _ = at.indices(len(self))
        return Texts(self.data, self.ends[first : max(first, last) + 1])


class Stored(NamedTuple):
    """Cohorts as they are stored, by column.

    Of `dossiers`: unit, cohort, number and the fields of `Dossier`; of `cells`: unit, cohort, system, basis
    and day of each one that exists.
    """

    dossiers: Columns
    cells: Columns


NOTHING: Final = Stored(
    dict.fromkeys(("unit", "cohort", "number", *Dossier.__struct_fields__), ()),
    dict.fromkeys(("unit", "cohort", *Cell._fields), ()),
)


class DeadLetter(NamedTuple):
    """A rejection and where it stands, keyed by (partition, version); `received_at` in seconds UTC."""

    version: int
    partition: int
    offset: int
    received_at: int
    rejection: Rejection


class Reached(NamedTuple):
    """How far a partition is durable. Times in seconds since 1970 UTC; `complete_to` never goes back."""

    partition: int
    version: int
    received_at: int
    complete_to: int


class Canary(NamedTuple):
    """A message that only tells how long the way takes; `sent_at` in milliseconds since 1970 UTC."""

    partition: int
    version: int
    sent_at: int


class Difference(NamedTuple):
    """A cell of which one tally is not what its dossiers' masks add up to."""

    cell: Cell
    tally: str
    stored: int
    counted: int


class Compared(NamedTuple):
    """A cohort's tallies held against its dossiers; versions 0 where there is no row of the kind."""

    dossiers: int
    newest_dossier: int
    newest_tally: int
    differences: list[Difference]


class Checked(NamedTuple):
    """What audits know of a cohort. Times in seconds since 1970 UTC, 0 for never; `found` counts for ever."""

    key: CohortKey
    checked_at: int = 0
    wrong: int = 0
    found: int = 0
    found_at: int = 0
    repaired_at: int = 0


class Moment(NamedTuple):
    """How far data go, and how far they did when alerts were evaluated last; seconds since 1970 UTC, 0: none.

    `heard` of the `expected` partitions have brought something; `waiting`: messages that workers say are not
    durable yet. `fresh`: whether data were current when that was last looked at. `stamp`: while it is the
    same, so is everything that figures are made of.
    """

    complete_to: int
    heard: int
    expected: int
    waiting: int
    evaluated: int
    fresh: bool
    stamp: str
