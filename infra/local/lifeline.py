"""No part outlives its supervisor, even one killed with SIGKILL. Two ways, each for what the other cannot:

`run PARENT COMMAND…` becomes COMMAND, having asked the kernel to send it SIGTERM when its parent dies (prctl,
Linux only). At once, and nothing has to be alive for it. The parent is the thread that started it: start
parts from the main thread.

`guard LOCK` outlives the supervisor by some seconds, on any Unix. It is told process groups on stdin (`+123`,
`-123`); at the end of stdin it sends SIGTERM to those left, and SIGKILL five seconds later: to a part that
does not heed SIGTERM, to a part's own children, and on systems without prctl to everybody. Parts inherit the
lock on the data directory, so that it is free when they are gone.

Started by path with `python -I -S`, so this module imports the standard library alone.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

GRACE_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1
_START = (sys.executable, "-I", "-S", str(Path(__file__).resolve()))


def tied(argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` as a child that ends with this process."""
    return [*_START, "run", str(os.getpid()), *argv]


def guard_command(lock: Path) -> list[str]:
    return [*_START, "guard", str(lock)]


def _run(parent: int, argv: list[str]) -> int:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have died before the kernel was asked.
    if os.getppid() != parent:
        return 1
    try:
        os.execvp(argv[0], argv)  # noqa: S606 (the point of this program)
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error.strerror}\n")
        return 127


def _guard(lock: str) -> int:
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    if not groups:
        return 0
    _send(groups, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline:
        if _is_free(lock):
            return 0
        time.sleep(0.05)
    _send(groups, signal.SIGKILL)
    return 0


def _send(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _is_free(lock: str) -> bool:
    try:
        with Path(lock).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return False
    return True


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", parent, *argv] if argv:
            sys.exit(_run(int(parent), argv))
        case ["guard", lock]:
            sys.exit(_guard(lock))
        case _:
            sys.exit(2)
