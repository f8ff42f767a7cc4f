"""Rows of panels as the page shows them: names from the register, rates beside their counts, an order.

A rate never stands without its numerator and denominator, and 0/0 is "–". Sums over bodies pool the counts.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

from dashboards.figures import percent
from dashboards.page.asked import Asked, Lang
from dashboards.page.words import REASONS, STATUSES, SYSTEM_NAMES, count, day, decimal, moment, say
from rates.definitions import Definition
from rates.register import BODY_LEVELS, Register
from rates.wire import Reason

Row: TypeAlias = Mapping[str, Any]
NONE: Final = "–"


class Rate(Struct, frozen=True):
    """A rate ready to be shown; `share` is its bar's length in per cent, `whole` its two counts."""

    text: str
    numerator: str
    denominator: str
    share: str
    whole: tuple[int, int]

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
    return Rate(
        text=NONE if found is None else decimal(f"{found} %", lang),
        numerator=count(numerator, lang),
        denominator=count(denominator, lang),
        share=found or "0",
        whole=(numerator, denominator),
    )


def line(
    code: str, name: str, counts: Sequence[int], lang: Lang, definition: Definition | None = None
) -> Line:
    """A line from (reported, clean, total)."""
    reported, clean, total = counts
    return Line(code, name, rate(reported, total, lang), rate(clean, total, lang), definition)


def definitions(rows: Iterable[Row], known: Sequence[Definition], lang: Lang) -> list[Line]:
    """One line for each definition, in their order."""
    found = {row["definition"]: _counts(row) for row in rows}
    names = [say((one.name_vi, one.name_en), lang) for one in known]
    return [
        line(one.id, name, found.get(one.id, (0, 0, 0)), lang, one)
        for one, name in zip(known, names, strict=True)
    ]


def groups(rows: Iterable[Row], register: Register, today: int, asked: Asked) -> list[Group]:
    """The bodies by kind: registered ones always, so that silence shows; others if they have dossiers."""
    counts = {row["code"]: _counts(row) for row in rows}
    made: list[Group] = []
    placed: set[str] = set()
    for level in BODY_LEVELS:
        ever = set(register.bodies(None, level))
        codes = set(register.bodies(today, level)) | (ever & counts.keys())
        placed |= ever
        made.append(_group(level, codes, counts, register, today, asked))
    others = counts.keys() - placed
    if others:
        made.append(_group("other_bodies", others, counts, register, today, asked))
    return made


def units(rows: Iterable[Row], register: Register, today: int, asked: Asked) -> list[Line]:
    """A body's units, in the order asked for."""
    return _ordered(
        [
            line(row["code"], say(register.name(row["code"], today), asked.lang), _counts(row), asked.lang)
            for row in rows
        ],
        asked,
    )


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
) -> Group:
    none = (0, 0, 0)
    lines = [
        line(code, say(register.name(code, today), asked.lang), counts.get(code, none), asked.lang)
        for code in codes
    ]
    pooled = [sum(each) for each in zip(none, *(counts.get(code, none) for code in codes), strict=True)]
    return Group(
        key=key,
        pooled=line(key, "", pooled, asked.lang),
        lines=tuple(_ordered(lines, asked)),
        heard=sum(one.reported.whole[1] > 0 for one in lines),
    )


def _ordered(lines: list[Line], asked: Asked) -> list[Line]:
    lines.sort(key=lambda one: (_plain(one.name), one.code))
    if asked.sort == "total":
        lines.sort(key=lambda one: -one.reported.whole[1])
    elif asked.sort == "rate":
        # Those without a denominator have no rate to rank by: they stand last.
        lines.sort(key=lambda one: _rank(one.clean if asked.form == "clean" else one.reported))
    return lines


def _rank(shown: Rate) -> tuple[bool, float]:
    numerator, denominator = shown.whole
    return (not denominator, -numerator / denominator if denominator else 0.0)


def _plain(name: str) -> str:
    """A name without its marks, so that Đ stands near D and not after Z."""
    parts = unicodedata.normalize("NFD", name.casefold().replace("đ", "d"))
    return "".join(part for part in parts if not unicodedata.combining(part))


def _counts(row: Row) -> tuple[int, int, int]:
    return int(row["reported"]), int(row["clean"]), int(row["total"])
