"""Units by the evidence that their own dossiers give: a reason to look, never a verdict."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

import msgspec
from msgspec import Struct

from dashboards.figures import percent
from dashboards.page.asked import Asked, Lang
from dashboards.page.shown import NONE, Line, line
from dashboards.page.standing import points, stand
from dashboards.page.words import Words, count, decimal, say
from dashboards.panels import CONSTANT
from rates.anomalies import DETECTORS, UNSEEN, Detector, weighed
from rates.register import Register

WORDS: Final[Mapping[str, Words]] = {
    "lead": (
        "Đây là dấu hiệu để xem xét, không phải kết luận; có thể có lý do chính đáng.",
        "These are reasons to look, not verdicts; there may well be a good cause.",
    ),
    "papers": ("Kết quả là giấy tờ đầu vào", "Results that are input papers"),
    "papers_note": (
        "Hồ sơ có “kết quả điện tử” chính là một giấy tờ đã nộp: báo cáo tính, dạng sạch không tính.",
        "Dossiers whose “result” is one of the papers handed in: reported counts them, clean does not.",
    ),
    "difference": ("Chênh lệch", "Difference"),
    "constants": ("Trường luôn như nhau", "Fields that never differ"),
    "constants_note": (
        "Từ 100 hồ sơ trở lên mà một trường đúng 100 %: có thể do phần mềm gán cứng.",
        "From 100 dossiers on, a field that holds in 100 %: software may have set it for all.",
    ),
    "digitising": ("số hóa 100 %", "digitised 100 %"),
    "connected": ("dùng CSDL dân cư 100 %", "population database 100 %"),
    "results": ("kết quả điện tử 100 %", "electronic result 100 %"),
    "dossiers": ("Hồ sơ", "Dossiers"),
    "units_found": ("đơn vị có dấu hiệu", "units with evidence"),
    "none": ("Không đơn vị nào có dấu hiệu trong kỳ này.", "No unit has evidence in this period."),
    "signs": ("Dấu hiệu theo kiểu", "Evidence by kind"),
    "signs_note": (
        "Tỷ lệ vượt mức bình thường, kể cả ở đầu thấp của khoảng tin cậy 95 % (Wilson).",
        "Shares above the ordinary, even at the lower end of their 95 % interval (Wilson).",
    ),
    "matching": ("Hồ sơ", "Dossiers"),
    "of": ("trên", "of"),
    "share": ("Tỷ lệ", "Share"),
    "ordinary": ("Bình thường tới", "Ordinary up to"),
    "at_least": ("Ít nhất", "At least"),
    "what": ("Là những hồ sơ", "Dossiers that"),
    "unseen": ("Không nhìn thấy được từ dữ liệu này", "Cannot be seen in these data"),
    "see": ("Xem hồ sơ không tính ở dạng sạch", "See the dossiers that clean does not count"),
}
SIGNS_SHOWN: Final = 200
_CONSTANTS: Final = ("digitising", "connected", "results")


class Evidence(Struct, frozen=True):
    """A unit with what speaks against its figures; `papers`: dossiers that count by an input paper alone."""

    line: Line
    body: str
    body_name: str
    papers: str
    difference: str
    constants: tuple[str, ...]
    dossiers: str


class Sign(Struct, frozen=True):
    """One kind of evidence in one unit, in words."""

    detector: str
    title: str
    what: str
    code: str
    name: str
    body: str
    body_name: str
    matching: str
    of: str
    share: str
    ordinary: str
    at_least: str


def detector(identifier: str) -> Detector | None:
    """The detector of that id."""
    return next((one for one in DETECTORS if one.id == identifier), None)


def unseen(lang: Lang) -> list[tuple[str, str]]:
    """What cannot be seen, each with the reason."""
    return [(identifier, say(why, lang)) for identifier, why in UNSEEN.items()]


def signs(rows: Iterable[Mapping[str, Any]], register: Register, today: int, asked: Asked) -> list[Sign]:
    """The evidence that chance does not explain, kind by kind, the most certain first."""
    found: list[tuple[str, float, Sign]] = []
    for row in rows:
        one = detector(row["detector_id"])
        matching, of = int(row["matching"]), int(row["total"])
        weighed_ = weighed(one, matching, of) if one is not None else None
        if one is None or weighed_ is None:
            continue
        sign = Sign(
            one.id,
            say((one.title_vi, one.title_en), asked.lang),
            say((one.of_dossier_vi, one.of_dossier_en), asked.lang),
            row["code"],
            say(register.name(row["code"], today), asked.lang),
            row["body_code"],
            say(register.name(row["body_code"], today), asked.lang),
            count(matching, asked.lang),
            count(of, asked.lang),
            percent_of(matching, of, asked.lang),
            "–" if one.constant else percent_of(round(1000 * one.ordinary), 1000, asked.lang),
            percent_of(round(10_000 * weighed_.at_least), 10_000, asked.lang),
        )
        found.append((one.id, -weighed_.at_least, sign))
    return [sign for _, _, sign in sorted(found, key=lambda each: each[:2])][:SIGNS_SHOWN]


def percent_of(part: int, whole: int, lang: Lang) -> str:
    """A share in per cent, as figures are written."""
    return f"{decimal(percent(part, whole) or NONE, lang)} %"


def context(
    rows: Iterable[Mapping[str, Any]], register: Register, today: int, asked: Asked
) -> tuple[list[Evidence], int]:
    """The units of a page, those with the most evidence first, and how many there are on all pages."""
    found, every = [], 0
    for row in rows:
        every = int(row["found"])
        reported, clean, total = (int(row[name]) for name in ("reported", "clean", "total"))
        dossiers = int(row["dossiers"])
        name = say(register.name(row["code"], today), asked.lang)
        gap = Fraction(clean - reported, total) if total else Fraction(0)
        shown = line(row["code"], name, (reported, clean, total), asked.lang)
        standing = stand(shown.chosen(asked.form).whole, None, None, asked.lang)
        found.append(
            Evidence(
                msgspec.structs.replace(shown, standing=standing),
                row["body_code"],
                say(register.name(row["body_code"], today), asked.lang),
                count(reported - clean, asked.lang),
                points(gap, asked.lang),
                tuple(key for key in _CONSTANTS if dossiers >= CONSTANT and int(row[key]) == dossiers),
                count(dossiers, asked.lang),
            )
        )
    return found, every
