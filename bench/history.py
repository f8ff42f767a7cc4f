"""The nine published months of 2026 at full scale: replayed to the published digit, and what history costs.

Everything goes through the commands that people give. `publish` is timed from the log's first line to durable
rows; then the same log is rehearsed beside the live system, held against it, and everything is counted anew.
The log is made once and kept. The second part lets the alert rules run over a past year of 63 provinces.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.nation import engine
from bench.stack import say
from motcua.alerts import backtested
from motcua.settings import load
from motcua.wiring import migrated
from producers.scenario_npsp import PUBLISHED
from rates.alerts import RULES
from rates.calendar import Calendar
from rates.register import Register
from rates.sheets import day_number
from rates.tallies import mask_of
from rates.wire import DAY, E_RESULT, E_RESULT_CLEAN, LOCAL, RESULT_REQUIRED
from sinks import migrate, reference
from sinks.client import connect

LOG: Final = Path(".cache/bench/npsp-2026.ndjson.zst")
_AS_OF: Final = "2026-06-05"
_YEAR: Final = 2025
_PROVINCES: Final = 63
_A_DAY: Final = 60


def run(log: Path = LOG, scale: float = 1.0) -> dict[str, Any]:
    """The figures of the part `history`."""
    if not log.exists():
        log.parent.mkdir(parents=True, exist_ok=True)
        _motcua(None, "scenario", "npsp-2026", "--to", str(log), "--scale", str(scale))
    with TemporaryDirectory(prefix="motcua-bench-") as folder:
        data = Path(folder)
        _motcua(data, "up", "--detach", "--workers", "1")
        try:
            return asyncio.run(_measured(data, log.resolve(), scale))
        finally:
            _motcua(data, "down")


async def _measured(data: Path, log: Path, scale: float) -> dict[str, Any]:
    published, _ = _timed(lambda: _motcua(data, "publish", str(log), "--wait"))
    say(f"published and durable in {published:.0f} s")
    rates = _asked(data, "rates", "--definition", "ER-766-PORTAL", "--by", "body", "--json")
    found = {row["body"]: (row["numerator"], row["denominator"]) for row in rates["rows"]}
    pids = {part["name"]: part["pid"] for part in _asked(data, "status", "--json")["parts"]}
    async with migrated(load({"data_dir": data})) as database:
        events = int(await database.value("SELECT count() FROM history"))
        stored = int(
            await database.value(
                "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'motcua' AND active "
                "AND table = 'history'"
            )
        )
        dossiers = int(await database.value("SELECT count() FROM dossiers FINAL"))
    memory = {name: _peak(pid) for name, pid in pids.items() if name in ("worker", "engine", "broker")}
    disk = {name: _size(data / name) for name in ("engine", "broker")}
    as_of, known = _timed(lambda: _asked(data, "rates", "--as-of", _AS_OF, "--by", "body", "--json"))
    replayed, _ = _timed(lambda: _motcua(data, "replay", str(log), "--into", "again"))
    say(f"rehearsed in {replayed:.0f} s")
    parity, report = _timed(lambda: _asked(data, "parity", "again", "--json"))
    rebuilt, _ = _timed(lambda: _motcua(data, "rebuild", "--keep"))
    exact = scale != 1.0 or found == {one.body: (one.e_result, one.received) for one in PUBLISHED}
    return {
        "dossiers": dossiers,
        "changes": events,
        "published_seconds": round(published, 1),
        "rehearsed_seconds": round(replayed, 1),
        "parity_seconds": round(parity, 1),
        "rebuild_seconds_per_million": round(rebuilt / dossiers * 1e6, 1),
        "as_of_seconds": round(as_of, 1),
        "history_mib_per_million_changes": round(stored / events * 1e6 / 2**20, 1),
        "peak_memory_mib": memory,
        "disk_mib": disk,
        "agrees": exact and report["equal"] and bool(known["rows"]),
    }


def backtest() -> dict[str, Any]:
    """The figures of the part `backtest`."""
    with TemporaryDirectory(prefix="motcua-bench-") as folder, engine(Path(folder)) as url:
        return asyncio.run(_judged(url))


async def _judged(url: str) -> dict[str, Any]:
    """A year of 63 provinces, one office each, of which one in five loses its results in the summer."""
    register = Register.shipped()
    first, last = (day_number(date(_YEAR, *end)) for end in ((1, 1), (12, 31)))
    offices: dict[str, str] = {}
    for unit in sorted(register.one_stop_units(first)):
        offices.setdefault(register.body(unit, first), unit)
    units = [unit for body, unit in sorted(offices.items()) if body[0] == "H"][:_PROVINCES]
    days = [day for day in range(first - 60, last + 1) if Calendar.shipped().is_working_day(day)]
    done = E_RESULT | E_RESULT_CLEAN | RESULT_REQUIRED
    masks = (mask_of(4, 1, 0, 99, 16), mask_of(10, 1, 2, 99, done), mask_of(10, 1, 2, 99, RESULT_REQUIRED))
    async with connect(url, "backtest") as database:
        await migrate.migrate(database, last * DAY, lambda _line: None)
        await reference.save(database, last * DAY)
        # `n` dossiers: each is received, and finished three days later.
        each = (
            f"SELECT ({units!r} AS units)[number % {len(units)} + 1] AS unit, "
            f"({days!r} AS days)[intDiv(number, {len(units) * _A_DAY}) + 1] AS day, "
            f"concat(unit, '-250101-', toString(number)) AS number_of, number AS at, "
            f"number % {len(units)} % 5 = 0 AND day BETWEEN {first + 150} AND {first + 240} AS slips "
            f"FROM numbers({len(units) * _A_DAY * len(days)})"
        )
        time_of = f"toDateTime(toInt64(%s) * {DAY} - {LOCAL} + 30000)"
        columns = (
            "unit, cohort, number, version, learnt, record_status, record_time, received, system, mask, "
            "was_mask, was_system, was_received_day"
        )
        received = time_of % "day"
        ended = f"if(at % 10 < if(slips, 3, 8), {masks[1]}, {masks[2]})"
        for values in (
            f"at * 2 + 1, {received}, 4, {received}, {received}, 6, {masks[0]}, 0, 0, toDate(0)",
            (
                f"at * 2 + 2, {time_of % '(day + 3)'}, 10, {received}, {received}, 6, {ended}, {masks[0]}, "
                "6, toDate(day)"
            ),
        ):
            await database.run(
                f"INSERT INTO history ({columns}) SELECT unit, 202501, number_of, {values} FROM ({each}) "
                "SETTINGS max_partitions_per_insert_block = 0"
            )
        began = time.perf_counter()
        period = (date(_YEAR, 1, 1).isoformat(), date(_YEAR, 12, 31).isoformat())
        evenings, rows = await backtested(database, *period, [("shipped", RULES)], "")
        took = time.perf_counter() - began
    fired = {(row["rule"], row["subject"]) for row in rows if row["state"] == "firing"}
    return {
        "seconds": round(took, 1),
        "rules": len(RULES),
        "provinces": len(units),
        "evenings": evenings,
        "fired": len(fired),
        "agrees": {unit for at, unit in enumerate(units) if at % 5 == 0}
        <= {subject for rule, subject in fired if rule == "R2"},
    }


def _motcua(data: Path | None, *command: str) -> str:
    folder = ("--data-dir", str(data)) if data else ()
    done = subprocess.run(
        [sys.executable, "-m", "motcua", *folder, *command], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _asked(data: Path, *command: str) -> Any:
    return json.loads(_motcua(data, *command))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def _peak(pid: int) -> int:
    """The most memory that a process and its children ever held, MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return (own >> 10) + sum(_peak(int(child)) for child in children)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) >> 20
