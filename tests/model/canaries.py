"""The rules of correctness, each switched off: worlds that the model must find wrong.

`seeds` are known to bite; `rate` says in how many of ten thousand worlds the canary does, so that a simulator
that grew weaker shows. `tests.model.seeds` measures both anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rates.cohort import Cell, Cohort
from rates.dossier import Outcome, Procedures
from rates.wire import Event
from tests.model.world import Variant


class AppliedMarksNothing(Cohort):
    """An event that was applied before leaves its cohort as clean as it was."""

    __slots__ = ()

    def fold(self, event: Event, *, version: int, learnt: int, procedures: Procedures) -> Outcome:
        marked = self._all_dirty, set(self._dirty_cells)
        outcome = super().fold(event, version=version, learnt=learnt, procedures=procedures)
        if outcome is Outcome.APPLIED:
            self._all_dirty, self._dirty_cells = marked
        return outcome


class AppliedNamesNothing(Cohort):
    """An event that was applied before marks the cells that exist, not the days it names."""

    __slots__ = ()

    def fold(self, event: Event, *, version: int, learnt: int, procedures: Procedures) -> Outcome:
        vectors, marked = set(self.vectors), set(self._dirty_cells)
        outcome = super().fold(event, version=version, learnt=learnt, procedures=procedures)
        if outcome is Outcome.APPLIED:
            for cell in set(self.vectors) - vectors:
                del self.vectors[cell]
            self._dirty_cells = marked
        return outcome


class NothingIsNamed(Cohort):
    """No record marks the days it names: only cells whose vector changed, or all of them."""

    __slots__ = ()

    def _touch(self, cell: int) -> None:
        del cell


class Increments(Cohort):
    """Gives what was added since the last save, to be added to what is stored."""

    __slots__ = ("_saved",)

    def mark_clean(self) -> None:
        super().mark_clean()
        self._saved = dict(self.vectors)

    def changed_cells(self) -> Iterator[tuple[Cell, int]]:
        for cell, vector in super().changed_cells():
            yield cell, vector - self._saved.get(cell.system << 20 | cell.basis << 16 | cell.day, 0)


@dataclass(frozen=True)
class Canary:
    """A rule that is switched off, seeds that show it, and how many of 10,000 worlds do."""

    name: str
    variant: Variant
    rate: int
    seeds: tuple[int, ...]


CANARIES = (
    Canary("an applied event marks nothing", Variant(cohort=AppliedMarksNothing), 590, (5, 17, 24, 72, 78)),
    Canary(
        "an applied event does not mark the days it names",
        Variant(cohort=AppliedNamesNothing),
        3,
        (732, 4885, 5992, 8760),
    ),
    Canary("no event marks the days it names", Variant(cohort=NothingIsNamed), 5, (732, 5536, 5992, 8760)),
    Canary(
        "stored cells are not part of a loaded cohort",
        Variant(loads_cells=False),
        80,
        (157, 235, 438, 807, 948),
    ),
    Canary(
        "offsets are acknowledged before their rows", Variant(acknowledges_first=True), 6500, (1, 4, 5, 9, 10)
    ),
    Canary(
        "the cache is kept across a rebalance",
        Variant(drops_on_rebalance=False),
        140,
        (2, 128, 138, 168, 248),
    ),
    Canary(
        "tallies carry the time of saving as version",
        Variant(versions_from_clock=True),
        200,
        (98, 231, 258, 346, 365),
    ),
    Canary("tallies carry one constant version", Variant(constant_versions=True), 540, (30, 54, 58, 62, 67)),
    Canary(
        "tallies are saved as increments",
        Variant(cohort=Increments, increments=True),
        1900,
        (5, 14, 17, 22, 24),
    ),
)
