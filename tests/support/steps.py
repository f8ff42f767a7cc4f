"""Killing a command at each of its steps: `python -m tests.support.steps FIRST STRIDE COMMAND…`.

The command runs in a fork of this process, which kills itself with SIGKILL in front of its n-th statement
that writes, or call that moves a group; then it is run again, with n one (or `STRIDE`) higher, until it ends
by itself. So every state that a death leaves is taken up by a run that dies one step later. One JSON document
on stdout says how many deaths there were, and what the last run said.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.stack import Stack


class Walked(NamedTuple):
    deaths: int
    code: int
    said: str


def walk(stack: Stack, *command: str | Path, first: int = 1, stride: int = 1) -> Walked:
    """Run a command, killed at its `first` step, and again, killed later, until it ends."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.steps", str(first), str(stride), *map(str, command)],
        capture_output=True,
        text=True,
        env=stack.environment,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return Walked(**json.loads(done.stdout))


def once(stack: Stack, step: int, *command: str | Path) -> bool:
    """Run a command that is killed at one step; whether it got there."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.steps", str(step), "0", *map(str, command)],
        capture_output=True,
        text=True,
        env=stack.environment,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return bool(json.loads(done.stdout)["deaths"])


_AHEAD = (
    "motcua.swapping",
    "motcua.wiring",
    "sinks.parity",
    "sinks.swaps",
    "sinks.reads",
    "producers.topics",
)
"""Imported before a fork, so that no run has to."""


def main(first: int, stride: int, command: list[str]) -> None:
    for name in (*_AHEAD, "streams.rebuild", "streams.ledger", "pyarrow", "kafka"):
        importlib.import_module(name)
    deaths = 0
    while True:
        with tempfile.TemporaryFile("w+") as told:
            pid = os.fork()
            if not pid:
                _run(first + deaths * stride, command, told.fileno())
            _, status = os.waitpid(pid, 0)
            told.seek(0)
            said = told.read()
        if os.WIFEXITED(status):
            code = os.WEXITSTATUS(status)
            sys.stdout.write(json.dumps(Walked(deaths, code, said)._asdict()))
            return
        assert os.WTERMSIG(status) == signal.SIGKILL, said
        deaths += 1
        if not stride:
            sys.stdout.write(json.dumps(Walked(deaths, -signal.SIGKILL, said)._asdict()))
            return


def _run(step: int, command: list[str], told: int) -> None:
    from motcua.cli import main as motcua
    from producers import topics
    from sinks.client import Database

    os.dup2(told, 1)
    os.dup2(told, 2)
    taken = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return stepped

    for owner, names in ((Database, ("run", "insert", "create")), (topics, ("rewind", "create"))):
        for name in names:
            setattr(owner, name, counted(getattr(owner, name)))
    sys.argv = ["motcua", *command]
    code = 1
    try:
        motcua()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
