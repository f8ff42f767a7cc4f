"""What can be wrong with dashboards and alert rules before anybody looks at them in Grafana."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from dashboards import alarms, grafana, macros, plugin

_KNOWN_UNITS: Final = {*plugin.UNITS.values(), plugin.RATE, plugin.TIME}
_ANY: Final = "x"


def made() -> dict[str, str]:
    """All that is made and committed: path below the repository → text. `ImportError` without the SDK."""
    shown = {f"dashboards/{grafana.GENERATED}/{path}": text for path, text in grafana.built().items()}
    return shown | {f"{alarms.PROVISIONED}/{name}": text for name, text in alarms.files().items()}


def faults(dashboards: Iterable[Mapping[str, Any]], rules: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong, a line each: ids, uids, units, thresholds, queries, where alerts lead."""
    listed = list(dashboards)
    yield from _twice("uids of dashboards", (one.get("uid") for one in listed))
    for one in listed:
        where = one.get("uid") or one.get("title") or "a dashboard"
        if not one.get("uid"):
            yield f"{where}: no uid"
        shown = one.get("panels", [])
        yield from _twice(f"{where}: ids of panels", (panel.get("id") for panel in shown))
        given = {variable["name"]: _ANY for variable in one.get("templating", {}).get("list", [])}
        for panel in shown:
            yield from (f"{where}, {panel.get('title')!r}: {fault}" for fault in _panel(panel, given))
    yield from _rules(rules, {one.get("uid"): {p.get("id") for p in one.get("panels", [])} for one in listed})


def _panel(panel: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(panel.get("id"), int) or panel["id"] < 1:
        yield "no id"
    for needed in ("title", "description"):
        if not panel.get(needed):
            yield f"no {needed}"
    for of in (panel, *panel.get("targets", [])):
        if of.get("datasource") != plugin.SOURCE:
            yield f"another data source than {plugin.SOURCE['uid']}"
    config = panel.get("fieldConfig", {})
    for settings in (
        config.get("defaults", {}),
        *({p["id"]: p.get("value") for p in one["properties"]} for one in config.get("overrides", [])),
    ):
        if settings.get("unit", plugin.RATE) not in _KNOWN_UNITS:
            yield f"unit {settings['unit']!r} is none of this program's"
        if "thresholds" in settings and not _rising(settings["thresholds"].get("steps", [])):
            yield "thresholds do not rise from nothing"
    for target in panel.get("targets", []):
        try:
            macros.expand(target.get("rawSql", ""), given, 0, 1)
        except macros.Unexpandable as error:
            yield str(error)


def _rising(steps: list[Mapping[str, Any]]) -> bool:
    values = [step.get("value") for step in steps]
    if not values or values[0] is not None or None in values[1:]:
        return False
    numbers = [float(value) for value in values[1:] if value is not None]
    return numbers == sorted(set(numbers))


def _rules(rules: Mapping[str, Any], shown: Mapping[Any, set[Any]]) -> Iterator[str]:
    yield from _twice("uids of rules", (rule["uid"] for rule in rules["rules"]))
    for rule in rules["rules"]:
        notes = rule["annotations"]
        if int(notes["__panelId__"]) not in shown.get(notes["__dashboardUid__"], set()):
            yield f"rule {rule['uid']} leads to no panel"
        if not any(query["refId"] == rule["condition"] for query in rule["data"]):
            yield f"rule {rule['uid']} has no condition"


def _twice(what: str, values: Iterable[object]) -> Iterator[str]:
    twice = [str(value) for value, count in Counter(values).items() if count > 1]
    if twice:
        yield f"{what} stand twice: {', '.join(twice)}"


def one_number(columns: Mapping[str, str]) -> bool:
    """Whether an answer with these types (name → ClickHouse's type) is one number with labels to Grafana."""
    kinds = [kind for kind in columns.values() if kind not in ("String", "LowCardinality(String)")]
    return len(kinds) == 1 and kinds[0] == "Float64"
