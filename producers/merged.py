"""Several event logs as one, in the order in which their calls were received.

Lazy: a log is opened when its turn comes, so those that follow one another are open one at a time, and memory
is bounded by how many overlap. Within a log the lines keep their order, whatever they say: one that was
received before its predecessor goes right behind it, and is counted. A reading goes on where an earlier one
was, line for line in the same order.
"""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from producers import eventlog
from producers.eventlog import BadLine, Line, Position, Reading


class At(NamedTuple):
    """How far a log was read: so many lines, the latest of them received at `newest` (milliseconds)."""

    line: int = 0
    newest: int = 0


class Next(NamedTuple):
    """A line of the log of index `log`; `at` is how far that log is once the line is done."""

    log: int
    at: At
    line: Line | BadLine
    out_of_order: bool


class Merged:
    """Iterates over the lines of logs; says meanwhile how far it is, in bytes as the files are stored.

    Raises Unreadable, at once where a file is not there, and after the lines before its damage.
    """

    def __init__(self, paths: Sequence[Path], start: Sequence[At] = ()) -> None:
        self._start = tuple(start) or (At(),) * len(paths)
        self._readings = [
            eventlog.read([path], Position(0, at.line)) for path, at in zip(paths, self._start, strict=True)
        ]
        self._firsts = sorted(
            (_first(path, at), log) for log, (path, at) in enumerate(zip(paths, self._start, strict=True))
        )

    @property
    def bytes_total(self) -> int:
        return sum(reading.bytes_total for reading in self._readings)

    @property
    def bytes_read(self) -> int:
        return sum(reading.bytes_read for reading in self._readings)

    def __iter__(self) -> Iterator[Next]:
        waiting = self._firsts[::-1]
        # By time, then by log, so that the order is one: of a log only one line is here.
        open_: list[tuple[int, int, Next, Iterator[Next]]] = []
        while open_ or waiting:
            while waiting and (not open_ or waiting[-1][0] <= open_[0][0]):
                _, log = waiting.pop()
                lines = _lines(log, self._readings[log], self._start[log])
                for found in lines:
                    heapq.heappush(open_, (found.at.newest, log, found, lines))
                    break
            if not open_:
                continue
            _, log, found, lines = open_[0]
            yield found
            following = next(lines, None)
            if following is None:
                heapq.heappop(open_)
            else:
                heapq.heapreplace(open_, (following.at.newest, log, following, lines))


def _first(path: Path, at: At) -> int:
    """When the next line of a log comes; 0 where it does not say."""
    with closing(iter(eventlog.read([path], Position(0, at.line)))) as lines:
        line = next(lines, None)
    return max(line.received_at_ms, at.newest) if isinstance(line, Line) else at.newest


def _lines(log: int, reading: Reading, start: At) -> Iterator[Next]:
    newest = start.newest
    for line in reading:
        received = line.received_at_ms if isinstance(line, Line) else newest
        early = received < newest
        newest = max(newest, received)
        yield Next(log, At(line.number, newest), line, early)
