"""Exported dashboards and rules are what the panels say, whole and valid by themselves."""

import json
import math
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dashboards import alarms, checks, grafana, macros, plugin, visuals
from dashboards.boards import BOARDS
from dashboards.columns import COLUMNS
from dashboards.page.asked import LANGS
from dashboards.panels import DEFAULTS, PANELS, Column, Kind, Panel, Shape, panel
from rates.calendar import Calendar, Holiday

ROOT = Path(__file__).parents[2]
DASHBOARDS = {path: json.loads(text) for path, text in grafana.generated().items()}


def needs_sdk() -> None:
    try:
        found = version("grafana-foundation-sdk")
    except PackageNotFoundError:
        pytest.skip("grafana-foundation-sdk is not installed")
    assert found.lstrip("v") == grafana.SDK, "an unpinned one is made for Grafana 10"


def test_what_is_committed_is_what_the_panels_give() -> None:
    needs_sdk()
    for path, text in checks.made().items():
        assert committed(path) == text, f"{path} is behind the panels. Next: motcua dashboards build"


@pytest.mark.parametrize("path", sorted(DASHBOARDS))
def test_what_is_committed_is_whole_to_the_sdks_own_model(path: str) -> None:
    needs_sdk()
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import Dashboard

    read = Dashboard.from_json(DASHBOARDS[path])
    assert json.loads(JSONEncoder().encode(read)) == DASHBOARDS[path]


def test_rules_and_days_off_that_are_committed_are_what_the_program_says() -> None:
    for name, text in alarms.files().items():
        assert committed(f"{alarms.PROVISIONED}/{name}") == text, "Next: motcua dashboards build"


def committed(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_every_board_is_there_in_both_languages_and_nothing_is_wrong_with_it() -> None:
    assert set(DASHBOARDS) == {f"{lang}/{board.id}.json" for board in BOARDS for lang in LANGS}
    assert list(checks.faults(DASHBOARDS.values(), alarms.pushed())) == []


@pytest.mark.parametrize("path", sorted(DASHBOARDS))
def test_no_panel_stands_on_another_or_beside_the_board(path: str) -> None:
    taken: set[tuple[int, int]] = set()
    for one in DASHBOARDS[path]["panels"]:
        at = one["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        taken |= cells


def test_two_pictures_in_a_row_share_it_and_a_lone_one_has_it() -> None:
    series = msgspec.structs.replace(PANELS[0], shape="series")
    table = msgspec.structs.replace(PANELS[0], shape="table")
    assert grafana.widths([table, series, series, series, table]) == [24, 12, 12, 24, 24]


@pytest.mark.parametrize("path", sorted(DASHBOARDS))
def test_an_exported_board_shows_its_panels_with_the_pages_sql(path: str) -> None:
    lang, _, name = path.removesuffix(".json").partition("/")
    board = next(one for one in BOARDS if one.id == name)
    shown = {one["id"]: one for one in DASHBOARDS[path]["panels"]}
    for identifier in board.panels:
        one = shown[plugin.panel_id(identifier)]
        known = panel(identifier)
        assert one["title"] == (known.question_vi if lang == "vi" else known.question_en)
        assert one["targets"][0]["rawSql"] == macros.raw(known, macros.variables(board))


def test_every_column_that_is_shown_has_a_heading_in_both_languages() -> None:
    assert {column.name for one in PANELS for column in one.columns} <= set(COLUMNS)
    assert all(vi and en for vi, en in COLUMNS.values())


@pytest.mark.parametrize("one", PANELS, ids=lambda one: one.id)
def test_a_panel_with_a_numerator_and_a_total_says_its_rate_and_one_of_days_is_a_series(one: Panel) -> None:
    kinds = {column.name: column.kind for column in one.columns}
    if {"reported", "total"} <= set(kinds):
        assert one.ratio == ("reported", "total")
        assert one.direction == "up"
        assert one.least > 0
    if one.columns[0].kind == "day" and set(list(kinds.values())[1:]) == {"count"}:
        assert one.shape in ("series", "heat")


def drawn(shape: Shape, **columns: Kind) -> dict[str, Any]:
    """A panel of that shape, with a numerator and a total beside these columns, as Grafana gets it."""
    needs_sdk()
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    kinds: dict[str, Kind] = {**columns, "reported": "count", "total": "count"}
    one = Panel(
        id="drawn",
        question_vi="?",
        question_en="?",
        sql="SELECT 1 FROM pipe",
        columns=tuple(Column(name, kind) for name, kind in kinds.items()),
        shape=shape,
        ratio=("reported", "total"),
        target="reuse",
        direction="up",
        least=30,
    )
    made = visuals.visual(one, BOARDS[0], "en", 24).build()
    return dict(json.loads(JSONEncoder().encode(made)))


def steps(panel: dict[str, Any]) -> dict[str, Any]:
    return {step["id"]: step["options"] for step in panel["transformations"]}


def override(panel: dict[str, Any], name: str) -> dict[str, Any]:
    found = next(one for one in panel["fieldConfig"]["overrides"] if one["matcher"]["options"] == name)
    return {one["id"]: one["value"] for one in found["properties"]}


def test_a_series_is_drawn_over_its_days_as_a_rate_beside_the_targets_of_the_time() -> None:
    panel = drawn("series", month="day")
    assert panel["type"] == "timeseries"
    assert steps(panel)["convertFieldType"]["conversions"][0]["targetField"] == "month"
    shown = {"month", "rate"}
    assert not shown & set(steps(panel)["organize"]["excludeByName"])
    assert {"reported", "total"} <= set(steps(panel)["organize"]["excludeByName"])
    assert [target["refId"] for target in panel["targets"]] == ["A", "target"]
    assert all(step["filter"]["options"] == "A" for step in panel["transformations"])
    assert "thresholds" not in override(panel, "rate")


def test_a_matrix_is_laid_out_by_its_two_names_and_coloured_by_its_rate() -> None:
    panel = drawn("matrix", body_code="text", system_code="text")
    assert steps(panel)["groupingToMatrix"] == {
        "rowField": "body_code",
        "columnField": "system_code",
        "valueField": "rate",
        "emptyValue": "null",
    }
    assert panel["fieldConfig"]["defaults"]["color"]["mode"] == "continuous-blues"


@pytest.mark.parametrize(("shape", "kind"), [("value", "stat"), ("table", "table"), ("map", "table")])
def test_a_rate_with_a_target_that_holds_has_its_colour_from_it(shape: Shape, kind: str) -> None:
    panel = drawn(shape, code="text", latest="time")
    assert panel["type"] == kind
    assert override(panel, "rate")["thresholds"]["steps"] == [
        {"color": visuals.MISSED, "value": None},
        {"color": visuals.MET, "value": 0.8},
    ]
    assert override(panel, "latest_at")["unit"] == plugin.TIME
    hidden = set(steps(panel)["organize"]["excludeByName"])
    assert "latest" in hidden
    assert not {"code", "latest_at", "reported", "total", "rate"} & hidden


def calculated(panel: dict[str, Any], row: dict[str, float]) -> dict[str, float]:
    """A row after the calculations of a panel, as Grafana makes them: 0/0 is no number."""
    made = dict(row)

    def value(side: dict[str, Any]) -> float:
        return float(side["fixed"]) if "fixed" in side else made[side["matcher"]["options"]]

    for step in panel["transformations"]:
        how = step["options"]
        if step["id"] != "calculateField":
            continue
        if how["mode"] == "unary":
            assert how["unary"]["operator"] == "floor"
            made[how["alias"]] = math.floor(made[how["unary"]["fieldName"]])
            continue
        left, right = value(how["binary"]["left"]), value(how["binary"]["right"])
        if how["binary"]["operator"] == "*":
            made[how["alias"]] = left * right
        else:
            made[how["alias"]] = left / right if right else math.nan if not left else math.inf
    return made


@pytest.mark.parametrize("shape", ["value", "series", "table", "matrix", "map"])
def test_a_rate_on_few_dossiers_is_no_number_that_anything_could_be_ranked_by(shape: Shape) -> None:
    panel = drawn(shape, body_code="text", system_code="text", clean="count")
    for reported, clean, total in ((0, 0, 0), (29, 12, 29)):
        made = calculated(panel, {"reported": reported, "clean": clean, "total": total})
        assert math.isnan(made["rate"])
        assert math.isnan(made["rate_clean"])
    for total in (30, 59, 60, 12_345):
        made = calculated(panel, {"reported": total - 9, "clean": 7, "total": total})
        assert made["rate"] == pytest.approx((total - 9) / total)
        assert made["rate_clean"] == pytest.approx(7 / total)
    for name in ("rate", "rate_clean"):
        (mapping,) = override(panel, name)["mappings"]
        assert mapping["options"]["match"] == "null+nan"
        assert mapping["options"]["result"]["text"] == "too few"


@pytest.mark.parametrize("path", sorted(DASHBOARDS))
def test_a_row_on_few_dossiers_is_grey_in_every_exported_table_of_rates(path: str) -> None:
    shown = {one["id"]: one for one in DASHBOARDS[path]["panels"]}
    for one in PANELS:
        if one.ratio is None or one.shape != "table" or plugin.panel_id(one.id) not in shown:
            continue
        found = override(shown[plugin.panel_id(one.id)], one.ratio[1])
        assert found["custom.cellOptions"]["applyToRow"]
        assert found["thresholds"]["steps"] == [
            {"color": visuals.GREY, "value": None},
            {"color": "transparent", "value": one.least},
        ]


def test_a_history_is_a_line_of_states_for_each_alert() -> None:
    shown = {one["id"]: one for one in DASHBOARDS["vi/alerts.json"]["panels"]}
    panel = shown[plugin.panel_id("alert_history")]
    assert panel["type"] == "state-timeline"
    assert steps(panel)["convertFieldType"]["conversions"] == [
        {"targetField": "changed_time_at", "destinationType": "time"}
    ]
    assert panel["transformations"][-1]["id"] == "partitionByValues"
    assert steps(panel)["partitionByValues"]["fields"] == ["alert_name"]
    states = override(panel, "state_name")["mappings"][0]["options"]
    assert states["firing"] == {"text": "đang báo động", "color": visuals.MISSED}
    assert states["ok"]["color"] == visuals.MET
    assert {rate for rate in states if "color" not in states[rate]} == {"stale"}


def test_a_distribution_is_a_heatmap_of_one_column_for_each_band() -> None:
    shown = {one["id"]: one for one in DASHBOARDS["en/overview.json"]["panels"]}
    drawn_ = shown[plugin.panel_id("distribution")]
    assert drawn_["type"] == "heatmap"
    assert drawn_["options"]["calculate"] is False
    assert steps(drawn_)["convertFieldType"]["conversions"][0]["targetField"] == "month"
    assert override(drawn_, "from_90")["displayName"] == "90–100 %"


def test_numbers_of_panels_differ() -> None:
    assert len({plugin.panel_id(one.id) for one in PANELS}) == len(PANELS)


def wrong(change: object) -> list[str]:
    document = json.loads(json.dumps(DASHBOARDS["en/overview.json"]))
    assert callable(change)
    change(document)
    return list(checks.faults([document], alarms.pushed()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(uid=""), "no uid"),
        (lambda d: d["panels"][1].update(id=d["panels"][0]["id"]), "stand twice"),
        (lambda d: d["panels"][0].pop("id"), "no id"),
        (lambda d: d["panels"][0]["fieldConfig"]["defaults"].update(unit="parsecs"), "unit 'parsecs'"),
        (lambda d: d["panels"][0].update(datasource={"uid": "3"}), "data source"),
        (lambda d: d["panels"][0].update(description=""), "no description"),
        (lambda d: d["panels"][0]["targets"][0].update(rawSql="SELECT $__lttb(1)"), "no macro"),
        (lambda d: d["panels"][0]["targets"][0].update(rawSql="SELECT ${nothing:raw}"), "nothing stands for"),
        (
            lambda d: d["panels"][0]["fieldConfig"]["defaults"].update(
                thresholds={"mode": "absolute", "steps": [{"color": "a", "value": 2}]}
            ),
            "thresholds",
        ),
        (
            lambda d: d["panels"][0]["fieldConfig"]["defaults"].update(
                thresholds={
                    "mode": "absolute",
                    "steps": [
                        {"color": "a", "value": None},
                        {"color": "b", "value": 2},
                        {"color": "c", "value": 1},
                    ],
                }
            ),
            "thresholds",
        ),
    ],
)
def test_what_is_wrong_with_a_dashboard_is_said(change: object, said: str) -> None:
    assert any(said in line for line in wrong(change)), wrong(change)


def test_an_alert_that_points_to_no_panel_is_said() -> None:
    rules = alarms.pushed()
    rules["rules"][0]["annotations"]["__panelId__"] = "7"
    rules["rules"][1]["uid"] = rules["rules"][0]["uid"]
    said = "\n".join(checks.faults(DASHBOARDS.values(), rules))
    assert "leads to no panel" in said
    assert "stand twice" in said


def test_holidays_that_follow_each_other_are_one_run_of_a_month() -> None:
    days = [Holiday(day, "Tết", "Tết", "a test") for day in (19_752, 19_753, 19_754, 19_760)]
    weekend, first, second, third = alarms.free_days(Calendar(days))["time_intervals"]
    assert weekend["weekdays"] == ["saturday", "sunday"]
    assert (first["years"], first["months"], first["days_of_month"]) == (["2024"], ["1"], ["30:31"])
    assert (second["months"], second["days_of_month"]) == (["2"], ["1"])
    assert (third["months"], third["days_of_month"]) == (["2"], ["7"])
    assert {one["location"] for one in (weekend, first, second, third)} == {"Asia/Ho_Chi_Minh"}


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("day >= $__fromTime AND day <= $__toTime", "day >= toDateTime(10) AND day <= toDateTime(20)"),
        ("a = ${body:singlequote}", r"a = 'Xã \'A\''"),
        ("sum(${numerator:raw})", "sum(e_result)"),
    ],
)
def test_variables_and_macros_become_what_the_plugin_sends(text: str, run: str) -> None:
    assert macros.expand(text, {"body": "Xã 'A'", "numerator": "e_result"}, 10, 20) == run


@pytest.mark.parametrize("text", ["$__timeGroup(a, 5m)", "${nothing:raw}", "${body:csv}", "${body}"])
def test_what_nobody_expands_is_refused(text: str) -> None:
    with pytest.raises(macros.Unexpandable):
        macros.expand(text, {"body": "H18"}, 10, 20)


def test_a_parameter_that_nobody_gives_is_refused() -> None:
    asks = Panel(
        id="asks",
        question_vi="?",
        question_en="?",
        sql="SELECT {nobody:String} AS a",
        columns=(Column("a", "text"),),
    )
    with pytest.raises(macros.Unexpandable, match="nobody"):
        macros.raw(asks)
    assert "nobody" not in DEFAULTS


def test_a_second_number_or_a_time_is_no_answer_of_an_alert() -> None:
    assert checks.one_number({"body": "String", "value": "Float64"})
    assert not checks.one_number({"body": "String", "at": "DateTime", "value": "Float64"})
    assert not checks.one_number({"body": "String", "count": "UInt64", "value": "Float64"})
    assert not checks.one_number({"body": "Nullable(String)", "value": "Float64"})
