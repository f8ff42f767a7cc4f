"""The same inputs through a running stack: put straight into Kafka, as no well-behaved sender would.

The worker must not die of any; each message must be accepted or be dead with the reasons that the recount
gives it; and what is stored in the end, tally by tally and dossier by dossier, must be the recount of all.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaProducer

from sinks.client import connect
from tests.faults.verdict import judge
from tests.fuzz.decoding import PERSONAL, Fault
from tests.fuzz.inputs import BRINK, Input, make
from tests.recount.recount import Recount, recount_messages
from tests.recount.register import SHIPPED, register_in
from tests.support.stack import Stack

PATIENCE = 120.0
"""Seconds in which a worker that still lives must have made something durable."""

Where = tuple[int, int]
"""A partition and an offset."""


class Piped(NamedTuple):
    """What became of some inputs in a stack."""

    messages: Counter[str]
    rejected: Counter[tuple[str, str]]
    seconds: float
    verdict: dict[str, Any]
    worker_rss: int
    faults: list[Fault]


def pipeline_inputs(seed: int, first: int, count: int) -> Iterator[tuple[int, Input]]:
    """Inputs of which the recount is certain, by index."""
    for index in range(first, first + count):
        item = make(seed, index)
        if item.kind != BRINK:
            yield index, item


def pipe(stack: Stack, seed: int, count: int) -> Piped:
    """Send so many inputs, wait until all are durable, compare."""
    worker = stack.pid("worker")
    state = Recount(register_in(SHIPPED))
    messages: Counter[str] = Counter()
    rejected: Counter[tuple[str, str]] = Counter()
    expected: dict[Where, tuple[int, str, Counter[str]]] = {}
    began = time.monotonic()
    for where, index, item in _sent(stack.address("kafka"), seed, count):
        before = Counter(state.rejections)
        recount_messages([(item.key, item.value, item.timestamp)], into=state)
        reasons = state.rejections - before
        messages[item.kind] += 1
        rejected.update({(item.kind, reason): times for reason, times in reasons.items()})
        expected[where] = index, item.kind, reasons
    _wait(stack, expected)
    seconds = time.monotonic() - began
    now = stack.pid("worker")
    faults = [Fault(-1, "", f"the worker died: process {worker} became {now}")] * (now != worker)
    verdict = asyncio.run(judge(state, stack.address("clickhouse"), stack.environment))
    faults += [Fault(-1, "", f"{count} {kind}: {verdict['examples'][kind]}")
               for kind, count in verdict["differences"].items()]  # fmt: skip
    faults += asyncio.run(_letters(stack, expected))
    return Piped(messages, rejected, seconds, verdict, peak_memory(now), faults)


def _sent(brokers: str, seed: int, count: int) -> Iterator[tuple[Where, int, Input]]:
    """Each message with where it stands, once Kafka has it."""
    producer = KafkaProducer(bootstrap_servers=brokers, max_request_size=16_000_000, linger_ms=20)
    waiting = []
    for index, item in pipeline_inputs(seed, 0, count):
        # kafka-python sends no message of neither; an empty value reads the same.
        value = b"" if item.value is None and item.key is None else item.value
        future = producer.send("dossiers", value, item.key, timestamp_ms=item.timestamp)
        waiting.append((future, index, item))
        if len(waiting) >= 1_000:
            yield from _told(waiting)
            waiting = []
    producer.flush()
    yield from _told(waiting)
    producer.close()


def _told(waiting: list[tuple[Any, int, Input]]) -> Iterator[tuple[Where, int, Input]]:
    for future, index, item in waiting:
        metadata = future.get(timeout=60)
        yield (metadata.partition, metadata.offset), index, item


def _wait(stack: Stack, sent: dict[Where, Any]) -> None:
    """Wait until progress has passed every message; as long as it moves, there is no hurry."""
    last: dict[int, int] = {}
    for partition, offset in sent:
        last[partition] = max(offset, last.get(partition, 0))
    reached: dict[int, int] = {}
    moved = time.monotonic()
    while any(reached.get(partition, -1) < offset for partition, offset in last.items()):
        rows = stack.query(
            "SELECT partition, bitAnd(bitShiftRight(version, 12), 1099511627775) FROM progress FINAL"
        )
        found = {int(partition): int(at) for partition, at in map(str.split, rows.splitlines())}
        if found != reached:
            reached, moved = found, time.monotonic()
        elif time.monotonic() - moved > PATIENCE:
            msg = f"nothing became durable for {PATIENCE:g} s: {reached} of {last}. Next: motcua doctor"
            raise AssertionError(msg)
        time.sleep(0.2)


async def _letters(stack: Stack, expected: dict[Where, tuple[int, str, Counter[str]]]) -> list[Fault]:
    """Message by message: the reasons of its dead letters, and nothing personal in them."""
    personal = " OR ".join(f"position(concat(detail, fields), '{word}') > 0" for word in PERSONAL)
    async with connect(stack.address("clickhouse"), "motcua") as database:
        rows = await database.rows(
            "SELECT partition, offset, toString(reason) AS reason, count() AS letters, "
            f"countIf({personal}) AS leaked FROM dead_letters FINAL GROUP BY partition, offset, reason"
        )
    faults: list[Fault] = []
    stored: dict[Where, Counter[str]] = {}
    for row in rows:
        where = row["partition"], row["offset"]
        stored.setdefault(where, Counter())[row["reason"]] += row["letters"]
        if row["leaked"]:
            index, kind, _ = expected.get(where, (-1, "", Counter()))
            faults.append(Fault(index, kind, "personal data in its dead letter"))
    for where, (index, kind, reasons) in expected.items():
        found = stored.get(where, Counter())
        if found != reasons:
            faults.append(Fault(index, kind, f"dead for {dict(found)}, recounted {dict(reasons)}"))
    return faults


def peak_memory(pid: int) -> int:
    """The most bytes that a process has held; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
