"""Small upserts, 200 or 1 a message, to durable rows, beside the limit and beside what others make of them.

The shape in which the peers are usually measured: about 500 bytes of which six fields are used. They are
valid portal calls all the same, so the worker does its whole job.
"""

import asyncio
from typing import Any

from bench import peers, replay, world
from bench.pipeline import beside, compared, limit
from bench.stack import running, say
from motcua.settings import Settings
from producers import topics

RECORDS = 2_000_000


def small_200() -> dict[str, Any]:
    """200 a message."""
    return run(RECORDS, 200)


def small_1() -> dict[str, Any]:
    """One a message."""
    return run(RECORDS, 1)


def run(records: int, per_call: int) -> dict[str, Any]:
    """The worker's figures, those of the limit, and those of each peer, on one topic.

    `peers` keep running counters, as the worker does, `without_tallies` count at the end; `ahead_of_peers`:
    how many times the fastest of the peers. One that would take hours is given a topic of its own with the
    first records.
    """
    with running(canary_seconds=0) as stack:  # a topic of calls alone: peers know no canaries
        settings = stack.settings
        filled = replay.fill(settings, world.calls(records, per_call, small=True))
        say(f"filled with {records:,} records in {filled.messages:,} messages in {filled.seconds:.0f} s")
        found, bound = beside(stack, filled, records)
        answer = asyncio.run(replay.answer(settings))
        figures = compared(replay.figures(records, filled, found), answer, bound)
        for peer in peers.PEERS:
            first = min(records, peer.records or records)
            given, its = (filled, settings) if first == records else _few(settings, first, per_call)
            expected = bound if its is settings else limit(its, given, first)
            kind = "peers" if peer.running else "without_tallies"
            figures.setdefault(kind, {})[peer.name] = peers.run(
                peer, its.kafka, its.topic, given.messages, first, expected["answer"]
            )
    fastest = max(peer["records_per_second"] or 0 for peer in figures["peers"].values())
    figures["ahead_of_peers"] = round(figures["records_per_second"] / fastest, 2) if fastest else None
    return figures


def _few(settings: Settings, records: int, per_call: int) -> tuple[replay.Filled, Settings]:
    few = settings.model_copy(update={"topic": f"first-{records}"})
    if topics.describe(few.kafka, few.topic) is None:
        topics.create(few.kafka, few.topic, few.partitions)
    return replay.fill(few, world.calls(records, per_call, small=True)), few
