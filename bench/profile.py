"""`make profile`: where a worker's time goes, as a flame graph and as a table of stages.

    python -m bench.profile [--records N]

The stages are those that the worker tells of itself. What is saved while the next batch is folded is counted
in both, so the shares may add up to more than the time that passed.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench import replay, world
from bench.stack import running, say

RESULTS: Final = Path(__file__).parent / "results"
RECORDS: Final = 1_000_000
STAGES: Final = {
    "fetch": ("fetch",),
    "decode": ("decode",),
    "load": ("load", "register"),
    "fold": ("fold",),
    "encode": ("encode",),
    "insert": ("history", "dossiers", "tallies", "dead letters", "progress", "canaries"),
    "commit": ("commit",),
}
"""A record's way, by the steps that a worker tells; "fetch" is how long it waited for a batch."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    records = parser.parse_args().records
    graph = RESULTS / "profile.svg"
    RESULTS.mkdir(exist_ok=True)
    spy = str(Path(sys.executable).with_name("py-spy"))
    recorded = (spy, "record", "--nonblocking", "--rate", "200", "--output", str(graph), "--")
    with running() as stack:
        filled = replay.fill(stack.settings, world.calls(records))
        say(f"filled with {records:,} records in {filled.seconds:.0f} s")
        process = replay.worker(stack.settings, *recorded)
        try:
            replay.ready(process)
            start = time.perf_counter()
            asyncio.run(replay.durable(stack.settings, filled.last, [process]))
            seconds = time.perf_counter() - start
        finally:
            _end_child(process)
        counts, stages = asyncio.run(replay.told(stack.settings))
    text = table(records, seconds, stages)
    (RESULTS / "profile.txt").write_text(text, encoding="utf-8")
    print(text, end="")
    say(f"{counts.get('batches', 0)} batches; flame graph in {graph}")
    return 0


def table(records: int, seconds: float, stages: Mapping[str, float]) -> str:
    """Stages in the order of a record's way: µs a record, and the share of the time that passed."""
    used = {name: sum(stages.get(step, 0.0) for step in steps) for name, steps in STAGES.items()}
    used["insert"] -= used["encode"]  # a step of saving holds the making of its columns
    lines = [f"{'stage':<10}{'µs/record':>10}{'share':>8}"]
    lines += [
        f"{name:<10}{1e6 * passed / records:>10.2f}{passed / seconds:>8.1%}"
        for name, passed in [*used.items(), ("passed", seconds)]
    ]
    return "\n".join(lines) + "\n"


def _end_child(recorder: "subprocess.Popen[str]") -> None:
    """Stop the worker under the recorder, which then writes its graph and ends."""
    children = Path(f"/proc/{recorder.pid}/task/{recorder.pid}/children")
    try:
        for pid in children.read_text(encoding="utf-8").split():
            os.kill(int(pid), signal.SIGTERM)
    except OSError:
        pass  # it has ended already
    try:
        recorder.wait(60)
    except subprocess.TimeoutExpired:
        recorder.kill()
        recorder.wait()


if __name__ == "__main__":
    sys.exit(main())
