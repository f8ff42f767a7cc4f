"""The process of a rehearsal: it sends, keeps a worker of the rehearsal's own, and writes down how far it is.

It may be killed at any moment. Its record says what the brokers had, so whoever plays it again sends the
rest; its worker ends with it; its lock (`infra.local.claim`) is free once both are gone.
"""

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from infra.local import claim, lifeline
from infra.local.claim import PartStatus, Run
from infra.local.journal import last_lines
from infra.local.trouble import WrongUse
from motcua import clock
from motcua.settings import Settings
from rates.failures import Fatal, Retry

if TYPE_CHECKING:
    from producers.rehearsing import Rehearser
    from sinks.client import Database
    from sinks.rehearsals import Rehearsal, State

NICENESS: Final = 10
"""What sender and worker are below everything else on the machine."""
TICK: Final = 0.25
_SAVE_SECONDS: Final = 1.0
_DEATHS: Final = 5
_WITHIN: Final = 60.0
_WORKER_ENDS: Final = 15.0
_COUNTED: Final = ("messages", "events", "bad", "unsorted", "cut", "done", "total")


def folder(live: Settings, name: str) -> Path:
    """Where a rehearsal's lock, its worker's log and its clock are."""
    return live.data_dir.absolute() / "rehearsals" / name


def place_of(live: Settings) -> str:
    """Where a process of these settings runs: only there can its lock be seen."""
    return f"{socket.gethostname()}:{live.data_dir.absolute()}"


def clock_of(found: Settings) -> Path:
    """The file of a rehearsal's own time; it is there where it was paced."""
    return folder(found, found.on) / "clock"


def step_back() -> None:
    """Let live processes of this machine go first: with processor time, and so with the disk."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICENESS))


@contextmanager
def held(live: Settings, name: str) -> Iterator[int]:
    """The lock of a rehearsal. `WrongUse` while a process runs it."""
    place = folder(live, name)
    pid = claim.supervisor(place)
    if pid is not None:
        msg = f"rehearsal {name} runs (process {pid}). Next: motcua replay stop {name}, or pause"
        raise WrongUse(msg)
    with claim.claim(place) as lock:
        yield lock


class Playing:
    """A rehearsal that runs in this process, which holds its lock and is the only one to write its record."""

    def __init__(
        self,
        live: Settings,
        found: Settings,
        database: "Database",
        begun: "Rehearsal",
        version: int,
        since: int,
        lock: int,
    ) -> None:
        """`version` of its record as stored, `since`: of the last order that is not for this process."""
        self._live = live
        self._found = found
        self._database = database
        self._record = begun
        self._version = version
        self._since = since
        self._lock = lock
        self._folder = folder(live, found.on)
        self._stop = asyncio.Event()
        self._saved = 0.0

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it, Ctrl-C or SIGTERM."""
        return self._stop.is_set()

    async def play(self) -> "Rehearsal":
        from producers.eventlog import Unreadable

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupted)
        claim.remove(self._folder)  # what one that was killed said of its processes
        if self._record.speed and not clock_of(self._found).exists():
            clock.drill(clock_of(self._found), clock.millis())
        await self._save(state="running", error="", place=place_of(self._live))
        try:
            state = await self._run()
        except (Retry, Fatal) as failure:
            told = str(failure).partition(" Next: ")[0]
            await self._last(state="failed", error=told)
            if not isinstance(failure, Unreadable):
                raise
            msg = f"{told} What was sent counts. Next: put a whole file there, then motcua replay resume"
            raise WrongUse(f"{msg} {self._found.on}") from failure
        await self._last(state=state)
        return self._record

    def _interrupted(self) -> None:
        self._stop.set()

    async def _run(self) -> "State":
        from motcua import wiring
        from sinks import generations

        await wiring.prepare(self._found, lambda _line: None)
        source = await asyncio.to_thread(wiring.source, self._found)
        if source is None or self._record.topic_id not in ("", source.topic_id):
            msg = f"topic {self._found.topic} is not the one that was sent to"
            raise Fatal(f"{msg}. Next: motcua replay drop {self._found.on}, and begin anew")
        if self._record.from_topic:
            now = await asyncio.to_thread(wiring.source, self._live)
            if now is None or now.topic_id != self._record.live_topic_id:
                msg = f"the live topic {self._live.topic} was made anew since the rehearsal began"
                raise Fatal(f"{msg}. Next: motcua replay drop {self._found.on}, and begin anew")
        async with wiring.migrated(self._found) as own:
            generation = await generations.confirmed(own, source)
            await self._save(topic_id=source.topic_id, generation=generation)
            working = asyncio.create_task(self._work())
            try:
                return await self._send(own, source.partitions, working)
            finally:
                working.cancel()
                with suppress(asyncio.CancelledError, Fatal):
                    await working

    async def _send(self, own: "Database", partitions: int, working: asyncio.Task[None]) -> "State":
        """Send what is left and wait until it is durable, or until somebody wants an end."""
        from motcua.cli import bar
        from producers.merged import At
        from producers.rehearsing import Pace, Rehearser, Sent

        pace = Pace(self._record.speed)
        start = Sent(
            tuple(At(file.line, file.newest) for file in self._record.files),
            self._record.offsets,
            **{name: getattr(self._record, name) for name in _COUNTED},
        )
        rehearser = Rehearser(self._live.kafka, self._found.topic, start=start, pace=pace, bad=_Few().tell)
        sending = asyncio.create_task(asyncio.to_thread(self._sent, rehearser))
        rate = _Rate(self._record.events)
        try:
            with bar(self._found.on, *_columns()) as progress:
                while True:
                    wanted = await self._wanted()
                    if pace.now is not None:
                        clock.drill(clock_of(self._found), pace.now)
                    if working.done():
                        working.result()
                    if wanted is not None:
                        rehearser.halt.set()
                        await sending
                        self._progress(rehearser.sent, rate)
                        return wanted
                    if sending.done():
                        sending.result()
                    await self._progressed(rehearser.sent, rate)
                    progress(self._record.done, max(self._record.total, 1), rate=f"{rate.now:,.0f} events/s")
                    if sending.done() and await self._durable(own, partitions):
                        return "done"
        finally:
            rehearser.halt.set()
            with suppress(Retry, Fatal):
                await sending
            if rehearser.sent != start:
                self._progress(rehearser.sent, rate)

    def _sent(self, rehearser: "Rehearser") -> bool:
        from motcua.cli import say

        record = self._record
        if record.from_topic:
            return rehearser.copy(self._live.topic, record.begins, record.ends)
        whole = rehearser.send_logs([Path(file.path) for file in record.files])
        if rehearser.sent.unsorted:
            say(
                f"{rehearser.sent.unsorted:,} lines were received before the one in front of them; each log "
                "is sent as it is"
            )
        return whole

    async def _wanted(self) -> "State | None":
        """What this process is to end as, if it is to end; looked at after a moment."""
        from sinks import rehearsals

        with suppress(TimeoutError):
            async with asyncio.timeout(TICK):
                await self._stop.wait()
        if self._stop.is_set():
            return "paused"
        try:
            version, wanted = await rehearsals.ordered(self._database, self._found.on)
        except Retry:
            return None  # the database is away: what was asked can wait until it is back
        if version <= self._since:
            return None
        return "stopped" if wanted == "stop" else "paused"

    async def _progressed(self, sent: Any, rate: "_Rate") -> None:
        before = self._record
        self._progress(sent, rate)
        now = asyncio.get_running_loop().time()
        if self._record != before and now - self._saved >= _SAVE_SECONDS:
            with suppress(Retry):  # away; it is tried again, and nothing is lost by an old record
                await self._save()
                self._saved = now

    def _progress(self, sent: Any, rate: "_Rate") -> None:
        files = tuple(
            msgspec.structs.replace(file, line=at.line, newest=at.newest)
            for file, at in zip(self._record.files, sent.logs, strict=True)
        )
        counts = {name: getattr(sent, name) for name in _COUNTED}
        self._record = msgspec.structs.replace(
            self._record, files=files, offsets=dict(sent.offsets), rate=rate.at(sent.events), **counts
        )

    async def _durable(self, own: "Database", partitions: int) -> bool:
        try:
            return await lag(self._found, own, self._record.generation, partitions) == 0
        except Retry:
            return False

    async def _save(self, **changes: Any) -> None:
        from sinks import rehearsals

        self._record = msgspec.structs.replace(self._record, **changes)
        await rehearsals.save(self._database, self._record, self._version + 1, clock.now())
        self._version += 1

    async def _last(self, **changes: Any) -> None:
        """Write down how it ended; a database that is away just now is waited for."""
        from motcua.wiring import patiently

        async for attempt in patiently():
            with attempt:
                await self._save(**changes)

    async def _work(self) -> None:
        """Keep the rehearsal's worker running; `Fatal` once it dies too often."""
        from motcua.running import argv

        command = [*argv(self._live), "worker", "--on", self._found.on, "--port", "0"]
        addresses = {"MOTCUA_KAFKA": self._live.kafka, "MOTCUA_CLICKHOUSE": self._live.clickhouse}
        loop = asyncio.get_running_loop()
        deaths: deque[float] = deque()
        told = self._folder / "worker.log"
        while True:
            with told.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *lifeline.tied([sys.executable, "-m", "motcua", *command]),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=asyncio.subprocess.STDOUT,
                    env={**os.environ, **addresses},
                    start_new_session=True,
                    pass_fds=(self._lock,),
                )
            claim.write(
                self._folder,
                Run(os.getpid(), {}, [_part("sender", os.getpid()), _part("worker", process.pid)]),
            )
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    await _ended(process)
                    claim.remove(self._folder)
            deaths.append(loop.time())
            while deaths[0] < loop.time() - _WITHIN:
                deaths.popleft()
            if len(deaths) >= _DEATHS:
                last = " / ".join(last_lines(told, 3))
                msg = f"its worker ended {_DEATHS} times within a minute: {last}. All that it said: {told}"
                raise Fatal(f"{msg}. Next: motcua replay resume {self._found.on}")
            await asyncio.sleep(0.25 * 2 ** len(deaths))


def _part(name: str, pid: int) -> PartStatus:
    return PartStatus(name, pid, "", "running")


async def _ended(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_WORKER_ENDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class _Few:
    """Tells of the first bad lines; all of them are counted."""

    def __init__(self) -> None:
        self._left = 100

    def tell(self, bad: str) -> None:
        from motcua.cli import say

        if self._left:
            self._left -= 1
            say(f"{bad} (skipped)")


class _Rate:
    """Events a second since this process began to send."""

    def __init__(self, events: int) -> None:
        self._first = events
        self._began = asyncio.get_running_loop().time()
        self.now = 0.0

    def at(self, events: int) -> float:
        seconds = asyncio.get_running_loop().time() - self._began
        if events > self._first and seconds > 0:
            self.now = round((events - self._first) / seconds, 1)
        return self.now


def _columns() -> Sequence[Any]:
    from rich.progress import TaskProgressColumn, TextColumn

    return TaskProgressColumn(), TextColumn("{task.fields[rate]}")


async def lag(found: Settings, own: "Database", generation: int, partitions: int) -> int:
    """How many messages of a rehearsal's topic its database does not have yet. Raises Retry."""
    from producers import topics
    from rates.effects import due
    from sinks import reads

    bounds = await asyncio.to_thread(topics.bounds, found.kafka, found.topic, partitions)
    done = due(await reads.reached(own), generation)
    return sum(max(end - done.get(partition, first), 0) for partition, (first, end) in bounds.items())
