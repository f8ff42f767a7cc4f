"""A bench's world: full portal records of about 1 KB in calls of one unit, in national order of time.

3,355 units, all seven systems, three versions of most dossiers (received, processed, returned), some re-sent
and some late. The same arguments give the same bytes.
"""

import random
from collections.abc import Iterator
from typing import Final

UNITS: Final = 3_355
PROCEDURES: Final = tuple(f"9.9{number:05d}" for number in range(40))
_NOTE: Final = "Ghi chú của cán bộ tiếp nhận hồ sơ tại bộ phận một cửa. " * 4


def unit(index: int) -> str:
    return f"H{1 + index % 63:02d}.{1 + index // 63 % 30}.{1 + index // 1890}"


def calls(records: int, per_call: int = 200, seed: int = 7) -> Iterator[tuple[str, bytes, int]]:
    """(key, value, timestamp in ms) of each message, `records` records in all."""
    rng = random.Random(seed)
    sequence = [0] * UNITS
    waiting: list[list[str]] = [[] for _ in range(UNITS)]
    sent = 0
    turn = 0
    while sent < records:
        index = turn % UNITS
        day = 1 + turn // UNITS % 28
        month = 1 + turn // UNITS // 28 % 9
        turn += 1
        code = unit(index)
        count = min(per_call, records - sent)
        lines: list[str] = []
        again = waiting[index]
        while len(lines) < count:
            if again and (len(lines) % 5 or rng.random() < 0.5):
                lines.append(again.pop())
                continue
            sequence[index] += 1
            number = f"{code}-23{month:02d}{day:02d}-{sequence[index]:05d}"
            lines.append(_record(number, month, day, 4, rng))
            if len(again) < 2_000:
                finished = _record(number, month, min(day + 1, 28), rng.choice((9, 10, 10)), rng)
                again.append(finished)
                if rng.random() < 0.1:
                    again.append(finished)
        sent += len(lines)
        body = ",".join(lines)
        value = (
            f'{{"service":"DongBoHoSoMC","madonvi":"{code}","isUpdating":"True","data":[{body}]}}'
        ).encode()
        # received_at: the evening of the day, local.
        yield code, value, (1_672_588_800 + (month * 31 + day) * 86_400) * 1000


def _record(number: str, month: int, day: int, status: int, rng: random.Random) -> str:
    procedure = PROCEDURES[rng.randrange(len(PROCEDURES))]
    received = f"2023{month:02d}{day:02d}0{rng.randrange(8, 10)}{rng.randrange(10, 60)}00"
    ended = f"2023{month:02d}{day:02d}1{rng.randrange(3, 7)}{rng.randrange(10, 60)}00" if status > 4 else ""
    link = f"https://motcua.example/ket-qua/{number}.pdf" if status > 4 and rng.random() < 0.6 else ""
    return (
        f'{{"MaHoSo":"{number}","MaTTHC":"{procedure}","TenTTHC":"Thủ tục hành chính {procedure}",'
        f'"MaLinhVuc":"G15-HT01","TenLinhVuc":"Hộ tịch","KenhThucHien":"2","LoaiDoiTuong":"1",'
        f'"TrichYeuHoSo":"{_NOTE}","NgayNopHoSo":"{received}","NgayTiepNhan":"{received}",'
        f'"NgayHenTra":"2023{month:02d}280000","NgayKetThucXuLy":"{ended}",'
        f'"NgayTra":"{ended if status == 10 else ""}","TrangThaiHoSo":"{status}","HinhThuc":"0",'
        f'"HoSoCoThanhPhanSoHoa":"1","TaiKhoanDuocXacThucVoiVNeID":"0",'
        f'"TaiLieuNop":[{{"TepDinhKemId":"1","MaThanhPhanHoSo":"TP01",'
        f'"DuongDanTaiTepTin":"https://motcua.example/nop/{number}.pdf","DuocSoHoa":"1"}}],'
        f'"DanhSachGiayToKetQua":[{{"TenGiayTo":"Kết quả","MaGiayToKetQua":"KQ01",'
        f'"DuongDanTepTinKetQua":"{link}"}}],"DanhSachHoSoBoSung":[],"DanhSachLePhi":[]}}'
    )
