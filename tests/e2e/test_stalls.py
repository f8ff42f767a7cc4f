"""Two workers, each stopped for longer than its session while events flow: nothing is lost, none writes over.

The consumer group is fresh, so that partitions without a commit go through rebalances too: there a message
that was fetched and dropped is fetched again only if the worker goes back by itself.
"""

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.recount.recount import read_log, recount
from tests.recount.worlds import world
from tests.support.stack import Stack, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

GROUPS = ("unit", "day", "system")
PARTS = 8


def test_two_workers_that_stall_in_turn_lose_nothing(tmp_path: Path) -> None:
    lines = [line.rstrip(b"\n") + b"\n" for line in world(17, 60_000)]
    logs = [tmp_path / f"{part}.ndjson" for part in range(PARTS)]
    for part, log in enumerate(logs):
        log.write_bytes(b"".join(lines[part * len(lines) // PARTS : (part + 1) * len(lines) // PARTS]))
    with running(tmp_path / "stack", MOTCUA_WORKERS="2") as stack:
        assert {row["name"] for row in stack.json("status")["parts"]} >= {"worker-1", "worker-2"}
        publishing = threading.Thread(target=_publish, args=(stack, logs))
        publishing.start()
        for name in ("worker-2", "worker-1"):
            other = "worker-1" if name == "worker-2" else "worker-2"
            pid, before = stack.pid(name), _assignments(stack, other)
            os.kill(pid, signal.SIGSTOP)
            try:
                # The group notices that it is gone and gives its partitions to the other.
                eventually(
                    lambda other=other, before=before: _assignments(stack, other) > before,
                    f"{other} takes over from {name}",
                )
            finally:
                os.kill(pid, signal.SIGCONT)
        publishing.join()
        # Every partition gets one more message, so that waiting for the last log waits for all of them.
        stack.run("publish", logs[-1], "--wait")
        rows = stack.json("rates", "--form", "both", "--by", ",".join(GROUPS))["rows"]
        dossiers = int(stack.query("SELECT count() FROM dossiers FINAL"))
    expected = recount(line for log in [*logs, logs[-1]] for line in read_log(log))
    assert dossiers == len(expected.dossiers)
    same = rows == expected.rates(by=GROUPS, form="both")
    assert same


def _publish(stack: Stack, logs: list[Path]) -> None:
    for log in logs:
        stack.run("publish", log)


def _assignments(stack: Stack, worker: str) -> int:
    """How often a worker was given partitions, by its log."""
    log = (stack.data_dir / "logs" / "stack.log").read_text(encoding="utf-8", errors="replace")
    return sum("partitions assigned" in line and f"{worker} " in line for line in log.splitlines())
