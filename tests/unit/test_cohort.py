"""A cohort: which dossiers belong together, and what must be written after folding."""

from binascii import crc32

import pytest

from rates.cohort import UNDATED, Cell, Cohort, CohortKey, cohort_of, packed, unpacked
from rates.dossier import Dossier, Outcome
from rates.tallies import BASES, SYSTEMS, TALLIES, counts
from rates.wire import Event, Full, Progress, day_of
from tests.support.calls import at
from tests.support.register import SmallRegister

KEY = CohortKey("H18.21", 202310)
ONE, OTHER = "H18.21-231002-0001", "H18.21-231002-0002"
FIRST, SECOND, THIRD = (at(day) for day in ("20231002080000", "20231003080000", "20231004080000"))
LAND, OTHERS = SYSTEMS.index("land"), SYSTEMS.index("other")


def record(
    number: str = ONE,
    status: int = 4,
    time: int = FIRST,
    received: int = FIRST,
    completed: int = 0,
    due: int = 0,
    procedure: str = "1.000001",
) -> Full:
    return Full(number, "H18.21", 0, status, time, received, completed, due, procedure, "", 0)


def row(status: int, time: int, number: str = ONE) -> Progress:
    return Progress(number, "H18.21", 0, status, time)


def take(cohort: Cohort, event: Event, version: int) -> Outcome:
    return cohort.fold(event, version=version, learnt=FIRST, procedures=SmallRegister())


def written(cohort: Cohort) -> dict[Cell, int]:
    """What would be written, as the number of dossiers received in each cell; then it is written."""
    cells = {cell: counts(vector)[0] for cell, vector in cohort.changed_cells()}
    cohort.mark_clean()
    return cells


def stored(cohort: Cohort) -> list[tuple[str, Dossier]]:
    return list(cohort.changed_dossiers())


def on(day: int, basis: str = "received", system: int = LAND) -> Cell:
    return Cell(system, BASES.index(basis), day_of(day))


# Which dossiers belong together


def test_a_cohort_is_the_unit_and_the_month_of_the_number() -> None:
    assert cohort_of("H18.21", "H18.21-231002-0147") == ("H18.21", 202310)
    assert cohort_of("000.00.01.H22", "000.00.01.H22-240229-1-2") == ("000.00.01.H22", 202402)
    assert cohort_of("H18.21", "H18.21-991231-") == ("H18.21", 209912)


@pytest.mark.parametrize(
    "number",
    [
        "H18.21-",
        "H18.21",
        "H18.21-231002",
        "H18.21-230229-1",
        "H18.21-231302-1",
        "H18.21-23102-1",
        "H18.21-2310020-1",
        "H18.21-٢٣١٠٠٢-1",
        "H18.21- 31002-1",
        "H18.21--231002-1",
        "H18.21-khác-1",
    ],
)
def test_a_number_without_a_date_falls_into_one_of_the_units_undated_cohorts(number: str) -> None:
    key = cohort_of("H18.21", number)
    assert key == ("H18.21", crc32(number.encode()) % UNDATED)


def test_a_packed_cell_is_the_same_cell() -> None:
    for system in range(len(SYSTEMS)):
        for basis in range(len(BASES)):
            for day in (0, 1, day_of(at("20231002")), day_of(at("20991231"))):
                assert unpacked(packed(system, basis, day)) == (system, basis, day)


# What must be written


def test_a_new_cohort_is_clean_and_an_accepted_record_makes_it_dirty() -> None:
    cohort = Cohort(KEY)
    assert stored(cohort) == []
    event = record(status=9, completed=SECOND, due=THIRD)
    assert take(cohort, event, 1) is Outcome.ACCEPTED
    assert [number for number, _ in stored(cohort)] == [ONE]
    assert written(cohort) == {on(FIRST): 1, on(SECOND, "completed"): 1, on(THIRD, "due"): 1}
    assert stored(cohort) == []
    assert written(cohort) == {}


def test_a_dossier_that_changes_its_day_leaves_the_old_day_as_zeros() -> None:
    cohort = Cohort(KEY)
    take(cohort, record(), 1)
    written(cohort)
    take(cohort, record(time=SECOND, received=SECOND), 2)
    assert written(cohort) == {on(FIRST): 0, on(SECOND): 1}


def test_a_dossier_that_changes_its_system_moves_like_one_that_changes_its_day() -> None:
    cohort = Cohort(KEY)
    take(cohort, record(), 1)
    written(cohort)
    take(cohort, record(time=SECOND, procedure="?"), 2)
    assert written(cohort) == {on(FIRST): 0, on(FIRST, system=OTHERS): 1}


def test_a_progress_row_that_finishes_a_dossier_gives_it_its_day_of_completion() -> None:
    cohort = Cohort(KEY)
    take(cohort, record(completed=SECOND), 1)
    assert written(cohort) == {on(FIRST): 1, on(SECOND, "completed"): 0}
    assert take(cohort, row(10, SECOND), 2) is Outcome.ACCEPTED
    assert written(cohort) == {on(FIRST): 1, on(SECOND, "completed"): 1}


def test_a_progress_row_before_its_dossier_writes_the_dossier_and_no_cell() -> None:
    cohort = Cohort(KEY)
    assert take(cohort, row(10, SECOND), 1) is Outcome.ACCEPTED
    assert [number for number, _ in stored(cohort)] == [ONE]
    assert written(cohort) == {}


def test_a_record_writes_every_day_it_names_even_as_zeros() -> None:
    cohort = Cohort(KEY)
    assert take(cohort, record(status=1, completed=SECOND, due=THIRD), 1) is Outcome.ACCEPTED
    assert written(cohort) == {on(FIRST): 0, on(SECOND, "completed"): 0, on(THIRD, "due"): 0}


def test_a_record_that_loses_changes_nothing_but_has_its_days_written() -> None:
    cohort = Cohort(KEY)
    take(cohort, record(time=SECOND), 1)
    written(cohort)
    assert take(cohort, record(time=FIRST, received=THIRD), 2) is Outcome.LOST
    assert stored(cohort) == []
    assert written(cohort) == {on(THIRD): 0}


def test_an_event_applied_before_has_the_whole_cohort_written_again_and_changes_nothing() -> None:
    cohort = Cohort(KEY)
    take(cohort, record(), 1)
    take(cohort, record(OTHER, received=SECOND), 2)
    take(cohort, record(time=SECOND), 3)
    before = dict(cohort.dossiers)
    for version, event in ((1, record(received=THIRD)), (3, record(time=SECOND)), (3, row(10, THIRD))):
        cohort.mark_clean()
        assert take(cohort, event, version) is Outcome.APPLIED
        assert cohort.dossiers == before
        assert stored(cohort) == []
        expected = {on(FIRST): 1, on(SECOND): 1, on(THIRD): 0}
        assert written(cohort) == expected


def test_a_loaded_cohort_is_clean_and_knows_the_cells_that_are_stored() -> None:
    first = Cohort(KEY)
    take(first, record(), 1)
    cells = [packed(*on(FIRST)), packed(*on(THIRD))]
    loaded = Cohort(KEY, stored(first), cells)
    assert stored(loaded) == []
    assert written(loaded) == {}
    assert {unpacked(cell) for cell in loaded.vectors} == {on(FIRST), on(THIRD)}


def test_vectors_are_computed_from_dossiers_on_load() -> None:
    first = Cohort(KEY)
    take(first, record(), 1)
    take(first, record(OTHER, status=9, completed=SECOND), 2)
    loaded = Cohort(KEY, stored(first))
    assert loaded.vectors == {cell: vector for cell, vector in first.vectors.items() if vector}
    assert loaded.dossiers == first.dossiers


def test_a_day_of_many_dossiers_counts_each_once() -> None:
    cohort = Cohort(KEY)
    for position in range(1, 1001):
        take(cohort, record(f"H18.21-231002-{position:04}", status=9, completed=SECOND), position)
        take(cohort, record(f"H18.21-231002-{position:04}", status=9, completed=SECOND), position + 5000)
    (vector,) = (vector for cell, vector in cohort.changed_cells() if cell == on(SECOND, "completed"))
    assert counts(vector)[: TALLIES.index("returned")] == (1000, 1000, 1000)
