"""Raw Kafka messages that no well-behaved sender would send, for putting into the topic directly.

`junk(seed, n)` makes every kind at least once where `n` allows, in an order of its own. Those that can be
understood all speak of Cao Bằng's units `H14.910` to `H14.939`, which no `world` uses, so that junk and log
may be mixed in any order without changing the answer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

Message = tuple[bytes | None, bytes, int]
Maker = Callable[[random.Random, str], bytes]

RECORDS = "DongBoHoSoMC"

KIB = 1024
LIMIT = 8 * KIB * KIB
NOON = 1_760_000_000_000  # October 2025, in milliseconds
DEEP = 100_000


def _record(rng: random.Random, unit: str, **fields: object) -> dict[str, object]:
    day = f"2025{rng.randrange(1, 10):02}{rng.randrange(1, 29):02}"
    return {
        "MaHoSo": f"{unit}-{day[2:]}-{rng.randrange(40):04}",
        "MaTTHC": f"9.9000{rng.randrange(1, 21):02}",
        "TrangThaiHoSo": str(rng.randrange(1, 11)),
        "NgayTiepNhan": day + "083000",
        "NgayKetThucXuLy": day + "163000",
        "DanhSachGiayToKetQua": [{"DuongDanTepTinKetQua": "https://ra"}] if rng.random() < 0.5 else [],
    } | fields


def _call(records: list[object], unit: str, service: object = RECORDS, **fields: object) -> bytes:
    call = {"service": service, "madonvi": unit, "isUpdating": "True", "data": records} | fields
    return json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode()


def _valid(rng: random.Random, unit: str) -> bytes:
    return _call([_record(rng, unit) for _ in range(rng.randrange(1, 8))], unit)


def _with(raw: bytes) -> Maker:
    """A call, one field of which, never declared, holds these bytes."""

    def make(rng: random.Random, unit: str) -> bytes:
        return _call([_record(rng, unit, ChuHoSo="@")], unit).replace(b'"@"', raw)

    return make


def _call_with(raw: bytes) -> Maker:
    """A valid call with these bytes as one more field before all others."""

    def make(rng: random.Random, unit: str) -> bytes:
        return b"{" + raw + b"," + _valid(rng, unit)[1:]

    return make


def _sandwich(before: bytes, after: bytes) -> Maker:
    return lambda rng, unit: before + _valid(rng, unit) + after


def _fixed(value: bytes) -> Maker:
    return lambda _rng, _unit: value


def _truncated(rng: random.Random, unit: str) -> bytes:
    value = _valid(rng, unit)
    return value[: rng.randrange(len(value))]


def _flipped(rng: random.Random, unit: str) -> bytes:
    """One byte of a valid call made 0xFF, which UTF-8 never holds."""
    value = bytearray(_valid(rng, unit))
    value[rng.randrange(len(value))] = 0xFF
    return bytes(value)


def _padded(size: int) -> Maker:
    """A valid call of exactly so many bytes, the weight in an undeclared field."""

    def make(rng: random.Random, unit: str) -> bytes:
        value = _call([_record(rng, unit, ChuHoSo="@")], unit)
        return value.replace(b"@", b"x" * (size - len(value) + 1))

    return make


def _duplicate(rng: random.Random, unit: str) -> bytes:
    value = _valid(rng, unit)
    return value.replace(b'"MaHoSo":', b'"MaHoSo":"?","MaHoSo":').replace(b'"data":', b'"data":[7],"data":')


def _records(make: Callable[[random.Random, str], list[object]], service: object = RECORDS) -> Maker:
    return lambda rng, unit: _call(make(rng, unit), unit, service)


def _service(service: object) -> Maker:
    return lambda rng, unit: _call([_record(rng, unit)], unit, service)


def _data(data: object) -> Maker:
    return lambda _rng, unit: _call([], unit, data=data)


def _each(field: str, *values: object) -> Maker:
    """A call of records that differ in one field."""
    return _records(lambda rng, unit: [_record(rng, unit, **{field: value}) for value in values])


def _steps(field: str, *values: object) -> Maker:
    """A call of progress rows that differ in one field."""
    row = {"TrangThai": "9", "ThoiDiemXuLy": "20250303"}
    return _records(
        lambda _rng, unit: [row | {"MaHoSo": f"{unit}-1", field: value} for value in values],
        "CapNhatTienDoHoSoMC",
    )


def _sent_by(sender: Callable[[str], object]) -> Maker:
    return lambda rng, unit: _call([_record(rng, unit)], unit, madonvi=sender(unit))


def _as(encoding: str) -> Maker:
    return lambda rng, unit: _valid(rng, unit).decode().encode(encoding)


HUGE: list[Maker] = [_padded(9 * KIB * KIB), _padded(LIMIT + 1), _padded(LIMIT)]
DEEP_ARRAY = b"[" * DEEP + b"]" * DEEP
DEEP_OBJECT = b'{"a":' * DEEP + b"1" + b"}" * DEEP

# not JSON, though a hasty reader skips over them
NO_VALUES = (
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"1e",
        b"0x1",
        b"tru",
        b"-",
        b"",
        b"nulll",
    ),
    *(b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe1\xbb"', b'"\x80"'),
    *(b'"\\x41"', b'"\\u12"', b'"\\u12g4"', b'"\\"', b'"\x01"', b'"\n"', b'"\x00"', b"'x'", b"[1,]"),
    *(b'"\\ud800"', b'"\\udc00"', b'"\\ud800x\\udc00"', b'"\\ud800\\ud800"', b'"\\udfff\\ud800"'),
    *(b'{"\\ud800":1}', b'{"a" 1}', b'{"a":1,}', b"{1:2}", b"{,}", b"[}", b"[1 2]", b'["\\ud83d"]'),
)
NO_FIELDS = (
    *(b'"x":NaN', b'"\\udead":1', b'"x":"\xff"', b'"\xff":1', b'"x":"\\q"', b'"x":[1,,2]', b'"x":00'),
    *(b'"x"', b"x:1", b'"x":1,', b'"\t":1'),
)
# odd, and JSON all the same
VALUES = (
    *(b'"\\ud83d\\ude00"', b'"\\\\ud800"', b'"\\/\\b\\f\\u0000"', b"1e999", b"-0.0e-0", b"[[]]", b"{}"),
    *(b"7" * 5000, '"\u2028\ufffe😀"'.encode(), b'{"a":1,"a":2,"":[{}]}', b"[" * 50 + b"]" * 50, b'"\x7f"'),
)
FIELDS = (b'"x":1e400', b'"service":"?"', b'"madonvi":7', b'"data":{}', b'"data":[null]', b'"":{"":[]}')

KINDS: list[Maker] = [
    _valid,
    _truncated,
    _flipped,
    _duplicate,
    lambda rng, _unit: rng.randbytes(rng.randrange(1, 200)),
    *map(_fixed, (b"", b" ", b"null", b"true", b"{}", b"[]", b"5", b'""', b"\x00", b"{", b"NaN", b"'x'")),
    *map(_fixed, (DEEP_ARRAY, DEEP_OBJECT)),
    *map(_with, (DEEP_ARRAY, DEEP_OBJECT, *NO_VALUES, *VALUES)),
    *map(_call_with, (*NO_FIELDS, *FIELDS)),
    _sandwich(b" \t\r\n", b"\r\n\t "),
    *(_sandwich(before, b"") for before in (b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\x0b", b"\xa0", b"//\n")),
    *(_sandwich(b"", after) for after in (b"{}", b",", b"\0", b"]", b"\xff", b"\x0c", b"#", b"\xef\xbb\xbf")),
    *map(_as, ("utf-16", "utf-16-le", "utf-32")),
    *map(_service, ("TraCuuHoSo", "", None, 1, True, [RECORDS], {}, RECORDS + "\0", RECORDS.upper())),
    *map(_data, (None, {}, "x", 1, True, {"0": {"MaHoSo": "H14.910-1"}})),
    _data([]),
    _records(lambda rng, unit: [_record(rng, unit)] * 500),
    _records(lambda rng, unit: [_record(rng, unit)] * 501),
    _records(lambda _rng, _unit: [None] * 4_097),
    _records(lambda rng, unit: [None, 7, "x", [], True, [_record(rng, unit)], {}, _record(rng, unit)]),
    _records(lambda rng, unit: [_record(rng, "H14.950"), _record(rng, unit)]),
    _records(lambda rng, unit: [_record(rng, unit, MaHoSo=unit), _record(rng, unit, MaHoSo=unit + "-")]),
    _each("MaHoSo", "", "?", None, 7, "-", "H14.910 -1", ["H14.910-1"]),
    _each("TrangThaiHoSo", "0", "11", None, 9, 9.0, [], "10"),
    _each("NgayTiepNhan", None, "20250230", 20250202, "20250202", "29990101", {}),
    _each("DanhSachGiayToKetQua", None, [None, 7], {}, [{"DuongDanTepTinKetQua": 7}], [[]]),
    _steps("ThoiDiemXuLy", "20250101", "", None, 20250202, "20250230", "20990101", "20250101000000x"),
    _steps("TrangThai", "1", "10", "", 4, None, "99"),
    *map(_sent_by, (lambda _unit: "", lambda unit: unit + ".1", lambda _unit: "H14", lambda _unit: ["H14"])),
]


def _key(rng: random.Random, unit: str) -> bytes | None:
    """Mostly the unit; else one under which nothing of the unit counts."""
    right = unit.encode()
    if rng.random() < 0.9:
        return right
    return rng.choice((None, b"", b"\xff\xfe", b"H14", right + b"\0", right + b"-1"))


def junk(seed: int, n: int) -> list[Message]:
    """So many messages: key, value, timestamp in milliseconds. Three of them weigh 8 to 9 MB."""
    rng = random.Random(seed)
    kinds = [*KINDS, *HUGE]
    makers = [*kinds, *rng.choices(KINDS, k=max(0, n - len(kinds)))][:n]
    messages: list[Message] = []
    for make in makers:
        unit = f"H14.{rng.randrange(910, 940)}"
        time = rng.choice((NOON, NOON, NOON + 999, NOON + rng.randrange(10**10), 1))
        messages.append((_key(rng, unit), make(rng, unit), time))
    rng.shuffle(messages)
    return messages
