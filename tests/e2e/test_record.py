"""What was recorded of one stack, published into another: the same figures, and the published ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from producers.scenario_npsp import PUBLISHED, scaled
from tests.support.stack import Stack, running

pytestmark = pytest.mark.stack
SCALE = 0.01


@pytest.mark.long
def test_a_recorded_world_has_the_same_figures_in_another_stack(stack: Stack, tmp_path: Path) -> None:
    log, logs = tmp_path / "world.zst", tmp_path / "logs"
    stack.run("scenario", "npsp-2026", "--scale", str(SCALE), "--to", log)
    stack.run("publish", "--wait", log)
    by_body = stack.json("rates", "--definition", "ER-766-PORTAL", "--by", "body")["rows"]
    wanted = {(found.body, found.e_result, found.received) for found in (scaled(p, SCALE) for p in PUBLISHED)}
    assert {(row["body"], row["numerator"], row["denominator"]) for row in by_body} == wanted

    stack.run("record", "--to", logs, "--until-now")
    stack.run("record", "--check", logs)
    files = [logs / file["file"] for file in json.loads((logs / "manifest.json").read_bytes())["files"]]
    with running(tmp_path / "other") as other:
        other.run("publish", "--wait", *files)
        assert figures(other) == figures(stack)

    files[0].write_bytes(files[0].read_bytes()[:-1] + b"?")
    damaged = stack.done("record", "--check", logs)
    assert damaged.returncode == 1
    assert f"{files[0]} is not what was recorded" in damaged.stderr


def figures(stack: Stack) -> Any:
    return stack.json("rates", "--by", "unit,day,system", "--form", "both")["rows"]


def test_what_cannot_be_recorded_is_said_with_the_exit_code_of_its_kind(stack: Stack, tmp_path: Path) -> None:
    assert stack.done("record").returncode == 2
    assert stack.done("record", "--to", tmp_path, "--check", tmp_path).returncode == 2
    assert stack.done("record", "--check", tmp_path).returncode == 2
    nowhere = stack.done("--kafka", "127.0.0.1:1", "record", "--to", tmp_path / "logs")
    assert (nowhere.returncode, "Next: motcua status" in nowhere.stderr) == (3, True)
