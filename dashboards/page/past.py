"""What became of a published figure, and how one dossier came about, as the page shows them."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from dashboards.page.asked import Asked, Lang
from dashboards.page.shown import NONE, Rate, rate
from dashboards.page.standing import points
from dashboards.page.words import KIND_NAMES, STATUSES, SYSTEM_NAMES, count, moment, say
from rates.known import KINDS
from rates.register import Register

SHOWN: Final = 50
_CELLS: Final = ("status", "received", "completed", "due", "system", "procedure", "record", "progress")


class Move(Struct, frozen=True):
    """What one kind of event added to numerator and denominator, with signs."""

    kind: str
    name: str
    above: str
    below: str


class Restated(Struct, frozen=True):
    """A month's figure at its first publication and now; `change` in percentage points, "" for none."""

    key: str
    month: str
    code: str
    name: str
    published: Rate
    now: Rate
    change: str
    up: bool | None
    moves: tuple[Move, ...]


class Cell(Struct, frozen=True):
    """A property of a dossier; `new`: it was another one in the version before."""

    key: str
    text: str
    new: bool


class Version(Struct, frozen=True):
    """What a dossier was after an accepted event. `within`, `counts`: in denominator, in numerator."""

    key: str
    learnt: str
    kind: str
    cells: tuple[Cell, ...]
    within: bool
    counts: bool


def restated(
    rows: Sequence[Mapping[str, Any]], register: Register, today: int, asked: Asked
) -> tuple[list[Restated], str]:
    """The figures that moved most, and how many moved in all."""
    lang = asked.lang
    made = []
    for row in rows:
        published, now = (
            (int(row[f"{which}numerator"]), int(row[f"{which}denominator"])) for which in ("published_", "")
        )
        change = Fraction(*now) - Fraction(*published) if now[1] and published[1] else None
        year, month, _ = row["month"].split("-")
        moves = []
        for kind in KINDS:
            above, below = int(row[f"by_{kind}"]), int(row[f"by_{kind}_of"])
            if above or below:
                moves.append(
                    Move(kind, say(KIND_NAMES[kind], lang), _signed(above, lang), _signed(below, lang))
                )
        made.append(
            Restated(
                f"{row['month']}-{row['code']}",
                f"{month}/{year}" if lang == "vi" else f"{year}-{month}",
                row["code"],
                say(register.name(row["code"], today), lang),
                rate(*published, lang),
                rate(*now, lang),
                "" if change is None else points(change, lang),
                None if not change else change > 0,
                tuple(moves),
            )
        )
    return made, count(int(rows[0]["found"]) if rows else 0, lang)


def versions(rows: Iterable[Mapping[str, Any]], register: Register, lang: Lang) -> list[Version]:
    """A dossier's accepted versions, the last first."""
    made: list[Version] = []
    before: dict[str, str] = {}
    for at, row in enumerate(rows):
        texts = dict(zip(_CELLS, _texts(row, register, lang), strict=True))
        cells = tuple(Cell(key, text, bool(at) and text != before[key]) for key, text in texts.items())
        made.append(
            Version(
                str(at),
                moment(row["learnt_time"], lang),
                say(KIND_NAMES.get(row["change_kind"], (row["change_kind"],) * 2), lang),
                cells,
                bool(row["within"]),
                bool(row["counts"]),
            )
        )
        before = texts
    return made[::-1]


def _texts(row: Mapping[str, Any], register: Register, lang: Lang) -> tuple[str, ...]:
    procedure = register.procedure(row["procedure_code"])
    named = say((procedure.name_vi, procedure.name_en), lang) if procedure else ""
    system = SYSTEM_NAMES.get(row["system"], (row["system"],) * 2)
    told = tuple(
        f"{_status(row[f'{clock}_status'], lang)},\n{moment(row[f'{clock}_time'], lang)}"
        if row[f"{clock}_status"]
        else NONE
        for clock in ("record", "progress")
    )
    # Nowhere but where a line of the table of versions may break.
    times = (
        moment(row[f"{name}_time"], lang).replace(" ", "\n") for name in ("received", "completed", "due")
    )
    code = row["procedure_code"] or NONE
    return (
        _status(row["status"], lang),
        *times,
        say(system, lang),
        f"{named} ({code})" if named else code,
        *told,
    )


def _status(code: int, lang: Lang) -> str:
    known = STATUSES.get(code)
    return say(known, lang) if known else NONE if not code else str(code)


def _signed(number: int, lang: Lang) -> str:
    return f"{'+' if number > 0 else '−' if number else ''}{count(abs(number), lang)}"
