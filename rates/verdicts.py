"""From figures to alerts: one state for each rule and subject, which figures move and time lets ripen.

An alert is *pending* from the first bad reading on, *firing* once readings were bad for the rule's `hold`
working days without a break, two of them at least, and over once they were good for its `recover` working
days. A reading between the two changes nothing but that the run is broken. So one excursion gives one firing
and one end, and within it the severity only rises. *too_few* takes the place of any state while there is too
little to judge (R14).

Time is the moment that data are complete to, never the present. On a day that is no working day nothing
fires and nothing that fires ends. While data are stale nobody calls this, so every state is kept.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from rates.alerts import (
    NO_ARRIVALS,
    RULES,
    SEVERITIES,
    WINDOW,
    Arrivals,
    Figures,
    Level,
    Reading,
    Rule,
    Severity,
    arrivals,
    rate,
)
from rates.calendar import Calendar
from rates.freshness import Office
from rates.register import Register
from rates.sheets import EPOCH, day_number
from rates.statistics import Peers
from rates.targets import Target, target_on
from rates.wire import day_of

Status: TypeAlias = Literal["ok", "pending", "firing", "too_few"]
Counts: TypeAlias = Mapping[str, int]


class Key(NamedTuple):
    """What an alert is about."""

    rule: str
    level: Level
    subject: str


class State(Struct, frozen=True, gc=False):
    """`since`: when the status began; `turning`: when the run that may end it began, 0 without one.

    Times in seconds since 1970 UTC, moments that data were complete to.
    """

    status: Status = "ok"
    severity: Severity = "info"
    since: int = 0
    turning: int = 0


OK: Final = State()


class Turn(NamedTuple):
    """A state that is another than before, and the reading behind it; `of` None: no subject any more."""

    rule: Rule
    key: Key
    before: State
    after: State
    reading: Reading
    of: Figures | None

    @property
    def tells(self) -> bool:
        """Whether it belongs into the history: an alert begins, fires, gets worse or ends."""
        if self.before.status == self.after.status:
            return self.before.severity != self.after.severity
        return not {self.before.status, self.after.status} <= {"ok", "too_few"}


class Held(NamedTuple):
    """A state as it is stored, with its figures and the moment that they are of."""

    state: State
    numerator: int
    denominator: int
    at: int


class Ruling(NamedTuple):
    """What is kept of a turn, or of figures that moved under an alert that stands."""

    key: Key
    body: str
    before: State
    after: State
    reading: Reading
    reason_vi: str
    reason_en: str
    tells: bool


class Clock:
    """One moment, as the rules see it: its day, and how many working days lie between."""

    __slots__ = ("_calendar", "_elapsed", "at", "day", "working")

    def __init__(self, at: int, calendar: Calendar) -> None:
        self.at = at
        self.day = day_of(at)
        self.working = calendar.is_working_day(self.day)
        self._calendar = calendar
        self._elapsed: dict[int, int] = {}

    def since(self, then: int) -> int:
        """The working days that began after the day of `then`, today included."""
        day = day_of(then)
        found = self._elapsed.get(day)
        if found is None:
            found = self._elapsed[day] = self._calendar.working_days(day + 1, self.day)
        return found


def step(rule: Rule, state: State, reading: Reading, clock: Clock) -> State:
    """The state after a reading."""
    zone, at = reading.zone, clock.at
    severity = reading.severity or rule.severity
    match state.status:
        case "ok" | "too_few":
            if zone == "few":
                return state if state.status == "too_few" else State("too_few", rule.severity, at)
            if zone == "bad":
                return State("pending", severity, at, at)
            return state if state.status == "ok" else State("ok", rule.severity, at)
        case "pending":
            if zone == "few":
                return State("too_few", rule.severity, at)
            if zone == "good":
                return State("ok", rule.severity, at)
            if zone == "between":
                return state if not state.turning else State("pending", state.severity, state.since)
            turning, worst = state.turning or at, _worst(state.severity, severity)
            return _ripe(rule, State("pending", worst, state.since, turning), worst, clock)
        case "firing":
            if zone == "few":
                return State("too_few", rule.severity, at) if clock.working else state
            if zone != "good":
                worst = _worst(state.severity, severity) if zone == "bad" else state.severity
                same = worst == state.severity and not state.turning
                return state if same else State("firing", worst, state.since)
            turning = state.turning or at
            if clock.working and clock.since(turning) >= rule.recover:
                return State("ok", rule.severity, at)
            return state if state.turning else State("firing", state.severity, state.since, turning)


def _worst(*severities: Severity) -> Severity:
    return max(severities, key=SEVERITIES.index)


def _ripe(rule: Rule, pending: State, severity: Severity, clock: Clock) -> State:
    if clock.working and clock.since(pending.turning) >= rule.hold:
        return State("firing", severity, clock.at)
    return pending


def evaluate(
    subjects: Iterable[Figures],
    states: Mapping[Key, State],
    at: int,
    calendar: Calendar,
    rules: Sequence[Rule] = RULES,
) -> list[Turn]:
    """The states that change at a moment. `states` are those that are not *ok*, as of an earlier moment.

    Whoever is not among the subjects any more has no alert any more.
    """
    clock = Clock(at, calendar)
    by_level: dict[str, list[Rule]] = {}
    for rule in rules:
        for level in rule.levels:
            by_level.setdefault(level, []).append(rule)
    turns: list[Turn] = []
    seen: set[tuple[str, str]] = set()
    for of in subjects:
        seen.add((of.level, of.subject))
        for rule in by_level.get(of.level, ()):
            key = Key(rule.id, of.level, of.subject)
            state = states.get(key, OK)
            reading = rule.read(rule, of)
            if reading.zone in _STILL and state is OK:
                continue
            after = step(rule, state, reading, clock)
            if after is not state and after != state:
                turns.append(Turn(rule, key, state, after, reading, of))
    known = {rule.id: rule for rule in rules}
    for key, state in states.items():
        if state.status != "ok" and (key.level, key.subject) not in seen and key.rule in known:
            after = State("ok", known[key.rule].severity, at)
            turns.append(Turn(known[key.rule], key, state, after, Reading("good"), None))
    turns.sort(key=lambda turn: turn.key)
    return turns


_STILL: Final = ("good", "between")


class Part(NamedTuple):
    """A unit (`code`) or a system (its name) of a subject, and how many points of the gap it explains."""

    kind: Literal["unit", "system"]
    code: str
    numerator: int
    denominator: int
    contribution: float


def explain(
    rule: Rule, reading: Reading, kind: Literal["unit", "system"], parts: Mapping[str, Counts]
) -> list[Part]:
    """The parts that explain the gap between a subject's share and its bar, the largest first.

    A part's contribution is its share of the denominators times its own gap to the bar, so those of all
    parts of a kind add up to the subject's gap. Those that are no worse than the bar are left out.
    """
    if rule.parts is None or reading.bar is None:
        return []
    above, below = rule.parts
    total = sum(counts.get(below, 0) for counts in parts.values())
    found = []
    for code, counts in parts.items():
        numerator, denominator = counts.get(above, 0), counts.get(below, 0)
        if not denominator:
            continue
        gap = numerator / denominator - reading.bar
        contribution = denominator / total * (gap if rule.more_is_worse else -gap)
        if contribution > 0:
            found.append(Part(kind, code, numerator, denominator, contribution))
    found.sort(key=lambda part: (-part.contribution, part.code))
    return found


SYSTEM_NAMES: Final = {
    "civil_status": ("hộ tịch", "civil status"),
    "criminal_records": ("lý lịch tư pháp", "criminal records"),
    "business": ("đăng ký doanh nghiệp", "business registration"),
    "household_business": ("đăng ký hộ kinh doanh", "household-business registration"),
    "land": ("đất đai", "land"),
    "environment": ("môi trường", "environment"),
    "other": ("lĩnh vực khác", "other"),
}
_TEXTS: Final = {
    "few": (
        "Chỉ {denominator} hồ sơ trong 28 ngày: quá ít để đánh giá",
        "Only {denominator} dossiers in 28 days: too few to judge",
    ),
    "good": (
        "{value} ({numerator}/{denominator}), giới hạn {threshold}: bình thường",
        "{value} ({numerator}/{denominator}), limit {threshold}: nothing is the matter",
    ),
}
_NOTHING: Final = ("Bình thường", "Nothing is the matter")
_NAMED: Final = 5


def reasons(
    rule: Rule,
    reading: Reading,
    parts: Sequence[Part] = (),
    name: Callable[[str], tuple[str, str]] = lambda code: (code, code),
) -> tuple[str, str]:
    """Why, in Vietnamese and English: the figures, and the parts that explain most of the gap."""
    texts = _TEXTS.get(reading.zone, (rule.text_vi, rule.text_en))
    if reading.zone == "good" and (reading.value is None or not rule.shares):
        texts = _NOTHING
    vi, en = (_filled(text, reading, at) for at, text in enumerate(texts))
    for kind, head_vi, head_en in (("unit", "Đơn vị", "Units"), ("system", "Lĩnh vực", "Systems")):
        those = [part for part in parts if part.kind == kind][:_NAMED]
        if not those:
            continue
        named = [
            (SYSTEM_NAMES.get(part.code) or (part.code, part.code))
            if kind == "system"
            else tuple(f"{one} ({part.code})" for one in name(part.code))
            for part in those
        ]
        vi += f". {head_vi}: " + ", ".join(
            f"{one[0]} {_points(part.contribution, 0)}" for one, part in zip(named, those, strict=True)
        )
        en += f". {head_en}: " + ", ".join(
            f"{one[1]} {_points(part.contribution, 1)}" for one, part in zip(named, those, strict=True)
        )
    return vi + ".", en + "."


def _filled(text: str, reading: Reading, language: int) -> str:
    median = _percent(reading.median, language)
    return text.format(
        value=_percent(reading.value, language),
        threshold=_percent(reading.threshold, language),
        bar=_percent(reading.bar, language),
        median=median,
        vs_median_vi=f" và trung vị đồng cấp {median}" if reading.median is not None else "",
        vs_median_en=f" and its peers' median of {median}" if reading.median is not None else "",
        numerator=_number(reading.numerator, language),
        denominator=_number(reading.denominator, language),
        days=f"{reading.value or 0:g}",
        usual="–" if reading.median is None else _number(round(reading.median), language),
    )


def _percent(share: float | None, language: int) -> str:
    if share is None:
        return "–"
    text = f"{100 * share:.1f} %"
    return text if language else text.replace(".", ",")


def _points(share: float, language: int) -> str:
    text = f"{100 * share:.1f}"
    return f"{text} pts" if language else f"{text.replace('.', ',')} điểm"


def _number(count: int, language: int) -> str:
    text = f"{count:,}"
    return text if language else text.replace(",", ".")


class Counted(NamedTuple):
    """A unit's tallies of a period under one body (as valid on the days), by name."""

    unit: str
    body: str
    counts: Counts


Arrived: TypeAlias = tuple[Mapping[str, Arrivals], Mapping[str, Arrivals]]
"""Arrivals of units, and of bodies."""
NOT_ARRIVED: Final[Arrived] = ({}, {})


def arrived(told: Iterable[tuple[str, str, int, int, int]], today: int) -> Arrived:
    """What arrived by `today`, from (unit, body on that day, day of learning, events, of them old)."""
    units: dict[str, dict[int, tuple[int, int]]] = {}
    bodies: dict[str, dict[int, tuple[int, int]]] = {}
    for unit, body, day, events, old in told:
        units.setdefault(unit, {})[day] = events, old
        of = bodies.setdefault(body, {})
        before = of.get(day, (0, 0))
        of[day] = before[0] + events, before[1] + old
    every, all_of = (
        {code: found for code, days in of.items() if (found := arrivals(days, today)).days}
        for of in (units, bodies)
    )
    return every, all_of


BODIES: Final[Mapping[str, Level]] = {"ministry": "ministry", "province": "province"}
START: Final = {"commune": (2023, 6, 1), "district": (2022, 12, 1)}
_FIRST_START: Final = (2022, 6, 1)
"""When one-stop shops must have begun to digitise: Directive 02/CT-TTg; ministries and provinces first."""


def standing(
    register: Register,
    day: int,
    now: Iterable[Counted],
    before: Iterable[Counted] = (),
    year: Iterable[Counted] = (),
    offices: Mapping[str, Office] | None = None,
    arrived: Arrived = NOT_ARRIVED,
) -> list[Figures]:
    """The figures of every body and one-stop unit that is registered on a day, with their peers.

    Dossiers of units that the register does not know count for their body alone.
    """
    periods = [_totals(rows) for rows in (now, before, year)]
    subjects: list[tuple[str, Level, str, str]] = []
    for row in register.units:
        if not row.valid_from <= day <= row.valid_to:
            continue
        if row.level in BODIES:
            subjects.append((row.code, BODIES[row.level], row.level, row.code))
        elif row.one_stop:
            body = register.body(row.code, day)
            subjects.append((row.code, "unit", row.level, body))
    ranked: dict[str, list[float]] = {}
    fallen: dict[str, list[float]] = {}
    for code, level, kind, _ in subjects:
        own = rate(periods[0][level != "unit"].get(code, _NONE))
        if own is not None:
            ranked.setdefault(kind, []).append(own)
            was = rate(periods[1][level != "unit"].get(code, _NONE))
            if was is not None:
                fallen.setdefault(kind, []).append(was - own)
    peers = {kind: Peers(shares) for kind, shares in ranked.items()}
    falls = {kind: Peers(shares) for kind, shares in fallen.items()}
    levels = {row.code: row.level for row in register.units if row.level in BODIES}
    targets: dict[str, Target | None] = {}
    found = []
    for code, level, kind, body in subjects:
        held = levels.get(body, "province") if kind in ("department", "agency") else kind
        if held not in targets:
            targets[held] = _target(register, held, day)
        body_level = level != "unit"
        start = day_number(EPOCH.replace(*START.get(kind, _FIRST_START)))
        found.append(
            Figures(
                subject=code,
                level=level,
                kind=kind,
                body=body,
                recent=periods[0][body_level].get(code, _NONE),
                before=periods[1][body_level].get(code, _NONE),
                year=periods[2][body_level].get(code, _NONE),
                target=targets[held],
                peers=peers.get(kind, _NOBODY),
                falls=falls.get(kind, _NOBODY),
                starts=day - WINDOW >= start,
                office=(offices or {}).get(code),
                arrived=arrived[body_level].get(code, NO_ARRIVALS),
            )
        )
    return found


_NONE: Final[Counts] = {}
_NOBODY: Final = Peers(())


def _target(register: Register, level: str, day: int) -> Target | None:
    """The target of a level on a day; where none is set for it, the last that was: it is still to be met."""
    found = target_on(register.targets, level, "e_result", day)
    if found is not None:
        return found
    past = [
        one
        for one in register.targets
        if (one.level, one.indicator) == (level, "e_result") and one.valid_to < day
    ]
    return max(past, key=lambda one: one.valid_to, default=None)


def _totals(rows: Iterable[Counted]) -> tuple[dict[str, Counts], dict[str, Counts]]:
    """Tallies by unit, and by body."""
    units: dict[str, Counts] = {}
    bodies: dict[str, dict[str, int]] = {}
    for unit, body, counts in rows:
        own = units.get(unit)
        units[unit] = (
            counts if own is None else {name: own.get(name, 0) + value for name, value in counts.items()}
        )
        total = bodies.setdefault(body, {})
        for name, value in counts.items():
            total[name] = total.get(name, 0) + value
    return units, dict(bodies)
