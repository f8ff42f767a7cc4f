"""A database copied into an archive, and an archive into a database.

Rows travel as Arrow through the one HTTP client, so a backup is made and restored the same way for the
embedded engine and for a server, and its file is on the machine of whoever asked. The engine's own BACKUP
writes on the engine's machine alone, under a path that its configuration allows, and is checked by nobody.

What a copy promises while workers write (the order of effects, design: rules 2 and 3): `progress` is copied
first and the rest in the reverse of the order of effects: dead letters, tallies, dossiers. Whatever is newer
than the copied progress comes again from Kafka, once the consumer group stands where that progress says, and
an event that is applied already has its whole cohort written anew. A page of tallies never ends inside a
cohort, so a cohort that disagrees with its dossiers has a dossier newer than its tallies: it was in flight.

A restore gathers its rows in a database of another name, `…_restoring`, holds them against the manifest
and the tallies against the dossiers, and only then takes the place of the database that was there. While that
other database exists, every command says so (`sinks.migrate.check`).

Left out: tables that the program did not make, sums that are derived (`sinks/rollups.py`), and rows that are
kept for a time only (heartbeats).
"""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rates.failures import Fatal, Retry
from sinks import archive, generations, migrate, reference, rollups
from sinks.archive import FORMAT, Applied, Archive, Manifest
from sinks.client import Database

if TYPE_CHECKING:
    import pyarrow as pa

_PAGE: Final = 100_000
_FIRST: Final = ("progress",)
_LAST: Final = ("dead_letters", "tallies", "dossiers")
_HELD: Final = ("dossiers", "tallies", "dead_letters")
_WHOLE: Final = {"tallies": 2}
"""How much of its key a page must not split: of a cohort's tallies all or none."""
_NAMES: Final = re.compile(
    r"CREATE (?:OR REPLACE )?(?:TABLE|DICTIONARY|VIEW|MATERIALIZED VIEW) (?:IF NOT EXISTS )?(\w+)"
)
_PAGED: Final = re.compile(r"(?:LowCardinality\()?(String|UInt\d+|Date)\)?")


class Table(NamedTuple):
    """A table to copy. `order` is its sorting key, with types; empty where it is read as a whole."""

    name: str
    final: str
    columns: str
    order: Sequence[tuple[str, str]]

    @property
    def cursor(self) -> Sequence[tuple[str, str]]:
        return self.order[: _WHOLE.get(self.name, len(self.order))]


async def save(database: Database, path: Path, now: int, progress: Callable[[int, int], None]) -> Manifest:
    """Copy a database into a new archive, verified before it gets its name. `now` in seconds UTC.

    `progress` hears (rows copied, rows there are, about). Raises Retry, Fatal and OSError.
    """
    schema, register = await _schema(database), await reference.loads(database)
    tables = await _tables(database)
    partitions = await _partitions(database, tables)
    there = sum(rows for _, _, rows in partitions)
    done = 0
    with archive.written(path) as writer:
        for table, partition, _ in partitions:
            with writer.member(table.name, partition) as add:
                async for page in _pages(database, table, partition):
                    add(page)
                    done += page.num_rows
                    progress(done, max(there, done))
        if (schema, register) != (await _schema(database), await reference.loads(database)):
            msg = "a register was loaded, or the schema changed, in the middle. Next: motcua backup again"
            raise Retry("clickhouse", msg)
        registered = await generations.latest(database)
        held = {table.name: 0 for table in tables}
        for member in writer.members:
            held[member.table] += member.rows
        sums = [member.sha256 for member in writer.members if member.table in reference.TABLES]
        manifest = Manifest(
            format=FORMAT,
            made_at=now,
            database=database.name,
            engine=str(await database.value("SELECT version()")),
            generation=registered[0] if registered else 0,
            register=hashlib.sha256("".join(sums).encode()).hexdigest(),
            schema=schema,
            rows=held,
            members=tuple(writer.members),
        )
        writer.close(manifest)
    return manifest


def check(manifest: Manifest) -> None:
    """Raise `Fatal` unless this program can restore a backup with this manifest."""
    known = {migration.number: migration for migration in migrate.migrations()}
    for applied in manifest.schema:
        if applied.number not in known:
            msg = (
                f"the backup has migration {applied.number:04} ({applied.name}), which this program does not "
                "know. Next: install the newer motcua that made it"
            )
            raise Fatal(msg)
        if known[applied.number].checksum != applied.checksum:
            msg = (
                f"migration {applied.number:04} ({applied.name}) is not the one that the backup was made "
                "under. Next: install the motcua that made it"
            )
            raise Fatal(msg)
    strange = sorted(manifest.rows.keys() - _made())
    if strange:
        msg = f"the backup has tables that this program does not make: {', '.join(strange)}"
        raise Fatal(f"{msg}. Next: install the motcua that made it")


async def held(system: Database, name: str) -> int:
    """How many rows of dossiers, tallies and dead letters a database holds; 0 where there is none.

    `Fatal` where it holds tables that are not the program's: a restore would take them away.
    """
    found = await system.rows(
        "SELECT name, ifNull(total_rows, 0) AS rows FROM system.tables WHERE database = {name:String}",
        {"name": name},
    )
    strange = sorted({row["name"].removesuffix("_next") for row in found} - _made())
    if strange:
        msg = (
            f"database {name} holds what motcua did not make: {', '.join(strange)}. "
            "Next: move that to a database of its own, then motcua restore again"
        )
        raise Fatal(msg)
    return sum(row["rows"] for row in found if row["name"] in _HELD)


async def gather(
    source: Archive, system: Database, staged: Database, now: int, progress: Callable[[int, int], None]
) -> None:
    """Fill the staging database, made anew, with a backup's rows, and count them. Raises Retry and Fatal.

    `system` is a connection that needs no database of ours; `progress` hears (rows done, rows there are).
    """
    manifest = source.manifest
    await abandon(system, staged.name)
    await system.run(f"CREATE DATABASE {staged.name}")
    await migrate.lay(staged, [applied.number for applied in manifest.schema], now)
    done = 0
    for member in manifest.members:
        for page in source.pages(member):
            await staged.insert(member.table, dict(zip(page.column_names, page.columns, strict=True)))
            done += page.num_rows
            progress(done, manifest.total)
    tables = {table.name: table for table in await _tables(staged)}
    for name, rows in manifest.rows.items():
        stored = await staged.value(f"SELECT count() FROM {name} {tables[name].final}")
        if stored != rows:
            msg = f"table {name} holds {stored:,} rows after the restore, the backup {rows:,}"
            raise Fatal(f"{msg}; nothing was replaced. Next: motcua restore again")


async def place(system: Database, staged: str, name: str) -> None:
    """Put a gathered database in the place of the one of this name.

    That one only gives up its name, and is dropped afterwards: to drop takes its time, and whoever is killed
    meanwhile must find a whole database under the name.
    """
    replaced = f"{name}_replaced"
    await system.run(f"DROP DATABASE IF EXISTS {replaced} SYNC")
    if await system.value("SELECT count() FROM system.databases WHERE name = {name:String}", {"name": name}):
        # Its dictionary goes with it, and is asked nothing any more.
        await system.run(
            f"RENAME DATABASE {name} TO {replaced} "
            "SETTINGS check_table_dependencies = 0, check_referential_table_dependencies = 0"
        )
    await system.run(f"RENAME DATABASE {staged} TO {name}")
    await system.run(f"DROP DATABASE IF EXISTS {replaced} SYNC")


async def abandon(system: Database, staged: str) -> bool:
    """Give up what a restore gathered; False where there is nothing."""
    there = await system.value(
        "SELECT count() FROM system.databases WHERE name = {name:String}", {"name": staged}
    )
    await system.run(f"DROP DATABASE IF EXISTS {staged} SYNC")
    return bool(there)


def _made() -> set[str]:
    """What the program makes in its database."""
    statements = "\n".join([migrate.LOG, *(one.text for one in migrate.migrations()), *migrate.views()])
    return set(_NAMES.findall(statements))


async def _schema(database: Database) -> tuple[Applied, ...]:
    rows = await database.rows("SELECT number, name, checksum FROM schema_log FINAL ORDER BY number")
    return tuple(Applied(**row) for row in rows)


async def _tables(database: Database) -> list[Table]:
    """The tables to copy, in the order in which they are copied."""
    found = await database.rows(
        "SELECT name, engine, sorting_key FROM system.tables WHERE database = {name:String} "
        "AND engine LIKE '%MergeTree' AND name != 'schema_log' AND engine_full NOT LIKE '% TTL %'",
        {"name": database.name},
    )
    columns = await database.rows(
        "SELECT table, name, type FROM system.columns WHERE database = {name:String} "
        "AND default_kind IN ('', 'DEFAULT') ORDER BY table, position",
        {"name": database.name},
    )
    tables = []
    made = _made()
    for row in found:
        if row["name"] not in made or row["name"] in rollups.TABLES:
            continue
        types = {column["name"]: column["type"] for column in columns if column["table"] == row["name"]}
        merged = row["engine"] != "MergeTree"
        order = [(name, types.get(name, "")) for name in row["sorting_key"].split(", ")]
        # Only where a key tells its row apart, and can be named in a query, can reading go on after it.
        paged = merged and all(_PAGED.fullmatch(kind) for _, kind in order)
        tables.append(Table(row["name"], "FINAL" if merged else "", ", ".join(types), order if paged else ()))
    ranks = {name: rank for rank, name in enumerate((*_FIRST, "", *_LAST))}
    return sorted(tables, key=lambda table: (ranks.get(table.name, ranks[""]), table.name))


async def _partitions(database: Database, tables: Sequence[Table]) -> list[tuple[Table, str, int]]:
    """Each partition of each table, and how many rows it has at most. One that is made later is newer."""
    found = await database.rows(
        "SELECT table, partition_id, sum(rows) AS rows FROM system.parts "
        "WHERE database = {name:String} AND active GROUP BY table, partition_id ORDER BY partition_id",
        {"name": database.name},
    )
    return [
        (table, row["partition_id"], row["rows"])
        for table in tables
        for row in found
        if row["table"] == table.name
    ]


async def _pages(database: Database, table: Table, partition: str) -> AsyncIterator["pa.Table"]:
    """The rows of a partition, in the order of the table's key, so many at once as memory should hold."""
    names = [name for name, _ in table.cursor]
    bounds = ""
    values: dict[str, object] = {"partition": partition}
    limit = _PAGE
    while True:
        page = await database.arrow(
            f"SELECT {table.columns} FROM {table.name} {table.final} "
            f"WHERE _partition_id = {{partition:String}} {bounds} "
            + (f"ORDER BY {', '.join(name for name, _ in table.order)} LIMIT {limit} " if names else "")
            + ("SETTINGS do_not_merge_across_partitions_select_final = 1" if table.final else ""),
            values,
        )
        more = bool(names) and page.num_rows == limit
        if more:
            page = _before_last(page, names) if len(names) < len(table.order) else page
        if more and not page.num_rows:
            limit *= 2
            continue
        if page.num_rows:
            yield page
        if not more:
            return
        last = page.slice(page.num_rows - 1).to_pylist()[0]
        values |= {f"after_{name}": last[name] for name in names}
        bounds = f"AND {_beyond(table.cursor)}"


def _before_last(page: "pa.Table", names: Sequence[str]) -> "pa.Table":
    """A page without the rows that share its last row's key: more of them may follow."""
    import pyarrow.compute as pc

    same = None
    for name in names:
        column = page.column(name)
        equal = pc.equal(column, column[page.num_rows - 1])
        same = equal if same is None else pc.and_(same, equal)
    return page.slice(0, page.num_rows - pc.sum(same).as_py())


def _beyond(cursor: Sequence[tuple[str, str]]) -> str:
    """A condition for the rows after the cursor's; its first part lets the engine skip what is before."""
    (name, kind), *rest = cursor
    found = _PAGED.fullmatch(kind)
    value = f"{{after_{name}:{found[1] if found else kind}}}"
    if not rest:
        return f"{name} > {value}"
    return f"{name} >= {value} AND ({name} > {value} OR ({_beyond(rest)}))"
