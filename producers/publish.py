"""Sends event logs to Kafka: each call split by unit, each message keyed by it and stamped with its receipt.

Promises: what is not sent is told as a bad line; a send that fails is raised, never passed over; the
producer is idempotent, so a retry inside it doubles nothing, and a log that is sent again changes no figure.
Memory is bounded: at most `_BACKLOG` bytes wait for the broker.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Self

from kafka import KafkaProducer
from msgspec import Struct

from producers import eventlog, topics
from producers.calls import Message, split
from producers.eventlog import BadLine, Line, Position
from rates.failures import Fatal

_BACKLOG: Final = 32 * 1024 * 1024
# Room for what Kafka adds to a message that stands alone in its batch.
LARGEST: Final = topics.LARGEST_MESSAGE - 4096
_TELL_EVERY: Final = 0.1


class Summary(Struct, frozen=True):
    """What became of the logs. `bad_lines` holds the first of `bad_count`.

    `last_offsets`: by partition, the offset of the last message sent there. `position`: where the reading
    ended, to go on from.
    """

    lines: int
    calls: int
    messages: int
    records: int
    bad_lines: list[BadLine]
    bad_count: int
    last_offsets: dict[int, int]
    position: Position


def publish(
    paths: Iterable[Path | str],
    *,
    brokers: str,
    topic: str,
    progress: Callable[[int, int], object] | None = None,
    start: Position = eventlog.BEGINNING,
    keep_bad: int = 100,
    patience: float = 60,
) -> Summary:
    """Sends logs, in order, and returns when the brokers have everything.

    `progress` is told the bytes read and the bytes there are, ten times a second at most; `patience` is how
    many seconds the brokers may be away. Raises Retry when they are away for longer, Fatal when they refuse a
    message or there is no such topic, Unreadable for a damaged log (all before the damage has been sent).
    """
    reading = eventlog.read(paths, start)
    if topics.describe(brokers, topic) is None:
        raise Fatal(f"topic {topic} does not exist at {brokers}. Next: motcua migrate")
    lines = calls = messages = records = bad_count = 0
    bad_lines: list[BadLine] = []
    told = time.monotonic()
    with topics.reaching(brokers), Sender(brokers, topic, patience) as sender:
        for line in reading:
            lines += 1
            found, bad = messages_of(line)
            # Kafka has no times before 1970; to the worker all of them are alike, older than any dossier's.
            stamp = max(line.received_at_ms, 0) if isinstance(line, Line) else 0
            for message in found:
                sender.send(message, stamp)
            calls += bool(found)
            messages += len(found)
            records += sum(message.records for message in found)
            if bad is not None:
                bad_count += 1
                if len(bad_lines) < keep_bad:
                    bad_lines.append(bad)
            if progress is not None and time.monotonic() - told >= _TELL_EVERY:
                told = time.monotonic()
                progress(reading.bytes_read, reading.bytes_total)
    if progress is not None:
        progress(reading.bytes_read, reading.bytes_total)
    return Summary(
        lines, calls, messages, records, bad_lines, bad_count, sender.last_offsets, reading.position
    )


def messages_of(line: Line | BadLine) -> tuple[list[Message], BadLine | None]:
    """What can be sent of a line, and what is bad about it."""
    if isinstance(line, BadLine):
        return [], line
    try:
        found = split(line.call)
    except RecursionError:
        return [], BadLine(line.path, line.number, "nested too deeply")
    fitting = [message for message in found if len(message.key) + len(message.value) <= LARGEST]
    if len(fitting) == len(found):
        return found, None
    why = (
        f"{len(found) - len(fitting)} of its {len(found)} messages are larger than Kafka takes ({LARGEST} B)"
    )
    return fitting, BadLine(line.path, line.number, why)


class Sender:
    """A producer that keeps account of what it has not delivered yet. Leaving the block delivers it."""

    def __init__(self, brokers: str, topic: str, patience: float) -> None:
        self._topic = topic
        self._patience = patience
        self._waiting: deque[tuple[Any, int, Callable[[int, int], object] | None]] = deque()
        self._backlog = 0
        self.last_offsets: dict[int, int] = {}
        milliseconds = int(patience * 1000)
        self._producer = KafkaProducer(
            bootstrap_servers=brokers.split(","),
            bootstrap_timeout_ms=milliseconds,
            enable_idempotence=True,
            acks="all",
            allow_auto_create_topics=False,
            compression_type="zstd",
            max_request_size=topics.LARGEST_MESSAGE,
            batch_size=1024 * 1024,
            linger_ms=20,
            max_block_ms=milliseconds,
            request_timeout_ms=min(10_000, milliseconds // 2),
            delivery_timeout_ms=milliseconds,
            reconnect_backoff_max_ms=1_000,
            metrics_enabled=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        delivered = False
        try:
            if kind is None or issubclass(kind, eventlog.Unreadable):
                self.deliver(0)
                delivered = True
        finally:
            if not delivered:
                # No public way leads out: close() waits for ever for a broker that is gone.
                self._producer._sender.force_close()  # noqa: SLF001
            self._producer.close(timeout=self._patience)

    def send(self, message: Message, stamp: int, told: Callable[[int, int], object] | None = None) -> None:
        """Sends it, stamped in milliseconds; `told` hears partition and offset once the brokers have it."""
        self.put(message.key, message.value, stamp, told)

    def put(
        self,
        key: bytes | None,
        value: bytes | None,
        stamp: int,
        told: Callable[[int, int], object] | None = None,
        partition: int | None = None,
    ) -> None:
        """The same for any message, to a partition of one's choice or the one that its key names."""
        sent = self._producer.send(self._topic, value, key=key, timestamp_ms=stamp, partition=partition)
        # Never 0: what nobody waits for would count as delivered.
        size = 1 + len(key or b"") + len(value or b"")
        self._waiting.append((sent, size, told))
        self._backlog += size
        self.deliver(_BACKLOG)

    def after(self, told: Callable[[int, int], object]) -> None:
        """Has `told` hear once everything that was sent before is delivered."""
        self._waiting.append((None, 0, told))

    def look(self) -> None:
        """Looks at what is delivered, and waits for nothing."""
        self.deliver(_BACKLOG)

    def deliver(self, at_most: int) -> None:
        """Waits until no more than so many bytes are undelivered, and looks at all that is delivered."""
        while self._waiting and (
            self._backlog > at_most or self._waiting[0][0] is None or self._waiting[0][0].is_done
        ):
            sent, size, told = self._waiting.popleft()
            if sent is None:
                if told is not None:
                    told(-1, -1)
                continue
            # The producer's own patience does not end while it cannot connect.
            there = sent.get(timeout=self._patience)
            self.last_offsets[there.partition] = there.offset
            self._backlog -= size
            if told is not None:
                told(there.partition, there.offset)
