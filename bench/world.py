"""A bench's world: the whole country's portal calls in the order in which they would be sent.

3,355 one-stop units send in turn. 12 million dossiers a year of two records and some more are about 69,000
records a day, so a call of 200 holds what a unit has gathered in ten days, one of a single record what
happened just now. A dossier is received and, after a time that depends on its procedure, ended. Some records
come late, some are sent again, some are corrected. All seven systems appear.

The same arguments give the same bytes.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from heapq import heappop, heappush
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from rates.register import Register
from rates.wire import DAY, LOCAL

FIRST_DAY: Final = date(2025, 9, 1)
RECORDS_A_DAY: Final = 69_000
_START: Final = (FIRST_DAY - date(1970, 1, 1)).days * DAY - LOCAL
_NOTE: Final = "Ghi chú của cán bộ tiếp nhận hồ sơ tại bộ phận một cửa. " * 4
_SMALL_NOTE: Final = _NOTE[:200]
# By sector: its share of dossiers, and the days that a dossier may take.
_SECTORS: Final = {
    "G15-HT01": (0.34, 2),
    "G15-CT01": (0.14, 1),
    "G13-DD01": (0.15, 20),
    "G05-HK01": (0.09, 3),
    "G05-DN01": (0.05, 3),
    "G15-LT01": (0.05, 10),
    "G13-MT01": (0.03, 20),
    "G01-CT01": (0.07, 5),
    "G07-BT01": (0.05, 10),
    "G18-YT01": (0.03, 5),
}


class Kind(NamedTuple):
    """A procedure, and the days that it may take."""

    code: str
    name: str
    sector: str
    sector_name: str
    days: int


Call: TypeAlias = tuple[str, bytes, int]
_Dossier: TypeAlias = tuple[str, Kind, str, str]  # number, procedure, received, due
_Said: TypeAlias = tuple[int, str, bool, _Dossier]
"""Status, when it ended, whether it has a result."""
_Waiting: TypeAlias = tuple[float, int, str, bool, _Dossier]
"""When it will be said, and what."""
_MORNING: Final = tuple(f"{7 + n // 60:02d}{n % 60:02d}{n % 6}0" for n in range(30, 270))
_AFTERNOON: Final = tuple(f"{13 + n // 60:02d}{n % 60:02d}{n % 6}0" for n in range(240))


class _Unit:
    """One unit: what it has still to send, soonest first."""

    __slots__ = ("code", "sent", "sequence", "waiting")

    def __init__(self, code: str, sent: float) -> None:
        self.code = code
        self.sent = sent
        self.sequence = 0
        self.waiting: list[_Waiting] = []


def calls(records: int, per_call: int = 200, *, small: bool = False, seed: int = 7) -> Iterator[Call]:
    """(key, value, timestamp in ms) of each message, `records` records in all.

    `small`: records of about 500 bytes of which six fields are used, else full ones of about 1 KB.
    """
    rng = random.Random(seed)
    register = Register.shipped()
    kinds, shares = _kinds(register)
    codes = units(register)
    rng.shuffle(codes)
    written = _small if small else _full
    turn = per_call * len(codes) / RECORDS_A_DAY * DAY
    country = [_Unit(code, _START + turn * index / len(codes)) for index, code in enumerate(codes)]
    done = 0
    while done < records:
        for unit in country:
            count = min(per_call, records - done)
            if not count:
                return
            done += count
            now = unit.sent + turn
            lines = [written(*said) for said in _said(unit, now, count, kinds, shares, rng)]
            unit.sent = now
            value = (
                f'{{"service":"DongBoHoSoMC","madonvi":"{unit.code}","isUpdating":"True",'
                f'"data":[{",".join(lines)}]}}'
            )
            yield unit.code, value.encode(), int(now * 1000)


def units(register: Register) -> list[str]:
    """The one-stop units of the provinces on the first day."""
    day = (_START + LOCAL) // DAY
    return [code for code in register.one_stop_units(day) if code.startswith("H")]


def _kinds(register: Register) -> tuple[list[Kind], list[float]]:
    """Each procedure of the register, and its share of the dossiers, summed up to it."""
    found = [procedure for procedure in register.procedures.values() if procedure.sector in _SECTORS]
    each = Counter(procedure.sector for procedure in found)
    kinds = [
        Kind(one.code, one.name_vi, one.sector, register.sectors[one.sector].name_vi, _SECTORS[one.sector][1])
        for one in found
    ]
    return kinds, list(accumulate(_SECTORS[one.sector][0] / each[one.sector] for one in found))


def _said(
    unit: _Unit, now: float, count: int, kinds: Sequence[Kind], shares: Sequence[float], rng: random.Random
) -> Iterator[_Said]:
    """What a unit says of the time since it last sent, in order: of older dossiers, and of new ones."""
    waiting = unit.waiting
    step = (now - unit.sent) / count
    at = unit.sent
    for kind in rng.choices(kinds, cum_weights=shares, k=count):
        at += step
        draw, fate = rng.random(), rng.random()
        if waiting and waiting[0][0] <= at:
            due, status, ended, result, dossier = heappop(waiting)
            if draw < 0.05:  # sent again
                heappush(waiting, (due + (1 + 60 * draw) * DAY, status, ended, result, dossier))
            elif draw < 0.08 and status >= 9 and not result:  # corrected: the link is added
                heappush(waiting, (due + 3 * DAY, status, ended, True, dossier))
            if status == 9:
                handed_out = due + 2 * DAY
                returned = _day(handed_out) + _AFTERNOON[int(draw * 240)]
                heappush(waiting, (handed_out, 10, returned, result, dossier))
            yield status, ended, result, dossier
            continue
        unit.sequence += 1
        day = _day(at)
        number = f"{unit.code}-{day[2:]}-{unit.sequence:05d}"
        dossier = (number, kind, day + _MORNING[int(draw * 240)], _day(at + kind.days * DAY))
        ends = at + kind.days * DAY * (0.1 + fate)
        ended = _day(ends) + _AFTERNOON[int(draw * 240)]
        status = 7 if fate < 0.03 else 9 if fate < 0.13 else 10
        told = ends + 20 * DAY if 0.5 < fate < 0.52 else ends  # some are told late
        heappush(waiting, (told, status, ended, draw < 0.6 and status != 7, dossier))
        if 0.7 < fate < 0.71:  # an older state that comes again, often after the newer one
            heappush(waiting, (at + 12 * DAY, 4, "", False, dossier))
        yield 4, "", False, dossier


@cache
def _text_of(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(day)).strftime("%Y%m%d")


def _day(at: float) -> str:
    return _text_of(int(at + LOCAL) // DAY)


def _full(status: int, ended: str, result: bool, dossier: _Dossier) -> str:
    number, kind, received, due = dossier
    link = f"https://motcua.example/ket-qua/{number}.pdf" if result else ""
    return (
        f'{{"MaHoSo":"{number}","MaTTHC":"{kind.code}","TenTTHC":"{kind.name}",'
        f'"MaLinhVuc":"{kind.sector}","TenLinhVuc":"{kind.sector_name}","KenhThucHien":"2",'
        f'"LoaiDoiTuong":"1","TrichYeuHoSo":"{_NOTE}","NgayNopHoSo":"{received}",'
        f'"NgayTiepNhan":"{received}","NgayHenTra":"{due}000000","NgayKetThucXuLy":"{ended}",'
        f'"NgayTra":"{ended if status == 10 else ""}","TrangThaiHoSo":"{status}","HinhThuc":"0",'
        f'"HoSoCoThanhPhanSoHoa":"1","TaiKhoanDuocXacThucVoiVNeID":"0",'
        f'"TaiLieuNop":[{{"TepDinhKemId":"1","MaThanhPhanHoSo":"TP01",'
        f'"DuongDanTaiTepTin":"https://motcua.example/nop/{number}.pdf","DuocSoHoa":"1"}}],'
        f'"DanhSachGiayToKetQua":[{{"TenGiayTo":"Kết quả","MaGiayToKetQua":"KQ01",'
        f'"DuongDanTepTinKetQua":"{link}"}}],"DanhSachHoSoBoSung":[],"DanhSachLePhi":[]}}'
    )


def _small(status: int, ended: str, result: bool, dossier: _Dossier) -> str:
    number, kind, received, _ = dossier
    links = f'{{"DuongDanTepTinKetQua":"https://motcua.example/ket-qua/{number}.pdf"}}' if result else ""
    return (
        f'{{"MaHoSo":"{number}","MaTTHC":"{kind.code}","TrichYeuHoSo":"{_SMALL_NOTE}",'
        f'"NgayTiepNhan":"{received}","NgayKetThucXuLy":"{ended}","TrangThaiHoSo":"{status}",'
        f'"DanhSachGiayToKetQua":[{links}]}}'
    )
