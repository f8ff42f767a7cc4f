"""`motcua backup` and `motcua restore`: the database in one file, and back, with a check after each.

A restore is safe to kill: until everything is gathered and checked, nothing that was there is touched, and
afterwards the new database takes the old one's place by one renaming. The consumer group is set back before
that, never after: events that come twice change nothing, events that are skipped would be lost.
A backup restored under another database name is a copy to look at: it belongs to no topic, so no group is
touched, and a worker refuses it until `motcua migrate` registers its topic as the next generation.
"""

import asyncio
import io
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_fixed

from infra.local.trouble import Away, WrongUse
from motcua import clock
from motcua.access import unlimited
from motcua.cli import app, bar, say, settings
from motcua.settings import Settings
from rates.effects import due
from rates.failures import Fatal, Retry

if TYPE_CHECKING:
    from sinks.archive import Archive, Manifest
    from sinks.client import Database
    from sinks.generations import Source

START_SECONDS: Final = 60.0
"""How long a broker that was just started may take to know its groups,"""
MEMBER_SECONDS: Final = 8.0
"""and how long a worker that was just killed counts as alive."""


@app.command()
def backup(file: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Copy the database into FILE, while workers run, and read it again to check it."""
    found = settings()
    unlimited(found, "a backup holds every body's dossiers")
    if file.exists():
        msg = f"{file} is there already. Next: choose another name, or remove it"
        raise WrongUse(msg)
    manifest = asyncio.run(_save(found, file))
    say(f"{file}: {_told(manifest)}; read again, every byte as written")


async def _save(found: Settings, file: Path) -> "Manifest":
    from motcua.wiring import migrated
    from sinks import archive
    from sinks.backup import save

    async with migrated(found) as database:
        with bar("copied") as progress:
            try:
                return await save(database, file, clock.now(), progress)
            except archive.Damaged as damaged:
                msg = f"what was written to {file} does not read back: {damaged}. Next: another disk"
                raise Fatal(msg) from damaged
            except OSError as error:
                msg = f"{file} cannot be written: {error.strerror or error}. Next: another place for it"
                raise WrongUse(msg) from error


@app.command()
def restore(
    file: Annotated[Path | None, typer.Argument(metavar="FILE")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Even if the database holds data: they are lost.")
    ] = False,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Give up a restore that stopped half-way.")
    ] = False,
) -> None:
    """Put the database of FILE in place, checked, and the workers back to where it stands.

    No worker may run meanwhile. Where no stack runs here, broker and engine are started for it and stopped.
    """
    found = settings()
    unlimited(found, "a backup holds every body's dossiers")
    if (file is None) != abandon or (replace and abandon):
        raise WrongUse("motcua restore takes a FILE, or --abandon alone. Next: motcua restore --help")
    if file is None:
        with _stack(found) as running:
            asyncio.run(_abandon(running))
        return
    with _opened(file) as source, _stack(found) as running:
        asyncio.run(_restore(running, file, source, replace=replace))


async def _abandon(found: Settings) -> None:
    from sinks import backup
    from sinks.migrate import staging

    async with _named(found, "system") as system:
        there = await backup.abandon(system, staging(found.database))
    say("given up; the database is as it was before" if there else "there is no unfinished restore")


async def _restore(found: Settings, file: Path, source: "Archive", *, replace: bool) -> None:
    from motcua.wiring import prepare
    from sinks import backup, generations, migrate
    from sinks.generations import Source

    manifest = source.manifest
    backup.check(manifest)
    own = found.database == manifest.database
    async with _named(found, "system") as system, _named(found, migrate.staging(found.database)) as staged:
        there = await backup.held(system, found.database)
        if there and not replace:
            msg = (
                f"database {found.database} holds data ({there:,} rows). Next: motcua restore {file} "
                f"--replace (they are lost), or a copy beside it: motcua --database NAME restore {file}"
            )
            raise WrongUse(msg)
        topic = await _still(found, {manifest.generation} | await _registered(found, system)) if own else None
        try:
            with bar("restored") as progress:
                await backup.gather(source, system, staged, clock.now(), progress)
            flying = await _against_dossiers(staged)
            if topic:
                await _rewind(found, staged, topic)
            elif not own:
                await generations.register(staged, Source("", "", "", 0), clock.now())
        except Fatal:
            await backup.abandon(system, staged.name)
            raise
        await backup.place(system, staged.name, found.database)
        async with _named(found, found.database) as live:
            await migrate.migrate(live, clock.now(), lambda _line: None)
    await prepare(found if own else found.model_copy(update={"kafka": ""}), say)
    say(f"{_told(manifest)}; every table as in {file}, every tally as its dossiers")
    if flying:
        say(f"{flying:,} cohorts were in flight; a worker writes them anew from what Kafka holds")
    if not own:
        say(
            f"{found.database} is a copy to look at and belongs to no topic. Next: motcua --database "
            f"{found.database} rates"
        )


async def _registered(found: Settings, system: "Database") -> set[int]:
    """The generation that the database of these settings has now, if it has one."""
    from sinks import generations

    there = await system.value(
        "SELECT count() FROM system.tables WHERE database = {name:String} AND name = 'generations'",
        {"name": found.database},
    )
    if not there:
        return set()
    async with _named(found, found.database) as live:
        known = await generations.latest(live)
    return {known[0]} if known else set()


async def _still(found: Settings, known: set[int]) -> "Source | None":
    """The topic as it is now, or None; `WrongUse` while a worker reads it, in a group that is known or next.

    A broker that was started a moment ago is waited for, and so is a group whose worker was just killed.
    """
    from motcua.wiring import needed, source
    from producers import topics
    from sinks.generations import group

    needed(found.kafka, "kafka")
    names = [group(number, found.on) for number in sorted(known | {max(known) + 1}) if number]
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type((Retry, WrongUse)),
        wait=wait_fixed(0.5),
        stop=_patience,
        reraise=True,
    ):
        with attempt:
            topic = await asyncio.to_thread(source, found)
            alive = await asyncio.to_thread(topics.members, found.kafka, names)
            if alive:
                msg = (
                    f"a worker is alive in group {', '.join(alive)}; nothing was changed. Next: stop the "
                    "workers (embedded: motcua down), then motcua restore again, then start them"
                )
                raise WrongUse(msg)
            return topic
    raise AssertionError  # reraise=True: the loop above returns or raises


def _patience(state: RetryCallState) -> bool:
    alive = state.outcome is not None and isinstance(state.outcome.exception(), WrongUse)
    return (state.seconds_since_start or 0) > (MEMBER_SECONDS if alive else START_SECONDS)


async def _rewind(found: Settings, staged: "Database", topic: "Source") -> None:
    """Set the consumer group to where the restored rows stand.

    Where the topic is another one than theirs, `motcua migrate` registers it, and its group begins it.
    """
    from producers import topics
    from sinks import generations, reads

    registered = await generations.latest(staged)
    if registered is None or registered[1] != topic:
        return
    bounds = await asyncio.to_thread(topics.bounds, found.kafka, topic.topic, topic.partitions)
    offsets = {partition: first for partition, (first, _) in bounds.items()}
    offsets |= due(await reads.reached(staged), registered[0])
    for partition, (first, end) in bounds.items():
        if offsets[partition] > end:
            msg = (
                f"partition {partition} of topic {topic.topic} ends at offset {end:,}, and the backup has "
                f"counted up to {offsets[partition]:,}: Kafka has lost what the backup holds, and would give "
                "these offsets to other events. Nothing was replaced. Next: delete the topic, then motcua "
                "restore again (it makes the topic anew)"
            )
            raise Fatal(msg)
        offsets[partition] = max(offsets[partition], first)  # what is gone is told by `prepare`
    group = generations.group(registered[0], found.on)
    await asyncio.to_thread(topics.rewind, found.kafka, topic.topic, group, offsets)
    say(f"group {group} goes on from where the backup stands")


async def _against_dossiers(staged: "Database") -> int:
    """Hold every tally against its dossiers; returns how many cohorts were in flight when copied."""
    from sinks.audits import Audits
    from streams.audit import slices

    audits = Audits(staged)
    listed = await audits.cohorts()
    flying = done = 0
    with bar("checked") as progress:
        for keys in slices(listed):
            for key, found in (await audits.compare(keys)).items():
                if not found.differences:
                    continue
                if found.newest_dossier <= found.newest_tally:
                    first = found.differences[0]
                    msg = (
                        f"tallies of unit {key.unit}, cohort {key.month} disagree with their dossiers "
                        f"({first.tally}: {first.stored} stored, {first.counted} counted), as they did when "
                        "the backup was made. Nothing was replaced. Next: motcua audit, then a new backup"
                    )
                    raise Fatal(msg)
                flying += 1
            done += len(keys)
            progress(done, len(listed))
    return flying


@contextmanager
def _opened(file: Path) -> Iterator["Archive"]:
    from sinks import archive

    with ExitStack() as closing:
        try:
            source = closing.enter_context(archive.opened(file))
        except archive.Damaged as damaged:
            msg = f"{file} cannot be restored: {damaged}. Nothing was changed. Next: another backup"
            raise WrongUse(msg) from damaged
        except OSError as error:
            msg = f"{file} cannot be read: {error.strerror or error}. Next: another backup"
            raise WrongUse(msg) from error
        yield source


@contextmanager
def _stack(found: Settings) -> Iterator[Settings]:
    """The settings of what runs or is named; where that is nothing, of a broker and an engine for this."""
    from infra.local import claim, stack
    from motcua.running import argv

    if found.kafka or found.clickhouse:
        yield found
        return
    said = io.StringIO()
    say("starting broker and engine, without workers")
    command = [sys.executable, "-m", "motcua", *argv(found), "up", "--workers", "0"]
    if stack.detach(found.data_dir, command, out=said):
        msg = f"{said.getvalue().strip()}\nbroker and engine did not start. Next: motcua doctor"
        raise Away(msg)
    try:
        yield settings()
    finally:
        claim.down(found.data_dir)


def _named(found: Settings, name: str) -> AbstractAsyncContextManager["Database"]:
    from motcua.wiring import database

    return database(found.model_copy(update={"database": name}))


def _told(manifest: "Manifest") -> str:
    dossiers, tallies = (manifest.rows.get(table, 0) for table in ("dossiers", "tallies"))
    return f"{dossiers:,} dossiers, {tallies:,} tallies, {manifest.total:,} rows in all"
