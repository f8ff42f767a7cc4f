"""A pre-filled topic to durable rows through one worker, beside the limit that stores nothing, in one run.

The limit: one process that consumes with librdkafka, decodes the same fields and keeps the latest state of
each dossier in a dict. Both answers are compared, so neither can be fast by being wrong.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Producer

from bench import machine, world
from infra.local import broker
from motcua.settings import Settings
from motcua.wiring import database, prepare
from rates.effects import offset_of
from sinks import reads

RECORDS = 400_000


def run(records: int = RECORDS) -> dict[str, Any]:
    """The figures of the part, and whether the answers agree."""
    with TemporaryDirectory(prefix="motcua-bench-") as folder, ExitStack() as stack:
        data = Path(folder)
        kafka, address = stack.enter_context(_broker(data))
        engine, url = stack.enter_context(_engine(data))
        settings = Settings(data_dir=data, kafka=address, clickhouse=url)
        asyncio.run(prepare(settings, _say))
        sent, last = _fill(settings, records)
        limit = _limit(settings, sum(last.values()) + len(last))
        found = _worker(settings, last, {"engine": engine, "broker": kafka})
        answer = asyncio.run(_answer(settings))
    rate = records / found["seconds"]
    bound = records / limit["seconds"]
    return {
        "records": records,
        "records_per_second": round(rate),
        "mb_per_second": round(sent / found["seconds"] / 1e6, 1),
        "seconds": round(found["seconds"], 2),
        "cpu_seconds": found["cpu_seconds"],
        "cpu_us_per_record": {
            name: round(1e6 * used / records, 2) for name, used in found["cpu_seconds"].items()
        },
        "peak_memory_mib": found["peak_memory_mib"],
        "limit_records_per_second": round(bound),
        "ratio": round(rate / bound, 3),
        "answer": answer,
        "answer_of_limit": limit["answer"],
        "agrees": answer == limit["answer"],
    }


@contextmanager
def _broker(data: Path) -> Iterator[tuple[int, str]]:
    prepared = broker.prepare(data, say=_say)
    prepared.format()
    with subprocess.Popen(prepared.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not asyncio.run(prepared.ready()):
            time.sleep(0.1)
        yield process.pid, prepared.address
        process.terminate()


@contextmanager
def _engine(data: Path) -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-m", "infra.local.engine", "--data", str(data / "engine"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        yield process.pid, f"http://{line.split()[-1]}"
        process.terminate()


def _fill(settings: Settings, records: int) -> tuple[int, dict[int, int]]:
    """Fill the topic; the bytes sent, and the last offset of each partition."""
    last: dict[int, int] = {}

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            raise RuntimeError(str(error))
        last[message.partition()] = max(last.get(message.partition(), -1), message.offset())

    producer = Producer(
        {
            "bootstrap.servers": settings.kafka,
            "partitioner": "murmur2_random",
            "linger.ms": 50,
            "message.max.bytes": 16 * 1024 * 1024,
        }
    )
    size = 0
    for key, value, timestamp in world.calls(records):
        producer.produce(settings.topic, value, key, timestamp=timestamp, on_delivery=delivered)
        producer.poll(0)
        size += len(value)
        if len(producer) > 2_000:
            producer.flush()
    producer.flush()
    return size, last


def _limit(settings: Settings, messages: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.limit", settings.kafka, settings.topic, str(messages)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _worker(settings: Settings, last: dict[int, int], others: dict[str, int]) -> dict[str, Any]:
    environment = {
        **os.environ,
        "MOTCUA_KAFKA": settings.kafka,
        "MOTCUA_CLICKHOUSE": settings.clickhouse,
        "MOTCUA_DATA_DIR": str(settings.data_dir),
    }
    before = {name: machine.cpu_seconds(pid) for name, pid in others.items()}
    with subprocess.Popen(
        [sys.executable, "-m", "motcua", "worker"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr or ():
            if "worker ready" in line:
                break
        start = time.perf_counter()
        asyncio.run(_durable(settings, last, process))
        seconds = time.perf_counter() - start
        used = {name: machine.cpu_seconds(pid) - before[name] for name, pid in others.items()}
        used["worker"] = machine.cpu_seconds(process.pid)
        peak = {name: machine.peak_mib(pid) for name, pid in {**others, "worker": process.pid}.items()}
        process.terminate()
        process.communicate()
    cpu = {name: round(value, 2) for name, value in used.items()}
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_memory_mib": peak}


async def _durable(settings: Settings, last: dict[int, int], worker: subprocess.Popen[str]) -> None:
    async with database(settings) as connected:
        while worker.poll() is None:
            reached = await reads.reached(connected)
            offsets = {partition: offset_of(position) for partition, position in reached.items()}
            if all(offsets.get(partition, -1) >= offset for partition, offset in last.items()):
                return
            await asyncio.sleep(0.05)
    msg = f"the worker ended with exit code {worker.returncode}"
    raise RuntimeError(msg)


async def _answer(settings: Settings) -> dict[str, int]:
    async with database(settings) as connected:
        rows = await connected.rows(
            "SELECT sum(received) AS received, sum(e_result) AS e_result, sum(done) AS done "
            "FROM counts WHERE basis = 'received'"
        )
        return {name: int(value) for name, value in rows[0].items()}


def _say(line: str) -> None:
    print(line, file=sys.stderr)
