"""A panel's SQL as it stands in an exported dashboard, and what Grafana makes of it before it is run.

The text is that of `panels`, so page and dashboard ask the same. Only values travel in another way: the page
binds `{name:Type}` parameters, in Grafana a period is a macro of the ClickHouse plugin (expanded where the
query is run, so alerts have it, too), and what a reader chooses is a template variable (expanded in the
browser). Variables of text are quoted by `${name:singlequote}`.

Source: grafana-clickhouse-datasource 4.20, `pkg/macros`; Grafana 12, `scenes` formats of variables.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dashboards.boards import Board
from dashboards.panels import DEFAULTS, Panel, names, panel
from rates.definitions import DEFINITIONS

ZONE: Final = "Asia/Ho_Chi_Minh"

_PARAMETER: Final = re.compile(r"(?<!\$)\{(\w+):(\w+)\}")
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_MACRO: Final = re.compile(r"\$__(\w+)")

_DAYS: Final[Mapping[str, str]] = {
    "first": f"toDate($__fromTime, '{ZONE}')",
    "last": f"toDate($__toTime, '{ZONE}')",
    "first_before": f"addYears(toDate($__fromTime, '{ZONE}'), -1)",
    "last_before": f"addYears(toDate($__toTime, '{ZONE}'), -1)",
}
"""The parameters that come from the period that is shown; `…_before`: the same period of the year before."""

CHOOSES: Final[Mapping[str, tuple[str, ...]]] = {
    "province": ("body",),
    "unit": ("body", "unit"),
    "systems": ("system",),
}
"""What a reader chooses on a board, beside the definition: parameters of its panels."""

NAMED: Final = tuple(names(DEFINITIONS[0], "reported"))
"""The variables that follow from the definition and the form that are chosen."""


class Unexpandable(Exception):
    """A query names a variable, a format or a macro that nobody gives it."""


def variables(board: Board) -> tuple[str, ...]:
    """The names of a board's variables, in the order in which they are chosen."""
    shown = [panel(identifier) for identifier in board.panels]
    chosen = tuple(name for name in CHOOSES.get(board.id, ()) if any(name in one.parameters for one in shown))
    if not any(_about_one(one) for one in shown):
        return chosen
    form = ("form",) if any("$numerator" in one.sql for one in shown) else ()
    return ("definition", *form, *chosen)


def _about_one(shown: Panel) -> bool:
    return shown.filled(dict.fromkeys(NAMED, "?")) != shown.text()


def raw(shown: Panel, chosen: Sequence[str] = ()) -> str:
    """The SQL of a panel for a dashboard with these variables; what is no variable there has its default."""
    text = shown.filled({name: f"${{{name}:raw}}" for name in NAMED})

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in _DAYS:
            return _DAYS[name]
        if name in chosen:
            return f"${{{name}:singlequote}}"
        if name not in DEFAULTS:
            msg = f"panel {shown.id}: {{{name}}} is no variable of its board and has no default"
            raise Unexpandable(msg)
        return literal(DEFAULTS[name])

    return _PARAMETER.sub(value, text)


def literal(value: object) -> str:
    """A number or a text as SQL."""
    return str(value) if isinstance(value, int) else quoted(str(value))


def quoted(text: str) -> str:
    """A text as Grafana's format `singlequote` writes it."""
    return "'" + text.replace("'", "\\'") + "'"


def expand(text: str, values: Mapping[str, str], first: int, last: int) -> str:
    """What is run: variables by their value, macros by the period in seconds since 1970 UTC.

    `Unexpandable` where the text names what is not given or not known here.
    """

    def variable(match: re.Match[str]) -> str:
        name, how = match[1], match[2]
        if name not in values or how not in ("raw", "singlequote"):
            msg = f"nothing stands for {match[0]}"
            raise Unexpandable(msg)
        return quoted(values[name]) if how == "singlequote" else values[name]

    def macro(match: re.Match[str]) -> str:
        if match[1] not in ("fromTime", "toTime"):
            msg = f"there is no macro {match[0]}"
            raise Unexpandable(msg)
        return f"toDateTime({first if match[1] == 'fromTime' else last})"

    return _MACRO.sub(macro, _VARIABLE.sub(variable, text))
