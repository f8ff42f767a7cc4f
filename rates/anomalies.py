"""Ways in which figures are known to be made to look better, as far as statuses, times, links and flags show.

Each detector is a pair of tallies over the day of receipt, a share that is still ordinary, and a sentence. It
names evidence, never a culprit: a share above what is ordinary has innocent causes too, so whoever looks gets
the numbers and the dossiers. Sources: the reference's table of documented patterns (domain §5.1, G1–G20), and
for shares that are still ordinary its rules R5–R10 (§5.2).

To add one, add it to `DETECTORS`.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from rates.statistics import wilson


class Detector(Struct, frozen=True, kw_only=True):
    """`matching` less `without` among `of`, names of tallies: what counts in one counts in the next
    (`without` → `matching` → `of`); `without` may be "".

    `ordinary`: the share, of 1, up to which nothing is said; `least`: of so many dossiers on. A `constant` is
    evidence only where all of them match. `of_dossier` says in words which dossiers match.
    """

    id: str
    matching: str
    without: str = ""
    of: str
    ordinary: float = 0.0
    least: int = 30
    constant: bool = False
    title_vi: str
    title_en: str
    of_dossier_vi: str
    of_dossier_en: str

    @property
    def condition(self) -> str:
        """Which dossiers match, as a condition on the tallies of a dossier, in the words of SQL."""
        return f"{self.of} AND {self.matching}" + (f" AND NOT {self.without}" if self.without else "")


class Evidence(Struct, frozen=True):
    """How many dossiers match of how many, and the least share that they speak for (95 %, Wilson)."""

    detector: Detector
    matching: int
    of: int
    at_least: float

    @property
    def share(self) -> float:
        return self.matching / self.of


DETECTORS: Final = (
    Detector(
        id="G1",
        matching="closed_from_supplement",
        of="received",
        ordinary=0.02,
        title_vi="Đóng ngay sau yêu cầu bổ sung",
        title_en="Closed straight from a supplement request",
        of_dossier_vi="chuyển thẳng từ yêu cầu bổ sung hoặc nộp tiền sang có kết quả",
        of_dossier_en="went from a request for papers or payment straight to ready",
    ),
    Detector(
        id="G1-reopened",
        matching="reopened",
        of="received",
        ordinary=0.01,
        title_vi="Đã xong rồi mở lại",
        title_en="Done, then open again",
        of_dossier_vi="đã báo xong rồi quay lại đang xử lý",
        of_dossier_en="were reported done and went back to being processed",
    ),
    Detector(
        id="G2",
        matching="e_result",
        without="e_result_clean",
        of="e_result",
        ordinary=0.005,
        title_vi="Kết quả là giấy tờ đầu vào",
        title_en="A result that is an input paper",
        of_dossier_vi="có đường dẫn kết quả trùng với giấy tờ người dân đã nộp",
        of_dossier_en="have a result link that is one of the papers handed in",
    ),
    Detector(
        id="G3",
        matching="digitised",
        of="received",
        least=100,
        constant=True,
        title_vi="Mọi hồ sơ đều ghi là đã số hóa",
        title_en="Every dossier says it is digitised",
        of_dossier_vi="ghi là có thành phần số hóa",
        of_dossier_en="say that they have digitised papers",
    ),
    Detector(
        id="G5",
        matching="population_database",
        of="received",
        least=100,
        constant=True,
        title_vi="Mọi hồ sơ đều ghi là có kết nối dân cư",
        title_en="Every dossier says it used the population database",
        of_dossier_vi="ghi là có xác thực hoặc tra cứu dân cư",
        of_dossier_en="say that the population database was used",
    ),
    Detector(
        id="G6",
        matching="no_due",
        of="received",
        ordinary=0.02,
        title_vi="Không có ngày hẹn trả",
        title_en="No due date",
        of_dossier_vi="không có ngày hẹn trả, nên không bao giờ quá hạn",
        of_dossier_en="have no due date, so they are never overdue",
    ),
    Detector(
        id="G7",
        matching="due_moved",
        of="received",
        ordinary=0.02,
        title_vi="Dời ngày hẹn sau khi đã quá hạn",
        title_en="Due date moved once it had passed",
        of_dossier_vi="được ghi ngày hẹn trả mới sau khi đã qua ngày hẹn cũ",
        of_dossier_en="were given a later due date after the old one had passed",
    ),
    Detector(
        id="G15",
        matching="overdue_sync_late",
        of="on_time",
        ordinary=0.05,
        title_vi="Đúng hạn, nhưng gửi sau hạn",
        title_en="On time, told after the due date",
        of_dossier_vi="ghi xong đúng hạn, nhưng tới hệ thống sau ngày hẹn trả",
        of_dossier_en="are recorded as on time, and were told only after the due date",
    ),
    Detector(
        id="G16",
        matching="backdated",
        of="received",
        ordinary=0.20,
        title_vi="Ghi lùi ngày hơn bảy ngày",
        title_en="Dated back by more than seven days",
        of_dossier_vi="có trạng thái ghi lùi hơn bảy ngày trước khi tới hệ thống",
        of_dossier_en="have a status dated more than seven days before it was told",
    ),
)
UNSEEN: Final[Mapping[str, tuple[str, str]]] = {
    "G4": (
        "tái sử dụng giấy tờ đi liền với dữ liệu cá nhân, không được khai báo nên không bao giờ được giải mã",
        "re-use of papers is personal data's neighbour and is not declared, so it is never decoded",
    ),
    "G8": (
        "người nộp là dữ liệu cá nhân: không bao giờ được giải mã",
        "who applied is personal data: never decoded",
    ),
    "G9": (
        "hồ sơ không gửi chỉ để lại khoảng trống trong dãy số, mà các đơn vị đánh số không giống nhau",
        "rows that were never sent leave no trace but gaps in numbers, which units do not number alike",
    ),
    "G10": ("cần số liệu đã công bố", "needs the published figures"),
    "G11": ("cần số liệu đã công bố", "needs the published figures"),
    "G12": ("cần điểm đã công bố", "needs the published scores"),
    "G13": (
        "cờ số hóa không kèm khai báo rằng có tệp của giấy tờ hay không",
        "whether a paper's file exists is not declared beside its flag",
    ),
    "G14": (
        "tiếp nhận lúc nửa đêm có thể là ngày không kèm giờ; tỷ lệ ấy không được đếm",
        "a receipt at midnight may be a date without a time; the share is not tallied",
    ),
    "G17": ("cần điểm đã công bố", "needs the published scores"),
    "G18": (
        "tài khoản là dữ liệu cá nhân: không bao giờ được giải mã",
        "accounts are personal data: never decoded",
    ),
    "G19": (
        "ghi lùi ngày hiện ra ở G16; nộp thay thì cần biết tài khoản",
        "backdating shows as G16; filing on behalf needs accounts",
    ),
    "G20": ("cần biết phần mềm của từng địa phương", "needs to know each locality's software"),
}
"""Patterns of the reference that cannot be seen in what is decoded, each with the reason (vi, en)."""


def evidence(detector: Detector, counts: Mapping[str, int]) -> Evidence | None:
    """What a detector finds in tallies of one unit and period, summed over days of receipt; None for nothing.

    More than an ordinary share is evidence where even the lower end of its 95 % interval is above it.
    """
    matching = counts[detector.matching] - (counts[detector.without] if detector.without else 0)
    return weighed(detector, matching, counts[detector.of])


def weighed(detector: Detector, matching: int, of: int) -> Evidence | None:
    """As `evidence`, of counts that are there already."""
    if of < detector.least or matching <= 0:
        return None
    at_least, _ = wilson(matching, of)
    found = matching >= of if detector.constant else at_least > detector.ordinary
    return Evidence(detector, matching, of, at_least) if found else None
