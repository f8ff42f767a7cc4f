"""The national portal's sync calls, and nothing else from the outside world.

It turns one Kafka message, *any bytes at all*, into events (`Full`, `Progress`) and rejections (`Rejection`,
a reason from the closed list `Reason`). Vietnamese wire names stay here and in `rates.declared`.

Promises: `decode` never raises for any bytes; one bad record never costs its neighbours; the same bytes with
the same key, time and register always give the same answer.

Sources: the calls and fields, Government Office synchronisation interface as implemented by provinces
(`DongBoHoSoMC`, `CapNhatTienDoHoSoMC`); unit codes, QCVN 102:2016/BTTTT (old form) and Decision
20/2020/QĐ-TTg (new form); times are local, UTC+7 without daylight saving.
"""

import json
import re
from calendar import timegm
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from rates.declared import (
    FULL_SERVICE,
    LISTS,
    PROGRESS_SERVICE,
    TEXTS,
    Call,
    Record,
    encode,
    items,
    kept_head,
    kept_record,
    members,
)

LOCAL: Final = 7 * 3600
DAY: Final = 86_400
MAX_RECORDS: Final = 500
MAX_BYTES: Final = 8 * 1024 * 1024

BODY: Final = re.compile(r"[HG][0-9]{2}")
UNIT: Final = re.compile(r"(?:[0-9]{1,3}\.){3}[HG][0-9]{2}|[HG][0-9]{2}(?:\.[0-9]{1,3}){0,3}")

_LONGEST_HEAD: Final = 512
_LONGEST_UNIT: Final = len("000.000.000.H00")

# Facts of a full record, as bits. The fold adds RESULT_REQUIRED, from the register, and those that tell of
# a dossier's past, which stay once they are there.
E_RESULT: Final = 1
E_RESULT_CLEAN: Final = 2
DIGITISED: Final = 4
POPULATION_DATABASE: Final = 8
RESULT_REQUIRED: Final = 16
REOPENED: Final = 32
CLOSED_FROM_SUPPLEMENT: Final = 64
DUE_MOVED: Final = 128


class Reason(StrEnum):
    """Why something is a dead letter: of a message the first five, of a record the others.

    The last is not found here: the engine will not store what the record leads to (`streams.batches`).
    """

    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    TOO_MANY_RECORDS = "too_many_records"
    NOT_A_CALL = "not_a_call"
    BAD_FIELD = "bad_field"
    BAD_NUMBER = "bad_number"
    WRONG_UNIT = "wrong_unit"
    UNKNOWN_STATUS = "unknown_status"
    REFUSED = "refused_by_store"


class Senders(Protocol):
    """What decoding asks of the register."""

    def may_send(self, sender: str, unit: str) -> bool: ...


class Full(Struct, frozen=True, gc=False):
    """A full record. Times: seconds since 1970 UTC, 0 where empty. `facts`: bits of this module."""

    number: str
    unit: str
    index: int
    status: int
    status_time: int
    received: int
    completed: int
    due: int
    procedure: str
    sector: str
    facts: int


class Progress(Struct, frozen=True, gc=False):
    """A progress row: a status and since when, nothing more."""

    number: str
    unit: str
    index: int
    status: int
    status_time: int


Event: TypeAlias = Full | Progress


class Rejection(Struct, frozen=True, gc=False):
    """A record, or a whole message (`index` 0, no `fields`), that could not be understood.

    `fields` is the JSON of the record's declared fields, values untouched; "" where nothing parses. `head` is
    that of the call it came in, without the records: with both, the record can be sent again.
    """

    index: int
    reason: Reason
    field: str
    detail: str
    unit: str = ""
    fields: str = ""
    head: str = ""


Decoded: TypeAlias = tuple[list[Event], list[Rejection]]


_as_call = msgspec.json.Decoder(Call)

STATUS: Final = {str(code): code for code in range(1, 11)}
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE: Final = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def is_utf8(value: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def decode(
    value: bytes | None,
    key: bytes | None,
    received_at: int,
    senders: Senders,
    utf8: Callable[[bytes], bool] = is_utf8,
) -> Decoded:
    """One Kafka message → its events and its rejections, in the order of its records.

    `key` is the message's key (the unit), `received_at` its timestamp in seconds since 1970 UTC: a time
    that lies more than a day after it counts as empty, due dates apart. `utf8` may be a faster `is_utf8`.
    """
    return decoded(parsed(value or b"", utf8), value or b"", key, received_at, senders)


def decoded(
    call: "Call | LooseCall | Rejection", value: bytes, key: bytes | None, received_at: int, senders: Senders
) -> Decoded:
    """What a parsed message says, as `decode`."""
    if isinstance(call, Rejection):
        return [], [call]
    progress = call.service == PROGRESS_SERVICE
    unit_of_key = (key or b"").decode("utf-8", "replace")
    sender = call.madonvi or ""
    latest = received_at + DAY
    events: list[Event] = []
    rejections: list[Rejection] = []
    expected = unit_of_key if unit_of(unit_of_key) == unit_of_key else None
    begin = f"{expected}-"
    allowed = expected is not None and senders.may_send(sender, expected)
    read = _progress if progress else _full
    for index, record in enumerate(call.data or ()):
        if record is None:
            rejections.append(Rejection(index, Reason.BAD_FIELD, "data", "the record is not an object"))
            continue
        number = record.MaHoSo or ""
        unit = expected if number.startswith(begin) else unit_of(number)
        if unit is None:
            detail = f"{number[:80]!r} does not begin with the code of a unit"
            rejections.append(Rejection(index, Reason.BAD_NUMBER, "MaHoSo", detail))
            continue
        if unit != expected or not allowed:
            detail = (
                f"{sender[:40]!r} may not send for {unit}"
                if unit == expected
                else f"{unit} under the key {unit_of_key[:40]!r}"
            )
            rejections.append(Rejection(index, Reason.WRONG_UNIT, "madonvi", detail, unit))
            continue
        event = read(record, number, unit, index, latest)
        if isinstance(event, Rejection):
            rejections.append(event)
        else:
            events.append(event)
    if rejections:
        try:
            rejections = with_fields(rejections, value)
        except RecursionError:
            # Nested at the very limit: the whole message is refused, so that no event is half told.
            return [], [_message(Reason.TOO_DEEP, value, "nested too deeply")]
    return events, rejections


def unit_of(number: str) -> str | None:
    """The unit that a dossier number names: the text before its first "-", in either form of the code."""
    unit = number[: _LONGEST_UNIT + 1].partition("-")[0]
    return unit if len(unit) <= _LONGEST_UNIT and _is_unit(unit) else None


@lru_cache(maxsize=65_536)
def _is_unit(text: str) -> bool:
    return UNIT.fullmatch(text) is not None


def strict(value: bytes, utf8: Callable[[bytes], bool] = is_utf8) -> bool:
    """Whether bytes are UTF-8 and hold no lone surrogate escape: the decoder checks neither."""
    if not (value.isascii() or utf8(value)):
        return False
    return b"\\" not in value or _SURROGATE.search(value) is None or _paired(value)


def parsed(value: bytes, utf8: Callable[[bytes], bool] = is_utf8) -> "Call | LooseCall | Rejection":
    """The call that a message is, with records; or why it is none."""
    if len(value) > MAX_BYTES:
        return _message(Reason.TOO_LARGE, value, f"more than {MAX_BYTES} bytes")
    if not strict(value, utf8):
        return _message(Reason.NOT_JSON, value, "not UTF-8, or the escape of half a surrogate pair")
    call: Call | LooseCall | None
    try:
        call = _as_call.decode(value)
    except msgspec.ValidationError:
        # A value of another type than text: legal, rare, and read by the slower rules of `_loose`.
        try:
            call = _loose(value)
        except RecursionError:
            return _message(Reason.TOO_DEEP, value, "nested too deeply")
        except ValueError as error:
            return _message(Reason.NOT_JSON, value, str(error))
    except RecursionError:
        return _message(Reason.TOO_DEEP, value, "nested too deeply")
    except msgspec.DecodeError as error:
        return _message(Reason.NOT_JSON, value, str(error))
    if call is not None and call.data is not None and len(call.data) > MAX_RECORDS:
        return _message(Reason.TOO_MANY_RECORDS, value, f"{len(call.data)} records in one call")
    if call is None or call.data is None or call.service not in (FULL_SERVICE, PROGRESS_SERVICE):
        return _message(Reason.NOT_A_CALL, value, "no known service with a list of records")
    return call


class LooseCall(Struct, gc=False):
    """A call of which some values were of another type; None stands for a record that is not an object."""

    service: str | None = None
    madonvi: str | None = None
    data: list[Record | None] | None = None


def _loose(value: bytes) -> LooseCall | None:
    def refuse(constant: str) -> None:
        msg = f"{constant} is not JSON"
        raise ValueError(msg)

    found: object = json.loads(value.decode(), parse_int=str, parse_float=str, parse_constant=refuse)
    if not isinstance(found, dict):
        return None
    data = found.get("data")
    records: list[Record | None] | None = None
    if isinstance(data, list):
        # Too many are refused by their number: to read millions of them would hold a worker up for longer
        # than its session lasts.
        too_many = len(data) > MAX_RECORDS
        records = [None] * len(data) if too_many else [_loose_record(item) for item in data]
    return LooseCall(
        service=_loose_text(found.get("service")),
        madonvi=_loose_text(found.get("madonvi")),
        data=records,
    )


def _loose_record(found: object) -> Record | None:
    if not isinstance(found, dict):
        return None
    record = Record()
    for name in TEXTS:
        setattr(record, name, _loose_text(found.get(name)))
    for name, kind in LISTS.items():
        listed = found.get(name)
        if isinstance(listed, list):
            inner = [
                kind(**{field: _loose_text(item.get(field)) for field in kind.__struct_fields__})
                for item in listed
                if isinstance(item, dict)
            ]
            setattr(record, name, inner)
    return record


def _loose_text(found: object) -> str | None:
    return found if isinstance(found, str) else None


def _paired(value: bytes) -> bool:
    """Whether the escapes of surrogates come in pairs, high then low, and none stands alone."""
    expected = -1
    for escape in _ESCAPE.finditer(value):
        unit = int(escape[1], 16) if escape[1] else 0
        if expected >= 0:
            if escape.start() != expected or not 0xDC00 <= unit < 0xE000:
                return False
            expected = -1
        elif 0xDC00 <= unit < 0xE000:
            return False
        elif 0xD800 <= unit < 0xDC00:
            expected = escape.end()
    return expected < 0


def _message(reason: Reason, value: bytes, detail: str) -> Rejection:
    return Rejection(0, reason, "", f"{detail}; {len(value)} bytes, sha256 {sha256(value).hexdigest()}")


def with_fields(rejections: list[Rejection], value: bytes) -> list[Rejection]:
    """The same rejections with what may be kept of their records; read only where there is one."""
    call = members(value.strip()) or {}
    records = items(call.get("data")) or []
    head = encode(kept_head(call)).decode()
    if len(head) > _LONGEST_HEAD:
        # Each record of a call keeps it: a call of bad ones must not become hundreds of times its size.
        head = ""
    return [
        msgspec.structs.replace(
            rejection, fields=encode(kept_record(records[rejection.index])).decode(), head=head
        )
        for rejection in rejections
    ]


def _progress(record: Record, number: str, unit: str, index: int, latest: int) -> Progress | Rejection:
    status = STATUS.get(record.TrangThai or "")
    if status is None:
        return _unknown_status("TrangThai", record.TrangThai, unit, index)
    time = instant(record.ThoiDiemXuLy, latest)
    if not time:
        late = instant(record.ThoiDiemXuLy) > 0
        wrong = "lies more than a day after its receipt" if late else "is no time of progress"
        detail = f"{(record.ThoiDiemXuLy or '')[:40]!r} {wrong}"
        return Rejection(index, Reason.BAD_FIELD, "ThoiDiemXuLy", detail, unit)
    return Progress(number, unit, index, status, time)


def _full(record: Record, number: str, unit: str, index: int, latest: int) -> Full | Rejection:
    status = STATUS.get(record.TrangThaiHoSo or "")
    if status is None:
        return _unknown_status("TrangThaiHoSo", record.TrangThaiHoSo, unit, index)
    received = instant(record.NgayTiepNhan, latest)
    ended = instant(record.NgayKetThucXuLy, latest)
    returned = instant(record.NgayTra, latest)
    return Full(
        number,
        unit,
        index,
        status,
        _status_time(record, status, received, ended, returned, latest),
        received,
        ended or returned,
        instant(record.NgayHenTra),
        record.MaTTHC or "",
        record.MaLinhVuc or "",
        facts_of(record),
    )


def _status_time(record: Record, status: int, received: int, ended: int, returned: int, latest: int) -> int:
    """When the record's status began: the time that belongs to the status, else the latest that there is."""
    ended, returned = closing(ended), closing(returned)
    if status == 10:
        time = max(returned, ended)
    elif status >= 7:
        time = ended
    elif status == 3:
        time = closing(instant(record.NgayTuChoi, latest))
    elif status == 1:
        time = instant(record.NgayNopHoSo, latest)
    else:
        time = max(received, supplement(record, latest))
    return time or max(
        received,
        ended,
        returned,
        supplement(record, latest),
        closing(instant(record.NgayTuChoi, latest)),
        instant(record.NgayNopHoSo, latest),
    )


def supplement(record: Record, latest: int) -> int:
    """When the last round of supplements of a record was asked for or came in; 0 if there was none."""
    if not record.DanhSachHoSoBoSung:
        return 0
    return max(
        max(instant(round_.NgayBoSung, latest), instant(round_.NgayTiepNhanBoSung, latest))
        for round_ in record.DanhSachHoSoBoSung
    )


def facts_of(record: Record) -> int:
    """The facts that a full record states, as bits of this module."""
    facts = 0
    papers = record.TaiLieuNop or ()
    links = None
    for result in record.DanhSachGiayToKetQua or ():
        if result.DuongDanTepTinKetQua:
            facts = E_RESULT
            # A result that points at one of the dossier's own input papers was never issued (domain: G2).
            if links is None:
                links = {paper.DuongDanTaiTepTin for paper in papers}
            if result.DuongDanTepTinKetQua not in links:
                facts = E_RESULT | E_RESULT_CLEAN
                break
    if record.HoSoCoThanhPhanSoHoa == "1":
        facts |= DIGITISED
    else:
        for paper in papers:
            if paper.DuocSoHoa == "1":
                facts |= DIGITISED
                break
    if record.TaiKhoanDuocXacThucVoiVNeID == "1":
        facts |= POPULATION_DATABASE
    else:
        for database in record.DSKetNoiCSDL or ():
            if database.MaCSDL in ("1", "7"):
                facts |= POPULATION_DATABASE
                break
    return facts


def _unknown_status(field: str, text: str | None, unit: str, index: int) -> Rejection:
    return Rejection(index, Reason.UNKNOWN_STATUS, field, f"{(text or '')[:40]!r} is no status", unit)


def instant(text: str | None, latest: int = 1 << 40) -> int:
    """A wire time, `yyyyMMddHHmmss` or `yyyyMMdd` (midnight), local → seconds since 1970 UTC.

    0 where it names no real instant in 2000–2099, or one after `latest`.
    """
    if not text:
        return 0
    time = _MIDNIGHTS[text[:8]] + _CLOCK[text[8:]]
    return time if 0 < time <= latest else 0


def instants(texts: Iterable[str | None]) -> list[int]:
    """Wire times as `instant` reads them, late ones too; below 0 where one names no real instant."""
    return [_MIDNIGHTS[text[:8]] + _CLOCK[text[8:]] if text else 0 for text in texts]


_NEVER: Final = -(1 << 60)
_DIGITS: Final = frozenset("0123456789")


class _Midnights(dict[str, int]):
    """The local midnight of each date, `yyyyMMdd`; `_NEVER` of what is none in 2000–2099."""

    def __missing__(self, date: str) -> int:
        if len(date) != 8 or not _DIGITS.issuperset(date):
            return _NEVER
        year, month, day = int(date[:4]), int(date[4:6]), int(date[6:])
        if not 2000 <= year <= 2099 or not 1 <= month <= 12:
            return _NEVER
        leap = year % 4 == 0
        if not 1 <= day <= (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]:
            return _NEVER
        self[date] = timegm((year, month, day, 0, 0, 0)) - LOCAL
        return self[date]


class _Clock(dict[str, int]):
    """The second of the day of each time, `HHmmss` or nothing at all; `_NEVER` of what is none."""

    def __missing__(self, text: str) -> int:
        if len(text) != 6 or not _DIGITS.issuperset(text):
            return _NEVER
        hour, minute, second = int(text[:2]), int(text[2:4]), int(text[4:])
        if hour > 23 or minute > 59 or second > 59:
            return _NEVER
        self[text] = hour * 3600 + minute * 60 + second
        return self[text]


_MIDNIGHTS: Final = _Midnights()
_CLOCK: Final = _Clock({"": 0})


def closing(time: int) -> int:
    """A closing time at local midnight is a date without a time: the last second of its day."""
    return time + DAY - 1 if time and (time + LOCAL) % DAY == 0 else time


def day_of(time: int) -> int:
    """The local day of an instant, as days since 1970."""
    return (time + LOCAL) // DAY
