"""What messages say, by column: `rates.wire.decode`, done for many calls at once.

Plain calls whose records are all sound are read by `streams.scan`, and the rules of `rates.wire` for times
are done on arrays. Every other message goes through `rates.wire` itself, record by record.
`tests/property/test_events.py` holds both against each other.
"""

from collections.abc import Callable, Sequence
from secrets import randbits
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rates.cohort import UNDATED, cohort_of
from rates.effects import Texts
from rates.wire import (
    DAY,
    LOCAL,
    MAX_BYTES,
    MAX_RECORDS,
    Event,
    Full,
    Rejection,
    Senders,
    decoded,
    parsed,
    strict,
    unit_of,
)
from streams import scan
from streams.compiled import WIDE, Bytes, Ints, fixed
from streams.index import distinct

Utf8: TypeAlias = Callable[[bytes], bool]

TIMES: Final = ("received", "completed", "due")
_MOST_ROWS: Final = 50_000
"""So many records are read at once: calls that are left over go through `rates.wire`."""
_SMALLEST: Final = 24
"""No record has fewer bytes."""
_SERIAL_BITS: Final = 34
_BEYOND: Final = bytes(WIDE)
"""Stands behind all that is read."""


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
    """A message that was read record by record: its version 0, when it was received, what it parsed to."""

    message: Message
    position: int
    learnt: int
    call: Any


class Columns(NamedTuple):
    """Events by column. `full` tells full records from progress rows, whose later columns are empty.

    A dossier is named by an index of `units`, its cohort's month (`rates.cohort.CohortKey`) and, within the
    cohort, its number: day and serial packed, or -1 - an index of `odd` where it has no readable date.
    `pair` is an index of `pairs`: procedure and sector.
    """

    units: list[str]
    odd: list[str]
    pairs: list[tuple[str, str]]
    unit: Ints
    month: Ints
    number: Ints
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
    pair: Ints


Unsound: TypeAlias = Callable[[Source, Sequence[Event], Sequence[Rejection]], Sequence[Event]]
"""Told of what had to be read record by record; returns the events that are to be folded."""


class Events:
    """Reads messages, then gives their events."""

    def __init__(self, *, by_column: bool = True) -> None:
        """Not `by_column`: everything is read record by record, and told."""
        self._by_column = by_column
        self.records = 0
        """How many were read."""
        self._others: list[Source] = []
        self._parts: list[Columns] = []
        self._words = Words()
        self._units: dict[tuple[bytes, bytes], int] = {}

    def read(
        self,
        messages: Sequence[Message],
        positions: NDArray[np.uint64],
        learnt: Ints,
        senders: Senders,
        utf8: Utf8,
    ) -> Ints:
        """Take messages in; returns the index of the last record of each.

        `positions` are the versions of their records 0, `learnt` when each was received (seconds since 1970
        UTC).
        """
        if self._by_column and messages:
            records = self._plain(messages, positions, learnt, senders, utf8)
        else:
            records = np.full(len(messages), -1, np.int64)
        for at in np.flatnonzero(records < 0).tolist():
            message = messages[at]
            call = parsed(message.value or b"", utf8)
            records[at] = 1 if isinstance(call, Rejection) else len(call.data or ())
            self._others.append(Source(message, int(positions[at]), int(learnt[at]), call))
        records = np.maximum(records, 1)
        self.records += int(records.sum())
        return records - 1

    @property
    def apart(self) -> bool:
        """Whether some are kept whole, to be read record by record."""
        return bool(self._others)

    def columns(self, senders: Senders, unsound: Unsound) -> Columns:
        """The events, in any order; what had to be read record by record is told to `unsound`."""
        if self._others or not self._parts:
            found: list[tuple[Source, Event]] = []
            for source in self._others:
                message = source.message
                events, rejections = decoded(
                    source.call, message.value or b"", message.key, source.learnt, senders
                )
                found += [(source, event) for event in unsound(source, events, rejections)]
            self._parts.append(by_column(found, self._words))
            self._others = []
        self._parts = [_together(self._parts)]
        return self._parts[0]

    def _plain(
        self,
        messages: Sequence[Message],
        positions: NDArray[np.uint64],
        learnt: Ints,
        senders: Senders,
        utf8: Utf8,
    ) -> Ints:
        """Read plain calls; how many records each message has, -1 where it was left."""
        partitions, _, _, own, given = zip(*messages, strict=True)
        keys = [key or b"" for key in own]
        values = [value or b"" for value in given]
        sizes = np.array(list(map(len, values)), np.int64)
        text = b"\0".join((*values, _BEYOND))
        if sizes.max(initial=0) > MAX_BYTES or not strict(text, utf8):
            values = [value if len(value) <= MAX_BYTES and strict(value, utf8) else b"" for value in values]
            sizes = np.array(list(map(len, values)), np.int64)
            text = b"\0".join((*values, _BEYOND))
        units = b"\0".join((*keys, b""))
        room = min(_MOST_ROWS, int(np.minimum(sizes // _SMALLEST, MAX_RECORDS).sum()))
        out = np.empty((len(scan.FIELDS), room), np.int64)
        read = np.frombuffer(text, np.uint8)
        kind, records, sender, sender_end = scan.scan(
            read,
            np.cumsum(sizes + 1) - 1,
            np.frombuffer(units, np.uint8),
            np.cumsum(np.array(list(map(len, keys)), np.int64) + 1) - 1,
            learnt + DAY,
            _SEED,
            out,
        )
        rows = int(records.sum())
        columns = dict(zip(scan.FIELDS, out[:, :rows], strict=True))
        begins, ends = sender.tolist(), sender_end.tolist()
        unit = np.full(len(messages), -1, np.int64)
        for at in np.flatnonzero(kind).tolist():
            unit[at] = self._unit(text[begins[at] : ends[at]], keys[at], senders)
        found = unit >= 0
        if not rows:
            return np.where(found, records, -1)
        call = columns["call"]
        pair = self._pair(text, read, columns)
        if pair is None:
            return np.full(len(messages), -1, np.int64)
        kept = found[call]
        if not kept.all():
            call, pair = call[kept], pair[kept]
            columns = {name: column[kept] for name, column in columns.items()}
        first = np.cumsum(np.where(found, records, 0)) - records
        index = (np.arange(len(call)) - first[call]).astype(np.uint64)
        full = (kind == scan.FULL)[call]
        self._parts.append(
            Columns(
                self._words.units,
                self._words.odd,
                self._words.pairs,
                unit[call],
                *self._numbers(text, columns),
                np.array(partitions, np.int64)[call],
                positions[call] + index,
                learnt[call],
                full,
                **_said(columns, full, learnt[call] + DAY),
                pair=np.where(full, pair, self._words.pair("", "")),
            )
        )
        return np.where(found, records, -1)

    def _unit(self, sender: bytes, key: bytes, senders: Senders) -> int:
        """The index of a unit, -1 where the sender may not send for it."""
        known = self._units.get((sender, key))
        if known is None:
            unit = key.decode("utf-8", "replace")
            allowed = unit_of(unit) == unit and senders.may_send(sender.decode(), unit)
            known = self._units[sender, key] = self._words.unit(key) if allowed else -1
        return known

    def _pair(self, text: bytes, read: Bytes, columns: dict[str, Ints]) -> Ints | None:
        """The index of each record's procedure and sector; None where two of them could not be told apart."""
        first, of = distinct(columns["pair"])
        at = [columns[name] for name in ("procedure", "procedure_end", "sector", "sector_end")]
        same = first[of]
        if not (scan.alike(read, at[0], at[1], same) and scan.alike(read, at[2], at[3], same)):
            return None
        spans = zip(*(column[first].tolist() for column in at), strict=True)
        known = [
            self._words.pair(text[procedure:end].decode(), text[sector:sector_end].decode())
            for procedure, end, sector, sector_end in spans
        ]
        return np.array(known, np.int64)[of]

    def _numbers(self, text: bytes, columns: dict[str, Ints]) -> tuple[Ints, Ints]:
        """Of each record the month of its cohort, and its number within."""
        month = months(columns["date"])
        number = packed(columns["date"], columns["serial"])
        for at in np.flatnonzero(month == 0).tolist():
            odd = text[columns["number"][at] : columns["number_end"][at]].decode()
            month[at] = cohort_of(odd.partition("-")[0], odd).month
            number[at] = self._words.odd_number(odd)
        return month, number


class Words:
    """Units, procedures with their sectors, and odd numbers: each once."""

    def __init__(self) -> None:
        self.units: list[str] = []
        self.pairs: list[tuple[str, str]] = []
        self.odd: list[str] = []
        self._units: dict[bytes, int] = {}
        self._pairs: dict[tuple[str, str], int] = {}

    def unit(self, code: bytes) -> int:
        at = self._units.get(code)
        if at is None:
            at = self._units[code] = len(self.units)
            self.units.append(code.decode())
        return at

    def pair(self, procedure: str, sector: str) -> int:
        at = self._pairs.setdefault((procedure, sector), len(self.pairs))
        if at == len(self.pairs):
            self.pairs.append((procedure, sector))
        return at

    def odd_number(self, number: str) -> int:
        self.odd.append(number)
        return -len(self.odd)


_SEED: Final = randbits(62)
"""Whoever sends cannot know which texts have the same hash."""
_MONTHS: Final = np.full(1_000_000, -1, np.int32)
"""Of each date `yymmdd` the month of its cohort: 0 where there is no such day, -1 where nobody asked yet."""


def months(dates: Ints) -> Ints:
    """The month of the cohorts of numbers with these dates; 0 where there is none."""
    found = _MONTHS[dates]
    if (found < 0).any():
        for date in np.unique(dates[found < 0]).tolist():
            month = cohort_of("", f"-{date:06d}-1").month if date >= 0 else 0
            _MONTHS[date] = month if month >= UNDATED else 0
        found = _MONTHS[dates]
    return np.where(dates < 0, 0, found).astype(np.int64)


def packed(dates: Ints, serials: Ints) -> Ints:
    """A dossier's number within its cohort."""
    return (dates % 100) << _SERIAL_BITS | serials


def buffers(texts: Texts) -> tuple[Bytes, Ints]:
    """The bytes of texts, and where each ends."""
    return fixed(texts.data, np.uint8), fixed(np.asarray(texts.ends, np.int64), np.int64)


def numbered(texts: Texts, units: Ints) -> tuple[Ints, Ints]:
    """Months and numbers of texts that begin with units, whose lengths are given; month 0: an odd one."""
    data, ends = buffers(texts)
    date, serial = scan.dated(data, ends[:-1] + units + 1, ends[1:])
    return months(date), packed(date, serial)


def unpacked(months: Ints, numbers: Ints) -> tuple[Ints, Ints]:
    """The dates and serials of numbers."""
    return (months - 200_000) * 100 + (numbers >> _SERIAL_BITS), numbers & (1 << _SERIAL_BITS) - 1


def _said(columns: dict[str, Ints], full: NDArray[np.bool_], latest: Ints) -> dict[str, Ints]:
    """Statuses and times of records, as `rates.wire` says them."""

    def time(name: str) -> Ints:
        found = columns[name]
        return np.where(full & (found > 0) & (found <= latest), found, 0)

    received, ended, returned = time("received"), time("ended"), time("returned")
    own = _status_time(
        columns["status"], received, ended, returned, time("refused"), columns["asked"], time("submitted")
    )
    return {
        "status": np.where(full, columns["status"], columns["row_status"]),
        "time": np.where(full, own, columns["row_time"]),
        "received": received,
        "completed": np.where(ended > 0, ended, returned),
        "due": np.where(full, np.maximum(columns["due"], 0), 0),
        "facts": np.where(full, columns["facts"], 0),
    }


def _status_time(
    status: Ints, received: Ints, ended: Ints, returned: Ints, refused: Ints, asked: Ints, submitted: Ints
) -> Ints:
    """When a record's status began, as `rates.wire` says it."""
    ended, returned, refused = closing(ended), closing(returned), closing(refused)
    time = np.select(
        [status == 10, status >= 7, status == 3, status == 1],
        [np.maximum(returned, ended), ended, refused, submitted],
        np.maximum(received, asked),
    )
    every = np.maximum.reduce([received, ended, returned, asked, refused, submitted])
    return np.where(time > 0, time, every)


def closing(time: Ints) -> Ints:
    """Closing times, as `rates.wire.closing`."""
    return np.where((time > 0) & ((time + LOCAL) % DAY == 0), time + DAY - 1, time)


def by_column(found: Sequence[tuple[Source, Event]], words: Words | None = None) -> Columns:
    """Events that were read one by one, each with its source."""
    words = words or Words()
    events = [event for _, event in found]
    written = Texts.of(event.number for event in events)
    month, number = numbered(written, np.array([len(event.unit) for event in events], np.int64))
    for at in np.flatnonzero(month == 0).tolist():
        month[at] = cohort_of(events[at].unit, events[at].number).month
        number[at] = words.odd_number(events[at].number)

    def ints(name: str) -> Ints:
        return np.array([getattr(event, name, 0) for event in events], np.int64)

    return Columns(
        words.units,
        words.odd,
        words.pairs,
        np.array([words.unit(event.unit.encode()) for event in events], np.int64),
        month,
        number,
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
        np.array(
            [words.pair(getattr(e, "procedure", ""), getattr(e, "sector", "")) for e in events], np.int64
        ),
    )


def _together(parts: Sequence[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Any] = {}
    for name in Columns._fields:
        column = [getattr(part, name) for part in parts]
        joined[name] = column[0] if isinstance(column[0], list) else np.concatenate(column)
    return Columns(**joined)
