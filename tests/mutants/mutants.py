"""The rules of correctness, each taken out of the project's own code, and the tests that notice.

The table is the documentation: what is broken, where, by which change of one line, and the tests each of
which fails for it. `test_mutants.py` makes the change in a copy and runs them.
"""

from typing import Final, NamedTuple

DOSSIER, LEDGER = "rates/dossier.py", "streams/ledger.py"
BATCHES, APP = "streams/batches.py", "streams/app.py"

_MODEL = "tests/model/test_model.py::test_the_seeds_of_the_canaries_find_nothing_where_every_rule_holds"
_UNIT = "tests/unit/test_"
_LEDGER = (
    "tests/property/test_ledger.py::"
    "test_a_piece_folded_at_once_leads_to_the_rows_that_its_events_lead_to_one_by_one"
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
        "offsets = await folder.begin(batch.messages,",
        "await app.consumer.acknowledge({TP(topic, m.partition): m.offset + 1 for m in batch.messages}); "
        "offsets = await folder.begin(batch.messages,",
        (f"{_UNIT}acknowledging.py::test_what_could_not_be_written_is_not_acknowledged",),
    ),
    Mutant(
        "acknowledge what is still being written",
        BATCHES,
        "        self._saving = piece, self._aside(self._save(piece))\n",
        "        self._saving = piece, self._aside(self._save(piece))\n"
        "        self._durable |= {at: offset_of(row.version) + 1 for at, row in piece.reached.items()}\n",
        (f"{_UNIT}batches.py::test_what_is_still_being_saved_may_not_be_acknowledged",),
    ),
    Mutant(
        "progress is told before its rows are written",
        BATCHES,
        "        # The order of effects. Each step is durable before the next begins.\n",
        "        await self._store.save_progress(self._complete(piece))\n",
        (f"{_UNIT}batches.py::test_what_cannot_be_saved_is_raised_and_nothing_after_it_is_written",),
    ),
    Mutant(
        "tallies from increments",
        LEDGER,
        '        counts = self._tally["counts"][at]\n',
        '        counts = self._tally["counts"][at]\n        self._tally["counts"][at] = 0\n',
        (f"{_MODEL}[tallies are saved as increments]", _LEDGER),
    ),
    Mutant(
        "no zeroed days: an emptied one is not written",
        LEDGER,
        "        accepted = record | row\n",
        '        touched = touched[self._tally["counts"][touched].any(axis=1)]\n'
        "        accepted = record | row\n",
        (_LEDGER,),
    ),
    Mutant(
        "no zeroed days: stored ones are not part of a loaded cohort",
        LEDGER,
        "        self._cells(np.unique(self._of(cells) << _CELL | packed))\n",
        "",
        (f"{_MODEL}[stored cells are not part of a loaded cohort]",),
    ),
    Mutant(
        "own day left out",
        LEDGER,
        "            self._own(keys, system, [day * new.full for day in days], applied),\n",
        "",
        (f"{_MODEL}[no event marks the days it names]", _LEDGER),
    ),
    Mutant(
        "rule 3 left out: an applied event marks nothing",
        LEDGER,
        "            touched = np.union1d(touched, self._whole(_cohort(keys[applied])))\n",
        "            pass\n",
        (f"{_MODEL}[an applied event marks nothing]", _LEDGER),
    ),
    Mutant(
        "version from a clock",
        BATCHES,
        'self._narrowed("tallies", changes.tallies, self',
        'self._narrowed("tallies", [r._replace(version=__import__("time").monotonic_ns()) '
        "for r in changes.tallies], self",
        (f"{_MODEL}[tallies carry the time of saving as version]",),
    ),
    Mutant(
        "late event applied, on arrays",
        LEDGER,
        "    before = np.maximum(before, known[group] + 1)\n",
        "",
        (_LEDGER,),
    ),
    Mutant(
        "late event applied: one that was applied before",
        LEDGER,
        'applied = new.version <= held["version"][group]',
        'applied = new.version == held["version"][group]',
        (_LEDGER,),
    ),
    Mutant(
        "a cohort that is being saved is let go of",
        BATCHES,
        "self._ledger.make_room(self._cache_dossiers, self._ledger.turn - 1)",
        "self._ledger.make_room(self._cache_dossiers, self._ledger.turn)",
        (f"{_UNIT}batches.py::test_a_cohort_that_is_being_saved_is_held_however_little_may_be",),
    ),
    Mutant(
        "late event applied: an older record",
        DOSSIER,
        "if newer < (stored.record_time, STAGE[stored.record_status]):",
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
        "cache kept across a rebalance: the worker does not drop it",
        APP,
        "            folder.drop()\n",
        "            pass\n",
        (f"{_UNIT}acknowledging.py::test_after_a_rebalance_a_worker_counts_what_another_wrote_meanwhile",),
    ),
    Mutant(
        "cache kept across a rebalance: dropping forgets nothing",
        BATCHES,
        "        self._complete_to = None\n        self._ledger.clear()\n",
        "        self._complete_to = None\n",
        (f"{_UNIT}acknowledging.py::test_after_a_rebalance_a_worker_counts_what_another_wrote_meanwhile",),
    ),
)
