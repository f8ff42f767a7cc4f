"""What the embedded stack needs and what of it is there: `motcua doctor` prints these checks and nothing
else.

Every check answers, even where its neighbours fail; whatever is not ok names the next command to run. Nothing
is started, fetched or changed.
"""

import http.client
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.local import broker, claim, jars
from infra.local.trouble import Away

OLDEST_PYTHON = (3, 11)
# A national year of dossiers, its topic and its tables; below it a demo still runs.
_ROOMY_DISK_GIB = 10
_LEAST_DISK_GIB = 1
# Broker, engine, worker and page, idle; and under load.
_LEAST_MEMORY_GIB = 1.5
_ROOMY_MEMORY_GIB = 3.0
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """`missing`: something will not run; `warning`: it may not go well. `next_command` is "" when ok."""

    name: str
    state: Literal["ok", "missing", "warning"]
    found: str
    next_command: str = ""


def examine(data_dir: Path) -> list[Check]:
    """All checks, in the order in which the stack needs the things."""
    run = claim.read(data_dir) if claim.in_use(data_dir) else None
    checks = [python(), java(), maven(), jar_files(), data_directory(data_dir), disk(data_dir), memory()]
    checks.append(stack(data_dir))
    if run is not None:
        if (address := run.announced.get("kafka")) is not None:
            checks.append(broker_answers(address, _starting(data_dir, "broker")))
        if (address := run.announced.get("clickhouse")) is not None:
            checks.append(engine_answers(address, _starting(data_dir, "engine")))
    return checks


def python() -> Check:
    found = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro} ({sys.executable})"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Check("python", "missing", found, "install Python 3.11 or later, then: make env")
    return Check("python", "ok", found)


def java() -> Check:
    try:
        there = jars.java()
    except Away as away:
        return Check("java", "missing", str(away), jars.INSTALL_JAVA)
    return Check("java", "ok", f"{there.version} ({there.path})")


def maven() -> Check:
    path = shutil.which("mvn")
    if path is not None:
        return Check("maven", "ok", path)
    # It only fetches the jars.
    needed = jars.fetched() is None
    return Check("maven", "missing" if needed else "warning", "no mvn on PATH", jars.INSTALL_MAVEN)


def jar_files() -> Check:
    folder = jars.fetched()
    if folder is None:
        found = f"not in {jars.cache_dir() / 'jars'}"
        return Check("jars", "warning", found, "python -m infra.local.broker jars (motcua up does it too)")
    return Check("jars", "ok", str(folder))


def data_directory(data_dir: Path) -> Check:
    existing = _existing(data_dir)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Check("data directory", "missing", f"{existing} cannot be written", "set MOTCUA_DATA_DIR")
    return Check(
        "data directory", "ok", str(data_dir) if existing == data_dir else f"{data_dir} (not yet made)"
    )


def disk(data_dir: Path) -> Check:
    free = shutil.disk_usage(_existing(data_dir)).free / _GIB
    return _room(
        "disk", f"{free:.1f} GiB free", free, _LEAST_DISK_GIB, _ROOMY_DISK_GIB, "set MOTCUA_DATA_DIR"
    )


def memory() -> Check:
    free = _available_memory()
    if free is None:
        return Check("memory", "ok", "this system does not say how much is free")
    command = "end other programs, or motcua up with fewer workers"
    return _room("memory", f"{free:.1f} GiB available", free, _LEAST_MEMORY_GIB, _ROOMY_MEMORY_GIB, command)


def stack(data_dir: Path) -> Check:
    parts = claim.status(data_dir)
    found = ", ".join(f"{part.name} {part.state}" for part in parts) or "not running"
    if claim.in_use(data_dir):
        if all(part.state == "running" for part in parts):
            return Check("stack", "ok", found)
        return Check("stack", "warning", found, f"tail {data_dir / 'logs' / 'stack.log'}")
    return Check("stack", "warning", found, "motcua up")


def broker_answers(address: str, starting: bool = False) -> Check:
    topics = broker.topics(address)
    if topics is None:
        return _silent("broker", address, starting)
    return Check("broker", "ok", f"{address}, topics: {', '.join(topics) or 'none yet'}")


def engine_answers(address: str, starting: bool = False) -> Check:
    host = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=2)
    try:
        connection.request("GET", "/ping")
        answer = connection.getresponse().read(100).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        answer = ""
    finally:
        connection.close()
    if answer != "Ok.":
        return _silent("engine", address, starting)
    return Check("engine", "ok", address)


def _starting(data_dir: Path, name: str) -> bool:
    return any(part.name == name and part.state != "running" for part in claim.status(data_dir))


def _silent(name: str, address: str, starting: bool) -> Check:
    """No answer. What the stack starts again by itself needs nobody to take the stack down."""
    if starting:
        return Check(name, "missing", f"no answer on {address} yet, it is being started", "motcua status")
    return Check(name, "missing", f"no answer on {address}", "motcua down, then: motcua up")


def _room(name: str, found: str, free: float, least: float, roomy: float, command: str) -> Check:
    if free < least:
        return Check(name, "missing", f"{found}, at least {least:g} GiB needed", command)
    if free < roomy:
        return Check(name, "warning", f"{found}, {roomy:g} GiB are comfortable", command)
    return Check(name, "ok", found)


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next((above for above in (path, *path.parents) if above.exists()), path)


def _available_memory() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return int(kib) * 1024 / _GIB if kib else None
