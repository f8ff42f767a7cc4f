"""Alerts over any course of figures: each begins and ends once, never on a holiday; order changes nothing."""

from collections.abc import Sequence
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rates import statistics
from rates.alerts import REQUIRED, RESULT, SEVERITIES, Figures, rule
from rates.calendar import Calendar
from rates.register import Register
from rates.statistics import Peers, wilson
from rates.targets import Target
from rates.verdicts import OK, Counted, Key, State, evaluate, explain, standing
from rates.wire import day_of

CALENDAR = Calendar.shipped()
START = 1_672_624_800  # 2023-01-02 09:00 local: a year with every holiday follows
DAY = 86_400
TARGET = Target("province", "e_result", 0, 65_535, 0.70, "a test", confirmed=True)
OTHERS = (0.72, 0.75, 0.78, 0.80, 0.82)
R1 = rule("R1")
KEY = Key("R1", "province", "H18")


def province(share: float, required: int = 2_000, subject: str = "H18") -> Figures:
    return Figures(
        subject=subject,
        level="province",
        kind="province",
        body=subject,
        recent={RESULT: round(share * required), REQUIRED: required, "received": required, "done": required},
        target=TARGET,
        peers=Peers((*OTHERS, round(share * required) / required)),
    )


def course(readings: Sequence[tuple[float, int]], start: int = START) -> list[tuple[int, State]]:
    """Each reading's moment and R1's state after it; a reading is a share and the seconds since the last."""
    state, at, states = OK, start, []
    for share, later in readings:
        at += later
        turns = evaluate([province(share)], {KEY: state} if state != OK else {}, at, CALENDAR, [R1])
        state = turns[0].after if turns else state
        states.append((at, state))
    return states


def changes(states: Sequence[tuple[int, State]]) -> list[str]:
    found = ["ok"]
    for _, state in states:
        if state.status != found[-1]:
            found.append(state.status)
    return found


later = st.integers(1, 2 * DAY)
bad, good = st.floats(0, 0.66), st.floats(0.73, 1)
between = st.floats(0.70, 0.709)


def long(shares: st.SearchStrategy[float]) -> st.SearchStrategy[list[tuple[float, int]]]:
    """Twenty readings over forty days at least: longer than any holiday."""
    return st.lists(st.tuples(shares, st.integers(2 * DAY, 3 * DAY)), min_size=20, max_size=20)


@given(long(good), long(st.one_of(bad, between)), long(good))
def test_an_excursion_fires_once_and_ends_once(
    before: list[tuple[float, int]], within: list[tuple[float, int]], after: list[tuple[float, int]]
) -> None:
    seen = changes(course([*before, (0.5, DAY), (0.5, 15 * DAY), (0.5, 15 * DAY), *within, *after]))
    assert seen == ["ok", "pending", "firing", "ok"]


@given(st.lists(st.tuples(st.floats(0.66, 0.705), later), min_size=1, max_size=60))
def test_a_figure_that_trembles_on_the_threshold_fires_once_at_most(
    trembling: list[tuple[float, int]],
) -> None:
    assert changes(course(trembling)) in (["ok"], ["ok", "pending"], ["ok", "pending", "firing"])


@given(st.lists(st.tuples(st.floats(0, 1), later), min_size=1, max_size=80))
def test_nothing_fires_and_nothing_that_fires_ends_on_a_holiday(readings: list[tuple[float, int]]) -> None:
    status = "ok"
    for at, state in course(readings):
        if not CALENDAR.is_working_day(day_of(at)) and state.status != status:
            assert "firing" not in (state.status, status)
        status = state.status


@given(st.lists(st.tuples(st.floats(0, 1), later), min_size=1, max_size=80))
def test_an_alert_fires_once_it_was_bad_for_its_working_days_and_no_sooner(
    readings: list[tuple[float, int]],
) -> None:
    status, run = "ok", 0
    for (at, state), (share, _) in zip(course(readings), readings, strict=True):
        is_bad = R1.read(R1, province(share)).zone == "bad"
        run = (run or at) if is_bad else 0
        if state.status == "firing" and status != "firing":
            assert run
            assert CALENDAR.working_days(day_of(run) + 1, day_of(at)) >= R1.hold
        status = state.status


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_worse_share_is_never_judged_milder(one: float, other: float) -> None:
    worse, better = (R1.read(R1, province(share)) for share in sorted((one, other)))
    order = ("good", "between", "bad")
    assert order.index(worse.zone) >= order.index(better.zone)
    assert SEVERITIES.index(worse.severity or "info") >= SEVERITIES.index(better.severity or "info")


@given(long(st.floats(0, 0.66)))
def test_within_an_excursion_the_severity_only_rises(readings: list[tuple[float, int]]) -> None:
    ranks = [SEVERITIES.index(state.severity) for _, state in course(readings)]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_figures_come_changes_nothing(seed: int) -> None:
    register, random, day = Register.shipped(), Random(seed), 19_430
    counts = {unit: random.randrange(900) for unit in random.sample(register.one_stop_units(day), 400)}
    rows = [
        Counted(unit, register.body(unit, day), {RESULT: value // 2, REQUIRED: value, "received": value})
        for unit, value in counts.items()
    ]
    at = day * DAY + 3600
    held = {KEY: State("firing", "warn", START, 0)}
    first = evaluate(standing(register, day, rows), held, at, CALENDAR)
    random.shuffle(rows)
    subjects = standing(register, day, rows)
    random.shuffle(subjects)
    assert [turn[1:5] for turn in evaluate(subjects, held, at, CALENDAR)] == [turn[1:5] for turn in first]


@given(
    st.dictionaries(st.text("ab", min_size=1, max_size=3), st.tuples(st.integers(0, 50), st.integers(50, 99)))
)
def test_the_parts_that_are_named_explain_at_least_the_gap(parts: dict[str, tuple[int, int]]) -> None:
    above, below = (sum(one[at] for one in parts.values()) for at in (0, 1))
    reading = R1.read(R1, province(0.5))
    named = explain(R1, reading, "unit", {code: {RESULT: a, REQUIRED: b} for code, (a, b) in parts.items()})
    assert [one.contribution for one in named] == sorted((one.contribution for one in named), reverse=True)
    if below:
        assert sum(one.contribution for one in named) >= TARGET.target - above / below - 1e-9


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_and_narrows_with_the_sample(counted: tuple[int, int]) -> None:
    numerator, denominator = counted
    low, high = wilson(numerator, denominator)
    assert 0 <= low <= numerator / denominator <= high <= 1
    narrow = wilson(4 * numerator, 4 * denominator)
    assert narrow.upper - narrow.lower < high - low


@given(st.lists(st.sampled_from([0.1, 0.2, 0.2, 0.3, 0.5, 0.9]), min_size=2, max_size=12), st.data())
def test_the_median_of_the_others_leaves_oneself_out(shares: list[float], data: st.DataObject) -> None:
    own = data.draw(st.sampled_from(shares))
    others = list(shares)
    others.remove(own)
    assert Peers(shares).median(own) == statistics.median(sorted(others))
    assert abs((Peers(shares).median(own) or 0) - median(others)) < 1e-12
