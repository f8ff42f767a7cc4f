"""How messages leave Kafka: whole per-partition lists, with back-pressure counted in bytes.

Faust delivers message by message, at four asyncio tasks each, and bounds its buffer by their number; calls of
up to 16 MiB need a bound in bytes. So its consumer's one method that drains the fetcher is replaced. Faust
keeps everything else: membership, rebalance, seeks, commits, lifecycle. What is used of its private names
(`_drain_messages`, `_wait_next_records`, `_ensure_consumer`, `_seek`, `_commit`, `_new_transport`,
`_recovery`, `_wait`, `_update_channels`) is that of the pinned faust-streaming 0.15.3;
`tests/contract/test_faust.py` holds it, `tests/e2e/test_stalls.py` proves it.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any, ClassVar, cast

import faust
import faust.tables
import faust.tables.recovery
import uvloop
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Seconds, ServiceT
from mode.services import WaitArgT

from streams.batches import Folder
from streams.events import Message
from streams.offsets import Buffer


class Consumer(driver.Consumer):
    """Faust's consumer, draining into `App.buffer`."""

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        app = cast("App", self.transport.app)
        buffer = app.buffer
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    # Wait here, not in the poll: it would sleep through a rebalance and then give the new
                    # epoch's first messages to a caller that still holds the old one.
                    await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as faust does
                    continue
                generation, epoch = app.consumer_generation_id, buffer.epoch
                records, _ = await self._wait_next_records(1.0)
                if self.should_stop or not records:
                    await self.sleep(0)
                    continue
                if not self.flow_active or generation != app.consumer_generation_id or epoch != buffer.epoch:
                    # A rebalance came between: what was fetched is fetched again by whoever owns it now.
                    await self.perform_seek()
                    continue
                fetched = {
                    tp.partition: [
                        Message(r.partition, r.offset, r.timestamp, r.key, r.value) for r in listed
                    ]
                    for tp, listed in records.items()
                }
                # Faust's watchdog takes a partition without this mark for a stuck stream.
                app.monitor.stream_inbound_time.update(dict.fromkeys(records, monotonic()))
                await buffer.offer(fetched, epoch)
        except self.consumer_stopped_errors:
            if not app.should_stop:
                raise

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        # It has a loop of its own, where every byte from Kafka comes in.
        thread = _Thread(self, loop=self.loop, beacon=self.beacon, thread_loop=uvloop.new_event_loop())
        thread._close_thread_loop_on_stop = True  # noqa: SLF001  # as it is for a loop of its own making
        return thread

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go to where each assigned partition is to be read on from, and tell the buffer.

        aiokafka leaves a partition without a commit where it stands, even if messages were fetched from it
        and dropped: it is sent to its beginning here.
        """
        offsets = {TP(*tp): offset for tp, offset in (await super().seek_to_committed()).items() if offset}
        fresh = [tp for tp in self.assignment() if tp not in offsets]
        if fresh:
            for tp, offset in (await self.earliest_offsets(*fresh)).items():
                await self._seek(TP(*tp), offset)
                offsets[TP(*tp)] = offset
        cast("App", self.transport.app).buffer.begin({tp.partition: at for tp, at in offsets.items()})
        return offsets

    async def acknowledge(self, offsets: Mapping[TP, int]) -> bool:
        """Commit the next offset to read of each partition; False where the group has moved on."""
        return await self._commit(offsets)


class _Thread(driver.AIOKafkaConsumerThread):
    """Unpacks no more of what came than there is room for: calls shrink to a tenth when they are packed."""

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:  # noqa: ASYNC109
        wanted = cast("App", self.transport.app).buffer.wanted()
        self._ensure_consumer()._max_poll_records = wanted  # noqa: SLF001  # as Faust reads it
        found: RecordMap = await super().getmany(active_partitions, timeout)
        return found


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
