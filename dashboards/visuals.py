"""A panel as Grafana shows it: its picture, its columns, what is calculated from them, where it leads.

Queries are tables; what Grafana needs beside the page's columns (a rate, a time in milliseconds) is made by
its transformations, never by another SQL. A rate has a colour only where a target without an end is named,
and none at all where it is made of fewer dossiers than its panel asks for.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args

from dashboards.boards import BOARDS, Board
from dashboards.columns import OWN_UNITS, said, title
from dashboards.macros import ZONE, quoted, raw, variables
from dashboards.page.alarms import WORDS as ALERT_WORDS
from dashboards.page.asked import Lang
from dashboards.page.pipeline import SWAP_NAMES
from dashboards.page.words import AGE_NAMES, KIND_NAMES, REASONS, STATUSES, SYSTEM_NAMES, Words
from dashboards.panels import PANELS, Kind, Panel
from dashboards.plugin import RATE, SOURCE, TIME, UNITS, panel_id, query, uid
from rates.alerts import Severity
from rates.definitions import DEFINITIONS
from rates.register import BODY_LEVELS, Register
from rates.sheets import LAST_DAY, shipped
from rates.targets import read_targets, target_on

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog import runtime
    from grafana_foundation_sdk.models import dashboard as model

MET: Final = "semi-dark-blue"
MISSED: Final = "semi-dark-orange"
WAITS: Final = "semi-dark-yellow"
"""Colours that also those tell apart who do not tell red from green."""
GREY: Final = "rgba(128, 128, 128, 0.25)"
"""Behind a row that says nothing yet."""

_HEIGHT: Final[Mapping[str, int]] = {
    "value": 5,
    "series": 9,
    "states": 12,
    "heat": 9,
    "matrix": 10,
    "map": 12,
    "table": 10,
}
_STATUSES: Final = {str(code): words for code, words in STATUSES.items()}
_NAMED_VALUES: Final[Mapping[str, Mapping[str, Words]]] = {
    "age": AGE_NAMES,
    "change_kind": KIND_NAMES,
    "progress_status": _STATUSES,
    "record_status": _STATUSES,
    "status": _STATUSES,
    "swap_kind": SWAP_NAMES,
    "swap_state": SWAP_NAMES,
    "system": SYSTEM_NAMES,
    "system_code": SYSTEM_NAMES,
    "definition": {one.id: (one.name_vi, one.name_en) for one in DEFINITIONS},
    "reason_code": {str(reason): name for reason, (name, _) in REASONS.items()},
    "state_name": {state: ALERT_WORDS[state] for state in ("ok", "pending", "firing", "stale")},
    "severity_name": {severity: ALERT_WORDS[severity] for severity in get_args(Severity)},
}
"""The words for what stands in a column."""
_COLOURS: Final[Mapping[str, Mapping[str, str]]] = {
    "state_name": {"ok": MET, "pending": WAITS, "firing": MISSED}
}
"""The colours of what stands in a column."""
_FLAGS: Final[Mapping[str, Words]] = {"0": ("Không", "No"), "1": ("Có", "Yes")}
_OF_BODIES: Final = ("bodies", "system_bodies", "connections", "scoreboard_bodies", "restatement")
"""The panels whose `code` is a ministry's or province's."""
_NONE: Final = "–"
_FEW: Final[Words] = ("quá ít", "too few")


def visual(shown: Panel, board: Board, lang: Lang, width: int) -> Any:
    """A panel's builder. `Any`: the SDK's builders of panels share no type."""
    from grafana_foundation_sdk.models import common
    from grafana_foundation_sdk.models import dashboard as model

    made = (
        _picture(shown)
        .id(panel_id(shown.id))
        .title(said((shown.question_vi, shown.question_en), lang))
        .description(_about(shown, lang))
        .datasource(common.DataSourceRef(SOURCE["type"], SOURCE["uid"]))
        .targets([_Query(sql, name) for name, sql in asked(shown, board).items()])
        .transformations(
            [
                model.DataTransformerConfig(
                    step, options=how, filter_val=model.MatcherConfig("byRefId", PANEL_QUERY)
                )
                for step, how in _steps(shown)
            ]
        )
        .unit(UNITS[shown.unit])
        .no_value(_NONE)
        .mappings(_nothing())
        .height(_HEIGHT[shown.shape])
        .span(width)
    )
    for name, properties in _columns(shown, board, lang):
        made = made.override_by_name(
            name, [model.DynamicConfigValue(key, value) for key, value in properties.items()]
        )
    return made


PANEL_QUERY: Final = "A"
TARGET_QUERY: Final = "target"


def asked(shown: Panel, board: Board) -> dict[str, str]:
    """The queries of a panel on a board, by name: its own, and for a series the targets of the time."""
    queries = {PANEL_QUERY: raw(shown, variables(board))}
    if shown.shape == "series" and shown.target:
        queries[TARGET_QUERY] = targets(shown.target, of_body="body" in variables(board))
    return queries


def targets(indicator: str, *, of_body: bool) -> str:
    """SQL for the targets of the period, a line for each: of the body's level, or of provinces."""
    first, last = (f"toDate({edge}, '{ZONE}')" for edge in ("$__fromTime", "$__toTime"))
    level = "if(startsWith(${body:singlequote}, 'G'), 'ministry', 'province')" if of_body else "'province'"
    ends = f"if(valid_to = '', {last}, toDateOrZero(valid_to))"
    return (
        f"SELECT toDateTime(arrayJoin([greatest(toDate(valid_from), {first}), least({ends}, {last})]), "
        f"'{ZONE}') AS time, toFloat64(target) AS target FROM targets "
        f"WHERE indicator = {quoted(indicator)} AND level = {level} AND toDate(valid_from) <= {last} "
        f"AND (valid_to = '' OR toDateOrZero(valid_to) >= {first}) ORDER BY time"
    )


class _Query:
    """The ClickHouse plugin's query, which the SDK has no model of."""

    def __init__(self, sql: str, name: str) -> None:
        self._sql = sql
        self._name = name

    def build(self) -> "runtime.UnknownDataquery":
        from grafana_foundation_sdk.cog import runtime

        return runtime.UnknownDataquery(query(self._sql, self._name))


def _picture(shown: Panel) -> Any:
    from grafana_foundation_sdk.builders import common, heatmap, stat, statetimeline, table, timeseries
    from grafana_foundation_sdk.builders.dashboard import FieldColor
    from grafana_foundation_sdk.models.common import (
        BigValueGraphMode,
        BigValueTextMode,
        TableColoredBackgroundCellOptions,
        VisibilityMode,
    )
    from grafana_foundation_sdk.models.dashboard import FieldColorModeId
    from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

    if shown.shape == "value":
        return (
            stat.Panel()
            .graph_mode(BigValueGraphMode.NONE)
            .text_mode(BigValueTextMode.VALUE_AND_NAME)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        )
    if shown.shape == "series":
        return timeseries.Panel().span_nulls(False)
    if shown.shape == "states":
        return statetimeline.Panel().merge_values(True).row_height(0.8).show_value(VisibilityMode.AUTO)
    if shown.shape == "heat":
        one_hue = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(64)
        return heatmap.Panel().calculate(False).color(one_hue)
    made = table.Panel().filterable(False)
    if shown.shape in ("matrix", "map"):
        # From pale to dark in one hue: how much, never how good. Places are rows: a map would need tiles.
        made = made.cell_options(TableColoredBackgroundCellOptions()).color_scheme(
            FieldColor().mode(FieldColorModeId.CONTINUOUS_BLUES)
        )
    return made


def _about(shown: Panel, lang: Lang) -> str:
    """What is asked in the other language, and how small numbers are to be read."""
    other = said((shown.question_en, shown.question_vi), lang)
    if not shown.least:
        return other
    few = (
        f"Tỷ lệ trên ít hơn {shown.least} hồ sơ chưa nói lên điều gì.",
        f"A rate on fewer than {shown.least} dossiers says nothing yet.",
    )
    return f"{other}\n\n{said(few, lang)}"


def rates(shown: Panel) -> dict[str, tuple[str, str]]:
    """The rates of a panel's rows: name → its columns. Where the clean count is beside, its rate is, too."""
    if not shown.ratio:
        return {}
    numerator, denominator = shown.ratio
    clean = any(column.name == "clean" for column in shown.columns) and numerator == "reported"
    return {"rate": shown.ratio} | ({"rate_clean": ("clean", denominator)} if clean else {})


def _of_kind(shown: Panel, kind: Kind) -> list[str]:
    return [column.name for column in shown.columns if column.kind == kind]


_LEASTS: Final = "leasts"
_ENOUGH: Final = "enough"
_JUDGED: Final = "judged"


def _judged(shown: Panel) -> Iterator[tuple[str, dict[str, object]]]:
    """The rates; each is 0/0 where its denominator is below the panel's least.

    Grafana's calculations know no condition: how often the least goes into the denominator, rounded down, is
    0 for exactly those, and both sides of the division are multiplied by it.
    """
    for name, (numerator, denominator) in rates(shown).items():
        if shown.least and name == "rate":
            yield "calculateField", _calculated(_LEASTS, denominator, "/", {"fixed": str(shown.least)})
            rounded = {"operator": "floor", "fieldName": _LEASTS}
            yield (
                "calculateField",
                {"mode": "unary", "alias": _ENOUGH, "unary": rounded, "replaceFields": False},
            )
            yield "calculateField", _calculated(_JUDGED, denominator, "*", {"matcher": _named(_ENOUGH)})
        if shown.least:
            yield "calculateField", _calculated(f"{name}_of", numerator, "*", {"matcher": _named(_ENOUGH)})
            numerator, denominator = f"{name}_of", _JUDGED
        yield "calculateField", _calculated(name, numerator, "/", {"matcher": _named(denominator)})


def _helpers(shown: Panel) -> list[str]:
    """The columns that only rates are made of."""
    made = rates(shown)
    return [_LEASTS, _ENOUGH, _JUDGED, *(f"{name}_of" for name in made)] if made and shown.least else []


def _steps(shown: Panel) -> Iterator[tuple[str, dict[str, object]]]:
    """The transformations: rates, times in Grafana's milliseconds, and what a series or a matrix is of."""
    times = {name: f"{name}_at" for name in _of_kind(shown, "time")}
    yield from _judged(shown)
    for name, alias in times.items():
        yield "calculateField", _calculated(alias, name, "*", {"fixed": "1000"})
    if shown.shape in ("series", "states", "heat"):
        across = shown.columns[0]
        moment: dict[str, object] = {"targetField": across.name, "dateFormat": "YYYY-MM-DD"}
        if across.kind == "time":
            moment = {"targetField": times[across.name]}
        yield "convertFieldType", {"fields": {}, "conversions": [{**moment, "destinationType": "time"}]}
    if shown.shape == "matrix":
        rows, columns = _of_kind(shown, "text")[:2]
        value = next(iter((*rates(shown), *_of_kind(shown, "count"))))
        names = {"rowField": rows, "columnField": columns, "valueField": value}
        yield "groupingToMatrix", {**names, "emptyValue": "null"}
        return
    hidden = [*times, *_helpers(shown)]
    if shown.shape == "series" and rates(shown):
        hidden += _of_kind(shown, "count")
    order = [*(times.get(column.name, column.name) for column in shown.columns), *rates(shown)]
    yield (
        "organize",
        {
            "excludeByName": dict.fromkeys(hidden, True),
            "indexByName": {name: at for at, name in enumerate(order)},
            "renameByName": {},
        },
    )
    if shown.shape == "states":
        # A line for each value of the column that says whose state it is.
        yield "partitionByValues", {"fields": [shown.columns[1].name], "keepFields": False}


def _named(name: str) -> dict[str, object]:
    return {"id": "byName", "options": name}


def _calculated(alias: str, left: str, operator: str, right: dict[str, object]) -> dict[str, object]:
    return {
        "mode": "binary",
        "alias": alias,
        "binary": {"left": {"matcher": _named(left)}, "operator": operator, "right": right},
        "replaceFields": False,
    }


def _nothing() -> "list[model.ValueMapping]":
    """0/0 and what is not known are shown as nothing, never as zero."""
    from grafana_foundation_sdk.models import dashboard as model

    of = model.SpecialValueMatch.NULL_AND_NAN
    shown = model.DashboardSpecialValueMapOptions(of, model.ValueMappingResult(text=_NONE))
    return [model.SpecialValueMap(shown)]


def _columns(shown: Panel, board: Board, lang: Lang) -> Iterator[tuple[str, dict[str, object]]]:
    """What is said of each column: its title, its unit, the words for its values, where it leads."""
    for column in shown.columns:
        name, headed = column.name, {"displayName": title(column.name, lang)}
        if column.kind == "time":
            mapping = {"type": "value", "options": {"0": {"text": _NONE}}}
            yield f"{name}_at", {**headed, "unit": TIME, "mappings": [mapping]}
            continue
        properties: dict[str, object] = dict(headed)
        if name in OWN_UNITS:
            properties["unit"] = UNITS[OWN_UNITS[name]]
        named = _FLAGS if column.kind == "flag" else _named_values(shown, name)
        if named:
            colours = _COLOURS.get(name, {})
            options = {
                code: {"text": said(words, lang)} | ({"color": colours[code]} if code in colours else {})
                for code, words in named.items()
            }
            properties["mappings"] = [{"type": "value", "options": options}]
        if shown.shape == "states" and column.name == shown.columns[-1].name:
            properties["displayName"] = f"${{__field.labels.{shown.columns[1].name}}}"
        if shown.ratio and name == shown.ratio[1] and shown.least and shown.shape in ("table", "map"):
            # The whole row is greyed by it.
            properties["custom.cellOptions"] = {
                "type": "color-background",
                "mode": "basic",
                "applyToRow": True,
            }
            steps = [{"color": GREY, "value": None}, {"color": "transparent", "value": shown.least}]
            properties["thresholds"] = {"mode": "absolute", "steps": steps}
            properties["color"] = {"mode": "thresholds"}
        link = _link(shown, board, lang) if name == "code" else None
        if link:
            properties["links"] = [link]
        yield name, properties
    for name in rates(shown):
        yield name, _rate(shown, name, lang)
    if TARGET_QUERY in asked(shown, board):
        dashed = {"fill": "dash", "dash": [10, 10]}
        heading = said(("Chỉ tiêu", "Target"), lang)
        yield "target", {"displayName": heading, "unit": RATE, "custom.lineStyle": dashed}


def _named_values(shown: Panel, column: str) -> Mapping[str, Words]:
    if column == "body_code" or (column == "code" and shown.id in _OF_BODIES):
        return _body_names()
    if column == "code" and shown.id == "systems":
        return SYSTEM_NAMES
    return _NAMED_VALUES.get(column, {})


@cache
def _body_names() -> dict[str, Words]:
    """The newest names of ministries and provinces, also of those that ended, after their codes."""
    rows = sorted(Register.shipped().units, key=lambda row: row.valid_from)
    names = {row.code: row for row in rows if row.level in BODY_LEVELS}
    return {code: (f"{code} {row.name_vi}", f"{code} {row.name_en}") for code, row in names.items()}


def _rate(shown: Panel, name: str, lang: Lang) -> dict[str, object]:
    properties: dict[str, object] = {
        "displayName": title(name, lang),
        "unit": RATE,
        "decimals": 2,
        "min": 0,
        "max": 1,
    }
    if shown.least:
        few = {"text": said(_FEW, lang), "color": "text"}
        properties["mappings"] = [{"type": "special", "options": {"match": "null+nan", "result": few}}]
    goal = target(shown)
    if goal is not None and shown.shape != "series":
        below, above = (MISSED, MET) if shown.direction != "down" else (MET, MISSED)
        steps = [{"color": below, "value": None}, {"color": above, "value": goal}]
        properties["thresholds"] = {"mode": "absolute", "steps": steps}
        properties["color"] = {"mode": "thresholds"}
        if shown.shape != "value":
            properties["custom.cellOptions"] = {"type": "color-text"}
    return properties


def target(shown: Panel) -> float | None:
    """The province's target of a panel's indicator that has no end, as a share of 1; None without one.

    Thresholds cannot follow the period that is shown, so a target that has ended judges nothing.
    """
    found = target_on(read_targets(shipped() / "targets.csv"), "province", shown.target, LAST_DAY)
    return found.target if found else None


def _link(shown: Panel, board: Board, lang: Lang) -> dict[str, object] | None:
    """From a row to the board that shows what is behind it: its key becomes that board's variable."""
    behind = next((one for one in PANELS if one.id == shown.drill), None)
    if behind is None:
        return None
    here = variables(board)
    for goal in BOARDS:
        there = variables(goal)
        new = [name for name in there if name in behind.parameters and name not in shown.parameters]
        if behind.id not in goal.panels or len(new) != 1:
            continue
        kept = [f"${{{name}:queryparam}}" for name in here if name in there and name not in new]
        if "body" in there and "body" not in (*here, *new):
            # A unit is chosen among those of its body.
            if not any(column.name == "body_code" for column in shown.columns):
                continue
            kept.append("var-body=${__data.fields.body_code}")
        asked = "&".join(("${__url_time_range}", *kept, f"var-{new[0]}=${{__value.raw}}"))
        title = said((goal.title_vi, goal.title_en), lang)
        return {"title": title, "url": f"/d/{uid(goal, lang)}?{asked}"}
    return None
