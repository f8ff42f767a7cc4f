"""Sends history to a rehearsal's topic: event logs in the order of receipt, or what a live topic holds.

Promises: what `Sent` says is sent, the brokers have acknowledged, and nothing before it is left out; so
whoever goes on from a `Sent`, however old, sends the rest, and some of it twice at most. Memory is bounded.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from msgspec import Struct

from producers import topics
from producers.eventlog import Line
from producers.merged import At, Merged, Next
from producers.publish import Sender, messages_of
from rates.failures import Retry

_TELL_SECONDS: Final = 0.25
_NAP: Final = 0.1
_HELD: Final = 500
"""Messages of a partition that wait for those of others before it is no longer asked for more."""
_RECORD: Final = b'"MaHoSo"'


class Sent(Struct, frozen=True):
    """How far a sending is. `logs`: of each log; `offsets`: the next one of the live topic, by partition.

    `done` of `total`: bytes of the logs, or messages of the topic. `cut`: the newest receipt sent, in
    milliseconds. `events` counts records; of a topic's messages, those that name a dossier.
    """

    logs: tuple[At, ...] = ()
    offsets: Mapping[int, int] = {}
    messages: int = 0
    events: int = 0
    bad: int = 0
    unsorted: int = 0
    cut: int = 0
    done: int = 0
    total: int = 0


class Pace:
    """How fast the past goes by: `speed` seconds of receipt in a second, 0 for as fast as it can."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began: tuple[int, float] | None = None

    def ahead(self, received: int) -> float:
        """For how many seconds something that was received then (milliseconds) must wait."""
        if not self._speed:
            return 0
        if self._began is None:
            self._began = received, time.monotonic()
        first, began = self._began
        return (received - first) / 1000 / self._speed - (time.monotonic() - began)

    @property
    def now(self) -> int | None:
        """What time it is in the past that goes by, in milliseconds; None where it is not paced."""
        if self._began is None:
            return None
        first, began = self._began
        return first + int((time.monotonic() - began) * 1000 * self._speed)


class Rehearser:
    """One sending, in a thread of its own: `sent` is how far it is, `halt` ends it after what is under way.

    `patience` is how many seconds the brokers may be away.
    """

    def __init__(
        self, brokers: str, topic: str, *, start: Sent, pace: Pace, bad: Callable[[str], object]
    ) -> None:
        """`bad` is told of each of the first lines that cannot be sent."""
        self.halt = Event()
        self.sent = start
        self.patience = 60.0
        self._brokers = brokers
        self._topic = topic
        self._pace = pace
        self._bad = bad
        self._logs = list(start.logs)
        self._offsets = dict(start.offsets)
        self._counts = {
            name: getattr(start, name) for name in ("messages", "events", "bad", "unsorted", "cut")
        }
        self._told = time.monotonic()

    def send_logs(self, paths: Sequence[Path]) -> bool:
        """Sends logs; whether it came to their end. Raises Retry, Fatal and Unreadable, as `publish` does."""
        merged = Merged(paths, self.sent.logs)
        try:
            with topics.reaching(self._brokers), Sender(self._brokers, self._topic, self.patience) as sender:
                for found in merged:
                    if not self._send_line(sender, found, merged):
                        break
        finally:
            self._tell(merged.bytes_read, merged.bytes_total)
        return not self.halt.is_set()

    def _send_line(self, sender: Sender, found: Next, merged: Merged) -> bool:
        messages, bad = messages_of(found.line)
        # Kafka has no times before 1970; to the worker all of them are alike.
        stamp = max(found.line.received_at_ms, 0) if isinstance(found.line, Line) else 0
        if not self._waited(sender, stamp, merged):
            return False
        if bad is not None:
            self._bad(str(bad))
        events = sum(one.records for one in messages)
        done = partial(self._line_done, found, len(messages), events, bad is not None, stamp)
        for message in messages[:-1]:
            sender.send(message, stamp)
        if messages:
            sender.send(messages[-1], stamp, done)
        else:
            sender.after(done)
        return True

    def copy(self, source: str, begins: Mapping[int, int], ends: Mapping[int, int]) -> bool:
        """Sends what a topic holds, to the partitions of the same number; whether it came to `ends`."""
        total = sum(ends.values()) - sum(begins.values())
        with (
            topics.reaching(self._brokers),
            Sender(self._brokers, self._topic, self.patience) as sender,
            closing(_consumer(self._brokers)) as consumer,
        ):
            for message in self._messages(consumer, source, ends):
                stamp = max(message.timestamp, 0)
                if not self._waited(sender, stamp, None, total - self._left(ends), total):
                    break
                events = (message.value or b"").count(_RECORD)
                done = partial(self._message_done, message.partition, message.offset, events, stamp)
                sender.put(message.key, message.value, stamp, done, message.partition)
            whole = not self.halt.is_set()
        if whole:
            # The last offsets may be gaps, which bring no message.
            self._offsets |= ends
        self._tell(total - self._left(ends), total)
        return whole

    def _left(self, ends: Mapping[int, int]) -> int:
        return sum(max(end - self._offsets.get(partition, 0), 0) for partition, end in ends.items())

    def _line_done(self, found: Next, messages: int, events: int, bad: bool, stamp: int, *_: int) -> None:
        self._logs[found.log] = found.at
        self._count(messages, events, stamp)
        self._counts["bad"] += bad
        self._counts["unsorted"] += found.out_of_order

    def _message_done(self, partition: int, offset: int, events: int, stamp: int, *_: int) -> None:
        self._offsets[partition] = offset + 1
        self._count(1, events, stamp)

    def _count(self, messages: int, events: int, stamp: int) -> None:
        self._counts["messages"] += messages
        self._counts["events"] += events
        self._counts["cut"] = max(self._counts["cut"], stamp)

    def _waited(
        self, sender: Sender, stamp: int, merged: Merged | None, done: int = 0, total: int = 0
    ) -> bool:
        """Let the time come at which something is to be sent; False once the sending is to end."""
        while True:
            ahead = self._pace.ahead(stamp) if stamp else 0
            if ahead > 0 or time.monotonic() - self._told >= _TELL_SECONDS:
                self._told = time.monotonic()
                sender.look()
                self._tell(*((merged.bytes_read, merged.bytes_total) if merged else (done, total)))
            if self.halt.is_set():
                return False
            if ahead <= 0:
                return True
            self.halt.wait(min(ahead, _NAP))

    def _tell(self, done: int, total: int) -> None:
        self.sent = Sent(tuple(self._logs), dict(self._offsets), **self._counts, done=done, total=total)

    def _messages(self, consumer: Any, source: str, ends: Mapping[int, int]) -> Iterator[Any]:
        """What is left of a topic, in the order of receipt as far as partitions keep it."""
        every = {TopicPartition(source, one): deque[Any]() for one in ends}
        consumer.assign(list(every))
        for there in every:
            consumer.seek(there, self._offsets[there.partition])
        newest = dict.fromkeys(every, 0)
        open_ = {there for there in every if self._offsets[there.partition] < ends[there.partition]}
        moved = time.monotonic()
        while open_ and not self.halt.is_set():
            hungry = [there for there in open_ if not every[there]]
            if not hungry:
                next_ = min(open_, key=lambda there: (max(newest[there], every[there][0].timestamp), there))
                message = every[next_].popleft()
                newest[next_] = max(newest[next_], message.timestamp)
                yield message
                if not every[next_] and consumer.position(next_) >= ends[next_.partition]:
                    open_.discard(next_)
                moved = time.monotonic()
                continue
            consumer.resume(*every)
            consumer.pause(*(there for there in every if there not in open_ or len(every[there]) >= _HELD))
            for there, found in consumer.poll(timeout_ms=500, max_records=_HELD * len(every)).items():
                every[there].extend(one for one in found if one.offset < ends[there.partition])
                moved = time.monotonic()
            open_ -= {
                there
                for there in hungry
                if not every[there] and consumer.position(there) >= ends[there.partition]
            }
            if time.monotonic() - moved > self.patience:
                raise Retry("kafka", f"topic {source} brings nothing more. Next: motcua status")


def _consumer(brokers: str) -> Any:
    return KafkaConsumer(
        bootstrap_servers=brokers.split(","),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        # Of a partition at once; a message that is larger comes alone.
        max_partition_fetch_bytes=1 << 20,
        metrics_enabled=False,
    )
