"""A national year in a database of its own: 12 million dossiers of 3,355 units, and exactly their tallies.

Made inside the engine by `INSERT … SELECT FROM numbers()`, under the program's own schema and register, in
national order of time and in many inserts, so that parts are as a year of work would leave them. Three of a
hundred dossiers are corrected, so that many keys have several versions. What counts is decided by
`rates.tallies` (the mask of each kind of dossier) and `sinks.migrate` alone. The same program makes the same
rows; they are made once and kept under a name that changes with the schema and with this file.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from rates.calendar import Calendar
from rates.effects import version
from rates.register import Register
from rates.sheets import day_number
from rates.tallies import BASES, SYSTEMS, TALLIES, mask_of
from rates.wire import DIGITISED, E_RESULT, E_RESULT_CLEAN, POPULATION_DATABASE, RESULT_REQUIRED
from sinks import migrate, reference
from sinks.client import connect

DOSSIERS: Final = 12_000_000
UNITS: Final = 3_355
YEAR: Final = 2025
PARTITIONS: Final = 12
KEPT: Final = Path(".cache/bench/nation")
DATABASE: Final = "motcua"

_INSERT: Final = 250_000
"""Dossiers of one insert."""
_END: Final = day_number(date(YEAR, 12, 31))
_NOW: Final = (_END + 1) * 86_400 - 25_200 - 1
_CORRECTED: Final = 3
"""Of a hundred."""
_DONE: Final = version(1, 30_000_000, 0)
"""Where the topic stands once the year is in; versions of corrections are below it too."""


def nation(dossiers: int = DOSSIERS, kept: Path = KEPT) -> Path:
    """The engine's data directory that holds the year; made if it is not there."""
    name = sha256()
    for text in (*(one.text for one in migrate.migrations()), Path(__file__).read_text(encoding="utf-8")):
        name.update(text.encode())
    folder = kept.resolve() / f"{name.hexdigest()[:12]}-{dossiers}"
    if not (folder / "made.json").exists():
        if kept.exists():
            shutil.rmtree(kept)
        folder.mkdir(parents=True)
        began = time.perf_counter()
        with engine(folder / "engine", "--memory", "8192", "--query-memory", "6144") as url:
            told = asyncio.run(_make(url, dossiers))
        told["seconds"] = round(time.perf_counter() - began, 1)
        told["mib"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) >> 20
        (folder / "made.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        print(f"national year made: {told}", file=sys.stderr)
    return folder / "engine"


@contextmanager
def engine(data: Path, *options: str) -> Iterator[str]:
    """The embedded engine on a data directory; its URL."""
    command = [sys.executable, "-m", "infra.local.engine", "--data", str(data), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError("the engine did not start")
        try:
            yield f"http://{line.split()[-1]}"
        finally:
            process.terminate()


async def _make(url: str, dossiers: int) -> dict[str, Any]:
    async with connect(url, DATABASE) as database:
        await migrate.migrate(database, _NOW, lambda line: print(line, file=sys.stderr))
        await reference.save(database, _NOW)
        await reference.save_definitions(database)
        world = _World(dossiers)
        for first in range(0, dossiers, _INSERT):
            await database.run(world.dossiers(first, min(_INSERT, dossiers - first), again=False))
            print(f"dossiers {first:,}", file=sys.stderr)
        cohorts = [YEAR * 100 + month for month in range(1, 13)]
        for cohort in cohorts:
            await database.run(world.tallies(cohort))
        await database.run(world.dossiers(0, dossiers, again=True))
        for cohort in cohorts:
            await database.run(world.corrections(cohort))
        for statement in _around():
            await database.run(statement)
        (row,) = await database.rows(
            "SELECT (SELECT count() FROM dossiers FINAL) AS dossiers, "
            "(SELECT uniqExact(unit) FROM dossiers) AS units, "
            "(SELECT countIf(bitTest(mask, 0)) FROM dossiers FINAL) AS counted, "
            "(SELECT sum(received) FROM tallies FINAL WHERE basis = 0) AS tallied, "
            "(SELECT count() FROM tallies FINAL) AS tallies"
        )
        if row["counted"] != row["tallied"]:
            raise RuntimeError(f"the tallies of the national year disagree with its dossiers: {row}")
        return dict(row)


class _World:
    """The SQL that makes dossiers and tallies."""

    def __init__(self, dossiers: int) -> None:
        register = Register.shipped()
        codes = sorted(
            {unit.code for unit in register.units}, key=lambda code: sha256(code.encode()).digest()
        )
        calendar = Calendar.shipped()
        first = date(YEAR, 1, 1)
        days = [day_number(first + timedelta(at)) for at in range(365)]
        working = [day for day in days if calendar.is_working_day(day)]
        procedures = _procedures()
        self._constants = (
            f"{codes[:UNITS]} AS units, {working} AS days, "
            f"{[code for code, _, _ in procedures]} AS procedures, "
            f"{[system for _, system, _ in procedures]} AS systems, "
            f"{[required for _, _, required in procedures]} AS required, {_masks()} AS masks"
        )
        self._dossiers = dossiers

    def dossiers(self, first: int, count: int, *, again: bool) -> str:
        """Dossiers by their order in time; `again`: those that are corrected, as they are in the end."""
        return (
            "INSERT INTO dossiers (unit, cohort, number, version, learnt, status, record_status, "
            "record_time, received, completed, due, facts, procedure, sector, system, mask, received_day, "
            f"completed_day, due_day) {self._rows(first, count, again=again)}"
        )

    def tallies(self, cohort: int) -> str:
        """What a month's dossiers add up to as they are now."""
        on = _days("")
        return (
            f"INSERT INTO tallies SELECT unit, cohort, system, on.1 AS basis, on.2 AS day, "
            f"{version(1, 15_000_000, 0)} AS version, {_sums('mask')} FROM dossiers FINAL "
            f"ARRAY JOIN {on} AS on WHERE cohort = {cohort} AND on.2 > toDate(0) "
            "GROUP BY unit, cohort, system, basis, day"
        )

    def corrections(self, cohort: int) -> str:
        """The cells of a month that corrected dossiers stand in, or stood in, once more."""
        named = " UNION ALL ".join(
            f"SELECT unit, cohort, system, toUInt32(0) AS mask, 1 AS named, {_days('')} AS days "
            f"FROM ({self._rows(0, self._dossiers, again=again, corrected=True)}) WHERE cohort = {cohort}"
            for again in (False, True)
        )
        return (
            f"INSERT INTO tallies SELECT unit, cohort, system, on.1 AS basis, on.2 AS day, "
            f"{version(1, 29_000_000, 0)} AS version, {_sums('mask')} FROM ("
            f"SELECT unit, cohort, system, mask, 0 AS named, {_days('')} AS days FROM dossiers FINAL "
            f"WHERE cohort = {cohort} UNION ALL {named}) ARRAY JOIN days AS on WHERE on.2 > toDate(0) "
            "GROUP BY unit, cohort, system, basis, day HAVING max(named)"
        )

    def _rows(self, first: int, count: int, *, again: bool, corrected: bool = False) -> str:
        chosen = f"cityHash64(n, 9) % 100 < {_CORRECTED}"
        open_first = "0" if again else chosen
        position = f"{version(1, 0, 0)} + bitShiftLeft(n + {15_000_001 if again else 0}, 12)"
        # An order of names: each is made of those before it.
        return (
            f"WITH {self._constants}, "
            f"days[1 + intDiv(n * length(days), {self._dossiers})] AS day, "
            f"units[1 + toUInt32(floor({UNITS} * pow({_chance(1)}, 1.6)))] AS of_unit, "
            f"1 + toUInt32(floor(length(procedures) * {_chance(2)})) AS kind, "
            f"toUInt32(day * 86400 - 25200 + 27000 + {_chance(3)} * 32400) AS at, "
            f"toUInt32(at + 1800 - log({_chance(4)} + 1e-6) * 300000) AS ended, "
            f"ended <= {_NOW} AND NOT {open_first} AS over, "
            f"toUInt8(multiIf(NOT over, 4, {_chance(5)} < 0.03, 7, {_chance(5)} < 0.1, 9, 10)) AS state, "
            "if(over, ended, 0) AS closed, "
            "toUInt32((day + 2 + kind % 13) * 86400 - 25200 + 61200) AS until, "
            f"toUInt8(over AND {_chance(6)} < 0.7) AS result, "
            f"toUInt8(result * {E_RESULT} + (result AND {_chance(7)} < 0.9) * {E_RESULT_CLEAN} "
            f"+ ({_chance(8)} < 0.75) * {DIGITISED} + ({_chance(10)} < 0.4) * {POPULATION_DATABASE} "
            f"+ required[kind] * {RESULT_REQUIRED}) AS known, "
            "multiIf(NOT over, 0, closed <= until, 1, 2) AS timely, "
            "toUInt32(masks[1 + state * 96 + known * 3 + timely]) AS bits "
            "SELECT of_unit AS unit, toUInt32(toYYYYMM(toDate(day))) AS cohort, "
            "concat(of_unit, '-', formatDateTime(toDate(day), '%y%m%d'), '-', leftPad(toString(n), 8, '0')) "
            f"AS number, {position} AS version, greatest(at, closed) AS learnt, state AS status, "
            "state AS record_status, greatest(at, closed) AS record_time, at AS received, "
            "closed AS completed, until AS due, known AS facts, procedures[kind] AS procedure, '' AS sector, "
            "systems[kind] AS system, bits AS mask, "
            "toDate(day) AS received_day, if(closed > 0, toDate(intDiv(closed + 25200, 86400)), toDate(0)) "
            "AS completed_day, toDate(intDiv(until + 25200, 86400)) AS due_day "
            f"FROM (SELECT number AS n FROM numbers({first}, {count})) "
            f"WHERE {chosen if again or corrected else '1'}"
        )


def _chance(of: int) -> str:
    return f"(cityHash64(n, {of}) % 1000000 / 1000000)"


def _days(prefix: str) -> str:
    return "[" + ", ".join(f"(toUInt8({at}), {prefix}{name}_day)" for at, name in enumerate(BASES)) + "]"


def _sums(mask: str) -> str:
    return ", ".join(f"toUInt32(sum(bitTest({mask}, {bit}))) AS {name}" for bit, name in enumerate(TALLIES))


def _procedures() -> list[tuple[str, int, int]]:
    """Code, system and whether it ends in a result, of fifty procedures: each system by its weight."""
    weights = {"civil_status": 17, "land": 8, "household_business": 4, "business": 4, "criminal_records": 3}
    return [
        (f"2.{at:06}", SYSTEMS.index(name), int(at % 5 != 0))
        for name in SYSTEMS
        for at in range(weights.get(name, 12 if name == "other" else 2))
    ]


def _masks() -> list[int]:
    """The mask of a dossier by its status (0 to 10), facts, and whether it was in time: unknown, yes, no."""
    at = 1_750_000_000
    times = ((at, 0, 0), (at, at, at), (at, at + 10 * 86_400, at))
    return [
        mask_of(status, *times[timely], facts)
        for status in range(11)
        for facts in range(32)
        for timely in range(3)
    ]


def _around() -> Iterator[str]:
    """What else a panel reads: how far partitions are, audits, letters."""
    yield (
        f"INSERT INTO generations SELECT 1, 1, 'bench', 'dossiers', 'bench', {PARTITIONS}, toDateTime({_NOW})"
    )
    yield f"INSERT INTO progress SELECT number, {_DONE} + number, {_NOW}, {_NOW} FROM numbers({PARTITIONS})"
    yield (
        f"INSERT INTO audits SELECT unit, cohort, 1, {_NOW} - cityHash64(unit, cohort) % 86400, 0, 0, 0, 0 "
        "FROM (SELECT DISTINCT unit, cohort FROM tallies)"
    )
    yield (
        "INSERT INTO dead_letters (version, partition, offset, received_at, unit, reason, field, detail, "
        f"fields, head) SELECT {version(1, 0, 1)} + bitShiftLeft(number * 600, 12), number % {PARTITIONS}, "
        f"number * 600, {_NOW} - number * 1500, unit, ['bad_number', 'wrong_unit', 'unknown_status']"
        "[1 + number % 3], 'MaHoSo', 'no unit', concat('{\"MaHoSo\":\"', toString(number), '\"}'), "
        '\'{"service":"DongBoHoSoMC","madonvi":"H18"}\' '
        "FROM (SELECT number, (SELECT groupArray(unit) FROM ("
        "SELECT DISTINCT unit FROM tallies ORDER BY unit))[1 + number % 3000] AS unit FROM numbers(20000))"
    )
