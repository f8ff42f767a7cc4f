"""A running stack as its operator sees it: probes, metrics, the page of the pipe, a log that can be read."""

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.local.stack import DEATHS
from motcua.logs import LINES, WHILE_SECONDS
from motcua.metrics import EVERYWHERE, PAGE, PROCESS, WORKER
from tests.recount.worlds import world
from tests.support.stack import Stack, running
from tests.support.waiting import eventually

KINDS = 15
"""So many kinds of lines at most do the libraries know for a broker that is away."""

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with an intake, whose quiet partitions are sent a canary all the time."""
    data = tmp_path_factory.mktemp("observed")
    tokens = data / "intake.tokens"
    tokens.write_text(f"H18 sha256:{'0' * 64}\n", encoding="utf-8")
    tokens.chmod(0o600)
    settings = {
        "MOTCUA_CANARY_SECONDS": "0.2",  # so that a worker writes all the time
        "MOTCUA_LOG_FORMAT": "json",
        "MOTCUA_INTAKE_TOKENS": str(tokens),
    }
    with running(data, **settings) as up:
        yield up


def ask(address: str, path: str) -> tuple[int, str]:
    """Status and text of an answer; 0 where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def worker_at(stack: Stack) -> str:
    return next(row["address"] for row in stack.json("status")["parts"] if row["name"] == "worker")


def metrics(address: str) -> dict[str, list[float]]:
    """Every sample of a part by its metric's name."""
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(ask(address, "/metrics")[1]):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.value)
    return found


def test_a_worker_is_found_by_status_and_tells_what_it_did(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "world.ndjson"
    log.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in world(5, 1_500)))
    stack.run("publish", log, "--wait")
    address = worker_at(stack)
    assert ask(address, "/livez") == (200, '{"live": true}')
    assert ask(address, "/readyz") == (200, '{"ready": true}')
    eventually(lambda: len(metrics(address).get("motcua_canary_delay_seconds", ())) == 12, "12 canaries", 60)
    seen = metrics(address)
    assert set(seen) - {name for name, *_ in PROCESS} <= {one.name for one in (*WORKER, *EVERYWHERE)}
    accepted, dead = (
        int(stack.query(f"SELECT count() FROM {name}")) for name in ("dossiers", "dead_letters")
    )
    assert sum(seen["motcua_events_total"]) >= accepted > 0
    assert sum(seen["motcua_dead_letters_total"]) == dead > 0
    assert len(seen["motcua_lag_messages"]) == 12
    assert sum(seen["motcua_audit_disagreements_total"]) == 0
    eventually(lambda: sum(metrics(address)["motcua_audited_cohorts_total"]) > 0, "the audit has begun", 60)


def test_the_page_of_the_pipe_shows_that_worker_and_what_it_did(stack: Stack) -> None:
    page = stack.address("page").removeprefix("http://")

    def shown() -> bool:
        status, text = ask(page, "/api/panels/workers")
        values = json.loads(text)["frames"][0] if status == 200 else {}
        names = [field["name"] for field in values["schema"]["fields"]] if values else []
        rows = dict(zip(names, values["data"]["values"], strict=True)) if values else {}
        return (
            bool(rows and rows["accepted"])
            and rows["accepted"][0] > 0
            and rows["dead"][0] > 0
            and rows["lag"][0] is not None
        )

    eventually(shown, "the worker has told its numbers", 60)
    status, text = ask(page, "/pipeline?lang=en")
    assert status == 200
    assert 'data-figure="workers">1 / 1<' in text
    assert 'data-figure="disagreements">0<' in text
    seen = metrics(page)
    assert {one.name for one in PAGE} <= set(seen)
    assert sum(seen["motcua_page_requests_total"]) >= 2


def test_the_intake_tells_what_became_of_calls(stack: Stack) -> None:
    intake = stack.address("intake").removeprefix("http://")
    assert ask(intake, "/")[0] == 405
    seen = metrics(intake)
    assert sum(seen["motcua_intake_calls_total"]) >= 1
    assert seen["motcua_intake_records_total"] == [0]


def test_a_worker_without_its_engine_lives_and_is_not_ready_until_it_is_back(stack: Stack) -> None:
    address = worker_at(stack)
    eventually(lambda: ask(address, "/readyz")[0] == 200, "the worker is ready", 60)
    killed: list[int] = []

    def unready() -> bool:
        # It is back within a second, which may pass between two writes; each time it stays away for longer.
        if len(killed) < DEATHS - 1 and (pid := stack.pid("engine")) not in (0, *killed):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        return ask(address, "/readyz")[0] == 503

    eventually(unready, "the worker says that it is not ready", 60)
    assert ask(address, "/livez")[0] == 200
    eventually(lambda: ask(address, "/readyz")[0] == 200, "the worker is ready again", 120)


def test_an_outage_of_the_broker_is_some_lines_and_not_a_flood(stack: Stack) -> None:
    log = stack.data_dir / "logs" / "stack.log"
    before = log.stat().st_size
    broker, worker = stack.pid("broker"), stack.pid("worker")
    os.kill(broker, signal.SIGKILL)
    eventually(lambda: stack.pid("broker") not in (0, broker), "the supervisor starts the broker again", 60)
    eventually(lambda: ask(worker_at(stack), "/readyz")[0] == 200, "the worker is ready", 120)
    with log.open("rb") as file:
        file.seek(before)
        said = [line for line in file.read().decode().splitlines() if " worker " in line]
    events = [json.loads(line.partition("│ ")[2]) for line in said if '"event": ' in line]
    of_libraries = [datetime.fromisoformat(event["timestamp"]) for event in events if "logger" in event]
    whiles = (of_libraries[-1] - of_libraries[0]).total_seconds() / WHILE_SECONDS + 1
    assert len(of_libraries) <= whiles * KINDS * (LINES + 1), "\n".join(said)
    if stack.pid("worker") == worker:
        # Without a limit all of these would be lines.
        assert sum(metrics(worker_at(stack))["motcua_log_lines_suppressed_total"]) > 2 * len(of_libraries)
    else:
        assert any("Next: " in line for line in said), "a worker that ends itself says why and what to do"
