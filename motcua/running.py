"""Commands that run something: the embedded stack and its parts, migrations, scenarios, publishing."""

import asyncio
import ctypes
import gc
import sys
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra.local.trouble import WrongUse
from motcua import clock
from motcua.cli import Json, app, bar, console, given, reading, say, settings, show, table, wrong
from motcua.settings import Settings
from rates.failures import Fatal, Retry

_WAIT_POLL: Final = 0.1
_WAIT_TELL: Final = 15.0


@app.command()
def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is ready.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, max=64, help="Worker processes; 0: broker and engine alone.")
    ] = None,
) -> None:
    """Start the embedded stack: a real Kafka broker, the real ClickHouse engine, a worker and the page."""
    from infra.local import broker, stack

    given["workers"] = workers
    found = settings()
    if detach:
        broker.fetch(say)
        command = [sys.executable, "-m", "motcua", *argv(found), "up", "--workers", str(found.workers)]
        raise typer.Exit(stack.detach(found.data_dir, command))
    raise typer.Exit(stack.up(found.data_dir, lambda: _parts(found), stamp=clock.stamp))


@app.command()
def down() -> None:
    """Stop the embedded stack of this data directory."""
    from infra.local import claim

    found = settings()
    stopped = claim.down(found.data_dir)
    say("stopped" if stopped else f"no stack runs in {found.data_dir}")


@app.command()
@reading
def status(as_json: Json = False) -> None:
    """What runs where."""
    from infra.local import claim
    from motcua.rehearsal import folder

    found = settings()
    parts = claim.status(folder(found, found.on) if found.on else found.data_dir)
    if as_json:
        rows = [{"name": p.name, "pid": p.pid, "address": p.address, "state": p.state} for p in parts]
        show({"parts": rows})
        return
    listed = table("part", "pid", "address", "state")
    for part in parts:
        listed.add_row(part.name, str(part.pid or "–"), part.address or "–", part.state)
    nothing = (
        f"nothing of rehearsal {found.on} runs here" if found.on else "no stack runs here. Next: motcua up"
    )
    console().print(listed if parts else nothing)


@app.command()
@reading
def doctor(as_json: Json = False) -> None:
    """What is there, what is missing, and the next command."""
    from infra.local import doctor as checks
    from motcua import health

    found = settings()
    rows = [*checks.examine(found.data_dir), *asyncio.run(health.examine(found))]
    if as_json:
        show({"rows": [dict(zip(row.__slots__, _fields(row), strict=True)) for row in rows]})
    else:
        listed = table("check", "state", "found", "next")
        for row in rows:
            listed.add_row(*_fields(row))
        console().print(listed)
    if any(row.state == "missing" for row in rows):
        raise typer.Exit(1)


@app.command()
@reading
def worker(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: a free one.")] = None,
    prepare: Annotated[bool, typer.Option("--prepare", help="Do what `motcua migrate` does first.")] = False,
) -> None:
    """One worker: folds the topic into the database until it is stopped."""
    import uvloop

    from motcua import wiring
    from motcua.probes import Worker, listening
    from streams.app import run
    from streams.compiled import warm

    given["worker_port"] = port
    found = settings()
    if found.on:
        from motcua.rehearsal import step_back

        if prepare:
            raise wrong("--prepare is for the live system; a rehearsal is prepared by motcua replay")
        step_back()

    async def work() -> None:
        stop = wiring.asked_to_stop()
        stopping = asyncio.create_task(stop.wait())
        warming = asyncio.create_task(asyncio.to_thread(warm))
        starting = asyncio.create_task(wiring.generation(found, say if prepare else None))
        probed = Worker()
        async with listening(probed.application(), found.worker_port) as address:
            while not stop.is_set():
                await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
                await warming
                if starting.done():
                    probed.app = wiring.worker(found, *starting.result())
                    try:
                        await run(probed.app, stop, address)
                    except wiring.Moved as moved:
                        say(f"{moved}; it begins anew")
                        probed.app = None
                        starting = asyncio.create_task(wiring.generation(found))
            starting.cancel()

    _give_back()
    # What it holds for long is never in a cycle: to look through it over and over costs a tenth of its time.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    sys.setswitchinterval(0.001)  # saving waits for folding at each of its turns
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


def _give_back() -> None:
    """Have the C library return large blocks to the system at once: by default its threads keep theirs, which
    is a tenth of what a worker may hold. Other C libraries keep nothing like it."""
    with suppress(OSError, AttributeError):
        for option, value in ((_ARENAS, 2), (_MAPPED_FROM, 2 << 20), (_KEPT, 8 << 20)):
            ctypes.CDLL(None).mallopt(option, value)


_ARENAS, _MAPPED_FROM, _KEPT = -8, -3, -1
"""M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's mallopt."""


@app.command()
@reading
def page(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: a free one.")] = None,
    new_reader: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make a password for a reader, and end.")
    ] = None,
    body: Annotated[
        str, typer.Option(metavar="BODY", help="The one ministry or province of that reader.")
    ] = "",
) -> None:
    """The built-in page: on loopback, or for those whom `page_readers` names."""
    if new_reader is not None or body:
        from dashboards import readers

        try:
            password, lines = readers.new(new_reader or "", body)
        except readers.ReadersError as error:
            raise wrong(str(error)) from error
        say(f"the password of {new_reader}, shown this once: {password}")
        typer.echo(lines)
        return
    from motcua.wiring import serve_page

    given["page_port"] = port
    if on := settings().on:
        say(f"rehearsed figures of {on}, not the live ones")
    asyncio.run(serve_page(settings(), lambda address: print_line(f"page ready on {address}")))


@app.command()
def migrate(
    register: Annotated[Path | None, typer.Option(help="A directory with your own register.")] = None,
) -> None:
    """Bring the database to this program's schema, load the register, register the topic."""
    from motcua.wiring import prepare

    asyncio.run(prepare(settings(), say, register))


@app.command()
def scenario(
    name: str,
    to: Annotated[Path, typer.Option("--to", metavar="LOG", help=".ndjson, .ndjson.gz, .zst or .parquet")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = 1,
    scale: Annotated[float, typer.Option(help="How many dossiers, relative to 1.")] = 1.0,
) -> None:
    """Write a seeded world as an event log."""
    from producers import eventlog
    from producers import scenario as worlds
    from producers.scenario_plan import SMALLEST_SCALE
    from rates.register import Register

    if name not in worlds.NAMES:
        msg = f"no scenario {name!r}; choose one of {', '.join(worlds.NAMES)}"
        raise wrong(msg)
    if not 0 < scale < inf:
        raise wrong("--scale takes a number above 0")
    smallest = SMALLEST_SCALE if name == "october-2023" else 0.0
    if scale < smallest:
        say(f"{name} has its figures from scale {smallest} on, so that is what is written")
        scale = smallest
    world = worlds.scenario(name, seed=seed, scale=scale, register=Register.shipped())
    try:
        lines = eventlog.write(to, world)
    except OSError as error:
        msg = f"{to} cannot be written: {error.strerror}"
        raise wrong(msg) from None
    say(f"{lines:,} calls in {to}")


@app.command()
def publish(
    logs: Annotated[list[Path], typer.Argument(metavar="LOG…")],
    wait: Annotated[bool, typer.Option("--wait", help="Return when ClickHouse has everything.")] = False,
) -> None:
    """Send event logs into the live stream."""
    found = settings()
    for log in logs:
        if not log.is_file():
            msg = f"{log} is no file"
            raise wrong(msg)
    from producers.eventlog import Unreadable

    try:
        asyncio.run(send(found, logs, wait=wait))
    except Unreadable as damaged:
        raise WrongUse(str(damaged)) from damaged


async def send(found: Settings, logs: list[Path], *, wait: bool) -> None:
    """Publish logs, with a progress bar on stderr; with `wait`, until the worker has everything stored."""
    from rich.progress import DownloadColumn

    from motcua.wiring import migrated, needed, source
    from producers.publish import publish as publish_logs
    from rates.effects import version
    from sinks import generations, reads

    needed(found.kafka, "kafka")
    with bar("published", DownloadColumn()) as progress:
        summary = await asyncio.to_thread(
            publish_logs,
            logs,
            brokers=found.kafka,
            topic=found.topic,
            progress=progress,
        )
    for bad in summary.bad_lines:
        say(f"{bad.path}:{bad.number}: skipped: {bad.why}")
    if summary.bad_count > len(summary.bad_lines):
        say(f"… and {summary.bad_count - len(summary.bad_lines):,} more bad lines")
    say(
        f"{summary.lines:,} lines, {summary.bad_count:,} skipped; "
        f"{summary.messages:,} messages with {summary.records:,} records sent"
    )
    if not wait:
        return
    async with migrated(found) as database:
        now = source(found)
        if now is None:
            msg = f"topic {found.topic} is gone. Next: motcua migrate"
            raise Fatal(msg)
        generation = await generations.confirmed(database, now)
        goal = {
            partition: version(generation, offset, 0) for partition, offset in summary.last_offsets.items()
        }
        await durable(database, goal, reads.reached)


async def durable(database: Any, goal: dict[int, int], reached: Any, patience: float = inf) -> None:
    """Wait until every partition is durable to its position; `Retry` once nothing moves for `patience`."""
    loop = asyncio.get_running_loop()
    told = moved = loop.time()
    last: dict[int, int] = {}
    while True:
        try:
            stored = await reached(database)
        except Retry as away:
            say(f"waiting: {away}")
            stored = last
        if all(stored.get(partition, -1) >= position for partition, position in goal.items()):
            return
        if stored != last:
            told = moved = loop.time()
            last = stored
        elif loop.time() - moved > patience:
            msg = f"nothing became durable for {patience:g} s: does a worker run? Next: motcua status"
            raise Retry("worker", msg)
        elif loop.time() - told > _WAIT_TELL:
            told = loop.time()
            say("waiting, but nothing moves: does a worker run? See: motcua status")
        await asyncio.sleep(_WAIT_POLL)


@app.command(hidden=True)
def demo(
    once: Annotated[bool, typer.Option("--once", help="Play, print the scoreboard, end.")] = False,
) -> None:
    """Play the October 2023 scenario through the embedded stack (`make demo`)."""
    from motcua.demo import play

    raise typer.Exit(play(settings(), once=once))


def print_line(line: str) -> None:
    """A line that a supervisor waits for."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _fields(row: Any) -> list[str]:
    return [str(getattr(row, name)) for name in row.__slots__]


def argv(found: Settings) -> list[str]:
    argv = ["--data-dir", str(found.data_dir)]
    for name in ("database", "topic", "log_level"):
        argv += [f"--{name.replace('_', '-')}", getattr(found, name)]
    return argv


def _parts(found: Settings) -> list[Any]:
    """The embedded stack, in the order of its start."""
    from infra.local import ports
    from infra.local.parts import broker_part, engine_part
    from infra.local.stack import Part
    from motcua.access import reached, readers
    from motcua.intake import intake_part

    readers(found)  # what is wrong with them is said before anything starts
    if found.clickhouse_user not in ("", "default"):
        msg = f"clickhouse_user {found.clickhouse_user}: the embedded engine's writer is default"
        raise WrongUse(f"{msg}. Next: unset MOTCUA_CLICKHOUSE_USER")
    broker = broker_part(found.data_dir, found.kafka_port, say=say)
    engine = engine_part(
        found.data_dir, found.clickhouse_port, password=found.clickhouse_password.get_secret_value()
    )
    environment = {
        "MOTCUA_DATA_DIR": str(found.data_dir.absolute()),
        "MOTCUA_KAFKA": broker.address,
        "MOTCUA_CLICKHOUSE": engine.announced["clickhouse"],
    }
    if not found.workers:
        return [broker, engine]
    command = [sys.executable, "-m", "motcua", *argv(found)]
    names = ["worker"] if found.workers == 1 else [f"worker-{n + 1}" for n in range(found.workers)]
    listens = [
        ports.settle(found.data_dir, name, found.worker_port and found.worker_port + index)
        for index, name in enumerate(names)
    ]
    workers = [
        Part(
            name=name,
            argv=[*command, "worker", "--port", str(listens[index])],
            ready="worker ready",
            address=f"{ports.HOST}:{listens[index]}",
            environment=environment,
            # The first one prepares what all need, and is under way while broker and engine come up.
            first=("--prepare",) if index == 0 else (),
            needs=() if index == 0 else (names[0],),
        )
        for index, name in enumerate(names)
    ]
    port = ports.settle(found.data_dir, "page", found.page_port)
    page_address = f"{reached(found.page_host)}:{port}"
    page_part = Part(
        name="page",
        argv=[*command, "page", "--port", str(port)],
        ready="page ready on",
        address=page_address,
        announced={"page": f"http://{page_address}"},
        environment=environment,
        needs=(),
    )
    parts = [broker, engine, *workers, page_part]
    if found.intake_tokens:
        parts.append(intake_part(found, command, environment, needs=(names[0],)))
    return parts
