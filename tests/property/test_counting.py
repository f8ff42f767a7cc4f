"""What holds for any events: their order and number do not matter, and every way of adding up agrees."""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rates.cohort import Cohort, CohortKey, packed
from rates.dossier import PAST, STAGE, Dossier, fold, pack, unpack
from rates.tallies import BASES, BIT, TALLIES, counts, lanes
from rates.wire import Event, Full
from tests.property.worlds import NUMBER, events
from tests.support.register import SmallRegister

REGISTER = SmallRegister()
KEY = CohortKey("H18.21", 202310)
masks = st.integers(0, (1 << len(TALLIES)) - 1)


def state_after(sequence: Sequence[Event]) -> Dossier | None:
    """What stands in the end, without where and when it was learnt, and what it was before."""
    state: Dossier | None = None
    for position, event in enumerate(sequence, 1):
        folded = fold(state, event, version=position, learnt=position, procedures=REGISTER)
        state = state if folded is None else folded
    if state is None:
        return None
    order = sum(1 << BIT[name] for name in ("sync_late", "backdated", "reopened", "closed_from_supplement"))
    order |= 1 << BIT["overdue_sync_late"] | 1 << BIT["due_moved"]
    return msgspec.structs.replace(
        state, version=0, learnt=0, facts=state.facts & ~PAST, mask=state.mask & ~order
    )


def rivals(sequence: Sequence[Event]) -> dict[tuple[int, int], list[Event]]:
    """The different full records of equal status time and stage, in the order of their last copies."""
    groups: dict[tuple[int, int], list[Event]] = {}
    for event in reversed(sequence):
        if isinstance(event, Full):
            group = groups.setdefault((event.status_time, STAGE[event.status]), [])
            if event not in group:
                group.append(event)
    return groups


@st.composite
def reordered(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """Events of one dossier, and the same in another order with copies, rivals in the same last order."""
    original = draw(st.lists(events, min_size=1, max_size=6))
    copies = draw(st.lists(st.sampled_from(original), max_size=6))
    other = draw(st.permutations([*original, *copies]))
    # The last copies of rivals change places among themselves until their order is that of the original.
    for key, group in rivals(original).items():
        last = sorted(max(at for at, event in enumerate(other) if event == rival) for rival in group)
        for at, rival in zip(last, reversed(group), strict=True):
            other[at] = rival
        assert rivals(other)[key] == group
    return original, other


@settings(max_examples=1000)
@given(reordered())
def test_any_order_and_duplication_of_a_dossiers_events_ends_in_the_same_state(
    sequences: tuple[list[Event], list[Event]],
) -> None:
    original, other = sequences
    assert state_after(other) == state_after(original)


@given(st.lists(events, max_size=8), st.integers(0, 8))
def test_events_delivered_again_change_nothing(sequence: list[Event], again: int) -> None:
    cohort = Cohort(KEY)

    def take(position: int, event: Event) -> None:
        cohort.fold(event, version=position, learnt=position, procedures=REGISTER)

    for position, event in enumerate(sequence, 1):
        take(position, event)
    before = dict(cohort.dossiers), {cell: vector for cell, vector in cohort.vectors.items() if vector}
    for position, event in list(enumerate(sequence, 1))[-again:]:
        take(position, event)
    assert (
        dict(cohort.dossiers),
        {cell: vector for cell, vector in cohort.vectors.items() if vector},
    ) == before


@given(st.lists(st.tuples(st.sampled_from("abc"), events), max_size=12))
def test_running_vectors_are_the_vectors_of_a_cohort_loaded_from_its_dossiers(
    sequence: list[tuple[str, Event]],
) -> None:
    cohort = Cohort(KEY)
    for position, (suffix, event) in enumerate(sequence, 1):
        named = msgspec.structs.replace(event, number=NUMBER + suffix)
        cohort.fold(named, version=position, learnt=position, procedures=REGISTER)
    loaded = Cohort(KEY, ((number, unpack(held)) for number, held in cohort.dossiers.items()))
    assert {cell: vector for cell, vector in cohort.vectors.items() if vector} == {
        cell: vector for cell, vector in loaded.vectors.items() if vector
    }
    for cell, vector in cohort.changed_cells():
        assert counts(vector) == recounted(cohort, packed(*cell))


def recounted(cohort: Cohort, cell: int) -> tuple[int, ...]:
    """The tallies of a cell, bit by bit."""
    masks_there = [
        dossier.mask
        for dossier in map(unpack, cohort.dossiers.values())
        for basis in range(len(BASES))
        if dossier.days[basis] and packed(dossier.system, basis, dossier.days[basis]) == cell
    ]
    return tuple(sum(mask >> bit & 1 for mask in masks_there) for bit in range(len(TALLIES)))


@given(st.lists(masks, max_size=50), st.data())
def test_lanes_added_and_taken_away_count_bits(entered: list[int], data: Any) -> None:
    left = data.draw(st.lists(st.sampled_from(entered), unique=True)) if entered else []
    vector = sum(map(lanes, entered)) - sum(map(lanes, left))
    expected = tuple(
        sum(mask >> bit & 1 for mask in entered) - sum(mask >> bit & 1 for mask in left)
        for bit in range(len(TALLIES))
    )
    assert counts(vector) == expected


whole = st.integers(0, (1 << 63) - 1)
dossiers = st.builds(Dossier, *[st.integers(0, (1 << 64) - 1)], *[whole] * 11, *[st.text(), st.text()])


@given(dossiers)
def test_a_packed_dossier_is_the_same_dossier(dossier: Dossier) -> None:
    assert unpack(pack(dossier)) == dossier
