"""What a recount reads: strict JSON, fields as text, times, one full record.

It decides which bytes are JSON, which text is a time and when a record says that it happened. Nothing
here knows of units, messages or rates. It promises a `Record` for any JSON object whose status is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

HANOI = timezone(timedelta(hours=7))
DAY = 86_400
STAGES = {1: 0, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 2, 8: 2, 9: 2, 10: 3}


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def strict_json(raw: bytes) -> object:
    """Decode UTF-8, strict JSON. Raises ValueError, or RecursionError where the nesting is too deep."""
    text = raw.decode("utf-8")
    value: object = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refuse)
    if SURROGATE.search(text):
        waiting = -1  # where the low half of a pair has to begin
        for escape in ESCAPE.finditer(text):
            code = int(escape[1], 16) if escape[1] else 0
            if waiting >= 0 or 0xDC00 <= code <= 0xDFFF:
                if escape.start() != waiting or not 0xDC00 <= code <= 0xDFFF:
                    raise ValueError("a surrogate without its other half")
                waiting = -1
            elif 0xD800 <= code <= 0xDBFF:
                waiting = escape.end()
        if waiting >= 0:
            raise ValueError("a surrogate without its other half")
    return value


def text_of(holder: dict[str, object], name: str) -> str:
    """A field as text: missing, null and every wrong type are empty, a number is read as written."""
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def objects_of(holder: dict[str, object], name: str) -> list[dict[str, object]]:
    """The objects of an inner list; what is not a list, or in it not an object, is skipped."""
    value = holder.get(name)
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


@lru_cache(maxsize=1 << 17)
def instant(text: str) -> int | None:
    """Seconds since 1970 of a wire time, None where it names no instant of 2000–2099."""
    if not re.fullmatch(r"[0-9]{8}(?:[0-9]{6})?", text) or not "2000" <= text[:4] <= "2099":
        return None
    month, day, hour, minute, second = (int(text[at : at + 2] or "0") for at in (4, 6, 8, 10, 12))
    try:
        return int(datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=HANOI).timestamp())
    except ValueError:
        return None


def end_of_day(time: int | None) -> int | None:
    """A midnight is a date without a time: the last second of its day."""
    if time is not None and (time + 7 * 3600) % DAY == 0:
        return time + DAY - 1
    return time


@lru_cache(maxsize=1 << 16)
def local_day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def day_of(time: int) -> str:
    """The local day, `YYYY-MM-DD`."""
    return local_day((time + 7 * 3600) // DAY)


def latest(times: Iterable[int | None]) -> int | None:
    return max((time for time in times if time is not None), default=None)


def received_at_of(value: object) -> int | None:
    """Seconds since 1970, cut; None without an offset or where it is no time at all."""
    if not isinstance(value, str) or isinstance(value, Number):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Record:
    """What counts of a full record."""

    status: int
    time: int | None
    received: int | None
    completed: int | None
    due: int | None
    procedure: str
    sector: str
    e_result: bool
    e_result_clean: bool
    digitised: bool
    population: bool

    @property
    def rank(self) -> tuple[int, int]:
        return (-1 if self.time is None else self.time, STAGES[self.status])


def read_record(fields: dict[str, object], status: int, received_at: int) -> Record:
    """One full record; times more than a day after it was received are empty, the due date apart."""

    def time(name: str, holder: dict[str, object] = fields) -> int | None:
        found = instant(text_of(holder, name))
        return None if found is not None and found > received_at + DAY else found

    filed, taken, ended, returned, refused = map(
        time, ("NgayNopHoSo", "NgayTiepNhan", "NgayKetThucXuLy", "NgayTra", "NgayTuChoi")
    )
    rounds = [
        time(name, element)
        for element in objects_of(fields, "DanhSachHoSoBoSung")
        for name in ("NgayBoSung", "NgayTiepNhanBoSung")
    ]
    closing = {"ended": end_of_day(ended), "returned": end_of_day(returned), "refused": end_of_day(refused)}
    match status:
        case 10:
            status_time = latest((closing["returned"], closing["ended"]))
        case 7 | 8 | 9:
            status_time = closing["ended"]
        case 3:
            status_time = closing["refused"]
        case 1:
            status_time = filed
        case _:
            status_time = latest((taken, *rounds))
    if status_time is None:
        status_time = latest((filed, taken, *rounds, *closing.values()))

    papers = objects_of(fields, "TaiLieuNop")
    results = objects_of(fields, "DanhSachGiayToKetQua")
    links = {text_of(paper, "DuongDanTepTinKetQua") for paper in results} - {""}
    inputs = {text_of(paper, "DuongDanTaiTepTin") for paper in papers}
    databases = {text_of(element, "MaCSDL") for element in objects_of(fields, "DSKetNoiCSDL")}
    return Record(
        status=status,
        time=status_time,
        received=taken,
        completed=returned if ended is None else ended,
        due=instant(text_of(fields, "NgayHenTra")),
        procedure=text_of(fields, "MaTTHC"),
        sector=text_of(fields, "MaLinhVuc"),
        e_result=bool(links),
        e_result_clean=bool(links - inputs),
        digitised=text_of(fields, "HoSoCoThanhPhanSoHoa") == "1"
        or any(text_of(paper, "DuocSoHoa") == "1" for paper in papers),
        population=text_of(fields, "TaiKhoanDuocXacThucVoiVNeID") == "1" or bool(databases & {"1", "7"}),
    )
