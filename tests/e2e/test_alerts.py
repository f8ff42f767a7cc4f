"""Alerts of a whole stack: the worker evaluates as data come, the commands answer, explain and silence."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rates.calendar import Calendar
from rates.wire import day_of
from tests.support.stack import Stack, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

OFFICE = "H18.100"


@pytest.fixture(scope="module")
def notices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file to which notices go."""
    return tmp_path_factory.mktemp("notices") / "alerts.ndjson"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, notices: Path) -> Iterator[Stack]:
    """A stack with a busy office that was last heard of in October 2025."""
    folder: Path = tmp_path_factory.mktemp("alerts")
    log = folder / "october.ndjson"
    log.write_text("".join(_calls()), encoding="utf-8")
    with running(folder / "stack", MOTCUA_CANARY_SECONDS="1", MOTCUA_ALERTS_FILE=str(notices)) as up:
        up.run("publish", log, "--wait")
        yield up


def _calls() -> Iterator[str]:
    for day in range(1, 32):
        records = [
            {
                "MaHoSo": f"{OFFICE}-2510{day:02}-{at:04}",
                "TrangThaiHoSo": "2",
                "MaTTHC": "1.000001",
                "NgayTiepNhan": f"202510{day:02}080000",
            }
            for at in range(10)
        ]
        call = {"service": "DongBoHoSoMC", "madonvi": OFFICE, "isUpdating": "False", "data": records}
        yield json.dumps({"received_at": f"2025-10-{day:02}T09:00:00+07:00", "call": call}) + "\n"


def test_the_worker_evaluates_as_data_come_further(stack: Stack) -> None:
    eventually(lambda: bool(stack.json("alerts")["complete_to"]), "the rules were evaluated")
    answer = stack.json("alerts", "--state", "too_few", "--rule", "R14", "--body", "H18")
    assert {row["body"] for row in answer["rows"]} == {"H18"}
    (province,) = [row for row in answer["rows"] if row["level"] == "province"]
    assert (province["subject"], province["denominator"]) == ("H18", 0)


def test_an_office_that_is_silent_is_told_of_on_a_working_day(stack: Stack, notices: Path) -> None:
    working = Calendar.shipped().is_working_day(day_of(int(time.time())))
    state = "firing" if working else "pending"

    def found() -> list[dict[str, str]]:
        return list(stack.json("alerts", "--rule", "R4", "--state", state)["rows"])

    eventually(lambda: bool(found()), f"the office is {state}", within=240)
    (row,) = found()
    assert (row["subject"], row["body"], row["severity"]) == (OFFICE, "H18", "critical")
    if working:
        eventually(notices.exists, "it is told")
        (line,) = notices.read_text(encoding="utf-8").splitlines()
        (told,) = json.loads(line)["alerts"]
        assert told["labels"]["subject"] == OFFICE
        assert stack.json("alerts")["failing"] == []


def test_an_alert_is_explained_and_silenced(stack: Stack) -> None:
    said = stack.json("alerts", "explain", "R1", "H18")
    assert said["runbook"] == "docs/operations.md#r1"
    assert said["rows"] == []
    stack.run(
        "alerts", "silence", "R1", "H18", "--until", "2090-01-01", "--reason", "known", "--by", "tester"
    )
    assert stack.json("alerts", "explain", "R1", "H18")["silenced_until"] == "2090-01-02T00:00:00+07:00"
    (silence,) = stack.json("alerts", "explain", "R1", "H18")["silences"]
    assert (silence["reason"], silence["by"]) == ("known", "tester")
    (row,) = json.loads(stack.run("alerts", "silence", "R1", "H18", "--end", "--json"))["rows"]
    assert row["rule"] == "R1"
    assert stack.json("alerts", "explain", "R1", "H18")["silenced_until"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("alerts", "--state", "burning"),
        ("alerts", "--rule", "R99"),
        ("alerts", "--body", "Hà Nội"),
        ("alerts", "explain", "R99", "H18"),
        ("alerts", "explain", "R1", "H99"),
        ("alerts", "explain", "R4", "H18"),
        ("alerts", "silence", "R1", "H18", "--until", "2090-01-01"),
        ("alerts", "silence", "R1", "H18", "--until", "2020-01-01", "--reason", "late"),
        ("alerts", "silence", "R1", "H18", "--reason", "no end"),
        ("alerts", "silence", "R1", "nobody", "--until", "2090-01-01", "--reason", "nobody"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_wrong_use(stack: Stack, arguments: tuple[str, ...]) -> None:
    done = stack.done(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
