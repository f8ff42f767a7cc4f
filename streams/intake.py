"""How messages leave Kafka: whole per-partition lists, with back-pressure counted in bytes.

Faust delivers message by message, at four asyncio tasks each, and bounds its buffer by their number; calls of
up to 16 MiB need a bound in bytes. And its client receives in Python: under the interpreter's lock, which
decoding and folding want for themselves. So its consumer's one method that drains the fetcher is replaced,
and what it drains is librdkafka, which receives, checks and unpacks in threads of its own. Faust keeps
everything else: membership, rebalance, where to read on, commits, lifecycle. What is used of its private
names (`_drain_messages`, `_new_consumer_thread`, `_ensure_consumer`, `_commit`, `_new_transport`,
`_recovery`, `_wait`, `_update_channels`) is that of the pinned faust-streaming 0.15.3;
`tests/contract/test_faust.py` holds it, `tests/e2e/test_stalls.py` proves it.
"""

import asyncio
import logging
from collections.abc import Mapping
from threading import Lock
from typing import Any, ClassVar, Final, NamedTuple, cast

import confluent_kafka
import faust
import faust.tables
import faust.tables.recovery
import uvloop
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Seconds, ServiceT
from mode.services import WaitArgT

from streams.batches import Folder
from streams.events import Message
from streams.offsets import Buffer

_POLL_SECONDS: Final = 0.25
"""How long a read may wait for a message, and a rebalance for a read."""
_QUEUED_KIB: Final = 4 * 1024
"""So much may wait in librdkafka, unpacked, before it fetches more; four times as much costs 150 MiB."""
_FETCHED_BYTES: Final = 2 * 1024 * 1024
"""So much is fetched at once, packed; calls shrink to a tenth. A message that is larger comes alone."""


class Read(NamedTuple):
    """Messages by partition, in the order of their offsets, and the epoch in which they were asked for."""

    epoch: int
    messages: dict[int, list[Message]]


class Reader:
    """Reads the partitions that it is told to, from where it is told to. It belongs to no group.

    Its methods block and may be called from any thread.
    """

    def __init__(self, brokers: str, topic: str) -> None:
        self._topic = topic
        self._lock = Lock()
        self._epoch = 0
        self._closed = False
        self._settings = {
            "bootstrap.servers": brokers,
            "client.id": "motcua",
            "group.id": "motcua-reader",  # it must have one, but it joins only who subscribes
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",  # a jump, which the buffer takes for what it is
            "isolation.level": "read_uncommitted",  # as above
            "check.crcs": True,
            "fetch.max.bytes": _FETCHED_BYTES,
            "fetch.message.max.bytes": _FETCHED_BYTES // 2,
            "fetch.queue.backoff.ms": 5,
            "queued.max.messages.kbytes": _QUEUED_KIB,
            "reconnect.backoff.max.ms": 1000,
            "enable.metrics.push": False,
            "log.connection.close": False,
            "logger": logging.getLogger("librdkafka"),
        }
        self._consumer = confluent_kafka.Consumer(self._settings)

    def assign(self, offsets: Mapping[int, int], epoch: int) -> None:
        """Read these partitions and no others from now on, each from its offset."""
        with self._lock:
            if self._closed or epoch < self._epoch:
                return
            self._epoch = epoch
            # One that has read before would first wait for what it asked the broker for.
            self._consumer.close()
            self._consumer = confluent_kafka.Consumer(self._settings)
            self._consumer.assign(
                [confluent_kafka.TopicPartition(self._topic, *one) for one in offsets.items()]
            )

    def read(self, most: int) -> Read:
        """What has come, at most so many messages; waits a moment for the first of them."""
        found: dict[int, list[Message]] = {}
        with self._lock:
            first = None if self._closed else self._consumer.poll(_POLL_SECONDS)
            if first is not None:
                for one in (first, *(self._consumer.consume(most - 1, 0) if most > 1 else ())):
                    if one.error() is not None:
                        # It tries again by itself; what it skipped would be a jump.
                        logging.getLogger("librdkafka").warning("%s", one.error())
                        continue
                    partition = one.partition()
                    message = Message(partition, one.offset(), one.timestamp()[1], one.key(), one.value())
                    found.setdefault(partition, []).append(message)
            return Read(self._epoch, found)

    def end(self, partition: int) -> int | None:
        """The offset after the last message of a partition, as the broker last said it."""
        at = confluent_kafka.TopicPartition(self._topic, partition)
        try:
            _, end = self._consumer.get_watermark_offsets(at, cached=True)
        except RuntimeError:  # it was closed just now
            return None
        return end if end >= 0 else None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._consumer.close()


class Consumer(driver.Consumer):
    """Faust's consumer, draining into `App.buffer`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._own = cast("App", self.transport.app)
        self.reader = Reader(self._own.brokers, self._own.topic_name)

    async def on_stop(self) -> None:
        await super().on_stop()
        await asyncio.to_thread(self.reader.close)

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        buffer = self._own.buffer
        while not (self.should_stop or fetcher.should_stop):
            if self.flow_active:
                found = await asyncio.to_thread(self.reader.read, buffer.wanted())
                if found.messages:
                    await buffer.offer(found.messages, found.epoch)
            else:
                await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as faust does

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        # It has a loop of its own, where the group's heartbeats are sent.
        thread = _Thread(self, loop=self.loop, beacon=self.beacon, thread_loop=uvloop.new_event_loop())
        thread._close_thread_loop_on_stop = True  # noqa: SLF001  # as it is for a loop of its own making
        return thread

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super().on_partitions_revoked(revoked)
        # What comes next may be none, and then nobody says where to read on.
        await asyncio.to_thread(self.reader.assign, {}, self._own.buffer.epoch)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Say where each assigned partition is to be read on from.

        One without a commit is read from its beginning: Faust would leave it where it stands.
        """
        buffer = self._own.buffer
        epoch = buffer.epoch
        offsets = {TP(*tp): offset for tp, offset in (await super().seek_to_committed()).items() if offset}
        fresh = [tp for tp in self.assignment() if tp not in offsets]
        if fresh:
            offsets |= {TP(*tp): at for tp, at in (await self.earliest_offsets(*fresh)).items()}
        if epoch == buffer.epoch:
            begins = {tp.partition: at for tp, at in offsets.items()}
            buffer.begin(begins)
            await asyncio.to_thread(self.reader.assign, begins, epoch)
        return offsets

    async def acknowledge(self, offsets: Mapping[TP, int]) -> bool:
        """Commit the next offset to read of each partition; False where the group has moved on."""
        return await self._commit(offsets)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust looks for the fetches of its own client, which makes none."""


class _Thread(driver.AIOKafkaConsumerThread):
    """Faust's client, for the group alone."""

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        # Before anything else has its turn, or it would fetch.
        consumer = self._ensure_consumer()
        consumer.pause(*consumer.assignment())
        await super().on_partitions_assigned(assigned, generation_id)


class Transport(driver.Transport):
    Consumer: ClassVar[type[driver.Consumer]] = Consumer


class Recovery(faust.tables.recovery.Recovery):
    """Faust's way back from a rebalance, patient: a seek that outlives its time-out must not end it.

    With the time-out it ends in silence, and the worker keeps partitions that it never reads.
    """

    async def _wait(self, coro: WaitArgT, timeout: Seconds | None = None) -> None:  # noqa: ARG002, ASYNC109
        await super()._wait(coro)


class Tables(faust.tables.TableManager):
    """No tables; but Faust resumes after a rebalance through their manager."""

    async def on_start(self) -> None:
        # As Faust's, which waits a second for changelogs first.
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast("Recovery", self._recovery)


class App(faust.App):
    """A Faust app whose consumer drains into `buffer`; `drained` is set when it has ended.

    `folding` is held while a micro-batch is folded, or a cohort repaired: never both. `folder` is there once
    its database has answered, and `own_tasks` are those without which the worker does not live. `leaves`:
    given why, the app ends as if it was asked to stop; None where nobody waits for it (`streams.app.run`).
    """

    buffer: Buffer
    drained: asyncio.Event
    folding: asyncio.Lock
    brokers: str
    topic_name: str
    folder: Folder | None = None
    leaves: "asyncio.Future[Exception] | None" = None
    own_tasks: dict[str, "asyncio.Task[Any]"]

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)
