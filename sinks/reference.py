"""The register in the database: what `motcua migrate` loaded is what every worker and reader counts by.

The rows of `units.csv`, `procedures.csv` and `targets.csv` are kept as they are written and read back through
`rates.register`, so there is one reader and one set of checks. Each table is replaced by one exchange:
whoever reads meanwhile sees the old rows or the new ones.
"""

import csv
import io
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from rates import sheets
from rates.definitions import DEFINITIONS
from rates.failures import Retry
from rates.register import Register
from sinks.client import Database, strings, uints

if TYPE_CHECKING:
    import pyarrow as pa

TABLES: Final = ("units", "procedures", "targets")


async def loads(database: Database) -> int:
    """How many times a register has been loaded: 0 while there is none, and it grows with each."""
    return int(await database.value("SELECT count() FROM register_log"))


async def save(database: Database, now: int, directory: Path | None = None) -> None:
    """Replace the stored register by a directory's, or the shipped one. `RegisterError` if it is wrong."""
    register = Register.read(directory) if directory else Register.shipped()
    for table in TABLES:
        sheet = _sheet(directory, table)
        rows = list(csv.DictReader(io.StringIO(sheet.read_text(encoding="utf-8-sig"), newline="")))
        wanted = await database.rows(
            "SELECT name FROM system.columns WHERE database = {name:String} AND table = {table:String}",
            {"name": database.name, "table": table},
        )
        columns = {row["name"]: strings([line.get(row["name"]) or "" for line in rows]) for row in wanted}
        await _replace(database, table, columns)
    units = dict.fromkeys(unit.code for unit in register.units)
    eras = [(unit, *era) for unit in units for era in register.body_eras(unit)]
    await _replace(
        database,
        "unit_bodies",
        {
            "unit": strings([era[0] for era in eras]),
            "from_day": uints([era[1] for era in eras], 16),
            "to_day": uints([era[2] for era in eras], 16),
            "body": strings([era[3] for era in eras]),
        },
    )
    await changed(database, now, str(directory) if directory else "shipped")


async def changed(database: Database, now: int, origin: str) -> None:
    """Have everybody read the register anew."""
    await database.run("SYSTEM RELOAD DICTIONARY body_of")
    # Last: whoever sees this row finds the register complete.
    await database.insert("register_log", {"at": uints([now], 32), "origin": strings([origin])})


async def copy(original: Database, database: Database, now: int) -> None:
    """Give a database without a register that of another one on the same server. Raises Retry, Fatal."""
    known = await loads(original)
    if await loads(database) or not known:
        return
    for table in (*TABLES, "unit_bodies"):
        await database.run(f"DROP TABLE IF EXISTS {table}_next")
        await database.run(f"CREATE TABLE {table}_next AS {table}")
        await database.run(f"INSERT INTO {table}_next SELECT * FROM {original.name}.{table}")
        await database.run(f"EXCHANGE TABLES {table}_next AND {table}")
        await database.run(f"DROP TABLE {table}_next")
    await database.run("SYSTEM RELOAD DICTIONARY body_of")
    if await loads(original) != known:
        msg = "a register was loaded while it was copied. Next: the same command again"
        raise Retry("clickhouse", msg)
    await database.insert("register_log", {"at": uints([now], 32), "origin": strings([original.name])})


async def load(database: Database) -> Register:
    """The stored register."""
    with TemporaryDirectory(prefix="motcua-register-") as folder:
        for table in TABLES:
            rows = await database.rows(f"SELECT * FROM {table}")
            with (Path(folder) / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, rows[0] if rows else _header(table))
                writer.writeheader()
                writer.writerows(rows)
        return Register.read(Path(folder))


async def save_definitions(database: Database) -> None:
    """Put the definitions of this program where SQL can read them."""
    columns = {
        "definition": [d.id for d in DEFINITIONS],
        "basis": [d.basis for d in DEFINITIONS],
        "numerator": [d.tally("reported") for d in DEFINITIONS],
        "numerator_clean": [d.tally("clean") for d in DEFINITIONS],
        "denominator": [d.denominator for d in DEFINITIONS],
        "name_vi": [d.name_vi for d in DEFINITIONS],
        "name_en": [d.name_en for d in DEFINITIONS],
        "source": [d.source for d in DEFINITIONS],
        "valid_from": [d.valid_from for d in DEFINITIONS],
        "valid_to": [d.valid_to for d in DEFINITIONS],
    }
    await _replace(database, "definitions", {name: strings(values) for name, values in columns.items()})


def _sheet(directory: Path | None, table: str) -> Path | Traversable:
    own = directory / f"{table}.csv" if directory else None
    return own if own is not None and own.is_file() else sheets.shipped() / f"{table}.csv"


def _header(table: str) -> list[str]:
    first, _, _ = (sheets.shipped() / f"{table}.csv").read_text(encoding="utf-8").partition("\n")
    return first.strip().split(",")


async def _replace(database: Database, table: str, columns: Mapping[str, "pa.Array"]) -> None:
    await database.run(f"DROP TABLE IF EXISTS {table}_next")
    await database.run(f"CREATE TABLE {table}_next AS {table}")
    if columns and len(next(iter(columns.values()))):
        await database.insert(f"{table}_next", columns)
    await database.run(f"EXCHANGE TABLES {table}_next AND {table}")
    await database.run(f"DROP TABLE {table}_next")
