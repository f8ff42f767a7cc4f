"""A pre-filled topic to durable rows, beside the limit that stores nothing, in one run.

The limit: one process that consumes with librdkafka, decodes the same fields and keeps the latest state of
each dossier in a dict. It runs before and after the worker, and the mean of both counts: what a shared
machine can do changes within a minute. Answers are compared, so neither can be fast by being wrong.
"""

import asyncio
import json
import subprocess
import sys
from typing import Any

from bench import replay, world
from bench.stack import Stack, running, say
from motcua.settings import Settings

RECORDS = 2_000_000


def pipeline() -> dict[str, Any]:
    """One worker."""
    return run(RECORDS, 1)


def two_workers() -> dict[str, Any]:
    """The same with two worker processes."""
    return run(RECORDS, 2)


def run(records: int, workers: int) -> dict[str, Any]:
    """The figures of the part, and whether the answers agree."""
    with running(canary_seconds=0) as stack:  # the limit knows no canaries
        filled = replay.fill(stack.settings, world.calls(records))
        say(f"filled with {records:,} records in {filled.messages:,} messages in {filled.seconds:.0f} s")
        found, bound = beside(stack, filled, records, workers)
        answer = asyncio.run(replay.answer(stack.settings))
    return compared(replay.figures(records, filled, found), answer, bound)


def limit(settings: Settings, filled: replay.Filled, records: int) -> dict[str, Any]:
    """The rate and the answer of the limit."""
    command = [sys.executable, "-m", "bench.limit", settings.kafka, settings.topic, str(filled.messages)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    said = json.loads(done.stdout)
    return {"records_per_second": round(records / said["seconds"]), "answer": said["answer"]}


def beside(
    stack: Stack, filled: replay.Filled, records: int, workers: int = 1
) -> tuple[replay.Run, dict[str, Any]]:
    """A run of the workers, and the limit around it."""
    before = limit(stack.settings, filled, records)
    found = replay.run(stack, filled, workers)
    after = limit(stack.settings, filled, records)
    both = before["records_per_second"], after["records_per_second"]
    return found, after | {"records_per_second": sum(both) // 2}


def compared(figures: dict[str, Any], answer: dict[str, int], bound: dict[str, Any]) -> dict[str, Any]:
    """A part's figures beside its limit."""
    return {
        **figures,
        "limit_records_per_second": bound["records_per_second"],
        "ratio": round(figures["records_per_second"] / bound["records_per_second"], 3),
        "peers": {},
        "answer": answer,
        "limit_answer": bound["answer"],
        "agrees": answer == bound["answer"],
    }
