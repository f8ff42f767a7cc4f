"""How long one waits: for `motcua up`, for an event's figure, for a command; and what a stack costs idle.

Every start is in a data folder of its own, jars and caches in place, as after `make env`. Seconds are those
that somebody at the terminal waits, the commands' own start-up included; each figure is a median. Nothing
here has a peer in the same run: the bound is a person's patience.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.machine import cpu_seconds
from infra.local import claim

STARTS: Final = 3
TIMES: Final = 5
COMMANDS: Final = (("--help",), ("config",), ("status", "--json"), ("rates", "--json"))
PATIENCE: Final = 120.0
_CALL: Final = {
    "received_at": "2026-01-05T09:30:00+07:00",
    "call": {
        "service": "DongBoHoSoMC",
        "madonvi": "H18.21",
        "isUpdating": "True",
        "data": [
            {
                "MaHoSo": "H18.21-260102-0001",
                "TrangThaiHoSo": "9",
                "MaTTHC": "1.000001",
                "MaLinhVuc": "",
                "NgayTiepNhan": "20260102080000",
                "NgayHenTra": "20260110170000",
                "NgayKetThucXuLy": "20260105090000",
            }
        ],
    },
}


def run() -> dict[str, Any]:
    """Seconds: `ready_s` of the first `motcua up` in an empty folder, `first_visible_s` from that command to
    the first published event in the rates, `again_ready_s` of `up` where there are data, `command_s` by
    command beside a running stack."""
    ready, visible, again = [], [], []
    commands: dict[str, list[float]] = {" ".join(arguments): [] for arguments in COMMANDS}
    with TemporaryDirectory(prefix="motcua-start-") as folder:
        log = Path(folder) / "one.ndjson"
        log.write_text(json.dumps(_CALL) + "\n", encoding="utf-8")
        for number in range(STARTS):
            home = Path(folder) / str(number)
            began = time.perf_counter()
            with stack(home):
                ready.append(time.perf_counter() - began)
                motcua(home, "publish", str(log))
                _until_received(home)
                visible.append(time.perf_counter() - began)
            began = time.perf_counter()
            with stack(home):
                again.append(time.perf_counter() - began)
                if number == STARTS - 1:
                    for arguments in COMMANDS:
                        for _ in range(TIMES):
                            began = time.perf_counter()
                            motcua(home, *arguments)
                            commands[" ".join(arguments)].append(time.perf_counter() - began)
    return {
        "ready_s": _figure(ready),
        "first_visible_s": _figure(visible),
        "again_ready_s": _figure(again),
        "command_s": {name: _figure(seconds) for name, seconds in commands.items()},
        "each": {name: [round(one, 2) for one in found] for name, found in _runs(ready, visible, again)},
    }


def idle(data_dir: Path, *, settle: float = 20, seconds: float = 30) -> dict[str, float]:
    """Percent of one core that each process of a stack uses while nothing is asked of it, and their `total`.

    The stack is left alone for `settle` seconds, then watched.
    """
    time.sleep(settle)
    before = _spent(data_dir)
    began = time.perf_counter()
    time.sleep(seconds)
    after = _spent(data_dir)
    took = time.perf_counter() - began
    percent = {name: 100 * (after[name] - before[name]) / took for name in after if name in before}
    return {name: round(one, 2) for name, one in {**percent, "total": sum(percent.values())}.items()}


@contextmanager
def stack(data_dir: Path, **environment: str) -> Iterator[None]:
    """A stack that is ready, and down afterwards."""
    motcua(data_dir, "up", "--detach", **environment)
    try:
        yield
    finally:
        motcua(data_dir, "down")


def motcua(data_dir: Path, *arguments: str, **environment: str) -> str:
    """What a command says on stdout; one that fails shows what it said."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MOTCUA_")}
    cache = {name: os.environ[name] for name in ("MOTCUA_CACHE_DIR",) if name in os.environ}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("motcua")), *arguments],
        env={**inherited, **cache, "MOTCUA_DATA_DIR": str(data_dir), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        msg = f"motcua {' '.join(arguments)} → {done.returncode}\n{done.stderr}"
        raise RuntimeError(msg)
    return done.stdout


def _received(data_dir: Path) -> int:
    run = claim.read(data_dir)
    if run is None:
        msg = f"no stack runs in {data_dir}"
        raise RuntimeError(msg)
    connection = http.client.HTTPConnection(run.announced["clickhouse"].removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", "/?database=motcua", "SELECT sum(received) FROM counts")
        return int(connection.getresponse().read())
    finally:
        connection.close()


def _until_received(data_dir: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not _received(data_dir):
        if time.monotonic() > deadline:
            msg = f"the event was not visible within {PATIENCE:g} s"
            raise RuntimeError(msg)
        time.sleep(0.02)


def _spent(data_dir: Path) -> dict[str, float]:
    """CPU seconds so far of the supervisor and of everything that it started, by the part's name."""
    pid = claim.supervisor(data_dir)
    if pid is None:
        msg = f"no stack runs in {data_dir}"
        raise RuntimeError(msg)
    names = {part.pid: part.name for part in claim.status(data_dir)} | {pid: "supervisor"}
    found: dict[str, float] = {}
    for one in (pid, *_below(pid)):
        name = names.get(one, "guard")
        found[name] = found.get(name, 0) + cpu_seconds(one)
    return found


def _below(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text(encoding="ascii").split():
            yield int(child)
            yield from _below(int(child))


def _runs(*lists: Sequence[float]) -> Iterator[tuple[str, Sequence[float]]]:
    yield from zip(("ready_s", "first_visible_s", "again_ready_s"), lists, strict=True)


def _figure(seconds: Sequence[float]) -> float:
    return round(median(seconds), 3)
