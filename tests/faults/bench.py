"""One run: a stack of its own, the load, the faults, and the verdict.

The load is let out in step with the plan: half of what lies between two faults comes at once, so that workers
are busy when a fault strikes, and the rest drips while they recover. Everything is in one loop, but for the
load and the verdict, which are processes.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition

from rates.effects import due
from tests.faults.parts import ROOT, Broker, Engine, Slot, clean
from tests.faults.proxy import Moved, Proxy

TOPIC: Final = "dossiers"
DRAINS_WITHIN: Final = 240.0
STUCK: Final = 240.0
_TELL: Final = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    seed: int
    events: int
    counts: Mapping[str, int]
    plan: str = "default"
    recovery: float = 0.0
    workers: int = 2


@dataclass(slots=True)
class Struck:
    """A fault as it went: seconds until the first new row, None where they were not measured."""

    kind: str
    how: str
    seconds: float | None = None
    clean: bool = False


@dataclass(slots=True)
class Tally:
    """What a run adds up to."""

    struck: list[Struck] = field(default_factory=list)
    blamed: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    rss: int = 0
    lag: int = 0
    again: int = 0
    events: int = 0
    seconds: float = 0.0
    verdict: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Bench:
    """A stack under load. `stack()` gives one that is up; its parts are for the faults to strike."""

    def __init__(self, options: Options, data: Path) -> None:
        self.options = options
        self.data = data
        self.tally = Tally()
        self.generation = 1
        self.allowed = 0
        self.sent = 0
        self.ended = False
        self.excuse: tuple[float, str] = (0.0, "")
        """Until when (monotonic) a worker may end itself, and why."""
        self._pieces: deque[tuple[int, dict[int, int]]] = deque()
        self._ends: dict[int, int] = {}
        self._durable = 0
        self._load: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._verdict: asyncio.subprocess.Process | None = None
        self.broker: Broker
        self.engine: Engine
        self.proxy: Proxy
        self.slots: list[Slot] = []

    # ---- the stack

    @contextlib.asynccontextmanager
    async def stack(self) -> AsyncIterator[None]:
        self.data.mkdir(parents=True, exist_ok=True)
        self.broker, self.engine = await asyncio.to_thread(Broker, self.data), Engine(self.data)
        self.proxy = Proxy(self.engine.url, time.monotonic)
        tasks: list[asyncio.Task[None]] = []
        try:
            await self.broker.start()
            await self.engine.start()
            await asyncio.gather(self.broker.ready(), self.engine.ready())
            await self.migrate()
            doors = await self.proxy.open(self.options.workers + 1)
            for number, door in enumerate(doors):
                env = {"MOTCUA_KAFKA": self.broker.address, "MOTCUA_CLICKHOUSE": door}
                slot = Slot(number, self.data, env, self.proxy.lives, self.blame)
                slot.clock.write_text("0", encoding="ascii")
                slot.excused = self._excused
                slot.wanted = number < self.options.workers
                self.slots.append(slot)
            tasks = [asyncio.create_task(slot.keep()) for slot in self.slots]
            tasks.append(asyncio.create_task(self._sample()))
            await self.until_ready(self.options.workers)
            yield
        finally:
            for slot in self.slots:
                slot.go_on()
            await asyncio.gather(*(slot.retire() for slot in self.slots))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for process in (self._load, self._verdict):
                if process is not None and process.returncode is None:
                    process.kill()
                    await process.wait()
            await self.proxy.close()
            await asyncio.gather(self.engine.terminate(), self.broker.terminate())

    async def migrate(self) -> None:
        env = {"MOTCUA_KAFKA": self.broker.address, "MOTCUA_CLICKHOUSE": self.engine.url}
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "motcua", "--data-dir", str(self.data), "migrate", env=clean(env), cwd=ROOT
        )
        if await done.wait():
            raise RuntimeError("motcua migrate failed, see above")

    async def until_ready(self, workers: int, within: float = STUCK) -> None:
        deadline = time.monotonic() + within
        while sum(slot.ready for slot in self.slots) < workers:
            if time.monotonic() > deadline:
                self.blame(f"{workers} workers were not ready within {within:g} s")
                return
            await asyncio.sleep(0.05)

    def blame(self, what: str) -> None:
        self.tally.blamed.append(what)
        self.say(f"! {what}")

    def say(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def forgive(self, seconds: float, why: str) -> None:
        self.excuse = (time.monotonic() + seconds, why)

    def _excused(self) -> str:
        until, why = self.excuse
        return why if time.monotonic() < until else ""

    async def _sample(self) -> None:
        told = began = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            self.tally.rss = max(self.tally.rss, *(slot.rss() for slot in self.slots))
            self.tally.lag = max(self.tally.lag, self.sent - self.durable())
            if time.monotonic() - told >= _TELL:
                told = time.monotonic()
                share = min(100, 100 * self.durable() // max(1, self.options.events))
                self.say(
                    f"{told - began:5.0f} s  {share:3} % durable, {self.sent:,} events sent, "
                    f"{len(self.tally.struck)} faults, {sum(slot.ready for slot in self.slots)} workers ready"
                )

    # ---- the load

    async def start_load(self, *, piece: int, ahead: bool = False) -> None:
        """`ahead`: make all of it before any is sent, to send faster than it can be made."""
        self.allowed = self.sent = self._durable = 0
        self.ended = False
        self._pieces.clear()
        self._ends = {}
        self._load = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.load", "--brokers", self.broker.address, "--topic", TOPIC,
            "--seed", str(self.options.seed), "--events", str(self.options.events), "--piece", str(piece),
            "--scratch", str(self.data), *(["--ahead"] if ahead else []),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT, limit=1 << 20,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._hear(self._load))

    async def stop_load(self) -> None:
        if self._load is not None and self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
            if self._load.returncode is None:
                self._load.kill()
            await self._load.wait()
            self._load = None

    async def _hear(self, load: asyncio.subprocess.Process) -> None:
        assert load.stdout is not None
        async for line in load.stdout:
            told = json.loads(line)
            self.sent, self.tally.again = told["events"], told["again"]
            self._ends |= {int(partition): offset for partition, offset in told["ends"].items()}
            self._pieces.append((self.sent, dict(self._ends)))
            self.ended = told["end"]
        if not self.ended:
            self.blame(f"the load ended with code {await load.wait()}, see above")
            self.ended = True

    def allow(self, events: float) -> None:
        """Let the load out up to so many events."""
        if int(events) > self.allowed and not self.ended and self._load is not None and self._load.stdin:
            self.allowed = int(events)
            self._load.stdin.write(f"{self.allowed}\n".encode())

    def durable(self) -> int:
        """So many events of the load are in the database, tallies included."""
        reached = due(self.proxy.durable, self.generation)
        while self._pieces and all(reached.get(p, 0) > end for p, end in self._pieces[0][1].items()):
            self._durable = self._pieces.popleft()[0]
        return self._durable

    async def reach(self, share: float) -> None:
        """Wait until so much of the load is durable."""
        goal = share * self.options.events
        moved, last = time.monotonic(), -1
        while self.durable() < goal and not (self.ended and not self._pieces):
            if self._durable != last:
                moved, last = time.monotonic(), self._durable
            if time.monotonic() - moved > STUCK:
                self.blame(f"nothing became durable for {STUCK:g} s at {last:,} events, {self.sent:,} sent")
                return
            await asyncio.sleep(0.05)

    async def first_new(
        self, partitions: set[int] | None, *, but: tuple[int, int] | None = None, slot: int | None = None
    ) -> float:
        """When the first new row of these partitions becomes durable; not by life `but`, by `slot` alone."""
        seen: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def watch(moved: Moved) -> None:
            ours = partitions is None or moved.partition in partitions
            other = (moved.slot, moved.life) != but and slot in (None, moved.slot)
            if ours and other and not seen.done():
                seen.set_result(moved.at)

        self.proxy.watchers.add(watch)
        try:
            async with asyncio.timeout(STUCK):
                return await seen
        finally:
            self.proxy.watchers.discard(watch)

    # ---- the end

    async def start_verdict(self) -> None:
        self._verdict = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.verdict", "--brokers", self.broker.address,
            "--engine", self.engine.url, "--data", str(self.data),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=clean({}),
        )  # fmt: skip

    async def drain(self) -> dict[int, int]:
        """Let everything out and wait until all of it is durable; where each partition ends."""
        self.allow(self.options.events * 2)
        moved, last = time.monotonic(), (-1, -1)
        while not self.ended or self._pieces:
            if (now := (self.sent, self.durable())) != last:
                moved, last = time.monotonic(), now
            if time.monotonic() - moved > DRAINS_WITHIN:
                self.blame(f"not everything became durable: {now[1]:,} of {now[0]:,} events")
                break
            await asyncio.sleep(0.05)
        ends = await asyncio.to_thread(ends_of, self.broker.address)
        deadline = time.monotonic() + DRAINS_WITHIN
        while behind := self._behind(ends):
            if time.monotonic() > deadline:
                self.blame(f"partitions {behind} did not become durable to their ends {ends}")
                break
            await asyncio.sleep(0.05)
        return ends

    def _behind(self, ends: Mapping[int, int]) -> list[int]:
        return [
            partition
            for partition, end in ends.items()
            if end and self.proxy.durable.get(partition, 0) < (self.generation << 52 | (end - 1) << 12)
        ]

    async def judge(self, ends: Mapping[int, int]) -> dict[str, Any]:
        assert self._verdict is not None
        said, _ = await self._verdict.communicate((json.dumps(ends) + "\n").encode())
        if self._verdict.returncode:
            self.blame(f"the verdict failed with code {self._verdict.returncode}, see above")
            return {}
        found: dict[str, Any] = json.loads(said)
        return found


def ends_of(brokers: str) -> dict[int, int]:
    """By partition, the offset after its last message."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, bootstrap_timeout_ms=60_000)
    try:
        listed = [TopicPartition(TOPIC, p) for p in sorted(consumer.partitions_for_topic(TOPIC) or ())]
        return {tp.partition: end for tp, end in consumer.end_offsets(listed).items()}
    finally:
        consumer.close()


def clock(slot: Slot, seconds: int) -> None:
    """Put a worker's clock wrong, at once."""
    fresh = slot.clock.with_suffix(".new")
    fresh.write_text(str(seconds), encoding="ascii")
    fresh.replace(slot.clock)
