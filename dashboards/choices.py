"""The variables of an exported dashboard: what a reader chooses, and what follows from it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from dashboards.boards import Board
from dashboards.columns import said, title
from dashboards.macros import NAMED, quoted, raw, variables
from dashboards.page.asked import LANGS, Lang
from dashboards.page.words import SYSTEM_NAMES
from dashboards.panels import names, panel
from dashboards.plugin import SOURCE, query
from rates.definitions import DEFINITIONS, FORMS

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import dashboard as build


def with_following(board: Board) -> Iterator[str]:
    """A board's variables, and those that follow from them."""
    chosen = variables(board)
    text = "".join(raw(panel(identifier), chosen) for identifier in board.panels)
    for name in chosen:
        yield name
        if name == "definition":
            follow = (one for one in NAMED if one not in ("definition", "numerator"))
            yield from (one for one in follow if f"${{{one}:raw}}" in text)
        if name == "form":
            yield "numerator"


def variable(name: str, lang: Lang) -> "build.QueryVariable | build.CustomVariable":
    if name == "definition":
        titles = {one.id: f"{one.id}: {said((one.name_vi, one.name_en), lang)}" for one in DEFINITIONS}
        return _choice(name, titles, lang)
    if name == "form":
        return _choice(name, {form: title(form, lang) for form in FORMS}, lang)
    if name == "system":
        return _choice(name, {code: said(words, lang) for code, words in SYSTEM_NAMES.items()}, lang)
    return _query(name, choices(name, lang), lang, hidden=name not in ("body", "unit"))


def choices(name: str, lang: Lang) -> str:
    """SQL for what a variable may be: value and text, or the one value that follows from what is chosen."""
    if name == "body":
        return _BODIES[lang]
    return _UNITS[lang] if name == "unit" else _following(name)


_BODIES: Final[Mapping[Lang, str]] = {
    lang: (
        f"SELECT code, argMax(name_{lang}, valid_from) || ' (' || code || ')' AS name FROM units "
        "WHERE level IN ('ministry', 'province') GROUP BY code ORDER BY code"
    )
    for lang in LANGS
}
_UNITS: Final[Mapping[Lang, str]] = {
    lang: (
        "SELECT code, if(known = '', code, known || ' (' || code || ')') AS name FROM ("
        "SELECT toString(e.unit) AS code, any(u.name) AS known FROM unit_ends AS e LEFT JOIN "
        f"(SELECT code, argMax(name_{lang}, valid_from) AS name FROM units GROUP BY code) AS u "
        "ON u.code = toString(e.unit) WHERE e.body = ${body:singlequote} GROUP BY e.unit) ORDER BY code"
    )
    for lang in LANGS
}


def _following(name: str) -> str:
    """SQL for what stands for a name of `NAMED` under the definition and the form that are chosen."""
    if name == "numerator":
        pairs = [(f"{one.id} {form}", names(one, form)[name]) for one in DEFINITIONS for form in FORMS]
        of = "concat(${definition:singlequote}, ' ', ${form:singlequote})"
    else:
        pairs = [(one.id, names(one, "reported")[name]) for one in DEFINITIONS]
        of = "${definition:singlequote}"
    keys, values = (", ".join(quoted(one) for one in side) for side in zip(*pairs, strict=True))
    return f"SELECT transform({of}, [{keys}], [{values}], '') AS value"


def _choice(name: str, options: Mapping[str, str], lang: Lang) -> "build.CustomVariable":
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.models import dashboard as model

    listed = [
        model.VariableOption(selected=not at, text=text, value=value)
        for at, (value, text) in enumerate(options.items())
    ]
    # A comma parts options and " : " a text from its value.
    plain = ", ".join(f"{text.replace(',', chr(92) + ',')} : {value}" for value, text in options.items())
    return (
        build.CustomVariable(name)
        .label(title(name, lang))
        .values(plain)
        .options(listed)
        .current(listed[0])
        .allow_custom_value(False)
    )


def _query(name: str, sql: str, lang: Lang, *, hidden: bool = False) -> "build.QueryVariable":
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.models import common
    from grafana_foundation_sdk.models import dashboard as model

    hide = model.VariableHide.HIDE_VARIABLE if hidden else model.VariableHide.DONT_HIDE
    return (
        build.QueryVariable(name)
        .label(name if hidden else title(name, lang))
        .datasource(common.DataSourceRef(SOURCE["type"], SOURCE["uid"]))
        .query(query(sql, name))
        .refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)
        .hide(hide)
        .allow_custom_value(False)
    )
