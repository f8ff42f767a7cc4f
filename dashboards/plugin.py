"""How Grafana and its ClickHouse plugin call things: data source, queries, units, ids."""

from collections.abc import Mapping
from typing import Final
from zlib import crc32

from dashboards.boards import Board
from dashboards.page.asked import Lang
from dashboards.panels import Unit

SOURCE: Final = {"type": "grafana-clickhouse-datasource", "uid": "motcua-clickhouse"}
FOLDERS: Final[Mapping[Lang, str]] = {"vi": "Một cửa", "en": "One-stop shops"}

UNITS: Final[Mapping[Unit, str]] = {
    "": "locale",
    "count": "locale",
    "seconds": "s",
    "milliseconds": "ms",
    "bytes": "bytes",
    "points": "none",
}
"""Grafana's unit for that of a panel; `locale` groups thousands."""
RATE: Final = "percentunit"
TIME: Final = "dateTimeAsIso"


def uid(board: Board, lang: Lang) -> str:
    return f"motcua-{board.id}-{lang}"


def panel_id(identifier: str) -> int:
    """A panel's number in every dashboard: links to it survive whatever is put beside it."""
    return crc32(identifier.encode()) % 1_000_000 + 1


def folder(lang: str) -> str:
    """The uid of a language's folder."""
    return f"motcua-{lang}"


def query(sql: str, name: str = "A") -> dict[str, object]:
    """A query of the plugin whose answer is a table. `name` tells queries of one panel apart."""
    return {"refId": name, "datasource": SOURCE, "editorType": "sql", "format": 1, "rawSql": sql}
