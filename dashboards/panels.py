"""Each panel once: the question it answers, its SQL over views, its parameters and the shape of its answer.

The page, the JSON of `/api/panels/{id}` and every other exporter read this list, so a number that is shown in
two places cannot come from two queries. SQL reads views only, never tables. Values travel as `{name:Type}`
parameters; what stands for a definition (`$view`, `$denominator`, …) is the program's own names. A panel that
shows `each` definition says so once, and is filled in for all of them, so a new one appears by itself.

A reader may be limited to one body. A panel with the parameter `only` keeps to that body's rows in its SQL;
one that is `open` says nothing of any unit; every other is not for such a reader.
"""

from collections.abc import Iterable, Mapping, Sequence
from string import Template
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from rates.definitions import DEFINITIONS, Definition, Form

Kind: TypeAlias = Literal["text", "count", "time", "day", "flag"]
Shape: TypeAlias = Literal["value", "table"]

FIRST_DAY: Final = "1970-01-02"
LAST_DAY: Final = "2149-06-06"
"""The days that a Date holds, but for 1970-01-01: that one stands for "no day"."""

DEFAULTS: Final[Mapping[str, object]] = {
    "first": FIRST_DAY,
    "last": LAST_DAY,
    "body": "",
    "unit": "",
    "only": "",
    "missing": 0,
    "limit": 50,
    "offset": 0,
}
"""The parameters that have a value of their own when none is given: everything, everywhere."""


class Column(Struct, frozen=True):
    """A column of an answer. Times: seconds since 1970 UTC, 0 for none; days: `YYYY-MM-DD`."""

    name: str
    kind: Kind


class Panel(Struct, frozen=True, kw_only=True):
    """A question and its SQL.

    `each` is what stands for `$each`, once for every definition; a panel without it is about one definition.
    `drill` names the panel that shows what is behind a row, "" for none. `open`: it says nothing of any unit.
    """

    id: str
    question_vi: str
    question_en: str
    sql: str
    parameters: tuple[str, ...] = ()
    columns: tuple[Column, ...]
    shape: Shape = "table"
    each: str = ""
    drill: str = ""
    open: bool = False

    @property
    def limitable(self) -> bool:
        """Whether a reader that is limited to one body may ask it."""
        return self.open or "only" in self.parameters

    def text(
        self,
        definition: Definition = DEFINITIONS[0],
        form: Form = "reported",
        definitions: Sequence[Definition] = DEFINITIONS,
    ) -> str:
        """The SQL for a definition and form; of a panel that shows each definition, for all of them."""
        each = ", ".join(Template(self.each).substitute(_names(one, form)) for one in definitions)
        return Template(self.sql).substitute(_names(definition, form), each=each)

    def values(self, given: Mapping[str, object]) -> dict[str, object]:
        """The panel's parameters, each as given, else by its default."""
        return {name: given[name] if name in given else DEFAULTS[name] for name in self.parameters}

    def frame(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Rows as a frame: the fields with their types, and the values column by column."""
        listed = list(rows)
        return {
            "schema": {"fields": [{"name": c.name, "type": _FIELD[c.kind]} for c in self.columns]},
            "data": {"values": [[row[column.name] for row in listed] for column in self.columns]},
        }


_FIELD: Final[Mapping[Kind, str]] = {
    "text": "string",
    "count": "number",
    "time": "number",
    "day": "string",
    "flag": "boolean",
}


def _names(definition: Definition, form: Form) -> dict[str, str]:
    reported, clean = definition.numerator
    return {
        "definition": definition.id,
        "view": definition.view,
        "basis": definition.basis,
        "numerator": definition.tally(form),
        "reported": reported,
        "clean": clean,
        "denominator": definition.denominator,
    }


def _columns(**kinds: Kind) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in kinds.items())


_ONLY: Final = "({only:String} = '' OR body = {only:String})"
_PERIOD: Final = "day BETWEEN {first:Date} AND {last:Date}"
_RATE: Final = (
    "sum(numerator_reported) AS reported, sum(numerator_clean) AS clean, sum(denominator) AS total FROM $view"
)

FRESHNESS: Final = Panel(
    id="freshness",
    question_vi="Số liệu đầy đủ đến thời điểm nào?",
    question_en="Up to when are the figures complete?",
    # The stamp tells whether anything became durable since: the sum of the partitions' positions.
    sql=(
        "SELECT toUInt32(min(complete_to)) AS complete, toUInt32(max(received_at)) AS latest, "
        "count() AS partitions, toString(sum(toUInt128(version))) AS stamp FROM freshness"
    ),
    columns=_columns(complete="time", latest="time", partitions="count", stamp="text"),
    shape="value",
    open=True,
)

RATES: Final = Panel(
    id="rates",
    question_vi="Tỷ lệ hồ sơ có kết quả điện tử là bao nhiêu, theo từng định nghĩa?",
    question_en="What is the electronic-result rate, under each definition?",
    # One pass over all tallies: a third of what one view after the other costs.
    sql=(
        "SELECT one.1 AS definition, one.2 AS reported, one.3 AS clean, one.4 AS total "
        f"FROM (SELECT arrayJoin([$each]) AS one FROM counts WHERE {_PERIOD} AND {_ONLY} "
        "AND ({body:String} = '' OR body = {body:String}) AND ({unit:String} = '' OR unit = {unit:String}))"
    ),
    each=(
        "('$definition', sumIf($reported, basis = '$basis'), sumIf($clean, basis = '$basis'), "
        "sumIf($denominator, basis = '$basis'))"
    ),
    parameters=("first", "last", "body", "unit", "only"),
    columns=_columns(definition="text", reported="count", clean="count", total="count"),
    drill="bodies",
)

BODIES: Final = Panel(
    id="bodies",
    question_vi="Bộ, ngành và địa phương nào đang ở đâu?",
    question_en="Where do ministries and localities stand?",
    sql=(
        f"SELECT body AS code, {_RATE} WHERE {_PERIOD} AND {_ONLY} "
        "GROUP BY code HAVING reported + total > 0 ORDER BY code"
    ),
    parameters=("first", "last", "only"),
    columns=_columns(code="text", reported="count", clean="count", total="count"),
    drill="units",
)

UNITS: Final = Panel(
    id="units",
    question_vi="Đơn vị nào làm nên tỷ lệ này?",
    question_en="Which units make up this rate?",
    sql=(
        f"SELECT toString(unit) AS code, {_RATE} WHERE {_PERIOD} AND {_ONLY} AND body = {{body:String}} "
        "GROUP BY code HAVING reported + total > 0 ORDER BY code"
    ),
    parameters=("first", "last", "body", "only"),
    columns=_columns(code="text", reported="count", clean="count", total="count"),
    drill="dossiers",
)

DOSSIERS: Final = Panel(
    id="dossiers",
    question_vi="Những hồ sơ nào đứng sau con số này, và hồ sơ nào còn thiếu?",
    question_en="Which dossiers are behind this number, and which are missing from it?",
    sql=(
        "SELECT number, system, toString(procedure) AS procedure_code, status, "
        "toUInt32(received_at) AS received_time, toUInt32(completed_at) AS completed_time, "
        "toUInt32(due_at) AS due_time, toString(${basis}_day) AS counted_day, "
        "toUInt8($numerator AND $denominator) AS counts "
        "FROM dossiers_named WHERE unit = {unit:String} "
        "AND ${basis}_day BETWEEN {first:Date} AND {last:Date} "
        "AND ({only:String} = '' OR ${basis}_body = {only:String}) "
        "AND $denominator AND NOT ({missing:UInt8} AND $numerator) "
        "ORDER BY ${basis}_day DESC, number LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    ),
    parameters=("first", "last", "unit", "only", "missing", "limit", "offset"),
    columns=_columns(
        number="text",
        system="text",
        procedure_code="text",
        status="count",
        received_time="time",
        completed_time="time",
        due_time="time",
        counted_day="day",
        counts="flag",
    ),
)

REJECTIONS: Final = Panel(
    id="rejections",
    question_vi="Sự kiện nào bị loại, và vì sao?",
    question_en="Which events were rejected, and why?",
    sql=(
        "SELECT toString(reason) AS reason_code, count() AS events, toUInt32(max(received_at)) AS latest "
        f"FROM rejections WHERE {_ONLY} GROUP BY reason_code ORDER BY reason_code"
    ),
    parameters=("only",),
    columns=_columns(reason_code="text", events="count", latest="time"),
)

SCOREBOARD_BODIES: Final = Panel(
    id="scoreboard_bodies",
    question_vi="Từng bộ, ngành, địa phương làm được gì trong hai kỳ của báo cáo?",
    question_en="What did each body do in the report's two periods?",
    sql=(
        "SELECT body AS code, toString(toYear(day)) AS year, sum($reported) AS with_result, "
        "sum($denominator) AS total, sum(received) AS dossiers, sum(digitised) AS digitising, "
        "sum(population_database) AS connected FROM counts WHERE basis = '$basis' "
        "AND (day BETWEEN {first:Date} AND {last:Date} "
        "OR day BETWEEN {first_before:Date} AND {last_before:Date}) GROUP BY code, year ORDER BY code, year"
    ),
    parameters=("first", "last", "first_before", "last_before"),
    columns=_columns(
        code="text",
        year="text",
        with_result="count",
        total="count",
        dossiers="count",
        digitising="count",
        connected="count",
    ),
)

SCOREBOARD_UNITS: Final = Panel(
    id="scoreboard_units",
    question_vi="Bộ phận một cửa nào đã số hóa hồ sơ?",
    question_en="Which units have digitised dossiers?",
    sql=(
        "SELECT toString(unit) AS code, sum(digitised) AS digitising FROM counts "
        f"WHERE basis = 'received' AND {_PERIOD} GROUP BY code HAVING digitising > 0 ORDER BY code"
    ),
    parameters=("first", "last"),
    columns=_columns(code="text", digitising="count"),
)

PANELS: Final = (
    FRESHNESS,
    RATES,
    BODIES,
    UNITS,
    DOSSIERS,
    REJECTIONS,
    SCOREBOARD_BODIES,
    SCOREBOARD_UNITS,
)


def panel(identifier: str) -> Panel:
    """The panel of that id; a `LookupError` that names the known ones otherwise."""
    for known in PANELS:
        if known.id == identifier:
            return known
    msg = f"no panel {identifier!r}; choose one of {', '.join(p.id for p in PANELS)}"
    raise LookupError(msg)
