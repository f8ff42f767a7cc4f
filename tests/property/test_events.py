"""Calls read by column say what `rates.wire.decode` reads in them record by record."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rates.cohort import cohort_of
from rates.effects import version
from rates.wire import Event, Full, Progress, Rejection, decode
from sinks.client import is_utf8
from streams.events import Columns, Events, Message, Source, unpacked
from tests.property.worlds import UNITS, mutated, odd_calls, text_calls, text_records, written
from tests.support.register import SmallRegister

REGISTER = SmallRegister()
RECEIVED_AT = 1_696_400_000


def sound(unit: str) -> st.SearchStrategy[dict[str, object]]:
    """Calls of one unit of which most records are sound."""
    statuses = st.sampled_from(tuple(map(str, range(1, 11))))
    own = st.builds(
        lambda record, tail, status, row: (
            record | {"MaHoSo": f"{unit}-{tail}", "TrangThaiHoSo": status, "TrangThai": row}
        ),
        text_records,
        st.sampled_from(("231002-0147", "231102-0001", "khác")),
        statuses,
        statuses,
    )
    return st.fixed_dictionaries(
        {
            "service": st.sampled_from(("DongBoHoSoMC", "CapNhatTienDoHoSoMC")),
            "madonvi": st.just(unit),
            "data": st.lists(own, max_size=5),
        }
    )


messages = st.tuples(
    st.sampled_from((*UNITS, "", "x")),
    st.one_of(
        written(text_calls),
        written(odd_calls),
        mutated(written(text_calls)),
        *(written(sound(u)) for u in UNITS),
    ),
) | st.sampled_from(UNITS).flatmap(lambda unit: st.tuples(st.just(unit), written(sound(unit))))


def said(columns: Columns) -> dict[int, tuple[int, int, Event]]:
    """Events by version, with partition and receipt, as `rates.wire` says them."""
    found: dict[int, tuple[int, int, Event]] = {}
    dates, serials = unpacked(columns.month, columns.number)
    for at in range(len(columns.version)):
        unit, packed, serial = columns.units[columns.unit[at]], int(columns.number[at]), int(serials[at])
        number = (
            columns.odd[-1 - packed]
            if packed < 0
            else f"{unit}-{dates[at]:06d}-{serial & (1 << 30) - 1:0{serial >> 30}d}"
        )
        assert columns.month[at] == cohort_of(unit, number).month
        position = int(columns.version[at])
        index = position & 0xFFF
        rest = [int(getattr(columns, name)[at]) for name in ("received", "completed", "due", "facts")]
        head = (number, unit, index, int(columns.status[at]), int(columns.time[at]))
        pair = columns.pairs[columns.pair[at]]
        event: Event = Full(*head, *rest[:3], *pair, rest[3]) if columns.full[at] else Progress(*head)
        if not columns.full[at]:
            assert (*rest, *pair) == (0, 0, 0, 0, "", "")
        assert position not in found
        found[position] = int(columns.partition[at]), int(columns.learnt[at]), event
    return found


@settings(max_examples=500, deadline=None)
@given(st.lists(messages, max_size=5), st.integers(0, 5), st.booleans())
def test_calls_read_by_column_say_what_they_say_record_by_record(
    sent: Sequence[tuple[str, bytes]], cut: int, all_one_by_one: bool
) -> None:
    expected: dict[int, tuple[int, int, Event]] = {}
    rejected: list[tuple[int, Rejection]] = []
    gathered, dead = Events(by_column=not all_one_by_one), list[tuple[int, Rejection]]()
    given, most = list[Message](), list[int]()
    for offset, (key, value) in enumerate(sent):
        position = version(1, offset, 0)
        events, rejections = decode(value, key.encode(), RECEIVED_AT + offset, REGISTER)
        expected |= {position + event.index: (offset % 3, RECEIVED_AT + offset, event) for event in events}
        rejected += [(position, rejection) for rejection in rejections]
        given.append(Message(offset % 3, offset, (RECEIVED_AT + offset) * 1000, key.encode(), value))
        most.append(max((found.index for found in (*events, *rejections)), default=0))
    for some in (slice(0, cut), slice(cut, None)):
        learnt = RECEIVED_AT + np.array([message.offset for message in given[some]], np.int64)
        positions = np.array([version(1, message.offset, 0) for message in given[some]], np.uint64)
        last = gathered.read(given[some], positions, learnt, REGISTER, is_utf8)
        assert last.tolist() == most[some]

    def unsound(source: Source, events: Sequence[Event], rejections: Sequence[Rejection]) -> Sequence[Event]:
        dead.extend((source.position, rejection) for rejection in rejections)
        return events

    columns = gathered.columns(REGISTER, unsound)
    assert said(columns) == expected
    assert sorted(dead, key=repr) == sorted(rejected, key=repr)
    assert gathered.records >= len(expected) + len(dead)
    assert len({len(column) for column in columns[3:]}) == 1


@given(st.binary(max_size=12) | st.text(max_size=6).map(str.encode), st.sampled_from((0, 9_000)))
def test_what_is_utf8_is_told_alike_by_both(end: bytes, before: int) -> None:
    value = b"a" * before + end
    try:
        value.decode()
    except UnicodeDecodeError:
        assert not is_utf8(value)
    else:
        assert is_utf8(value)
