"""A thousand events a second for a minute through the embedded stack, as `motcua up` starts it.

Delays are measured from outside: a message's begins when it is handed to the producer and ends when a reader
of ClickHouse first sees its partition's progress at or beyond it. Progress is written after the dossiers and
tallies that it stands for, so they were visible by then. The reader looks every 50 ms, and its waiting is
part of the delay. CPU is that of the whole stack, in percent of one core, also while nothing happens.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from bench import machine, replay, world
from bench.stack import ended, say
from infra.local import claim, lifeline
from motcua.settings import Settings
from motcua.wiring import database
from rates.effects import offset_of
from sinks import reads

EVENTS_A_SECOND: Final = 1_000
SECONDS: Final = 60
IDLE_SECONDS: Final = 30
_PER_CALL: Final = 3
_POLL_SECONDS: Final = 0.05
_SETTLE_SECONDS: Final = 15
_PATIENCE_SECONDS: Final = 60
_LEAST_READY: Final = 4


def run(seconds: int = SECONDS, idle_seconds: int = IDLE_SECONDS) -> dict[str, Any]:
    """The figures of the part; `agrees`: every event that was sent was accepted or known before."""
    with _up() as (settings, pids):
        time.sleep(_SETTLE_SECONDS)
        idle = _percent(pids, lambda: time.sleep(idle_seconds))
        say(f"idle: {idle}")
        sent = Sent()
        sending = threading.Thread(target=sent.send, args=(settings, seconds), daemon=True)
        delays: list[float] = []

        def measured() -> None:
            sending.start()
            asyncio.run(_watch(settings, sent, delays))

        load = _percent(pids, measured)
        sending.join()
    if sent.error is not None:
        raise RuntimeError(f"an event was not sent: {sent.error}")
    cuts = quantiles(delays, n=100, method="inclusive")
    return {
        "events": sent.events,
        "events_per_second": round(sent.events / sent.seconds),
        "messages": len(delays),
        "p50_ms": round(cuts[49] * 1000),
        "p99_ms": round(cuts[98] * 1000),
        "longest_ms": round(max(delays) * 1000),
        "idle_cpu_percent": round(sum(idle.values()), 1),
        "idle_cpu_percent_by_process": idle,
        "load_cpu_percent": round(sum(load.values()), 1),
        "load_cpu_percent_by_process": load,
    }


class Sent:
    """What has been sent so far: when, by partition and offset. Filled by one thread, emptied by another."""

    def __init__(self) -> None:
        self.at: dict[int, dict[int, float]] = {}
        self.events = 0
        self.seconds = 0.0
        self.error: KafkaError | None = None
        self.done = False
        self.lock = threading.Lock()

    def send(self, settings: Settings, seconds: int) -> None:
        """Events spread evenly over the time, each stamped with the moment of its sending."""
        producer = Producer(
            {"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random", "linger.ms": 0}
        )
        start = time.time()
        for key, value, _ in world.calls(EVENTS_A_SECOND * seconds, _PER_CALL):
            due = start + self.events / EVENTS_A_SECOND
            while (wait := due - time.time()) > 0:
                producer.poll(wait)  # ends early at each delivery
            at = time.time()
            producer.produce(
                settings.topic, value, key, timestamp=int(at * 1000), on_delivery=self._delivered(at)
            )
            self.events += _PER_CALL
        producer.flush()
        self.seconds = time.time() - start
        self.done = True

    def _delivered(self, at: float) -> Any:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.error = error
                return
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            with self.lock:
                self.at.setdefault(partition, {})[offset] = at

        return delivered

    def seen(self, reached: dict[int, int]) -> list[float]:
        """Take out what is durable up to these offsets; when each was sent."""
        with self.lock:
            taken: list[float] = []
            for partition, offset in reached.items():
                waiting = self.at.get(partition, {})
                taken += [waiting.pop(one) for one in list(waiting) if one <= offset]
            return taken

    def waiting(self) -> bool:
        with self.lock:
            return not self.done or any(self.at.values())


async def _watch(settings: Settings, sent: Sent, delays: list[float]) -> None:
    quiet = time.monotonic()
    async with database(settings) as connected:
        while sent.waiting():
            reached = await reads.reached(connected)
            now = time.time()
            found = [
                now - at
                for at in sent.seen({partition: offset_of(one) for partition, one in reached.items()})
            ]
            delays += found
            if found:
                quiet = time.monotonic()
            elif time.monotonic() - quiet > _PATIENCE_SECONDS:
                raise RuntimeError(f"nothing became visible for {_PATIENCE_SECONDS} s")
            await asyncio.sleep(_POLL_SECONDS)


def _percent(pids: dict[str, int], during: Any) -> dict[str, float]:
    """CPU of each process while something happens, in percent of one core."""
    before = {name: machine.cpu_seconds(pid) for name, pid in pids.items()}
    start = time.perf_counter()
    during()
    elapsed = time.perf_counter() - start
    return {
        name: round(100 * (machine.cpu_seconds(pids[name]) - used) / elapsed, 2)
        for name, used in before.items()
    }


@contextmanager
def _up() -> Iterator[tuple[Settings, dict[str, int]]]:
    """`motcua up` in a folder that is thrown away; its settings and processes, the supervisor's own too."""
    with TemporaryDirectory(prefix="motcua-bench-") as folder:
        data = Path(folder) / "data"
        environment = {**os.environ, "MOTCUA_DATA_DIR": str(data)}
        command = lifeline.tied([sys.executable, "-m", "motcua", "up"])
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        with ended(process):
            replay.drained(process)
            deadline = time.monotonic() + _PATIENCE_SECONDS
            parts = claim.status(data)
            while len(parts) < _LEAST_READY or any(part.state != "running" for part in parts):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the stack is not ready: {parts}. Next: motcua doctor")
                time.sleep(0.2)
                parts = claim.status(data)
            address = {part.name: part.address or "" for part in parts}
            settings = Settings.model_validate(
                {
                    "data_dir": data,
                    "kafka": address["broker"],
                    "clickhouse": f"http://{address['engine'].removeprefix('http://')}",
                }
            )
            pids = {part.name: part.pid for part in parts if part.pid}
            yield settings, {**pids, "supervisor": process.pid}
