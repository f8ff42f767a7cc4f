"""Portal calls as tests write them: a sound record, of which each test changes one thing."""

import json
from calendar import timegm
from collections.abc import Mapping
from typing import Any, TypeAlias

from rates.wire import Decoded, Full, Progress, Reason, decode
from tests.support.register import SmallRegister

UNIT = "H18.21"
NUMBER = "H18.21-231002-0147"
FULL = "DongBoHoSoMC"
PROGRESS = "CapNhatTienDoHoSoMC"

Json: TypeAlias = Any


def at(text: str) -> int:
    """A local wire time as seconds since 1970 UTC, computed apart from the code under test."""
    padded = text.ljust(14, "0")
    year, month, day = int(padded[:4]), int(padded[4:6]), int(padded[6:8])
    clock = int(padded[8:10]), int(padded[10:12]), int(padded[12:])
    return timegm((year, month, day, *clock, 0, 0, 0)) - 7 * 3600


RECEIVED_AT = at("20240101120000")


def full(**fields: Json) -> dict[str, Json]:
    """A full record, sound and finished; `fields` replace its own."""
    return {
        "MaHoSo": NUMBER,
        "TrangThaiHoSo": "9",
        "MaTTHC": "1.000001",
        "MaLinhVuc": "",
        "NgayTiepNhan": "20231002080000",
        "NgayHenTra": "20231010170000",
        "NgayKetThucXuLy": "20231005100000",
    } | fields


def row(**fields: Json) -> dict[str, Json]:
    """A progress row; `fields` replace its own."""
    return {"MaHoSo": NUMBER, "TrangThai": "4", "ThoiDiemXuLy": "20231003080000"} | fields


def call(records: Json, service: Json = FULL, madonvi: Json = UNIT, **more: Json) -> bytes:
    return json.dumps({"service": service, "madonvi": madonvi, "data": records, **more}).encode()


def decoded(
    value: bytes | None, key: bytes | None = UNIT.encode(), received_at: int = RECEIVED_AT
) -> Decoded:
    return decode(value, key, received_at, SmallRegister())


def decoded_full(**fields: Json) -> Full:
    """The one event of a call with one full record."""
    events, rejections = decoded(call([full(**fields)]))
    assert rejections == []
    (event,) = events
    assert isinstance(event, Full)
    return event


def decoded_row(**fields: Json) -> Progress:
    """The one event of a call with one progress row."""
    events, rejections = decoded(call([row(**fields)], PROGRESS))
    assert rejections == []
    (event,) = events
    assert isinstance(event, Progress)
    return event


def reasons(value: bytes | None, key: bytes | None = UNIT.encode()) -> list[Reason]:
    """Why a message, or its records, are rejected; a message with a rejection has no event for it."""
    return [rejection.reason for rejection in decoded(value, key)[1]]


def reason_of(record: Json, service: str = FULL, madonvi: Json = UNIT) -> str:
    """Why a call with this one record is rejected; "" where it is accepted."""
    events, rejections = decoded(call([record], service, madonvi))
    assert len(events) + len(rejections) == 1
    return rejections[0].reason.value if rejections else ""


def without(record: Mapping[str, Json], *names: str) -> dict[str, Json]:
    return {name: value for name, value in record.items() if name not in names}
