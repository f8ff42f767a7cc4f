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

import msgspec
from msgspec import Struct

from rates.anomalies import DETECTORS
from rates.definitions import DEFINITIONS, Definition, Form
from rates.freshness import WINDOW
from rates.known import KINDS, as_known, is_kept
from rates.tallies import BASES, SYSTEMS

Kind: TypeAlias = Literal["text", "count", "time", "day", "flag"]
Shape: TypeAlias = Literal["value", "series", "states", "heat", "table", "matrix", "map"]
"""What an answer is shown as: one row; lines over its first column; the states that its last column has from
the first on, a line for each value of the second; how many are in each band, a column each; a table; cells
of colour; places."""
Unit: TypeAlias = Literal["", "count", "seconds", "milliseconds", "bytes", "points"]
Direction: TypeAlias = Literal["", "up", "down"]

FIRST_DAY: Final = "1970-01-02"
LAST_DAY: Final = "2149-06-06"
"""The days that a Date holds, but for 1970-01-01: that one stands for "no day"."""

DEFAULTS: Final[Mapping[str, object]] = {
    "first": FIRST_DAY,
    "last": LAST_DAY,
    "body": "",
    "unit": "",
    "only": "",
    "units": "*",
    "missing": 0,
    "detector": "",
    "system": "",
    "number": "",
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
    `steady`: its answer changes little from one event to the next.

    `unit` is that of its counts. `ratio` names the columns of a numerator and its denominator: the rate that
    is shown, and judged only where the denominator is at least `least`. `target` is the indicator of
    `rates.targets` that the rate is held to, `direction` where better is.
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
    steady: bool = False
    unit: Unit = ""
    ratio: tuple[str, str] | None = None
    target: str = ""
    direction: Direction = ""
    least: int = 0

    @property
    def limitable(self) -> bool:
        """Whether a reader that is limited to one body may ask it."""
        return self.open or "only" in self.parameters

    @property
    def kept(self) -> bool:
        """Whether it can also be asked as it was known on a day; if not, it always answers for now."""
        return is_kept(self.sql)

    def as_known(self) -> "Panel":
        """The same question about what was known: with the parameter `known`, seconds since 1970 UTC."""
        return msgspec.structs.replace(self, sql=as_known(self.sql), parameters=(*self.parameters, "known"))

    def text(
        self,
        definition: Definition = DEFINITIONS[0],
        form: Form = "reported",
        definitions: Sequence[Definition] = DEFINITIONS,
    ) -> str:
        """The SQL for a definition and form; of a panel that shows each definition, for all of them."""
        return self.filled(names(definition, form), form, definitions)

    def filled(
        self,
        chosen: Mapping[str, str],
        form: Form = "reported",
        definitions: Sequence[Definition] = DEFINITIONS,
    ) -> str:
        """The SQL with `chosen` for the names of the definition that it is about, as `names` has them."""
        each = ", ".join(Template(self.each).substitute(names(one, form)) for one in definitions)
        tallies = sorted({tally for one in definitions for tally in (*one.numerator, one.denominator)})
        bases = sorted({BASES.index(one.basis) for one in definitions})
        return Template(self.sql).substitute(
            chosen,
            each=each,
            tallies=", ".join(tallies),
            bases=", ".join(map(str, bases)),
        )

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


def names(definition: Definition, form: Form) -> dict[str, str]:
    """What stands for a definition and a form in a panel's SQL."""
    reported, clean = definition.numerator
    return {
        "definition": definition.id,
        "view": definition.view,
        "basis": definition.basis,
        "index": str(BASES.index(definition.basis)),
        "numerator": definition.tally(form),
        "reported": reported,
        "clean": clean,
        "denominator": definition.denominator,
    }


def _columns(**kinds: Kind) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in kinds.items())


_ONLY: Final = "({only:String} = '' OR body = {only:String})"
_PERIOD: Final = "day BETWEEN {first:Date} AND {last:Date}"
_SUMS: Final = "body_sums(first = {first:Date}, last = {last:Date})"
_DAYS: Final = "unit_days(first = '1970-01-01', last = '2149-06-06')"
FRESHNESS: Final = Panel(
    id="freshness",
    question_vi="Số liệu đầy đủ đến thời điểm nào?",
    question_en="Up to when are the figures complete?",
    # The stamp tells whether anything became durable since: the sum of the partitions' positions.
    sql=(
        "SELECT complete, latest, partitions, stamp, heard, expected, delay, slowest, canary, lag FROM pipe"
    ),
    columns=_columns(
        complete="time",
        latest="time",
        partitions="count",
        stamp="text",
        heard="count",
        expected="count",
        delay="count",
        slowest="count",
        canary="time",
        lag="count",
    ),
    shape="value",
    open=True,
)

_THEIRS: Final = (
    "({only:String} = '' OR (unit IN (SELECT unit FROM unit_ends WHERE body = {only:String}) "
    "AND body = {only:String}))"
)
_ENDED: Final = (
    f"SELECT unit, min(day) AS began, max(last) AS ended FROM unit_activity WHERE {_THEIRS} GROUP BY unit"
)

ACTIVITY: Final = Panel(
    id="activity",
    question_vi="Đơn vị nào được ghi nhận lần cuối khi nào?",
    question_en="When was each unit last heard of?",
    # How far data go is read before what it says is complete is.
    sql=(
        "SELECT toString(unit) AS code, toString(began) AS first_day, toUInt32(ended) AS last_time, "
        f"toUInt32((SELECT min(complete_to) FROM freshness)) AS complete FROM ({_ENDED}) ORDER BY code"
    ),
    parameters=("only",),
    columns=_columns(code="text", first_day="day", last_time="time", complete="time"),
    steady=True,
)

_OF: Final = "({units:String} = '*' OR unit IN (SELECT arrayJoin(splitByChar(',', {units:String}))))"

# No unit's rhythm begins before this day.
_NEAR: Final = (
    f"day >= (SELECT toDate(greatest(toInt32(toDate(min(ended))) - {WINDOW}, 0)) "
    f"FROM ({_ENDED}) WHERE {_OF}) AND {_OF} AND {_THEIRS}"
)

RHYTHM: Final = Panel(
    id="rhythm",
    question_vi="Nhịp làm việc của từng đơn vị trước lần ghi nhận cuối ra sao?",
    question_en="In what rhythm did each unit work before it was last heard of?",
    sql=(
        "SELECT toString(h.unit) AS code, groupBitOr(if(h.heard, bitShiftLeft(toUInt32(1), "
        "greatest(toDate(e.ended) - h.day, 0)), 0)) AS days, "
        "sumIf(h.received, h.day >= e.began AND h.day < toDate(e.ended)) AS accepted "
        f"FROM (SELECT unit, day, true AS heard, toUInt32(0) AS received FROM unit_activity WHERE {_NEAR} "
        f"UNION ALL SELECT unit, day, false AS heard, received FROM {_DAYS} "
        f"WHERE basis = 0 AND {_NEAR}) AS h INNER JOIN ({_ENDED}) AS e ON e.unit = h.unit "
        f"WHERE h.day >= toDate(e.ended) - {WINDOW} GROUP BY code ORDER BY code"
    ),
    parameters=("units", "only"),
    columns=_columns(code="text", days="count", accepted="count"),
    steady=True,
)

RATES: Final = Panel(
    id="rates",
    question_vi="Tỷ lệ hồ sơ có kết quả điện tử là bao nhiêu, theo từng định nghĩa?",
    question_en="What is the electronic-result rate, under each definition?",
    # One pass for all definitions; a unit's own tallies where one is asked for, else the sums by body.
    sql=(
        "SELECT one.1 AS definition, one.2 AS reported, one.3 AS clean, one.4 AS total "
        "FROM (SELECT arrayJoin([$each]) AS one FROM ("
        f"SELECT basis, $tallies FROM {_SUMS} WHERE {{unit:String}} = '' AND basis IN ($bases) AND {_ONLY} "
        "AND ({body:String} = '' OR body = {body:String}) "
        "UNION ALL SELECT basis_index AS basis, $tallies FROM counts "
        f"WHERE {{unit:String}} != '' AND unit = {{unit:String}} AND {_PERIOD} AND {_ONLY} "
        "AND ({body:String} = '' OR body = {body:String})))"
    ),
    each=(
        "('$definition', sumIf($reported, basis = $index), sumIf($clean, basis = $index), "
        "sumIf($denominator, basis = $index))"
    ),
    parameters=("first", "last", "body", "unit", "only"),
    columns=_columns(definition="text", reported="count", clean="count", total="count"),
    drill="bodies",
    ratio=("reported", "total"),
    direction="up",
    least=30,
)

BODIES: Final = Panel(
    id="bodies",
    question_vi="Bộ, ngành và địa phương nào đang ở đâu?",
    question_en="Where do ministries and localities stand?",
    sql=(
        f"SELECT body AS code, sum($reported) AS reported, sum($clean) AS clean, sum($denominator) AS total "
        f"FROM {_SUMS} WHERE basis = $index AND {_ONLY} "
        "GROUP BY code HAVING reported + total > 0 ORDER BY code"
    ),
    parameters=("first", "last", "only"),
    columns=_columns(code="text", reported="count", clean="count", total="count"),
    drill="units",
    ratio=("reported", "total"),
    target="e_result",
    direction="up",
    least=30,
)

UNITS: Final = Panel(
    id="units",
    question_vi="Đơn vị nào làm nên tỷ lệ này?",
    question_en="Which units make up this rate?",
    sql=(
        "SELECT toString(unit) AS code, sum($reported) AS reported, sum($clean) AS clean, "
        "sum($denominator) AS total FROM unit_sums(first = {first:Date}, last = {last:Date}) "
        f"WHERE basis = $index AND {_ONLY} AND body = {{body:String}} "
        "GROUP BY code HAVING reported + total > 0 ORDER BY code"
    ),
    parameters=("first", "last", "body", "only"),
    columns=_columns(code="text", reported="count", clean="count", total="count"),
    drill="dossiers",
    ratio=("reported", "total"),
    target="e_result",
    direction="up",
    least=30,
)

_DOSSIER: Final = (
    "SELECT number, system, toString(procedure) AS procedure_code, status, "
    "toUInt32(received_at) AS received_time, toUInt32(completed_at) AS completed_time, "
    "toUInt32(due_at) AS due_time, "
)

DOSSIERS: Final = Panel(
    id="dossiers",
    question_vi="Những hồ sơ nào đứng sau con số này, và hồ sơ nào còn thiếu?",
    question_en="Which dossiers are behind this number, and which are missing from it?",
    sql=(
        f"{_DOSSIER}toString(${{basis}}_day) AS counted_day, "
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

REJECTIONS_BY_UNIT: Final = Panel(
    id="rejections_by_unit",
    question_vi="Hồ sơ của đơn vị nào bị loại, vì sao, và còn chờ xử lý không?",
    question_en="Whose records were rejected, why, and are they still waiting?",
    # By letter: the same record refused many times is one, and one that was sent again and taken is not open.
    sql=(
        "SELECT unit AS code, reason AS reason_code, count() AS rejected, toUInt64(sum(seen)) AS events, "
        "countIf(state != 'replayed') AS unsettled, toUInt32(max(last_seen)) AS latest FROM letters "
        f"WHERE {_ONLY} AND ({{unit:String}} = '' OR unit = {{unit:String}}) "
        "GROUP BY code, reason_code ORDER BY unsettled DESC, code, reason_code "
        "LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    ),
    parameters=("unit", "only", "limit", "offset"),
    columns=_columns(
        code="text", reason_code="text", rejected="count", events="count", unsettled="count", latest="time"
    ),
)

SCOREBOARD_BODIES: Final = Panel(
    id="scoreboard_bodies",
    question_vi="Từng bộ, ngành, địa phương làm được gì trong hai kỳ của báo cáo?",
    question_en="What did each body do in the report's two periods?",
    sql=(
        "SELECT body AS code, year, sum($reported) AS with_result, "
        "sum($denominator) AS total, sum(received) AS dossiers, sum(digitised) AS digitising, "
        "sum(population_database) AS connected FROM ("
        "SELECT *, arrayJoin(arrayConcat("
        f"if({_PERIOD}, [toString(toYear({{first:Date}}))], []), "
        "if(day BETWEEN {first_before:Date} AND {last_before:Date}, "
        "[toString(toYear({first_before:Date}))], []))) AS year FROM body_sums("
        "first = least({first:Date}, {first_before:Date}), last = greatest({last:Date}, {last_before:Date}))"
        ") WHERE basis = $index GROUP BY code, year ORDER BY code, year"
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
        "SELECT toString(unit) AS code, sum(digitised) AS digitising "
        "FROM unit_days(first = {first:Date}, last = {last:Date}) WHERE basis = 0 "
        "GROUP BY code HAVING digitising > 0 ORDER BY code"
    ),
    parameters=("first", "last"),
    columns=_columns(code="text", digitising="count"),
)

_LIVE: Final = "numbers['ended'] = 0 AND told_at > now() - 60"


def _rate(*names: str) -> str:
    """SQL for how many a second of these numbers in the last minute; NULL where two tellings are wanting."""
    now, then = (
        " + ".join(f"{which}['{name}']" for name in names) for which in ("numbers", "numbers_earlier")
    )
    span = "toUInt32(told_at) - toUInt32(earlier_at)"
    several = "toUInt32(earlier_at) > 0 AND told_at > earlier_at"
    return f"if({several}, round((({now}) - ({then})) / ({span}), 1), NULL)"


WORKERS: Final = Panel(
    id="workers",
    question_vi="Từng tiến trình xử lý đang làm gì?",
    question_en="What is each worker doing?",
    sql=(
        "SELECT worker, toUInt32(told_at) AS told, toUInt32(begun_at) AS begun, "
        "toUInt8(numbers['ended']) AS ended, length(lags) AS partitions, "
        f"{_rate('messages')} AS messages_a_second, "
        f"{_rate('accepted', 'lost', 'applied')} AS events_a_second, "
        f"{_rate('dossiers_written', 'tallies_written')} AS rows_a_second, "
        "numbers['messages'] AS messages, numbers['batches'] AS batches, numbers['accepted'] AS accepted, "
        "numbers['lost'] AS lost, numbers['applied'] AS applied, "
        "arraySum(mapValues(mapFilter((k, v) -> startsWith(k, 'dead_'), numbers))) AS dead, "
        "numbers['dossiers_written'] AS dossiers_written, numbers['tallies_written'] AS tallies_written, "
        "numbers['retries'] AS retries, numbers['rebalances'] AS rebalances, numbers['held'] AS cached, "
        "numbers['loaded_dossiers'] AS loaded, numbers['buffered_bytes'] AS buffered_bytes, "
        "numbers['audited'] AS audited, numbers['disagreements'] AS disagreements, "
        "if(length(lags) = 0, NULL, arraySum(mapValues(lags))) AS lag "
        "FROM workers_now ORDER BY ended, told DESC, worker LIMIT 50"
    ),
    columns=_columns(
        worker="text",
        told="time",
        begun="time",
        ended="flag",
        partitions="count",
        messages_a_second="count",
        events_a_second="count",
        rows_a_second="count",
        messages="count",
        batches="count",
        accepted="count",
        lost="count",
        applied="count",
        dead="count",
        dossiers_written="count",
        tallies_written="count",
        retries="count",
        rebalances="count",
        cached="count",
        loaded="count",
        buffered_bytes="count",
        audited="count",
        disagreements="count",
        lag="count",
    ),
    open=True,
)

STAGES: Final = Panel(
    id="stages",
    question_vi="Thời gian đi đâu, theo từng bước?",
    question_en="Where does the time go, stage by stage?",
    sql=(
        "SELECT one.1 AS stage, sum(one.2) AS spent, sum(one.3) AS recent FROM (SELECT arrayJoin(arrayMap("
        "k -> (k, stages[k], if(toUInt32(earlier_at) > 0, stages[k] - stages_earlier[k], 0)), mapKeys(stages)"
        f")) AS one FROM workers_now WHERE {_LIVE}) GROUP BY stage ORDER BY stage"
    ),
    columns=_columns(stage="text", spent="count", recent="count"),
    open=True,
)

BATCHES: Final = Panel(
    id="batches",
    question_vi="Mỗi lô có bao nhiêu thông điệp?",
    question_en="How many messages do micro-batches hold?",
    sql=(
        "SELECT toUInt32OrZero(substring(one.1, 9)) AS at_most, sum(one.2) AS batches FROM ("
        "SELECT arrayJoin(arrayZip(mapKeys(numbers), mapValues(numbers))) AS one "
        f"FROM workers_now WHERE {_LIVE}) WHERE startsWith(one.1, 'batches_') "
        "GROUP BY at_most ORDER BY at_most"
    ),
    columns=_columns(at_most="count", batches="count"),
    open=True,
)

PARTITIONS: Final = Panel(
    id="partitions",
    question_vi="Từng phân vùng đã xử lý tới đâu, và chậm bao nhiêu?",
    question_en="How far has each partition come, and how far behind is it?",
    sql=(
        "SELECT partition, toUInt32(complete_to) AS complete, toUInt32(received_at) AS latest, lag, "
        "toUInt32(told_at) AS told, delay_ms, toUInt32(canary_at) AS canary FROM partitions_now "
        "ORDER BY partition"
    ),
    columns=_columns(
        partition="count",
        complete="time",
        latest="time",
        lag="count",
        told="time",
        delay_ms="count",
        canary="time",
    ),
    open=True,
)

AUDITS: Final = Panel(
    id="audits",
    question_vi="Số liệu có khớp với từng hồ sơ đứng sau không?",
    question_en="Do the figures agree with the dossiers behind them?",
    sql=(
        "SELECT count() AS cohorts, countIf(wrong > 0) AS wrong, sum(found) AS found, "
        "toUInt32(max(checked_at)) AS newest, toUInt32(min(checked_at)) AS oldest, "
        "toUInt32(max(found_at)) AS found_latest, toUInt32(max(repaired_at)) AS repaired_latest "
        f"FROM audits_now WHERE {_ONLY}"
    ),
    parameters=("only",),
    columns=_columns(
        cohorts="count",
        wrong="count",
        found="count",
        newest="time",
        oldest="time",
        found_latest="time",
        repaired_latest="time",
    ),
    shape="value",
)

_SYSTEM: Final = f"[{', '.join(repr(name) for name in SYSTEMS)}][system + 1]"
_WITHIN: Final = f"{_ONLY} AND ({{body:String}} = '' OR body = {{body:String}})"

TREND: Final = Panel(
    id="trend",
    question_vi="Tỷ lệ đi lên hay đi xuống, theo từng tháng?",
    question_en="Is the rate rising or falling, month by month?",
    sql=(
        "SELECT toString(toStartOfMonth(day)) AS month, sum(one) AS reported, sum(other) AS clean, "
        "sum(every) AS total FROM ("
        f"SELECT day, $reported AS one, $clean AS other, $denominator AS every FROM {_SUMS} "
        f"WHERE {{unit:String}} = '' AND basis = $index AND {_WITHIN} "
        "UNION ALL SELECT day, $reported AS one, $clean AS other, $denominator AS every FROM counts "
        f"WHERE {{unit:String}} != '' AND unit = {{unit:String}} AND basis_index = $index AND {_PERIOD} "
        f"AND {_WITHIN}) GROUP BY month HAVING reported + total > 0 ORDER BY month"
    ),
    parameters=("first", "last", "body", "unit", "only"),
    columns=_columns(month="day", reported="count", clean="count", total="count"),
    shape="series",
    ratio=("reported", "total"),
    target="e_result",
    direction="up",
    least=30,
)

_REACHED: Final = "(SELECT toDate(min(complete_to)) FROM freshness)"
_AGES: Final = (
    ("overdue_90", "late > 90"),
    ("overdue_30", "late > 30"),
    ("overdue_7", "late > 7"),
    ("overdue", "late > 0"),
    ("today", "late = 0"),
    ("week", "late >= -7"),
)
AGES: Final = (*(name for name, _ in _AGES), "later", "no_due")
"""The buckets of the open backlog, the oldest first: how long it is overdue, or how soon it is due."""
_BUCKET: Final = f"multiIf({', '.join(f'{test}, {name!r}' for name, test in _AGES)}, 'later')"
_EVER: Final = f"body_sums(first = '{FIRST_DAY}', last = '{LAST_DAY}')"
_OPEN: Final = (
    f"SELECT basis, day, open FROM {_EVER} "
    f"WHERE {{unit:String}} = '' AND basis IN (0, 2) AND open > 0 AND {_WITHIN} "
    "UNION ALL SELECT basis_index AS basis, day, open FROM counts "
    "WHERE {unit:String} != '' AND unit = {unit:String} AND basis_index IN (0, 2) AND open > 0 "
    f"AND {_WITHIN}"
)

BACKLOG: Final = Panel(
    id="backlog",
    question_vi="Hồ sơ đang mở đã quá hạn bao lâu, hoặc còn bao lâu tới hạn?",
    question_en="How long are open dossiers overdue, or how soon are they due?",
    # By the day that figures are complete to. Every open dossier counts on its day of receipt: the rest of
    # them has no due day.
    sql=(
        "SELECT age, dossiers FROM (SELECT arrayJoin(arrayConcat(mapKeys(found), ['no_due'])) AS age, "
        "if(age = 'no_due', every - arraySum(mapValues(found)), found[age]) AS dossiers FROM ("
        "SELECT sumMap(if(basis = 2, map(bucket, held), "
        "CAST(map(), 'Map(String, Int64)'))) AS found, sumIf(held, basis = 0) AS every FROM ("
        f"SELECT basis, toString({_BUCKET}) AS bucket, toInt64(sum(open)) AS held FROM (SELECT basis, open, "
        f"toInt32({_REACHED}) - toInt32(day) AS late FROM ({_OPEN})) GROUP BY basis, bucket))) "
        "WHERE dossiers != 0 ORDER BY age"
    ),
    parameters=("body", "unit", "only"),
    columns=_columns(age="text", dossiers="count"),
)

BY_SYSTEM: Final = Panel(
    id="systems",
    question_vi="Từng hệ thống chuyên ngành có bao nhiêu kết quả điện tử?",
    question_en="How many electronic results does each specialised system give?",
    sql=(
        f"SELECT {_SYSTEM} AS code, sum($reported) AS reported, sum($clean) AS clean, "
        f"sum($denominator) AS total FROM {_SUMS} WHERE basis = $index AND {_WITHIN} "
        "GROUP BY code HAVING reported + total > 0 ORDER BY code"
    ),
    parameters=("first", "last", "body", "only"),
    columns=_columns(code="text", reported="count", clean="count", total="count"),
    drill="system_bodies",
    ratio=("reported", "total"),
    direction="up",
    least=30,
)

SYSTEM_BODIES: Final = Panel(
    id="system_bodies",
    question_vi="Trong hệ thống này, bộ, ngành và địa phương nào đang ở đâu?",
    question_en="Within this system, where do ministries and localities stand?",
    sql=(
        f"SELECT body AS code, sum($reported) AS reported, sum($clean) AS clean, "
        f"sum($denominator) AS total FROM {_SUMS} WHERE basis = $index AND {_ONLY} "
        f"AND ({{system:String}} = '' OR {_SYSTEM} = {{system:String}}) "
        "GROUP BY code HAVING reported + total > 0 ORDER BY code"
    ),
    parameters=("first", "last", "system", "only"),
    columns=_columns(code="text", reported="count", clean="count", total="count"),
    drill="units",
    ratio=("reported", "total"),
    target="e_result",
    direction="up",
    least=30,
)

CONNECTIONS: Final = Panel(
    id="connections",
    question_vi="Cơ sở dữ liệu dân cư và các hệ thống chuyên ngành được dùng tới đâu, theo hồ sơ đã tới?",
    question_en="How far are the population database and the specialised systems used, by what has come?",
    sql=(
        f"SELECT body AS code, {_SYSTEM} AS system_code, sum(received) AS dossiers, "
        "sum(population_database) AS connected, toString(maxIf(day, received > 0)) AS latest, "
        "toString(minIf(day, population_database > 0)) AS connected_first, "
        "toString(maxIf(day, population_database > 0)) AS connected_latest "
        f"FROM {_SUMS} WHERE basis = 0 AND {_ONLY} "
        "GROUP BY code, system_code HAVING dossiers > 0 ORDER BY code, system_code"
    ),
    parameters=("first", "last", "only"),
    columns=_columns(
        code="text",
        system_code="text",
        dossiers="count",
        connected="count",
        latest="day",
        connected_first="day",
        connected_latest="day",
    ),
    ratio=("connected", "dossiers"),
    direction="up",
    least=30,
)

CONSTANT: Final = 100
"""From so many dossiers on, a field that is the same in all of them is worth a look."""
_SAME: Final = (
    f"dossiers >= {CONSTANT} AND (digitising = dossiers OR connected = dossiers OR results = dossiers)"
)

INSPECTION: Final = Panel(
    id="inspection",
    question_vi="Nên xem xét đơn vị nào trước: kết quả chỉ là giấy tờ đầu vào, hoặc trường luôn như nhau?",
    question_en="Whom to look at first: results that are mere input papers, or fields that never differ?",
    # `found`: how many units there are with evidence, on all pages.
    sql=(
        "SELECT toString(unit) AS code, toString(anyLast(body)) AS body_code, sum(received) AS dossiers, "
        "sum($reported) AS reported, sum($clean) AS clean, sum($denominator) AS total, "
        "sum(digitised) AS digitising, sum(population_database) AS connected, sum(e_result) AS results, "
        "count() OVER () AS found FROM unit_sums(first = {first:Date}, last = {last:Date}) "
        f"WHERE basis = $index AND {_WITHIN} "
        f"GROUP BY code HAVING reported > clean OR ({_SAME}) "
        "ORDER BY toInt64(reported) - toInt64(clean) DESC, dossiers DESC, code "
        "LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    ),
    parameters=("first", "last", "body", "only", "limit", "offset"),
    columns=_columns(
        code="text",
        body_code="text",
        dossiers="count",
        reported="count",
        clean="count",
        total="count",
        digitising="count",
        connected="count",
        results="count",
        found="count",
    ),
    drill="dossiers",
    ratio=("reported", "total"),
    direction="up",
    least=30,
)

ALERTS: Final = Panel(
    id="alerts",
    question_vi="Cảnh báo nào đang mở, về ai, và vì sao?",
    question_en="Which alerts are open, about whom, and why?",
    sql=(
        "SELECT toString(rule) AS rule_id, toString(level) AS level_name, toString(subject) AS code, "
        "toString(body) AS body_code, toString(state) AS state_name, toString(severity) AS severity_name, "
        "toUInt32(since) AS since_time, value, threshold, numerator, denominator, reason_vi, reason_en, "
        "toUInt32(complete_to) AS complete, toUInt32(silenced_until) AS silenced FROM alerts_now "
        f"WHERE {_WITHIN} AND state NOT IN ('ok', 'too_few') "
        "ORDER BY state_name != 'firing', state_name != 'pending', severity_name != 'critical', "
        "since_time DESC, rule_id, code "
        "LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    ),
    parameters=("body", "only", "limit", "offset"),
    columns=_columns(
        rule_id="text",
        level_name="text",
        code="text",
        body_code="text",
        state_name="text",
        severity_name="text",
        since_time="time",
        value="count",
        threshold="count",
        numerator="count",
        denominator="count",
        reason_vi="text",
        reason_en="text",
        complete="time",
        silenced="time",
    ),
)

_UNTIL: Final = f"{_WITHIN} AND toDate(complete_to) <= {{last:Date}}"
_ALERT: Final = "rule, level, subject"
_LATEST_ALERTS: Final = (
    f"SELECT {_ALERT} FROM alert_history WHERE {_UNTIL} GROUP BY {_ALERT} "
    "HAVING argMax(state, complete_to) != 'ok' OR toDate(max(complete_to)) >= {first:Date} "
    "ORDER BY argMax(state, complete_to) = 'firing' DESC, max(complete_to) DESC, rule, subject "
    "LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
)

ALERT_HISTORY: Final = Panel(
    id="alert_history",
    question_vi="Từng cảnh báo bắt đầu, báo động và kết thúc khi nào?",
    question_en="When did each alert begin, fire and end?",
    # The state of before the period stands from the period's begin on. Those that fire come first.
    sql=(
        "SELECT toUInt32(greatest(at, toDateTime({first:Date}, 'Asia/Ho_Chi_Minh'))) AS changed_time, "
        "concat(rule, ' ', subject) AS alert_name, found AS state_name FROM ("
        f"SELECT {_ALERT}, max(complete_to) AS at, argMax(state, complete_to) AS found FROM alert_history "
        f"WHERE {_UNTIL} AND toDate(complete_to) < {{first:Date}} GROUP BY {_ALERT} HAVING found != 'ok' "
        f"UNION ALL SELECT {_ALERT}, complete_to AS at, state AS found FROM alert_history "
        f"WHERE {_UNTIL} AND toDate(complete_to) >= {{first:Date}}) "
        f"WHERE ({_ALERT}) IN ({_LATEST_ALERTS}) ORDER BY changed_time, alert_name"
    ),
    parameters=("first", "last", "body", "only", "limit", "offset"),
    columns=_columns(changed_time="time", alert_name="text", state_name="text"),
    shape="states",
)

_LEAST: Final = 30
_BANDS: Final = range(0, 100, 10)
_IN_BAND: Final = ", ".join(
    f"countIf(share >= {low / 100} AND share < {(low + 10) / 100 if low < 90 else 2}) AS from_{low}"
    for low in _BANDS
)

DISTRIBUTION: Final = Panel(
    id="distribution",
    question_vi="Tỷ lệ của các đơn vị phân bố ra sao, theo từng tháng?",
    question_en="How are the units' rates spread, month by month?",
    # By month: in a week few units have enough dossiers for a rate.
    sql=(
        f"SELECT month, {_IN_BAND} FROM (SELECT toString(toStartOfMonth(day)) AS month, unit, "
        "sum($numerator) / sum($denominator) AS share "
        "FROM unit_days(first = {first:Date}, last = {last:Date}) "
        f"WHERE basis = $index AND {_WITHIN} GROUP BY month, unit HAVING sum($denominator) >= {_LEAST}) "
        "GROUP BY month ORDER BY month"
    ),
    parameters=("first", "last", "body", "only"),
    columns=(Column("month", "day"), *(Column(f"from_{low}", "count") for low in _BANDS)),
    shape="heat",
    steady=True,
)

_LOOKED_FOR: Final = ", ".join(
    f"('{one.id}', toUInt64(sum({one.matching}){f' - sum({one.without})' if one.without else ''}), "
    f"toUInt64(sum({one.of})), toUInt64({one.least}), toFloat64({1 if one.constant else one.ordinary}), "
    f"toUInt8({int(one.constant)}))"
    for one in DETECTORS
)
_OF_DETECTOR: Final = ", ".join(f"{{detector:String}} = '{one.id}', {one.condition}" for one in DETECTORS)

EVIDENCE: Final = Panel(
    id="evidence",
    question_vi="Ở đơn vị nào, dấu hiệu nào vượt mức bình thường?",
    question_en="Which evidence is above the ordinary, and in which units?",
    # What chance explains is left out by whoever shows it: `rates.anomalies` says how.
    sql=(
        "SELECT code, body_code, one.1 AS detector_id, one.2 AS matching, one.3 AS total FROM ("
        "SELECT toString(unit) AS code, toString(anyLast(body)) AS body_code, "
        f"arrayJoin([{_LOOKED_FOR}]) AS one FROM unit_sums(first = {{first:Date}}, last = {{last:Date}}) "
        f"WHERE basis = 0 AND {_WITHIN} GROUP BY code) "
        "WHERE one.2 > 0 AND one.3 >= one.4 AND if(one.6 = 1, one.2 >= one.3, one.2 > one.5 * one.3) "
        "ORDER BY detector_id, matching / total DESC, matching DESC, code "
        "LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    ),
    parameters=("first", "last", "body", "only", "limit", "offset"),
    columns=_columns(code="text", body_code="text", detector_id="text", matching="count", total="count"),
    drill="evidence_dossiers",
)

EVIDENCE_DOSSIERS: Final = Panel(
    id="evidence_dossiers",
    question_vi="Những hồ sơ nào là dấu hiệu?",
    question_en="Which dossiers are the evidence?",
    sql=(
        f"{_DOSSIER}toString(received_day) AS counted_day, toUInt8(1) AS counts "
        "FROM dossiers_named WHERE unit = {unit:String} "
        "AND received_day BETWEEN {first:Date} AND {last:Date} "
        f"AND ({{only:String}} = '' OR received_body = {{only:String}}) AND multiIf({_OF_DETECTOR}, 0) "
        "ORDER BY received_day DESC, number LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    ),
    parameters=("first", "last", "unit", "only", "detector", "limit", "offset"),
    columns=DOSSIERS.columns,
)

MOVED: Final = tuple(f"by_{kind}" for kind in KINDS)
"""What each kind of event added to the numerator; with `_of` at its end, to the denominator."""
_MOVES: Final = ", ".join(
    f"sumIf(above, kind = '{kind}') AS by_{kind}, sumIf(below, kind = '{kind}') AS by_{kind}_of"
    for kind in KINDS
)
_MOVED_BY: Final = f"[{', '.join(f'abs({name}), abs({name}_of)' for name in MOVED)}]"


def _of_body(parameter: str) -> str:
    """SQL for the units that were ever of a body: no other unit's changes are read for its sake."""
    homes = f"SELECT unit FROM unit_homes WHERE body = {{{parameter}:String}}"
    return f"({{{parameter}:String}} = '' OR unit IN ({homes}))"


def _restatement(code: str, where: str) -> str:
    """SQL for what was published of whom at each month's end, what is said now, and what moved it.

    `found`: how many there are on all pages.
    """
    return (
        "SELECT toString(month) AS month, code, published_numerator, published_denominator, numerator, "
        f"denominator, {', '.join(f'{name}, {name}_of' for name in MOVED)}, count() OVER () AS found FROM ("
        f"SELECT month, {code} AS code, sumIf(above, kind = '') AS published_numerator, "
        "sumIf(below, kind = '') AS published_denominator, sum(above) AS numerator, "
        f"sum(below) AS denominator, {_MOVES} FROM (SELECT month, unit, body, kind, $numerator AS above, "
        "$denominator AS below FROM restatements_${basis}(first = {first:Date}, last = {last:Date}) "
        f"WHERE {where} AND {_of_body('only')}) GROUP BY month, code) "
        f"WHERE arraySum({_MOVED_BY}) > 0 "
        f"ORDER BY arraySum({_MOVED_BY}) DESC, month DESC, code "
        "LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    )


_RESTATED: Final = (
    *_columns(
        month="day",
        code="text",
        published_numerator="count",
        published_denominator="count",
        numerator="count",
        denominator="count",
    ),
    *(Column(f"{name}{of}", "count") for name in MOVED for of in ("", "_of")),
    Column("found", "count"),
)

RESTATEMENT: Final = Panel(
    id="restatement",
    question_vi="Từ lúc công bố, số liệu từng tháng của ai đã thay đổi, bao nhiêu và vì sao?",
    question_en="Since they were published, whose monthly figures have moved, by how much and why?",
    sql=_restatement("body", _ONLY),
    parameters=("first", "last", "only", "limit", "offset"),
    columns=_RESTATED,
    drill="restatement_units",
    steady=True,
    ratio=("numerator", "denominator"),
    direction="up",
    least=30,
)

RESTATEMENT_UNITS: Final = Panel(
    id="restatement_units",
    question_vi="Những đơn vị nào làm số liệu đã công bố thay đổi?",
    question_en="Which units moved the figures that were published?",
    sql=_restatement(
        "toString(unit)",
        f"{_WITHIN} AND {_of_body('body')} AND ({{unit:String}} = '' OR unit = {{unit:String}})",
    ),
    parameters=("first", "last", "body", "unit", "only", "limit", "offset"),
    columns=_RESTATED,
    steady=True,
    ratio=("numerator", "denominator"),
    direction="up",
    least=30,
)

DOSSIER: Final = Panel(
    id="dossier",
    question_vi="Hồ sơ này đã thay đổi ra sao, và từng thay đổi được biết khi nào?",
    question_en="How has this dossier changed, and when was each change learnt?",
    sql=(
        "SELECT toUInt32(learnt_at) AS learnt_time, kind AS change_kind, status, "
        "record_status, toUInt32(record_at) AS record_time, progress_status, "
        "toUInt32(progress_at) AS progress_time, system, toString(procedure) AS procedure_code, "
        "toString(sector) AS sector_code, toUInt32(received_at) AS received_time, "
        "toUInt32(completed_at) AS completed_time, toUInt32(due_at) AS due_time, "
        "toUInt8($denominator) AS within, toUInt8($numerator AND $denominator) AS counts "
        "FROM (SELECT *, max(has(bodies, {only:String})) OVER () AS theirs FROM dossier_versions "
        "WHERE unit = splitByChar('-', {number:String})[1] AND number = {number:String}) "
        "WHERE {only:String} = '' OR theirs ORDER BY version, learnt_at"
    ),
    parameters=("number", "only"),
    columns=_columns(
        learnt_time="time",
        change_kind="text",
        status="count",
        record_status="count",
        record_time="time",
        progress_status="count",
        progress_time="time",
        system="text",
        procedure_code="text",
        sector_code="text",
        received_time="time",
        completed_time="time",
        due_time="time",
        within="flag",
        counts="flag",
    ),
)

SWAPS: Final = Panel(
    id="swaps",
    question_vi="Lịch sử nào đã được đưa vào thay số liệu đang chạy, bởi ai và vì sao?",
    question_en="Which history was put in the place of live figures, by whom and why?",
    sql=(
        "SELECT toUInt32(at) AS swapped_time, number AS swap_number, toString(kind) AS swap_kind, "
        "name AS rehearsal, months AS swapped_months, by AS swapped_by, because, "
        "toString(state) AS swap_state FROM swaps_told ORDER BY number DESC LIMIT 50"
    ),
    columns=_columns(
        swapped_time="time",
        swap_number="count",
        swap_kind="text",
        rehearsal="text",
        swapped_months="text",
        swapped_by="text",
        because="text",
        swap_state="text",
    ),
    open=True,
)

PANELS: Final = (
    FRESHNESS,
    ACTIVITY,
    RHYTHM,
    RATES,
    BODIES,
    UNITS,
    DOSSIERS,
    REJECTIONS,
    REJECTIONS_BY_UNIT,
    SCOREBOARD_BODIES,
    SCOREBOARD_UNITS,
    WORKERS,
    STAGES,
    BATCHES,
    PARTITIONS,
    AUDITS,
    TREND,
    BACKLOG,
    BY_SYSTEM,
    SYSTEM_BODIES,
    CONNECTIONS,
    INSPECTION,
    ALERTS,
    ALERT_HISTORY,
    DISTRIBUTION,
    EVIDENCE,
    EVIDENCE_DOSSIERS,
    RESTATEMENT,
    RESTATEMENT_UNITS,
    DOSSIER,
    SWAPS,
)


def panel(identifier: str) -> Panel:
    """The panel of that id; a `LookupError` that names the known ones otherwise."""
    for known in PANELS:
        if known.id == identifier:
            return known
    msg = f"no panel {identifier!r}; choose one of {', '.join(p.id for p in PANELS)}"
    raise LookupError(msg)
