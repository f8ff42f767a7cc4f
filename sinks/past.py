"""Figures as they were known on the evening of each past day: what alert rules would have read then.

Everything comes from `history`, once: what was added and taken away on each day of learning, by unit, system
and day of receipt. Evenings are gone through in order, so a year costs one pass. Held in memory: four bytes a
unit, system, day (a year and a month before the first evening included) and tally.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rates.alerts import WINDOW, YEAR
from rates.calendar import Calendar
from rates.effects import Moment
from rates.freshness import WINDOW as RHYTHM
from rates.freshness import Activity, Office, Pipe, office
from rates.register import Register
from rates.tallies import BASES, BIT, SYSTEMS
from rates.verdicts import BODIES, Arrived, Counted, Counts, Held, Key, Ruling, arrived
from rates.wire import DAY, LOCAL, day_of
from sinks.client import Database
from sinks.history import FINAL, changed

_RECEIVED: Final = BASES[0]
Ints: TypeAlias = NDArray[np.int64]


class Past:
    """What was known, evening by evening. Days since 1970; call `load`, then `advance` to each in order."""

    def __init__(
        self,
        database: Database,
        register: Register,
        calendar: Calendar,
        first: int,
        last: int,
        tallies: Collection[str],
    ) -> None:
        self._database = database
        self._register = self.heard_of = register
        self._calendar = calendar
        self._first = first
        self._last = last
        self._names = sorted({"received", *tallies})
        self._base = first - YEAR - WINDOW
        self._day = first - 1
        self.days: set[int] = set()
        """On which anything was learnt at all: on others nothing is known to be complete."""

    async def load(self) -> None:
        """Read what there is to know. Raises Retry and Fatal.

        `heard_of` then is the register without the units that were never heard of: of them no rule says
        anything, and they are no peers of anybody.
        """
        await self._load_heard()
        await self._load_changes()
        wanted = {*self._spans, *(row.code for row in self._register.units if row.level in BODIES)}
        ahead = [*wanted]
        above: dict[str, set[str]] = {}
        for row in self._register.units:
            above.setdefault(row.code, set()).update(other for other in (row.parent, row.successor) if other)
        while ahead:
            new = above.get(ahead.pop(), set()) - wanted
            wanted |= new
            ahead += new
        self.heard_of = self._register.limited_to(wanted)

    async def _load_heard(self) -> None:
        end = (self._last + 1) * DAY - LOCAL
        table = await self._database.arrow(
            "SELECT toString(unit) AS unit, toUInt16(toDate(learnt)) AS day, "
            "toUInt32(max(learnt)) AS last, toUInt32(count()) AS events, "
            f"toUInt32(countIf(bitTest(mask, {BIT['backdated']}))) AS old FROM history FINAL "
            f"WHERE learnt < toDateTime({end:d}) GROUP BY unit, day ORDER BY unit, day SETTINGS {FINAL}"
        )
        units = np.array(table.column("unit").to_pylist(), object)
        self._heard = {
            name: table.column(name).to_numpy().astype(np.int64) for name in table.column_names[1:]
        }
        begins = np.flatnonzero(np.append(True, units[1:] != units[:-1])) if len(units) else np.zeros(0, int)
        ends = np.append(begins[1:], len(units))
        self._spans = {
            str(units[begin]): (int(begin), int(end)) for begin, end in zip(begins, ends, strict=True)
        }
        self.days = set(np.unique(self._heard["day"]).tolist())

    async def _load_changes(self) -> None:
        sums = ", ".join(
            f"toInt32(sum(one.4 * bitTest(one.3, {BIT[name]}))) AS {name}" for name in self._names
        )
        end = (self._last + 1) * DAY - LOCAL
        learnt = f"greatest(toUInt16(toDate(learnt)), {self._first - 1})"
        table = await self._database.arrow(
            f"SELECT toString(unit) AS unit, one.1 AS system, toUInt16(one.2) AS day, known, {sums} FROM ("
            f"{changed(_RECEIVED, f'unit, {learnt} AS known', f'learnt < toDateTime({end:d})')}) "
            f"WHERE toUInt16(one.2) BETWEEN {self._base} AND {self._last} "
            f"GROUP BY unit, system, day, known ORDER BY known SETTINGS {FINAL}"
        )
        units, of = np.unique(np.array(table.column("unit").to_pylist(), object), return_inverse=True)
        system, day, known = (
            table.column(name).to_numpy().astype(np.int64) for name in ("system", "day", "known")
        )
        rows, self._at = np.unique(of * len(SYSTEMS) + system, return_inverse=True)
        self._units = [str(unit) for unit in units]
        self._index = {unit: at for at, unit in enumerate(self._units)}
        self._unit_of, self._system_of = rows // len(SYSTEMS), rows % len(SYSTEMS)
        self._begins = np.flatnonzero(np.diff(self._unit_of, prepend=-1))
        self._column = day - self._base
        self._known = known
        self._added = [table.column(name).to_numpy() for name in self._names]
        span = self._last - self._base + 1
        self._sums = np.zeros((len(self._names), len(rows), span), np.int32)
        self._taken = 0

    def advance(self, day: int) -> None:
        """Know what was learnt up to the end of a day."""
        until = int(np.searchsorted(self._known, day, side="right"))
        some = slice(self._taken, until)
        for sums, added in zip(self._sums, self._added, strict=True):
            np.add.at(sums, (self._at[some], self._column[some]), added[some])
        self._taken, self._day = until, day

    def _window(self, first: int, last: int, tallies: Sequence[str]) -> Ints:
        """Sums of days, by tally and row of (unit, system)."""
        begin, end = max(first - self._base, 0), max(last - self._base + 1, 0)
        which = [self._names.index(name) for name in tallies]
        sums: Ints = self._sums[which, :, begin:end].sum(axis=2, dtype=np.int64)
        return sums

    def counted(self, first: int, last: int, tallies: Collection[str]) -> list[Counted]:
        """As `sinks.alerts.Alerts.counted`, of that evening."""
        names = [name for name in self._names if name in tallies]
        found = []
        for begin, end in self._eras(first, last):
            sums = self._window(begin, end, names)
            by_unit = np.add.reduceat(sums, self._begins, axis=1) if len(self._begins) else sums
            some = np.flatnonzero(by_unit.any(axis=0))
            for at, values in zip(some.tolist(), by_unit[:, some].T.tolist(), strict=True):
                unit = self._units[at]
                body = self._register.body(unit, end)
                found.append(Counted(unit, body, dict(zip(names, values, strict=True))))
        return found

    def _eras(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The days without a change of the register among them."""
        turns = [day for day in self._register.turns if first < day <= last]
        yield from zip([first, *turns], [*(day - 1 for day in turns), last], strict=True)

    def systems(
        self, codes: Collection[str], first: int, last: int, tallies: Collection[str]
    ) -> dict[str, dict[str, Counts]]:
        """As `sinks.alerts.Alerts.systems`, of that evening."""
        names = [name for name in self._names if name in tallies]
        found: dict[str, dict[str, dict[str, int]]] = {}
        for begin, end in self._eras(first, last):
            sums = self._window(begin, end, names)
            for at in np.flatnonzero(sums.any(axis=0)).tolist():
                unit = self._units[self._unit_of[at]]
                for code in {unit, self._register.body(unit, end)} & {*codes}:
                    of = found.setdefault(code, {}).setdefault(SYSTEMS[self._system_of[at]], {})
                    for name, value in zip(names, sums[:, at].tolist(), strict=True):
                        of[name] = of.get(name, 0) + value
        return dict(found)  # type: ignore[arg-type]  # a dict of counts is a mapping of them

    def offices(self, register: Register, through: Pipe) -> dict[str, Office]:
        """As `sinks.alerts.Alerts.offices`, of that evening."""
        complete = through.complete_to or 0
        found = {}
        for unit, (begin, end) in self._spans.items():
            days = self._heard["day"][begin:end]
            until = int(np.searchsorted(days, self._day, side="right"))
            if not until:
                continue
            last = int(self._heard["last"][begin + until - 1])
            activity = Activity(last, int(days[0]), complete)
            if activity.silent_days(self._calendar):
                ended = day_of(last)
                near = ended - days[:until]
                bits = sum(1 << int(back) for back in near[near <= RHYTHM])
                accepted = self._received(unit, max(int(days[0]), ended - RHYTHM), ended - 1)
                activity = Activity(last, int(days[0]), complete, accepted, bits)
            found[unit] = office(through, activity, self._calendar, exists_until=register.ends(unit))
        return found

    def _received(self, unit: str, first: int, last: int) -> int:
        at = self._index.get(unit)
        if at is None or last < self._base:
            return 0
        rows = np.flatnonzero(self._unit_of == at)
        begin, end = max(first - self._base, 0), last - self._base + 1
        return int(self._sums[self._names.index("received"), rows, begin:end].sum())

    def arrived(self) -> Arrived:
        """As `sinks.alerts.Alerts.arrived`, of that evening."""
        today = self._day

        def told() -> Iterator[tuple[str, str, int, int, int]]:
            for unit, (begin, end) in self._spans.items():
                days = self._heard["day"][begin:end]
                first, until = (int(np.searchsorted(days, day)) for day in (today - WINDOW, today + 1))
                for at in range(begin + first, begin + until):
                    day, events, old = (int(self._heard[name][at]) for name in ("day", "events", "old"))
                    yield unit, self._register.body(unit, day), day, events, old

        return arrived(told(), today)


class Course:
    """The course that alerts would have taken under one set of rules: a store of verdicts over a `Past`."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._held: dict[Key, Held] = {}
        self._evaluated = 0
        self.at = 0
        self.told: list[tuple[int, Ruling]] = []
        """What would have been logged, and when."""

    async def moment(self) -> Moment:
        return Moment(self.at, 1, 1, 0, self._evaluated, fresh=True, stamp=str(self.at))

    async def register(self) -> Register:
        return self._past.heard_of

    async def counted(self, first: int, last: int, tallies: Collection[str]) -> Sequence[Counted]:
        return self._past.counted(first, last, tallies)

    async def systems(
        self, codes: Collection[str], first: int, last: int, tallies: Collection[str]
    ) -> Mapping[str, Mapping[str, Counts]]:
        return self._past.systems(codes, first, last, tallies)

    async def offices(self, register: Register, through: Pipe) -> Mapping[str, Office]:
        return self._past.offices(register, through)

    async def arrived(self, at: int) -> Arrived:  # noqa: ARG002  # that evening is the present one
        return self._past.arrived()

    async def states(self) -> Mapping[Key, Held]:
        return {key: held for key, held in self._held.items() if held.state.status != "ok"}

    async def save(self, rulings: Sequence[Ruling], at: int, *, fresh: bool) -> None:  # noqa: ARG002
        self._evaluated = at
        for one in rulings:
            self._held[one.key] = Held(one.after, one.reading.numerator, one.reading.denominator, at)
            if one.tells:
                self.told.append((at, one))
