"""The portal's records of a sample dossier: all their fields, as the systems of bodies write them.

Names, phones and numbers of people are there, plainly invented, because real records carry them: whatever
sends or stores records has to leave them out. Whether a dossier digitises, uses the population database or
has a result is written in each of the ways that a record can say it.

Times here are local seconds since 1970-01-01 local, and become text at the edge.
"""

from datetime import timedelta
from functools import lru_cache
from random import Random
from typing import Any, Final, TypeAlias

from msgspec import Struct

from producers.scenario_plan import DIGITISED, POPULATION, Source
from rates.register import Procedure
from rates.sheets import EPOCH

DAY: Final = 86_400
HOUR: Final = 3_600

Record: TypeAlias = dict[str, Any]

_NEW_FIELDS_SINCE: Final = 19_200  # from the middle of 2022 on, systems send the filing channel
_SURNAMES: Final = ("NGUYỄN", "TRẦN", "LÊ", "PHẠM", "HOÀNG")


class Dossier(Struct, gc=False):
    """A dossier as its unit knows it. `common`: the fields that are the same in all its full records."""

    number: str
    source: Source
    bits: int
    received: int
    procedure: Procedure | None
    received_text: str
    due_text: str
    papers: list[str]
    common: Record


@lru_cache(maxsize=8192)
def date_text(day: int) -> str:
    return (EPOCH + timedelta(days=day)).strftime("%Y%m%d")


def wire(time: int) -> str:
    """A time as the portal writes it."""
    seconds = time % DAY
    return f"{date_text(time // DAY)}{seconds // HOUR:02}{seconds // 60 % 60:02}{seconds % 60:02}"


def clock_text(time: int) -> str:
    """A time as the log writes it."""
    date, seconds = date_text(time // DAY), time % DAY
    clock = f"{seconds // HOUR:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock}+07:00"


class Records:
    """Writes records; which of several ways of writing a thing is drawn from `random`."""

    def __init__(self, random: Random, bodies: tuple[str, ...]) -> None:
        self._chance = random.random
        self._bodies = bodies
        self._gaming = frozenset(random.sample(range(len(bodies)), 9))

    def common(
        self,
        number: str,
        source: Source,
        bits: int,
        procedure: Procedure | None,
        received: int,
        papers: list[str],
    ) -> Record:
        chance = self._chance
        code = procedure.code if procedure is not None else "1.003560"
        online = chance() < 0.4
        record: Record = {
            "MaHoSo": number,
            "MaTTHC": f"{code}.000.00.00.{self._bodies[source.body]}" if chance() < 0.6 else code,
            "TenTTHC": procedure.name_vi if procedure is not None else "Thủ tục",
            "MaLinhVuc": procedure.sector if procedure is not None and chance() < 0.9 else "",
            "NgayNopHoSo": wire(received - 60 - int(chance() * 2 * HOUR)) if online else wire(received - 1),
            "LoaiDoiTuong": "1",
            "HinhThuc": "0",
            "NoiNopHoSo": "2",
        }
        if received // DAY > _NEW_FIELDS_SINCE:
            record["KenhThucHien"] = "2" if online else "1"
        who = int(chance() * 1000)
        if chance() < 0.7:
            record |= {
                "ChuHoSo": f"{_SURNAMES[who % 5]} VĂN THỬ {who:03}",
                "SoGiayToChuHoSo": f"000000000{who:03}",
                "DinhDanhCHS": {"LoaiDinhDanh": "1", "SoDinhDanh": f"000000000{who:03}"},
                "SoDienThoai": f"0000000{who:03}",
                "Email": f"thu{who:03}@example.invalid",
                "TrichYeuHoSo": f"Hồ sơ mẫu của người thử {who:03}",
            }
        self._digitised(record, bits, papers)
        self._databases(record, bits)
        if procedure is not None and procedure.fee:
            record["DanhSachLePhi"] = [{"TenPhiLePhi": "Lệ phí", "MaPhiLePhi": "LP1", "Gia": "50000"}]
            record["DuocThanhToanTrucTuyen"] = "1" if chance() < 0.3 else "3"
        if chance() < 0.004:  # some systems write numbers
            record["HoSoCoThanhPhanSoHoa"] = int(record.get("HoSoCoThanhPhanSoHoa", "0"))
        return record

    def _digitised(self, record: Record, bits: int, papers: list[str]) -> None:
        flag, first = ("0", "0")
        if bits & DIGITISED:
            flag, first = (("1", "1"), ("1", "0"), ("0", "1"))[int(self._chance() * 3)]
        if flag == "1" or self._chance() < 0.6:
            record["HoSoCoThanhPhanSoHoa"] = flag
        record["TaiLieuNop"] = [
            {
                "TepDinhKemId": f"{k}",
                "TenTepDinhKem": "Giấy tờ.pdf",
                "IsDeleted": "False",
                "DuongDanTaiTepTin": paper,
                "DuocSoHoa": "0" if k else first,
                "DuocTaiSuDung": "0",
            }
            for k, paper in enumerate(papers)
        ]

    def _databases(self, record: Record, bits: int) -> None:
        draw = self._chance()
        if bits & POPULATION:
            if draw < 0.5:
                record["TaiKhoanDuocXacThucVoiVNeID"] = "1"
            if draw >= 0.4:
                record["DSKetNoiCSDL"] = [{"MaCSDL": "2"}, {"MaCSDL": "7" if draw < 0.8 else "1"}]
        elif draw < 0.3:
            record["TaiKhoanDuocXacThucVoiVNeID"] = "0"
            record["DSKetNoiCSDL"] = [{"MaCSDL": "2"}] if draw < 0.1 else []

    def full(
        self,
        dossier: Dossier,
        status: int,
        *,
        received: str | None = None,
        ended: str = "",
        returned: str = "",
        refused: str = "",
        rounds: list[Record] | None = None,
        results: list[Record] | None = None,
    ) -> Record:
        return {
            **dossier.common,
            "TrangThaiHoSo": str(status) if self._chance() > 0.004 else status,
            "NgayTiepNhan": dossier.received_text if received is None else received,
            "NgayHenTra": dossier.due_text,
            "NgayKetThucXuLy": ended,
            "NgayTra": returned,
            "NgayTuChoi": refused,
            "DanhSachHoSoBoSung": rounds or [],
            "DanhSachGiayToKetQua": results or [],
        }

    def links(self, dossier: Dossier) -> list[Record]:
        number, papers = dossier.number, dossier.papers
        paper = {"TenGiayTo": "Kết quả", "MaGiayToKetQua": "KQ1"}
        if dossier.source.body in self._gaming and self._chance() < 0.4:
            return [{**paper, "DuongDanTepTinKetQua": papers[0]}]
        link = {**paper, "DuongDanTepTinKetQua": f"ketqua/{number}.pdf"}
        return [link] if self._chance() < 0.9 else [{**paper, "DuongDanTepTinKetQua": papers[0]}, link]

    def no_links(self) -> list[Record]:
        if self._chance() < 0.8:
            return []
        return [{"TenGiayTo": "Kết quả", "MaGiayToKetQua": "KQ1", "DuongDanTepTinKetQua": ""}]

    def progress(self, dossier: Dossier, status: int, time: int) -> Record:
        return {
            "MaHoSo": dossier.number,
            "NguoiXuLy": "CÁN BỘ THỬ",
            "ChucDanh": "Chuyên viên",
            "ThoiDiemXuLy": wire(time),
            "PhongBanXuLy": "Bộ phận Một cửa",
            "NoiDungXuLy": "Xử lý hồ sơ",
            "TrangThai": str(status),
        }
