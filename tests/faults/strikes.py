"""What each fault does to a running stack, and how long until the first new row after it.

Time counts from the moment that something is gone, or, where what is gone itself has to come back (broker,
engine), from the moment that it answers again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from kafka.admin import KafkaAdminClient

from tests.faults.bench import Bench, Struck, clock
from tests.faults.parts import Broker, Engine, Slot
from tests.faults.plan import Fault
from tests.faults.proxy import Disturbance

TRIGGER: Final = 6.0
"""So long a fault waits for the statement at which it is to strike; then it strikes anyhow."""
SETTLES: Final = 10.0
"""So long it is waited for a worker that owns partitions."""
EXCUSED: Final = 90.0
"""So long after the broker was away a worker may end itself."""
_APART: Final = 2.5


async def play(bench: Bench, plan: list[Fault]) -> None:
    """All faults of a plan, each at its moment; some one on top of another."""
    events = bench.options.events
    together: list[asyncio.Task[None]] = []
    dripping: asyncio.Task[None] | None = None
    for place, fault in enumerate(plan):
        following = plan[place + 1].at if place + 1 < len(plan) else 1.0
        if place == 0 or plan[place - 1].alone:
            bench.allow(fault.at * events + 1)
            await bench.reach(fault.at)
        bench.allow((fault.at + following) / 2 * events)
        if dripping is not None:
            dripping.cancel()
        dripping = asyncio.create_task(_drip(bench, min(1.0, 2 * following - fault.at)))
        await asyncio.sleep(fault.wait)
        measured = fault.alone and all(task.done() for task in together)
        together.append(asyncio.create_task(_one(bench, fault, measured=measured)))
        if fault.alone:
            await asyncio.gather(*together)
            together = []
    await asyncio.gather(*together)
    if dripping is not None:
        dripping.cancel()


async def _drip(bench: Bench, upto: float) -> None:
    """Ever less of the load at a time, so that there is always some left to see a recovery by."""
    while True:
        left = upto * bench.options.events - bench.allowed
        bench.allow(bench.allowed + max(1.0, left / 20))
        await asyncio.sleep(0.5)


async def _one(bench: Bench, fault: Fault, *, measured: bool) -> None:
    struck = Struck(fault.kind, fault.how, clean=measured)
    bench.say(f"        {fault.kind} {fault.how}{'' if measured else ' (one of several)'}")
    try:
        seconds = await STRIKES[fault.kind](bench, fault)
    except TimeoutError:
        bench.blame(f"no new row after {fault.kind} {fault.how}: {_state(bench)}")
        seconds = None
    struck.seconds = seconds if measured else None
    bench.tally.struck.append(struck)
    if seconds is not None:
        bench.say(f"        … {fault.kind} {fault.how}: first new row after {seconds:.1f} s")


def _state(bench: Bench) -> str:
    return ", ".join(f"{slot.name} {'ready' if slot.ready else 'not ready'}" for slot in bench.slots)


async def _victim(bench: Bench, who: int) -> Slot:
    """A worker that is ready and has written since the group settled, if there is one; another is ready."""
    await bench.until_ready(2)
    deadline = time.monotonic() + SETTLES
    while not (owners := [s for s in bench.slots if s.ready and _owned(bench, s)]):
        if time.monotonic() > deadline:
            owners = [slot for slot in bench.slots if slot.ready] or bench.slots
            break
        await asyncio.sleep(0.05)
    return owners[who % len(owners)]


def _owned(bench: Bench, slot: Slot) -> set[int] | None:
    """The partitions that are a worker's own: it has written their progress since the group settled."""
    settled = max(each.settled for each in bench.slots)
    return {p for p, (who, at) in bench.proxy.owner.items() if who == slot.number and at > settled} or None


async def _at(bench: Bench, slot: Slot, how: str, do: Callable[[], Awaitable[None]], *, cut: bool) -> None:
    """Do something to a worker: now ("any"), or before or after its next insert into a table."""
    moment, _, table = how.partition(" ")
    if not table:
        await do()
        return
    done = asyncio.Event()

    async def now(_slot: int) -> None:
        if not done.is_set():
            done.set()
            await do()
            if cut:
                raise ConnectionError

    one = Disturbance(
        "call",
        rf"INSERT INTO \S*{table}",
        frozenset({slot.number}),
        times=1,
        late=moment == "after",
        call=now,
    )
    bench.proxy.disturbances.append(one)
    try:
        async with asyncio.timeout(TRIGGER):
            await done.wait()
    except TimeoutError:
        done.set()
        await do()
    finally:
        bench.proxy.disturbances.remove(one)


async def kill(bench: Bench, fault: Fault) -> float:
    if fault.how == "single":
        return await _single(bench, fault)
    slot = await _victim(bench, fault.who)
    return await _killed(bench, slot, fault.how, held=fault.lasts)


async def _killed(bench: Bench, slot: Slot, how: str, *, held: float) -> float:
    struck: asyncio.Future[tuple[float, asyncio.Task[float]]] = asyncio.get_running_loop().create_future()

    async def strike() -> None:
        slot.held = time.monotonic() + held
        struck.set_result(_watched(bench, slot))
        await slot.strike()

    await _at(bench, slot, how, strike, cut=True)
    at, waiting = await struck
    return await waiting - at


def _watched(bench: Bench, slot: Slot) -> tuple[float, asyncio.Task[float]]:
    """Now, and when a new row of this worker's partitions will have become durable without it."""
    life = (slot.number, bench.proxy.lives[slot.number])
    waiting = asyncio.create_task(bench.first_new(_owned(bench, slot), but=life))
    return time.monotonic(), waiting


async def _single(bench: Bench, fault: Fault) -> float:
    last = await _victim(bench, fault.who)
    others = [slot for slot in bench.slots if slot.wanted and slot is not last]
    inherited = set(bench.proxy.owner) - (_owned(bench, last) or set()) or None
    taken = asyncio.create_task(bench.first_new(inherited, slot=last.number))
    await asyncio.gather(*(slot.retire() for slot in others))
    try:
        await taken
        return await _killed(bench, last, "any", held=0)
    finally:
        for slot in others:
            slot.wanted = True


async def rebalance(bench: Bench, fault: Fault) -> float:
    spare = [slot for slot in bench.slots if not slot.wanted]
    began = time.monotonic()
    if spare:
        spare[0].wanted = True
        return await bench.first_new(None, slot=spare[0].number) - began
    slot = await _victim(bench, fault.who)
    slot.wanted = False
    if fault.how == "SIGKILL":
        return await _killed(bench, slot, "any", held=0)
    _, waiting = _watched(bench, slot)
    await slot.retire()
    return await waiting - began


async def stall(bench: Bench, fault: Fault) -> float:
    slot = await _victim(bench, fault.who)
    released = asyncio.Event()
    frozen: asyncio.Future[tuple[float, asyncio.Task[float]]] = asyncio.get_running_loop().create_future()

    async def freeze() -> None:
        frozen.set_result(_watched(bench, slot))
        slot.stop()
        if " " in fault.how:
            # What it was about to write lands only when others have long gone on.
            await released.wait()

    holding = asyncio.create_task(_at(bench, slot, fault.how, freeze, cut=False))
    at, waiting = await frozen
    try:
        seconds = await waiting - at
        await asyncio.sleep(max(0.0, fault.lasts - (time.monotonic() - at)))
        before = await asyncio.to_thread(committed, bench.broker.address, bench.generation)
    finally:
        slot.go_on()
        released.set()
    await holding
    await asyncio.sleep(2)
    after = await asyncio.to_thread(committed, bench.broker.address, bench.generation)
    for partition, offset in before.items():
        if after.get(partition, -1) < offset:
            bench.blame(f"{slot.name}, stopped and continued, took partition {partition} back to {after}")
    return seconds


def committed(brokers: str, generation: int) -> dict[int, int]:
    """What the group has acknowledged."""
    group = f"motcua-g{generation}"
    admin = KafkaAdminClient(bootstrap_servers=brokers, bootstrap_timeout_ms=30_000)
    try:
        found = admin.list_group_offsets(group)
        return {tp.partition: at.offset for tp, at in found[group].items()}
    finally:
        admin.close()


async def broker(bench: Bench, fault: Fault) -> float:
    bench.forgive(EXCUSED + fault.lasts, "the broker was away")
    return await _outage(bench, bench.broker, fault.lasts)


async def engine(bench: Bench, fault: Fault) -> float:
    return await _outage(bench, bench.engine, fault.lasts)


async def _outage(bench: Bench, part: Broker | Engine, lasts: float) -> float:
    async with part.away:
        await part.kill()
        await asyncio.sleep(lasts)
        await part.start()
        await part.ready()
    at = time.monotonic()
    return await bench.first_new(None) - at


async def wire(bench: Bench, fault: Fault) -> float:
    how, _, table = fault.how.partition(" ")
    doors = range(len(bench.slots))
    struck = doors if fault.who % 2 else [fault.who // 2 % len(doors)]
    text = "SELECT" if table == "SELECT" else rf"INSERT INTO \S*{table}"
    one = Disturbance(how, text, frozenset(struck), seconds=0.2 + fault.who % 10 / 10)
    bench.proxy.disturbances.append(one)
    await asyncio.sleep(fault.lasts)
    bench.proxy.disturbances.remove(one)
    at = time.monotonic()
    return max(0.0, await bench.first_new(None) - at)


async def step(bench: Bench, fault: Fault) -> float | None:
    clock(bench.slots[fault.who % len(bench.slots)], int(fault.how))
    return None


async def sequence(bench: Bench, fault: Fault) -> float:
    """Workers, engine and broker, one after the other, faster than the group settles."""
    bench.forgive(EXCUSED, "the broker was away")
    back: list[asyncio.Task[float]] = []
    for slot in bench.slots[:2]:
        await slot.strike()
        await asyncio.sleep(_APART)
    for part in (bench.engine, bench.broker):
        back.append(asyncio.create_task(_outage(bench, part, 0.3)))
        await asyncio.sleep(_APART)
    seconds = max(await asyncio.gather(*back))
    sent = bench.sent
    await bench.reach(sent / bench.options.events)
    return seconds


STRIKES: Final[dict[str, Callable[[Bench, Fault], Awaitable[float | None]]]] = {
    "kill": kill,
    "rebalance": rebalance,
    "stall": stall,
    "broker": broker,
    "engine": engine,
    "wire": wire,
    "clock": step,
    "sequence": sequence,
}
