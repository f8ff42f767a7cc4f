"""Records and calls that cannot be understood, one of each sort in turn, so that none is missing.

They are made of good ones, number and result link included: one that is taken for good changes a figure.
Everything that a log line can hold is here; what only broken bytes can be (no JSON, too deep) is not.
"""

from random import Random
from typing import Any, Final

from producers.scenario_dossiers import INSERT, PROGRESS, Sent
from producers.scenario_records import DAY, wire
from rates.declared import FULL_SERVICE, PROGRESS_SERVICE

WHOLE: Final = PROGRESS + 1
"""The kind of a `Sent` whose record is a whole call."""

_STRANGER: Final = "H98"
_NUMBERS: Final = (
    "",
    "H1.21-230105-0001",
    "h18.21-230105-0001",
    "H１8.21-230105-0001",
    "H18.21 -230105-0001",
)
_STATUSES: Final[tuple[Any, ...]] = ("11", "", "0", "09", 9.0, None, True)
_NO_OBJECTS: Final[tuple[Any, ...]] = (None, "hồ sơ", 17, [])
_SORTS: Final = 14


class Junk:
    """Makes junk of what was sent, each call of `of` the next sort."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._made = -1

    def of(self, sent: Sent, unit: str) -> Sent:
        """Junk that resembles a record of a unit and is received with it."""
        self._made += 1
        choose, record, sender = self._random.choice, sent.record, sent.sender
        link = [{"MaGiayToKetQua": "KQ1", "DuongDanTepTinKetQua": "ketqua/rac.pdf"}]
        returned = {**record, "TrangThaiHoSo": "10", "NgayTra": wire(sent.at), "DanhSachGiayToKetQua": link}
        row = {"MaHoSo": record["MaHoSo"], "TrangThai": "3", "ThoiDiemXuLy": wire(sent.at)}
        kind, made = INSERT, dict[str, Any]()
        match self._made % _SORTS:
            case 0:
                made = {**returned, "MaHoSo": choose(_NUMBERS)}
            case 1:
                made = {name: value for name, value in returned.items() if name != "MaHoSo"}
            case 2:
                sender, made = _STRANGER, returned
            case 3:
                sender, made = "", returned
            case 4:
                sender, made = f"{unit}.9", returned
            case 5:
                made = {**returned, "TrangThaiHoSo": choose(_STATUSES)}
            case 6:
                made = {name: value for name, value in returned.items() if name != "TrangThaiHoSo"}
            case 7:
                return sent._replace(kind=INSERT, record=choose(_NO_OBJECTS))
            case 8:
                kind, made = PROGRESS, {**row, "ThoiDiemXuLy": choose(("", "20231345090000", "hôm qua"))}
            case 9:
                kind, made = PROGRESS, {**row, "ThoiDiemXuLy": wire(sent.at + 3 * DAY)}
            case 10:
                kind, made = PROGRESS, {**row, "TrangThai": choose(_STATUSES)}
            case 11:
                kind, made = WHOLE, {"service": "TraCuuHoSo", "madonvi": sender, "mahoso": record["MaHoSo"]}
            case 12:
                kind, made = WHOLE, {"service": FULL_SERVICE, "madonvi": sender, "data": returned}
            case _:
                kind, made = WHOLE, {"service": PROGRESS_SERVICE, "madonvi": sender, "data": None}
        return Sent(sent.at, sender, kind, made)
