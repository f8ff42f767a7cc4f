"""Numbered SQL migrations, the views that come from `rates.definitions`, and the log of what was applied.

A migration is a file `schema/NNNN_name.sql` of statements that may each be repeated. What was applied is in
`schema_log`, with the text's checksum: a file that changed after it was applied is an error, and a migration
that stopped half-way is named, with the statement it stopped at, and taken up again from its beginning.
"""

from collections.abc import Callable, Collection, Iterator
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import Final, NamedTuple

from rates.definitions import DEFINITIONS, Definition
from rates.failures import Fatal, Retry
from rates.tallies import BASES, SYSTEMS, TALLIES
from sinks import alerts, freshness, history, letters, rollups, watch
from sinks.client import Database, strings, uints


class Migration(NamedTuple):
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    def statements(self, database: str) -> list[str]:
        lines = (line for line in self.text.splitlines() if not line.lstrip().startswith("--"))
        text = Template("\n".join(lines)).substitute(database=database)
        return [statement.strip() for statement in text.split(";") if statement.strip()]


def migrations() -> list[Migration]:
    """The migrations that the program carries, in their order."""
    found = []
    for entry in sorted((files("sinks") / "schema").iterdir(), key=lambda entry: entry.name):
        number, _, name = entry.name.removesuffix(".sql").partition("_")
        if entry.name.endswith(".sql"):
            found.append(Migration(int(number), name, entry.read_text(encoding="utf-8")))
    return found


async def migrate(database: Database, now: int, say: Callable[[str], None]) -> None:
    """Bring a database to the schema of this program. `now` in seconds since 1970 UTC; may be repeated."""
    await database.create()
    await _finished(database)
    await database.run(LOG)
    log = await _log(database)
    for migration in migrations():
        row = log.get(migration.number)
        if row is not None and row["applied"]:
            _check(migration, row["checksum"])
            continue
        if row is not None:
            say(
                f"migration {migration.number:04} ({migration.name}) had stopped half-way: {row['note']}; "
                "its statements may be repeated, so it is applied again from its beginning"
            )
        await _apply(database, migration, now)
        say(f"migration {migration.number:04} ({migration.name}) applied")
    for statement in views():
        await database.run(statement)


async def lay(database: Database, numbers: Collection[int], now: int) -> None:
    """Make the tables of these migrations, and nothing that names its database, for a backup's rows.

    They are logged as not applied, so that `migrate` takes them up again under the database's final name.
    """
    await database.run(LOG)
    for migration in migrations():
        if migration.number in numbers:
            for statement in migration.statements(database.name):
                await database.run(statement)
            await _record(database, migration, 0, now, "its rows were restored, views are not made yet")
    named = await database.rows(
        "SELECT name, engine FROM system.tables WHERE database = {name:String} "
        "AND engine NOT LIKE '%MergeTree'",
        {"name": database.name},
    )
    for row in named:
        await database.run(f"DROP {'DICTIONARY' if row['engine'] == 'Dictionary' else 'TABLE'} {row['name']}")


async def check(database: Database) -> None:
    """Raise `Fatal` unless the database has exactly the schema of this program."""
    log: dict[int, dict[str, object]] = {}
    if await database.exists():
        await _finished(database)
        log = await _log(database)
    for migration in migrations():
        row = log.get(migration.number)
        if row is None or not row["applied"]:
            state = f"stopped half-way ({row['note']})" if row else "is missing"
            msg = (
                f"database {database.name}: migration {migration.number:04} ({migration.name}) {state}. "
                "Next: motcua migrate"
            )
            raise Fatal(msg)
        _check(migration, row["checksum"])
    unknown = max(log, default=0)
    if unknown > migrations()[-1].number:
        msg = (
            f"database {database.name} has migration {unknown:04}, which this program does not know. "
            "Next: install the newer motcua that made it"
        )
        raise Fatal(msg)


LOG: Final = (
    "CREATE TABLE IF NOT EXISTS schema_log (number UInt16, version UInt64, name String, "
    "checksum String, applied UInt8, note String, at DateTime('Asia/Ho_Chi_Minh')) "
    "ENGINE = ReplacingMergeTree(version) ORDER BY number"
)


def staging(name: str) -> str:
    """The database in which a restore gathers its rows. While it is there, that restore is not finished."""
    return f"{name}_restoring"


async def _finished(database: Database) -> None:
    query = "SELECT count() FROM system.databases WHERE name = {name:String}"
    if await database.value(query, {"name": staging(database.name)}):
        msg = (
            f"a restore of database {database.name} is under way or stopped half-way; what was there before "
            "is untouched. Next: the same motcua restore again, or to give it up: motcua restore --abandon"
        )
        raise Fatal(msg)


async def _log(database: Database) -> dict[int, dict[str, object]]:
    query = "SELECT count() FROM system.tables WHERE database = {name:String} AND name = 'schema_log'"
    if not await database.value(query, {"name": database.name}):
        return {}
    rows = await database.rows("SELECT number, checksum, applied, note FROM schema_log FINAL")
    return {row["number"]: row for row in rows}


def _check(migration: Migration, applied: object) -> None:
    if migration.checksum != applied:
        msg = (
            f"migration {migration.number:04} ({migration.name}) was changed after it had been applied. "
            "Next: put its file back and write the change as a new migration"
        )
        raise Fatal(msg)


async def _apply(database: Database, migration: Migration, now: int) -> None:
    statements = migration.statements(database.name)
    for index, statement in enumerate(statements):
        note = f"statement {index + 1} of {len(statements)}: {' '.join(statement.split())[:80]}…"
        await _record(database, migration, 2 * index, now, note)
        try:
            await database.run(statement)
        except (Fatal, Retry) as error:
            msg = f"migration {migration.number:04} ({migration.name}) stopped at {note} {error}"
            raise type(error)(*(("clickhouse", msg) if isinstance(error, Retry) else (msg,))) from error
    await _record(database, migration, 2 * len(statements) + 1, now, "")


async def _record(database: Database, migration: Migration, step: int, now: int, note: str) -> None:
    await database.insert(
        "schema_log",
        {
            "number": uints([migration.number], 16),
            "version": uints([now << 16 | step], 64),
            "name": strings([migration.name]),
            "checksum": strings([migration.checksum]),
            "applied": uints([int(not note)], 8),
            "note": strings([note]),
            "at": uints([now], 32),
        },
    )


def body(day: str) -> str:
    """SQL for the province or ministry of `unit` on a day: as registered, else as its code names it."""
    named = "if(match(unit, '^[GH]'), splitByChar('.', unit)[1], splitByChar('.', unit)[-1])"
    known = f"dictGetOrDefault('body_of', 'body', tuple(toString(unit)), {day}, '')"
    successor = f"dictGetOrDefault('body_of', 'body', tuple({named}), {day}, {named})"
    return f"if({known} != '', {known}, {successor})"


def named(names: tuple[str, ...], index: str) -> str:
    """SQL for the name behind an index of `SYSTEMS` or `BASES`."""
    return f"[{', '.join(repr(name) for name in names)}][{index} + 1]"


def views() -> Iterator[str]:
    """The views that everything reads: tallies by name and body, one for each definition, and the rest."""
    yield (
        "CREATE OR REPLACE VIEW counts AS SELECT "
        f"unit, {body('day')} AS body, {named(SYSTEMS, 't.system')} AS system, "
        f"{named(BASES, 't.basis')} AS basis, t.basis AS basis_index, day, "
        f"formatDateTime(day, '%Y-%m') AS month, "
        f"{', '.join(TALLIES)} FROM tallies AS t FINAL SETTINGS {rollups.FINAL}"
    )
    for definition in DEFINITIONS:
        yield _view(definition)
    contributions = ", ".join(f"bitTest(d.mask, {bit}) AS {tally}" for bit, tally in enumerate(TALLIES))
    days = ", ".join(f"{basis}_day, {body(f'{basis}_day')} AS {basis}_body" for basis in BASES)
    of_dossier = (
        f"number, unit, {named(SYSTEMS, 'd.system')} AS system, procedure, sector, status, "
        f"d.received AS received_at, d.completed AS completed_at, d.due AS due_at, {days}, {contributions}"
    )
    yield (
        f"CREATE OR REPLACE VIEW dossiers_named AS SELECT {of_dossier} FROM dossiers AS d FINAL "
        "SETTINGS do_not_merge_across_partitions_select_final = 1"
    )
    yield from history.views(
        body("day"), {"system": named(SYSTEMS, "t.system"), "basis": named(BASES, "t.basis")}
    )
    yield history.dossiers_view(of_dossier)
    counted = ", ".join(f"if({basis}_day > toDate(0), {body(f'{basis}_day')}, '')" for basis in BASES)
    learnt = f"[{body('toDate(d.learnt)')}]"
    bodies = f"if(d.mask = 0, {learnt}, arrayFilter(one -> one != '', [{counted}]))"
    yield from history.versions_views(of_dossier, bodies)
    yield (
        "CREATE OR REPLACE VIEW rejections AS SELECT version, partition, unit, "
        f"{body('toDate(received_at)')} AS body, reason, field, received_at FROM dead_letters FINAL"
    )
    yield letters.view(body("toDate(last_seen)"))
    yield (
        "CREATE OR REPLACE VIEW freshness AS SELECT partition, version, received_at, complete_to "
        "FROM progress FINAL "
        "WHERE bitShiftRight(version, 52) = (SELECT max(bitShiftRight(version, 52)) FROM progress)"
    )
    yield (
        "CREATE OR REPLACE VIEW freshness_known AS SELECT partition, version, received_at, "
        "least(complete_to, toDateTime({known:UInt32} - 1, 'Asia/Ho_Chi_Minh')) AS complete_to FROM freshness"
    )
    yield from history.restatements_views(body("day"))
    yield (
        "CREATE OR REPLACE VIEW swaps_told AS SELECT number, state, kind, name, months, because, by, at "
        "FROM swaps FINAL"
    )
    yield from watch.views(body("toDate(checked_at)"))
    yield from freshness.views(body("day"))
    yield from rollups.views(body("day"))
    yield from alerts.views(body("day"))


def _view(definition: Definition) -> str:
    reported, clean = definition.numerator
    return (
        f"CREATE OR REPLACE VIEW {definition.view} AS SELECT "
        f"unit, {body('day')} AS body, {named(SYSTEMS, 't.system')} AS system, "
        "day, formatDateTime(day, '%Y-%m') AS month, "
        f"{reported} AS numerator_reported, {clean} AS numerator_clean, "
        f"{definition.denominator} AS denominator FROM tallies AS t FINAL "
        f"WHERE t.basis = {BASES.index(definition.basis)} SETTINGS {rollups.FINAL}"
    )
