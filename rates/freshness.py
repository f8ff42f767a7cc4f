"""Whether a figure is current, and whether that can be known: of the pipe, and of each office behind it.

Four states. *fresh*; *stale*: the pipe is behind, so nothing is said of any office; *silent*: the pipe is
fresh and an office has not been heard of for longer than its own rhythm explains; *unknown*.

The pipe is judged at the present instant, by how long ago that is which its figures are complete to. Canaries
move that on while the world is quiet, so the bound follows from how often they are sent. An office is judged
at the instant that the figures are complete to, never at the present: what is still under way is no silence.

Silence is rule R4 of the field's practice (no dossier event from a unit for one working day although it has
more than five a day) made the unit's own. It is silent when all of these hold of the whole working days
between the day it was last heard of and the day that figures are complete to, half days never counted:

- there is at least one;
- its rhythm let at least `IMPROBABLE` dossiers be expected in them: under Poisson's law nothing at all then
  happens less than once in a thousand times (e⁻⁷ = 0.0009);
- they are more than the longest pause that it made before, so that an office that sends once a week is not
  silent every Thursday.

The rhythm is the dossiers accepted per working day in the `WINDOW` days before it was last heard of: twenty
working days, fewer where a holiday lies among them. Working days are those of the Labour Code 2019, Articles
111 and 112 (`rates.calendar`); a day begins and ends in local time.
"""

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from rates.calendar import Calendar
from rates.wire import day_of

State: TypeAlias = Literal["fresh", "stale", "silent", "unknown"]
PipeWhy: TypeAlias = Literal["in_time", "behind", "catching_up", "nothing", "partly", "clocks", "no_canaries"]
OfficeWhy: TypeAlias = Literal["pipe", "heard", "quiet", "silence", "never", "ended", "history", "calendar"]

WINDOW: Final = 28
"""The days, before the one on which a unit was last heard of, that its rhythm is taken from."""
IMPROBABLE: Final = 7.0
ENOUGH: Final = 10
"""A rhythm needs so many working days of history."""
LONGEST_HOLIDAY: Final = 10
"""In a year whose holidays are not known, so many working days may all have been holidays."""
MISSED: Final = 3
"""So many canaries in a row may be late before the pipe is stale."""
SLACK: Final = 15
"""Seconds for a micro-batch, a rebalance after a worker's death, or clocks that are a little apart."""


class Pipe(Struct, frozen=True, kw_only=True):
    """How current the figures are. Times in seconds since 1970 UTC, None where nothing is known.

    `heard` of the `expected` partitions have brought something. `delay`, `slowest`: milliseconds from
    published to visible, the median and the maximum over partitions. `lag`: messages not read yet.
    """

    state: State
    why: PipeWhy
    complete_to: int | None
    heard: int
    expected: int
    delay: int | None = None
    slowest: int | None = None
    lag: int | None = None


class Activity(Struct, frozen=True):
    """What a unit was heard of. `last` and `complete_to`: seconds; `first`: the first day it was heard of.

    `accepted`: its dossiers received in the `WINDOW` days before the day of `last`, none before `first`.
    `days`: bit *i* is set where it was heard of *i* days before the day of `last`. Both are asked for only
    where there are `silent_days`. `complete_to` is what figures were complete to when this was read.
    """

    last: int
    first: int
    complete_to: int
    accepted: int = 0
    days: int = 0

    def silent_days(self, calendar: Calendar) -> int:
        """The whole working days between the day it was last heard of and the day figures are complete to."""
        return calendar.working_days(day_of(self.last) + 1, day_of(self.complete_to) - 1)


class Office(Struct, frozen=True):
    """A unit's state. `since`: when it was last heard of; `silent_days`: whole working days since.

    `expected`: the dossiers that its rhythm let expect in them.
    """

    state: State
    why: OfficeWhy
    since: int | None = None
    silent_days: int = 0
    expected: float = 0.0


def bound(canary_seconds: float) -> float:
    """How many seconds behind the present a healthy pipe may be."""
    return MISSED * canary_seconds + SLACK


def pipe(
    *,
    complete_to: int | None,
    heard: int,
    expected: int,
    canary_seconds: float,
    now: int,
    moving: bool = False,
    delay: int | None = None,
    slowest: int | None = None,
    lag: int | None = None,
) -> Pipe:
    """The state of the pipe at `now`.

    `heard`, `expected`: partitions of the registered topic. `moving`: whether anything became durable lately.
    Without canaries a pipe that is behind cannot be told from a world that is quiet: unknown.
    """
    state, why = _judged(complete_to, heard, expected, canary_seconds, now, moving)
    return Pipe(
        state=state,
        why=why,
        complete_to=complete_to,
        heard=heard,
        expected=expected,
        delay=delay,
        slowest=slowest,
        lag=lag,
    )


def _judged(
    complete_to: int | None, heard: int, expected: int, canary_seconds: float, now: int, moving: bool
) -> tuple[State, PipeWhy]:
    if not complete_to or not heard:
        return "unknown", "nothing"
    if heard < expected or not expected:
        return "unknown", "partly"
    allowed = bound(canary_seconds)
    behind = now - complete_to
    if behind < -allowed:
        # Somebody's clock is wrong, and as long as that lasts a pipe that stands still looks fresh.
        return "unknown", "clocks"
    if behind <= allowed:
        return "fresh", "in_time"
    if moving:
        return "stale", "catching_up"
    return ("stale", "behind") if canary_seconds else ("unknown", "no_canaries")


def office(
    through: Pipe, activity: Activity | None, calendar: Calendar, *, exists_until: int | None = None
) -> Office:
    """The state of a unit whose events come through this pipe. None: it was never heard of.

    `exists_until`: the last day that the register knows it for, None where it knows no end or not the unit.
    """
    if through.state != "fresh":
        return Office("stale" if through.state == "stale" else "unknown", "pipe", _last(activity))
    if activity is None or not activity.last:
        return Office("unknown", "never")
    today = day_of(activity.complete_to)
    if exists_until is not None and exists_until < today:
        return Office("unknown", "ended", activity.last)
    last = day_of(activity.last)
    silent_days = activity.silent_days(calendar)
    if not silent_days:
        return Office("fresh", "heard", activity.last)
    first = max(activity.first, last - WINDOW)
    history = calendar.working_days(first, last - 1)
    if history < ENOUGH or not activity.accepted:
        return Office("unknown", "history", activity.last, silent_days)
    expected = activity.accepted / history * silent_days
    if expected < IMPROBABLE or silent_days <= _longest_pause(activity.days, first, last, calendar):
        return Office("fresh", "quiet", activity.last, silent_days, expected)
    if silent_days <= LONGEST_HOLIDAY and not calendar.knows(last + 1, today - 1):
        return Office("unknown", "calendar", activity.last, silent_days, expected)
    return Office("silent", "silence", activity.last, silent_days, expected)


def _last(activity: Activity | None) -> int | None:
    return (activity.last or None) if activity is not None else None


def _longest_pause(days: int, first: int, last: int, calendar: Calendar) -> int:
    """The most working days in a row, from `first` to `last`, on which nothing was heard."""
    longest = pause = 0
    for day in range(first, last):
        if days >> (last - day) & 1:
            pause = 0
        elif calendar.is_working_day(day):
            pause += 1
            longest = max(longest, pause)
    return longest
