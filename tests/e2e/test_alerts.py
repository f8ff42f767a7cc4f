"""Alerts of a whole stack: the worker evaluates as data come, the commands answer, explain and silence."""

import json

import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


def test_the_worker_evaluates_as_data_come_further(stack: Stack) -> None:
    eventually(lambda: bool(stack.json("alerts")["complete_to"]), "the rules were evaluated")
    answer = stack.json("alerts", "--state", "too_few", "--rule", "R14", "--body", "H18")
    assert {row["body"] for row in answer["rows"]} == {"H18"}
    (province,) = [row for row in answer["rows"] if row["level"] == "province"]
    assert (province["subject"], province["denominator"]) == ("H18", 0)
    assert stack.json("alerts")["rows"] == []


def test_an_alert_is_explained_and_silenced(stack: Stack) -> None:
    said = stack.json("alerts", "explain", "R1", "H18")
    assert said["runbook"] == "docs/operations.md#r1"
    assert said["rows"] == []
    stack.run(
        "alerts", "silence", "R1", "H18", "--until", "2090-01-01", "--reason", "known", "--by", "tester"
    )
    assert stack.json("alerts", "explain", "R1", "H18")["silenced_until"] == "2090-01-02T00:00:00+07:00"
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
