"""The register: which units there are and when, what they belong to, and what a procedure is.

It decides four things: the system of a dossier, whether its procedure ends in a paper result, whether one
unit may send for another, and the body (province or ministry) that a unit belongs to on a day. A unit or
procedure that it does not know is no error: it counts all the same.

Units are valid in time: a row for each validity, and nothing is ever renumbered. The identifier (`H18`,
`G10`) is the key, never the GSO code or the name: seven GSO codes were used again for another province on
2025-07-01. Days are days since 1970, local; periods include both ends.

Sources: codes, Decision 20/2020/QĐ-TTg and QCVN 102:2016/BTTTT; provinces, Resolution 202/2025/QH15;
reference/README.md for the rest.
"""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from rates.sheets import FIRST_DAY, LAST_DAY, RegisterError, Row, read_rows, shipped
from rates.tallies import SYSTEMS
from rates.targets import Target, read_targets
from rates.wire import UNIT

__all__ = ["BODY_LEVELS", "LEVELS", "Procedure", "Register", "RegisterError", "Sector", "Unit"]

LEVELS: Final = ("ministry", "province", "agency", "department", "district", "commune")
BODY_LEVELS: Final = ("ministry", "province")
UNIT_COLUMNS: Final = (
    "code",
    "name_vi",
    "name_en",
    "level",
    "parent",
    "valid_from",
    "valid_to",
    "successor",
    "one_stop",
    "gso",
    "source",
)
PROCEDURE_COLUMNS: Final = (
    "kind",
    "code",
    "name_vi",
    "name_en",
    "sector",
    "system",
    "result_required",
    "fee",
    "source",
)

_OTHER: Final = SYSTEMS.index("other")
_NATIONAL: Final = re.compile(r"([0-9]\.[0-9]{6})\..*", re.DOTALL)
_CACHED: Final = 1 << 17  # above the pairs of sender and unit that a national month shows
_LONGEST: Final = 128


class Unit(Struct, frozen=True, gc=False):
    """A unit during one validity; `valid_from` and `valid_to` are days, both inclusive."""

    code: str
    name_vi: str
    name_en: str
    level: str
    parent: str
    valid_from: int
    valid_to: int
    successor: str
    one_stop: bool
    gso: str
    source: str


class Procedure(Struct, frozen=True, gc=False):
    """A procedure, by its national code; `system` is an index of `SYSTEMS`, None where its sector decides."""

    code: str
    name_vi: str
    name_en: str
    sector: str
    system: int | None
    result_required: bool
    fee: bool
    source: str


class Sector(Struct, frozen=True, gc=False):
    """A sector (`MaLinhVuc`) and its system, an index of `SYSTEMS`."""

    code: str
    name_vi: str
    name_en: str
    system: int
    source: str


class Register:
    """Units, procedures, sectors and targets, and what follows from them. Immutable but for its caches."""

    def __init__(
        self,
        units: Iterable[Unit],
        procedures: Iterable[Procedure] = (),
        sectors: Iterable[Sector] = (),
        targets: Iterable[Target] = (),
    ) -> None:
        self.units = tuple(units)
        self.procedures = {procedure.code: procedure for procedure in procedures}
        self.sectors = {sector.code: sector for sector in sectors}
        self.targets = tuple(targets)
        self._history: dict[str, list[Unit]] = {}
        for unit in sorted(self.units, key=lambda unit: unit.valid_from):
            self._history.setdefault(unit.code, []).append(unit)
        ends = {unit.valid_to + 1 for unit in self.units}
        self.turns = tuple(sorted({unit.valid_from for unit in self.units} | ends))
        """The days on which some unit is another than the day before; no body changes on other days."""
        self._systems: dict[tuple[str, str], int] = {}
        self._required: dict[str, bool] = {}
        self._senders: dict[tuple[str, str], bool] = {}

    @staticmethod
    @lru_cache(maxsize=1)
    def shipped() -> "Register":
        """The register that comes with the program."""
        return _read(shipped(), targets=shipped())

    @staticmethod
    def read(directory: Path) -> "Register":
        """One's own register: `units.csv` and `procedures.csv`; without a `targets.csv` the shipped one.

        Raises `RegisterError`, which names file, line, column and what to do.
        """
        own = (directory / "targets.csv").is_file()
        return _read(directory, targets=directory if own else shipped())

    def limited_to(self, codes: Collection[str]) -> "Register":
        """This register with the units of these codes alone."""
        units = [unit for unit in self.units if unit.code in codes]
        return Register(units, self.procedures.values(), self.sectors.values(), self.targets)

    def system(self, procedure: str, sector: str) -> int:
        """The system, an index of `SYSTEMS`: of the procedure, else of the sector, else other."""
        found = self._systems.get((procedure, sector))
        if found is None:
            known = self.procedure(procedure)
            by_procedure = known.system if known is not None else None
            if known is not None and by_procedure is None:
                by_procedure = self._sector_system(known.sector)
            by_sector = self._sector_system(sector)
            found = next((s for s in (by_procedure, by_sector) if s is not None), _OTHER)
            _remember(self._systems, (procedure, sector), found, len(procedure) + len(sector))
        return found

    def result_required(self, procedure: str) -> bool:
        """Whether the procedure ends in a paper result; yes where it is not known."""
        found = self._required.get(procedure)
        if found is None:
            known = self.procedure(procedure)
            found = known is None or known.result_required
            _remember(self._required, procedure, found, len(procedure))
        return found

    def procedure(self, code: str) -> Procedure | None:
        """The procedure of a code, with or without its local suffix (`1.003560.000.00.00.H56`)."""
        national = _NATIONAL.fullmatch(code)
        return self.procedures.get(national[1] if national else code)

    def may_send(self, sender: str, unit: str) -> bool:
        """Whether `sender` may send a record of `unit`: itself, one above it, or a successor of one of these.

        Above is a dotted prefix (`H18` of `H18.21.05`); in the old form the same code with left groups
        zeroed (`000.00.21.H18` of `000.07.21.H18`).
        """
        found = self._senders.get((sender, unit))
        if found is None:
            found = bool(sender) and sender in self._senders_for(unit)
            _remember(self._senders, (sender, unit), found, len(sender) + len(unit))
        return found

    def unit(self, code: str, day: int) -> Unit | None:
        """The row of a unit that is valid on a day; None where there is none."""
        for row in self._history.get(code, ()):
            if row.valid_from <= day <= row.valid_to:
                return row
        return None

    def name(self, code: str, day: int) -> tuple[str, str]:
        """What a unit is called on a day, in Vietnamese and English; the code where it is not known.

        Outside its validities: the name of the last one before the day, else of the first.
        """
        rows = self._history.get(code)
        if not rows:
            return code, code
        row = _row_before(rows, day) or rows[0]
        return row.name_vi, row.name_en

    def ends(self, code: str) -> int | None:
        """The last day that a unit is valid on; None where it has no end, or is not known."""
        rows = self._history.get(code)
        last = max((row.valid_to for row in rows), default=LAST_DAY) if rows else LAST_DAY
        return last if last < LAST_DAY else None

    def body(self, unit: str, day: int) -> str:
        """The body that a unit belongs to on a day: its parents' top, as valid on the day.

        A unit that had ended by then: its last body's successor. A unit not known: the body that its code
        names, or that body's successor. A unit asked before its first row: its first row's body.
        """
        while True:
            rows = self._history.get(unit)
            if rows is None:
                named = _named_body(unit)
                if named == unit:
                    return unit
                unit = named
                continue
            row = _row_before(rows, day)
            if row is None:
                row = rows[0]
                day = row.valid_from
            if day <= row.valid_to:
                if not row.parent:
                    return unit
                unit = row.parent
            elif row.parent:
                unit = self.body(unit, row.valid_to)
            elif row.successor:
                unit = row.successor
            else:
                return unit

    def body_eras(self, unit: str) -> list[tuple[int, int, str]]:
        """The bodies of a unit over all days: (first day, last day, body), in order and without a gap."""
        turns = {FIRST_DAY}
        reached, ahead = set[str](), [unit, _named_body(unit)]
        while ahead:
            code = ahead.pop()
            if code in reached:
                continue
            reached.add(code)
            for row in self._history.get(code, ()):
                turns.update((row.valid_from, row.valid_to + 1))
                ahead.extend(other for other in (row.parent, row.successor) if other)
        eras: list[tuple[int, int, str]] = []
        days = sorted(day for day in turns if day <= LAST_DAY)
        for first, last in zip(days, [*(day - 1 for day in days[1:]), LAST_DAY], strict=True):
            body = self.body(unit, first)
            if eras and eras[-1][2] == body:
                first = eras.pop()[0]
            eras.append((first, last, body))
        return eras

    def bodies(self, day: int | None = None, level: str | None = None) -> tuple[str, ...]:
        """The codes of the ministries and provinces: all that ever were, or those of a day, of a level."""
        levels = BODY_LEVELS if level is None else (level,)
        return tuple(
            dict.fromkeys(
                row.code
                for row in self.units
                if row.level in levels and (day is None or row.valid_from <= day <= row.valid_to)
            )
        )

    def one_stop_units(self, day: int) -> tuple[str, ...]:
        """The codes of the units that are one-stop shops on a day."""
        return tuple(row.code for row in self.units if row.one_stop and row.valid_from <= day <= row.valid_to)

    def _sector_system(self, sector: str) -> int | None:
        known = self.sectors.get(sector)
        return known.system if known is not None else None

    def _senders_for(self, unit: str) -> set[str]:
        senders, ahead = set[str](), _self_and_above(unit)
        while ahead:
            code = ahead.pop()
            if code not in senders:
                senders.add(code)
                ahead.extend(row.successor for row in self._history.get(code, ()) if row.successor)
        return senders


Key = TypeVar("Key")
Value = TypeVar("Value")


def _remember(cache: dict[Key, Value], key: Key, value: Value, length: int) -> None:
    # What arrives decides the keys, so a flood of invented or huge ones must not grow a cache without end.
    if length > _LONGEST:
        return
    if len(cache) >= _CACHED:
        cache.clear()
    cache[key] = value


def _row_before(rows: list[Unit], day: int) -> Unit | None:
    """The row valid on a day, else the last one that ended before it."""
    return next((row for row in reversed(rows) if row.valid_from <= day), None)


def _self_and_above(unit: str) -> list[str]:
    groups = unit.split(".")
    if groups[-1][:1] in ("H", "G") and len(groups) == 4:
        return [
            ".".join(["0" * len(group) for group in groups[:zeroed]] + groups[zeroed:]) for zeroed in range(4)
        ]
    return [".".join(groups[:kept]) for kept in range(1, len(groups) + 1)]


def _named_body(unit: str) -> str:
    """The body that a code names: the first group of the new form, the last of the old."""
    groups = unit.split(".")
    return groups[0] if groups[0][:1] in ("H", "G") else groups[-1]


def _read(directory: Traversable, *, targets: Traversable) -> Register:
    units = _read_units(directory / "units.csv")
    procedures, sectors = _read_procedures(directory / "procedures.csv")
    return Register(units, procedures, sectors, read_targets(targets / "targets.csv"))


def _read_units(sheet: Traversable) -> list[Unit]:
    units: list[Unit] = []
    rows: dict[str, list[tuple[Row, Unit]]] = {}
    for row in read_rows(sheet, UNIT_COLUMNS):
        code = row.text("code")
        if UNIT.fullmatch(code) is None:
            row.refuse("code", f"{code!r} is no code of a unit", "write it as H18, H18.21 or 000.00.21.H18")
        unit = Unit(
            code,
            row.required("name_vi"),
            row.required("name_en"),
            row.choice("level", LEVELS),
            row.text("parent"),
            *row.validity(),
            row.text("successor"),
            row.flag("one_stop"),
            row.text("gso"),
            row.required("source"),
        )
        for _, other in rows.get(code, ()):
            if unit.valid_from <= other.valid_to and other.valid_from <= unit.valid_to:
                row.refuse(
                    "valid_from", f"{code} is valid twice at a time", "end the one before the other begins"
                )
        units.append(unit)
        rows.setdefault(code, []).append((row, unit))
    if not units:
        raise RegisterError(str(sheet), 1, "", "there is no unit in it", "add a row for each unit")
    _check_links(rows)
    return units


def _check_links(rows: dict[str, list[tuple[Row, Unit]]]) -> None:
    """Refuse a parent or successor that is not there, and units that come back to themselves."""
    done: set[str] = set()
    for start in rows:
        path: list[str] = []
        ahead: list[tuple[str, bool]] = [(start, False)]
        on_path: set[str] = set()
        while ahead:
            code, left = ahead.pop()
            if left:
                path.pop()
                on_path.discard(code)
                done.add(code)
                continue
            if code in done:
                continue
            path.append(code)
            on_path.add(code)
            ahead.append((code, True))
            for row, unit in rows[code]:
                for column, other in (("parent", unit.parent), ("successor", unit.successor)):
                    if not other:
                        continue
                    if other not in rows:
                        row.refuse(column, f"there is no unit {other}", "add its row, or correct the code")
                    if other in on_path:
                        circle = " → ".join((*path[path.index(other) :], other))
                        row.refuse(column, f"the units run in a circle: {circle}", "leave one of them out")
                    ahead.append((other, False))


def _read_procedures(sheet: Traversable) -> tuple[list[Procedure], list[Sector]]:
    procedures: list[Procedure] = []
    sectors: list[Sector] = []
    seen: set[tuple[str, str]] = set()
    for row in read_rows(sheet, PROCEDURE_COLUMNS):
        kind, code = row.choice("kind", ("procedure", "sector")), row.required("code")
        if (kind, code) in seen:
            row.refuse("code", f"the {kind} {code} stands twice", "delete one of the two rows")
        seen.add((kind, code))
        names = row.required("name_vi"), row.required("name_en")
        system = row.text("system")
        if kind == "sector":
            found = SYSTEMS.index(row.choice("system", SYSTEMS))
            sectors.append(Sector(code, *names, found, row.required("source")))
            continue
        if _NATIONAL.fullmatch(code):
            row.refuse("code", f"{code!r} has a local suffix", "write the national code alone, as 1.001193")
        procedures.append(
            Procedure(
                code,
                *names,
                row.text("sector"),
                SYSTEMS.index(row.choice("system", SYSTEMS)) if system else None,
                row.flag("result_required"),
                row.flag("fee"),
                row.required("source"),
            )
        )
    return procedures, sectors
