"""The fold of one event into one dossier: two clocks, and what each kind of event may change."""

from typing import Any

import msgspec
import pytest

from rates.dossier import PAST, Dossier, fold, pack, unpack
from rates.tallies import BIT, mask_of
from rates.wire import DIGITISED, E_RESULT, E_RESULT_CLEAN, RESULT_REQUIRED, Full, Progress, day_of
from tests.support.register import PAPERLESS, SmallRegister

NUMBER, UNIT = "H18.21-231002-0147", "H18.21"
T = 1_696_208_400  # 2023-10-02 08:00 local
DAY = 86_400
STAGES = ((1,), (2, 3, 4, 5, 6), (7, 8, 9), (10,))
PAIRS = [(one, other) for one in range(1, 11) for other in range(1, 11)]


def stage(status: int) -> int:
    return next(index for index, codes in enumerate(STAGES) if status in codes)


def record(status: int, time: int = T, **fields: Any) -> Full:
    """A full record; received on the first day, ended on the fourth, due on the seventh."""
    values: dict[str, Any] = {
        "received": T,
        "completed": T + 3 * DAY,
        "due": T + 6 * DAY,
        "procedure": "1.000001",
        "sector": "",
        "facts": 0,
    }
    return Full(NUMBER, UNIT, 0, status, time, **(values | fields))


def progress(status: int, time: int = T) -> Progress:
    return Progress(NUMBER, UNIT, 0, status, time)


def folded(*events: Full | Progress) -> Dossier:
    """The state after events in this order, the first of which is taken."""
    state: Dossier | None = None
    for position, event in enumerate(events, 1):
        after = fold(state, event, version=position, learnt=T + position, procedures=SmallRegister())
        state = state if after is None else after
    assert state is not None
    return state


def test_the_first_record_is_the_state() -> None:
    state = folded(record(9, sector="G09-LV", facts=E_RESULT))
    assert (state.version, state.learnt, state.record_status, state.record_time) == (1, T + 1, 9, T)
    assert (state.progress_status, state.progress_time) == (0, 0)
    assert (state.procedure, state.sector) == ("1.000001", "G09-LV")
    assert state.status == 9
    assert state.days == (day_of(T), day_of(T + 3 * DAY), day_of(T + 6 * DAY))


def test_the_register_says_whether_a_result_is_required_and_of_which_system_it_is() -> None:
    assert folded(record(9)).facts & RESULT_REQUIRED
    assert not folded(record(9, procedure=PAPERLESS)).facts & RESULT_REQUIRED
    assert folded(record(9, procedure="?", facts=E_RESULT)).facts == E_RESULT | RESULT_REQUIRED
    assert folded(record(9, procedure="1.000003", sector="G09-LV")).system == 0
    assert folded(record(9, procedure="?", sector="G09-LV")).system == 5
    assert folded(record(9, procedure="?", sector="?")).system == 6


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_newer_record_stands_whatever_its_stage(first: int, second: int) -> None:
    assert folded(record(first, T), record(second, T + 1)).record_status == second
    assert folded(record(first, T + 1), record(second, T)).record_status == first


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_at_equal_time_the_later_stage_stands_and_within_a_stage_the_later_arrival(
    first: int, second: int
) -> None:
    state = folded(record(first), record(second))
    assert state.record_status == (second if stage(second) >= stage(first) else first)


def test_a_record_replaces_everything_of_the_one_before() -> None:
    rich = record(9, facts=E_RESULT | E_RESULT_CLEAN | DIGITISED, sector="x")
    poor = record(10, T + 1, completed=0, due=0, facts=0, procedure=PAPERLESS)
    after, alone = folded(rich, poor), folded(poor)
    assert msgspec.structs.replace(after, version=0, learnt=0) == msgspec.structs.replace(
        alone, version=0, learnt=0
    )


def test_what_loses_changes_nothing() -> None:
    state = folded(record(9, T + 5))
    for event in (record(10, T + 4), record(4, T + 5)):
        assert fold(state, event, version=9, learnt=9, procedures=SmallRegister()) is None
    waiting = folded(progress(9, T))
    for row in (progress(9, T), progress(8, T), progress(10, T - 1)):
        assert fold(waiting, row, version=9, learnt=9, procedures=SmallRegister()) is None


def test_a_record_without_any_time_is_older_than_any_and_yet_replaces_its_like() -> None:
    assert folded(record(4, 0), record(1, 1)).record_status == 1
    assert folded(record(4, 1), record(10, 0)).record_status == 4
    assert folded(record(4, 0), record(5, 0)).record_status == 5


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_progress_rows_the_newest_stands_and_at_equal_time_the_higher_code(
    first: int, second: int
) -> None:
    assert folded(progress(first), progress(second)).progress_status == max(first, second)
    assert folded(progress(first), progress(second, T + 1)).progress_status == second
    assert folded(progress(first, T + 1), progress(second)).progress_status == first


def test_a_progress_row_before_its_dossier_waits_and_counts_nothing() -> None:
    state = folded(progress(10))
    assert (state.status, state.mask, state.days) == (0, 0, (0, 0, 0))
    assert folded(progress(9), progress(10, T + 1)).mask == 0


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_status_that_counts_is_that_of_progress_only_if_it_is_strictly_later(
    first: int, second: int
) -> None:
    for time, counting in ((T - 1, first), (T, first), (T + 1, second)):
        for events in (
            (record(first), progress(second, time)),
            (progress(second, time), record(first)),
        ):
            state = folded(*events)
            assert state.status == counting
            past = state.facts & PAST
            assert state.mask == mask_of(counting, T, T + 3 * DAY, T + 6 * DAY, RESULT_REQUIRED | past)


def test_a_progress_row_gives_status_and_time_alone() -> None:
    before = folded(record(4, facts=E_RESULT))
    after = folded(record(4, facts=E_RESULT), progress(10, T + 1))
    for name in (
        "system",
        "record_status",
        "record_time",
        "received",
        "completed",
        "due",
        "facts",
        "procedure",
    ):
        assert getattr(after, name) == getattr(before, name)
    assert (after.version, after.learnt) == (2, T + 2)


def test_a_late_link_is_not_lost_to_a_progress_row() -> None:
    late = record(9, T + 1, facts=E_RESULT)
    for events in ((record(9), progress(10, T + 5), late), (record(9), late, progress(10, T + 5))):
        state = folded(*events)
        assert (state.status, state.facts & E_RESULT) == (10, E_RESULT)
        assert state.mask >> BIT["e_result_returned_required"] & 1


def test_an_older_progress_row_is_kept_beside_a_newer_record_and_counts_nothing() -> None:
    state = folded(record(9, T + 5), progress(10, T + 1))
    assert (state.status, state.progress_status, state.progress_time) == (9, 10, T + 1)


def test_a_refused_dossier_that_was_received_counts_no_longer() -> None:
    state = folded(record(4), progress(3, T + 1))
    assert (state.mask, state.days) == (0, (0, 0, 0))


def test_a_packed_dossier_is_the_same_dossier() -> None:
    state = folded(record(9, sector="Lĩnh vực", facts=31), progress(10, T + 9))
    assert unpack(pack(state)) == state


def tallied(state: Dossier) -> set[str]:
    return {name for name, bit in BIT.items() if state.mask >> bit & 1}


def learnt(*events: tuple[Full | Progress, int]) -> set[str]:
    """The tallies after events that were learnt so many seconds after `T`."""
    state: Dossier | None = None
    for position, (event, after) in enumerate(events, 1):
        found = fold(state, event, version=position, learnt=T + after, procedures=SmallRegister())
        state = state if found is None else found
    assert state is not None
    return tallied(state)


@pytest.mark.parametrize("event", [record(4, T + 9), progress(4, T + 9)])
def test_a_dossier_that_was_done_and_is_no_longer_stays_reopened(event: Full | Progress) -> None:
    for done in (7, 9, 10):
        assert "reopened" in tallied(folded(record(done), event))
        assert "reopened" in tallied(folded(record(done), event, record(10, T + 20)))
    assert "reopened" not in tallied(folded(record(4), event))
    assert "reopened" not in tallied(folded(record(9), record(10, T + 1)))


@pytest.mark.parametrize("event", [record(9, T + 9), progress(9, T + 9)])
def test_a_dossier_that_is_ready_right_after_a_request_is_closed_from_supplement(
    event: Full | Progress,
) -> None:
    for asked in (5, 6):
        assert "closed_from_supplement" in tallied(folded(record(asked), event))
        assert "closed_from_supplement" not in tallied(folded(record(asked), record(4, T + 1), event))
    assert "closed_from_supplement" not in tallied(folded(record(4), event))


def test_what_is_learnt_late_is_late_by_a_day_or_by_a_week() -> None:
    assert not learnt((record(4), DAY)) & {"sync_late", "backdated"}
    assert learnt((record(4), DAY + 1)) & {"sync_late", "backdated"} == {"sync_late"}
    assert learnt((record(4), 7 * DAY + 1)) >= {"sync_late", "backdated"}
    assert not learnt((record(4, 0), 9 * DAY)) & {"sync_late", "backdated"}


def test_what_is_only_sent_again_is_not_late() -> None:
    assert not learnt((record(4), 5), (record(4), 30 * DAY)) & {"sync_late", "backdated"}
    assert "overdue_sync_late" not in learnt((record(9), 5), (record(9), 30 * DAY))
    assert "sync_late" not in learnt((record(4), 30 * DAY), (record(9, T + 31 * DAY), 31 * DAY))


def test_a_dossier_on_time_that_was_heard_of_after_its_due_date_is_overdue_by_sync() -> None:
    on_time = learnt((record(9, T + 3 * DAY), 8 * DAY))
    assert on_time >= {"on_time", "overdue_sync_late"}
    assert "overdue_sync_late" not in learnt((record(9, T + 3 * DAY), 4 * DAY))
    assert "overdue_sync_late" not in learnt((record(9, T + 9 * DAY, completed=T + 9 * DAY), 10 * DAY))


def test_a_received_dossier_without_a_due_date_is_told() -> None:
    assert "no_due" in tallied(folded(record(4, due=0)))
    assert "no_due" not in tallied(folded(record(4)))
    assert "no_due" not in tallied(folded(record(1, due=0)))


def test_a_due_date_that_is_put_off_once_it_has_passed_is_told_for_good() -> None:
    late = record(4, T + 9 * DAY, due=T + 30 * DAY)
    assert "due_moved" in tallied(folded(record(4, due=T + 5 * DAY), late))
    assert "due_moved" in tallied(folded(record(4, due=T + 5 * DAY), late, record(10, T + 10 * DAY)))
    in_time = record(4, T + 2 * DAY, due=T + 30 * DAY)
    assert "due_moved" not in tallied(folded(record(4, due=T + 5 * DAY), in_time))
    sooner = record(4, T + 9 * DAY, due=T + 4 * DAY)
    assert "due_moved" not in tallied(folded(record(4, due=T + 5 * DAY), sooner))
    assert "due_moved" not in tallied(folded(record(4, due=0), late))
