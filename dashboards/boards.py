"""The boards: which panels belong together, in the order in which they answer. Every exporter reads it."""

from typing import Final

from msgspec import Struct


class Board(Struct, frozen=True, kw_only=True):
    """One question's worth of panels. `panels`: ids of `dashboards.panels.PANELS`, the answer first."""

    id: str
    title_vi: str
    title_en: str
    panels: tuple[str, ...]


BOARDS: Final = (
    Board(
        id="overview",
        title_vi="Tổng quan",
        title_en="Overview",
        panels=("rates", "trend", "distribution", "bodies", "backlog", "rejections"),
    ),
    Board(
        id="province",
        title_vi="Bộ, địa phương",
        title_en="Ministry or province",
        panels=(
            "rates",
            "trend",
            "distribution",
            "units",
            "systems",
            "backlog",
            "restatement_units",
            "alert_history",
        ),
    ),
    Board(
        id="unit",
        title_vi="Đơn vị",
        title_en="Unit",
        panels=("rates", "trend", "units", "backlog", "dossiers", "restatement_units"),
    ),
    Board(
        id="systems",
        title_vi="Hệ thống chuyên ngành",
        title_en="Specialised systems",
        panels=("systems", "system_bodies"),
    ),
    Board(
        id="connections",
        title_vi="Kết nối",
        title_en="Connections",
        panels=("connections",),
    ),
    Board(
        id="inspection",
        title_vi="Cần xem xét",
        title_en="Inspection",
        panels=("inspection", "evidence", "restatement"),
    ),
    Board(
        id="alerts",
        title_vi="Cảnh báo",
        title_en="Alerts",
        panels=("alerts", "alert_history"),
    ),
    Board(
        id="pipeline",
        title_vi="Đường ống dữ liệu",
        title_en="Pipeline",
        panels=("workers", "stages", "batches", "partitions", "rejections", "audits", "swaps"),
    ),
)


def board(identifier: str) -> Board:
    """The board of that id; a `LookupError` that names the known ones otherwise."""
    for known in BOARDS:
        if known.id == identifier:
            return known
    msg = f"no board {identifier!r}; choose one of {', '.join(one.id for one in BOARDS)}"
    raise LookupError(msg)
