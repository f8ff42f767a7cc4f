"""What messages say, by column: `rates.wire.decode`, done for all calls of a piece at once.

A call whose records are all sound is read here: its texts become columns, and the rules of `rates.wire` for
times are done on arrays. Every other message, and every call with an unsound record, goes through
`rates.wire` itself, record by record. `tests/property/test_events.py` holds both against each other.
"""

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rates.declared import PROGRESS_SERVICE, Call, Record
from rates.wire import (
    DAY,
    LOCAL,
    STATUS,
    Event,
    Full,
    Rejection,
    Senders,
    decoded,
    facts_of,
    instants,
    parsed,
    supplement,
    unit_of,
)

Ints: TypeAlias = NDArray[np.int64]

Utf8: TypeAlias = Callable[[bytes], bool]

_AT_ONCE: Final = 1_000
"""So many records are read at once: their texts are still in the processor's cache."""
TIMES: Final = ("received", "completed", "due")


class Message(NamedTuple):
    """One Kafka message; `timestamp` in milliseconds since 1970 UTC."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def size(self) -> int:
        return len(self.value or b"") + 100


class Source(NamedTuple):
    """A message that was read, and what it parsed to."""

    message: Message
    position: int
    learnt: int
    call: Any


class Columns(NamedTuple):
    """Events by column. `full` tells full records from progress rows, whose other columns are empty."""

    numbers: list[str]
    partition: Ints
    version: NDArray[np.uint64]
    learnt: Ints
    full: NDArray[np.bool_]
    status: Ints
    time: Ints
    received: Ints
    completed: Ints
    due: Ints
    facts: Ints
    procedure: list[str]
    sector: list[str]


Unsound: TypeAlias = Callable[[Source, Sequence[Event], Sequence[Rejection]], Sequence[Event]]
"""Told of what had to be read record by record; returns the events that are to be folded."""


class Events:
    """Gathers messages, then gives their events."""

    def __init__(self, *, by_column: bool = True) -> None:
        """Not `by_column`: everything is read record by record, and told."""
        self._by_column = by_column
        self.records = 0
        """How many were gathered."""
        self._calls: tuple[list[Source], list[Source]] = [], []
        self._others: list[Source] = []
        self._parts: list[Columns] = []
        self._read = 0

    def add(self, message: Message, position: int, learnt: int, senders: Senders, utf8: Utf8) -> int:
        """Take a message in; returns the index of its last record.

        `position` is the version of its record 0, `learnt` when it was received (seconds since 1970 UTC).
        """
        value = message.value or b""
        call = parsed(value, utf8)
        source = Source(message, position, learnt, call)
        if not isinstance(call, Call):
            self._others.append(source)
            last = 0 if isinstance(call, Rejection) else len(call.data or ()) - 1
            self.records += 1 + last
            return max(0, last)
        unit = (message.key or b"").decode("utf-8", "replace")
        last = max(0, len(call.data or ()) - 1)
        self.records += last + 1
        if self._by_column and unit_of(unit) == unit and senders.may_send(call.madonvi or "", unit):
            self._calls[call.service == PROGRESS_SERVICE].append(source)
        else:
            self._others.append(source)
        if self.records - self._read >= _AT_ONCE:
            self._read_calls()
        return last

    def columns(self, senders: Senders, unsound: Unsound) -> Columns:
        """The events, in any order; what had to be read record by record is told to `unsound`."""
        self._read_calls()
        if self._others or not self._parts:
            self._parts.append(_one_by_one(self._others, senders, unsound))
            self._others = []
        self._parts = [_together(self._parts)]
        return self._parts[0]

    def _read_calls(self) -> None:
        for calls, columns in zip(self._calls, (_fulls, _rows), strict=True):
            if calls:
                part, bad = columns(calls)
                self._parts.append(part)
                self._others += [calls[at] for at in bad]
                calls.clear()
        self._read = self.records


def _fulls(calls: Sequence[Source]) -> tuple[Columns, list[int]]:
    """Full records of calls that are their senders' own; and the calls of which one is unsound."""
    records: list[Record] = list(chain.from_iterable(source.call.data for source in calls))
    of, keep, bad, numbers, status = _sound(calls, records, [r.TrangThaiHoSo for r in records])
    if bad:
        of, status = of[keep], status[keep]
        records = [records[at] for at in keep.tolist()]
    learnt = np.array([source.learnt for source in calls], np.int64)[of]
    latest = learnt + DAY

    def times(texts: list[str | None]) -> Ints:
        found = np.array(instants(texts), np.int64)
        return np.where((found > 0) & (found <= latest), found, 0)

    received = times([r.NgayTiepNhan for r in records])
    ended = times([r.NgayKetThucXuLy for r in records])
    returned = times([r.NgayTra for r in records])
    due = np.maximum(np.array(instants([r.NgayHenTra for r in records]), np.int64), 0)
    refused = times([r.NgayTuChoi for r in records])

    def submitted(some: Ints) -> Ints:
        found = np.array(instants([records[at].NgayNopHoSo for at in some.tolist()]), np.int64)
        return np.where((found > 0) & (found <= latest[some]), found, 0)

    asked = np.zeros(len(records), np.int64)
    for at, record in enumerate(records):
        if record.DanhSachHoSoBoSung:
            asked[at] = supplement(record, int(latest[at]))
    return Columns(
        numbers,
        *_places(calls, of, keep),
        np.ones(len(records), bool),
        status,
        _status_time(status, received, ended, returned, refused, asked, submitted),
        received,
        np.where(ended > 0, ended, returned),
        due,
        np.array(list(map(facts_of, records)), np.int64),
        [r.MaTTHC or "" for r in records],
        [r.MaLinhVuc or "" for r in records],
    ), bad


def _status_time(
    status: Ints,
    received: Ints,
    ended: Ints,
    returned: Ints,
    refused: Ints,
    asked: Ints,
    submitted: Callable[[Ints], Ints],
) -> Ints:
    """As `rates.wire` says it; `submitted` reads when records were handed in, which few are asked."""
    ended, returned, refused = closing(ended), closing(returned), closing(refused)
    time = np.select(
        [status == 10, status >= 7, status == 3, status == 1],
        [np.maximum(returned, ended), ended, refused, 0],
        np.maximum(received, asked),
    )
    open_ = np.flatnonzero(time == 0)
    if len(open_):
        handed_in = submitted(open_)
        every = np.maximum.reduce([received, ended, returned, asked, refused])[open_]
        own = (status[open_] == 1) & (handed_in > 0)
        time[open_] = np.where(own, handed_in, np.maximum(every, handed_in))
    return time


def closing(time: Ints) -> Ints:
    """Closing times, as `rates.wire.closing`."""
    return np.where((time > 0) & ((time + LOCAL) % DAY == 0), time + DAY - 1, time)


def _rows(calls: Sequence[Source]) -> tuple[Columns, list[int]]:
    """Progress rows, as `_fulls`."""
    records: list[Record] = list(chain.from_iterable(source.call.data for source in calls))
    times = np.array(instants([r.ThoiDiemXuLy for r in records]), np.int64)
    sizes = [len(source.call.data) for source in calls]
    latest = np.repeat(np.array([source.learnt + DAY for source in calls], np.int64), sizes)
    sound = (times > 0) & (times <= latest)
    of, keep, bad, numbers, status = _sound(calls, records, [r.TrangThai for r in records], sound)
    nothing, texts = np.zeros(len(keep), np.int64), [""] * len(keep)
    return Columns(
        numbers,
        *_places(calls, of[keep] if bad else of, keep),
        np.zeros(len(keep), bool),
        status[keep] if bad else status,
        times[keep],
        *(nothing,) * 4,
        texts,
        texts,
    ), bad


def _sound(
    calls: Sequence[Source], records: Sequence[Record], statuses: Sequence[str | None], sound: Any = True
) -> tuple[Ints, Ints, list[int], list[str], Ints]:
    """Of each record its call; the records of sound calls; the calls that are not; numbers; statuses."""
    sizes = [len(source.call.data) for source in calls]
    of = np.repeat(np.arange(len(calls)), sizes)
    begins = [f"{(source.message.key or b'').decode()}-" for source in calls]
    numbers = [r.MaHoSo or "" for r in records]
    own = np.array(list(map(str.startswith, numbers, chain.from_iterable(map(repeat, begins, sizes)))), bool)
    status = np.array([STATUS.get(text or "", 0) for text in statuses], np.int64)
    wrong = ~(own & (status > 0) & sound)
    if not wrong.any():
        return of, np.arange(len(records)), [], numbers, status
    bad = np.unique(of[wrong])
    keep = np.flatnonzero(~np.isin(of, bad))
    return of, keep, bad.tolist(), [numbers[at] for at in keep.tolist()], status


def _places(calls: Sequence[Source], of: Ints, keep: Ints) -> tuple[Ints, NDArray[np.uint64], Ints]:
    sizes = np.array([len(source.call.data) for source in calls], np.int64)
    index = keep - (np.cumsum(sizes) - sizes)[of]
    position = np.array([source.position for source in calls], np.uint64)
    partition = np.array([source.message.partition for source in calls], np.int64)
    learnt = np.array([source.learnt for source in calls], np.int64)
    return partition[of], position[of] + index.astype(np.uint64), learnt[of]


def _one_by_one(sources: Sequence[Source], senders: Senders, unsound: Unsound) -> Columns:
    found: list[tuple[Source, Event]] = []
    for source in sources:
        message = source.message
        events, rejections = decoded(source.call, message.value or b"", message.key, source.learnt, senders)
        found += [(source, event) for event in unsound(source, events, rejections)]
    return by_column(found)


def by_column(found: Sequence[tuple[Source, Event]]) -> Columns:
    """Events that were read one by one, each with its source."""
    events = [event for _, event in found]

    def ints(name: str) -> Ints:
        return np.array([getattr(event, name, 0) for event in events], np.int64)

    return Columns(
        [event.number for event in events],
        np.array([source.message.partition for source, _ in found], np.int64),
        np.array([source.position + event.index for source, event in found], np.uint64),
        np.array([source.learnt for source, _ in found], np.int64),
        np.array([isinstance(event, Full) for event in events], bool),
        ints("status"),
        ints("status_time"),
        ints("received"),
        ints("completed"),
        ints("due"),
        ints("facts"),
        [getattr(event, "procedure", "") for event in events],
        [getattr(event, "sector", "") for event in events],
    )


def _together(parts: Sequence[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Any] = {}
    for name in Columns._fields:
        column = [getattr(part, name) for part in parts]
        texts = isinstance(column[0], list)
        joined[name] = list(chain.from_iterable(column)) if texts else np.concatenate(column)
    return Columns(**joined)
