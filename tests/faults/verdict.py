"""The verdict: what the database says, against an independent recount of everything that Kafka holds.

A process of its own, that follows the topic while the run goes on and compares once it is told to: every
tally through `motcua rates --json` (unit × body × day × month × system, both forms), every dossier field by
field, dead letters by reason. Slice by slice, so that millions of dossiers fit in memory.

    python -m tests.faults.verdict --brokers A --engine URL --data DIR    < offsets as one JSON document
"""

import argparse
import asyncio
import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from rates.tallies import BIT
from sinks.client import Database, connect
from tests.recount.recount import Recount, recount_messages
from tests.recount.register import SHIPPED, register_in
from tests.support.stored import DOSSIERS, state

GROUPS: Final = ("unit", "body", "day", "month", "system")
SLICES: Final = 16
CANARY: Final = b"motcua-canary"
"""The key of the messages by which a worker measures its own pipe: never a dossier."""
_SHOWN: Final = 5
_MANY: Final = 50_000
"""Dossiers, above which figures are compared by half-years."""
_PERIODS: Final = (
    ("2000-01-01", "2021-12-31"),
    *((f"{year}-{since}", f"{year}-{until}") for year in range(2022, 2027)
      for since, until in (("01-01", "06-30"), ("07-01", "12-31"))),
    ("2027-01-01", "2099-12-31"),
)  # fmt: skip


def follow(brokers: str, topic: str) -> Recount:
    """Recount the topic until stdin says where it ends: {partition: the offset after its last message}."""
    state = Recount(register_in(SHIPPED))
    reached: dict[int, int] = {}
    ends: dict[int, int] | None = None
    while ends is None or any(reached.get(partition, 0) < end for partition, end in ends.items()):
        try:
            consumer = _consumer(brokers, topic, reached)
        except (KafkaError, OSError):
            continue
        try:
            while ends is None or any(reached.get(partition, 0) < end for partition, end in ends.items()):
                if ends is None and select.select([sys.stdin], [], [], 0)[0]:
                    ends = {int(p): int(end) for p, end in json.loads(sys.stdin.readline()).items()}
                for tp, records in consumer.poll(timeout_ms=300, max_records=500).items():
                    upto = ends.get(tp.partition, 0) if ends is not None else 1 << 62
                    taken = [record for record in records if record.offset < upto]
                    recount_messages(
                        ((r.key, r.value, r.timestamp) for r in taken if r.key != CANARY), into=state
                    )
                    if taken:
                        reached[tp.partition] = taken[-1].offset + 1
        except (KafkaError, OSError):
            continue
        finally:
            consumer.close()
    return state


def _consumer(brokers: str, topic: str, reached: Mapping[int, int]) -> KafkaConsumer:
    consumer = KafkaConsumer(
        bootstrap_servers=brokers, enable_auto_commit=False, auto_offset_reset="earliest",
        bootstrap_timeout_ms=60_000, max_partition_fetch_bytes=4 * 1024 * 1024,
    )  # fmt: skip
    listed = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(listed)
    for tp in listed:
        consumer.seek(tp, reached.get(tp.partition, 0))
    return consumer


class Found:
    """Differences, counted by kind, the first few of each kept."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, kind: str, what: object) -> None:
        self.counts[kind] += 1
        if len(listed := self.examples.setdefault(kind, [])) < _SHOWN:
            listed.append(str(what)[:500])


def compare_tallies(expected: Recount, found: Found, environment: Mapping[str, str]) -> int:
    """Every figure of every group; returns how many there are."""
    cells = 0
    whole = (("2000-01-01", "2099-12-31"),)
    for since, until in _PERIODS if len(expected.dossiers) > _MANY else whole:
        done = subprocess.run(
            [sys.executable, "-m", "motcua", "rates", "--json", "--form", "both", "--by", ",".join(GROUPS),
             "--from", since, "--to", until],
            env={**os.environ, **environment}, capture_output=True, check=True,
        )  # fmt: skip
        stored = {_key(row): row for row in json.loads(done.stdout)["rows"]}
        right = expected.rates(by=GROUPS, form="both", since=since, until=until)
        cells += len(right)
        for row in right:
            if (shown := stored.pop(_key(row), None)) != row:
                found.add("wrong cells", f"{shown} instead of {row}")
        for row in stored.values():
            found.add("wrong cells", f"{row} instead of nothing")
    return cells


def _key(row: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("definition", "form", *GROUPS))


async def compare_dossiers(database: Database, expected: Recount, found: Found) -> None:
    missing = set(expected.dossiers)
    for part in range(SLICES):
        rows = await database.rows(f"{DOSSIERS} WHERE cityHash64(number) % {SLICES} = {part}")
        seen: set[str] = set()
        for row in rows:
            number = row["number"]
            dossier = expected.dossiers.get(number)
            if number in seen:
                found.add("duplicated dossiers", number)
            elif dossier is None:
                found.add("dossiers from nowhere", number)
            else:
                right, shown = expected._state(dossier), state(row)
                wrong = {n: (v, right.get(n)) for n, v in shown.items() if v != right.get(n)}
                if wrong:
                    found.add("wrong dossiers", f"{number}: {wrong}")
            seen.add(number)
        missing -= seen
    for number in missing:
        found.add("lost dossiers", number)


async def compare_letters(database: Database, expected: Recount, found: Found) -> int:
    """Dead letters of the latest generation, by reason; returns how many there are."""
    rows = await database.rows(
        "SELECT toString(reason) AS reason, count() AS letters FROM dead_letters FINAL "
        "WHERE bitShiftRight(version, 52) = (SELECT max(generation) FROM generations) GROUP BY reason"
    )
    stored = Counter({row["reason"]: row["letters"] for row in rows})
    for reason in stored.keys() | expected.rejections.keys():
        if stored[reason] != expected.rejections[reason]:
            found.add("wrong dead letters", f"{reason}: {stored[reason]} for {expected.rejections[reason]}")
    return stored.total()


async def compare_masks(database: Database, found: Found) -> None:
    """Every tally on every basis against its dossiers' own masks: the definitions do not use all of them."""
    bits = ", ".join(f"toInt64(bitTest(mask, {bit}))" for bit in BIT.values())
    tallies = ", ".join(f"-toInt64({name})" for name in BIT)
    rows = await database.rows(
        "SELECT toString(unit) AS unit, cohort, system, basis, toString(day) AS day FROM ("
        f"SELECT unit, cohort, system, toUInt8(b) AS basis, d AS day, [{bits}] AS lanes "
        "FROM dossiers FINAL ARRAY JOIN [0, 1, 2] AS b, [received_day, completed_day, due_day] AS d "
        f"WHERE d != toDate(0) UNION ALL SELECT unit, cohort, system, basis, day, [{tallies}] AS lanes "
        "FROM tallies FINAL) GROUP BY unit, cohort, system, basis, day "
        "HAVING arrayExists(x -> x != 0, sumForEach(lanes)) LIMIT 1000"
    )
    for row in rows:
        found.add("tallies unlike their dossiers", row)


async def judge(state: Recount, engine: str, environment: Mapping[str, str]) -> dict[str, Any]:
    found = Found()
    cells = compare_tallies(state, found, environment)
    async with connect(engine, "motcua") as database:
        await compare_dossiers(database, state, found)
        letters = await compare_letters(database, state, found)
        await compare_masks(database, found)
    return {
        "cells": cells,
        "dossiers": len(state.dossiers),
        "letters": letters,
        "differences": dict(found.counts),
        "examples": found.examples,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.verdict")
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", default="dossiers")
    parser.add_argument("--engine", required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    state = follow(options.brokers, options.topic)
    environment = {"MOTCUA_CLICKHOUSE": options.engine, "MOTCUA_DATA_DIR": str(options.data)}
    sys.stdout.write(json.dumps(asyncio.run(judge(state, options.engine, environment))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
