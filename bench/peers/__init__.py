"""The same work by others, on the topic that the worker was timed on, each as its documentation shows it.

Each peer keeps the latest state of each dossier by its status time, and says what it counted: most by
counters by unit and day that are taken back and added to with every record, ClickHouse's Kafka engine once,
at the end. None of them writes rows with tallies, as the worker does. A peer is a script that takes BROKERS
TOPIC MESSAGES RECORDS and prints its seconds, first record to last, and its answer.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from bench.stack import say
from infra.local import lifeline
from infra.local.jars import cache_dir

_HERE: Final = Path(__file__).parent
LOCK: Final = _HERE.parent / "peers.lock"
_PATIENCE_SECONDS: Final = 600


class Peer(NamedTuple):
    """A peer; `own_environment`: from the lock of the peers. `records`: as many as it is given, 0 for all.

    `running`: its counters are right after every record, as the worker's are; without, it counts at the end.
    """

    name: str
    script: str
    own_environment: bool
    records: int
    running: bool


PEERS: Final = (
    Peer("faust_tables", "faust_tables.py", False, 20_000, True),
    Peer("quix", "quix_rocksdb.py", True, 0, True),
    Peer("clickhouse_kafka_engine", "kafka_engine.py", False, 0, False),
)


def run(
    peer: Peer, brokers: str, topic: str, messages: int, records: int, expected: dict[str, int]
) -> dict[str, Any]:
    """A peer's figures, and whether its answer is the expected one; without an answer it is not."""
    say(f"{peer.name}: {records:,} records")
    with TemporaryDirectory(prefix="motcua-peer-") as folder:
        try:
            python = environment() if peer.own_environment else Path(sys.executable)
            done = subprocess.run(
                lifeline.tied(
                    [str(python), str(_HERE / peer.script), brokers, topic, str(messages), str(records)]
                ),
                env={**os.environ, "TMPDIR": folder},
                capture_output=True,
                timeout=_PATIENCE_SECONDS,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            said = (error.stderr or b"").decode(errors="replace")[-2000:]
            say(f"{peer.name} did not run: {error}\n{said}")
            return {"records": records, "records_per_second": None, "answer": None, "agrees": False}
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        "records": records,
        "records_per_second": round(records / found["seconds"]),
        "answer": found["answer"],
        "agrees": found["answer"] == expected,
    }


def environment() -> Path:
    """The interpreter of the peers' own environment, installed from its lock where it is not there yet."""
    home = cache_dir() / "peers"
    python = home / "bin" / "python"
    installed = home / "installed.lock"
    lock = LOCK.read_text(encoding="utf-8")
    if not installed.exists() or installed.read_text(encoding="utf-8") != lock:
        uv = str(Path(sys.executable).with_name("uv"))
        say(f"the peers' environment is installed into {home}")
        made = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)]
        for command in (
            made,
            [uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(LOCK)],
        ):
            subprocess.run(command, capture_output=True, text=True, check=True)
        installed.write_text(lock, encoding="utf-8")
    return python
