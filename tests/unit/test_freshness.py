"""Fresh, stale, silent or unknown: what may be said of the pipe and of an office, and what may not."""

from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rates.calendar import Calendar, Holiday
from rates.freshness import (
    ENOUGH,
    IMPROBABLE,
    WINDOW,
    Activity,
    Office,
    Pipe,
    bound,
    office,
    pipe,
)

EPOCH = date(1970, 1, 1)
CALENDAR = Calendar.shipped()
ALWAYS = (1 << (WINDOW + 1)) - 1
NOW = 1_800_000_000


def day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def at(text: str) -> int:
    """A local time `YYYY-MM-DD HH:MM` as seconds since 1970 UTC."""
    hours, minutes = text[11:].split(":")
    return day(text[:10]) * 86_400 + int(hours) * 3600 + int(minutes) * 60 - 7 * 3600


def piped(state: str = "fresh", complete_to: int = NOW) -> Pipe:
    return Pipe(state=state, why="in_time", complete_to=complete_to, heard=12, expected=12)  # type: ignore[arg-type]


def judged(last: str, complete: str, *, accepted: int = 200, days: int = ALWAYS, **more: object) -> Office:
    """A unit that was heard of every day until `last`, with `accepted` dossiers in its window."""
    first = more.pop("first", day(last[:10]) - 400)
    activity = Activity(at(last), first, at(complete), accepted, days)  # type: ignore[arg-type]
    return office(piped(), activity, CALENDAR, **more)  # type: ignore[arg-type]


def measured(**changes: object) -> Pipe:
    known = {"complete_to": NOW - 5, "heard": 12, "expected": 12, "canary_seconds": 10.0, "now": NOW}
    return pipe(**{**known, **changes})  # type: ignore[arg-type]


def test_a_pipe_is_fresh_up_to_three_canaries_and_the_slack_and_stale_beyond() -> None:
    assert bound(10) == 45
    assert measured(complete_to=NOW - 45).state == "fresh"
    behind = measured(complete_to=NOW - 46)
    assert (behind.state, behind.why) == ("stale", "behind")
    assert measured(complete_to=NOW - 46, moving=True).why == "catching_up"


def test_before_anything_came_and_while_a_partition_was_never_heard_of_nothing_is_known() -> None:
    assert measured(complete_to=None, heard=0) == pipe(
        complete_to=None, heard=0, expected=12, canary_seconds=10, now=NOW
    )
    assert measured(complete_to=None, heard=0).why == "nothing"
    assert (measured(heard=11).state, measured(heard=11).why) == ("unknown", "partly")
    assert measured(expected=0).state == "unknown"


def test_figures_of_the_future_are_no_proof_that_a_pipe_is_fresh() -> None:
    assert measured(complete_to=NOW + 30).state == "fresh"
    assert (measured(complete_to=NOW + 3600).state, measured(complete_to=NOW + 3600).why) == (
        "unknown",
        "clocks",
    )


def test_without_canaries_quiet_is_not_told_from_slow() -> None:
    assert measured(canary_seconds=0).state == "fresh"
    quiet = measured(canary_seconds=0, complete_to=NOW - 3600)
    assert (quiet.state, quiet.why) == ("unknown", "no_canaries")


def test_a_working_day_without_a_word_from_a_busy_office_is_silence() -> None:
    found = judged("2026-04-07 16:30", "2026-04-09 08:00")
    assert (found.state, found.silent_days, found.since) == ("silent", 1, at("2026-04-07 16:30"))
    assert found.expected == pytest.approx(10)


def test_a_day_that_is_not_over_counts_for_nothing() -> None:
    for complete in ("2026-03-11 07:00", "2026-03-11 23:59"):
        assert judged("2026-03-10 08:01", complete, accepted=100_000).why == "heard"


def test_a_day_begins_at_local_midnight() -> None:
    assert judged("2026-03-10 23:59", "2026-03-11 23:59").why == "heard"
    assert judged("2026-03-11 00:00", "2026-03-12 23:59").why == "heard"
    assert judged("2026-03-10 23:59", "2026-03-12 00:00").state == "silent"


def test_a_weekend_is_no_silence() -> None:
    assert judged("2026-03-13 16:00", "2026-03-16 09:00", accepted=100_000).why == "heard"
    assert judged("2026-03-13 16:00", "2026-03-17 00:00", accepted=100_000).state == "silent"


def test_a_week_of_tet_is_no_silence_and_the_same_week_later_is() -> None:
    assert judged("2026-02-13 16:00", "2026-02-23 09:00", accepted=100_000).why == "heard"
    assert judged("2026-03-13 16:00", "2026-03-23 09:00", accepted=100_000).state == "silent"
    assert judged("2026-04-29 16:00", "2026-05-04 09:00", accepted=100_000).why == "heard"


def test_a_small_office_may_rest_for_as_long_as_its_rhythm_lets_it() -> None:
    # One dossier a day: six days of nothing happen once in four hundred times, seven are too many.
    assert judged("2026-04-07 16:00", "2026-04-16 09:00", accepted=20).why == "quiet"
    assert judged("2026-04-07 16:00", "2026-04-17 09:00", accepted=20).state == "silent"


def test_the_rhythm_is_by_working_days_not_by_days() -> None:
    # The window before this day holds Tết: the same dossiers in fewer working days are a quicker rhythm.
    usual = judged("2026-04-10 16:00", "2026-04-14 09:00", accepted=100)
    tet = judged("2026-03-10 16:00", "2026-03-12 09:00", accepted=100)
    assert CALENDAR.working_days(day("2026-02-10"), day("2026-03-09")) < 20
    assert tet.expected > usual.expected


def test_an_office_that_speaks_once_a_week_is_not_silent_every_thursday() -> None:
    fridays = sum(1 << back for back in (0, 7, 14, 21, 28))
    assert judged("2026-03-13 16:00", "2026-03-19 09:00", days=fridays).why == "quiet"
    assert judged("2026-03-13 16:00", "2026-03-21 09:00", days=fridays).state == "silent"
    assert judged("2026-03-13 16:00", "2026-03-19 09:00").state == "silent"


def test_too_little_history_is_unknown() -> None:
    last = "2026-03-13 16:00"
    enough = next(
        first
        for first in range(day(last[:10]), 0, -1)
        if CALENDAR.working_days(first, day(last[:10]) - 1) == ENOUGH
    )
    assert judged(last, "2026-03-19 09:00", first=enough).state == "silent"
    assert (judged(last, "2026-03-19 09:00", first=enough + 1).why) == "history"
    assert judged(last, "2026-03-19 09:00", accepted=0).why == "history"
    assert office(piped(), None, CALENDAR).why == "never"


def test_an_office_that_has_ended_is_not_missed() -> None:
    ended = judged("2025-06-30 16:00", "2026-03-19 09:00", exists_until=day("2025-06-30"))
    assert (ended.state, ended.why) == ("unknown", "ended")
    assert judged("2026-03-13 16:00", "2026-03-19 09:00", exists_until=day("2026-03-19")).state == "silent"


def test_a_year_whose_holidays_are_not_known_makes_a_short_silence_unknown_and_no_long_one() -> None:
    bare = Calendar([Holiday(day("2026-01-01"), "Tết Dương lịch", "New Year", "a test")])
    last = at("2031-03-03 16:00")
    short, long = (Activity(last, 0, at(f"2031-0{m}-14 09:00"), 200, ALWAYS) for m in (3, 5))
    assert (office(piped(), short, bare).state, office(piped(), short, bare).why) == ("unknown", "calendar")
    assert office(piped(), long, bare).state == "silent"


def test_history_looked_at_years_later_is_silent_since_its_last_day() -> None:
    found = judged("2023-10-31 16:00", "2026-11-24 12:00")
    assert (found.state, found.since) == ("silent", at("2023-10-31 16:00"))


times = st.integers(0, 2**32 - 1)


@given(times, times, st.integers(0, 60_000), st.integers(0, 2**32), st.integers(0, ALWAYS))
def test_unless_the_pipe_is_fresh_no_office_is_silent(
    last: int, complete: int, first: int, accepted: int, days: int
) -> None:
    activity = Activity(last, first, complete, accepted, days)
    assert office(piped("stale"), activity, CALENDAR).state == "stale"
    assert office(piped("unknown"), activity, CALENDAR).state == "unknown"


@given(times, times, st.integers(0, 60_000), st.integers(0, 2**32), st.integers(0, ALWAYS))
def test_silence_always_has_a_whole_working_day_and_an_improbable_pause_behind_it(
    last: int, complete: int, first: int, accepted: int, days: int
) -> None:
    found = office(piped(), Activity(last, first, complete, accepted, days), CALENDAR)
    if found.state == "silent":
        assert found.silent_days >= 1
        assert found.expected >= IMPROBABLE
        assert found.since == last < complete


@given(st.integers(-1000, 60_000), st.integers(-10, 900))
def test_working_days_between_two_days_are_those_that_one_counts(first: int, length: int) -> None:
    counted = sum(CALENDAR.is_working_day(one) for one in range(first, first + length))
    assert CALENDAR.working_days(first, first + length - 1) == counted


def test_a_year_is_known_by_its_holidays() -> None:
    assert CALENDAR.knows(day("2022-01-01"), day("2027-12-31"))
    for first, last in product(("2021-12-31", "2022-01-01"), ("2027-12-31", "2028-01-01")):
        known = first.startswith("2022") and last.startswith("2027")
        assert CALENDAR.knows(day(first), day(last)) == known
