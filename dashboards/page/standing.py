"""Where a rate stands: its interval, its rank among peers, its target, and how it changed in a year.

A rate of few dossiers says little, so below `MINIMUM` it is neither ranked nor compared. A rank is given with
the ranks that are possible: a peer stands surely above only if its whole interval does.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, TypeAlias

from msgspec import Struct

from dashboards.figures import half_up, ratio
from dashboards.page.asked import Lang
from dashboards.page.words import decimal
from rates.register import Register
from rates.statistics import wilson
from rates.targets import Target, target_on

MINIMUM: Final = 30
"""The smallest denominator that is ranked, compared and coloured."""
INDICATOR: Final = "e_result"

Counts: TypeAlias = tuple[int, int]
"""Numerator and denominator."""


class Standing(Struct, frozen=True):
    """Texts are "" where there is nothing to say. `rank` 0: not ranked, of `few` dossiers or alone.

    `ranks`: the ranks that its interval and its peers' leave possible, first and last.
    `gap`: percentage points from the target; `change`: percentage points from the year before.
    """

    few: bool
    rank: int = 0
    ranks: tuple[int, int] = (0, 0)
    target: str = ""
    gap: str = ""
    reached: bool = False
    recalled: bool = False
    source: str = ""
    change: str = ""
    up: bool | None = None


Targets: TypeAlias = Callable[[str], Target | None]


def interval(numerator: int, denominator: int) -> tuple[float, float]:
    """The 95 % interval (Wilson). A rate may be above 1 where its numerator is no part of its denominator."""
    return wilson(min(numerator, denominator), denominator)


def targets(register: Register, day: int) -> Targets:
    """What finds a body's or unit's target on a day; a department is held to its province's."""

    def found(code: str) -> Target | None:
        row = register.unit(code, day)
        level = row.level if row is not None else ""
        if level in ("department", "agency"):
            body = register.unit(register.body(code, day), day)
            level = body.level if body is not None else ""
        return target_on(register.targets, level, INDICATOR, day)

    return found


def of_level(register: Register, level: str, day: int) -> Target | None:
    """The target of a level on a day."""
    return target_on(register.targets, level, INDICATOR, day)


def stand(counts: Counts, before: Counts | None, target: Target | None, lang: Lang) -> Standing:
    """The standing of one rate by itself: against its target and the same days of the year before."""
    numerator, denominator = counts
    now = ratio(numerator, denominator)
    few = denominator < MINIMUM
    gap, reached, change, up = "", False, "", None
    if target is not None and now is not None and not few:
        distance = now - Fraction(str(target.target))
        gap, reached = points(distance, lang), distance >= 0
    if before is not None and now is not None and not few and before[1] >= MINIMUM:
        moved = now - Fraction(*before)
        change = points(moved, lang)
        up = None if half_up(moved * 100, 1) in ("0.0", "-0.0") else moved > 0
    return Standing(
        few=few,
        target=decimal(f"{half_up(Fraction(str(target.target)) * 100, 0)} %", lang) if target else "",
        gap=gap,
        reached=reached,
        recalled=target is not None and not target.confirmed,
        source=target.source if target else "",
        change=change,
        up=up,
    )


def ranks(counts: Sequence[Counts]) -> list[tuple[int, tuple[int, int]]]:
    """The rank of each among all, and the ranks that are possible; (0, (0, 0)) for few dossiers or one alone.

    Equal rates share a rank. Intervals are Wilson's of 95 %.
    """
    ranked = [one for one in counts if one[1] >= MINIMUM]
    if len(ranked) < 2:
        return [(0, (0, 0))] * len(counts)
    rates = sorted(Fraction(*one) for one in ranked)
    intervals = [interval(*one) for one in ranked]
    lows, highs = sorted(low for low, _ in intervals), sorted(high for _, high in intervals)
    found = []
    for one in counts:
        if one[1] < MINIMUM:
            found.append((0, (0, 0)))
            continue
        low, high = interval(*one)
        surely_above = len(lows) - bisect_right(lows, high)
        surely_below = bisect_left(highs, low)
        rank = 1 + len(rates) - bisect_right(rates, Fraction(*one))
        found.append((rank, (1 + surely_above, len(rates) - surely_below)))
    return found


def quartiles(counts: Iterable[Counts]) -> tuple[Fraction, Fraction, Fraction] | None:
    """The quartiles of the rates of those that have enough dossiers; None for fewer than four."""
    rates = sorted(Fraction(*one) for one in counts if one[1] >= MINIMUM)
    if len(rates) < 4:
        return None

    def at(quarter: int) -> Fraction:
        place = Fraction(quarter * (len(rates) - 1), 4)
        below = int(place)
        above = min(below + 1, len(rates) - 1)
        return rates[below] + (rates[above] - rates[below]) * (place - below)

    return at(1), at(2), at(3)


def points(distance: Fraction, lang: Lang) -> str:
    """A difference of two rates in percentage points, with its sign."""
    text = half_up(distance * 100, 1)
    if text in ("0.0", "-0.0"):
        return "±" + decimal("0.0", lang)
    return decimal(text.replace("-", "−") if text.startswith("-") else f"+{text}", lang)


def by_code(rows: Iterable[Mapping[str, int | str]], form: str) -> dict[str, Counts]:
    """Numerator in a form and denominator, by code, of rows of `bodies`, `units` or `systems`."""
    return {str(row["code"]): (int(row[form]), int(row["total"])) for row in rows}
