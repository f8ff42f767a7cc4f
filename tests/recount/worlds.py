"""Seeded event logs in which everything happens that a portal has been seen, or could be made, to send.

`world(seed, events)` yields the lines of a log: one-stop units of every age and form, dossiers whose events
collide on few instants, calls of every size, and a share of bad lines. The same seed gives the same
bytes as long as the reference data stays. Only cases with one reading are made, unless `doubtful`
asks for those on which two careful readers of the rules may differ. `junk` is for Kafka directly.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.recount.junk import junk
from tests.recount.register import SHIPPED, Register, above, register_in

__all__ = ["junk", "world"]

START, END = 1_640_970_000, 1_790_000_000  # 2022-01-01 to September 2026, when the calls arrive
DAY = 86_400
CUT_OVERS = (1_740_762_000, 1_751_302_800)  # local midnight of 2025-03-01 and 2025-07-01
OLDEST, NEWEST = 946_659_600, 4_102_419_599  # the years 2000 to 2099, local
PROCEDURES = [*(f"9.9000{n:02}" for n in range(1, 21)), "1.001193", "2.000488", "1.555555", "", "x"]
SECTORS = ["G15-HT01", "G15-LT01", "G05-DN01", "G05-HK01", "G13-DD01", "G13-MT01", "G18-YT01", "?", ""]
UNKNOWN = [
    *("000.17.22.H56", "000.00.22.H56", "000.01.02.H63", "000.00.00.H18", "001.02.03.G05", "0.0.7.H02"),
    *("H99", "H99.01", "H63.999", "H18.1", "H18.001", "H18.777.1.2", "G05.77", "G77", "H26.0.0.0"),
]
COURSE = (1, 2, 4, 5, 4, 6, 4, 9, 10)
TIMES = ("NgayNopHoSo", "NgayTiepNhan", "NgayHenTra", "NgayKetThucXuLy", "NgayTra", "NgayTuChoi")
EMPTY: tuple[object, ...] = (None, "", True, False, [], {}, ["20231002"], {"a": 1})
NO_TIME = (
    *("20230230", "20230230120000", "20231301", "20231002240000", "20231002126000", "20231002120060"),
    *("2023-10-02", " 20231002", "20231002 ", "20231002\n", "2023100２", "2023100209000", "202310"),
    *("00000000", "00000000000000", "19991231235959", "21000101", "25661002090000", "-20231002", "+2023100"),
)
NO_STATUS: tuple[object, ...] = (
    *("0", "11", "", "09", " 9", "9 ", "١", "x", "10.0", "@9.0@", "@1e1@", "@-9@"),
    *(None, True, [9]),
)
NO_NUMBER: tuple[object, ...] = (
    *("", "-", "h18-231002-0001", "H18.-1", "H18..1-1", "H18.21\n-231002-1", " H18.21-231002-1", "H1８.21-1"),
    *("H18.1.2.3.4-1", "H18.2222-1", "G1-1", "H188-1", "17.22.H56-1", "000.17.22.Z56-1", "H18.21–231002–1"),
    *("H18.21 -1", "H18.21.-1", "HH18-1", "\u0000", "@18@", "@9.0@", "@1e400@"),
    *(None, True, [], {"MaHoSo": "H18-1"}, ["H18-1"]),
)
TAILS = (
    *("", "-", "-x", "-231332-0001", "--", "-231002", "-1" * 40, "-140102-1", "-990101-1", "-500131-1"),
    *("-000101-7", "-231002-ư😀", "-231002-\"'\\", "-231002-\u0000", "-２３１００２-1", "-231002-\t\n"),
)
NUMBERS = ("@9@", "@9.0@", "@-0@", "@1e400@", "@-1E+99@", f"@{'7' * 400}@", "@0.1000@")
BAD_ENDS = (
    *(b'{"x":NaN}}', b'{"x":-Infinity}}', b'{"x":"\\ud800"}}', b'{"\\udc00":1}}', b'{"x":"\xff"}}', b"{},}"),
    *(b'{"x":01}}', b'{"x":"\\q"}}', b'{"x":"\x01"}}', b"{'x':1}}", b"{}}{}", b'{"x":.5}}', b"{} // x}"),
    *(b"{}", b"}", b"null", b"tru}", b'"\xed\xa0\x80"}', b'"\\ud83d.\\ude00"}'),
)
PERSONAL = ("ChuHoSo", "SoDienThoai", "Email", "SoGiayToChuHoSo", "TrichYeuHoSo", "GhiChu", "DiaChi")


@dataclass(slots=True)
class Life:
    """One dossier and the few instants, links and codes from which all its records are drawn."""

    number: str
    unit: str
    filed: int
    taken: list[int]
    closed: list[int]
    due: list[int]
    procedures: list[str]
    sector: str
    inputs: list[str]
    results: list[str]
    at: int = 0
    sent: list[dict[str, object]] = field(default_factory=list)


@dataclass(slots=True)
class Unit:
    code: str
    senders: list[str]
    lives: list[Life] = field(default_factory=list)
    late: deque[tuple[bool, dict[str, object]]] = field(default_factory=deque)


def wire(time: int) -> str:
    """A time as the portal sends it: local, without a zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time + 7 * 3600)).strftime("%Y%m%d%H%M%S")


def midnight(time: int) -> int:
    return time - (time + 7 * 3600) % DAY


def pool(rng: random.Random, register: Register) -> list[Unit]:
    """Units old, new, ended, succeeded, unknown, and of the old form."""
    ended = [code for code, terms in register.terms.items() if terms[-1].until]
    young = [code for code, terms in register.terms.items() if terms[0].since > "2025"]
    lasting = sorted(set(register.terms) - set(ended) - set(young))
    codes = [*rng.sample(sorted(ended), 50), *rng.sample(sorted(young), 25), *rng.sample(lasting, 30)]
    tops = [code for code in register.terms if "." not in code]
    codes += [*rng.sample(sorted(tops), 20), *UNKNOWN, "G24"]
    codes = [code for code in dict.fromkeys(codes) if not code.startswith("H14")]  # Cao Bằng is the junk's
    return [Unit(code, sorted(register.senders(code))) for code in codes]


def birth(rng: random.Random, unit: Unit, now: int) -> Life:
    taken = now - rng.choice((0, 60, 3600, DAY, 9 * DAY, 40 * DAY)) - rng.randrange(DAY)
    if rng.random() < 0.02:
        taken = rng.randrange(OLDEST, now)
    if rng.random() < 0.05:
        taken = rng.choice(CUT_OVERS) + rng.choice((-DAY, -1, 0, 1, DAY - 1))
    closed = taken + rng.choice((0, 1, 3600, DAY, 5 * DAY, 20 * DAY)) + rng.randrange(DAY)
    due = taken + rng.randrange(1, 30) * DAY
    number = f"{unit.code}-{wire(taken)[2:8]}-{rng.randrange(10_000):04}"
    if rng.random() < 0.04:
        number = unit.code + rng.choice(TAILS)
    procedure = rng.choice(PROCEDURES)
    if rng.random() < 0.3 and procedure.startswith(("1.", "2.", "9.")):
        procedure += ".000.00.00." + rng.choice(("H18", "H56", "G15"))
    stem = f"https://một-cửa.vn/{rng.randrange(10**9)}"
    return Life(
        number=number,
        unit=unit.code,
        filed=taken - rng.choice((0, 60, DAY)),
        taken=[taken, midnight(taken), taken + DAY],
        closed=[closed, midnight(closed), midnight(closed) + DAY - 1, closed + DAY, taken],
        due=[due, midnight(due), midnight(closed), closed, closed - 1, due + 9000 * DAY],
        procedures=[procedure, procedure, procedure, rng.choice(PROCEDURES)],
        sector=rng.choice(SECTORS),
        inputs=[f"{stem}/in/{n}" for n in range(rng.randrange(4))],
        results=[f"{stem}/out/{n}" for n in range(rng.randrange(3))],
    )


def status_of(rng: random.Random, life: Life) -> int:
    if rng.random() < 0.25:
        return rng.randrange(1, 11)
    life.at = min(life.at + rng.randrange(3), len(COURSE) - 1)
    return COURSE[life.at]


def told(rng: random.Random, times: list[int]) -> str:
    """One of the instants, mostly the first; a midnight now and then as a bare date."""
    text = wire(times[0] if rng.random() < 0.6 else rng.choice(times))
    return text[:8] if text.endswith("000000") and rng.random() < 0.5 else text


def full_record(rng: random.Random, life: Life) -> dict[str, object]:
    """A full record, most of it plausible."""
    status = status_of(rng, life)
    chance = rng.random
    record: dict[str, object] = {
        "MaHoSo": life.number,
        "MaTTHC": rng.choice(life.procedures),
        "TenTTHC": "Đăng ký khai sinh",
        "MaLinhVuc": life.sector if chance() < 0.95 else rng.choice(SECTORS),
        "TrangThaiHoSo": str(status),
        "NgayNopHoSo": told(rng, [life.filed]) if chance() < 0.8 else "",
        "NgayTiepNhan": told(rng, life.taken) if status > 1 and chance() < 0.95 else "",
        "NgayHenTra": told(rng, life.due) if chance() < 0.8 else "",
        "NgayKetThucXuLy": told(rng, life.closed) if chance() < (0.9 if status > 6 else 0.05) else "",
        "NgayTra": told(rng, life.closed) if chance() < (0.8 if status == 10 else 0.05) else "",
        "NgayTuChoi": told(rng, life.closed) if chance() < (0.9 if status == 3 else 0.03) else "",
        "KenhThucHien": "2",
        "HoSoCoThanhPhanSoHoa": rng.choice(("0", "1", "", 1)),
        "TaiKhoanDuocXacThucVoiVNeID": rng.choice(("0", "1", None)),
    }
    if chance() < 0.7:
        record["TaiLieuNop"] = [
            {"DuongDanTaiTepTin": link, "DuocSoHoa": rng.choice("01"), "IsDeleted": rng.choice("01")}
            for link in life.inputs
        ]
    links = (life.results if chance() < 0.8 else []) + (life.inputs[:1] if chance() < 0.2 else [])
    if status > 8 or chance() < 0.1:
        record["DanhSachGiayToKetQua"] = [
            {"TenGiayTo": "Bản chính", "DuongDanTepTinKetQua": link, "MaGiayToKetQua": ""} for link in links
        ]
    if status in (5, 6) or chance() < 0.1:
        record["DanhSachHoSoBoSung"] = [
            {"NgayBoSung": told(rng, life.taken), "NgayTiepNhanBoSung": told(rng, life.closed)}
            for _ in range(rng.randrange(3))
        ]
    if chance() < 0.3:
        record["DSKetNoiCSDL"] = [{"MaCSDL": rng.choice(("1", "7", "2", 7, "17", None))}]
    if chance() < 0.5:
        record[rng.choice(PERSONAL)] = rng.choice(("Nguyễn Văn Ế", "0912345678", "😀\u0000\u2028", None))
    return record


def progress_row(rng: random.Random, life: Life) -> dict[str, object]:
    times = [life.closed[0], *life.closed, *life.taken, life.filed]
    return {
        "MaHoSo": life.number,
        "NguoiXuLy": "Trần Thị B",
        "ThoiDiemXuLy": told(rng, times),
        "TrangThai": str(status_of(rng, life)),
        "NoiDungXuLy": "Chuyển \\ xử lý",
    }


def spoil(rng: random.Random, record: dict[str, object], received_at: int) -> None:
    """Make one thing of a record wrong, odd or extreme."""
    status = "TrangThaiHoSo" if "TrangThaiHoSo" in record else "TrangThai"
    names = [name for name in (*TIMES, "ThoiDiemXuLy") if name in record]
    match rng.randrange(14):
        case 0:
            record[rng.choice(names)] = rng.choice(NO_TIME)
        case 1:
            record[rng.choice(sorted(record))] = rng.choice(EMPTY)
        case 2:
            del record[rng.choice(sorted(record))]
        case 3:
            record[status] = rng.choice(NO_STATUS)
        case 4:
            record["MaHoSo"] = rng.choice(NO_NUMBER)
        case 5:
            edge = received_at + DAY + rng.choice((-1, 0, 1, 2, 3600, 400 * DAY))
            record[rng.choice(names)] = wire(min(edge, NEWEST))
        case 6:
            record[rng.choice(names)] = wire(rng.choice((OLDEST, NEWEST, rng.randrange(OLDEST, NEWEST))))
        case 7:
            name = rng.choice(names)
            value = record[name]
            record[name] = f"@{value}@" if value else rng.choice(NUMBERS)
        case 8:
            record[status] = f"@{rng.choice(('9', '10', '2', '4'))}@"
        case 9:
            results = record.get("DanhSachGiayToKetQua") or [{"DuongDanTepTinKetQua": "ra"}]
            link = rng.choice((*NUMBERS, "", " ", None, ["ra"]))
            odd = [None, 7, "ra", ["ra"], {}, {"DuongDanTepTinKetQua": link}]
            record["DanhSachGiayToKetQua"] = rng.choice(
                (results, [*odd, results], {"DuongDanTepTinKetQua": "ra"}, "ra", [rng.choice(odd)])
            )
        case 10:
            papers: list[object] = [None, [], {"DuongDanTaiTepTin": "ra", "DuocSoHoa": "@1@"}]
            record["TaiLieuNop"] = rng.choice((papers, {"DuocSoHoa": "1"}, "1", [["1"]]))
            record["DSKetNoiCSDL"] = rng.choice(({"MaCSDL": "1"}, [7, "7", {"MaCSDL": "@7.0@"}], "7", [{}]))
        case 11:
            far = [1, {"NgayBoSung": wire(received_at + 2 * DAY), "NgayTiepNhanBoSung": ["20231002"]}]
            record["DanhSachHoSoBoSung"] = rng.choice(({"NgayBoSung": wire(received_at)}, far, [[]], "x"))
        case 12:
            other = {"a": [{}, {"MaHoSo": "x"}]}
            record["ThongTinKhac"] = rng.choice((list(NUMBERS), other, '\\"\u007f\x00', [[[[]]]]))
        case _:
            record["MaTTHC"] = rng.choice(("@9.900009@", "@9.9000090@", "9.900009 ", "９.900009", *EMPTY))


def event(rng: random.Random, unit: Unit, received_at: int, *, full: bool) -> object:
    """One record or progress row of a unit: new, the next, sent again, late or spoilt."""
    if unit.late and rng.random() < 0.1:
        for _ in range(len(unit.late)):
            was_full, record = unit.late.popleft()
            if was_full is full:
                return record
            unit.late.append((was_full, record))
    if not unit.lives or rng.random() < 0.18:
        unit.lives.append(birth(rng, unit, received_at))
    recent = unit.lives[-12:] if rng.random() < 0.9 else unit.lives
    life = rng.choice(recent)
    if full and life.sent and rng.random() < 0.1:
        return rng.choice(life.sent)
    record = full_record(rng, life) if full else progress_row(rng, life)
    if rng.random() < 0.08:
        spoil(rng, record, received_at)
    if rng.random() < 0.002:
        return rng.choice((None, 7, "H18-1", [record], True))
    if full:
        life.sent = [*life.sent[-2:], record]
    if rng.random() < 0.05:
        unit.late.append((full, record))
        return full_record(rng, life) if full else progress_row(rng, life)
    return record


def size(rng: random.Random) -> int:
    edges = ((1, 2), (2, 21), (20, 151), (150, 500), (498, 503), (500, 901))
    return rng.randrange(*rng.choices(edges, (25, 46, 24, 3, 1, 1))[0])


def sender(rng: random.Random, unit: Unit) -> object:
    """Mostly the unit itself, or one that may send for it; else somebody who may not."""
    if rng.random() < 0.95:
        return unit.code if rng.random() < 0.7 else rng.choice(unit.senders)
    wrong = (unit.code + ".01", unit.code + ".", unit.code[:-1], unit.code.lower(), "H00", " " + unit.code)
    return rng.choice((*wrong, "".join(reversed(unit.code)), *EMPTY, "@9@"))


def call_of(rng: random.Random, units: list[Unit], received_at: int) -> tuple[dict[str, object], int]:
    """A call and the number of events in it."""
    unit = rng.choice(units)
    full = rng.random() < 0.75
    count = size(rng)
    company, madonvi = [unit], sender(rng, unit)
    match rng.randrange(12):
        case 0:  # a body sends for all its units
            top = unit.code.split(".")[0] if unit.code[0] in "GH" else above(unit.code)[-1]
            company, madonvi = [each for each in units if top in each.senders], top
        case 1:  # many units in one call, most of which its sender may not speak for
            company = rng.sample(units, 6)
        case _:
            pass
    data = [event(rng, rng.choice(company), received_at, full=full) for _ in range(count)]
    call: dict[str, object] = {
        "session": "b1946ac9",
        "service": "DongBoHoSoMC" if full else "CapNhatTienDoHoSoMC",
        "madonvi": madonvi,
        "isUpdating": rng.choice(("True", "False", True, None, "@0@")),
        "data": data,
    }
    if rng.random() < 0.05:
        del call["isUpdating"]
    return call, count


def no_call(rng: random.Random, *, doubtful: bool) -> object:
    """What is sent for a call and is none: one rejection, whatever it holds."""
    if doubtful and rng.random() < 0.3:
        return rng.choice((None, {"service": "?", "madonvi": "H18", "data": [{}] * 501}))
    whole = {"service": "DongBoHoSoMC", "madonvi": "H18.21", "data": [{"MaHoSo": "H18.21-1"}]}
    odd: object = rng.choice(("dongbohosomc", "DongBoHoSoMC ", "TraCuuHoSo", "", "@1@", *EMPTY))
    data = rng.choice((None, {}, {"MaHoSo": "H18.21-1"}, "[]", "@1@", True))
    nameless = {name: value for name, value in whole.items() if name != "service"}
    dataless = {name: value for name, value in whole.items() if name != "data"}
    unknown, listless = whole | {"service": odd}, whole | {"data": data}
    return rng.choice((unknown, unknown, listless, nameless, dataless, {}, [], [whole], "x", "@5@", True))


def stamp(rng: random.Random, time: int) -> str:
    """`received_at` with one of several offsets, now and then with a fraction to cut."""
    offset = rng.choice(("+07:00", "+07:00", "+07:00", "Z", "+00:00", "-05:30", "+14:00"))
    hours, minutes = (0, 0) if offset == "Z" else (int(offset[1:3]), int(offset[4:]))
    shift = (-1 if offset[0] == "-" else 1) * (hours * 3600 + minutes * 60)
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time + shift)
    fraction = rng.choice(("", "", "", ".5", ".999", ".999999"))
    return local.strftime("%Y-%m-%dT%H:%M:%S") + fraction + offset


RAW_NUMBER = re.compile(r'"@([^"@]*)@"')


def encode(rng: random.Random, value: object) -> bytes:
    """One of the many ways to write the same JSON."""
    separators = rng.choice(((",", ":"), (",", ":"), (", ", ": "), (" ,\t", " : ")))
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5, separators=separators)
    text = RAW_NUMBER.sub(r"\1", text)
    if rng.random() < 0.03:
        text = text.replace('"MaHoSo"', '"MaHoS\\u006f"').replace('"data"', '"d\\u0061ta"')
    if rng.random() < 0.03:
        text = text.replace('"TrangThaiHoSo"', '"TrangThaiHoSo":"1","TrangThaiHoSo"')
    if rng.random() < 0.02:
        text = text.replace("/", "\\/")
    return text.encode()


def bad_line(rng: random.Random, good: bytes, *, doubtful: bool) -> bytes:
    """A line that has to be skipped; `good` is one that would not have been."""
    stamped = b'{"received_at":"2024-02-29T09:30:00+07:00","call":'
    if doubtful and rng.random() < 0.3:
        deep = stamped + b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
        return rng.choice((b"", b" \r", deep, stamped.replace(b"+07:00", b"+0700") + b"{}}"))
    times = (b"null", b'"2024-02-29T09:30:00"', b'"2024-02-30T09:30:00Z"', b"1709173800", b'""', b'"x"')
    timed = b'{"received_at":' + rng.choice(times) + b',"call":{}}'
    lines = (
        *(b"{}", b"[]", b"null", b'"x"', b"5", b"x" + rng.randbytes(60), timed, timed, b"[" * 100_000),
        *(stamped[:-8] + b"}", b'{"call":{}}', stamped.replace(b"call", b"Call") + b"{}}", b"data: " + good),
        *(good[: len(good) // 2], good[:-1], b"\xef\xbb\xbf" + good, good + good, good.replace(b'"', b"'")),
        *(good.decode().encode("utf-16"), *(stamped + end for end in BAD_ENDS)),
    )
    return rng.choice(lines).replace(b"\n", b" ")


def world(seed: int, events: int, *, doubtful: bool = False) -> Iterator[bytes]:
    """The lines of a log that holds at least so many records and progress rows, ends of line included."""
    rng = random.Random(seed)
    units = pool(rng, register_in(SHIPPED))
    done = 0
    fat = {events // 3: "ChuHoSo", events // 2: "DuongDanTepTinKetQua"} if events >= 10_000 else {}
    while done < events:
        now = START + (END - START) * done // events - int(rng.expovariate(1 / DAY))
        if rng.random() < 0.01:
            now = rng.randrange(OLDEST + DAY, START)
        call, count = call_of(rng, units, now)
        line: dict[str, object] = {"received_at": stamp(rng, now), "call": call}
        if rng.random() < 0.1:
            line = {"call": call, "note": rng.choice(string.ascii_letters), **line}
        good = encode(rng, line)
        if rng.random() < 0.08:
            yield bad_line(rng, good, doubtful=doubtful) + b"\n"
        if rng.random() < 0.02:
            other = {"received_at": stamp(rng, now), "call": no_call(rng, doubtful=doubtful)}
            yield encode(rng, other) + b"\n"
        for due in [due for due in fat if due <= done]:
            yield encode(rng, line | {"call": fattened(rng, units, now, fat.pop(due))}) + b"\n"
        yield good + b"\n"
        done += count


def fattened(rng: random.Random, units: list[Unit], now: int, name: str) -> dict[str, object]:
    """A call of nine million bytes: in a field that is never sent on, or in one that is."""
    unit = rng.choice([unit for unit in units if unit.lives])
    weight = "x" * (9 * 1024 * 1024)
    record = full_record(rng, unit.lives[-1])
    record |= {name: weight} if name == "ChuHoSo" else {"DanhSachGiayToKetQua": [{name: weight}]}
    data = [record, full_record(rng, unit.lives[0])]
    return {"service": "DongBoHoSoMC", "madonvi": unit.code, "data": data}
