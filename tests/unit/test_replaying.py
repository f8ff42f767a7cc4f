"""Rehearsals without a stack: names, sources, what is refused, and which settings they have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra.local.trouble import WrongUse
from motcua import clock
from motcua.cli import app, given
from motcua.replaying import logs
from motcua.settings import Settings, live, load, rehearsed
from producers.rehearsing import Pace
from sinks.generations import group


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("MOTCUA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MOTCUA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    given.clear()


def motcua(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "400"})


@pytest.mark.parametrize("name", ["", "1", "A", "a-b", "a.b", "a" * 32, "live", "restoring", "replaced", "ă"])
def test_a_name_that_no_database_and_no_topic_could_have_is_refused(name: str) -> None:
    with pytest.raises(WrongUse, match="no name for a rehearsal"):
        rehearsed(Settings(), name)


def test_a_rehearsal_has_its_own_database_topic_and_group_and_tells_nobody() -> None:
    found = rehearsed(Settings(alerts_file="told", webhook_url="http://x", database="m", topic="t"), "re_1")
    assert (found.on, found.database, found.topic) == ("re_1", "m_re_1", "t.re_1")
    assert found.canary_seconds == 0
    assert (found.alerts_file, found.webhook_url.get_secret_value()) == ("", "")
    assert found.cache_dossiers < Settings().cache_dossiers
    assert rehearsed(Settings(cache_dossiers=7_000_000), "re").cache_dossiers == 7_000_000
    assert (live(found).on, live(found).database, live(found).topic) == ("", "m", "t")
    assert group(7) == "motcua-g7"
    assert group(7, "re_1") == "motcua-re_1-g7"


def test_on_is_a_setting_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load({"on": "re"}).database == "motcua_re"
    monkeypatch.setenv("MOTCUA_ON", "re")
    assert load().topic == "dossiers.re"
    assert load({"on": ""}).topic == "dossiers"


def test_files_folders_and_patterns_name_logs_each_once(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in ("b.ndjson", "a.ndjson.gz", "c.parquet", "manifest.json", ".hidden.ndjson", "d.ndjson.zst"):
        (folder / name).touch()
    inside = [folder / name for name in ("a.ndjson.gz", "b.ndjson", "c.parquet", "d.ndjson.zst")]
    assert logs([str(folder)]) == inside
    assert logs(["logs/*.ndjson*"]) == [inside[0], inside[1], inside[3]]
    assert logs([str(inside[2]), "logs", "logs/[ab]*"]) == [inside[2], inside[0], inside[1], inside[3]]
    assert logs(["logs/manifest.json"]) == [folder / "manifest.json"]


@pytest.mark.parametrize("source", ["nowhere.ndjson", "*.parquet", "empty"])
def test_a_source_that_names_no_log_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongUse, match=r"Next: name event logs"):
        logs([source])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["log.ndjson"], "--into NAME is missing"),
        (["--into", "re"], "name event logs, or --from-topic"),
        (["log.ndjson", "--into", "re", "--from-topic", "--since", "2026-01-01"], "and not both"),
        (["--from-topic", "--into", "re"], "--since TIME"),
        (["log.ndjson", "--into", "re", "--since", "2026-01-01"], "--since TIME"),
        (["--from-topic", "--into", "re", "--since", "yesterday"], "--since takes"),
        (["log.ndjson", "--into", "re", "--speed", "-1"], "--speed"),
        (["log.ndjson", "--into", "re", "--speed", "nan"], "--speed"),
    ],
)
def test_wrong_use_is_told(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "log.ndjson").touch()
    done = motcua("replay", *arguments)
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["log.ndjson", "--into", "re"], 3, "Next: motcua up"),
        (["--from-topic", "--since", "2026-01-01", "--into", "re"], 3, "Next: motcua up"),
        (["resume", "re"], 3, "Next: motcua up"),
        (["list"], 3, "Next: motcua up"),
        (["drop", "re"], 3, "Next: motcua up"),
        (["nowhere.ndjson", "--into", "re"], 2, "nowhere.ndjson"),
        (["log.ndjson", "--into", "Re"], 2, "no name for a rehearsal"),
        (["status", "Re"], 2, "no name for a rehearsal"),
    ],
)
def test_without_a_stack_the_next_command_is_told(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "log.ndjson").touch()
    named = [str(tmp_path / one) if one == "log.ndjson" else one for one in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "motcua", "replay", *named],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""


READERS = (
    ("rates",), ("dossiers",), ("scoreboard",), ("dead", "list"), ("dead", "show"), ("audit",), ("alerts",),
    ("alerts", "explain"), ("page",), ("worker",), ("status",), ("doctor",), ("config",),
)  # fmt: skip


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_what_reads_can_be_asked_of_a_rehearsal(command: tuple[str, ...]) -> None:
    assert "--on" in motcua(*command, "--help").output


def test_a_drill_puts_the_clock_at_an_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    then = 1_700_000_000
    clock.drill(tmp_path / "clock", then * 1000)
    monkeypatch.setenv("MOTCUA_CLOCK_DRILL", str(tmp_path / "clock"))
    assert then - 1 <= clock.now() <= then + 60


def test_a_pace_holds_back_what_is_early_and_nothing_that_is_late() -> None:
    as_it_goes, paced = Pace(0), Pace(60)
    assert as_it_goes.ahead(1_700_000_000_000) == as_it_goes.ahead(0) == 0
    assert as_it_goes.now is None
    assert paced.ahead(1_700_000_000_000) <= 0
    assert 59 < paced.ahead(1_700_003_600_000) <= 60
    assert paced.ahead(1_699_000_000_000) < 0
    assert paced.now is not None
    assert paced.now >= 1_700_000_000_000
