"""`motcua parity` and `motcua swap`: is a rehearsal what live is, and if it shall be, put it there.

A swap is planned, written down, done and written down again (`sinks/swaps.py`). Workers notice that their
topic has another generation and start anew; they wait for a swap that is under way. So whoever kills it
leaves a live system that stands still, says why, and goes on once the same command is given again.
"""

import asyncio
import getpass
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from infra.local import claim
from infra.local.trouble import WrongUse
from motcua import clock
from motcua.access import unlimited
from motcua.answers import definition_of
from motcua.cli import Json, app, bar, console, say, settings, show, table, wrong
from motcua.keeping import MEMBER_SECONDS
from motcua.replaying import REBUILD
from motcua.settings import Settings, rehearsed
from rates.definitions import DEFINITIONS, Definition
from rates.effects import version
from rates.failures import Fatal, Retry
from rates.register import Register

if TYPE_CHECKING:
    from sinks.client import Database
    from sinks.generations import Source
    from sinks.parity import Report
    from sinks.rehearsals import Rehearsal
    from sinks.swaps import Plan

_REBUILT: Final = ("other-register", "other-definition", "tallies-alone")
"""What a rebuild is for: a tally that its dossiers did not add up to is set right, too."""
GONE_SECONDS: Final = 60.0
"""How long workers of the old generation may take to leave."""
_SHOWN: Final = 20
_MONTH: Final = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


@app.command()
def parity(
    names: Annotated[list[str], typer.Argument(metavar="[live] NAME")],
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="CAUSE", help="Differences of this cause are meant."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold a rehearsal against live, cohort by cohort; exit 1 unless equal, or every difference allowed."""
    from sinks.parity import CAUSES

    if len(names) > 2 or (len(names) == 2 and names[0] != "live"):
        raise wrong("name one rehearsal; what it is held against is live")
    allowed = allow or []
    strange = sorted(set(allowed) - set(CAUSES))
    if strange:
        raise wrong(f"--allow takes {', '.join(CAUSES)}, not {', '.join(strange)}")
    live = _whole()
    report = asyncio.run(_reported(live, rehearsed(live, names[-1]), allowed))
    accepted = report.allowed(allowed)
    if as_json:
        show(document(report, names[-1], allowed))
    else:
        _print(report, names[-1], allowed)
    if not accepted:
        raise typer.Exit(1)


def document(report: "Report", name: str, allowed: list[str]) -> dict[str, Any]:
    """A report as `--json` has it."""
    return {
        "rehearsal": name,
        "equal": report.equal,
        "accepted": report.allowed(allowed),
        "left_aside": report.left_aside,
        "cohorts": report.cohorts,
        "dossiers": report.dossiers,
        "causes": [
            {"cause": cause, "count": count, "allowed": cause in allowed}
            for cause, count in report.causes.items()
        ],
        "samples": [msgspec.to_builtins(one) for one in report.samples],
        "rows": [
            {
                **one._asdict(),
                "month": _month(one.month),
                "difference": one.rehearsed - one.live,
            }
            for one in report.differences
        ],
    }


@app.command()
def swap(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The rehearsal.")] = "",
    month: Annotated[
        list[str] | None, typer.Option("--month", metavar="YYYY-MM", help="Cohorts of this month alone.")
    ] = None,
    because: Annotated[
        str, typer.Option("--because", metavar="TEXT", help="Why, without a parity report of now.")
    ] = "",
    back: Annotated[bool, typer.Option("--back", help="Put back what the last swap put away.")] = False,
) -> None:
    """Put a rehearsal in the place of what is live, whole or by month; --back undoes the last swap."""
    if bool(name) == back or (back and month):
        raise wrong("name a rehearsal, or --back")
    months = []
    for text in month or ():
        found = _MONTH.fullmatch(text)
        if found is None:
            raise wrong(f"--month takes a month such as 2026-01, not {text!r}")
        months.append(int(found[1] + found[2]))
    live = _whole()
    plan = asyncio.run(_back(live, because) if back else _swap(live, name, sorted({*months}), because))
    what = f"months {', '.join(map(_month, plan.months))} of {plan.name}" if plan.months else plan.name
    say(
        f"{'what was live before ' if back else ''}{what} is live, as generation {plan.generation}. "
        + ("" if back else "Next: motcua rates, or motcua swap --back")
    )


@app.command()
def rebuild(
    definition_id: Annotated[
        str, typer.Option("--definition", metavar="ID", help="Show the rates of this definition alone.")
    ] = "",
    register: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A directory with your own register, from now on.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Compare, and leave the swap to motcua swap rebuild.")
    ] = False,
) -> None:
    """Count every dossier anew, in a database beside live; compare, say what moves, and swap."""
    wanted = (definition_of(definition_id),) if definition_id else DEFINITIONS
    live = _whole()
    done = asyncio.run(_rebuilt(live, wanted, register))
    if keep and done:
        say("it is not live yet. Next: motcua swap rebuild, or motcua replay drop rebuild")
        return
    because = f"rebuild with register {register}" if register else "rebuild"
    plan = asyncio.run(_swap(live, REBUILD, [], because))
    say(f"the rebuilt tallies are live, as generation {plan.generation}. Next: motcua rates, or swap --back")


async def _rebuilt(live: Settings, definitions: Sequence[Definition], directory: Path | None) -> bool:
    """Whether a rebuild was made; not while the swap of an earlier one waits to be taken up."""
    from motcua.rehearsal import held
    from motcua.wiring import database as connecting
    from motcua.wiring import existing, migrated
    from sinks import generations, migrate, parity, reads, reference, rehearsals, swaps
    from sinks.cohorts import CohortStore
    from streams.rebuild import rebuild as rebuilding

    found = rehearsed(live, REBUILD)
    now = clock.now()
    if directory is not None:
        Register.read(directory)  # what is wrong with it is said before anything is made
    async with migrated(live) as database:
        under_way = await swaps.unfinished(database)
        if under_way is not None:
            _ours(under_way, REBUILD)
            return False
        with _alone(live), held(live, REBUILD):
            stored = await rehearsals.find(database, REBUILD)
            version_of = stored.version if stored else 0
            topic = await existing(live)
            known = await generations.latest(database)
            if known is None:
                raise Fatal(f"no topic is registered in database {live.database}. Next: motcua migrate")
            generation, stands = known[0], await swaps.reached(database)
            durable = stands.offsets if stands.generation == generation else {}
            begun = rehearsals.Rehearsal(
                name=REBUILD,
                state="running",
                database=found.database,
                topic=found.topic,
                started_at=now,
                generation=generation,
                from_topic=True,
                live_topic_id=topic.topic_id,
                ends={at: durable.get(at, 0) for at in range(topic.partitions)},
                register=str(directory or ""),
            )
            await rehearsals.save(database, begun, version_of + 1, now)
            await database.run(f"DROP DATABASE IF EXISTS {found.database} SYNC")
            async with connecting(found) as shadow:
                await migrate.migrate(shadow, now, lambda _line: None)
                await reference.save_definitions(shadow)
                if directory is not None:
                    await reference.save(shadow, now, directory)
                else:
                    await reference.copy(database, shadow, now)
                counted = await reference.load(shadow)
                store = CohortStore(database)
                with bar("counted anew") as progress:
                    done, moved = await rebuilding(
                        store, await store.sizes(), CohortStore(shadow), counted, now, progress
                    )
                await swaps.remember(shadow, live.database)
                await swaps.trim(shadow, begun.ends, generation)
                ended = msgspec.structs.replace(begun, state="done", events=done)
                await rehearsals.save(database, ended, version_of + 2, clock.now())
                say(f"{done:,} dossiers counted anew, {moved:,} of them count in another way than before")
                begins = await _begins(database, ended)
                report = await parity.compare(database, found.database, begins, shared=True)
                accepted = report.allowed(_REBUILT)
                await swaps.save_report(database, REBUILD, report, clock.now(), accepted=accepted)
                before = await reads.rates(database, definitions, ("reported",))
                after = await reads.rates(shadow, definitions, ("reported",))
                rows = table("definition", "live", "rebuilt")
                for one, other in zip(before, after, strict=True):
                    rows.add_row(one["definition"], _rate(one), _rate(other))
                console().print(rows)
                if not accepted:
                    _print(report, REBUILD, list(_REBUILT))
                    msg = "the rebuilt dossiers differ in more than how they count; nothing was swapped"
                    raise Fatal(f"{msg}. Next: motcua parity {REBUILD}, and report it")
    return True


def _rate(row: dict[str, Any]) -> str:
    share = "–" if row["rate"] is None else f"{100 * row['rate']:.2f} %"
    return f"{row['numerator']:,} / {row['denominator']:,}  {share}"


def _whole() -> Settings:
    live = settings()
    if live.on:
        raise wrong("a rehearsal is held against live, and put in its place: without --on")
    unlimited(live, "it is about the whole country")
    return live


async def _reported(live: Settings, found: Settings, allowed: list[str]) -> "Report":
    from motcua.wiring import migrated
    from sinks import parity, rehearsals, swaps

    async with migrated(live) as database:
        of = await rehearsals.find(database, found.on)
        if of is None or of.rehearsal.state == "dropped":
            raise WrongUse(f"there is no rehearsal {found.on}. Next: motcua replay list")
        if of.rehearsal.state == "running":
            raise WrongUse(f"rehearsal {found.on} still runs. Next: motcua replay status {found.on}")
        under_way = await swaps.unfinished(database)
        if under_way is not None:
            raise Fatal(f"swap {under_way.number} is under way or was killed. Next: {under_way.command}")
        async with migrated(found):
            report = await parity.compare(
                database,
                found.database,
                await _begins(database, of.rehearsal),
                shared=found.on == REBUILD,
            )
        await swaps.save_report(database, found.on, report, clock.now(), accepted=report.allowed(allowed))
        return report


async def _begins(database: "Database", rehearsal: "Rehearsal") -> Any:
    """What live took in after a rehearsal began."""
    from sinks import generations, parity

    known = await generations.latest(database)
    ends = _copied(rehearsal)
    if known is None or not ends or known[1].topic_id != rehearsal.live_topic_id:
        return parity.NONE
    return parity.Begins([version(known[0], ends[partition], 0) for partition in sorted(ends)])


def _copied(rehearsal: "Rehearsal") -> dict[int, int]:
    """Up to which offsets of the live topic a rehearsal was to know it, or, copied in part, does."""
    return {at: min(end, rehearsal.offsets.get(at, end)) for at, end in rehearsal.ends.items()}


async def _swap(live: Settings, name: str, months: list[int], because: str) -> "Plan":
    from motcua.rehearsal import held
    from motcua.wiring import existing, migrated
    from sinks import generations, parity, rehearsals, swaps

    found = rehearsed(live, name)
    async with migrated(live) as database:
        with _alone(live), held(live, name):
            under_way = await swaps.unfinished(database)
            if under_way is not None:
                return await _taken_up(live, database, under_way, name)
            stored = await rehearsals.find(database, name)
            if stored is None or stored.rehearsal.state == "dropped":
                raise WrongUse(f"there is no rehearsal {name}. Next: motcua replay list")
            rehearsal = stored.rehearsal
            if rehearsal.state not in ("done", "stopped"):
                msg = f"rehearsal {name} is {rehearsal.state}"
                raise WrongUse(f"{msg}. Next: motcua replay resume {name}, or motcua replay stop {name}")
            if await swaps.former(database, name):
                msg = f"database {found.database} holds what was live before {name}"
                raise Fatal(f"{msg}. Next: motcua swap --back, or motcua replay drop {name}")
            if not because:
                report = await swaps.reported(database, name)
                now = await parity.stamp(database, found.database)
                if report is None or report[0] != now or not report[1]:
                    why = (
                        "there is no parity report of it"
                        if report is None
                        else "it or live has changed since its parity report"
                        if report[0] != now
                        else "its parity report has differences that were not allowed"
                    )
                    msg = f"{name} is not put in the place of live: {why}"
                    raise Fatal(f'{msg}. Next: motcua parity {name}, or motcua swap {name} --because "…"')
            topic = await existing(live)
            await _at_rest(live, found, rehearsal)
            starts = await _starts(live, rehearsal, topic)
            stands, earlier = await swaps.reached(database), await swaps.listed(database)
            known = await generations.latest(database)
            numbers = [stands.generation, rehearsal.generation, *(plan.generation for plan in earlier)]
            generation = max(*numbers, known[0] if known else 0) + 1
            if months:
                starts = {one: min(start, stands.offsets.get(one, 0)) for one, start in starts.items()}
                say(f"making what is to go live, with {len(months)} months of {name}")
                await swaps.build(database, found.database, months)
                await swaps.renumber(
                    database, f"{found.database}.next_", starts, stands.generation, generation
                )
            else:
                await swaps.zeros(database, f"{found.database}.tallies", f"{found.database}.tallies")
                if name == REBUILD:
                    await swaps.renumber(
                        database, f"{found.database}.", starts, stands.generation, generation
                    )
            await _held_by_kafka(live, topic, starts, because)
            complete = stands.complete
            if not months:
                async with migrated(found) as own:
                    complete = complete | (await swaps.reached(own)).complete
            plan = swaps.Plan(
                number=len(earlier) + 1,
                kind="swap",
                name=name,
                database=found.database,
                months=tuple(months),
                because=because or "parity",
                by=_who(),
                at=clock.now(),
                generation=generation,
                pairs=await swaps.paired(
                    database,
                    found.database,
                    "next_" if months else "",
                    whole=not months,
                    register=bool(rehearsal.register),
                ),
                starts=starts,
                complete=complete,
            )
            return await _done(live, database, plan, topic)


@contextmanager
def _alone(live: Settings) -> Iterator[None]:
    """One swap, swap back or rebuild at a time. `WrongUse` while another runs here."""
    place = live.data_dir.absolute() / "swapping"
    if pid := claim.supervisor(place):
        raise WrongUse(f"a swap or a rebuild runs (process {pid}). Next: wait for it")
    with claim.claim(place):
        yield


async def _at_rest(live: Settings, found: Settings, rehearsal: "Rehearsal") -> None:
    """`Fatal` unless all that was sent into a rehearsal is in its database, and nobody writes there."""
    from motcua.rehearsal import lag
    from motcua.wiring import database as connecting
    from motcua.wiring import lingering, source
    from sinks import generations

    if found.on == REBUILD:
        return
    own = await asyncio.to_thread(source, found)
    if own is None or not rehearsal.generation:
        raise Fatal(f"rehearsal {found.on} has no topic. Next: motcua replay resume {found.on}")
    group = generations.group(rehearsal.generation, found.on)
    if await lingering(live, [group], MEMBER_SECONDS):
        raise Fatal(f"a worker reads as {group}. Next: stop it, then the same command again")
    async with connecting(found) as own_database:
        behind = await lag(found, own_database, rehearsal.generation, own.partitions)
    if behind:
        msg = f"{behind:,} messages of rehearsal {found.on} are not in its database yet"
        raise Fatal(f"{msg}. Next: motcua replay resume {found.on}")


async def _held_by_kafka(live: Settings, topic: "Source", starts: dict[int, int], because: str) -> None:
    """`Fatal` where Kafka no longer holds what the new generation is to read first, but for a reason."""
    from producers import topics

    bounds = await asyncio.to_thread(topics.bounds, live.kafka, live.topic, topic.partitions)
    gone = {at: bounds[at][0] - start for at, start in starts.items() if start < bounds[at][0]}
    if gone and not because:
        msg = f"Kafka no longer holds {sum(gone.values()):,} messages that came after what is to go live"
        raise Fatal(f'{msg}. Next: replay their event logs, too, or the same command with --because "…"')


async def _back(live: Settings, because: str) -> "Plan":
    from motcua.rehearsal import held
    from motcua.wiring import existing, migrated
    from sinks import generations, swaps

    async with migrated(live) as database:
        with _alone(live):
            under_way = await swaps.unfinished(database)
            if under_way is not None:
                return await _taken_up(live, database, under_way, "")
            found = await swaps.listed(database)
            if not found or found[0].kind == "back":
                raise Fatal("there is no swap to take back. Next: motcua swap NAME")
            last = found[0]
            topic = await existing(live)
            if await swaps.standing(database, last) != "after":
                msg = f"what was live before {last.name} is gone: {last.database} was dropped or made anew"
                raise Fatal(f"{msg}. Next: motcua replay its logs, and swap that")
            starts = {at: (last.left or {}).get(at, 0) for at in range(topic.partitions)}
            await _held_by_kafka(live, topic, starts, because)
            known = await generations.latest(database)
            plan = swaps.Plan(
                number=last.number + 1,
                kind="back",
                name=last.name,
                database=last.database,
                months=last.months,
                because=because or f"back from swap {last.number}",
                by=_who(),
                at=clock.now(),
                generation=max(last.generation, known[0] if known else 0) + 1,
                pairs=tuple(
                    swaps.Pair(pair.live, pair.other, pair.other_uuid, pair.live_uuid) for pair in last.pairs
                ),
                starts=starts,
                complete=last.left_complete,
                cut=last.left_generation,
            )
            with held(live, last.name):
                return await _done(live, database, plan, topic)


async def _starts(live: Settings, rehearsal: "Rehearsal", topic: "Source") -> dict[int, int]:
    """From which offsets on live events are missing in a rehearsal.

    Those from after its beginning, and of logs whatever live received since the log's last line.
    """
    from producers.rehearsing import known_from
    from streams.batches import CANARY

    if rehearsal.live_topic_id != topic.topic_id:
        return dict.fromkeys(range(topic.partitions), 0)
    ends = _copied(rehearsal)
    starts = {partition: ends.get(partition, 0) for partition in range(topic.partitions)}
    if not rehearsal.from_topic:
        starts = await asyncio.to_thread(
            known_from, live.kafka, live.topic, rehearsal.topic, starts, rehearsal.cut, CANARY
        )
    return starts


async def _taken_up(live: Settings, database: "Database", plan: "Plan", name: str) -> "Plan":
    """Go on with a swap that was killed, if it is the one that is asked for."""
    from motcua.wiring import existing

    _ours(plan, name)
    topic = await existing(live)
    say(f"swap {plan.number} was begun and not ended: it is taken up again")
    return await _done(live, database, plan, topic)


def _ours(plan: "Plan", name: str) -> None:
    """`Fatal` unless a swap that is under way is the one of `name`, or with "" the one back."""
    if plan.kind != ("swap" if name else "back") or (name and plan.name != name):
        raise Fatal(f"swap {plan.number} is under way or was killed. Next: {plan.command}")


async def _done(live: Settings, database: "Database", plan: "Plan", topic: "Source") -> "Plan":
    """Do what a plan says; each step may be done again."""
    from motcua.wiring import lingering
    from producers import topics
    from sinks import generations, swaps

    await swaps.save(database, plan)
    # Workers of older generations see it and end; those that start wait for the end of the swap.
    known = await generations.latest(database)
    if known is None or known[0] < plan.generation:
        await generations.advance(database, topic, plan.generation, clock.now())
    groups = [generations.group(number) for number in range(1, plan.generation)]
    if alive := await lingering(live, groups, GONE_SECONDS):
        msg = f"workers still read as {', '.join(alive)}; nothing was exchanged"
        raise Retry("worker", f"{msg}. Next: stop them, then {plan.command} again")
    if plan.left is None:
        stood = await swaps.reached(database)
        plan = msgspec.structs.replace(
            plan,
            left=stood.offsets,
            left_generation=stood.generation,
            left_complete=stood.complete,
        )
        await swaps.save(database, plan)
    await swaps.exchange(database, plan)
    if plan.cut:
        await swaps.renumber(database, f"{database.name}.", plan.starts, plan.cut, plan.generation)
    await swaps.begin(database, plan)
    await asyncio.to_thread(
        topics.rewind, live.kafka, live.topic, generations.group(plan.generation), plan.starts
    )
    plan = msgspec.structs.replace(plan, state="done")
    await swaps.save(database, plan)
    return plan


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _month(month: int) -> str:
    return f"{month // 100:04}-{month % 100:02}" if month > 99 else f"0000-{month:02}"


def _print(report: "Report", name: str, allowed: list[str]) -> None:
    from sinks.parity import MEANING

    cohorts = ", ".join(f"{count:,} {what}" for what, count in report.cohorts.items() if count)
    say(
        f"{name}: {report.dossiers['rehearsed']:,} dossiers, live {report.dossiers['live']:,}; cohorts: "
        f"{cohorts or 'none'}; {report.left_aside:,} later live changes left aside"
    )
    if report.equal:
        say("equal")
        return
    causes = table("cause", "dossiers", "allowed", "what it means")
    for cause, count in report.causes.items():
        causes.add_row(cause, f"{count:,}", "yes" if cause in allowed else "no", MEANING[cause])
    console().print(causes)
    rows = table("unit", "month", "basis", "tally", "live", "rehearsed", "difference", "cells")
    for one in report.differences[:_SHOWN]:
        rows.add_row(
            one.unit,
            _month(one.month),
            one.basis,
            one.tally,
            f"{one.live:,}",
            f"{one.rehearsed:,}",
            f"{one.rehearsed - one.live:+,}",
            f"{one.cells:,}",
        )
    console().print(rows)
    if len(report.differences) > _SHOWN:
        say(f"… and {len(report.differences) - _SHOWN:,} more. Next: motcua parity {name} --json")
    for sample in report.samples:
        say(f"{sample.cause}: {sample.number}\n  live      {sample.live}\n  rehearsed {sample.rehearsed}")
