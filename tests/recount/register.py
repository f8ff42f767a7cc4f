"""The reference data as a recount reads it: who stands above, who succeeds, which body, which system.

Reads `units.csv` and `procedures.csv` as plain data. It decides the body of a unit on a day and the unit
codes that may send for a unit. It promises an answer for any unit code, known or not, and refuses nothing.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

OLD_FORM = re.compile(r"(?:[0-9]{1,3}\.){3}[HG][0-9]{2}")
NEW_FORM = re.compile(r"[HG][0-9]{2}(?:\.[0-9]{1,3}){0,3}")
LOCAL_PROCEDURE = re.compile(r"([0-9]\.[0-9]{6})(?:\.[0-9]{1,3}){3}\.[HG][0-9]{2}")
SHIPPED = Path(__file__).resolve().parents[2] / "rates" / "reference"


def is_unit(text: str) -> bool:
    """True for a unit code of either form, ASCII digits, nothing before or after."""
    return bool(NEW_FORM.fullmatch(text) or OLD_FORM.fullmatch(text))


def above(unit: str) -> list[str]:
    """The codes that stand above a unit, by the code alone."""
    groups = unit.split(".")
    if OLD_FORM.fullmatch(unit):
        zeroed = [["0" * len(group) for group in groups[:count]] + groups[count:] for count in (1, 2, 3)]
        return [".".join(code) for code in zeroed]
    return [".".join(groups[:count]) for count in range(1, len(groups))]


@dataclass(frozen=True, slots=True)
class Term:
    """One row of the register: a unit as it stood from a day to a day, both included ("" = open)."""

    code: str
    parent: str
    since: str
    until: str
    successor: str


class Register:
    """Units valid in time, procedures and sectors, from a directory of CSV files."""

    def __init__(self, directory: Path = SHIPPED) -> None:
        self.terms: dict[str, list[Term]] = {}
        for row in _rows(directory / "units.csv"):
            term = Term(row["code"], row["parent"], row["valid_from"], row["valid_to"], row["successor"])
            self.terms.setdefault(term.code, []).append(term)
        for terms in self.terms.values():
            terms.sort(key=lambda term: term.since)
        self.procedures: dict[str, tuple[str, bool]] = {}
        self.sectors: dict[str, str] = {}
        for row in _rows(directory / "procedures.csv"):
            if row["kind"] == "sector":
                self.sectors[row["code"]] = row["system"]
            else:
                self.procedures[row["code"]] = (row["system"], row["result_required"] == "1")
        self._senders: dict[str, frozenset[str]] = {}
        self._bodies: dict[tuple[str, str], str] = {}

    def senders(self, unit: str) -> frozenset[str]:
        """Every `madonvi` that may send a record of this unit."""
        known = self._senders.get(unit)
        if known is None:
            allowed = {unit, *above(unit)}
            waiting = list(allowed)
            while waiting:
                for term in self.terms.get(waiting.pop(), ()):
                    if term.successor and term.successor not in allowed:
                        allowed.add(term.successor)
                        waiting.append(term.successor)
            known = self._senders[unit] = frozenset(allowed)
        return known

    def procedure(self, code: str, sector: str) -> tuple[str, bool]:
        """The system and whether a paper result is required, for a record's procedure and sector."""
        local = LOCAL_PROCEDURE.fullmatch(code)
        found = self.procedures.get(local[1] if local else code)
        if found is None:
            return self.sectors.get(sector, "other"), True
        return found

    def body(self, unit: str, day: str) -> str:
        """The province or ministry that a unit belongs to on a day (`YYYY-MM-DD`)."""
        found = self._bodies.get((unit, day))
        if found is None:
            found = self._bodies[unit, day] = self._find_body(unit, day)
        return found

    def _find_body(self, unit: str, day: str) -> str:
        terms = self.terms.get(unit)
        if terms is None:
            groups = unit.split(".")
            return self._standing(groups[-1] if OLD_FORM.fullmatch(unit) else groups[0], day)
        last = terms[-1]
        if last.until and last.until < day:
            return self._standing(self._top(unit, last.until), day)
        return self._standing(self._top(unit, day), day)

    def _top(self, unit: str, day: str) -> str:
        """Climb the parents as they stood on the day; before a unit's first term, as in its first."""
        terms = self.terms.get(unit)
        if not terms:
            return unit
        started = [term for term in terms if term.since <= day]
        term = started[-1] if started else terms[0]
        return self._top(term.parent, day) if term.parent else unit

    def _standing(self, body: str, day: str) -> str:
        """The body itself while it stands, its successor after its end."""
        terms = self.terms.get(body)
        if not terms:
            return body
        last = terms[-1]
        if last.until and last.until < day and last.successor:
            return self._standing(last.successor, day)
        return body


@lru_cache(maxsize=4)
def register_in(directory: Path) -> Register:
    """The register of a directory, read once."""
    return Register(directory)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
