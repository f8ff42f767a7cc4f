"""The portal's plain calls into columns, by compiled loops over their bytes.

A strict subset of JSON is read here, and every other message is left to `rates.wire`, which decides: numbers
where text is due, escapes in texts that are looked at, names that come twice, deep nesting, any record that
is not sound. So nothing here has to know why something is wrong, only that it may be.
`tests/property/test_events.py` and `make fuzz` hold it against `rates.wire`.

Bytes end with a 0, which no JSON text holds: it ends every loop, so that none has to ask where it is.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from rates.declared import FULL_SERVICE, LISTS, PROGRESS_SERVICE, Call, Record
from rates.wire import DIGITISED, E_RESULT, E_RESULT_CLEAN, LOCAL, MAX_RECORDS, POPULATION_DATABASE
from streams.compiled import WIDE, Bytes, Ints, agreeing, borrowed, compiled, inlined, plain

NEVER: Final = -(1 << 60)
"""A time that names no real instant."""
ABSENT: Final = -1
"""A number without a readable date."""
_DEEPEST: Final = 24
_LINKS: Final = 64
"""Of so many papers and so many results of a record the links are compared."""
_PLACES: Final = 64
_INNER_PLACES: Final = 16
"""Of so many fields of a record, and of each object in a list of it, it is known what stood there last."""
_DIGITS: Final = 9
"""A dossier's number ends with at most so many."""

# The columns of what `scan` finds, one row each.
FIELDS: Final = (
    "call", "status", "received", "ended", "returned", "due", "refused", "submitted", "asked", "facts",
    "row_status", "row_time", "number", "number_end", "date", "serial",
    "procedure", "procedure_end", "sector", "sector_end", "pair",
)  # fmt: skip
(
    _CALL, _STATUS, _RECEIVED, _ENDED, _RETURNED, _DUE, _REFUSED, _SUBMITTED, _ASKED, _FACTS,
    _ROW_STATUS, _ROW_TIME, _NUMBER, _NUMBER_END, _DATE, _SERIAL,
    _PROCEDURE, _PROCEDURE_END, _SECTOR, _SECTOR_END, _PAIR,
) = range(len(FIELDS))  # fmt: skip

FULL: Final = 1
PROGRESS: Final = 2
"""What a call is; 0 where it was left to `rates.wire`."""


class Names(NamedTuple):
    """Names of fields: their bytes one after the other, where each begins, and by length which to try."""

    text: Bytes
    begin: Ints
    first: Ints
    next: Ints


def _names(*of: str) -> Names:
    first, following = np.full(_LONGEST, -1, np.int64), np.full(len(of), -1, np.int64)
    for at in reversed(range(len(of))):
        following[at] = first[len(of[at])]
        first[len(of[at])] = at
    begin = np.cumsum([0, *map(len, of)])
    return Names(np.frombuffer("".join(of).encode(), np.uint8), begin, first, following)


_LONGEST: Final = 64
_HEAD: Final = tuple(Call.__struct_fields__)
_INNER: Final = tuple(dict.fromkeys(name for kind in LISTS.values() for name in kind.__struct_fields__))
_ALL: Final = (*_HEAD, *Record.__struct_fields__, *_INNER, FULL_SERVICE, PROGRESS_SERVICE)
NAMES: Final = _names(*_ALL)
_AT: Final = {name: at for at, name in enumerate(_ALL)}
_SERVICE, _MADONVI, _DATA = map(_AT.__getitem__, _HEAD)
_BEGIN_RECORD, _END_RECORD = len(_HEAD), len(_HEAD) + len(Record.__struct_fields__)
_MA_HO_SO, _TRANG_THAI_HO_SO, _MA_TTHC, _MA_LINH_VUC = map(
    _AT.__getitem__, ("MaHoSo", "TrangThaiHoSo", "MaTTHC", "MaLinhVuc")
)
_NGAY_NOP, _NGAY_TIEP_NHAN, _NGAY_HEN, _NGAY_KET_THUC, _NGAY_TRA, _NGAY_TU_CHOI = map(
    _AT.__getitem__,
    ("NgayNopHoSo", "NgayTiepNhan", "NgayHenTra", "NgayKetThucXuLy", "NgayTra", "NgayTuChoi"),
)
_SO_HOA, _VNEID = _AT["HoSoCoThanhPhanSoHoa"], _AT["TaiKhoanDuocXacThucVoiVNeID"]
_CSDL, _PAPERS, _RESULTS, _ROUNDS = map(
    _AT.__getitem__, ("DSKetNoiCSDL", "TaiLieuNop", "DanhSachGiayToKetQua", "DanhSachHoSoBoSung")
)
_TRANG_THAI, _THOI_DIEM = _AT["TrangThai"], _AT["ThoiDiemXuLy"]
_RESULT_LINK, _PAPER_LINK, _DUOC_SO_HOA, _MA_CSDL, _NGAY_BO_SUNG, _NGAY_BO_SUNG_IN = map(
    _AT.__getitem__,
    (
        "DuongDanTepTinKetQua",
        "DuongDanTaiTepTin",
        "DuocSoHoa",
        "MaCSDL",
        "NgayBoSung",
        "NgayTiepNhanBoSung",
    ),
)
_FULL_SERVICE, _PROGRESS_SERVICE = _AT[FULL_SERVICE], _AT[PROGRESS_SERVICE]


@inlined
def _space(text: Bytes, at: int) -> int:
    while text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9:
        at += 1
    return at


@inlined
def _string(text: Bytes, at: int) -> tuple[int, bool]:
    """From an opening quote to its closing one, -1 where there is none; and whether something is escaped."""
    escaped = False
    at += 1
    while True:
        more = plain(text, at)
        while more == WIDE:
            at += WIDE
            more = plain(text, at)
        at += more
        one = text[at]
        if one == 34:
            return at, escaped
        if one < 32:
            return -1, escaped
        if one == 92:
            escaped = True
            at += 1
            one = text[at]
            if one == 117:
                for _ in range(4):
                    at += 1
                    one = text[at]
                    if not (48 <= one <= 57 or 65 <= one <= 70 or 97 <= one <= 102):
                        return -1, escaped
            elif not (
                one == 34 or one == 92 or one == 47 or one == 98 or one == 102 or one == 110 or one == 114
                or one == 116
            ):  # fmt: skip
                return -1, escaped
        at += 1


@inlined
def _more(text: Bytes, at: int, closing: int) -> tuple[int, bool]:
    """After a value of a list or an object: the place behind the comma or the bracket that closes it, and
    whether another value is to come; -1 where neither stands there."""
    at = _space(text, at)
    if text[at] == closing:
        return at + 1, False
    return at + 1 if text[at] == 44 else -1, text[at] == 44


@compiled
def _scalar(text: Bytes, at: int) -> int:
    """The end of a number without an exponent, or of true, false, null; -1 where there is none."""
    one = text[at]
    if one == 110:
        return at + 4 if text[at + 1] == 117 and text[at + 2] == 108 and text[at + 3] == 108 else -1
    if one == 116:
        return at + 4 if text[at + 1] == 114 and text[at + 2] == 117 and text[at + 3] == 101 else -1
    if one == 102:
        if text[at + 1] == 97 and text[at + 2] == 108 and text[at + 3] == 115 and text[at + 4] == 101:
            return at + 5
        return -1
    if one == 45:
        at += 1
    begin = at
    while 48 <= text[at] <= 57:
        at += 1
    if at == begin or at - begin > 15 or (text[begin] == 48 and at - begin > 1):
        return -1
    if text[at] == 46:
        begin = at + 1
        at = begin
        while 48 <= text[at] <= 57:
            at += 1
        if at == begin or at - begin > 15:
            return -1
    return -1 if text[at] == 101 or text[at] == 69 else at


@compiled
def _key(text: Bytes, at: int) -> tuple[int, int, int]:
    """A name and its colon: where the name begins and ends, and where its value begins; -1 for none.

    A name with an escape is none: which one it is nobody here knows.
    """
    at = _space(text, at)
    if text[at] != 34:
        return 0, 0, -1
    end, escaped = _string(text, at)
    if end < 0 or escaped:
        return 0, 0, -1
    colon = _space(text, end + 1)
    if text[colon] != 58:
        return 0, 0, -1
    return at + 1, end, _space(text, colon + 1)


@compiled
def _skip(text: Bytes, at: int) -> int:
    """The end of any value that is not deep; -1 where there is none."""
    depth, objects = 0, 0
    while True:
        at = _space(text, at)
        one = text[at]
        opened = one == 123 or one == 91
        if one == 34:
            at, _ = _string(text, at)
            if at < 0:
                return -1
            at += 1
        elif opened:
            depth += 1
            if depth > _DEEPEST:
                return -1
            objects = objects << 1 | (one == 123)
            at = _space(text, at + 1)
            if text[at] != (125 if one == 123 else 93):
                if one == 123:
                    _, _, at = _key(text, at)
                    if at < 0:
                        return -1
                continue
        else:
            at = _scalar(text, at)
            if at < 0:
                return -1
        while depth > 0:
            at, more = _more(text, at, 125 if objects & 1 else 93)
            if at < 0:
                return -1
            if not more:
                depth -= 1
                objects >>= 1
                continue
            if objects & 1:
                _, _, at = _key(text, at)
                if at < 0:
                    return -1
            break
        else:
            return at
        continue


@compiled
def _named(names: Names, text: Bytes, begin: int, end: int) -> int:
    """Which of the names it is, or -1."""
    size = end - begin
    if size >= _LONGEST:
        return -1
    at = names.first[size]
    while at >= 0:
        name = names.begin[at]
        same = 0
        while same < size and names.text[name + same] == text[begin + same]:
            same += 1
        if same == size:
            return at
        at = names.next[at]
    return -1


@inlined
def _field(names: Names, text: Bytes, at: int, usual: Ints, slot: int) -> tuple[int, int]:
    """A name and its colon: which of the names it is, or -1, and where its value begins, or -1.

    Calls are written by programs, so most often it is the one that stood at its place in the record before,
    and then it is compared and not read. `usual` remembers of each place: where one stood, how long it was
    with all up to its colon, and which it is.
    """
    at = _space(text, at)
    size = usual[slot, 1]
    if 0 < size <= agreeing(text, at, usual[slot, 0]):
        return usual[slot, 2], _space(text, at + size)
    begin, end, value = _key(text, at)
    if value < 0:
        return -1, -1
    field = _named(names, text, begin, end)
    size = end + 2 - at
    if size <= WIDE and text[end + 1] == 58:
        usual[slot, 0], usual[slot, 1], usual[slot, 2] = at, size, field
    return field, value


@inlined
def _text(text: Bytes, at: int) -> tuple[int, int, int]:
    """A plain text or null: where it begins and ends, and the end of the value; -1 for anything else."""
    if text[at] == 34:
        end, escaped = _string(text, at)
        if end < 0 or escaped:
            return 0, 0, -1
        return at + 1, end, end + 1
    if text[at] == 110:
        return 0, 0, _scalar(text, at)
    return 0, 0, -1


@compiled
def _two(text: Bytes, at: int) -> int:
    """Two digits; below 0 where they are none."""
    tens, ones = text[at], text[at + 1]
    return (tens - 48) * 10 + ones - 48 if 48 <= tens <= 57 and 48 <= ones <= 57 else -10_000_000


@compiled
def _instant(text: Bytes, begin: int, end: int) -> int:
    """As `rates.wire.instants`: 0 for none, `NEVER` where it names no real instant."""
    size = end - begin
    if size == 0:
        return 0
    if size != 8 and size != 14:
        return NEVER
    year, month = _two(text, begin) * 100 + _two(text, begin + 2), _two(text, begin + 4)
    day = _two(text, begin + 6)
    if year < 2000 or year > 2099 or month < 1 or month > 12 or day < 1:
        return NEVER
    leap = year % 4 == 0
    last = 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
    if month == 2:
        last = 29 if leap else 28
    if day > last:
        return NEVER
    # Days since 1970, counted in years that begin with March.
    shifted = year - 1 if month <= 2 else year
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
    days += (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 719_468
    second = 0
    if size == 14:
        hour, minute, seconds = _two(text, begin + 8), _two(text, begin + 10), _two(text, begin + 12)
        if hour < 0 or hour > 23 or minute < 0 or minute > 59 or seconds < 0 or seconds > 59:
            return NEVER
        second = hour * 3600 + minute * 60 + seconds
    return days * 86_400 - LOCAL + second


@compiled
def _status(text: Bytes, begin: int, end: int) -> int:
    """1–10, or 0 where it is no status."""
    if end - begin == 1 and 49 <= text[begin] <= 57:
        return text[begin] - 48
    if end - begin == 2 and text[begin] == 49 and text[begin + 1] == 48:
        return 10
    return 0


@compiled
def _is(text: Bytes, begin: int, end: int, digit: int) -> bool:
    return end - begin == 1 and text[begin] == digit


@compiled
def _unescaped(text: Bytes, at: int) -> tuple[Any, int]:
    """The character at a place, and the next place; -1 for one that is told by its number."""
    if text[at] != 92:
        return np.int64(text[at]), at + 1
    one = text[at + 1]
    if one == 117:
        return -1, at + 2
    if one == 98:
        return 8, at + 2
    if one == 102:
        return 12, at + 2
    if one == 110:
        return 10, at + 2
    if one == 114:
        return 13, at + 2
    if one == 116:
        return 9, at + 2
    return np.int64(one), at + 2


@compiled
def _same(text: Bytes, one: int, one_end: int, other: int, other_end: int) -> int:
    """Whether two texts say the same, escapes read: 1 or 0; -1 where this cannot tell."""
    while one < one_end and other < other_end:
        a, one = _unescaped(text, one)
        b, other = _unescaped(text, other)
        if a < 0 or b < 0:
            return -1
        if a != b:
            return 0
    return 1 if one == one_end and other == other_end else 0


@inlined
def _list(
    names: Names,
    text: Bytes,
    at: int,
    latest: int,
    kind: int,
    links: Ints,
    found: Ints,
    usual: Ints,
    slot: int,
) -> int:
    """A list of objects of a record; returns its end, or -1.

    `found`: the facts, when supplements were last asked for or came in, how many links were found. `links`:
    where each begins and ends.
    """
    if text[at] == 110:
        return _scalar(text, at)
    if text[at] != 91:
        return -1
    at = _space(text, at + 1)
    if text[at] == 93:
        return at + 1
    while True:
        at = _space(text, at)
        if text[at] != 123:
            return -1
        at = _space(text, at + 1)
        link = link_end = 0
        seen, place = 0, slot
        if text[at] == 125:
            at += 1
        else:
            while True:
                field, at = _field(names, text, at, usual, place)
                if at < 0:
                    return -1
                place += place < slot + _INNER_PLACES - 1
                mine = (
                    field == _RESULT_LINK if kind == _RESULTS
                    else field in (_PAPER_LINK, _DUOC_SO_HOA) if kind == _PAPERS
                    else field == _MA_CSDL if kind == _CSDL
                    else field in (_NGAY_BO_SUNG, _NGAY_BO_SUNG_IN)
                )  # fmt: skip
                if not mine:
                    at = _skip(text, at)
                elif seen >> (field - _END_RECORD) & 1:
                    return -1
                elif field in (_RESULT_LINK, _PAPER_LINK):
                    seen |= 1 << (field - _END_RECORD)
                    if text[at] == 34:
                        link = at + 1
                        link_end, _ = _string(text, at)
                        at = link_end + 1 if link_end >= 0 else -1
                    else:
                        _, _, at = _text(text, at)
                else:
                    seen |= 1 << (field - _END_RECORD)
                    begin, end, at = _text(text, at)
                    if at < 0:
                        return -1
                    if field == _DUOC_SO_HOA:
                        if _is(text, begin, end, 49):
                            found[0] |= DIGITISED
                    elif field == _MA_CSDL:
                        if _is(text, begin, end, 49) or _is(text, begin, end, 55):
                            found[0] |= POPULATION_DATABASE
                    else:
                        time = _instant(text, begin, end)
                        if 0 < time <= latest and time > found[1]:
                            found[1] = time
                if at < 0:
                    return -1
                at, more = _more(text, at, 125)
                if at < 0:
                    return -1
                if not more:
                    break
        if link_end > link:
            if found[2] == _LINKS:
                return -1
            links[2 * found[2]] = link
            links[2 * found[2] + 1] = link_end
            found[2] += 1
        at, more = _more(text, at, 93)
        if at < 0 or not more:
            return at


@inlined
def _record(
    names: Names, text: Bytes, at: int, latest: int, out: Any, row: int, scratch: Any, usual: Ints
) -> int:
    """A record into a row of the columns; returns its end, or -1."""
    papers, results, found, result_found = scratch[0], scratch[1], scratch[2], scratch[3]
    found[:3] = 0
    result_found[:3] = 0
    for field in range(_PAIR + 1):
        out[field, row] = 0
    if text[at] != 123:
        return -1
    at = _space(text, at + 1)
    if text[at] == 125:
        return -1  # without a number it is no record
    seen = place = 0
    while True:
        field, at = _field(names, text, at, usual, place)
        if at < 0:
            return -1
        place += place < _PLACES - 1
        if field < _BEGIN_RECORD or field >= _END_RECORD:
            at = _skip(text, at)
        elif seen >> (field - _BEGIN_RECORD) & 1:
            return -1
        else:
            seen |= 1 << (field - _BEGIN_RECORD)
            if field == _RESULTS:
                at = _list(names, text, at, latest, field, results, result_found, usual, _PLACES)
            elif field in (_PAPERS, _CSDL, _ROUNDS):
                slot = _PLACES + _INNER_PLACES * (1 if field == _PAPERS else 2 if field == _CSDL else 3)
                at = _list(names, text, at, latest, field, papers, found, usual, slot)
            else:
                begin, end, at = _text(text, at)
                if at < 0:
                    return -1
                if field == _MA_HO_SO:
                    out[_NUMBER, row], out[_NUMBER_END, row] = begin, end
                elif field == _TRANG_THAI_HO_SO:
                    out[_STATUS, row] = _status(text, begin, end)
                elif field == _MA_TTHC:
                    out[_PROCEDURE, row], out[_PROCEDURE_END, row] = begin, end
                elif field == _MA_LINH_VUC:
                    out[_SECTOR, row], out[_SECTOR_END, row] = begin, end
                elif field == _SO_HOA:
                    if _is(text, begin, end, 49):
                        found[0] |= DIGITISED
                elif field == _VNEID:
                    if _is(text, begin, end, 49):
                        found[0] |= POPULATION_DATABASE
                elif field == _TRANG_THAI:
                    out[_ROW_STATUS, row] = _status(text, begin, end)
                else:
                    time = _instant(text, begin, end)
                    if field == _NGAY_TIEP_NHAN:
                        out[_RECEIVED, row] = time
                    elif field == _NGAY_KET_THUC:
                        out[_ENDED, row] = time
                    elif field == _NGAY_TRA:
                        out[_RETURNED, row] = time
                    elif field == _NGAY_HEN:
                        out[_DUE, row] = time
                    elif field == _NGAY_TU_CHOI:
                        out[_REFUSED, row] = time
                    elif field == _NGAY_NOP:
                        out[_SUBMITTED, row] = time
                    else:
                        out[_ROW_TIME, row] = time
        if at < 0:
            return -1
        at, more = _more(text, at, 125)
        if at < 0:
            return -1
        if not more:
            break
    # A result that points at one of the dossier's own input papers was never issued (domain: G2).
    facts = found[0]
    for result in range(result_found[2]):
        facts |= E_RESULT
        own = 0
        for paper in range(found[2]):
            own = _same(
                text,
                results[2 * result], results[2 * result + 1], papers[2 * paper], papers[2 * paper + 1],
            )  # fmt: skip
            if own != 0:
                break
        if own < 0:
            return -1
        if own == 0:
            facts |= E_RESULT_CLEAN
            break
    out[_FACTS, row] = facts
    out[_ASKED, row] = found[1]
    return at


@compiled
def numbered(text: Bytes, begin: int, end: int, date: Any, serial: Any) -> None:
    """The date and the serial of what follows a number's unit, `231002-0147`, or `ABSENT`.

    A serial is `digits << 30 | value`, so that `0147` and `147` differ.
    """
    date[0], serial[0] = ABSENT, 0
    size = end - begin - 7
    if size < 1 or size > _DIGITS or text[begin + 6] != 45:
        return
    day = _two(text, begin) * 10_000 + _two(text, begin + 2) * 100 + _two(text, begin + 4)
    if day < 0:
        return
    value = 0
    for at in range(begin + 7, end):
        if not 48 <= text[at] <= 57:
            return
        value = value * 10 + text[at] - 48
    date[0], serial[0] = day, size << 30 | value


@compiled
def _hashed(text: Bytes, begin: int, end: int, seed: int) -> int:
    found = seed
    for at in range(begin, end):
        found = (found ^ text[at]) * 1_099_511_628_211
    return found ^ (found >> 29)


@compiled
def _call(
    names: Names, text: Bytes, at: int, latest: int, out: Any, row: int, scratch: Any, usual: Ints, head: Ints
) -> int:
    """A call into rows from `row` on; returns how many records it has, or -1.

    `head`: what it is, and where its sender's code begins and ends.
    """
    at = _space(text, at)
    if text[at] != 123:
        return -1
    at += 1
    seen, records = 0, -1
    head[0] = head[1] = head[2] = 0
    while True:
        name, name_end, at = _key(text, at)
        if at < 0:
            return -1
        field = _named(names, text, name, name_end)
        if field < 0 or field >= _BEGIN_RECORD:
            at = _skip(text, at)
        elif seen >> field & 1:
            return -1
        elif field == _DATA:
            seen |= 1 << field
            if text[at] != 91:
                return -1
            records = 0
            at = _space(text, at + 1)
            if text[at] == 93:
                at += 1
            else:
                while True:
                    if records == MAX_RECORDS or row + records == out.shape[1]:
                        return -1
                    at = _record(names, text, _space(text, at), latest, out, row + records, scratch, usual)
                    if at < 0:
                        return -1
                    records += 1
                    at, more = _more(text, at, 93)
                    if at < 0:
                        return -1
                    if not more:
                        break
        else:
            seen |= 1 << field
            begin, end, at = _text(text, at)
            if at < 0:
                return -1
            if field == _MADONVI:
                head[1], head[2] = begin, end
            else:
                service = _named(names, text, begin, end)
                head[0] = (
                    FULL if service == _FULL_SERVICE else PROGRESS if service == _PROGRESS_SERVICE else 0
                )
        if at < 0:
            return -1
        at, more = _more(text, at, 125)
        if at < 0:
            return -1
        if not more:
            break
    at = _space(text, at)
    head[3] = at
    return records if head[0] else -1


def scan(
    text: Bytes, ends: Ints, keys: Bytes, key_ends: Ints, latest: Ints, seed: int, out: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """Read calls into columns.

    `text`: the calls, each followed by a 0, which stands at its place of `ends`, and behind the last one
    `WIDE` bytes of anything; `keys`: the codes of the units that they came under, ended likewise. `latest`:
    after which second since 1970 UTC a time of each call counts as none. `out`: int64 columns as `FIELDS`,
    with room for as many records as there may be.

    Returns, for each call: what it is (0: left unread), how many records it has, and where its sender's code
    begins and ends. Calls that are left unread have no rows in `out`.
    """
    heads = np.zeros((4, len(ends)), np.int64)
    scratch = np.zeros((4, 2 * _LINKS), np.int64)
    usual = np.zeros((_PLACES + 4 * _INNER_PLACES, 3), np.int64)
    _scan(NAMES, text, ends, keys, key_ends, latest, seed, out, heads, scratch, usual, np.zeros(4, np.int64))
    kind, records, sender, sender_end = heads
    return kind, records, sender, sender_end


@compiled
def _scan(
    names: Names,
    text: Bytes,
    ends: Ints,
    keys: Bytes,
    key_ends: Ints,
    latest: Ints,
    seed: int,
    out: Ints,
    heads: Ints,
    scratch: Ints,
    usual: Ints,
    head: Ints,
) -> None:
    names = Names(borrowed(names.text), borrowed(names.begin), borrowed(names.first), borrowed(names.next))
    text, keys, out, usual = borrowed(text), borrowed(keys), borrowed(out), borrowed(usual)
    scratch, head = borrowed(scratch), borrowed(head)
    row = begin = key = 0
    for call in range(len(ends)):
        records = _call(names, text, begin, latest[call], out, row, scratch, usual, head)
        size = key_ends[call] - key
        sound = records >= 0 and head[3] == ends[call]
        for at in range(row, row + records) if sound else range(0):
            number, number_end = out[_NUMBER, at], out[_NUMBER_END, at]
            same = 0
            if number_end - number > size and text[number + size] == 45:
                while same < size and text[number + same] == keys[key + same]:
                    same += 1
            if head[0] == FULL:
                known = out[_STATUS, at] > 0
            else:
                known = out[_ROW_STATUS, at] > 0 and 0 < out[_ROW_TIME, at] <= latest[call]
            if same != size or not known:
                sound = False
                break
            numbered(text, number + size + 1, number_end, out[_DATE, at:], out[_SERIAL, at:])
            pair = _hashed(text, out[_PROCEDURE, at], out[_PROCEDURE_END, at], seed)
            out[_PAIR, at] = _hashed(text, out[_SECTOR, at], out[_SECTOR_END, at], pair + 1)
            out[_CALL, at] = call
        if sound:
            heads[0, call], heads[1, call] = head[0], records
            heads[2, call], heads[3, call] = head[1], head[2]
            row += records
        begin = ends[call] + 1
        key = key_ends[call] + 1


@compiled
def alike(text: Bytes, begin: Ints, end: Ints, first: Ints) -> bool:
    """Whether each text is the same as that of the row that is its `first`; behind all are `WIDE` bytes."""
    for at in range(len(begin)):
        other = first[at]
        size = end[at] - begin[at]
        if end[other] - begin[other] != size:
            return False
        same, more = 0, WIDE
        while same < size and more == WIDE:
            more = agreeing(text, begin[at] + same, begin[other] + same)
            same += more
        if same < size:
            return False
    return True


@compiled
def dated(text: Bytes, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Of each text, which follows a number's unit, the date (`yymmdd`, or `ABSENT`) and the serial."""
    date, serial = np.zeros(len(begin), np.int64), np.zeros(len(begin), np.int64)
    for at in range(len(begin)):
        numbered(text, begin[at], end[at], date[at:], serial[at:])
    return date, serial


@compiled
def numbers(text: Bytes, begin: Ints, unit: Ints, date: Ints, serial: Ints) -> tuple[Bytes, Ints]:
    """Numbers written out: of each the unit (of `text`, beginning at `begin`), the date, the serial."""
    ends = np.zeros(len(unit) + 1, np.int64)
    for at in range(len(unit)):
        ends[at + 1] = ends[at] + begin[unit[at] + 1] - begin[unit[at]] + 8 + (serial[at] >> 30)
    found = np.empty(ends[-1], np.uint8)
    for at in range(len(unit)):
        to = ends[at]
        for byte in range(begin[unit[at]], begin[unit[at] + 1]):
            found[to] = text[byte]
            to += 1
        found[to] = found[to + 7] = 45
        day = date[at]
        for byte in range(6):
            found[to + 6 - byte] = 48 + day % 10
            day //= 10
        value = serial[at] & ((1 << 30) - 1)
        for byte in range(ends[at + 1] - 1, to + 7, -1):
            found[byte] = 48 + value % 10
            value //= 10
    return found, ends


@compiled
def gathered(text: Bytes, begin: Ints, of: Ints) -> tuple[Bytes, Ints]:
    """Some of the texts, one after the other, and where each ends."""
    ends = np.zeros(len(of) + 1, np.int64)
    for at in range(len(of)):
        ends[at + 1] = ends[at] + begin[of[at] + 1] - begin[of[at]]
    found = np.empty(ends[-1], np.uint8)
    for at in range(len(of)):
        for byte in range(ends[at + 1] - ends[at]):
            found[ends[at] + byte] = text[begin[of[at]] + byte]
    return found, ends
