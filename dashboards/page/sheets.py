"""A panel's rows as CSV: the columns of its frame, names from the register, rates with their intervals.

For spreadsheets: UTF-8 with a mark, and no text that one would take for a formula.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

from dashboards.figures import percent
from dashboards.page.asked import Lang
from dashboards.page.standing import interval
from dashboards.page.words import iso, say
from dashboards.panels import Panel
from rates.register import Register

MOST_ROWS: Final = 100_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NAMED: Final = {"code": "name", "body_code": "body_name"}


def sheet(panel: Panel, rows: Iterable[Mapping[str, Any]], register: Register, today: int, lang: Lang) -> str:
    """The text of the sheet. Rates in per cent to two decimals, empty for 0/0; times with their offset."""
    columns = [column.name for column in panel.columns]
    kinds = {column.name: column.kind for column in panel.columns}
    names = [name for name in columns if name in _NAMED and panel.id != "systems"]
    forms = [name for name in ("reported", "clean") if name in columns and "total" in columns]
    extra = [_NAMED[name] for name in names]
    extra += [f"{form}_{what}" for form in forms for what in ("percent", "low", "high")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*columns, *extra])
    for row in rows:
        cells = [_cell(row[name], kinds[name]) for name in columns]
        cells += [_safe(say(register.name(row[name], today), lang)) for name in names]
        for form in forms:
            numerator, total = int(row[form]), int(row["total"])
            low, high = interval(numerator, total)
            known = percent(numerator, total)
            cells += ["", "", ""] if known is None else [known, f"{100 * low:.2f}", f"{100 * high:.2f}"]
        writer.writerow(cells)
    return "\ufeff" + out.getvalue()


def _cell(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind == "time":
        return iso(int(value)) or ""
    return _safe(value) if isinstance(value, str) else str(value)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
