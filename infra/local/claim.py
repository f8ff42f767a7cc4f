"""Who runs in a data directory: the lock and `run.json`, and what `motcua status` and `down` make of them.

Two locks (flock) are the truth, since the kernel frees them however a process went. `DATA/lock` is held by
the supervisor and by every part, which inherit it: free means that nothing of a stack is left.
`DATA/supervisor` is held by the supervisor alone and holds its process id. `run.json` is what the supervisor
says: where things listen, as which processes. It is replaced whole, readable by its owner alone, and removed
at a clean stop; one that is found beside a free lock is left over and believed in nothing.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from infra.local.trouble import Away, Trouble, WrongUse

State = Literal["running", "starting", "restarting", "stopped"]


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part as `status --json` shows it; `pid` None: no process now; `address` "": listens nowhere."""

    name: str
    pid: int | None
    address: str
    state: State


@dataclass(frozen=True, slots=True)
class Run:
    """What `run.json` says: the supervisor, where things listen (`kafka`, `page`, …), the parts."""

    pid: int
    announced: Mapping[str, str]
    parts: Sequence[PartStatus]


@contextlib.contextmanager
def claim(data_dir: Path, *, patience: float = 15) -> Iterator[int]:
    """Holds the lock while the block lasts; gives its file descriptor, for the parts to inherit.

    Parts that a killed supervisor left behind are on their way out: they are waited for, up to `patience`
    seconds. Raises WrongUse when a live stack is here, Away when the directory cannot be written.
    """
    with contextlib.ExitStack() as closing:
        try:
            # What is in it is for its owner alone, unless somebody made it otherwise.
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock, supervisor = (_opened(data_dir / name, closing) for name in ("lock", "supervisor"))
        except OSError as error:
            raise Away(
                f"the data directory {data_dir} cannot be written ({error.strerror}): make it writable, or "
                "choose another with MOTCUA_DATA_DIR, then run: motcua doctor"
            ) from error
        _acquire(lock, data_dir, patience)
        # Whoever else has it only looks whether it is free.
        fcntl.flock(supervisor, fcntl.LOCK_EX)
        os.ftruncate(supervisor, 0)
        os.pwrite(supervisor, f"{os.getpid()}\n".encode(), 0)
        yield lock


def _opened(path: Path, closing: contextlib.ExitStack) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Closed, never unlocked: unlocking would take the lock from the parts that still hold it.
    closing.callback(os.close, file)
    return file


def _acquire(lock: int, data_dir: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        pid = supervisor(data_dir)
        if pid is not None:
            raise WrongUse(
                f"the data directory {data_dir} is in use by a running stack (process {pid}). Stop it with: "
                "motcua down; or run a second one beside it, with another MOTCUA_DATA_DIR"
            )
        if time.monotonic() > deadline:
            raise WrongUse(
                f"parts of an earlier stack still run in {data_dir} and do not end. Find them with: "
                f"fuser -v {data_dir / 'lock'}"
            )
        time.sleep(0.05)


def in_use(data_dir: Path) -> bool:
    """Whether a stack, or a part that one left behind, lives in this data directory."""
    return _held(data_dir / "lock")


def supervisor(data_dir: Path) -> int | None:
    """The process id of the supervisor that lives here, if one does."""
    file = data_dir / "supervisor"
    if not _held(file):
        return None
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        # Between its lock and its first write.
        return None


def _held(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def write(data_dir: Path, run: Run) -> None:
    document = {"pid": run.pid, **run.announced, "parts": [asdict(part) for part in run.parts]}
    fresh = data_dir / "run.json.new"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    fresh.replace(data_dir / "run.json")


def remove(data_dir: Path) -> None:
    (data_dir / "run.json").unlink(missing_ok=True)


def read(data_dir: Path) -> Run | None:
    """What `run.json` says, or None without one. Ask `in_use` whether it still holds."""
    try:
        document = json.loads((data_dir / "run.json").read_bytes())
        parts = [PartStatus(**part) for part in document.pop("parts")]
        pid = document.pop("pid")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        # Written by nothing of ours: as good as none.
        return None
    if not isinstance(pid, int) or any(part.state not in get_args(State) for part in parts):
        return None
    return Run(pid, {key: value for key, value in document.items() if isinstance(value, str)}, parts)


def status(data_dir: Path) -> tuple[PartStatus, ...]:
    """What runs here, checked against live processes; after a clean stop, nothing; after a crash, all
    stopped."""
    run = read(data_dir)
    if run is None:
        return ()
    if not in_use(data_dir):
        return tuple(PartStatus(part.name, None, part.address, "stopped") for part in run.parts)
    supervised = supervisor(data_dir) == run.pid
    return tuple(_checked(part, supervised) for part in run.parts)


def _checked(part: PartStatus, supervised: bool) -> PartStatus:
    if part.pid is not None and _alive(part.pid):
        return part
    if not supervised:
        return PartStatus(part.name, None, part.address, "stopped")
    # Dead, and the supervisor has not written so yet; or without a process just now.
    return PartStatus(part.name, None, part.address, "restarting" if part.state == "running" else part.state)


def down(data_dir: Path, *, within: float = 60) -> bool:
    """Stops the stack of this data directory and waits until nothing of it is left; False when none ran.

    Raises Trouble when it has not ended `within` seconds.
    """
    if not in_use(data_dir):
        remove(data_dir)
        return False
    deadline = time.monotonic() + within
    pid = supervisor(data_dir)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    while in_use(data_dir):
        if time.monotonic() > deadline:
            raise Trouble(
                f"the stack in {data_dir} (process {pid}) has not ended in {within:.0f} s. What it does: "
                f"tail {data_dir / 'logs' / 'stack.log'}; end it at once: kill -9 {pid}"
            )
        time.sleep(0.02)
    remove(data_dir)
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
