"""A quiet world moves on; a stopped worker makes the pipe stale, no office silent; canaries never count."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import Stack, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

CANARY_SECONDS = 1
BOUND = 3 * CANARY_SECONDS + 15
PARTITIONS = 12


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that sends canaries every second, with a busy office that was last heard of in October 2023."""
    folder: Path = tmp_path_factory.mktemp("freshness")
    log = folder / "october.ndjson"
    log.write_text("".join(_calls()), encoding="utf-8")
    with running(folder / "stack", MOTCUA_CANARY_SECONDS=str(CANARY_SECONDS)) as up:
        up.run("publish", log, "--wait")
        yield up


def _calls() -> Iterator[str]:
    for day in range(1, 32):
        records = [
            {
                "MaHoSo": f"H18.01-2310{day:02}-{at:04}",
                "TrangThaiHoSo": "2",
                "MaTTHC": "1.000001",
                "NgayTiepNhan": f"202310{day:02}080000",
            }
            for at in range(10)
        ]
        call = {"service": "DongBoHoSoMC", "madonvi": "H18.01", "isUpdating": "False", "data": records}
        yield json.dumps({"received_at": f"2023-10-{day:02}T09:00:00+07:00", "call": call}) + "\n"


def _told(stack: Stack) -> dict[str, Any]:
    with urllib.request.urlopen(f"{stack.address('page')}/api/panels/freshness", timeout=30) as answer:
        return dict(json.loads(answer.read())["freshness"])


def _page(stack: Stack, path: str) -> str:
    with urllib.request.urlopen(f"{stack.address('page')}{path}?lang=en", timeout=30) as answer:
        return str(answer.read().decode())


def _doctor(stack: Stack) -> tuple[int, dict[str, dict[str, str]]]:
    done = stack.done("doctor", "--json")
    return done.returncode, {row["name"]: row for row in json.loads(done.stdout)["rows"]}


def _complete(stack: Stack) -> int:
    return int(stack.query("SELECT toUInt32(min(complete_to)) FROM freshness"))


def _fresh(stack: Stack) -> bool:
    return bool(_told(stack)["state"] == "fresh")


def test_in_a_quiet_world_canaries_move_on_what_figures_are_complete_to(stack: Stack) -> None:
    eventually(lambda: _fresh(stack), "the pipe is fresh although its last event is years old")
    assert abs(time.time() - _complete(stack)) <= BOUND
    before = _complete(stack)
    eventually(lambda: _complete(stack) > before, "complete_to moves on")
    told = _told(stack)
    assert 0 <= told["delay_ms"] < 60_000
    assert int(stack.query("SELECT count() FROM canaries FINAL")) == PARTITIONS


def test_an_office_of_an_october_long_ago_is_silent_since_then(stack: Stack) -> None:
    eventually(lambda: _fresh(stack), "the pipe is fresh")
    eventually(lambda: "Silent since 2023-10-31" in _page(stack, "/unit/H18.01"), "the office is silent")
    assert "Pipe stale" not in _page(stack, "/body/H18")


def test_the_doctor_of_a_healthy_stack_is_content(stack: Stack) -> None:
    eventually(lambda: _fresh(stack), "the pipe is fresh")
    code, checks = _doctor(stack)
    states = {name: checks[name]["state"] for name in ("database", "topic", "workers", "pipe", "audits")}
    assert states == dict.fromkeys(states, "ok"), checks
    assert "complete to" in checks["pipe"]["found"]
    assert "12 partitions, generation 1" in checks["topic"]["found"]
    assert "1 of 1 are silent: H18.01" in checks["offices"]["found"]
    assert checks["dead letters"]["found"] == "none is open"
    assert code == 0


def test_a_stopped_worker_makes_the_pipe_stale_and_no_office_silent_until_it_goes_on(stack: Stack) -> None:
    eventually(lambda: "Silent since" in _page(stack, "/unit/H18.01"), "the office is silent")
    worker = stack.pid("worker")
    os.kill(worker, signal.SIGSTOP)
    try:
        eventually(lambda: _told(stack)["state"] == "stale", "the pipe is stale")
        for path in ("/", "/body/H18", "/unit/H18.01"):
            shown = _page(stack, path)
            assert shown.count("data-banner") == 1
            assert "Silent" not in shown
            assert " silent" not in shown
        # The broker gives up a worker that does not answer; from then on nobody reads.
        eventually(lambda: _doctor(stack)[1]["workers"]["state"] == "missing", "the doctor misses readers")
        code, checks = _doctor(stack)
        assert code == 1
        assert (checks["pipe"]["state"], checks["pipe"]["next_command"]) == ("missing", "motcua status")
        assert checks["pipe"]["found"].startswith("stale. Figures are complete to ")
        assert checks["offices"]["found"] == "not judged: the pipe is stale"
    finally:
        os.kill(worker, signal.SIGCONT)
    eventually(lambda: _fresh(stack), "the pipe is fresh again")
    eventually(
        lambda: "Silent since 2023-10-31" in _page(stack, "/unit/H18.01"), "the office is silent again"
    )
    eventually(lambda: _doctor(stack)[0] == 0, "the doctor is content")


def test_canaries_are_no_dossiers_no_tallies_and_no_dead_letters(stack: Stack) -> None:
    eventually(lambda: _complete(stack) > time.time() - BOUND, "canaries have come")
    assert stack.query("SELECT count(), uniqExact(unit) FROM dossiers FINAL") == "310\t1"
    assert stack.query("SELECT sum(received) FROM tallies FINAL WHERE basis = 0") == "310"
    assert stack.query("SELECT count() FROM dead_letters") == "0"
    assert stack.query("SELECT count() FROM unit_activity WHERE unit != 'H18.01'") == "0"
