"""A broker and an engine for one part of the bench: child processes in a folder that is thrown away.

They are the embedded stack's own, started without its supervisor, so that each process has a number to ask
the system about. Nothing outlives the bench, even one that is killed.
"""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from infra.local import broker, lifeline
from motcua.settings import Settings
from motcua.wiring import prepare

_START_SECONDS = 60


class Stack(NamedTuple):
    """What runs: the settings that reach it, and the processes by name."""

    settings: Settings
    pids: dict[str, int]


@contextmanager
def running(engine: Path | None = None, **settings: object) -> Iterator[Stack]:
    """A migrated stack without a worker. `settings` are motcua's, `cache_dossiers=…` and the like.

    `engine`: a data directory whose copy the engine begins with.
    """
    with TemporaryDirectory(prefix="motcua-bench-") as folder, ExitStack() as processes:
        data = Path(folder)
        if engine is not None:
            shutil.copytree(engine, data / "engine", symlinks=True)
        kafka, address = processes.enter_context(_broker(data))
        serving, url = processes.enter_context(_engine(data))
        found = Settings.model_validate({**settings, "data_dir": data, "kafka": address, "clickhouse": url})
        asyncio.run(prepare(found, say))
        yield Stack(found, {"broker": kafka, "engine": serving})


def say(line: str) -> None:
    """Progress, for whoever waits; figures go to stdout."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """A child that is asked to end with the block, and killed where it does not."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _broker(data: Path) -> Iterator[tuple[int, str]]:
    prepared = broker.prepare(data, say=say)
    prepared.format()
    with (data / "broker.log").open("ab") as log:
        process = subprocess.Popen(lifeline.tied(prepared.command), stdout=log, stderr=log, text=True)
        with ended(process):
            deadline = time.monotonic() + _START_SECONDS
            while broker.topics(prepared.address) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"no broker: {(data / 'broker.log').read_text(errors='replace')[-2000:]}"
                    )
                time.sleep(0.1)
            yield process.pid, prepared.address


@contextmanager
def _engine(data: Path) -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-m", "infra.local.engine", "--data", str(data / "engine"), "--port", "0"]
    process = subprocess.Popen(lifeline.tied(command), stdout=subprocess.PIPE, text=True)
    with ended(process):
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError("the engine ended before it listened. Next: motcua doctor")
        yield process.pid, f"http://{line.split()[-1]}"
