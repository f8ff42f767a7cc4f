"""Canaries: messages that only tell how long the way takes, while the world is quiet.

Each worker sends one through every partition of its own that has brought nothing for a while. It comes back
like any message, so it proves the whole way (broker, fetch, database, acknowledgement) and moves on the time
that figures are complete to; it is never a call and never counts. A broker that is away costs a canary and
nothing else: the consumer notices for itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.batches import CANARY
from streams.intake import App

log = structlog.get_logger(__name__)


async def sing(app: App, brokers: str, topic: str, every: float, millis: Callable[[], int]) -> None:
    """Send canaries until the app stops. `every` in seconds, `millis` since 1970 UTC."""
    loop = asyncio.get_running_loop()
    sent: dict[int, float] = {}
    while not app.should_stop:
        producer = AIOKafkaProducer(
            bootstrap_servers=brokers.split(","), acks="all", request_timeout_ms=10_000
        )
        try:
            await producer.start()
            while not app.should_stop:
                quiet = _quiet(app, sent, loop.time() - every)
                for partition in quiet:
                    sent[partition] = loop.time()
                key, value = CANARY
                # Together, so that they come back in one micro-batch.
                await asyncio.gather(
                    *(
                        producer.send_and_wait(topic, value, key, partition=partition, timestamp_ms=millis())
                        for partition in quiet
                    )
                )
                await app.sleep(every / 4)
        except KafkaError as error:
            log.debug("a canary was lost", error=str(error))
            await app.sleep(every)
        finally:
            with suppress(KafkaError):
                await producer.stop()


def _quiet(app: App, sent: dict[int, float], since: float) -> list[int]:
    """Own partitions that neither brought a message nor were sent a canary since then."""
    if app.rebalancing:
        return []
    return [
        partition
        for partition in sorted(app.buffer.durable)
        if max(app.buffer.seen.get(partition, 0), sent.get(partition, 0)) <= since
    ]
