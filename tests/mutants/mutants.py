"""The rules of correctness, each taken out of the project's own code, and the tests that notice.

The table is the documentation: what is broken, where, by which change of one line, and the tests each of
which fails for it. `test_mutants.py` makes the change in a copy and runs them.
"""

from typing import Final, NamedTuple

COHORT, DOSSIER = "rates/cohort.py", "rates/dossier.py"
BATCHES, APP = "streams/batches.py", "streams/app.py"

_MODEL = "tests/model/test_model.py::test_the_seeds_of_the_canaries_find_nothing_where_every_rule_holds"
_UNIT = "tests/unit/test_"
_APPLIED = (
    f"{_UNIT}cohort.py::test_an_event_applied_before_has_the_whole_cohort_written_again_and_changes_nothing"
)


class Mutant(NamedTuple):
    """One change: in `module`, `old` (which must stand there once) becomes `new`."""

    name: str
    module: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS: Final = (
    Mutant(
        "acknowledge before write",
        APP,
        "offsets = await folder.take(batch.messages)",
        "await app.consumer.acknowledge({TP(topic, m.partition): m.offset + 1 for m in batch.messages}); "
        "offsets = await folder.take(batch.messages)",
        (f"{_UNIT}acknowledging.py::test_what_could_not_be_written_is_not_acknowledged",),
    ),
    Mutant(
        "progress is told before its rows are written",
        BATCHES,
        "        # The order of effects. Each step is durable before the next begins.\n",
        "        await self._store.save_progress(list(piece.reached.values()))\n",
        (f"{_UNIT}batches.py::test_what_cannot_be_saved_is_raised_and_nothing_after_it_is_written",),
    ),
    Mutant(
        "tallies from increments",
        COHORT,
        "        self._dirty_cells.clear()\n",
        "        self._dirty_cells.clear()\n        self.vectors = dict.fromkeys(self.vectors, 0)\n",
        (
            f"{_MODEL}[tallies are saved as increments]",
            f"{_UNIT}cohort.py::test_vectors_are_computed_from_dossiers_on_load",
        ),
    ),
    Mutant(
        "no zeroed days: an emptied one is not written",
        COHORT,
        "            yield unpacked(cell), self.vectors[cell]",
        "            if self.vectors[cell]: yield unpacked(cell), self.vectors[cell]",
        (f"{_UNIT}cohort.py::test_a_dossier_that_changes_its_day_leaves_the_old_day_as_zeros",),
    ),
    Mutant(
        "no zeroed days: stored ones are not part of a loaded cohort",
        COHORT,
        "dict.fromkeys(cells, 0)",
        "{}",
        (
            f"{_MODEL}[stored cells are not part of a loaded cohort]",
            f"{_UNIT}cohort.py::test_a_loaded_cohort_is_clean_and_knows_the_cells_that_are_stored",
        ),
    ),
    Mutant(
        "own day left out",
        COHORT,
        "self._touch(packed(system, basis, day_of(time)))",
        "pass",
        (
            f"{_MODEL}[no event marks the days it names]",
            f"{_UNIT}cohort.py::test_a_record_writes_every_day_it_names_even_as_zeros",
        ),
    ),
    Mutant(
        "rule 3 left out: an applied event marks nothing",
        COHORT,
        "        if isinstance(event, Full):\n            system =",
        "        if (seen := self.dossiers.get(event.number)) and version <= unpack(seen).version:\n"
        "            return Outcome.APPLIED\n"
        "        if isinstance(event, Full):\n            system =",
        (f"{_MODEL}[an applied event marks nothing]", _APPLIED),
    ),
    Mutant(
        "rule 3 left out: an applied event marks only the days it names",
        COHORT,
        "            self._all_dirty = True\n            return Outcome.APPLIED",
        "            return Outcome.APPLIED",
        (_APPLIED,),
    ),
    Mutant(
        "version from a clock",
        BATCHES,
        "flushed = piece.reached[partition].version",
        "flushed = __import__('time').monotonic_ns()",
        (f"{_MODEL}[tallies carry the time of saving as version]",),
    ),
    Mutant(
        "late event applied: an older record",
        DOSSIER,
        "if newer < (stored.record_time, _STAGE[stored.record_status]):",
        "if False:",
        (f"{_UNIT}dossier.py::test_what_loses_changes_nothing",),
    ),
    Mutant(
        "late event applied: an older progress row",
        DOSSIER,
        "if (event.status_time, event.status) <= (stored.progress_time, stored.progress_status):",
        "if False:",
        (f"{_UNIT}dossier.py::test_what_loses_changes_nothing",),
    ),
    Mutant(
        "late event applied: one that was applied before",
        COHORT,
        "version <= stored.version",
        "version == stored.version",
        (_APPLIED,),
    ),
    Mutant(
        "cache kept across a rebalance: the worker does not drop it",
        APP,
        "            folder.drop()\n",
        "            pass\n",
        (f"{_UNIT}acknowledging.py::test_after_a_rebalance_a_worker_counts_what_another_wrote_meanwhile",),
    ),
    Mutant(
        "cache kept across a rebalance: dropping forgets nothing",
        BATCHES,
        "        self._cohorts.clear()\n",
        "",
        (f"{_UNIT}acknowledging.py::test_after_a_rebalance_a_worker_counts_what_another_wrote_meanwhile",),
    ),
)
