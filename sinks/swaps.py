"""Putting a rehearsal in the place of what is live, and back: a plan that is written down before it is done.

Every step may be repeated, and a swap that was killed is taken up again from its plan. A table changes its
place by one `EXCHANGE`, and every panel's figures come from one table (sums made for settled months are
forgotten first, on both sides), so no reader sees half. Live events are not lost: the generation that goes
live is above both, and begins where the rehearsal's knowledge of the live topic ends.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from rates.effects import Reached, due, generation_of, version
from rates.failures import Fatal
from sinks import reference
from sinks.client import Database, strings, uints
from sinks.cohorts import CohortStore
from sinks.history import FINAL
from sinks.parity import Begins, Report

Kind: TypeAlias = Literal["swap", "back"]
TABLES: Final = ("history", "dossiers", "tallies")
"""What is known of dossiers. Dead letters stay: they are of the topic that is read."""
_REGISTER: Final = (*reference.TABLES, "unit_bodies")
_DERIVED: Final = "heard"
"""Derived from dossiers as they are inserted; it goes with all of them."""
_QUERY_SECONDS: Final = 10.0
"""A query that began before sums were forgotten is waited for so long."""


class Pair(Struct, frozen=True):
    """Two tables that change places: `live` by its name in the live database, `other` by its full name."""

    live: str
    other: str
    live_uuid: str
    other_uuid: str


class Plan(Struct, frozen=True, kw_only=True):
    """A swap, whole or of months (yyyymm), or one back.

    `starts`: the offset of the live topic, by partition, from which the new `generation` reads; `complete`:
    what figures are complete to there, seconds since 1970 UTC. `left`: how far what goes out is durable, by
    the offsets of `left_generation`, from where a swap back reads on; None until workers are gone.
    `cut`: the generation of what goes live, where a worker may have ended between its steps, or 0. `state`:
    *begun* until everything is in place.
    """

    number: int
    kind: Kind
    name: str
    database: str
    months: tuple[int, ...] = ()
    because: str
    by: str
    at: int
    state: Literal["begun", "done"] = "begun"
    generation: int
    pairs: tuple[Pair, ...]
    starts: dict[int, int]
    complete: dict[int, int]
    left: dict[int, int] | None = None
    left_generation: int = 0
    left_complete: dict[int, int] = {}
    cut: int = 0

    @property
    def command(self) -> str:
        """What takes it up again."""
        return "motcua swap --back" if self.kind == "back" else f"motcua swap {self.name}"


_as_plan: Final = msgspec.json.Decoder(Plan)


async def listed(database: Database) -> list[Plan]:
    """All swaps that ever began, the last first."""
    rows = await database.rows("SELECT plan FROM swaps FINAL ORDER BY number DESC")
    return [_as_plan.decode(row["plan"]) for row in rows]


async def unfinished(database: Database) -> Plan | None:
    """A swap that began and is not in place yet."""
    there = "SELECT count() FROM system.tables WHERE database = {name:String} AND name = 'swaps'"
    found = await listed(database) if await database.value(there, {"name": database.name}) else []
    return found[0] if found and found[0].state == "begun" else None


async def save(database: Database, plan: Plan) -> None:
    await database.insert(
        "swaps",
        {
            "number": uints([plan.number], 32),
            "version": uints([int(plan.state == "done")], 64),
            "state": strings([plan.state]),
            "kind": strings([plan.kind]),
            "name": strings([plan.name]),
            "months": strings([", ".join(f"{month // 100}-{month % 100:02}" for month in plan.months)]),
            "because": strings([plan.because]),
            "by": strings([plan.by]),
            "at": uints([plan.at], 32),
            "plan": strings([msgspec.json.encode(plan).decode()]),
        },
    )


async def save_report(database: Database, name: str, report: Report, now: int, *, accepted: bool) -> None:
    """Keep a parity report; `accepted`: every difference was allowed, or there was none."""
    await database.insert(
        "parities",
        {
            "name": strings([name]),
            "version": uints([now], 64),
            "at": uints([now], 32),
            "stamp": strings([report.stamp]),
            "accepted": uints([int(accepted)], 8),
            "report": strings([msgspec.json.encode(report).decode()]),
        },
    )


async def reported(database: Database, name: str) -> tuple[str, bool] | None:
    """What the last parity report of a rehearsal was true of, and whether it was accepted."""
    rows = await database.rows(
        "SELECT stamp, accepted FROM parities FINAL WHERE name = {name:String}", {"name": name}
    )
    return (rows[0]["stamp"], bool(rows[0]["accepted"])) if rows else None


async def paired(
    database: Database, other: str, prefix: str = "", *, whole: bool, register: bool = False
) -> tuple[Pair, ...]:
    """The tables that change places, those of `other` under a prefix; its register too, if it has its own."""
    names = (*TABLES, *((_DERIVED,) if whole else ()), *(_REGISTER if register else ()))
    mine = await _uuids(database, database.name)
    theirs = await _uuids(database, other)
    return tuple(
        Pair(name, f"{other}.{prefix}{name}", mine[name], theirs[f"{prefix}{name}"]) for name in names
    )


async def _uuids(database: Database, name: str) -> Mapping[str, str]:
    rows = await database.rows(
        "SELECT name, toString(uuid) AS one FROM system.tables WHERE database = {name:String}", {"name": name}
    )
    return {row["name"]: row["one"] for row in rows}


async def standing(database: Database, plan: Plan) -> Literal["before", "after", "between", "elsewhere"]:
    """Whether a plan's tables stand as before it, as after it, or some so; *elsewhere*: one is gone."""
    return _standing(await _exchanged(database, plan))


def _standing(exchanged: Mapping[str, bool | None]) -> Literal["before", "after", "between", "elsewhere"]:
    found = {exchanged[table] for table in TABLES}
    if None in found:
        return "elsewhere"
    return "between" if len(found) > 1 else "after" if found == {True} else "before"


async def _exchanged(database: Database, plan: Plan) -> dict[str, bool | None]:
    """Of each pair, by its table, whether it was exchanged; None where other tables have their names now."""
    mine, theirs = await _uuids(database, database.name), await _uuids(database, plan.database)
    found: dict[str, bool | None] = {}
    for pair in plan.pairs:
        stand = mine.get(pair.live), theirs.get(pair.other.removeprefix(f"{plan.database}."))
        turned = stand == (pair.other_uuid, pair.live_uuid)
        found[pair.live] = turned if turned or stand == (pair.live_uuid, pair.other_uuid) else None
    return found


async def former(database: Database, name: str) -> bool:
    """Whether the database of a rehearsal holds what was live before it."""
    whole = (plan for plan in await listed(database) if plan.name == name and plan.kind == "swap")
    for plan in whole:
        if not plan.months and await standing(database, plan) in ("after", "between"):
            return True
    return False


async def exchange(database: Database, plan: Plan) -> None:
    """Have each pair stand where the plan wants it; one that does already is left as it is."""
    exchanged = await _exchanged(database, plan)
    if _standing(exchanged) == "elsewhere":
        msg = f"the tables of swap {plan.number} are not those that it was planned for: one was made anew"
        raise Fatal(f"{msg}. Next: motcua audit --all, and report it")
    for settled in (f"{database.name}.settled", f"{plan.database}.settled"):
        await database.run(f"TRUNCATE TABLE IF EXISTS {settled}")
    await _quiet(database)
    register = exchanged.keys() & {*_REGISTER}
    kept = any(exchanged[table] is None for table in register)  # one that was loaded since stays, whole
    for pair in plan.pairs:
        if exchanged[pair.live] is False and not (kept and pair.live in register):
            await database.run(f"EXCHANGE TABLES {database.name}.{pair.live} AND {pair.other}")
    if register and not kept:
        await reference.changed(database, plan.at, f"swap {plan.number}")
    await database.run(f"TRUNCATE TABLE IF EXISTS {database.name}.audits")


async def _quiet(database: Database) -> None:
    """Wait for queries that may still read sums of settled months."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() - began < _QUERY_SECONDS:
        older = await database.value(
            "SELECT count() FROM system.processes WHERE query_id != queryID() "
            f"AND elapsed > {loop.time() - began:.3f} "
            "AND match(query, '(body_sums|unit_sums|unit_days)[(]')"
        )
        if not older:
            return
        await asyncio.sleep(0.05)


async def build(database: Database, other: str, months: Sequence[int]) -> None:
    """Make in `other` what is to go live: the live tables, with these months as the rehearsal has them.

    Live goes on meanwhile: what it writes is read again. History comes last, since a change is written before
    its dossier.
    """
    listed_months = ", ".join(map(str, months))
    settings = f"SETTINGS max_partitions_per_insert_block = 0, {FINAL}"
    within, without = f"cohort IN ({listed_months})", f"cohort NOT IN ({listed_months})"
    for table in reversed(TABLES):
        to, mine, theirs = f"{other}.next_{table}", f"{database.name}.{table}", f"{other}.{table}"
        await database.run(f"DROP TABLE IF EXISTS {to} SYNC")
        await database.run(f"CREATE TABLE {to} AS {mine}")
        if table in _PARTITION:
            touched = {str(_PARTITION[table](month)) for month in months}
            await _link(database, to, database.name, table, touched)
            copied = f"{without} AND _partition_id IN ({', '.join(map(repr, sorted(touched)))})"
        else:
            copied = without
        await database.run(f"INSERT INTO {to} SELECT * FROM {mine} FINAL WHERE {copied} {settings}")
        await database.run(f"INSERT INTO {to} SELECT * FROM {theirs} FINAL WHERE {within} {settings}")
    await zeros(database, f"{other}.next_tallies", f"{other}.tallies")


async def _link(database: Database, to: str, of: str, table: str, but: Collection[str] = ()) -> None:
    """Give `to` what a table of the database `of` holds, `but` for some partitions: linked, not copied."""
    rows = await database.rows(
        "SELECT DISTINCT partition_id AS one FROM system.parts WHERE active AND database = {of:String} "
        "AND table = {table:String} ORDER BY one",
        {"of": of, "table": table},
    )
    for partition in (row["one"] for row in rows if row["one"] not in but):
        await database.run(f"ALTER TABLE {to} ATTACH PARTITION ID '{partition}' FROM {of}.{table}")


def _dated(month: int) -> int:
    return month if 201500 <= month <= 204999 else 0


def _year(month: int) -> int:
    return _dated(month) // 100


_PARTITION: Final[Mapping[str, Callable[[int], int]]] = {"tallies": _dated, "dossiers": _year}
"""The partition of a cohort's rows, as the schema has it."""


async def renumber(
    database: Database, tables: str, starts: Mapping[int, int], own: int, generation: int
) -> None:
    """Give rows of generation `own` whose events `generation` reads again the versions that they get there.

    Then these events count as applied, or are written once more under the same key, as after any crash: what
    a worker left half written is set right by rule 3, and nothing is learnt twice. `tables`: their full names
    but for the last word.
    """
    above = (generation - own) << 52
    for table in ("dossiers", "history"):
        name, later = f"{tables}{table}", _later(starts, own)
        if not await database.value(f"SELECT count() FROM {name} WHERE {later}"):
            continue
        await database.run(
            f"INSERT INTO {name} SELECT * REPLACE (version + toUInt64({above}) AS version) "
            f"FROM (SELECT * FROM {name} FINAL WHERE {later}) "
            f"SETTINGS max_partitions_per_insert_block = 0, {FINAL}"
        )
        if table == "history":
            await database.run(f"ALTER TABLE {name} DELETE WHERE {later} SETTINGS mutations_sync = 2")


async def trim(database: Database, starts: Mapping[int, int], own: int) -> None:
    """Take changes off a history that its dossiers do not know: a change is written before its dossier."""
    key, later = "unit, cohort, number", _later(starts, own)
    ahead = (
        f"SELECT {key}, h.version FROM "
        f"(SELECT {key}, version FROM {database.name}.history WHERE {later}) AS h LEFT JOIN "
        f"(SELECT {key}, version AS stands FROM {database.name}.dossiers FINAL WHERE ({key}) IN "
        f"(SELECT {key} FROM {database.name}.history WHERE {later})) AS d USING ({key}) "
        "WHERE h.version > d.stands"
    )
    if await database.value(f"SELECT count() FROM ({ahead})"):
        await database.run(
            f"ALTER TABLE history DELETE WHERE ({key}, version) IN ({ahead}) SETTINGS mutations_sync = 2"
        )


def _later(starts: Mapping[int, int], own: int) -> str:
    """A condition on rows of a generation, from these offsets on."""
    later = Begins([version(own, starts[partition], 0) for partition in sorted(starts)]).later()
    return f"{later} AND version < toUInt64({version(own + 1, 0, 0)})"


async def remember(shadow: Database, live: str) -> None:
    """Give a shadow what live knows of the past."""
    for table in ("history", _DERIVED):
        await _link(shadow, table, live, table)


async def zeros(database: Database, to: str, top: str) -> None:
    """Have a table of tallies know every cell that live knows, as zeros under the highest version of `top`.

    Whoever of an older generation was stalled can then only write rows that lose.
    """
    keys = "unit, cohort, system, basis, day"
    highest = int(await database.value(f"SELECT max(version) FROM {top}") or 0)
    await database.run(
        f"INSERT INTO {to} ({keys}, version) SELECT DISTINCT {keys}, toUInt64({highest}) "
        f"FROM {database.name}.tallies WHERE ({keys}) NOT IN (SELECT {keys} FROM {to}) "
        "SETTINGS max_partitions_per_insert_block = 0"
    )


async def begin(database: Database, plan: Plan) -> None:
    """Have figures stand where the new generation begins to read."""
    rows = [
        Reached(partition, version(plan.generation, offset - 1, 0), *(plan.complete.get(partition, 0),) * 2)
        for partition, offset in plan.starts.items()
        if offset
    ]
    if rows:
        await CohortStore(database).save_progress(rows)


class Stands(NamedTuple):
    """How far a database is durable, by partition: the next offset of `generation`, and what is complete."""

    offsets: dict[int, int]
    complete: dict[int, int]
    generation: int


async def reached(database: Database) -> Stands:
    """How far a database is durable in its newest generation, 0 for none."""
    rows = await CohortStore(database).progress()
    newest = max((generation_of(row.version) for row in rows.values()), default=0)
    offsets = due({at: row.version for at, row in rows.items()}, newest)
    return Stands(offsets, {at: rows[at].complete_to for at in offsets}, newest)
