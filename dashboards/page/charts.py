"""Charts as numbers that a template draws in SVG: no script, real text, and a table beside each.

Coordinates are those of the drawing's own box; everything that is shown is also in words or in a table.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from math import ceil, log10, sqrt
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from dashboards.figures import half_up
from dashboards.page import atlas
from dashboards.page.asked import Lang
from dashboards.page.shown import Line, rate
from dashboards.page.standing import MINIMUM, Counts
from dashboards.page.words import count, decimal
from rates.definitions import Form

MOST_MONTHS: Final = 36
Z95: Final = 1.96
Z99: Final = 2.576
_STEPS: Final = 5
_MOST_NAMED: Final = 8
_MARK: Final = 5
_LETTER: Final = 6.2
_LINE: Final = 11
"""Half a mark, a letter's width and a line's height in a chart."""
_Box: TypeAlias = tuple[float, float, float]
"""Where something is drawn: from, to and the height of its middle."""

_WIDTH, _HEIGHT = 640, 264
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 628, 12, 220


class Tick(Struct, frozen=True):
    at: float
    text: str


class Curve(Struct, frozen=True):
    """A line of a chart; `pieces` are broken where there is nothing to draw. `key`: its class and name."""

    key: str
    pieces: tuple[str, ...]
    dots: tuple[tuple[float, float], ...] = ()


class MonthRow(Struct, frozen=True):
    """A month as the table beside the chart shows it; `before`: the rate of the same month a year earlier."""

    month: str
    line: Line
    before: str


class Trend(Struct, frozen=True):
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    rows: tuple[MonthRow, ...]
    target: float | None
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    bottom: int = _BOTTOM


class Dot(Struct, frozen=True):
    """A body or unit in a funnel. `side`: "in" the limits, "above" or "below"; `far`: beyond 99 % as well."""

    code: str
    x: float
    y: float
    side: str
    far: bool
    title: str
    label: str = ""
    anchor: str = "start"


class Funnel(Struct, frozen=True):
    """Rates by how many dossiers they are made of, with the limits that chance alone would keep to."""

    curves: tuple[Curve, ...]
    dots: tuple[Dot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    middle: float
    pooled: str
    above: int
    below: int
    few: int
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    bottom: int = _BOTTOM


class Tile(Struct, frozen=True):
    code: str
    x: int
    y: int
    first: str
    second: str
    text: str
    step: str
    title: str


class Tiles(Struct, frozen=True):
    tiles: tuple[Tile, ...]
    width: int
    height: int
    legend: tuple[tuple[str, str], ...]


def trend(
    rows: Iterable[Mapping[str, object]], first: str, target: float | None, form: Form, lang: Lang
) -> Trend | None:
    """The rate by month. Months before `first` (`YYYY-MM-DD`, "" for none) are those of the year before.

    A month of few dossiers is a gap in the line, never a point. None where there is no month to show.
    """
    found = {
        str(row["month"])[:7]: tuple(int(str(row[name])) for name in ("reported", "clean", "total"))
        for row in rows
    }
    shown = sorted(month for month in found if month >= first[:7])
    if not shown:
        return None
    months = _months(shown[0], shown[-1])[-MOST_MONTHS:]

    def share(month: str, at: int) -> Fraction | None:
        counts = found.get(month)
        return Fraction(counts[at], counts[2]) if counts and counts[2] >= MINIMUM else None

    at = 1 if form == "clean" else 0
    series = {
        "before": [share(_year_before(month), at) for month in months],
        "clean": [share(month, 1) for month in months],
        "reported": [share(month, 0) for month in months],
    }
    highest = max((value for one in series.values() for value in one if value is not None), default=None)
    top = _top(max(float(highest or 0), target or 0))
    step = (_RIGHT - _LEFT) / max(1, len(months) - 1)

    def place(index: int, value: Fraction) -> tuple[float, float]:
        x = _LEFT + step * index if len(months) > 1 else (_LEFT + _RIGHT) / 2
        return round(x, 1), _y(float(value), top)

    curves = [
        _curve(key, [None if one is None else place(at, one) for at, one in enumerate(values)])
        for key, values in series.items()
        if key != "before" or any(value is not None for value in values)
    ]
    every = ceil(len(months) / 8)
    texts = [(index, _month(month, lang)) for index, month in enumerate(months) if index % every == 0]
    table = []
    for month in months:
        counts = found.get(month, (0, 0, 0))
        before = found.get(_year_before(month))
        reported, clean = (rate(counts[at], counts[2], lang) for at in (0, 1))
        earlier = rate(before[at], before[2], lang).text if before and before[2] >= MINIMUM else ""
        table.append(MonthRow(_month(month, lang), Line(month, "", reported, clean), earlier))
    return Trend(
        curves=tuple(curves),
        x_ticks=tuple(Tick(place(index, Fraction(0))[0], text) for index, text in texts),
        y_ticks=_y_ticks(top, lang),
        rows=tuple(table),
        target=None if target is None else _y(target, top),
    )


def limits(pooled: float, denominator: int, z: float) -> tuple[float, float]:
    """What chance alone keeps a rate of so many dossiers within, if all share the pooled rate.

    Source: D. J. Spiegelhalter, Funnel plots for comparing institutional performance, Statistics in Medicine
    24 (2005), normal approximation.
    """
    pooled = min(pooled, 1.0)
    half = z * sqrt(pooled * (1 - pooled) / denominator)
    return max(0.0, pooled - half), min(1.0, pooled + half)


def funnel(lines: Iterable[Line], form: Form, lang: Lang) -> Funnel | None:
    """A funnel of bodies or units; None for fewer than three that have enough dossiers."""
    found = [(one, _counts(one, form)) for one in lines]
    enough = [(one, counts) for one, counts in found if counts[1] >= MINIMUM]
    if len(enough) < 3:
        return None
    pooled = Fraction(sum(n for _, (n, _) in enough), sum(d for _, (_, d) in enough))
    middle = float(pooled)
    most = max(denominator for _, (_, denominator) in enough)
    low, high = log10(MINIMUM), log10(max(most, 2 * MINIMUM)) + 0.02
    top = _top(max(*(n / d for _, (n, d) in enough), limits(middle, MINIMUM, Z95)[1]))

    def x(denominator: float) -> float:
        return round(_LEFT + (log10(denominator) - low) / (high - low) * (_RIGHT - _LEFT), 1)

    sizes = [10 ** (low + (high - low) * at / 40) for at in range(41)]
    curves = list[Curve]()
    for key, z in (("limit99", Z99), ("limit95", Z95)):
        for end in (0, 1):
            points = [(x(size), _y(min(limits(middle, round(size), z)[end], top), top)) for size in sizes]
            curves.append(_curve(key, list(points)))
    dots, far = list[Dot](), list[tuple[float, int]]()
    sides = {"above": 0, "below": 0, "in": 0}
    for one, counts in enough:
        value = counts[0] / counts[1]
        side, beyond = _side(value, middle, counts[1])
        sides[side] += 1
        shown = rate(*counts, lang)
        dot = Dot(
            one.code,
            x(counts[1]),
            _y(value, top),
            side,
            beyond,
            f"{one.name}: {shown.text} ({shown.numerator} / {shown.denominator})",
        )
        if beyond:
            far.append((abs(value - middle) * sqrt(counts[1]), len(dots)))
        dots.append(dot)
    names = {one.code: one.name for one, _ in enough}
    taken: list[_Box] = [(dot.x - _MARK, dot.x + _MARK, dot.y) for dot in dots]
    for _, index in sorted(far, reverse=True):
        dot = dots[index]
        if len(taken) == len(dots) + _MOST_NAMED:
            break
        label = " ".join(atlas.short(names[dot.code])).rstrip() if len(names[dot.code]) < 24 else dot.code
        place = _label(dot, label, [box for at, box in enumerate(taken) if at != index])
        if place is None:
            continue
        anchor, box = place
        dots[index] = msgspec.structs.replace(dot, label=label, anchor=anchor)
        taken.append(box)
    ticks = [size * 10**power for power in range(1, 8) for size in (1, 3)]
    return Funnel(
        curves=tuple(curves),
        dots=tuple(dots),
        x_ticks=tuple(Tick(x(size), count(size, lang)) for size in ticks if MINIMUM <= size <= 10**high),
        y_ticks=_y_ticks(top, lang),
        middle=_y(middle, top),
        pooled=decimal(f"{half_up(pooled * 100, 2)} %", lang),
        above=sides["above"],
        below=sides["below"],
        few=len(found) - len(enough),
    )


def tiles(lines: Sequence[Line], form: Form, lang: Lang, few: str) -> Tiles:
    """Provinces as tiles, coloured in five steps between the lowest rate and the highest.

    `few`: what is said of a province with too few dossiers.
    """
    places = atlas.grid([one.code for one in lines])
    known = [one for one in lines if one.code in places]
    rates = [n / d for n, d in (_counts(one, form) for one in known) if d >= MINIMUM]
    lowest, highest = (min(rates), max(rates)) if rates else (0.0, 0.0)
    made = []
    for one in known:
        numerator, denominator = _counts(one, form)
        shown = rate(numerator, denominator, lang)
        enough = denominator >= MINIMUM
        first, second = atlas.short(one.name)
        said = f"{one.name}: {shown.text} ({shown.numerator} / {shown.denominator})"
        column, row = places[one.code]
        made.append(
            Tile(
                one.code,
                column * 48,
                row * 48,
                first,
                second,
                decimal(half_up(Fraction(100 * numerator, denominator), 1), lang) if enough else "–",
                str(_step(numerator / denominator, lowest, highest)) if enough else "few",
                said if enough else f"{said}, {few}",
            )
        )
    wide = 48 * (1 + max((x for x, _ in places.values()), default=0))
    high = 48 * (1 + max((y for _, y in places.values()), default=0))
    span = (highest - lowest) / _STEPS
    legend = [
        (str(step), f"{_percent(lowest + span * step, lang)}–{_percent(lowest + span * (step + 1), lang)} %")
        for step in range(_STEPS)
        if rates and span
    ]
    return Tiles(tuple(made), wide, high, tuple(legend))


def _label(dot: Dot, text: str, taken: Sequence[_Box]) -> tuple[str, _Box] | None:
    """The anchor and the place of a label to the right of its mark, else to the left, that covers nothing."""
    wide = 7 + _LETTER * len(text)
    for anchor, begin, end in (("start", dot.x, dot.x + wide), ("end", dot.x - wide, dot.x)):
        free = all(
            other_end < begin or end < other_begin or abs(y - dot.y) > _LINE
            for other_begin, other_end, y in taken
        )
        if begin >= _LEFT and end <= _RIGHT and free:
            return anchor, (begin, end, dot.y)
    return None


def _side(value: float, middle: float, denominator: int) -> tuple[str, bool]:
    low, high = limits(middle, denominator, Z95)
    lower, higher = limits(middle, denominator, Z99)
    if value > high:
        return "above", value > higher
    if value < low:
        return "below", value < lower
    return "in", False


def _counts(line: Line, form: Form) -> Counts:
    return (line.clean if form == "clean" else line.reported).whole


def _step(value: float, lowest: float, highest: float) -> int:
    if highest <= lowest:
        return 0
    return min(_STEPS - 1, int(_STEPS * (value - lowest) / (highest - lowest)))


def _top(highest: float) -> float:
    return min(1.0, max(0.1, ceil(highest * 10 + 1e-9) / 10))


def _y(value: float, top: float) -> float:
    return round(_BOTTOM - value / top * (_BOTTOM - _TOP), 1)


def _y_ticks(top: float, lang: Lang) -> tuple[Tick, ...]:
    parts = 5 if round(top * 10) % 5 == 0 else (4 if round(top * 10) % 4 == 0 else 3)
    return tuple(
        Tick(_y(top * at / parts, top), _percent(top * at / parts, lang) + " %") for at in range(parts + 1)
    )


def _percent(share: float, lang: Lang) -> str:
    text = f"{100 * share:.1f}"
    return decimal(text.removesuffix(".0"), lang)


def _curve(key: str, points: Sequence[tuple[float, float] | None]) -> Curve:
    pieces, piece = [], list[tuple[float, float]]()
    for point in [*points, None]:
        if point is not None:
            piece.append(point)
        elif piece:
            pieces.append(" ".join(f"{x},{y}" for x, y in piece))
            piece = []
    return Curve(key, tuple(pieces), tuple(point for point in points if point is not None))


def _months(first: str, last: str) -> list[str]:
    begin, end = (12 * int(text[:4]) + int(text[5:7]) - 1 for text in (first, last))
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(begin, end + 1)]


def _year_before(month: str) -> str:
    return f"{int(month[:4]) - 1:04}{month[4:]}"


def _month(month: str, lang: Lang) -> str:
    year, number = month.split("-")
    return f"{number}/{year}" if lang == "vi" else date(int(year), int(number), 1).strftime("%b %Y")
