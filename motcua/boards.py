"""`motcua dashboards`: made from the panels, sent to a Grafana, and compared with what is there.

What is made is committed, so an installation sends what it was shipped with; only `build` needs the SDK.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer

from infra.local.trouble import Away, WrongUse
from motcua.cli import Json, app, ask, console, say, settings, show, table
from motcua.settings import Settings
from rates.failures import Retry

if TYPE_CHECKING:
    from dashboards.gateway import Gateway
    from sinks.client import Database

_ROOT: Final = Path(__file__).parents[1]

boards = typer.Typer(
    no_args_is_help=True,
    help="Grafana's dashboards and alert rules: made from the panels, sent, compared.",
)
app.add_typer(boards, name="dashboards")


class Part(NamedTuple):
    """A file that was made, or a part of a Grafana, and how it stands."""

    what: str
    state: str


@boards.command()
def build(as_json: Json = False) -> None:
    """Make dashboards and alert rules anew from the panels; for who changes them, in a clone."""
    from dashboards import checks, grafana

    try:
        made = checks.made()
    except ImportError as error:
        msg = f"grafana-foundation-sdk=={grafana.SDK} is not installed here. Next: make env"
        raise Away(msg) from error
    if not (_ROOT / "pyproject.toml").is_file():
        raise WrongUse(
            "this is an installed motcua; dashboards are made in a clone. Next: git clone, make env"
        )
    parts = [Part(path, _write(_ROOT / path, text)) for path, text in made.items()]
    for stale in sorted((_ROOT / "dashboards" / grafana.GENERATED).glob("*/*.json")):
        path = stale.relative_to(_ROOT).as_posix()
        if path not in made:
            stale.unlink()
            parts.append(Part(path, "removed"))
    _print(parts, as_json)


def _write(path: Path, text: str) -> str:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return "same"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return "written"


@boards.command()
def push(as_json: Json = False) -> None:
    """Send dashboards and alert rules to the Grafana of `grafana`; exit 1 unless it then holds them all."""
    from dashboards import alarms, plugin

    with _gateway(settings()) as gateway:
        if not gateway.has_source(plugin.SOURCE["uid"]):
            say(f"grafana has no data source {plugin.SOURCE['uid']}. Next: see infra/grafana/provisioning")
        for lang, title in plugin.FOLDERS.items():
            gateway.put_folder(plugin.folder(lang), title)
        for path, document in _documents():
            gateway.put_dashboard(plugin.folder(path[:2]), document)
        gateway.put_rules(alarms.pushed())
        parts = list(_compared(gateway))
    _print(parts, as_json)
    if any(part.state != "same" for part in parts):
        raise typer.Exit(1)


@boards.command()
def check(as_json: Json = False) -> None:
    """Look for what is wrong with dashboards and rules, and for what differs on the Grafana of `grafana`.

    Exit 1 for any fault or difference, 3 where Grafana, or a database that is named, is away.
    """
    from dashboards import alarms, checks

    found = settings()
    parts = [Part(fault, "wrong") for fault in checks.faults((d for _, d in _documents()), alarms.pushed())]
    if found.clickhouse:
        parts += [Part(f"alert rule {uid}: not labels and one number", "wrong") for uid in ask(_unfit)]
    away = None
    try:
        with _gateway(found) as gateway:
            parts += _compared(gateway)
    except Retry as error:
        away = error
    if parts or not away:
        _print(parts, as_json)
    if any(part.state != "same" for part in parts):
        raise typer.Exit(1)
    if away is not None:
        raise away


async def _unfit(database: "Database") -> list[str]:
    """The rules whose answer Grafana would not take for an alert's."""
    from dashboards import alarms, checks

    unfit = []
    for rule in alarms.RULES:
        columns = await database.rows(f"DESCRIBE TABLE ({rule.sql})")
        if not checks.one_number({column["name"]: column["type"] for column in columns}):
            unfit.append(rule.uid)
    return unfit


def _compared(gateway: "Gateway") -> Iterator[Part]:
    """How what a Grafana holds compares with what was made."""
    from dashboards import alarms, plugin
    from dashboards.gateway import holds

    uid = plugin.SOURCE["uid"]
    yield Part(f"data source {uid}", "same" if gateway.has_source(uid) else "missing")
    for _, document in _documents():
        found = gateway.dashboard(document["uid"])
        state = "missing" if found is None else "same" if found == document else "differs"
        yield Part(f"dashboard {document['uid']}", state)
    rules = alarms.pushed()
    there = gateway.rules(rules["folderUid"], rules["title"])
    state = "missing" if there is None else "same" if holds(there, rules) else "differs"
    yield Part(f"alert rules {rules['title']}", state)


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    from dashboards import grafana

    for path, text in grafana.generated().items():
        yield path, json.loads(text)


def _gateway(found: Settings) -> "Gateway":
    if not found.grafana:
        raise Retry("grafana", "none is named. Next: MOTCUA_GRAFANA=http://host:3000, MOTCUA_GRAFANA_TOKEN=…")
    from dashboards.gateway import Gateway

    return Gateway(found.grafana, found.grafana_token.get_secret_value())


def _print(parts: list[Part], as_json: bool) -> None:
    if as_json:
        show({"rows": [part._asdict() for part in parts]})
        return
    listed = table("what", "state")
    for part in parts:
        listed.add_row(*part)
    console().print(listed)
