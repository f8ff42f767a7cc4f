"""Dead letters: counted, shown, and sent again once what they were refused for has been mended.

A replay prints what it will do and how many letters that is, sends each at most once through the ordinary way
in, waits until the worker has taken or refused it, and says how many were accepted and how many failed again.

It never goes in a circle: a letter that failed again is left alone until something that decides has changed
(the register, the program, the tables or the engine), however often a replay is run. It survives its own
death: what was sent is known afterwards, and the next run sends the rest.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from motcua import clock
from motcua.access import limited
from motcua.cli import Json, app, ask, console, instant, reading, say, settings, show, wrong
from motcua.settings import Settings
from rates.failures import Fatal, Retry
from rates.wire import UNIT, Reason

if TYPE_CHECKING:
    from producers.replay import Resender, Sent
    from sinks.client import Database
    from sinks.deadletters import Chosen, Letter, Planned

_LETTERS: Final = 500
_BYTES: Final = 8 * 1024 * 1024
"""So much is sent before it is written down where it went."""
_OVERTAKEN: Final = "its dossier has taken a record of the same time and stage that came later"
_PATIENCE: Final = 60.0
"""So many seconds may pass in which nothing becomes durable."""
_SHOWN: Final = 100

dead = typer.Typer(
    no_args_is_help=True,
    help="What could not be understood or stored, and why; sent again once it has been mended.",
)
app.add_typer(dead, name="dead")

ReasonOption = Annotated[str, typer.Option("--reason", metavar="REASON", help=f"One of {', '.join(Reason)}.")]
UnitOption = Annotated[str, typer.Option("--unit", metavar="CODE", help="The unit that the number names.")]
SinceOption = Annotated[
    str,
    typer.Option(
        "--since", metavar="TIME", help="Last refused since YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS+07:00."
    ),
]


@dead.command("list")
@reading
def list_(
    reason: ReasonOption = "", unit: UnitOption = "", since: SinceOption = "", as_json: Json = False
) -> None:
    """Letters by reason and unit, with how often they were refused and what became of them."""
    from sinks import deadletters

    chosen = _chosen(settings(), reason, unit, since)
    rows = ask(lambda database: deadletters.counted(database, chosen))
    _print([_timed(row) for row in rows], as_json, f"{sum(row['letters'] for row in rows):,} letters")


@dead.command("show")
@reading
def show_(
    reason: ReasonOption = "", unit: UnitOption = "", since: SinceOption = "", as_json: Json = False
) -> None:
    """The letters themselves: why, where they stood, the declared fields; the last refused first."""
    import msgspec

    from sinks import deadletters

    chosen = _chosen(settings(), reason, unit, since)
    rows = ask(lambda database: deadletters.shown(database, chosen, 0 if as_json else _SHOWN + 1))
    found = [_timed(row) for row in rows]
    if as_json:
        for row in found:
            row["fields"] = msgspec.Raw(row["fields"].encode()) if row["fields"] else None
    more = len(found) > _SHOWN and not as_json
    caption = f"the last {_SHOWN} letters; --json has all" if more else f"{len(found):,} letters"
    _print(found[:_SHOWN] if more else found, as_json, caption)


@dead.command()
def replay(
    reason: ReasonOption = "",
    unit: UnitOption = "",
    since: SinceOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Send letters again that have not been taken; exit 1 if one of them fails again.

    Each is sent at most once, as the record it is, stamped with its own receipt. One that
    failed again is left alone until the register, the program, the tables or the engine have changed since. A
    replay that was cut short is completed by running it again.
    """
    found = settings()
    failed = asyncio.run(_replay(found, _chosen(found, reason, unit, since), dry_run, as_json))
    if failed:
        raise typer.Exit(1)


async def _replay(found: Settings, chosen: "Chosen", dry_run: bool, as_json: bool) -> int:
    from motcua.running import durable
    from motcua.wiring import migrated, needed, source
    from producers.replay import Resender
    from sinks import deadletters, generations, reads

    needed(found.kafka, "kafka")
    async with migrated(found) as database:
        topic = await asyncio.to_thread(source, found)
        if topic is None:
            msg = f"topic {found.topic} does not exist. Next: motcua migrate"
            raise Fatal(msg)
        generation = await generations.confirmed(database, topic)
        await deadletters.settle(database)
        ground = await deadletters.ground(database, installed("motcua"))
        with Resender(found.kafka, found.topic) as resender:
            letters = await deadletters.undone(database, chosen)
            unkept = any(not letter.kept for letter in letters)
            earliest = await asyncio.to_thread(resender.earliest) if unkept else {}
            plan = deadletters.planned(letters, ground, generation, earliest)
            rows = _told(plan, as_json)
            if dry_run:
                if as_json:
                    show({"rows": rows})
                return 0
            unsent = await _send(database, resender, plan, ground, generation)
        for why, number in sorted(Counter(unsent.values()).items()):
            say(f"{number:,} not sent: {why}")
        under_way = [
            one.letter for one in plan if one.todo in ("send", "wait") and one.letter.letter not in unsent
        ]
        if under_way:
            try:
                goals = await deadletters.goals(database, generation)
                await durable(database, goals, reads.reached, _PATIENCE)
            except Retry:
                say(f"{len(under_way):,} still waiting: run this again to hear what became of them")
                raise
            await deadletters.settle(database)
        states = await deadletters.outcome(database, under_way)
    accepted, failed = states["replayed"], states["failed_again"]
    waiting = len(under_way) - accepted - failed
    say(f"{accepted:,} accepted, {failed:,} failed again, {waiting:,} still waiting")
    if as_json:
        show({"rows": rows, "accepted": accepted, "failed_again": failed, "waiting": waiting})
    return failed


async def _send(
    database: "Database", resender: "Resender", plan: "Sequence[Planned]", ground: str, generation: int
) -> dict[str, str]:
    """Send what the plan sends, portion by portion; the letters that are not sent after all, and why."""
    from producers.replay import Again
    from sinks import deadletters, reference

    register = await reference.load(database)
    total = sum(one.todo == "send" for one in plan)
    done = 0
    unsent: dict[str, str] = {}
    for portion in deadletters.portions(plan, _LETTERS, _BYTES):
        done += len(portion)
        texts = await deadletters.contents(database, portion)
        late = await deadletters.overtaken(database, register, portion, texts)
        unsent |= dict.fromkeys(late, _OVERTAKEN)
        portion = [one for one in portion if one.letter not in late]
        meant = [deadletters.Try(one.letter, one.next_try, 0, 0, one.whole, one.seen) for one in portion]
        await deadletters.record(database, meant, ground, clock.now())
        again = [
            Again(one.letter, *texts[one.letter], one.partition, one.offset, one.record, one.whole)
            for one in portion
        ]
        sent: list[Sent] = []
        try:
            await asyncio.to_thread(resender.send, again, sent)
        finally:
            # What the broker has is written down even where the rest of the portion failed.
            await _went(database, portion, sent, ground, generation)
        unsent |= {one.letter: one.why for one in sent if one.why}
        say(f"{done:,} of {total:,} seen to")
    return unsent


async def _went(
    database: "Database", portion: "Sequence[Letter]", sent: "Sequence[Sent]", ground: str, generation: int
) -> None:
    from rates.effects import version
    from sinks import deadletters

    letters = {letter.letter: letter for letter in portion}
    went = [
        deadletters.Try(
            one.letter,
            letters[one.letter].next_try,
            one.partition,
            version(generation, one.offset, 0),
            one.whole,
            letters[one.letter].seen,
        )
        for one in sent
        if not one.why
    ]
    if went:
        await deadletters.record(database, went, ground, clock.now())


def _told(plan: "Sequence[Planned]", as_json: bool) -> list[dict[str, Any]]:
    """The plan by reason and unit, printed, and as rows."""
    groups = Counter((one.letter.reason, one.letter.unit, one.todo, one.why) for one in plan)
    rows = [
        {"reason": reason, "unit": unit, "todo": todo, "letters": number, "why": why}
        for (reason, unit, todo, why), number in sorted(groups.items())
    ]
    if not as_json and rows:
        _print(rows, False, "what is done with the letters that have not been taken")
    todo = Counter(one.todo for one in plan)
    say(
        f"{len(plan):,} letters not taken: {todo['send']:,} to send, {todo['wait']:,} on their way, "
        f"{todo['leave']:,} left alone, {todo['cannot']:,} cannot be replayed"
    )
    return rows


def _chosen(found: Settings, reason: str, unit: str, since: str) -> "Chosen":
    from sinks.deadletters import Chosen

    if reason and reason not in set(Reason):
        msg = f"--reason takes one of {', '.join(Reason)}, not {reason!r}"
        raise wrong(msg)
    if unit and not UNIT.fullmatch(unit):
        msg = f"--unit takes the code of a unit, such as H18.21 or 000.17.22.H56, not {unit!r}"
        raise wrong(msg)
    return Chosen(reason, unit, instant(since, "--since"), limited(found))


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: clock.iso(row[name]) for name in ("first_seen", "last_seen")}


def _print(rows: list[dict[str, Any]], as_json: bool, caption: str) -> None:
    if as_json:
        show({"rows": rows})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(caption=caption)
    for name in rows[0] if rows else ("nothing",):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_plain(value)) for value in row.values()))
    console().print(table)


def _plain(value: object) -> str:
    """As text that a terminal can be shown: letters hold what anybody sent."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
