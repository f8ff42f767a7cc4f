"""Rows of panels as the page shows them: names from the register, rates beside their counts, an order.

A rate never stands without its numerator and denominator, and 0/0 is "–". Sums over bodies pool the counts.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from dashboards.figures import percent
from dashboards.page.asked import Asked, Lang
from dashboards.page.standing import MINIMUM, Counts, Standing, interval, ranks, stand
from dashboards.page.words import (
    AGE_NAMES,
    REASONS,
    STATUSES,
    SYSTEM_NAMES,
    count,
    day,
    decimal,
    moment,
    say,
)
from dashboards.panels import AGES
from rates.definitions import Definition, Form
from rates.register import BODY_LEVELS, Register
from rates.targets import Target
from rates.wire import Reason

Row: TypeAlias = Mapping[str, Any]
NONE: Final = "–"


class Rate(Struct, frozen=True):
    """A rate ready to be shown; `share` is its bar's length in per cent, `whole` its two counts.

    `low` and `high`: its 95 % interval (Wilson), in per cent; "" for 0/0.
    """

    text: str
    numerator: str
    denominator: str
    share: str
    whole: tuple[int, int]
    low: str = ""
    high: str = ""

    @property
    def known(self) -> bool:
        return self.text != NONE


class Line(Struct, frozen=True):
    """A line of a table of rates: a definition, a body or a unit."""

    code: str
    name: str
    reported: Rate
    clean: Rate
    definition: Definition | None = None
    standing: Standing = Standing(few=False)

    def chosen(self, form: Form) -> Rate:
        """The rate in a form."""
        return self.clean if form == "clean" else self.reported


Weigh: TypeAlias = Callable[[str], tuple[Counts | None, Target | None]]
"""What a code's rate is held against: its counts of the year before, and its target."""


def unweighed(_: str) -> tuple[Counts | None, Target | None]:
    """Held against nothing."""
    return None, None


class Group(Struct, frozen=True):
    """Bodies of one kind with their pooled rate; `heard` of them have a dossier in the denominator."""

    key: str
    pooled: Line
    lines: tuple[Line, ...]
    heard: int


class Rejected(Struct, frozen=True):
    code: str
    name: str
    meaning: str
    events: str
    latest: str


class Dossier(Struct, frozen=True):
    number: str
    day: str
    status: str
    system: str
    procedure: str
    procedure_name: str
    received: str
    completed: str
    due: str
    counts: bool


def rate(numerator: int, denominator: int, lang: Lang) -> Rate:
    found = percent(numerator, denominator)
    low, high = interval(numerator, denominator)
    return Rate(
        text=NONE if found is None else decimal(f"{found} %", lang),
        numerator=count(numerator, lang),
        denominator=count(denominator, lang),
        share=found or "0",
        whole=(numerator, denominator),
        low="" if found is None else f"{100 * low:.1f}",
        high="" if found is None else f"{100 * high:.1f}",
    )


def line(
    code: str, name: str, counts: Sequence[int], lang: Lang, definition: Definition | None = None
) -> Line:
    """A line from (reported, clean, total)."""
    reported, clean, total = counts
    return Line(code, name, rate(reported, total, lang), rate(clean, total, lang), definition)


def definitions(
    rows: Iterable[Row],
    known: Sequence[Definition],
    asked: Asked,
    before: Iterable[Row] = (),
    target: Target | None = None,
) -> list[Line]:
    """One line for each definition, in their order; `before`: the same rows of the year before."""
    lang = asked.lang
    found = {row["definition"]: _counts(row) for row in rows}
    earlier = {row["definition"]: _counts(row) for row in before}
    lines = []
    for one in known:
        made = line(one.id, say((one.name_vi, one.name_en), lang), found.get(one.id, (0, 0, 0)), lang, one)
        counts = earlier.get(one.id)
        against = None if counts is None else _pair(counts, asked.form)
        standing = stand(made.chosen(asked.form).whole, against, target, lang)
        lines.append(msgspec.structs.replace(made, standing=standing))
    return lines


def ranked(lines: Sequence[Line], asked: Asked, weigh: Weigh = unweighed) -> list[Line]:
    """The same lines, each with where it stands among all of them."""
    counts = [one.chosen(asked.form).whole for one in lines]
    stood = []
    for one, own, (rank, possible) in zip(lines, counts, ranks(counts), strict=True):
        standing = stand(own, *weigh(one.code), asked.lang)
        standing = msgspec.structs.replace(standing, rank=rank, ranks=possible)
        stood.append(msgspec.structs.replace(one, standing=standing))
    return stood


def groups(
    rows: Iterable[Row],
    register: Register,
    today: int,
    asked: Asked,
    weigh: Weigh = unweighed,
    levels: Sequence[str] = BODY_LEVELS,
) -> list[Group]:
    """The bodies by kind: registered ones always, so that silence shows; others if they have dossiers."""
    counts = {row["code"]: _counts(row) for row in rows}
    made: list[Group] = []
    placed: set[str] = set()
    for level in levels:
        ever = set(register.bodies(None, level))
        codes = set(register.bodies(today, level)) | (ever & counts.keys())
        placed |= ever
        made.append(_group(level, codes, counts, register, today, asked, weigh))
    others = counts.keys() - placed
    if others:
        made.append(_group("other_bodies", others, counts, register, today, asked, weigh))
    return made


def units(
    rows: Iterable[Row], register: Register, today: int, asked: Asked, weigh: Weigh = unweighed
) -> list[Line]:
    """A body's units, in the order asked for; each is ranked among those of its own level."""
    peers: dict[str, list[Line]] = {}
    for row in rows:
        code = row["code"]
        made = line(code, say(register.name(code, today), asked.lang), _counts(row), asked.lang)
        peers.setdefault(level(register, code, today), []).append(made)
    return _ordered([one for lines in peers.values() for one in ranked(lines, asked, weigh)], asked)


def level(register: Register, code: str, day: int) -> str:
    """The level of a unit on a day, "" where it is not known; after its end that of its last row."""
    row = register.unit(code, day)
    if row is None:
        ended = register.ends(code)
        row = register.unit(code, ended) if ended is not None else None
    return row.level if row is not None else ""


def dossiers(rows: Iterable[Row], register: Register, lang: Lang) -> list[Dossier]:
    shown = []
    for row in rows:
        procedure = register.procedure(row["procedure_code"])
        status = STATUSES.get(row["status"])
        system = SYSTEM_NAMES.get(row["system"])
        shown.append(
            Dossier(
                number=row["number"],
                day=day(row["counted_day"], lang),
                status=say(status, lang) if status else str(row["status"]),
                system=say(system, lang) if system else row["system"],
                procedure=row["procedure_code"] or NONE,
                procedure_name=say((procedure.name_vi, procedure.name_en), lang) if procedure else "",
                received=moment(row["received_time"], lang),
                completed=moment(row["completed_time"], lang),
                due=moment(row["due_time"], lang),
                counts=bool(row["counts"]),
            )
        )
    return shown


def rejections(rows: Iterable[Row], lang: Lang) -> tuple[list[Rejected], str]:
    """One line for each reason of the closed list, those that happened first; and how many in all."""
    found = {row["reason_code"]: row for row in rows}
    codes = [*Reason, *sorted(found.keys() - set(Reason))]
    codes.sort(key=lambda code: code not in found)
    shown = []
    for code in codes:
        name, meaning = REASONS.get(code, ((code, code), (NONE, NONE)))
        row = found.get(code)
        shown.append(
            Rejected(
                code=str(code),
                name=say(name, lang),
                meaning=say(meaning, lang),
                events=count(row["events"] if row else 0, lang),
                latest=moment(row["latest"] if row else None, lang),
            )
        )
    return shown, count(sum(row["events"] for row in found.values()), lang)


def _group(
    key: str,
    codes: Iterable[str],
    counts: Mapping[str, tuple[int, int, int]],
    register: Register,
    today: int,
    asked: Asked,
    weigh: Weigh,
) -> Group:
    none = (0, 0, 0)
    lines = [
        line(code, say(register.name(code, today), asked.lang), counts.get(code, none), asked.lang)
        for code in codes
    ]
    pooled = [sum(each) for each in zip(none, *(counts.get(code, none) for code in codes), strict=True)]
    whole = line(key, "", pooled, asked.lang)
    against = [weigh(code) for code in codes]
    befores = [before for before, _ in against if before is not None]
    earlier = (sum(n for n, _ in befores), sum(d for _, d in befores)) if befores else None
    held = {target for _, target in against}
    standing = stand(
        whole.chosen(asked.form).whole, earlier, held.pop() if len(held) == 1 else None, asked.lang
    )
    return Group(
        key=key,
        pooled=msgspec.structs.replace(whole, standing=standing),
        lines=tuple(_ordered(ranked(lines, asked, weigh), asked)),
        heard=sum(one.reported.whole[1] > 0 for one in lines),
    )


def _ordered(lines: list[Line], asked: Asked) -> list[Line]:
    lines.sort(key=lambda one: (plain(one.name), one.code))
    if asked.sort == "total":
        lines.sort(key=lambda one: -one.reported.whole[1])
    elif asked.sort == "rate":
        # Those with few dossiers, or none, have no rate to rank by: they stand last.
        lines.sort(key=lambda one: _rank(one.chosen(asked.form)))
    return lines


def _rank(shown: Rate) -> tuple[bool, float]:
    numerator, denominator = shown.whole
    return (denominator < MINIMUM, -numerator / denominator if denominator else 0.0)


def plain(name: str) -> str:
    """A name without its marks, so that Đ stands near D and not after Z."""
    parts = unicodedata.normalize("NFD", name.casefold().replace("đ", "d"))
    return "".join(part for part in parts if not unicodedata.combining(part))


def _counts(row: Row) -> tuple[int, int, int]:
    return int(row["reported"]), int(row["clean"]), int(row["total"])


def _pair(counts: tuple[int, int, int], form: Form) -> Counts:
    return (counts[1] if form == "clean" else counts[0]), counts[2]


class Age(Struct, frozen=True):
    """A bucket of the open backlog."""

    key: str
    name: str
    dossiers: str
    share: str
    overdue: bool


def ages(rows: Iterable[Row], lang: Lang) -> tuple[list[Age], str, str]:
    """Every bucket in its order, how many dossiers are open, and how many of them overdue."""
    found = {row["age"]: int(row["dossiers"]) for row in rows}
    whole = sum(found.values())
    late = sum(dossiers for age, dossiers in found.items() if age.startswith("overdue"))
    made = [
        Age(
            key,
            say(AGE_NAMES[key], lang),
            count(found.get(key, 0), lang),
            percent(found.get(key, 0), whole) or "0",
            key.startswith("overdue"),
        )
        for key in AGES
    ]
    return made, count(whole, lang), count(late, lang)
