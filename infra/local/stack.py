"""The supervisor behind `motcua up`: starts parts in order, keeps them running, stops them in reverse order.

It knows nothing of what the parts do; the caller lists them. A part is started when those that it needs are
ready, and started again with back-off when it dies. One that dies five times within a minute ends the whole
stack, with its last lines. Ctrl-C, SIGTERM and SIGHUP stop everything, a second one at once. Nothing outlives
the supervisor (`lifeline`), and one data directory has one stack (`claim`).

It refuses to judge health beyond that: a part is ready once, and from then on runs or does not.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from infra.local import claim, lifeline
from infra.local.claim import PartStatus, Run, State
from infra.local.journal import Journal, last_lines
from infra.local.trouble import WrongUse

DEATHS = 5
WITHIN_SECONDS = 60.0
_FIRST_PAUSE = 0.25
_LAST_LINES = 20
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process of the stack.

    `ready`: a text that one of its lines of output holds, or a question asked ten times a second; None = at
    once. `before`: done once, in a thread, before the first start. `environment` is added to the supervisor's
    own. `announced`: entries of `run.json` (`{"kafka": "127.0.0.1:9092"}`). `needs`: names of the parts that
    must be ready before this one starts; None = all that are listed before it. `first`: what is added to
    `argv` until it was ready once; if it then ends by itself with 1 or 2, the stack ends: the answer was no.
    """

    name: str
    argv: Sequence[str]
    first: Sequence[str] = ()
    ready: str | Callable[[], Awaitable[bool]] | None = None
    address: str = ""
    announced: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    needs: Sequence[str] | None = None
    ready_within: float = 120
    stops_within: float = 15


def up(
    data_dir: Path,
    parts: Callable[[], Sequence[Part]],
    *,
    out: TextIO | None = None,
    stamp: Callable[[], str] | None = None,
) -> int:
    """Runs the stack in this process until it is stopped (0) or gives up (1).

    `parts` is called once the data directory is claimed: settle ports and find programs there. Lines go to
    `out` (None = stderr) and to the log; `stamp` gives the time to stand before each. Raises Trouble.
    """
    data_dir = data_dir.absolute()
    with claim.claim(data_dir) as lock:
        listed = tuple(parts())
        _check(listed)
        journal = Journal(log_path(data_dir), out or sys.stderr, [part.name for part in listed], stamp=stamp)
        try:
            return asyncio.run(_Stack(data_dir, lock, listed, journal).run())
        finally:
            claim.remove(data_dir)
            journal.close()


def detach(data_dir: Path, argv: Sequence[str], *, out: TextIO | None = None) -> int:
    """Starts `argv`, the command that calls `up` in the foreground, as a daemon; returns when it is ready.

    0, and where things listen; or what that command returned, and its last lines. Raises WrongUse when a
    stack lives here already.
    """
    out = out or sys.stderr
    data_dir = data_dir.absolute()
    with claim.claim(data_dir):
        log = log_path(data_dir)
        log.parent.mkdir(parents=True, exist_ok=True)
        said_before = log.stat().st_size if log.exists() else 0
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # Not subprocess: this child is meant to outlive its parent, which subprocess calls a leak.
    pid = os.posix_spawnp(
        argv[0],
        list(argv),
        os.environ,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    try:
        while True:
            gone, how = os.waitpid(pid, os.WNOHANG)
            if gone:
                out.writelines(f"{line}\n" for line in last_lines(log, _LAST_LINES, said_before))
                out.write(f"the stack did not start; all it said: {log}\n")
                return os.waitstatus_to_exitcode(how) or 1
            run = claim.read(data_dir)
            if run and run.pid == pid and all(part.state == "running" for part in run.parts):
                out.writelines(f"{name:<12}{where}\n" for name, where in run.announced.items())
                out.write(f"log         {log}\nstop with   motcua down\n")
                return 0
            time.sleep(0.05)
    except KeyboardInterrupt:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise


def log_path(data_dir: Path) -> Path:
    return data_dir / "logs" / "stack.log"


def _check(parts: Sequence[Part]) -> None:
    names = [part.name for part in parts]
    if not parts or len(set(names)) < len(names):
        raise WrongUse(f"a stack is of parts with a name each, not of {names or 'none'}")
    for place, part in enumerate(parts):
        for need in part.needs or ():
            if need not in names[:place]:
                raise WrongUse(f"{part.name} needs {need}, which is not listed before it")


class _GivesUp(Exception):
    """A part died too often."""


class _Live:
    """A part and what became of it so far."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.state: State = "starting"
        self.process: asyncio.subprocess.Process | None = None
        self.reading: asyncio.Task[None] | None = None
        self.said_ready = asyncio.Event()
        self.ready = asyncio.Event()
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self.deaths: deque[float] = deque()

    def status(self) -> PartStatus:
        pid = self.process.pid if self.process else None
        return PartStatus(self.part.name, pid, self.part.address, self.state)


class _Stack:
    def __init__(self, data_dir: Path, lock: int, parts: Sequence[Part], journal: Journal) -> None:
        self._data_dir = data_dir
        self._lock = lock
        self._journal = journal
        self._live = {part.name: _Live(part) for part in parts}
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()
        self._guard = subprocess.Popen(
            lifeline.guard_command(data_dir / "lock"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        self._record()
        keepers = [asyncio.create_task(self._keep(live)) for live in self._live.values()]
        telling = asyncio.create_task(self._tell_ready())
        stopping = asyncio.create_task(self._stopped())
        tasks = (*keepers, telling, stopping)
        try:
            # Keepers end with an exception or not at all: _GivesUp, or what `before` raised.
            done, _ = await asyncio.wait((*keepers, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except _GivesUp as end:
            self._say(str(end))
            return 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for live in reversed(self._live.values()):
                await self._end(live)
            self._dismiss_guard()
        return 0

    async def _keep(self, live: _Live) -> None:
        part = live.part
        earlier = list(self._live)[: list(self._live).index(part.name)]
        for need in earlier if part.needs is None else part.needs:
            await self._live[need].ready.wait()
        self._say(f"starting {part.name}")
        if part.before is not None:
            await asyncio.to_thread(part.before)
        while True:
            process = await self._start(live)
            if await self._became_ready(live, process):
                live.state = "running"
                live.ready.set()
                self._record()
            code = await process.wait()
            await self._bury(live, process)
            live.state = "restarting"
            self._record()
            await asyncio.sleep(self._pause_after_death(live, code))

    async def _start(self, live: _Live) -> asyncio.subprocess.Process:
        part = live.part
        live.said_ready.clear()
        process = await asyncio.create_subprocess_exec(
            *lifeline.tied([*part.argv, *(() if live.ready.is_set() else part.first)]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **part.environment},
            # Ctrl-C at the terminal is for the supervisor, which stops the parts in order.
            start_new_session=True,
            pass_fds=(self._lock,),
        )
        self._tell_guard(f"+{process.pid}")
        live.process = process
        live.reading = asyncio.create_task(self._read(live, process))
        self._record()
        return process

    async def _read(self, live: _Live, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        rest = b""
        while chunk := await process.stdout.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _CHUNK:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._heard(live, line)
        if rest:
            self._heard(live, rest)

    def _heard(self, live: _Live, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        live.last_lines.append(text)
        if isinstance(live.part.ready, str) and live.part.ready in text:
            live.said_ready.set()
        self._journal.write(live.part.name, text)

    async def _became_ready(self, live: _Live, process: asyncio.subprocess.Process) -> bool:
        asking = asyncio.create_task(_until_ready(live))
        ending = asyncio.create_task(process.wait())
        try:
            done, _ = await asyncio.wait(
                (asking, ending), timeout=live.part.ready_within, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            asking.cancel()
            ending.cancel()
        if asking in done:
            asking.result()
            return True
        if not done:
            self._say(f"{live.part.name} is not ready after {live.part.ready_within:g} s and is ended")
            _kill_group(process.pid)
        return False

    def _pause_after_death(self, live: _Live, code: int) -> float:
        name, deaths, now = live.part.name, live.deaths, time.monotonic()
        deaths.append(now)
        while deaths[0] < now - WITHIN_SECONDS:
            deaths.popleft()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        refused = live.part.first and not live.ready.is_set() and code in (1, 2)
        if refused or len(deaths) >= DEATHS:
            often = "before it was ever ready" if refused else f"{DEATHS} times within a minute"
            last = "".join(f"\n  {line}" for line in live.last_lines)
            raise _GivesUp(
                f"{name} ended {how}, {often}: the stack ends. Its last lines:{last}\n"
                f"All that was said: {log_path(self._data_dir)}. Next: motcua doctor"
            )
        pause: float = _FIRST_PAUSE * 2 ** (len(deaths) - 1)
        self._say(f"{name} ended {how}; it is started again in {pause:g} s")
        return pause

    async def _bury(self, live: _Live, process: asyncio.subprocess.Process) -> None:
        # Its own children, if it left any: they would hold its port, its output and the lock.
        _kill_group(process.pid)
        if live.reading is not None:
            await live.reading
        self._tell_guard(f"-{process.pid}")
        live.process = live.reading = None

    async def _end(self, live: _Live) -> None:
        process = live.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        ending = asyncio.create_task(process.wait())
        hurry = asyncio.create_task(self._at_once.wait())
        await asyncio.wait(
            (ending, hurry), timeout=live.part.stops_within, return_when=asyncio.FIRST_COMPLETED
        )
        hurry.cancel()
        if not ending.done():
            self._say(f"{live.part.name} does not stop and is ended")
            _kill_group(process.pid)
        await ending
        await self._bury(live, process)

    def _asked_to_stop(self) -> None:
        (self._at_once if self._stop.is_set() else self._stop).set()

    async def _stopped(self) -> None:
        await self._stop.wait()
        self._say("stopping")

    async def _tell_ready(self) -> None:
        for live in self._live.values():
            await live.ready.wait()
        announced = ", ".join(f"{name} {where}" for name, where in self._announced().items())
        self._say(f"ready: {announced}" if announced else "ready")

    def _announced(self) -> dict[str, str]:
        return {name: where for live in self._live.values() for name, where in live.part.announced.items()}

    def _record(self) -> None:
        statuses = [live.status() for live in self._live.values()]
        claim.write(self._data_dir, Run(os.getpid(), self._announced(), statuses))

    def _say(self, text: str) -> None:
        for line in text.splitlines():
            self._journal.write("motcua", line)

    def _tell_guard(self, line: str) -> None:
        if self._guard.stdin is None:
            return
        # Somebody killed it: on Linux the kernel still ends the parts with this process.
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.write(f"{line}\n".encode())
            self._guard.stdin.flush()

    def _dismiss_guard(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._guard.communicate()


async def _until_ready(live: _Live) -> None:
    ready = live.part.ready
    if isinstance(ready, str):
        await live.said_ready.wait()
    elif ready is not None:
        while not await ready():  # noqa: ASYNC110 (what is asked is another process)
            await asyncio.sleep(0.1)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
