"""Sends dead letters again, the ordinary way in: split and keyed as any call, stamped with their receipt.

Of a record that is kept, the record alone is sent, in a call of its own with the head it came in: its
neighbours were taken already. Of one that is not kept, Kafka may still have the message: its record is taken
out of it, or, where the whole message was refused, key and value are sent as they were.

Promises: each letter is sent once at most; what the brokers have is told before a failure is raised.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import msgspec
from kafka import TopicPartition
from kafka.errors import OffsetOutOfRangeError
from msgspec import Raw

from producers import topics
from producers.calls import Message, split
from producers.publish import LARGEST, Sender
from rates.declared import encode, items, kept_head, kept_record, members
from rates.failures import Retry
from rates.wire import strict

_GONE: Final = "its content is not kept, and Kafka has dropped it"


class Again(NamedTuple):
    """A letter to send: what is kept of it, and where in the topic it stood."""

    letter: str
    head: str
    fields: str
    received_at: int
    partition: int
    offset: int
    record: int
    whole: bool


class Sent(NamedTuple):
    """Where a letter went, or why it was not sent. `whole`: the message was sent as it was."""

    letter: str
    partition: int
    offset: int
    whole: bool
    why: str = ""


class Resender:
    """Sends letters while it is open; it is also the one that reads the topic for those that are not kept."""

    def __init__(self, brokers: str, topic: str, patience: float = 30) -> None:
        self._brokers = brokers
        self._topic = topic
        self._patience = patience
        self._sender: Sender | None = None
        self._consumer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._consumer is not None:
            self._consumer.close(timeout_ms=1_000)
        if self._sender is not None:
            with topics.reaching(self._brokers):
                self._sender.__exit__(kind, error, trace)

    def earliest(self) -> dict[int, int]:
        """The first offset that Kafka still has, by partition. Raises Retry, Fatal."""
        with topics.reaching(self._brokers):
            consumer = self._reader()
            partitions = consumer.partitions_for_topic(self._topic) or ()
            found = consumer.beginning_offsets([TopicPartition(self._topic, one) for one in partitions])
        return {there.partition: offset for there, offset in found.items()}

    def send(self, letters: Sequence[Again], sent: list[Sent]) -> None:
        """Sends letters; returns when the brokers have all. `sent` is told of each, before a failure too."""
        with topics.reaching(self._brokers):
            if self._sender is None:
                self._sender = Sender(self._brokers, self._topic, self._patience)
            for letter in letters:
                try:
                    message, whole, why = self._message(letter)
                except RecursionError:
                    message, whole, why = None, letter.whole, "it is nested too deeply"
                if message is not None and len(message.key) + len(message.value) > LARGEST:
                    message, why = None, f"it is larger than Kafka takes ({LARGEST} B)"
                if message is None:
                    sent.append(Sent(letter.letter, 0, 0, whole, why))
                    continue

                def told(partition: int, offset: int, letter: Again = letter, whole: bool = whole) -> None:
                    sent.append(Sent(letter.letter, partition, offset, whole))

                self._sender.send(message, letter.received_at * 1000, told)
            self._sender.deliver(0)

    def _message(self, letter: Again) -> tuple[Message | None, bool, str]:
        if letter.head and letter.fields:
            return *_alone(letter.head.encode(), letter.fields.encode()), ""
        found = self._read(letter.partition, letter.offset)
        if found is None:
            return None, letter.whole, _GONE
        key, value = found
        if not letter.whole:
            record = _record(value, letter.record)
            if record is not None:
                return *_alone(*record), ""
        return Message(key, value, 0), True, ""

    def _read(self, partition: int, offset: int) -> tuple[bytes, bytes] | None:
        """Key and value of the message at a position; None where Kafka no longer has it."""
        consumer = self._reader()
        there = TopicPartition(self._topic, partition)
        consumer.assign([there])
        consumer.seek(there, offset)
        try:
            found = consumer.poll(timeout_ms=int(self._patience * 1000), max_records=1)
        except OffsetOutOfRangeError:
            return None
        if not found:
            raise Retry("kafka", f"partition {partition} does not answer. Next: motcua status")
        (message,) = found[there]
        # A key or value that is missing reads the same as an empty one.
        return (message.key or b"", message.value or b"") if message.offset == offset else None

    def _reader(self) -> Any:
        if self._consumer is None:
            self._consumer = topics.reader(
                self._brokers,
                auto_offset_reset="none",
                max_partition_fetch_bytes=topics.LARGEST_MESSAGE,
            )
        return self._consumer


def _alone(head: bytes, record: bytes) -> tuple[Message, bool]:
    """One record as a call of its own. The head of an understood call is never the empty object."""
    (message,) = split(head[:-1] + b',"data":[' + record + b"]}")
    return message, False


def _record(value: bytes, index: int) -> tuple[bytes, bytes] | None:
    """Head and record of a message that is a call, with what may be kept of them; None where it is none."""
    try:
        call = members(value.strip())
        records = items(call.get("data")) if call else None
        if not call or not records or index >= len(records) or not kept_head(call) or not strict(value):
            return None
        return encode(kept_head(call)), _encoded(kept_record(records[index]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _encoded(record: "Raw | dict[str, Raw]") -> bytes:
    return bytes(record) if isinstance(record, Raw) else encode(record)
