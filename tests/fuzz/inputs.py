"""What is thrown at the decoder and at the pipeline: one Kafka message for each pair of a seed and an index.

Most are real calls (of `tests.recount.worlds` and of the demo's scenario) to which something happened; the
others were never calls, or come from `tests.recount.junk`. The first `LARGE` weigh about ten megabytes.
Every call carries `MARK` where personal data would stand, in fields that nobody declared: wherever it
turns up later, personal data would have.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from producers.scenario import scenario
from rates.register import Register
from tests.recount import junk
from tests.recount.reading import strict_json
from tests.recount.recount import split
from tests.recount.worlds import EMPTY, NO_NUMBER, NO_STATUS, NO_TIME, NUMBERS, encode, world

MARK = "Nguyễn Văn Ẩn Danh 0912345678"
LARGE = 20
BRINK = "nested near the limit"
"""Where two readers may differ: how deep is too deep depends on how deep the reader stands itself."""

MIB = 1024 * 1024
LIMIT = 8 * MIB
ASIDE: dict[str, object] = {"ChuHoSo": MARK, "SoDienThoai": "0912345678", "GhiChu": [{"Email": MARK}]}
TEXTS = ("MaHoSo", "TrangThaiHoSo", "TrangThai", "NgayTiepNhan", "NgayKetThucXuLy", "NgayTra", "ThoiDiemXuLy")
LISTS = ("TaiLieuNop", "DanhSachGiayToKetQua", "DSKetNoiCSDL", "DanhSachHoSoBoSung")
HIDING: tuple[object, ...] = ({"MaHoSo": {"ChuHoSo": MARK}}, [MARK], [[MARK]], {"ChuHoSo": MARK}, [ASIDE])
DEPTHS = (1, 2, 30, 100, 3_000, 100_000)
SURROGATES = (b"\\ud800", b"\\udfff", b"\\uD83D\\uDE00", b"\\ud83d\\ud83d\\ude00", b"\\\\ud800", b"\\udc00x")
NO_UTF8 = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe1\xbb", b"\x80", b"\xfe\xff")
NUMERALS = (
    *(b"1e400", b"-1e-400", b"-0", b"0.1000", b"1" * 400, b"9223372036854775808", b"-9223372036854775809"),
    *(
        b"7" * 5_000,
        b"1." + b"3" * 5_000,
        b"1E+99999999999",
        b"01",
        b"1.",
        b".5",
        b"NaN",
        b"-Infinity",
        b"0x1",
    ),
)
TOKENS = (
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"\n",
        b"\x00",
        b"\x1f",
        b"\x7f",
        b"null",
        b"{}",
    ),
    *(
        b'"data":',
        b'"MaHoSo":',
        b'"service":',
        b"\\u",
        b"\\u0000",
        b"-",
        b"true",
        b'":"',
        b'","',
        b"[[",
        b"]}",
    ),
    *("ư".encode(), b"\xc2\xa0", b"\xef\xbb\xbf", b"\xe2\x80\xa8", *SURROGATES, *NO_UTF8, *NUMERALS),
)
ENCODINGS = ("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "cp1258", "cp1252", "utf-7", "raw_unicode_escape")


class Input(NamedTuple):
    """One Kafka message; `timestamp` in milliseconds, as Kafka would give it."""

    kind: str
    key: bytes | None
    value: bytes | None
    timestamp: int


class Call(NamedTuple):
    """A real call as a message: its key, when it was received (ms), and what it says."""

    key: bytes
    timestamp: int
    said: dict[str, Any]


@cache
def real_calls(seed: int) -> tuple[Call, ...]:
    """Some thousand calls of at most 30 records, personal data's places filled."""
    found = []
    for line in _lines(seed):
        received = int(datetime.fromisoformat(line["received_at"]).timestamp() * 1000)
        for key, said in split(line["call"]):
            if isinstance(said, dict) and len(said.get("data") or ()) <= 30:
                found.append(Call(key, max(received, 0), _marked(said)))
    return tuple(found)


def _lines(seed: int) -> Iterator[dict[str, Any]]:
    for raw in world(seed, 4_000):
        try:
            strict_json(raw)
        except (ValueError, RecursionError):
            continue
        line = json.loads(raw, parse_int=_number, parse_float=_number)
        if isinstance(line, dict) and isinstance(line.get("call"), dict) and _dated(line.get("received_at")):
            yield line
    register = Register.shipped()
    for received_at, call in islice(scenario("steady", seed=seed, scale=0.2, register=register), 2_000):
        yield {"received_at": received_at, "call": call}


def _number(written: str) -> str:
    """As `encode` writes it back: the number that it was."""
    return f"@{written}@"


def _dated(text: object) -> bool:
    try:
        return datetime.fromisoformat(str(text)).tzinfo is not None
    except ValueError:
        return False


def _marked(said: dict[str, Any]) -> dict[str, Any]:
    """The call with something personal at every level."""
    data = said.get("data")
    if isinstance(data, list):
        for record in data:
            if isinstance(record, dict):
                record.update(ASIDE)
                for name in LISTS:
                    inner = record.get(name)
                    for item in inner if isinstance(inner, list) else ():
                        if isinstance(item, dict):
                            item["TenGiayTo"] = MARK
    return said | {"NguoiGui": MARK}


# ---- what happens to a call's content; every maker gives the bytes of a message


def _plain(rng: random.Random, call: Call) -> bytes:
    return encode(rng, call.said)


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: object) -> Iterator[tuple[Any, Any]]:
    """Every container inside, with each of its keys."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield value, name
            yield from _places(held)
    elif isinstance(value, list):
        for index, held in enumerate(value):
            yield value, index
            yield from _places(held)


def _swapped(rng: random.Random, call: Call) -> bytes:
    """Values of other types, wherever they stand; some hide personal data where text or a list is due."""
    said = _copy(call.said)
    for _ in range(rng.randrange(1, 4)):
        holder, name = rng.choice(list(_places(said)))
        held = holder[name]
        others = (*EMPTY, *HIDING, [held], {"x": held}, str(held)[:20], *NUMBERS, [held, held])
        holder[name] = _copy(rng.choice(others))
    return encode(rng, said)


def _odd(rng: random.Random, call: Call) -> bytes:
    """Numbers, statuses and times that are almost right; records that are none."""
    said = _copy(call.said)
    data = said.get("data")
    for _ in range(rng.randrange(1, 4) if isinstance(data, list) and data else 0):
        at = rng.randrange(len(data))
        if not isinstance(data[at], dict) or rng.random() < 0.1:
            data[at] = _copy(rng.choice((MARK, None, [ASIDE], 7, ASIDE)))
            continue
        name = rng.choice((*TEXTS, *LISTS))
        choices: tuple[object, ...] = (*NO_TIME, "20231002", "20991231235959")
        if name in LISTS:
            choices = (MARK, None, {}, [MARK, None], [ASIDE], [{"MaCSDL": 7, "DuocSoHoa": {"x": MARK}}])
        elif name == "MaHoSo":
            choices = NO_NUMBER
        elif name.startswith("TrangThai"):
            choices = NO_STATUS
        data[at][name] = _copy(rng.choice(choices))
    if rng.random() < 0.2:
        said[rng.choice(("service", "madonvi", "data"))] = rng.choice((*EMPTY, "H18", "@1@", [ASIDE]))
    return encode(rng, said)


def _twice(rng: random.Random, call: Call) -> bytes:
    """Members that come twice, the first or the last of them of no use."""
    value = encode(rng, call.said)
    for _ in range(rng.randrange(1, 4)):
        name = rng.choice((*TEXTS, *LISTS, "data", "service", "madonvi", "ChuHoSo")).encode()
        other = rng.choice((b"7", b'"?"', b"[]", b"{}", b"null", b'[{"MaHoSo":[]}]', b'"9"', b'"20230101"'))
        value = value.replace(b'"' + name + b'":', b'"' + name + b'":' + other + b',"' + name + b'":')
    return value


def _into_text(*pieces: bytes) -> Callable[[random.Random, Call], bytes]:
    """Bytes put into the texts of a call, wherever a text begins."""

    def make(rng: random.Random, call: Call) -> bytes:
        value = encode(rng, call.said)
        for _ in range(rng.randrange(1, 3)):
            at = rng.choice([at for at, byte in enumerate(value) if byte == 0x22] or [0])
            value = value[: at + 1] + rng.choice(pieces) + value[at + 1 :]
        return value

    return make


def _numerals(rng: random.Random, call: Call) -> bytes:
    """Numbers of any size, and what only looks like one, in place of a field's value."""
    said = _copy(call.said)
    holder, name = rng.choice(list(_places(said)))
    holder[name] = "%%"
    return encode(rng, said).replace(b'"%%"', rng.choice(NUMERALS))


def _nested(depths: tuple[int, ...]) -> Callable[[random.Random, Call], bytes]:
    def make(rng: random.Random, call: Call) -> bytes:
        said = _copy(call.said)
        holder, name = rng.choice(list(_places(said)))
        holder[name] = "%%"
        depth, (opening, closing) = (
            rng.choice(depths),
            rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b""))),
        )
        return encode(rng, said).replace(b'"%%"', opening * depth + b"1" + closing * depth)

    return make


# ---- what happens to its bytes


def _flipped(rng: random.Random, call: Call) -> bytes:
    value = bytearray(_plain(rng, call))
    for _ in range(rng.choice((1, 1, 1, 2, 8, 64))):
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return bytes(value)


def _cut(rng: random.Random, call: Call) -> bytes:
    value = _plain(rng, call)
    start = rng.choice((0, 0, 0, rng.randrange(len(value))))
    return value[start : rng.randrange(start, len(value))]


def _edited(rng: random.Random, call: Call) -> bytes:
    """Pieces taken out, doubled, turned round or put in."""
    value = _plain(rng, call)
    for _ in range(rng.choice((1, 1, 2, 5))):
        start, length = rng.randrange(len(value) + 1), rng.choice((0, 1, 2, 10, 100))
        piece = value[start : start + length]
        put = rng.choice((b"", piece + piece, piece[::-1], rng.choice(TOKENS), rng.choice(TOKENS) + piece))
        value = value[:start] + put + value[start + length :]
    return value


def _coded(rng: random.Random, call: Call) -> bytes:
    return _plain(rng, call).decode().encode(rng.choice(ENCODINGS), "replace")


def _framed(rng: random.Random, call: Call) -> bytes:
    before, after = rng.choice((b"", b"\xef\xbb\xbf", *TOKENS)), rng.choice((b"", b"\x00", *TOKENS))
    return before + _plain(rng, call) + after


# ---- what was never a call


def _noise(rng: random.Random, call: Call) -> bytes:
    if rng.random() < 0.5:
        return rng.randbytes(rng.randrange(300))
    return b"".join(rng.choice(TOKENS) for _ in range(rng.randrange(40)))


def _nothing(rng: random.Random, call: Call) -> bytes:
    return rng.choice(
        (b"", b" ", b"null", b"[]", b"{}", b'""', b"0", b"\x00", b'{"data":[]}', b"\xef\xbb\xbf")
    )


def _junk(rng: random.Random, call: Call) -> bytes:
    return rng.choice(junk.KINDS)(rng, f"H14.{rng.randrange(910, 940)}")


KINDS: dict[str, tuple[int, Callable[[random.Random, Call], bytes]]] = {
    "real call": (8, _plain),
    "other types": (14, _swapped),
    "almost right": (14, _odd),
    "members twice": (5, _twice),
    "surrogates": (5, _into_text(*SURROGATES)),
    "no UTF-8": (5, _into_text(*NO_UTF8)),
    "control characters": (2, _into_text(b"\x00", b"\x1f", b"\n", b"\\u0000", b"\\x", b"\x7f")),
    "numerals": (6, _numerals),
    "bits flipped": (10, _flipped),
    "cut": (6, _cut),
    "edited": (12, _edited),
    "wrong encoding": (3, _coded),
    "something around": (3, _framed),
    "noise": (4, _noise),
    "nothing": (1, _nothing),
    "nested": (1, _nested(DEPTHS)),
    BRINK: (1, _nested(tuple(range(300, 1_100)))),
    "junk": (1, _junk),
}
"""Each kind's weight and maker."""
_NAMES = list(KINDS)
_WEIGHTS = [weight for weight, _ in KINDS.values()]


# ---- ten megabytes


def _repeated(head: bytes, piece: bytes, tail: bytes, size: int) -> bytes:
    return head + piece * ((size - len(head) - len(tail)) // len(piece)) + tail


def _large(index: int, unit: bytes) -> bytes:
    """Its size ten megabytes, or the largest that is still read; each a different trap."""
    head = b'{"service":"DongBoHoSoMC","madonvi":"' + unit + b'","data":['
    number = b'{"MaHoSo":"' + unit + b'-250303-1","TrangThaiHoSo":"9","NgayTiepNhan":"20250303"'
    forms = (
        (head, b"{},", b"{}]}"),
        (head, b"{},", b"1]}"),
        (head, b"[],", b"{}]}"),
        (head, b"11,", b"1]}"),
        (head + number + b',"ChuHoSo":"', b"x", b'"}]}'),
        (head + number + b',"ChuHoSo":"', b"\\ud83d\\ude00", b'"}]}'),
        (head + number + b',"ChuHoSo":', b"7", b"}]}"),
        (head + number + b',"TaiLieuNop":[', b"{},", b"{}]}]}"),
        (head + number + b',"a":1', b',"a":1', b"}]}"),
        (head + number + b',"NgayHenTra":"', "ư".encode(), b'"}]}'),
        (head + b"[" * 5_000_000, b"]", b"]}"),
    )
    start, piece, end = forms[index % len(forms)]
    return _repeated(start, piece, end, 10_000_000 if index >= len(forms) else LIMIT)


def _timestamp(rng: random.Random, call: Call) -> int:
    if rng.random() < 0.8:
        return call.timestamp
    odd = (0, 1, 999, 86_400_000, junk.NOON, 1 << 41, 1 << 42, 1 << 53, (1 << 62) - 1, (1 << 63) - 1)
    return rng.choice(odd)


def _key(rng: random.Random, call: Call) -> bytes | None:
    if rng.random() < 0.9:
        return call.key
    return rng.choice((None, b"", b"\xff\xfe", b"H14", call.key + b"\0", call.key[:-1], b"x" * 1_000, b" "))


def make(seed: int, index: int) -> Input:
    """The message of this seed and index, always the same."""
    rng = random.Random(f"{seed}:{index}")
    calls = real_calls(seed)
    if index < LARGE:
        unit = f"H14.{rng.randrange(910, 940)}".encode()
        return Input("ten megabytes", unit, _large(index, unit), junk.NOON)
    call = rng.choice(calls)
    (kind,) = rng.choices(_NAMES, _WEIGHTS)
    value: bytes | None = KINDS[kind][1](rng, call)
    if kind == "nothing" and rng.random() < 0.3:
        value = None
    key = _key(rng, call)
    if kind == "junk" and key == call.key:
        key = f"H14.{rng.randrange(910, 940)}".encode()
    return Input(kind, key, value, _timestamp(rng, call))
