"""`motcua replay`: history through the same pipeline, into a database and a topic beside the live ones.

One process sends and keeps the rehearsal's worker; it holds a lock, steps back for the live workers, and
writes down what the brokers have. So it can be killed at any moment: `resume` sends the rest, and what is
sent twice changes no figure.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from glob import glob
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from typer.core import TyperGroup

from infra.local import claim
from infra.local.trouble import WrongUse
from motcua import clock
from motcua.access import unlimited
from motcua.cli import Json, app, console, given, instant, say, settings, show, table, wrong
from motcua.keeping import MEMBER_SECONDS
from motcua.rehearsal import TICK, Playing, folder, held, lag, place_of, step_back
from motcua.settings import Settings, rehearsed
from rates.failures import Fatal, Retry

if TYPE_CHECKING:
    from sinks.client import Database
    from sinks.rehearsals import Order, Rehearsal, State

LOGS: Final = (".ndjson", ".jsonl", ".gz", ".zst", ".parquet")
"""What counts as an event log in a folder."""
REBUILD: Final = "rebuild"
"""The rehearsal that `motcua rebuild` makes."""
_ELSEWHERE_SECONDS: Final = 20.0
"""How long one that runs in another place may be silent before it is taken for dead."""
_OBEY_SECONDS: Final = 90.0
"""How long a process may take to pause or stop: what it has given to the brokers is waited for."""


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
    _end(*asyncio.run(_play(live, found, start)))


@replays.command()
def resume(name: Name) -> None:
    """Go on where a rehearsal was paused, stopped or killed, or failed."""
    live = _live()
    _end(*asyncio.run(_play(live, rehearsed(live, name), None)))


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


def _end(reached: "Rehearsal", interrupted: bool) -> None:
    name, told = reached.name, f"{reached.messages:,} messages with {reached.events:,} records sent"
    if reached.state == "done":
        say(f"{name}: {told}, all of it durable. Next: motcua rates --on {name}")
        return
    say(f"{name} is {reached.state}: {told}. Next: motcua replay resume {name}")
    raise typer.Exit(130 if interrupted else 1)


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


@asynccontextmanager
async def _known(live: Settings) -> AsyncIterator["Database"]:
    """The live database, where rehearsals are known."""
    from motcua.wiring import migrated, needed

    needed(live.kafka, "kafka")
    async with migrated(live) as connected:
        yield connected


def _none(name: str) -> WrongUse:
    return WrongUse(f"there is no rehearsal {name}. Next: motcua replay list")


async def _play(live: Settings, found: Settings, start: _Start | None) -> "tuple[Rehearsal, bool]":
    """Begin a rehearsal, or go on with one, until it is done or told to end."""
    from sinks import rehearsals, swaps

    if found.on == REBUILD:
        msg = f"{REBUILD} is what motcua rebuild makes"
        raise WrongUse(f"{msg}. Next: {'another name' if start else 'motcua rebuild'}")
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
                if there.state == "running" and there.place != place_of(live):
                    msg = f"rehearsal {found.on} runs at {there.place}. Next: motcua replay pause {found.on}"
                    raise WrongUse(msg)
                if await swaps.former(database, found.on):
                    msg = f"database {found.database} holds what was live before {found.on}"
                    raise WrongUse(f"{msg}. Next: motcua swap --back, or motcua replay drop {found.on}")
                begun = there
            else:
                if there is not None:
                    msg = f"rehearsal {found.on} is there already, {there.state}"
                    raise WrongUse(f"{msg}. Next: motcua replay resume {found.on}, or drop")
                begun = await _begun(live, found, start)
            stored = await rehearsals.find(database, found.on)
            playing = Playing(live, found, database, begun, stored.version if stored else 0, since, lock)
            return await playing.play(), playing.interrupted


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
    source = await wiring.existing(live)
    bounds = await asyncio.to_thread(
        topics.since, live.kafka, live.topic, source.partitions, start.since * 1000
    )
    ends = {partition: end for partition, (_, end) in bounds.items()}
    begins = {partition: first for partition, (first, _) in bounds.items()} if start.from_topic else {}
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
    if state == "running" and one.place == place_of(live) and not claim.supervisor(folder(live, one.name)):
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
        here = stored.rehearsal.place == place_of(live)
        await rehearsals.order(database, name, wanted, clock.now())
        with suppress(TimeoutError):
            async with asyncio.timeout(_OBEY_SECONDS if here else _ELSEWHERE_SECONDS):
                while claim.supervisor(folder(live, name)) is not None or (
                    not here and stored.rehearsal.state == "running"
                ):
                    await asyncio.sleep(TICK)
                    stored = await rehearsals.find(database, name) or stored
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
    from sinks import generations, rehearsals, swaps

    found = rehearsed(live, name)
    async with _known(live) as database:
        stored = await rehearsals.find(database, name)
        if stored is None or stored.rehearsal.state == "dropped":
            raise _none(name)
        with held(live, name):
            under_way = await swaps.unfinished(database)
            if under_way is not None and under_way.name == name:
                command = "motcua swap --back" if under_way.kind == "back" else f"motcua swap {name}"
                msg = f"swap {under_way.number} of {name} is under way or was killed"
                raise WrongUse(f"{msg}; nothing was deleted. Next: {command}")
            group = generations.group(stored.rehearsal.generation, name)
            if await wiring.lingering(live, [group], MEMBER_SECONDS):
                msg = f"a worker is alive in group {group}; nothing was deleted"
                raise WrongUse(f"{msg}. Next: stop it, then motcua replay drop {name}")
            await asyncio.to_thread(topics.delete, live.kafka, found.topic)
            await asyncio.to_thread(topics.forget, live.kafka, group)
            async with wiring.database(live) as system:
                await system.run(f"DROP DATABASE IF EXISTS {found.database} SYNC")
            gone = msgspec.structs.replace(stored.rehearsal, state="dropped")
            await rehearsals.save(database, gone, stored.version + 1, clock.now())
            shutil.rmtree(folder(live, name), ignore_errors=True)
