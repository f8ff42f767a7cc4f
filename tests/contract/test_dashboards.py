"""`motcua dashboards push` and `check` against a Grafana's HTTP API: what was sent is there, and is told."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from dashboards import alarms, grafana
from dashboards.gateway import Gateway, holds
from motcua.cli import app
from rates.failures import Fatal, Retry
from sinks import migrate
from sinks.client import connect
from tests.support.grafana import TOKEN, Grafana, running

pytest.importorskip("grafana_api", reason="grafana-api is not installed")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Grafana]:
    with running() as found:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MOTCUA_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("MOTCUA_GRAFANA", found.address)
        monkeypatch.setenv("MOTCUA_GRAFANA_TOKEN", TOKEN)
        yield found


def told(*command: str) -> Result:
    return CliRunner().invoke(app, ["dashboards", *command, "--json"])


def states(answer: Result) -> dict[str, str]:
    return {row["what"]: row["state"] for row in json.loads(answer.stdout)["rows"]}


def test_what_is_pushed_is_read_back_equal_and_pushing_again_changes_nothing(server: Grafana) -> None:
    for _ in range(2):
        pushed = told("push")
        assert pushed.exit_code == 0, pushed.output
        assert set(states(pushed).values()) == {"same"}
    assert server.folders == {"motcua-vi": "Một cửa", "motcua-en": "One-stop shops"}
    assert len(server.dashboards) == len(grafana.generated())
    assert all(server.placed[uid] == f"motcua-{uid[-2:]}" for uid in server.dashboards)
    assert [rule["uid"] for rule in server.groups["motcua-vi", "motcua"]["rules"]] == [
        rule.uid for rule in alarms.RULES
    ]
    assert told("check").exit_code == 0


def test_what_is_missing_or_was_changed_on_the_server_is_told(server: Grafana) -> None:
    told("push")
    server.dashboards["motcua-unit-en"]["panels"][0]["title"] = "Something else"
    del server.dashboards["motcua-unit-vi"]
    server.groups["motcua-vi", "motcua"]["rules"][0]["for"] = "1h"
    server.sources.clear()
    checked = told("check")
    assert checked.exit_code == 1
    assert {what: state for what, state in states(checked).items() if state != "same"} == {
        "dashboard motcua-unit-en": "differs",
        "dashboard motcua-unit-vi": "missing",
        "alert rules motcua": "differs",
        "data source motcua-clickhouse": "missing",
    }


def test_a_push_puts_back_what_somebody_changed(server: Grafana) -> None:
    told("push")
    server.dashboards["motcua-unit-en"]["panels"].clear()
    assert told("push").exit_code == 0


def test_a_grafana_that_is_away_or_not_named_is_neither_a_difference_nor_a_bug(
    server: Grafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status = 503
    assert isinstance(told("push").exception, Retry)
    assert isinstance(told("check").exception, Retry)
    monkeypatch.setenv("MOTCUA_GRAFANA", "http://127.0.0.1:9")
    assert isinstance(told("check").exception, Retry)
    monkeypatch.delenv("MOTCUA_GRAFANA")
    assert "MOTCUA_GRAFANA" in str(told("check").exception)


def test_a_wrong_token_says_which_one_is_needed(server: Grafana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTCUA_GRAFANA_TOKEN", "wrong")
    refused = told("push").exception
    assert isinstance(refused, Fatal)
    assert "service account" in str(refused)
    assert "wrong" not in str(refused)


def test_a_dashboard_that_files_keep_is_left_to_them(server: Grafana) -> None:
    server.provisioned.add("motcua-overview-vi")
    refused = told("push").exception
    assert isinstance(refused, Fatal)
    assert "files keep it" in str(refused)


def test_a_grafana_below_a_path_is_reached_there(server: Grafana) -> None:
    with Gateway(f"{server.address}/grafana/", TOKEN) as below:
        assert not below.has_source("motcua-clickhouse")
    with Gateway(server.address, TOKEN) as gateway:
        assert gateway.has_source("motcua-clickhouse")


def test_a_rule_that_grafana_would_not_take_is_told_by_the_database_itself(
    server: Grafana, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(prepared(engine_url))
    monkeypatch.setenv("MOTCUA_CLICKHOUSE", engine_url)
    monkeypatch.setenv("MOTCUA_DATABASE", "checked")
    told("push")
    late = next(rule for rule in alarms.RULES if rule.uid == "motcua-late")
    monkeypatch.setattr(alarms, "RULES", (late,))
    assert told("check").exit_code == 0
    bad = msgspec.structs.replace(late, rows="(SELECT 1 AS complete)", number="complete), (1")
    monkeypatch.setattr(alarms, "RULES", (bad,))
    checked = told("check")
    assert checked.exit_code == 1
    assert states(checked)["alert rule motcua-late: not labels and one number"] == "wrong"


async def prepared(engine_url: str) -> None:
    async with connect(engine_url, "checked") as database:
        await migrate.migrate(database, 1_700_000_000, lambda _line: None)


def test_what_the_server_adds_is_no_difference_and_what_it_lacks_is() -> None:
    assert holds({"a": [{"b": 1, "id": 7}], "version": 2}, {"a": [{"b": 1}]})
    assert not holds({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}]})
    assert not holds({"a": []}, {"a": [], "b": 1})
    assert not holds({"a": "1"}, {"a": 1})
