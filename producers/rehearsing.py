"""Sends history to a rehearsal's topic: event logs in the order of receipt, or what a live topic holds.

Promises: what `Sent` says is sent, the brokers have acknowledged, and nothing before it is left out; so
whoever goes on from a `Sent`, however old, sends the rest, and some of it twice at most. Memory is bounded.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Final

from kafka import TopicPartition
from msgspec import Struct

from producers import topics
from producers.eventlog import Line
from producers.merged import At, Merged, Next
from producers.publish import Sender, messages_of
from rates.failures import Retry

_TELL_SECONDS: Final = 0.25
_NAP: Final = 0.1
_SAME: Final = 1_000
"""So many messages of one moment are looked at, by partition."""
_MOST: Final = 1 << 20
"""More messages than the brokers send of a partition at once."""
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

        def far() -> tuple[int, int]:
            return merged.bytes_read, merged.bytes_total

        try:
            with topics.reaching(self._brokers), Sender(self._brokers, self._topic, self.patience) as sender:
                for found in merged:
                    if not self._send_line(sender, found, far):
                        break
        finally:
            self._tell(*far())
        return not self.halt.is_set()

    def _send_line(self, sender: Sender, found: Next, far: Callable[[], tuple[int, int]]) -> bool:
        messages, bad = messages_of(found.line)
        # Kafka has no times before 1970; to the worker all of them are alike.
        stamp = max(found.line.received_at_ms, 0) if isinstance(found.line, Line) else 0
        if not self._waited(sender, stamp, far):
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

        def far() -> tuple[int, int]:
            left = (max(end - self._offsets[partition], 0) for partition, end in ends.items())
            return total - sum(left), total

        with (
            topics.reaching(self._brokers),
            Sender(self._brokers, self._topic, self.patience) as sender,
            closing(topics.reader(self._brokers)) as consumer,
        ):
            for message in self._messages(consumer, source, ends):
                stamp = max(message.timestamp, 0)
                if not self._waited(sender, stamp, far):
                    break
                events = (message.value or b"").count(_RECORD)
                done = partial(self._message_done, message.partition, message.offset, events, stamp)
                sender.put(message.key, message.value, stamp, done, message.partition)
            whole = not self.halt.is_set()
        if whole:
            # The last offsets may be gaps, which bring no message.
            self._offsets |= ends
        self._tell(*far())
        return whole

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

    def _waited(self, sender: Sender, stamp: int, far: Callable[[], tuple[int, int]]) -> bool:
        """Let the time come at which something is to be sent; False once the sending is to end.

        `far` says what is done of what there is.
        """
        while True:
            ahead = self._pace.ahead(stamp) if stamp else 0
            if ahead > 0 or time.monotonic() - self._told >= _TELL_SECONDS:
                self._told = time.monotonic()
                sender.look()
                self._tell(*far())
            if self.halt.is_set():
                return False
            if ahead <= 0:
                return True
            self.halt.wait(min(ahead, _NAP))

    def _tell(self, done: int, total: int) -> None:
        # A log that is not opened yet, or is closed already, does not say how far it was read.
        done = max(done, self.sent.done)
        self.sent = Sent(tuple(self._logs), dict(self._offsets), **self._counts, done=done, total=total)

    def _messages(self, consumer: Any, source: str, ends: Mapping[int, int]) -> Iterator[Any]:
        """What is left of a topic, in the order of receipt as far as partitions keep it."""
        waiting = {TopicPartition(source, one): deque[Any]() for one in ends}
        reached = {there: self._offsets[there.partition] for there in waiting}
        newest = dict.fromkeys(waiting, 0)
        moved = time.monotonic()
        while not self.halt.is_set():
            open_ = [one for one in waiting if waiting[one] or reached[one] < ends[one.partition]]
            if not open_:
                return
            hungry = next((one for one in open_ if not waiting[one]), None)
            if hungry is None:
                first = min(open_, key=lambda one: (max(newest[one], waiting[one][0].timestamp), one))
                message = waiting[first].popleft()
                newest[first] = max(newest[first], message.timestamp)
                yield message
                continue
            # One partition at a time: of several that are paused in turn, kafka-python forgets some for ever.
            consumer.assign([hungry])
            consumer.seek(hungry, reached[hungry])
            for found in consumer.poll(timeout_ms=500, max_records=_MOST).values():
                waiting[hungry].extend(one for one in found if one.offset < ends[hungry.partition])
            if consumer.position(hungry) > reached[hungry]:
                reached[hungry] = consumer.position(hungry)
                moved = time.monotonic()
            elif time.monotonic() - moved > self.patience:
                raise Retry("kafka", f"topic {source} brings nothing more. Next: motcua status")


def known_from(
    brokers: str,
    topic: str,
    rehearsed: str,
    ends: Mapping[int, int],
    cut: int,
    canary: tuple[bytes, bytes] | None = None,
) -> dict[int, int]:
    """From which offset on a rehearsal of logs up to `cut` (ms) lacks messages of `topic`, up to `ends`.

    What was received later is lacking, but for canaries: those are of today in a topic that was sent a log of
    last year. Of the messages of that very moment those are not that the rehearsal's topic has, from the
    first on: one that counted twice would tell less of delay. Raises Retry.
    """
    partitions = max(ends) + 1
    firsts, nexts = (topics.since(brokers, topic, partitions, at) for at in (cut, cut + 1))
    begins = {at: (firsts[at][0], end) for at, end in ends.items()}
    starts = {at: _call_since(brokers, topic, at, span, cut, canary) for at, span in begins.items()}
    later = {at: (max(nexts[at][0], starts[at]), min(end, starts[at] + _SAME)) for at, end in ends.items()}
    untils = {at: _call_since(brokers, topic, at, span, cut + 1, canary) for at, span in later.items()}
    same = {at: (starts[at], until) for at, until in untils.items() if starts[at] < until}
    if not same:
        return starts
    there = topics.since(brokers, rehearsed, partitions, cut)
    rehearsed_there = topics.read(brokers, rehearsed, {at: there[at] for at in same})
    known = Counter((one.partition, one.key, one.value) for one in rehearsed_there)
    for one in topics.read(brokers, topic, same):
        at, said = one.partition, (one.partition, one.key, one.value)
        if one.offset == starts[at] and known[said]:
            known[said] -= 1
            starts[at] = one.offset + 1
    return starts


def _call_since(
    brokers: str, topic: str, at: int, span: tuple[int, int], cut: int, canary: tuple[bytes, bytes] | None
) -> int:
    """The first message of a span that was received at `cut` or later and is no canary, or its end."""
    first, end = span
    if first >= end:
        return end
    # Most often it is the first one, and then the others are not read.
    with closing(topics.read(brokers, topic, {at: span})) as told:
        for one in told:
            if one.timestamp >= cut and (one.key, one.value) != canary:
                return int(one.offset)
    return end
