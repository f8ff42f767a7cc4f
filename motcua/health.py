"""What `motcua doctor` asks of a running installation: are its figures current, and what stands in the way.

Each check answers for itself: one that cannot be answered says so with the next command, and the others go
on. Nothing is changed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from dashboards.fresh import activities, offices, pipe_of, quiet
from dashboards.page import states
from dashboards.panels import ACTIVITY, FRESHNESS, RHYTHM, Panel
from infra.local.doctor import Check
from motcua import clock
from motcua.settings import Settings
from rates.calendar import Calendar
from rates.effects import due
from rates.failures import Fatal, Retry
from rates.freshness import Pipe
from sinks import generations, migrate, reads, reference
from sinks.client import Database
from sinks.generations import Source

_NAMED: Final = 5
_DOCTORED: Final = "motcua doctor"


async def examine(settings: Settings) -> list[Check]:
    """The checks of what these settings name; none where they name neither database nor broker."""
    from motcua import wiring

    if not settings.clickhouse and not settings.kafka:
        return []
    checks: list[Check] = []

    async def check(name: str, ask: Callable[[], Awaitable[Check]]) -> None:
        try:
            checks.append(await ask())
        except (Retry, Fatal) as failure:
            checks.append(_unanswered(name, failure))

    source: Source | Retry | Fatal | None
    try:
        source = await asyncio.to_thread(wiring.source, settings)
    except (Retry, Fatal) as failure:
        source = failure
    try:
        async with wiring.database(settings) as database:
            await check("database", lambda: _migrated(database))
            await check("topic", lambda: _topic(database, source, settings))
            await check("workers", lambda: _workers(database, settings))
            await check("lag", lambda: _lag(database, settings))
            await check("pipe", lambda: _pipe(database, settings))
            await check("offices", lambda: _offices(database, settings))
            await check("dead letters", lambda: _letters(database, settings))
            await check("audits", lambda: _audits(database))
    except (Retry, Fatal) as failure:
        checks.append(_unanswered("database", failure))
    return checks


async def _migrated(database: Database) -> Check:
    await migrate.check(database)
    return Check("database", "ok", f"{database.name}, migration {migrate.migrations()[-1].number:04}")


async def _topic(database: Database, source: Source | Retry | Fatal | None, settings: Settings) -> Check:
    if isinstance(source, Retry | Fatal):
        raise source
    if source is None:
        return Check("topic", "missing", f"{settings.topic} does not exist", "motcua migrate")
    generation = await generations.confirmed(database, source)
    return Check("topic", "ok", f"{source.topic}, {source.partitions} partitions, generation {generation}")


async def _workers(database: Database, settings: Settings) -> Check:
    from producers import topics

    generation, registered = await _registered(database)
    group = generations.group(generation, settings.on)
    found = await asyncio.to_thread(topics.readers, settings.kafka, registered.topic, group)
    if not found.members:
        return Check("workers", "missing", f"nobody reads: group {group} is {found.state}", "motcua worker")
    unread = sorted(set(range(registered.partitions)) - found.partitions)
    told = f"{found.members} in group {group} ({found.state})"
    if unread and found.state == "Stable":
        told = f"{told}; nobody reads partitions {_some(unread)}"
        return Check("workers", "missing", told, "motcua status")
    if unread:
        return Check("workers", "warning", f"{told}; partitions are being given out", _DOCTORED)
    return Check("workers", "ok", f"{told}, every partition is read")


async def _lag(database: Database, settings: Settings) -> Check:
    from producers import topics

    generation, registered = await _registered(database)
    bounds = await asyncio.to_thread(topics.bounds, settings.kafka, registered.topic, registered.partitions)
    done = due(await reads.reached(database), generation)
    lags = {
        partition: max(end - done.get(partition, first), 0)
        for partition, (first, end) in sorted(bounds.items())
    }
    total = sum(lags.values())
    if not total:
        return Check("lag", "ok", "none: every message that was sent is durable")
    most = sorted(lags, key=lambda partition: -lags[partition])
    told = ", ".join(f"partition {one}: {lags[one]:,}" for one in most[:_NAMED] if lags[one])
    rest = len([lag for lag in lags.values() if lag]) - _NAMED
    return Check("lag", "ok", f"{total:,} messages; {told}" + (f" and {rest} more" if rest > 0 else ""))


async def _pipe(database: Database, settings: Settings) -> Check:
    before = await _row(database)
    await asyncio.sleep(1)
    through = pipe_of(
        after := await _row(database),
        canary_seconds=settings.canary_seconds,
        now=clock.now(),
        moving=after["complete"] != before["complete"],
    )
    told = states.pipe(through, "en").detail
    if delay := states.delay(through, "en"):
        told += f" {delay.capitalize()}."
    told = f"{through.state}. {told.replace(' Next: motcua doctor', '')}"
    if through.state == "fresh":
        return Check("pipe", "ok", told)
    if through.state == "stale":
        return Check("pipe", "missing", told, "motcua status")
    return Check("pipe", "warning", told, _DOCTORED)


async def _offices(database: Database, settings: Settings) -> Check:
    through = pipe_of(
        await _row(database), canary_seconds=settings.canary_seconds, now=clock.now(), moving=False
    )
    if through.state != "fresh":
        return Check("offices", "warning", f"not judged: the pipe is {through.state}", _DOCTORED)
    found = await _judged(database, through, settings.body)
    silent = sorted(code for code, one in found.items() if one.state == "silent")
    if not silent:
        return Check("offices", "ok", f"none of {len(found):,} is silent")
    told = f"{len(silent):,} of {len(found):,} are silent: {_some(silent)}"
    return Check("offices", "warning", told, "motcua page (or ask those offices)")


async def _judged(database: Database, through: Pipe, only: str) -> dict[str, Any]:
    async def ask(panel: Panel, **given: object) -> list[dict[str, Any]]:
        return await database.rows(panel.text(), panel.values({"only": only, **given}))

    calendar = Calendar.shipped()
    known = activities(await ask(ACTIVITY))
    units = quiet(known, through, calendar)
    rhythms = await ask(RHYTHM, units=units) if units else []
    return offices(known, rhythms, through, await reference.load(database), calendar)


async def _letters(database: Database, settings: Settings) -> Check:
    rows = await database.rows(
        "SELECT state, count() AS letters FROM letters WHERE state IN ('waiting', 'failed_again') "
        "AND ({only:String} = '' OR body = {only:String}) GROUP BY state ORDER BY state",
        {"only": settings.body},
    )
    if not rows:
        return Check("dead letters", "ok", "none is open")
    told = ", ".join(f"{row['letters']:,} {row['state'].replace('_', ' ')}" for row in rows)
    return Check("dead letters", "warning", told, "motcua dead list")


async def _audits(database: Database) -> Check:
    row = (
        await database.rows(
            "SELECT count() AS cohorts, sum(wrong) AS wrong, sum(found) AS found FROM audits FINAL"
        )
    )[0]
    if row["wrong"]:
        return Check("audits", "missing", f"{row['wrong']:,} tallies disagree now", "motcua audit")
    told = f"0 disagreements in {row['cohorts']:,} cohorts that were checked"
    if row["found"]:
        return Check("audits", "warning", f"{told}; {row['found']:,} were found and repaired", "motcua audit")
    return Check("audits", "ok", told)


async def _registered(database: Database) -> tuple[int, Source]:
    known = await generations.latest(database)
    if known is None:
        msg = "no topic is registered. Next: motcua migrate"
        raise Fatal(msg)
    return known


async def _row(database: Database) -> dict[str, Any]:
    return (await database.rows(FRESHNESS.text()))[0]


def _unanswered(name: str, failure: Retry | Fatal) -> Check:
    told, _, step = str(failure).partition(" Next: ")
    return Check(name, "missing", told, step or "motcua status")


def _some(names: list[Any]) -> str:
    shown = ", ".join(map(str, names[:_NAMED]))
    return shown + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
