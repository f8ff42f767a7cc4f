"""How a dossier counts: its contributions by status, times and facts, and the days they count on."""

from itertools import product

import pytest

from rates.definitions import DEFINITIONS, FORMS, definition
from rates.tallies import BASES, BIT, LANE_BITS, SYSTEMS, TALLIES, counts, days_of, lanes, mask_of
from rates.wire import DIGITISED, E_RESULT, E_RESULT_CLEAN, POPULATION_DATABASE, RESULT_REQUIRED, day_of
from tests.support.calls import at

RECEIVED, ENDED, DUE = at("20231002080000"), at("20231005100000"), at("20231010170000")
RECEIVED_CODES = {2, 4, 5, 6, 7, 8, 9, 10}


def names(
    status: int, received: int = RECEIVED, completed: int = ENDED, due: int = DUE, facts: int = 0
) -> set[str]:
    mask = mask_of(status, received, completed, due, facts)
    return {name for name, bit in BIT.items() if mask >> bit & 1}


def test_the_order_of_stored_bits_is_never_changed() -> None:
    assert TALLIES == (
        "received",
        "done",
        "completed",
        "returned",
        "open",
        "result_required",
        "e_result",
        "e_result_clean",
        "e_result_required",
        "e_result_clean_required",
        "returned_required",
        "e_result_returned_required",
        "e_result_clean_returned_required",
        "done_e_result",
        "done_e_result_clean",
        "done_satisfied",
        "done_satisfied_clean",
        "on_time",
        "late",
        "digitised",
        "population_database",
        "withdrawn",
        "sync_late",
        "backdated",
        "reopened",
        "closed_from_supplement",
        "no_due",
        "overdue_sync_late",
        "due_moved",
    )
    assert BASES == ("received", "completed", "due")
    assert SYSTEMS[-1] == "other"
    assert len(SYSTEMS) == 7


@pytest.mark.parametrize("status", range(11))
def test_received_done_completed_and_open_follow_from_the_status(status: int) -> None:
    found = names(status)
    assert ("received" in found) == (status in RECEIVED_CODES)
    assert ("done" in found) == (status in {7, 9, 10})
    assert ("completed" in found) == (status in {9, 10})
    assert ("returned" in found) == (status == 10)
    assert ("withdrawn" in found) == (status == 7)
    assert ("open" in found) == (status in {2, 4, 5, 6, 8})


@pytest.mark.parametrize("status", range(11))
def test_a_dossier_that_is_not_received_counts_nowhere(status: int) -> None:
    assert mask_of(status, 0, ENDED, DUE, 31) == 0
    if status not in RECEIVED_CODES:
        assert mask_of(status, RECEIVED, ENDED, DUE, 31) == 0
        assert days_of(0, RECEIVED, ENDED, DUE) == (0, 0, 0)


@pytest.mark.parametrize(("status", "facts"), list(product(sorted(RECEIVED_CODES), range(32))))
def test_the_tallies_of_the_rates_are_conjunctions(status: int, facts: int) -> None:
    found = names(status, facts=facts)
    required, done, returned = bool(facts & RESULT_REQUIRED), status in {7, 9, 10}, status == 10
    assert ("result_required" in found) == required
    assert ("returned_required" in found) == (returned and required)
    assert ("digitised" in found) == bool(facts & DIGITISED)
    assert ("population_database" in found) == bool(facts & POPULATION_DATABASE)
    for form, bit in (("", E_RESULT), ("_clean", E_RESULT_CLEAN)):
        result = bool(facts & bit)
        assert (f"e_result{form}" in found) == result
        assert (f"e_result{form}_required" in found) == (result and required)
        assert (f"e_result{form}_returned_required" in found) == (result and returned and required)
        assert (f"done_e_result{form}" in found) == (done and result)
        assert (f"done_satisfied{form}" in found) == (done and (result or not required))


def timely(completed: str, due: str, status: int = 9) -> str:
    found = names(status, completed=at(completed) if completed else 0, due=at(due) if due else 0)
    return " ".join(sorted(found & {"on_time", "late"}))


@pytest.mark.parametrize(
    ("completed", "due", "expected"),
    [
        ("20231005100000", "20231005100000", "on_time"),
        ("20231005100001", "20231005100000", "late"),
        ("20231005235959", "20231005", "on_time"),
        ("20231006000000", "20231005", "late"),
        ("20231005000000", "20231005", "on_time"),
        ("20231005000000", "20231005080000", "on_time"),
        ("20231005", "20231004235959", "late"),
        ("20231005100000", "", ""),
        ("", "20231005", ""),
        ("", "", ""),
    ],
)
def test_on_time_is_ended_not_later_than_due_and_a_due_midnight_is_its_whole_day(
    completed: str, due: str, expected: str
) -> None:
    assert timely(completed, due) == expected


@pytest.mark.parametrize("status", [2, 4, 5, 6, 8])
def test_a_dossier_that_is_not_done_is_neither_on_time_nor_late(status: int) -> None:
    assert timely("20231005", "20231004", status) == ""


def test_each_basis_has_its_day() -> None:
    mask = mask_of(9, RECEIVED, ENDED, DUE, 0)
    assert days_of(mask, RECEIVED, ENDED, DUE) == (day_of(RECEIVED), day_of(ENDED), day_of(DUE))
    assert days_of(mask_of(9, RECEIVED, 0, 0, 0), RECEIVED, 0, 0) == (day_of(RECEIVED), 0, 0)


def test_an_open_dossier_counts_on_the_day_it_is_due_and_not_on_a_day_of_completion() -> None:
    mask = mask_of(4, RECEIVED, ENDED, DUE, 0)
    assert days_of(mask, RECEIVED, ENDED, DUE) == (day_of(RECEIVED), 0, day_of(DUE))


def test_a_withdrawn_dossier_is_done_on_its_day_of_completion() -> None:
    mask = mask_of(7, RECEIVED, ENDED, DUE, 0)
    assert days_of(mask, RECEIVED, ENDED, DUE)[1] == day_of(ENDED)


def test_a_mask_as_lanes_counts_one_for_each_of_its_bits() -> None:
    for bit in range(len(TALLIES)):
        assert counts(lanes(1 << bit)) == tuple(int(other == bit) for other in range(len(TALLIES)))
    assert counts(0) == (0,) * len(TALLIES)


def test_lanes_hold_a_national_decade_without_running_over() -> None:
    full = lanes((1 << len(TALLIES)) - 1)
    most = (1 << LANE_BITS) - 1
    assert counts(full * most) == (most,) * len(TALLIES)
    assert counts(full * most - lanes(1)) == (most - 1, *(most,) * (len(TALLIES) - 1))


@pytest.mark.parametrize(
    ("identifier", "basis", "reported", "clean", "denominator"),
    [
        ("ER-766-DOC", "received", "e_result_required", "e_result_clean_required", "result_required"),
        ("ER-766-PORTAL", "received", "e_result", "e_result_clean", "received"),
        (
            "ER-2026-METRICS",
            "completed",
            "e_result_returned_required",
            "e_result_clean_returned_required",
            "returned_required",
        ),
        ("ER-PROV-DONE", "completed", "done_satisfied", "done_satisfied_clean", "done"),
        ("ER-PROV-SCORE", "received", "done_e_result", "done_e_result_clean", "received"),
    ],
)
def test_the_five_definitions_are_these_pairs_of_tallies(
    identifier: str, basis: str, reported: str, clean: str, denominator: str
) -> None:
    found = definition(identifier)
    assert (found.basis, found.numerator, found.denominator) == (basis, (reported, clean), denominator)


@pytest.mark.parametrize("facts", range(32))
def test_a_numerator_is_within_its_denominator_and_clean_within_reported(facts: int) -> None:
    facts = facts | E_RESULT if facts & E_RESULT_CLEAN else facts
    for status in range(1, 11):
        found = names(status, facts=facts)
        for each in DEFINITIONS:
            reported, clean = (each.tally(form) in found for form in FORMS)
            assert each.denominator in found or not reported
            assert reported or not clean
