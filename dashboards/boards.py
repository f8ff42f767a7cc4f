"""The boards: which panels stand together, and what a reader may choose on them.

The built-in page and the exported dashboards of Grafana show the same boards; a panel is defined in `panels`.
"""

from typing import Final, Literal, TypeAlias

from msgspec import Struct

Variable: TypeAlias = Literal["definition", "form", "body", "unit", "system"]


class Board(Struct, frozen=True, kw_only=True):
    """A board. `panels`: their ids, in the order they are read; `variables`: what is chosen on it."""

    id: str
    title_vi: str
    title_en: str
    panels: tuple[str, ...]
    variables: tuple[Variable, ...] = ()


BOARDS: Final = (
    Board(
        id="overview",
        title_vi="Tổng quan",
        title_en="Overview",
        panels=("freshness", "rates", "bodies", "rejections"),
        variables=("definition", "form"),
    ),
    Board(
        id="province",
        title_vi="Bộ, tỉnh",
        title_en="Province",
        panels=("freshness", "rates", "units"),
        variables=("definition", "form", "body"),
    ),
    Board(
        id="unit",
        title_vi="Đơn vị",
        title_en="Unit",
        panels=("freshness", "rates", "dossiers", "rejections_by_unit"),
        variables=("definition", "form", "body", "unit"),
    ),
    Board(
        id="systems",
        title_vi="Hệ thống chuyên ngành",
        title_en="Specialised systems",
        panels=("freshness",),
        variables=("definition", "form"),
    ),
    Board(
        id="connections",
        title_vi="Kết nối",
        title_en="Connections",
        panels=("freshness", "scoreboard_units"),
    ),
    Board(
        id="inspection",
        title_vi="Kiểm tra",
        title_en="Inspection",
        panels=("freshness", "audits", "rejections", "rejections_by_unit"),
    ),
    Board(
        id="pipeline",
        title_vi="Đường ống dữ liệu",
        title_en="Pipeline",
        panels=("freshness", "workers", "stages", "batches", "partitions", "audits"),
    ),
)


def board(identifier: str) -> Board:
    """The board of that id; a `LookupError` otherwise."""
    for known in BOARDS:
        if known.id == identifier:
            return known
    msg = f"no board {identifier!r}; choose one of {', '.join(b.id for b in BOARDS)}"
    raise LookupError(msg)
