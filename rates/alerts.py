"""The alert rules, as data: what is noticed of a unit or a body, from which number on, and on what ground.

A rule is one entry of `ALL`; view, commands and notices follow from it. Each reads one subject's figures
(`Figures`) and answers where they stand (`Reading`): *bad*, where an alert begins once that has lasted;
*good*, where one ends once that has lasted; *between*, which changes nothing, so that a figure on the
threshold does not make an alert come and go; *few*, too few dossiers to say anything (R14).

Shares are pooled counts of the `WINDOW` days up to the day that data are complete to, by the day of receipt.
The result rate is that of `ER-766-DOC` in its clean form. A dossier of yesterday has no result yet, at a good
office as at a bad one: so R1 and R3 hold a subject against its peers too, and R2 against what they lost.

R6 looks at events by the day on which they were learnt, which says when somebody worked, or made up for it.

R11 compares with published scores, of which none are stored.
"""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from rates.freshness import Office
from rates.statistics import Peers, Z, fall, wilson
from rates.targets import Target

Level: TypeAlias = Literal["province", "ministry", "unit"]
Severity: TypeAlias = Literal["critical", "warn", "inspect", "info"]
Zone: TypeAlias = Literal["bad", "between", "good", "few"]

WINDOW: Final = 28
"""Days: four weeks hold as many of each weekday."""
YEAR: Final = 364
"""Days: the same weekdays a year before."""
FEW: Final = 30
"""R14: of fewer dossiers no rate is judged."""
PEERS: Final = 3
"""Fewer others have no median that says anything."""
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "inspect", "warn", "critical")
"""In rising order."""

_NEAR: Final = 4
"""Days: what was learnt on Friday is still looked at on Monday."""
_USUAL: Final = 7
"""Of fewer days nothing is usual."""
_BURST: Final = 5.0
"""R6: so many times the usual day."""
LEVELS: Final[tuple[Level, ...]] = ("ministry", "province", "unit")
_BODIES_AND_UNITS: Final = LEVELS
_UNITS: Final[tuple[Level, ...]] = ("unit",)
_BODIES: Final[tuple[Level, ...]] = ("ministry", "province")

RESULT: Final = "e_result_clean_required"
REQUIRED: Final = "result_required"


class Arrivals(Struct, frozen=True, gc=False):
    """Events of a subject that were accepted, by the day they were learnt.

    `days`: how many, and how many of them with a status more than seven days old, of the last two days that
    had any. `usual`: the median of the days that had any in the four weeks before, 0 of fewer than a week.
    """

    days: tuple[tuple[int, int], ...] = ()
    usual: float = 0.0


NO_ARRIVALS: Final = Arrivals()


def arrivals(told: Mapping[int, tuple[int, int]], today: int) -> Arrivals:
    """What arrived by `today`: of each day of learning (since 1970) the events, and how many were old."""
    near = [told[day] for day in sorted(told, reverse=True) if today - _NEAR < day <= today][:2]
    before = [events for day, (events, _) in told.items() if today - WINDOW <= day < today]
    return Arrivals(tuple(near), float(median(before)) if len(before) >= _USUAL else 0.0)


class Figures(Struct, frozen=True, gc=False, kw_only=True):
    """What is known of one subject at the moment that data are complete to.

    `kind`: its level in the register. `recent`, `before`, `year`: tallies by name of the last `WINDOW` days,
    of as many before them, and of the same a year before. `target`: that of its result rate. `peers`: the
    result rates of those of its kind that have enough dossiers, `falls` how far theirs fell (before − now).
    `starts`: whether its duty to digitise began before the window did. `office`: of a unit, how it is heard.
    `arrived`: what it sent lately.
    """

    subject: str
    level: Level
    kind: str
    body: str
    recent: Mapping[str, int]
    before: Mapping[str, int] = {}
    year: Mapping[str, int] = {}
    target: Target | None = None
    peers: Peers = Peers(())
    falls: Peers = Peers(())
    starts: bool = False
    office: Office | None = None
    arrived: Arrivals = NO_ARRIVALS


class Reading(Struct, frozen=True, gc=False):
    """Where a rule finds a subject. Shares are of 1; `threshold` is what `value` was held against.

    `bar` is what the parts of an explanation are held against, and `median` that of the peers, None without.
    """

    zone: Zone
    value: float | None = None
    threshold: float | None = None
    numerator: int = 0
    denominator: int = 0
    severity: Severity | None = None
    median: float | None = None
    bar: float | None = None


NOTHING: Final = Reading("good")


class Rule(Struct, frozen=True, kw_only=True):
    """A rule. `hold`, `recover`: working days that *bad* and *good* must last, 0 for at once.

    `threshold`, `recovery`: where *bad* begins and where *good* does; `minimum`: the least denominator.
    `parts`: the tallies (numerator, denominator) by which units and systems explain a gap, `more_is_worse`
    its sign.
    `text_vi`, `text_en` say what is the matter in words that `rates.verdicts` fills in. `shares`: its
    values are shares of dossiers. `quiet`: nobody is told.
    """

    id: str
    name_vi: str
    name_en: str
    levels: tuple[Level, ...]
    severity: Severity
    threshold: float
    recovery: float
    minimum: int
    hold: int
    recover: int
    read: "Callable[[Rule, Figures], Reading]"
    tallies: tuple[str, ...]
    text_vi: str
    text_en: str
    source: str
    parts: tuple[str, str] | None = None
    more_is_worse: bool = True
    shares: bool = True
    quiet: bool = False

    @property
    def anchor(self) -> str:
        """Where the handbook says what to do."""
        return f"docs/operations.md#{self.id.lower()}"


def rate(counts: Mapping[str, int]) -> float | None:
    """The clean result rate, where the sample is large enough to be one."""
    required = counts.get(REQUIRED, 0)
    return counts.get(RESULT, 0) / required if required >= FEW else None


def _lagging(rule: Rule, of: Figures) -> Reading:
    numerator, denominator = of.recent.get(RESULT, 0), of.recent.get(REQUIRED, 0)
    target = of.target.target if of.target is not None else None
    if denominator < rule.minimum:
        return Reading("few", None, target, numerator, denominator)
    value = numerator / denominator
    if target is None:
        return Reading("good", value, None, numerator, denominator)
    middle = of.peers.median(value) if of.peers.others(value) >= PEERS else None
    bar = target if middle is None else min(target, middle)
    severity: Severity = "critical" if value < rule.threshold * target else rule.severity
    zone: Zone = "between"
    if wilson(numerator, denominator).upper < bar:
        zone = "bad"
    elif bar < target:
        # Half of all are below their peers' median: who is no farther from it than chance explains has ended.
        zone = "good" if wilson(numerator, denominator, Z / 2).upper >= bar else "between"
    elif value >= min(1.0, bar + rule.recovery):
        zone = "good"
    return Reading(zone, value, target, numerator, denominator, severity, middle, target)


def _falling(rule: Rule, of: Figures) -> Reading:
    numerator, denominator = of.recent.get(RESULT, 0), of.recent.get(REQUIRED, 0)
    value = rate(of.recent)
    if value is None:
        return Reading("few", None, rule.threshold, numerator, denominator)
    was, year = rate(of.before), rate(of.year)
    common = of.falls.median(was - value if was is not None else None)
    falls = []
    for earlier, share, lost in ((of.before, was, max(0.0, common or 0.0)), (of.year, year, 0.0)):
        if share is not None:
            surely = fall((earlier[RESULT], earlier[REQUIRED]), (numerator, denominator)).lower > lost
            falls.append((share - value - lost, surely, share))
    if not falls:
        return Reading("few", None, rule.threshold, numerator, denominator)
    worst = max(own for own, _, _ in falls)
    bad = [(own, share) for own, surely, share in falls if surely and own >= rule.threshold]
    zone: Zone = "bad" if bad else "good" if worst < rule.recovery else "between"
    bar = max(bad)[1] if bad else max(falls)[2]
    return Reading(zone, bar - value, rule.threshold, numerator, denominator, None, common, bar)


def _behind(rule: Rule, of: Figures) -> Reading:
    numerator, denominator = of.recent.get(RESULT, 0), of.recent.get(REQUIRED, 0)
    if denominator < rule.minimum:
        return Reading("few", None, None, numerator, denominator)
    value = numerator / denominator
    middle = of.peers.median(value)
    if middle is None or of.peers.others(value) < PEERS:
        return Reading("good", value, None, numerator, denominator)
    target = of.target.target if of.target is not None else 1.0
    many = of.peers.others(value) >= 10
    lowest = of.peers.quantile(0.10) if many else None
    low = of.peers.quantile(0.15) if many else None
    upper = wilson(numerator, denominator).upper
    far = value < middle - rule.threshold or (lowest is not None and value <= lowest)
    near = value > middle - rule.recovery and (low is None or value > low)
    zone: Zone = "between"
    if far and upper < middle and upper < target:
        zone = "bad"
    elif near or value >= min(middle, target):
        zone = "good"
    return Reading(zone, value, middle - rule.threshold, numerator, denominator, None, middle, middle)


def _silent(rule: Rule, of: Figures) -> Reading:
    office = of.office
    if office is None:
        return NOTHING
    zone: Zone = "bad" if office.state == "silent" else "good" if office.state == "fresh" else "between"
    if office.why in ("never", "ended"):
        zone = "good"
    return Reading(zone, float(office.silent_days), rule.threshold, 0, round(office.expected))


def _share(*pairs: tuple[str, str], scale: tuple[float, ...] = ()) -> "Callable[[Rule, Figures], Reading]":
    """The worst of these shares; `scale`: what each is multiplied by to be held against one threshold."""

    def read(rule: Rule, of: Figures) -> Reading:
        worst = None
        for at, (above, below) in enumerate(pairs):
            numerator, denominator = of.recent.get(above, 0), of.recent.get(below, 0)
            if denominator < rule.minimum:
                continue
            share = numerator / denominator
            factor = scale[at] if scale else 1.0
            if worst is None or share * factor > worst[0]:
                worst = share * factor, share, numerator, denominator, factor
        if worst is None:
            return NOTHING
        scaled, share, numerator, denominator, factor = worst
        zone: Zone = "bad" if scaled > rule.threshold else "good" if scaled <= rule.recovery else "between"
        bar = rule.threshold / factor
        return Reading(zone, share, bar, numerator, denominator, None, None, bar)

    return read


def _burst(rule: Rule, of: Figures) -> Reading:
    """The worst of the days that have enough events: the share that is old, and how many times the usual."""
    days = [(events, old) for events, old in of.arrived.days if events >= rule.minimum]
    if not days:
        return Reading("good" if not of.arrived.days else "between")
    usual = of.arrived.usual

    def strain(day: tuple[int, int]) -> float:
        """How far it is towards being bad, which it is from 1 on."""
        events, old = day
        return max(old / events / rule.threshold, events / (_BURST * usual) if usual else 0.0)

    events, old = max(days, key=strain)
    worst = strain((events, old))
    zone: Zone = "bad" if worst >= 1 else "good" if worst <= rule.recovery / rule.threshold else "between"
    return Reading(zone, old / events, rule.threshold, old, events, None, usual or None, rule.threshold)


def _faked(rule: Rule, of: Figures) -> Reading:
    reported = of.recent.get("e_result", 0)
    if reported < rule.minimum:
        return NOTHING
    fakes = reported - of.recent.get("e_result_clean", 0)
    share = fakes / reported
    zone: Zone = "bad" if share > rule.threshold else "good" if share <= rule.recovery else "between"
    return Reading(zone, share, rule.threshold, fakes, reported)


def _constant(rule: Rule, of: Figures) -> Reading:
    received = of.recent.get("received", 0)
    if received < rule.minimum:
        return NOTHING
    most = max(of.recent.get("digitised", 0), of.recent.get("population_database", 0))
    share = most / received
    zone: Zone = "bad" if most == received else "good" if share <= rule.recovery else "between"
    return Reading(zone, share, rule.threshold, most, received)


def _not_started(rule: Rule, of: Figures) -> Reading:
    received, digitised = of.recent.get("received", 0), of.recent.get("digitised", 0)
    if digitised:
        return Reading("good", digitised / received, 0.0, digitised, received)
    if not of.starts or received < rule.minimum:
        return Reading("between", None, 0.0, 0, received) if received else NOTHING
    return Reading("bad", 0.0, 0.0, 0, received)


def _drifting(rule: Rule, of: Figures) -> Reading:
    received, required = of.recent.get("received", 0), of.recent.get(REQUIRED, 0)
    counted = of.recent.get("done", 0) + of.recent.get("open", 0)
    if counted != received:
        return Reading("bad", counted / received if received else None, 1.0, counted, received)
    if received < rule.minimum:
        return NOTHING
    share = required / received
    zone: Zone = "bad" if required in (0, received) else "good" if share <= rule.recovery else "between"
    return Reading(zone, share, rule.threshold, required, received)


def _few(rule: Rule, of: Figures) -> Reading:
    numerator, denominator = of.recent.get(RESULT, 0), of.recent.get(REQUIRED, 0)
    zone: Zone = "few" if denominator < rule.minimum else "good"
    return Reading(zone, float(denominator), float(rule.minimum), numerator, denominator)


_OWN: Final = "rule of motcua; thresholds from the field's documented failures"

ALL: Final[tuple[Rule, ...]] = (
    Rule(
        id="R1",
        name_vi="Tụt lại so với mục tiêu",
        name_en="Lagging behind its target",
        levels=_BODIES_AND_UNITS,
        severity="warn",
        threshold=0.5,  # of the target: below it is critical
        recovery=0.01,
        minimum=FEW,
        hold=2,
        recover=1,
        read=_lagging,
        tallies=(RESULT, REQUIRED),
        parts=(RESULT, REQUIRED),
        more_is_worse=False,
        text_vi=(
            "Tỷ lệ kết quả điện tử thực {value} ({numerator}/{denominator}, 28 ngày), thấp hơn mục tiêu "
            "{threshold}{vs_median_vi}"
        ),
        text_en=(
            "Clean electronic-result rate {value} ({numerator}/{denominator}, 28 days), below the target of "
            "{threshold}{vs_median_en}"
        ),
        source="Decision 468/QĐ-TTg (targets); Decision 766/QĐ-TTg, indicator 4.1",
    ),
    Rule(
        id="R2",
        name_vi="Sụt giảm",
        name_en="Falling",
        levels=_BODIES_AND_UNITS,
        severity="warn",
        threshold=0.10,
        recovery=0.05,
        minimum=FEW,
        hold=2,
        recover=1,
        read=_falling,
        tallies=(RESULT, REQUIRED),
        parts=(RESULT, REQUIRED),
        more_is_worse=False,
        text_vi=(
            "Tỷ lệ kết quả điện tử thực giảm {value} so với cùng kỳ trước (từ {bar}, còn "
            "{numerator}/{denominator}), nhiều hơn đồng cấp từ {threshold} trở lên"
        ),
        text_en=(
            "Clean electronic-result rate down by {value} from the same period before (from {bar} to "
            "{numerator}/{denominator}), {threshold} or more beyond what peers lost"
        ),
        source="Decision 766/QĐ-TTg, indicator 4.1, same definition at both ends",
    ),
    Rule(
        id="R3",
        name_vi="Kém đồng cấp",
        name_en="Behind its peers",
        levels=_BODIES_AND_UNITS,
        severity="info",
        threshold=0.15,
        recovery=0.12,
        minimum=FEW,
        hold=2,
        recover=1,
        read=_behind,
        tallies=(RESULT, REQUIRED),
        parts=(RESULT, REQUIRED),
        more_is_worse=False,
        text_vi=(
            "Tỷ lệ kết quả điện tử thực {value} ({numerator}/{denominator}), kém trung vị đồng cấp {median} "
            "từ 15 điểm trở lên hoặc thuộc 10 % thấp nhất"
        ),
        text_en=(
            "Clean electronic-result rate {value} ({numerator}/{denominator}), 15 points or more under its "
            "peers' median of {median}, or in their lowest tenth"
        ),
        source="Decision 766/QĐ-TTg, indicator 4.1",
    ),
    Rule(
        id="R4",
        name_vi="Im lặng",
        name_en="Silent",
        levels=_UNITS,
        severity="critical",
        threshold=1.0,
        recovery=0.0,
        minimum=0,
        hold=0,
        recover=0,
        read=_silent,
        tallies=(),
        shares=False,
        text_vi=(
            "Không có hồ sơ nào trong {days} ngày làm việc, trong khi nhịp thường ngày cho thấy khoảng "
            "{denominator} hồ sơ"
        ),
        text_en=(
            "Not heard of for {days} working days, in which its rhythm lets about {denominator} dossiers be "
            "expected"
        ),
        source="Decision 31/2021/QĐ-TTg, Art. 30(3); the rhythm as rates.freshness has it",
    ),
    Rule(
        id="R5",
        name_vi="Đồng bộ muộn",
        name_en="Synchronised late",
        levels=_BODIES_AND_UNITS,
        severity="warn",
        threshold=0.05,
        recovery=0.03,
        minimum=FEW,
        hold=1,
        recover=1,
        read=_share(("sync_late", "received"), ("overdue_sync_late", "late")),
        tallies=("sync_late", "received", "overdue_sync_late", "late"),
        parts=("sync_late", "received"),
        text_vi=(
            "{value} ({numerator}/{denominator}) được đồng bộ sau hơn 24 giờ, hoặc quá hạn chỉ vì đồng bộ "
            "muộn; giới hạn {threshold}"
        ),
        text_en=(
            "{value} ({numerator}/{denominator}) synchronised after more than 24 hours, or overdue only by "
            "late synchronisation; limit {threshold}"
        ),
        source="Decision 31/2021/QĐ-TTg, Art. 30(3)",
    ),
    Rule(
        id="R6",
        name_vi="Dồn hoặc lùi ngày",
        name_en="Burst or backdated",
        levels=_BODIES_AND_UNITS,
        severity="inspect",
        threshold=0.20,
        recovery=0.15,
        minimum=FEW,
        hold=0,
        recover=1,
        read=_burst,
        tallies=("backdated", "received"),
        parts=("backdated", "received"),
        text_vi=(
            "Trong một ngày có {denominator} sự kiện (ngày thường {usual}), {numerator} ({value}) trong đó "
            "có thời điểm trạng thái cũ hơn 7 ngày; giới hạn {threshold}, hoặc gấp 5 lần ngày thường"
        ),
        text_en=(
            "{denominator} events in a day (usually {usual}), {numerator} of them ({value}) with a status "
            "older than 7 days; limit {threshold}, or 5 times the usual"
        ),
        source=_OWN,
    ),
    Rule(
        id="R7",
        name_vi="Kết quả giả",
        name_en="Input paper sent as result",
        levels=_BODIES_AND_UNITS,
        severity="inspect",
        threshold=0.005,
        recovery=0.004,
        minimum=FEW,
        hold=1,
        recover=1,
        read=_faked,
        tallies=("e_result", "e_result_clean"),
        text_vi=(
            "{value} kết quả điện tử ({numerator}/{denominator}) chỉ là giấy tờ nộp vào; giới hạn {threshold}"
        ),
        text_en=(
            "{value} of electronic results ({numerator}/{denominator}) are merely papers that were handed "
            "in; limit {threshold}"
        ),
        source="Circular 01/2023/TT-VPCP, Art. 8",
    ),
    Rule(
        id="R8",
        name_vi="Trường không đổi",
        name_en="Constant field",
        levels=_UNITS,
        severity="inspect",
        threshold=1.0,
        recovery=0.99,
        minimum=100,
        hold=1,
        recover=1,
        read=_constant,
        tallies=("received", "digitised", "population_database"),
        text_vi=(
            "Một trường (đã số hóa hoặc dữ liệu dân cư) mang cùng một giá trị ở {numerator}/{denominator} "
            "hồ sơ"
        ),
        text_en=(
            "One field (digitised, or population database) has one value on {numerator} of {denominator} "
            "dossiers"
        ),
        source=_OWN,
    ),
    Rule(
        id="R9",
        name_vi="Trạng thái bất thường",
        name_en="Status anomaly",
        levels=_BODIES_AND_UNITS,
        severity="inspect",
        threshold=0.01,
        recovery=0.008,
        minimum=FEW,
        hold=1,
        recover=1,
        # 1 % of dossiers that were closed and open again; 2 % of the done that were never processed.
        read=_share(("reopened", "received"), ("closed_from_supplement", "done"), scale=(1.0, 0.5)),
        tallies=("reopened", "received", "closed_from_supplement", "done"),
        parts=("reopened", "received"),
        text_vi=(
            "{value} hồ sơ ({numerator}/{denominator}) mở lại sau khi đã xong, hoặc kết thúc thẳng từ bước "
            "bổ sung; giới hạn {threshold}"
        ),
        text_en=(
            "{value} of dossiers ({numerator}/{denominator}) opened again once done, or done straight from a "
            "supplement; limit {threshold}"
        ),
        source="status codes of the national synchronisation interface",
    ),
    Rule(
        id="R10",
        name_vi="Thiếu ngày hẹn trả",
        name_en="No due date",
        levels=_BODIES_AND_UNITS,
        severity="warn",
        threshold=0.02,
        recovery=0.015,
        minimum=FEW,
        hold=1,
        recover=1,
        read=_share(("no_due", "received")),
        tallies=("no_due", "received"),
        parts=("no_due", "received"),
        text_vi="{value} hồ sơ ({numerator}/{denominator}) không có ngày hẹn trả; giới hạn {threshold}",
        text_en="{value} of dossiers ({numerator}/{denominator}) without a due date; limit {threshold}",
        source="Decree 61/2018/NĐ-CP; Decree 118/2025/NĐ-CP",
    ),
    Rule(
        id="R12",
        name_vi="Một cửa chưa số hóa",
        name_en="One-stop shop has not begun to digitise",
        levels=_UNITS,
        severity="critical",
        threshold=0.0,
        recovery=0.0,
        minimum=10,
        hold=1,
        recover=0,
        read=_not_started,
        tallies=("received", "digitised"),
        text_vi="Không hồ sơ nào trong {denominator} hồ sơ được số hóa, dù đã đến ngày phải bắt đầu",
        text_en="None of {denominator} dossiers is digitised, although the day to begin has passed",
        source="Directive 02/CT-TTg of 2022-04-26",
    ),
    Rule(
        id="R13",
        name_vi="Mẫu số bất thường",
        name_en="Denominators drift",
        levels=_BODIES,
        severity="info",
        threshold=1.0,
        recovery=0.995,
        minimum=1000,
        hold=1,
        recover=1,
        read=_drifting,
        tallies=("received", REQUIRED, "done", "open"),
        shares=False,
        text_vi="Mẫu số {numerator} và {denominator}: phải bằng nhau thì khác, hoặc phải khác thì bằng nhau",
        text_en=(
            "Denominators {numerator} and {denominator}: equal where they must differ, or the other way round"
        ),
        source="Decision 766/QĐ-TTg, formula document and national portal (ER-766-DOC, ER-766-PORTAL)",
    ),
    Rule(
        id="R14",
        name_vi="Quá ít hồ sơ",
        name_en="Too few dossiers",
        levels=_BODIES_AND_UNITS,
        severity="info",
        threshold=float(FEW),
        recovery=float(FEW),
        minimum=FEW,
        hold=0,
        recover=0,
        read=_few,
        tallies=(REQUIRED,),
        shares=False,
        text_vi="Chỉ {denominator} hồ sơ phải có kết quả trong 28 ngày: quá ít để đánh giá R1–R3",
        text_en="Only {denominator} dossiers with a result due in 28 days: too few for R1–R3",
        source=_OWN,
        quiet=True,
    ),
)


RULES: Final = ALL
CHANGEABLE: Final = ("severity", "threshold", "recovery", "minimum", "hold", "recover")
"""What may be set otherwise to see what would have fired."""


class RulesError(ValueError):
    """Changes of rules that cannot be made; says why, and what may be given."""


def altered(changes: Mapping[str, Mapping[str, object]]) -> tuple[Rule, ...]:
    """The rules with some of their numbers changed, by rule and name; `off = true` leaves a rule out."""
    known = {one.id for one in RULES}
    strange = sorted(set(changes) - known)
    if strange:
        msg = f"no rule {', '.join(strange)}; there are {', '.join(one.id for one in RULES)}"
        raise RulesError(msg)
    found = []
    for one in RULES:
        change = dict(changes.get(one.id, {}))
        if change.pop("off", False) is True:
            continue
        strange = sorted(set(change) - set(CHANGEABLE))
        if strange:
            msg = (
                f"{one.id} has no {', '.join(strange)} to be changed; there are {', '.join(CHANGEABLE)}, off"
            )
            raise RulesError(msg)
        try:
            found.append(msgspec.convert(msgspec.structs.asdict(one) | change, Rule))
        except msgspec.ValidationError as error:
            raise RulesError(f"{one.id}: {error}") from None
    return tuple(found)


def rule(identifier: str) -> Rule:
    """The rule of that id; a `LookupError` that names the known ones otherwise."""
    for known in RULES:
        if known.id == identifier:
            return known
    msg = f"no rule {identifier!r}; choose one of {', '.join(known.id for known in RULES)}"
    raise LookupError(msg)
