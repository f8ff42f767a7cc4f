"""How messages leave Kafka: whole per-partition lists, with back-pressure counted in bytes.

Faust delivers message by message, at four asyncio tasks each, and bounds its buffer by their number; calls of
up to 16 MiB need a bound in bytes. So its consumer's one method that drains the fetcher is replaced. Faust
keeps everything else: membership, rebalance, seeks, commits, lifecycle. `_drain_messages`,
`_wait_next_records`, `_commit` and `_new_transport` are private names of the pinned faust-streaming 0.15.3;
`tests/contract/test_faust.py` holds them.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import ClassVar, cast

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import ServiceT

from streams.batches import Message
from streams.offsets import Buffer


class Consumer(driver.Consumer):
    """Faust's consumer, draining into `App.buffer`."""

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        app = cast("App", self.transport.app)
        buffer = app.buffer
        try:
            while not (self.should_stop or fetcher.should_stop):
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

    async def acknowledge(self, offsets: Mapping[TP, int]) -> bool:
        """Commit the next offset to read of each partition; False where the group has moved on."""
        return await self._commit(offsets)


class Transport(driver.Transport):
    Consumer: ClassVar[type[driver.Consumer]] = Consumer


class App(faust.App):
    """A Faust app whose consumer drains into `buffer`; `drained` is set when it has ended."""

    buffer: Buffer
    drained: asyncio.Event

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)
