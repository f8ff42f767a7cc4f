"""The rules of correctness, each switched off: worlds that the model must find wrong.

`seeds` are known to bite; `rate` says in about how many of ten thousand worlds the canary does, so that a
simulator that grew weaker shows. `tests.model.seeds` measures both anew.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rates.cohort import Cell, CohortKey
from rates.effects import Stored
from streams.events import Ints
from streams.ledger import Bools, Changes, Ledger, Records, Sought
from tests.model.world import Variant

NOWHERE = np.zeros(0, np.int64)


class AppliedNamesNothing(Ledger):
    """An event that was applied before marks the cells that exist, not the days it names."""

    def _own(self, keys: Ints, system: Ints, days: Sequence[Ints], applied: Bools) -> Ints:
        return super()._own(keys, system, [day * ~applied for day in days], applied)


class AppliedMarksNothing(AppliedNamesNothing):
    """An event that was applied before leaves its cohort as clean as it was."""

    def _whole(self, cohorts: Ints) -> Ints:
        return NOWHERE


class NothingIsNamed(Ledger):
    """No record marks the days it names: only cells whose counts changed, or all of them."""

    def _own(self, keys: Ints, system: Ints, days: Sequence[Ints], applied: Bools) -> Ints:
        return NOWHERE

    def _named(self, rows: Records) -> Ints:
        return NOWHERE


class Increments(Ledger):
    """Gives what was added since the last save, to be added to what is stored."""

    _saved: dict[tuple[CohortKey, Cell], int]

    def clear(self) -> None:
        super().clear()
        self._saved = {}

    def load(self, keys: Collection[CohortKey], stored: Stored) -> int:
        found = super().load(keys, stored)
        self._saved |= {(key, cell): vector for key in keys for cell, vector in self.cells(key).items()}
        return found

    def fold(self, sought: Sought, flushed: Mapping[int, int]) -> Changes:
        changes = super().fold(sought, flushed)
        rows = list(changes.tallies)
        added = [row._replace(vector=row.vector - self._saved.get((row.key, row.cell), 0)) for row in rows]
        self._saved |= {(row.key, row.cell): row.vector for row in rows}
        return changes._replace(tallies=added)


@dataclass(frozen=True)
class Canary:
    """A rule that is switched off, seeds that show it, and how many of 10,000 worlds do."""

    name: str
    variant: Variant
    rate: int
    seeds: tuple[int, ...]


CANARIES = (
    Canary("an applied event marks nothing", Variant(ledger=AppliedMarksNothing), 500, (5, 24, 72, 80, 129)),
    Canary(
        "an applied event does not mark the days it names",
        Variant(ledger=AppliedNamesNothing),
        3,
        (2202, 2308, 4509),
    ),
    Canary("no event marks the days it names", Variant(ledger=NothingIsNamed), 3, (2202, 2308, 4509)),
    Canary(
        "stored cells are not part of a loaded cohort",
        Variant(loads_cells=False),
        83,
        (80, 130, 141, 181, 483),
    ),
    Canary(
        "offsets are acknowledged before their rows", Variant(acknowledges_first=True), 7850, (1, 2, 4, 5, 9)
    ),
    Canary(
        "the cache is kept across a rebalance",
        Variant(drops_on_rebalance=False),
        133,
        (75, 138, 248, 435, 449),
    ),
    Canary(
        "tallies carry the time of saving as version",
        Variant(versions_from_clock=True),
        216,
        (100, 107, 216, 226, 233),
    ),
    Canary(
        "tallies carry one constant version", Variant(constant_versions=True), 500, (4, 100, 105, 107, 130)
    ),
    Canary(
        "tallies are saved as increments",
        Variant(ledger=Increments, increments=True),
        1883,
        (5, 9, 18, 22, 24),
    ),
    Canary(
        "what changed is told after the dossiers",
        Variant(history_interrupted=True, history_last=True),
        1536,
        (5, 24, 30, 53, 58),
    ),
)
