"""A topic that was filled beforehand, taken to durable rows by some workers and timed.

The clock runs from the moment that every worker is ready until the last message of every partition is durable
as a reader of ClickHouse sees it; CPU is counted from the start of each process, so it holds the start, too.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import IO, Any, NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from bench import machine
from bench.stack import Stack, ended, say
from infra.local import lifeline
from motcua.settings import Settings
from motcua.wiring import database
from rates.effects import offset_of
from sinks import reads

_IN_FLIGHT = 2_000
_QUIET_SECONDS = 120


class Filled(NamedTuple):
    """What a topic was filled with; `last` is the last offset of each partition."""

    bytes: int
    messages: int
    last: dict[int, int]
    seconds: float


class Run(NamedTuple):
    """What one run cost: CPU seconds and peak memory by process, `counts` and `seconds_by_stage` as the
    workers tell them of themselves."""

    seconds: float
    cpu_seconds: dict[str, float]
    peak_memory_mib: dict[str, int]
    counts: dict[str, int]
    seconds_by_stage: dict[str, float]


def fill(settings: Settings, calls: Iterable[tuple[str, bytes, int]]) -> Filled:
    """Send (key, value, timestamp in ms), partitioned as every producer of the project does it."""
    last: dict[int, int] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise RuntimeError(str(error))
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        last[partition] = max(last.get(partition, -1), offset)

    producer = Producer(
        {
            "bootstrap.servers": settings.kafka,
            "partitioner": "murmur2_random",
            "linger.ms": 50,
            "message.max.bytes": 16 * 1024 * 1024,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    start = time.perf_counter()
    size = messages = 0
    for key, value, timestamp in calls:
        producer.produce(settings.topic, value, key, timestamp=timestamp, on_delivery=delivered)
        producer.poll(0)
        size += len(value)
        messages += 1
        while len(producer) > 100 * _IN_FLIGHT or len(producer) * size > messages * 256 * 1024**2:
            producer.poll(0.05)
    producer.flush()
    return Filled(size, messages, last, time.perf_counter() - start)


def run(stack: Stack, filled: Filled, workers: int = 1) -> Run:
    """Start workers together and wait until everything is durable."""
    before = {name: machine.cpu_seconds(pid) for name, pid in stack.pids.items()}
    with ExitStack() as children:
        processes = [children.enter_context(ended(worker(stack.settings))) for _ in range(workers)]
        for process in processes:
            ready(process)
        start = time.perf_counter()
        asyncio.run(durable(stack.settings, filled.last, processes))
        seconds = time.perf_counter() - start
        pids = [process.pid for process in processes]
        used = {name: machine.cpu_seconds(pid) - before[name] for name, pid in stack.pids.items()}
        used["worker"] = sum(map(machine.cpu_seconds, pids))
        peak = {name: machine.peak_mib(pid) for name, pid in stack.pids.items()}
        peak["worker"] = max(map(machine.peak_mib, pids))
    counts, stages = asyncio.run(told(stack.settings))
    return Run(seconds, {name: round(value, 2) for name, value in used.items()}, peak, counts, stages)


def worker(settings: Settings, *before: str) -> "subprocess.Popen[str]":
    """A worker as a child; `before` is a command that runs it."""
    command = [*before, sys.executable, "-m", "motcua", "worker"]
    return subprocess.Popen(
        lifeline.tied(command), env=environment(settings), stderr=subprocess.PIPE, text=True
    )


def environment(settings: Settings) -> dict[str, str]:
    """Ours, and what tells a child of it which stack it belongs to."""
    set_here = {f"MOTCUA_{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set}
    return {**os.environ, **set_here}


def ready(process: "subprocess.Popen[str]", line: str = "worker ready") -> None:
    """Wait for the line; what comes after it is read and dropped, so that the child never waits for us."""
    assert process.stderr is not None
    heard = []
    for said in process.stderr:
        heard.append(said)
        if line in said:
            drained(process)
            return
    raise RuntimeError("the worker did not start:\n" + "".join(heard[-20:]))


def drained(process: "subprocess.Popen[str]") -> None:
    """Read and drop what a child says from now on; its errors are passed on."""
    assert process.stderr is not None
    threading.Thread(target=_drain, args=(process.stderr,), daemon=True).start()


def _drain(stream: IO[str]) -> None:
    try:
        for line in stream:
            if "error" in line.lower():
                say(line.rstrip())
    except ValueError:
        return  # closed by whoever ended the process


async def durable(settings: Settings, last: dict[int, int], workers: "list[subprocess.Popen[str]]") -> None:
    """Return once each partition is durable to its last offset."""
    offsets: dict[int, int] = {}
    moved = time.monotonic()
    async with database(settings) as connected:
        while time.monotonic() - moved < _QUIET_SECONDS:
            reached = await reads.reached(connected)
            found = {partition: offset_of(position) for partition, position in reached.items()}
            if all(found.get(partition, -1) >= offset for partition, offset in last.items()):
                return
            gone = [process.returncode for process in workers if process.poll() is not None]
            if gone:
                raise RuntimeError(f"a worker ended with exit code {gone[0]}")
            if found != offsets:
                offsets, moved = found, time.monotonic()
            await asyncio.sleep(0.2)
    raise RuntimeError(f"nothing became durable for {_QUIET_SECONDS} s, which reached {offsets} of {last}")


async def told(settings: Settings) -> tuple[dict[str, int], dict[str, float]]:
    """What the workers told at their end, summed: counters, and seconds by stage."""
    counts: dict[str, int] = {}
    seconds: dict[str, float] = {}
    async with database(settings) as connected:
        for row in await connected.rows(
            "SELECT argMax(counts, version) AS counts, argMax(seconds, version) AS seconds "
            "FROM workers GROUP BY worker"
        ):
            for total, found in ((counts, row["counts"]), (seconds, row["seconds"])):
                for name, value in found.items():
                    total[name] = total.get(name, 0) + value
    return counts, seconds


async def answer(settings: Settings) -> dict[str, int]:
    """The counters of all units and days, summed: what every peer is compared with."""
    async with database(settings) as connected:
        rows = await connected.rows(
            "SELECT sum(received) AS received, sum(e_result) AS e_result, sum(done) AS done "
            "FROM counts WHERE basis = 'received'"
        )
        return {name: int(value) for name, value in rows[0].items()}


def figures(records: int, filled: Filled, found: Run) -> dict[str, Any]:
    """The figures that every throughput part has."""
    return {
        "records": records,
        "seconds": round(found.seconds, 2),
        "records_per_second": round(records / found.seconds),
        "mb_per_second": round(filled.bytes / found.seconds / 1e6, 1),
        "bytes_per_record": round(filled.bytes / records),
        "cpu_us_per_record": {
            name: round(1e6 * used / records, 2) for name, used in found.cpu_seconds.items()
        },
        "peak_memory_mib": found.peak_memory_mib,
    }
