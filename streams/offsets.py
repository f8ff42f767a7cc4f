"""Between fetching and folding: a bounded buffer of messages, and which offsets may be expected.

An *epoch* is the time between two rebalances. Messages of an ended epoch are thrown away: they will be
fetched again, by this worker or by another, from the last acknowledged offset.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from rates.failures import Fatal
from streams.events import Message


class Limits(NamedTuple):
    """When a micro-batch is due: by messages' bytes, by their number, by the age of the first (seconds).

    `buffered_bytes` bounds what is fetched and not yet taken.
    """

    bytes: int = 8 * 1024 * 1024
    messages: int = 20_000
    age: float = 0.25
    buffered_bytes: int = 24 * 1024 * 1024


_USUAL: Final = 256 * 1024
"""Before the first message has come, one is taken to be as large as a call of some hundred records."""
_FIRST: Final = 16
"""The first micro-batch of an epoch is so many times smaller and sooner: what a dead worker left is taken up
with a cold cache, and the first rows of it wait for nothing."""


class Batch(NamedTuple):
    """`first`: of its epoch."""

    epoch: int
    messages: list[Message]
    first: bool


class Buffer:
    """Holds fetched messages until a micro-batch is due; offering waits while it is full."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._messages: list[Message] = []
        self._sizes: list[int] = []
        self._bytes = 0
        self._usual = _USUAL
        self._since = 0.0
        self._expected: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False
        self._cold = True
        self.epoch = 0
        self.seen: dict[int, float] = {}
        """When each partition last brought something, in the loop's time."""
        self.durable: dict[int, int] = {}
        """Of each partition that is read in this epoch, the offset before which all is durable."""

    @property
    def messages(self) -> int:
        """How many messages wait to be taken."""
        return len(self._messages)

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return self._bytes

    def close(self) -> None:
        """Take nothing more and give nothing more: the worker is asked to stop."""
        self._closed = True
        self._clear()
        self._changed.set()

    def new_epoch(self) -> None:
        """Begin after a rebalance: everything not yet taken is forgotten."""
        self.epoch += 1
        self._cold = True
        self._clear()
        self._expected.clear()
        self.durable.clear()

    def begin(self, offsets: Mapping[int, int]) -> None:
        """Where the next message of each partition must come from: a hole there would be a loss."""
        self._expected.update(offsets)
        self.durable.update(offsets)

    async def offer(self, fetched: Mapping[int, Sequence[Message]], epoch: int) -> None:
        """Add fetched messages by partition; waits for room first. Those of an ended epoch are ignored."""
        await self._room.wait()
        if epoch != self.epoch or self._closed:
            return
        now = asyncio.get_running_loop().time()
        for partition, messages in fetched.items():
            self.seen[partition] = now
            expected = self._expected.get(partition, messages[0].offset)
            for offset in [message.offset for message in messages]:
                if offset != expected:
                    msg = (
                        f"partition {partition} jumps from offset {expected} to {offset}: the topic "
                        "was made anew, truncated, compacted or written by transactions; nothing of it was "
                        "acknowledged. Next: motcua migrate"
                    )
                    raise Fatal(msg)
                expected += 1
            self._expected[partition] = expected
            if not self._messages:
                self._since = now
            sizes = [message.size for message in messages]
            self._messages.extend(messages)
            self._sizes.extend(sizes)
            self._bytes += sum(sizes)
            self._usual = max(1, sum(sizes) // len(sizes))
        if self._bytes >= self._limits.buffered_bytes:
            self._room.clear()
        self._changed.set()

    def wanted(self) -> int:
        """How many messages may be offered next, to be about a micro-batch, by the size of the last ones."""
        return max(1, self._limits.bytes // self._usual)

    def due(self) -> bool:
        """Whether there is a micro-batch to be taken now."""
        if self._closed or not self._messages:
            return False
        most = self._most()
        full = self._bytes >= most.bytes or len(self._messages) >= most.messages
        return full or asyncio.get_running_loop().time() >= self._since + most.age

    async def next_batch(self) -> Batch | None:
        """The next micro-batch, as soon as one is due; None once the buffer is closed."""
        while not self._closed:
            if self.due():
                return self._cut()
            left = self._since + self._most().age - asyncio.get_running_loop().time()
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left if self._messages else None):
                    await self._changed.wait()
        return None

    def _cut(self) -> Batch:
        size = count = 0
        most = self._most()
        first, self._cold = self._cold, False
        for more in self._sizes:
            if count and (size + more > most.bytes or count >= most.messages):
                break
            size += more
            count += 1
        batch = Batch(self.epoch, self._messages[:count], first)
        del self._messages[:count]
        del self._sizes[:count]
        self._bytes -= size
        if self._bytes < self._limits.buffered_bytes:
            self._room.set()
        return batch

    def _most(self) -> Limits:
        """The limits of the next micro-batch."""
        if not self._cold:
            return self._limits
        full, messages, age, buffered = self._limits
        return Limits(full // _FIRST, messages // _FIRST, age / _FIRST, buffered)

    def _clear(self) -> None:
        self._messages = []
        self._sizes = []
        self._bytes = 0
        self._room.set()
