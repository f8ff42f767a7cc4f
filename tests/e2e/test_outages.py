"""Broker or engine gone in the middle, by SIGKILL: nothing is lost, nothing counts twice."""

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.recount.recount import read_log, recount
from tests.recount.worlds import world
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

GROUPS = ("unit", "day", "system")


def test_figures_survive_the_engine_and_the_broker_being_killed(stack: Stack, tmp_path: Path) -> None:
    lines = [line.rstrip(b"\n") + b"\n" for line in world(11, 9_000)]
    logs = []
    for part, name in enumerate(("engine", "broker", "")):
        log = tmp_path / f"{part}.ndjson"
        log.write_bytes(b"".join(lines[part * len(lines) // 3 : (part + 1) * len(lines) // 3]))
        logs.append(log)
        publishing = threading.Thread(target=stack.done, args=("publish", log, "--wait"))
        publishing.start()
        if name:
            killed = stack.pid(name)
            os.kill(killed, signal.SIGKILL)
            eventually(
                lambda name=name, killed=killed: stack.pid(name) not in (0, killed),
                f"the supervisor starts the {name} again",
            )
            eventually(
                lambda: all(part["state"] == "running" for part in stack.json("status")["parts"]),
                f"the {name} is ready again",
            )
        publishing.join()
    for log in logs:
        # Publishing itself may have been cut off; sent again, a log changes nothing that is right already.
        stack.run("publish", log, "--wait")
    expected = recount(line for _ in range(2) for log in logs for line in read_log(log))
    rows = stack.json("rates", "--form", "both", "--by", ",".join(GROUPS))["rows"]
    assert rows
    assert rows == expected.rates(by=GROUPS, form="both")
