"""The rows that folding leads to: what a store is asked to make durable, and nothing about how.

Every row carries the version it is full state as of, so a store may receive it any number of times and in any
order: the highest version of a key stands. `version = generation << 52 | offset << 12 | index`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from rates.cohort import Cell, CohortKey
from rates.dossier import Dossier
from rates.wire import Rejection

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


class TallyRow(NamedTuple):
    """The tallies of one cell of a cohort, as lanes; `version` is the position of the flush."""

    key: CohortKey
    cell: Cell
    version: int
    vector: int


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
