"""`motcua replay`: history through the same pipeline, into a database and a topic beside the live ones.

One process sends and keeps the rehearsal's worker; it holds a lock, steps back for the live workers, and
writes down what the brokers have. So it can be killed at any moment: `resume` sends the rest, and what is
sent twice changes no figure.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from glob import glob
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from typer.core import TyperGroup

from infra.local import claim, lifeline
from infra.local.claim import PartStatus, Run
from infra.local.journal import last_lines
from infra.local.trouble import WrongUse
from motcua import clock
from motcua.access import unlimited
from motcua.cli import Json, app, bar, console, given, instant, say, settings, show, table, wrong
from motcua.settings import Settings, rehearsed
from rates.failures import Fatal, Retry

if TYPE_CHECKING:
    from producers.rehearsing import Rehearser
    from sinks.client import Database
    from sinks.rehearsals import Order, Rehearsal, State

LOGS: Final = (".ndjson", ".jsonl", ".gz", ".zst", ".parquet")
"""What counts as an event log in a folder."""
_TICK: Final = 0.25
_SAVE_SECONDS: Final = 1.0
_MEMBER_SECONDS: Final = 8.0
"""How long a worker that was just killed counts as alive."""
_OBEY_SECONDS: Final = 90.0
"""How long a process may take to pause or stop: what it has given to the brokers is waited for."""
_DEATHS: Final = 5
_WITHIN: Final = 60.0
_WORKER_ENDS: Final = 15.0


class _Replays(TyperGroup):
    """`motcua replay SOURCE…` beside `motcua replay list`: what is no command's name is a source."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["begin", *args]
        return super().parse_args(ctx, args)


replays = typer.Typer(
    cls=_Replays,
    no_args_is_help=True,
    help="Rehearse history beside the live system: motcua replay SOURCE… --into NAME [--speed N], or "
    "motcua replay --from-topic --since TIME --into NAME. A log that is called like a command: ./list",
)
app.add_typer(replays, name="replay")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The rehearsal.")]


@replays.command(hidden=True)
def begin(
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE…", help="Event logs: files, folders, patterns.")
    ] = None,
    into: Annotated[str, typer.Option("--into", metavar="NAME", help="What it is called.")] = "",
    from_topic: Annotated[
        bool, typer.Option("--from-topic", help="What the live topic holds, instead of logs.")
    ] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="… from what was received at this time on.")
    ] = "",
    speed: Annotated[
        float, typer.Option(min=0, metavar="N", help="N seconds of receipt a second; 0: as fast as it goes.")
    ] = 0,
) -> None:
    """Replay event logs, or the live topic, into a rehearsal; returns when its database has everything."""
    live = _live()
    if not into:
        raise wrong("--into NAME is missing: what the rehearsal is called")
    found = rehearsed(live, into)
    if not 0 <= speed < inf:
        raise wrong("--speed takes a number of seconds of receipt a second")
    if from_topic == bool(sources):
        raise wrong("name event logs, or --from-topic, and not both")
    if bool(since) != from_topic:
        raise wrong("--since TIME belongs to --from-topic, which needs it")
    start = _Start(speed, instant(since, "--since"), from_topic, logs(sources or ()))
    _end(asyncio.run(_play(live, found, start)))


@replays.command()
def resume(name: Name) -> None:
    """Go on where a rehearsal was paused, stopped or killed, or failed."""
    live = _live()
    _end(asyncio.run(_play(live, rehearsed(live, name), None)))


@replays.command("list")
def list_(as_json: Json = False) -> None:
    """The rehearsals that there are."""
    rows = asyncio.run(_rows(_live()))
    if as_json:
        show({"rows": rows})
        return
    _print(rows)


@replays.command()
def status(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The rehearsal; all by default.")] = "",
    as_json: Json = False,
) -> None:
    """How far a rehearsal is, how fast, and how much of it is not durable yet."""
    rows = asyncio.run(_rows(_live(), name))
    if as_json:
        show(rows[0] if name else {"rows": rows})
        return
    _print(rows)
    for row in rows:
        if row["error"]:
            say(f"{row['name']}: {row['error']}")


@replays.command()
def pause(name: Name) -> None:
    """Have a running rehearsal end where it is; `resume` goes on."""
    asyncio.run(_told(_live(), name, "pause"))


@replays.command()
def stop(name: Name) -> None:
    """End a rehearsal's sending and its worker; the database stays, to be asked with --on."""
    asyncio.run(_told(_live(), name, "stop"))


@replays.command()
def drop(name: Name) -> None:
    """Delete a rehearsal: topic, database and what is known of it."""
    asyncio.run(_drop(_live(), name))
    say(f"rehearsal {name} is gone")


def _live() -> Settings:
    """The live system's settings, whatever `on` says: what is known of rehearsals is in its database."""
    given["on"] = ""
    found = settings()
    unlimited(found, "a rehearsal is of every body's dossiers")
    return found


def _end(reached: "Rehearsal") -> None:
    name, told = reached.name, f"{reached.messages:,} messages with {reached.events:,} records sent"
    if reached.state == "done":
        say(f"{name}: {told}, all of it durable. Next: motcua rates --on {name}")
        return
    say(f"{name} is {reached.state}: {told}. Next: motcua replay resume {name}")
    raise typer.Exit(130 if _INTERRUPTED else 1)


_INTERRUPTED: Final[list[int]] = []


class _Start(msgspec.Struct, frozen=True):
    """What a new rehearsal was asked to replay."""

    speed: float
    since: int
    from_topic: bool
    logs: Sequence[Path]


def logs(sources: Sequence[str]) -> list[Path]:
    """The event logs that files, folders and patterns name, each once. Raises WrongUse if one names none."""
    found: list[Path] = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            named = sorted(one for one in path.iterdir() if one.is_file() and one.suffix in LOGS)
            named = [one for one in named if not one.name.startswith(".")]
        elif path.exists():
            named = [path]
        else:
            matching = glob(source, recursive=True)  # noqa: PTH207  # Path's own takes no absolute pattern
            named = sorted(one for one in map(Path, matching) if one.is_file())
        if not named:
            what = "a folder without event logs" if path.is_dir() else "no file, folder or pattern of files"
            msg = f"{source} is {what} ({', '.join(LOGS)}). Next: name event logs"
            raise WrongUse(msg)
        found += (one.absolute() for one in named)
    return list(dict.fromkeys(found))


def folder(live: Settings, name: str) -> Path:
    """Where a rehearsal's lock, its worker's log and its clock are."""
    return live.data_dir.absolute() / "rehearsals" / name


def clock_of(found: Settings) -> Path:
    """The file of a rehearsal's own time; it is there where it was paced."""
    return folder(found, found.on) / "clock"


def step_back() -> None:
    """Let live processes of this machine go first: with processor time, and so with the disk."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICENESS))


NICENESS: Final = 10


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


@asynccontextmanager
async def _known(live: Settings) -> AsyncIterator["Database"]:
    """The live database, where rehearsals are known."""
    from motcua.wiring import migrated, needed

    needed(live.kafka, "kafka")
    async with migrated(live) as connected:
        yield connected


def _none(name: str) -> WrongUse:
    return WrongUse(f"there is no rehearsal {name}. Next: motcua replay list")


async def _play(live: Settings, found: Settings, start: _Start | None) -> "Rehearsal":
    """Begin a rehearsal, or go on with one, until it is done or told to end."""
    from sinks import rehearsals

    step_back()
    async with _known(live) as database:
        if start is None and await _there(database, found.on) is None:
            raise _none(found.on)
        # Before the lock: whoever sees that it runs may ask it to end.
        since, _ = await rehearsals.ordered(database, found.on)
        with held(live, found.on) as lock:
            there = await _there(database, found.on)
            if start is None:
                if there is None:
                    raise _none(found.on)
                if there.state == "done":
                    msg = f"rehearsal {found.on} is done. Next: motcua rates --on {found.on}"
                    raise WrongUse(msg)
                begun = there
            else:
                if there is not None:
                    msg = f"rehearsal {found.on} is there already, {there.state}"
                    raise WrongUse(f"{msg}. Next: motcua replay resume {found.on}, or drop")
                begun = await _begun(live, found, start)
            stored = await rehearsals.find(database, found.on)
            playing = _Playing(live, found, database, begun, stored.version if stored else 0, since, lock)
            return await playing.play()


async def _there(database: "Database", name: str) -> "Rehearsal | None":
    from sinks import rehearsals

    stored = await rehearsals.find(database, name)
    return stored.rehearsal if stored and stored.rehearsal.state != "dropped" else None


async def _begun(live: Settings, found: Settings, start: _Start) -> "Rehearsal":
    """The record of a new rehearsal; nothing is made yet. Raises WrongUse where its names are taken."""
    from motcua import wiring
    from producers import topics
    from producers.merged import Merged
    from sinks.rehearsals import File, Rehearsal

    files = [File(str(path), _size(path)) for path in start.logs]
    Merged(start.logs)  # raises where one cannot be read
    async with wiring.database(found) as own:
        if await own.exists():
            msg = f"database {found.database} is there already and is no rehearsal. Next: another name"
            raise WrongUse(msg)
    if await asyncio.to_thread(wiring.source, found) is not None:
        raise WrongUse(f"topic {found.topic} is there already and is no rehearsal. Next: another name")
    source = await asyncio.to_thread(wiring.source, live)
    if source is None:
        raise Fatal(f"topic {live.topic} does not exist. Next: motcua migrate")
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    if start.from_topic:
        bounds = await asyncio.to_thread(
            topics.since, live.kafka, live.topic, source.partitions, start.since * 1000
        )
        begins = {partition: first for partition, (first, _) in bounds.items()}
        ends = {partition: end for partition, (_, end) in bounds.items()}
    return Rehearsal(
        name=found.on,
        state="running",
        database=found.database,
        topic=found.topic,
        started_at=clock.now(),
        from_topic=start.from_topic,
        files=tuple(files),
        live_topic_id=source.topic_id,
        since=start.since,
        begins=begins,
        ends=ends,
        offsets=begins,
        speed=start.speed,
        total=sum(file.size for file in files) or sum(ends.values()) - sum(begins.values()),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror or error}. Next: name event logs") from None


class _Playing:
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

    async def play(self) -> "Rehearsal":
        from producers.eventlog import Unreadable

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupted)
        if self._record.speed and not clock_of(self._found).exists():
            clock.drill(clock_of(self._found), clock.millis())
        await self._save(state="running", error="")
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
        _INTERRUPTED.append(1)
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
            async with asyncio.timeout(_TICK):
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


_COUNTED: Final = ("messages", "events", "bad", "unsorted", "cut", "done", "total")


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


async def _rows(live: Settings, name: str = "") -> list[dict[str, Any]]:
    from sinks import rehearsals

    if name:
        rehearsed(live, name)
    async with _known(live) as database:
        found = [one for one in await rehearsals.listed(database) if name in ("", one.name)]
        if name and not found:
            raise _none(name)
        return [await _row(live, one) for one in found]


async def _row(live: Settings, one: "Rehearsal") -> dict[str, Any]:
    from motcua.wiring import database, source

    found = rehearsed(live, one.name)
    state, error = one.state, one.error
    if state == "running" and claim.supervisor(folder(live, one.name)) is None:
        state, error = "failed", f"its process is gone. Next: motcua replay resume {one.name}"
    behind: int | None = None
    with suppress(Retry, Fatal):
        topic = await asyncio.to_thread(source, found)
        if topic is not None and one.generation:
            async with database(found) as own:
                behind = await lag(found, own, one.generation, topic.partitions)
    return {
        "name": one.name,
        "state": state,
        "share": 1.0 if state == "done" or not one.total else min(one.done / one.total, 1.0),
        "events": one.events,
        "messages": one.messages,
        "events_per_second": one.rate,
        "lag": behind,
        "database": one.database,
        "topic": one.topic,
        "generation": one.generation,
        "speed": one.speed,
        "started": clock.iso(one.started_at),
        "since": clock.iso(one.since) if one.from_topic else None,
        "cut": clock.iso(one.cut // 1000) if one.cut else None,
        "sources": [file.path for file in one.files] if one.files else [live.topic],
        "bad_lines": one.bad,
        "out_of_order": one.unsorted,
        "error": error or None,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        say("there is no rehearsal. Next: motcua replay SOURCE… --into NAME")
        return
    shown = ("name", "state", "share", "events", "events_per_second", "lag", "database", "topic", "cut")
    listed = table(*shown)
    for row in rows:
        values = {
            **row,
            "share": f"{100 * row['share']:.1f} %",
            "events": f"{row['events']:,}",
            "events_per_second": f"{row['events_per_second']:,.0f}",
            "lag": "–" if row["lag"] is None else f"{row['lag']:,}",
            "cut": row["cut"] or "–",
        }
        listed.add_row(*(str(values[name]) for name in shown))
    console().print(listed)


async def _told(live: Settings, name: str, wanted: "Order") -> None:
    """Ask the process that runs a rehearsal to end, and wait until it has; one without is only marked."""
    from sinks import rehearsals

    rehearsed(live, name)
    final: State = "stopped" if wanted == "stop" else "paused"
    async with _known(live) as database:
        stored = await rehearsals.find(database, name)
        if stored is None or stored.rehearsal.state == "dropped":
            raise _none(name)
        place = folder(live, name)
        if claim.supervisor(place) is not None:
            await rehearsals.order(database, name, wanted, clock.now())
            try:
                async with asyncio.timeout(_OBEY_SECONDS):
                    while claim.supervisor(place) is not None:  # noqa: ASYNC110  # another process
                        await asyncio.sleep(_TICK)
            except TimeoutError:
                msg = f"rehearsal {name} has not ended in {_OBEY_SECONDS:.0f} s"
                raise Retry("rehearsal", f"{msg}. Next: motcua replay status {name}") from None
            stored = await rehearsals.find(database, name) or stored
        with held(live, name):
            state = stored.rehearsal.state
            if state == "done" or state == final:
                say(f"rehearsal {name} is {state}")
                return
            if (state == "paused" and wanted == "stop") or state in ("running", "failed"):
                ended = msgspec.structs.replace(stored.rehearsal, state=final)
                await rehearsals.save(database, ended, stored.version + 1, clock.now())
                say(f"rehearsal {name} is {final}")
                return
    raise WrongUse(f"rehearsal {name} is {state}. Next: motcua replay resume {name}")


async def _drop(live: Settings, name: str) -> None:
    """Topic, group, database, and only then what is known of it: a drop that was killed is run again."""
    from motcua import wiring
    from producers import topics
    from sinks import generations, rehearsals

    found = rehearsed(live, name)
    async with _known(live) as database:
        stored = await rehearsals.find(database, name)
        if stored is None or stored.rehearsal.state == "dropped":
            raise _none(name)
        with held(live, name):
            group = generations.group(stored.rehearsal.generation, name)
            loop = asyncio.get_running_loop()
            until = loop.time() + _MEMBER_SECONDS
            while await asyncio.to_thread(topics.members, live.kafka, [group]):
                if loop.time() > until:
                    msg = f"a worker is alive in group {group}; nothing was deleted"
                    raise WrongUse(f"{msg}. Next: stop it, then motcua replay drop {name}")
                await asyncio.sleep(_TICK)
            await asyncio.to_thread(topics.delete, live.kafka, found.topic)
            await asyncio.to_thread(topics.forget, live.kafka, group)
            async with wiring.database(live) as system:
                await system.run(f"DROP DATABASE IF EXISTS {found.database} SYNC")
            gone = msgspec.structs.replace(stored.rehearsal, state="dropped")
            await rehearsals.save(database, gone, stored.version + 1, clock.now())
            shutil.rmtree(folder(live, name), ignore_errors=True)
