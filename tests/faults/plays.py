"""The plans, played: each drives a bench from the first event to the verdict.

What must hold in all of them: everything that Kafka holds is counted once, whatever happened.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from kafka.admin import KafkaAdminClient, NewPartitions

from producers import topics
from tests.faults.bench import TOPIC, Bench, Struck
from tests.faults.parts import until
from tests.faults.plan import FIRST, LAST, Fault, draw
from tests.faults.proxy import Disturbance
from tests.faults.strikes import play


def piece_of(bench: Bench, faults: int) -> int:
    """Small enough for several between two faults."""
    return max(100, min(4_000, bench.options.events // max(1, faults) // 8))


async def _mixed(bench: Bench, plan: list[Fault]) -> dict[str, int]:
    await bench.start_verdict()
    await bench.start_load(piece=piece_of(bench, len(plan)))
    await play(bench, plan)
    for slot in bench.slots:
        slot.wanted = True
    ends = await bench.drain()
    bench.say("        everything is durable, comparing")
    bench.tally.verdict = await bench.judge(ends)
    return dict(Counter(fault.kind for fault in plan))


async def default(bench: Bench) -> dict[str, int]:
    return await _mixed(bench, draw(bench.options.seed, bench.options.counts))


async def refusals(bench: Bench) -> dict[str, int]:
    return await _mixed(bench, draw(bench.options.seed, {"wire": max(10, bench.options.counts["wire"])}))


async def sequence(bench: Bench) -> dict[str, int]:
    times = max(1, bench.options.counts["kill"] // 2)
    step = (LAST - FIRST) / times
    plan = [Fault(FIRST + step * n, "sequence", "2.5 s apart", 0, 0.5, 0.0, True) for n in range(times)]
    return await _mixed(bench, plan)


async def anew(bench: Bench) -> dict[str, int]:
    """The topic is another one while it is read: refused until it is registered, then its events win."""
    await _half(bench)
    await bench.stop_load()
    await asyncio.to_thread(topics.delete, bench.broker.address, TOPIC)
    await asyncio.to_thread(topics.create, bench.broker.address, TOPIC)
    await _refused(bench)
    return await _again(bench, "anew")


async def partitions(bench: Bench) -> dict[str, int]:
    """Keys go elsewhere from now on, so that offsets no longer tell what is newer: it must be refused."""
    await _half(bench)
    admin = KafkaAdminClient(bootstrap_servers=bench.broker.address)
    admin.create_partitions({TOPIC: NewPartitions(total_count=13)})
    admin.close()
    await _refused(bench)
    await bench.stop_load()
    await asyncio.to_thread(topics.delete, bench.broker.address, TOPIC)
    await asyncio.to_thread(topics.create, bench.broker.address, TOPIC)
    return await _again(bench, "partitions")


async def _half(bench: Bench) -> None:
    await bench.start_load(piece=piece_of(bench, 4))
    bench.allow(bench.options.events * 0.6)
    await bench.reach(0.4)


async def _refused(bench: Bench) -> None:
    """Every worker ends itself, and so does the one that takes its place, saying what to do."""
    bench.forgive(10_000, "the topic is another one")

    async def twice() -> bool:
        return all(
            sum("motcua migrate" in line and code == 1 for code, line in slot.ended) >= 2
            for slot in bench.slots
            if slot.wanted
        )

    await until(twice, "every worker refuses the topic twice", 120)


async def _again(bench: Bench, kind: str) -> dict[str, int]:
    """Register the topic, send the whole load again, and judge what is in the topic now."""
    await bench.migrate()
    bench.generation += 1
    began = time.monotonic()
    first = asyncio.create_task(bench.first_new(None))
    await bench.start_verdict()
    await bench.start_load(piece=piece_of(bench, 4))
    bench.allow(bench.options.events * 0.5)
    bench.tally.struck.append(Struck(kind, "", await first - began, clean=True))
    ends = await bench.drain()
    bench.forgive(0, "")
    bench.tally.verdict = await bench.judge(ends)
    return {kind: 1}


SLOWED: Final = 1.0
"""So many seconds each statement takes longer, so that one worker can take less than can be sent."""
SATURATED: Final = 0.4
"""The share of the load by which is measured how much that is."""
_RSS: Final = 1024


async def overload(bench: Bench) -> dict[str, int]:
    """Twice what one worker can take, then none: lag grows, memory does not, and it catches up."""
    events = bench.options.events
    for slot in bench.slots[1:]:
        await slot.retire()
    doors = frozenset(range(len(bench.slots)))
    bench.proxy.disturbances.append(Disturbance("slow", ".", doors, seconds=SLOWED / 2))
    await bench.start_verdict()
    await bench.start_load(piece=max(100, min(5_000, events // 50)), ahead=True)
    bench.allow(events * SATURATED)
    await bench.reach(0.01)
    began, before = time.monotonic(), bench.durable()
    await bench.reach(SATURATED * 0.8)
    capacity = (bench.durable() - before) / (time.monotonic() - began)
    await bench.reach(SATURATED * 0.95)
    began, sent, before = time.monotonic(), bench.sent, bench.durable()
    lags = [0]
    while bench.sent < events and not bench.ended:
        bench.allow(sent + 2 * capacity * (time.monotonic() - began))
        lags.append(bench.sent - bench.durable())
        await asyncio.sleep(0.2)
    offered = (bench.sent - sent) / (time.monotonic() - began)
    taken = (bench.durable() - before) / (time.monotonic() - began)
    began = time.monotonic()
    ends = await bench.drain()
    bench.tally.notes.append(
        f"one worker, slowed, takes {capacity:,.0f} events/s; offered {offered:,.0f}/s it took "
        f"{taken:,.0f}/s, lag grew to {max(lags):,} events and was gone {time.monotonic() - began:.0f} s "
        "after the load"
    )
    if offered < 1.5 * capacity:
        bench.blame(f"only {offered:,.0f} events/s could be sent, which is no overload for {capacity:,.0f}")
    if max(lags) < events * 0.1:
        bench.blame(f"lag grew to {max(lags):,} events alone: that was no overload")
    if bench.tally.rss > _RSS:
        bench.blame(f"a worker took {bench.tally.rss} MiB, above {_RSS}")
    bench.proxy.disturbances.clear()
    bench.tally.verdict = await bench.judge(ends)
    return {}


PLAYS: Final[dict[str, Callable[[Bench], Awaitable[dict[str, int]]]]] = {
    "default": default,
    "refusals": refusals,
    "sequence": sequence,
    "anew": anew,
    "partitions": partitions,
    "overload": overload,
}
