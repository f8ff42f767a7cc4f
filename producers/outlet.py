"""The intake's way to Kafka: what is sent is on all replicas before it counts as sent, or it is Retry.

Promises: a send ends within `patience` seconds, whatever Kafka does; Kafka that was away is used again as
soon as it is back; memory is bounded (one batch and one more for each partition, beside what callers hold).
A send that was given up may still arrive: whoever sends it again changes no figure.

A unit's messages all go to one partition, the same that `producers.publish` gives them: the two clients'
partitioners are the same function (`tests/contract/test_intake.py` holds them together).
"""

import asyncio
from asyncio import Future
from collections.abc import Iterable
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from producers import topics
from producers.calls import Message
from rates.failures import Fatal, Retry, kafka_failure

log = structlog.get_logger(__name__)

_BATCH: Final = 1024 * 1024
_KNOCK_SECONDS: Final = 1.0
_GOODBYE_SECONDS: Final = 3.0


class Outlet:
    """An idempotent producer for one topic, connected when it is needed and again when it must be."""

    def __init__(self, brokers: str, topic: str, *, patience: float = 5.0) -> None:
        self._brokers = brokers
        self._topic = topic
        self._patience = patience
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._away = False

    async def send(self, messages: Iterable[Message], timestamp_ms: int) -> None:
        """Sends messages; returns when all replicas in sync have each. Raises Retry, Fatal for a refusal."""
        sent: list[Future[Any]] = []
        producer = None
        try:
            async with asyncio.timeout(self._patience):
                producer = await self._connected()
                if self._away:
                    # Not with the messages themselves: those that are given up would fill its buffers.
                    await self._knock(producer)
                for message in messages:
                    one = await producer.send(
                        self._topic, message.value, key=message.key, timestamp_ms=timestamp_ms
                    )
                    one.add_done_callback(_heard)
                    sent.append(one)
                await asyncio.gather(*sent)
        except (KafkaError, OSError) as error:
            failure = kafka_failure(error, self._brokers)
            if isinstance(failure, Fatal):
                # A producer that was refused may never recover; another one can.
                await self._disconnect(producer)
            self._tell_away(failure)
            raise failure from error
        if self._away:
            log.info("Kafka is back", brokers=self._brokers)
        self._away = False

    async def reachable(self) -> bool:
        """Whether Kafka answers now and knows the topic."""
        try:
            async with asyncio.timeout(_KNOCK_SECONDS):
                await self._knock(await self._connected())
        except (KafkaError, OSError):
            return False
        return True

    async def close(self) -> None:
        """Ends the connection; what was given up and not delivered yet is dropped."""
        async with self._connecting:
            await self._disconnect(self._producer)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._brokers.split(","),
                    acks="all",
                    enable_idempotence=True,
                    compression_type="zstd",
                    max_batch_size=_BATCH,
                    max_request_size=topics.LARGEST_MESSAGE,
                    request_timeout_ms=int(self._patience * 1000),
                )
                try:
                    await producer.start()
                    self._producer = producer
                finally:
                    if self._producer is None:
                        await _end(producer)
            return self._producer

    async def _knock(self, producer: AIOKafkaProducer) -> None:
        """Raises KafkaError unless a broker answers a question about the topic."""
        found = await producer.client.fetch_all_metadata()
        if self._topic not in found.topics():
            raise UnknownTopicOrPartitionError(f"{self._topic} is no topic there: motcua migrate makes it")

    async def _disconnect(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None and producer is self._producer:
            self._producer = None
            await _end(producer)

    def _tell_away(self, failure: Retry | Fatal) -> None:
        # Once, not for each of the calls that are turned away meanwhile.
        if not self._away:
            log.error("calls are turned away", why=str(failure))
        self._away = True


async def _end(producer: AIOKafkaProducer) -> None:
    """Ends a producer whether or not it can still deliver: left to itself it waits for ever for a broker."""
    try:
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await producer.stop()
    except TimeoutError:
        sending = producer._sender.sender_task  # noqa: SLF001  # no public way leads out
        if sending is not None:
            sending.cancel()
        await producer.client.close()


def _heard(sent: "Future[Any]") -> None:
    # A failure that nobody waits for any longer was told already.
    if not sent.cancelled():
        sent.exception()
