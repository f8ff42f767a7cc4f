"""Which bodies use the population database, and through which specialised systems dossiers come.

Nobody is asked whether a connection works: what is said is what the traffic shows, and until when.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from msgspec import Struct

from dashboards.page.asked import Asked
from dashboards.page.shown import NONE, Rate, plain, rate
from dashboards.page.words import SYSTEM_NAMES, Words, day, say
from rates.register import BODY_LEVELS, Register
from rates.sheets import day_number
from rates.tallies import SYSTEMS

QUIET_DAYS: Final = 30
"""A connection of which nothing came for so many days is quiet."""

WORDS: Final[Mapping[str, Words]] = {
    "lead": (
        "Trạng thái suy ra từ hồ sơ đã tới, không phải từ lời khai: ai đã dùng, bao nhiêu, lần cuối khi nào.",
        "The state is read off what has come, not off what is declared: who used it, how much, when last.",
    ),
    "population": ("Cơ sở dữ liệu quốc gia về dân cư", "National population database"),
    "population_note": (
        "Một hồ sơ dùng cơ sở dữ liệu dân cư khi DSKetNoiCSDL có mã 1 hoặc 7.",
        "A dossier uses the population database where DSKetNoiCSDL holds the code 1 or 7.",
    ),
    "specialised": ("Các hệ thống và cơ sở dữ liệu chuyên ngành", "Specialised systems and databases"),
    "specialised_note": (
        "Hệ thống của một hồ sơ suy ra từ thủ tục hoặc lĩnh vực theo danh mục.",
        "A dossier's system follows from its procedure or sector, by the register.",
    ),
    "state": ("Trạng thái", "State"),
    "used": ("Đang dùng", "In use"),
    "quiet": ("Không thấy gần đây", "Not seen lately"),
    "never": ("Chưa thấy", "Never seen"),
    "quiet_note": (
        "“Không thấy gần đây”: hơn 30 ngày trước ngày cuối của kỳ.",
        "“Not seen lately”: more than 30 days before the period's last day.",
    ),
    "using": ("Hồ sơ có dùng", "Dossiers using it"),
    "dossiers": ("Hồ sơ", "Dossiers"),
    "first": ("Lần đầu", "First"),
    "latest": ("Lần cuối", "Last"),
    "bodies": ("bộ, địa phương", "bodies"),
    "ministry": ("Bộ, ngành", "Ministries"),
    "province": ("Địa phương", "Localities"),
    "connected": ("đã dùng", "have used it"),
}
_MARKS: Final = {"used": "✓", "quiet": "◌", "never": "○"}


class Connection(Struct, frozen=True):
    """One body's use, or one system's; `heard`: how many bodies, of `registered`."""

    code: str
    name: str
    state: str
    mark: str
    use: Rate
    first: str
    latest: str
    heard: int = 0
    registered: int = 0


class Kind(Struct, frozen=True):
    key: str
    lines: tuple[Connection, ...]
    used: int


def context(
    rows: Sequence[Mapping[str, Any]], register: Register, today: int, asked: Asked
) -> dict[str, Any]:
    """What the template needs. `today`: the day that states are as of, in days since 1970."""
    lang = asked.lang
    kinds = [
        _kind(level, codes, rows, register, today, asked)
        for level in BODY_LEVELS
        if (codes := _registered(register, level, today, asked.only))
    ]
    registered = {code for level in BODY_LEVELS for code in _registered(register, level, today, asked.only)}
    systems = []
    for system in SYSTEMS:
        own = [row for row in rows if row["system_code"] == system]
        latest = max((row["latest"] for row in own), default="")
        state = _state(latest, today)
        systems.append(
            Connection(
                system,
                say(SYSTEM_NAMES[system], lang),
                state,
                _MARKS[state],
                rate(_sum(own, "connected"), _sum(own, "dossiers"), lang),
                "",
                day(latest, lang) if latest else NONE,
                len({row["code"] for row in own} & registered),
                len(registered),
            )
        )
    return {"p": lambda key: say(WORDS[key], lang), "kinds": kinds, "systems": systems}


def _kind(
    key: str,
    codes: Iterable[str],
    rows: Iterable[Mapping[str, Any]],
    register: Register,
    today: int,
    asked: Asked,
) -> Kind:
    lines = []
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["code"], []).append(row)
    for code in codes:
        own = found.get(code, [])
        using = [row for row in own if row["connected"]]
        latest = max((row["connected_latest"] for row in using), default="")
        first = min((row["connected_first"] for row in using), default="")
        state = _state(latest, today)
        lines.append(
            Connection(
                code,
                say(register.name(code, today), asked.lang),
                state,
                _MARKS[state],
                rate(_sum(own, "connected"), _sum(own, "dossiers"), asked.lang),
                day(first, asked.lang) if first else NONE,
                day(latest, asked.lang) if latest else NONE,
            )
        )
    lines.sort(key=lambda one: (plain(one.name), one.code))
    return Kind(key, tuple(lines), sum(one.state != "never" for one in lines))


def _registered(register: Register, level: str, today: int, only: str) -> tuple[str, ...]:
    return tuple(code for code in register.bodies(today, level) if only in ("", code))


def _state(latest: str, today: int) -> str:
    if not latest:
        return "never"
    return "used" if today - day_number(date.fromisoformat(latest)) <= QUIET_DAYS else "quiet"


def _sum(rows: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(int(row[name]) for row in rows)
