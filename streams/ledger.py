"""The cohorts that a worker holds, by column: the fold of `rates.cohort`, for a whole piece at once.

`rates.dossier.fold` and `rates.cohort.Cohort` say what a dossier is and how it counts, one event at a time.
A worker takes hundreds of thousands of events a second, so here the same is done with arrays: all events of a
piece are sorted by dossier, the two clocks of each dossier become running maxima, and of each dossier only
what stood before and what stands after is counted. No rule of counting is written a second time: masks come
from a table of `rates.tallies.mask_of`. `tests/property/test_ledger.py` holds both against each other.

What is held takes about 80 bytes a dossier and as much a cell. Cohorts are held whole or not at all.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rates.cohort import Cell, CohortKey
from rates.dossier import PAST, STAGE, Dossier, Outcome, Procedures
from rates.effects import (
    ByColumn,
    ChangeRow,
    DossierRow,
    Stored,
    TallyRow,
    Texts,
    change_row,
    dossier_row,
    tally_row,
)
from rates.tallies import BASES, BIT, DONE, TALLIES, mask_of
from rates.wire import CLOSED_FROM_SUPPLEMENT, DAY, DUE_MOVED, LOCAL, REOPENED, RESULT_REQUIRED
from streams import scan
from streams.compiled import Ints, compiled
from streams.events import TIMES, Columns, buffers, closing, numbered, unpacked
from streams.index import Index, distinct, grouped

Bools: TypeAlias = NDArray[np.bool_]
Records: TypeAlias = NDArray[np.void]
"""Dossiers, a row each."""

_STATE: Final[dict[str, Any]] = (
    dict.fromkeys(Dossier.__struct_fields__[:-2], np.uint32)
    | dict.fromkeys(("system", "record_status", "progress_status", "facts"), np.uint8)
    | {"version": np.uint64}
)
_STAGE: Final = np.array(STAGE, np.int64)
_STATUSES, _FACTS = len(STAGE), 2 * DUE_MOVED
_IS_FINISHED: Final = np.array([status in DONE for status in range(len(STAGE))], bool)
_IS_RECEIVED, _IS_DONE = 1 << BIT["received"], 1 << BIT["done"]
_TOLD: Final = ("received", "sync_late", "backdated", "overdue_sync_late")
"""What a mask tells of when its dossier was heard of, if that counts at all."""
_MASKS: Final = 14
"""So many bits name a mask: there are a few hundred of them."""
_CELL: Final = 28
"""So many bits have a cell's system, basis and day."""
_PAIRS: Final = 100_000
"""So many procedures with their sectors are remembered, beside those that held dossiers name."""
_NUMBER_BITS: Final = 40
"""So many bits has a dossier's number within its cohort, `streams.events.packed`; the highest says that it is
a running number of one without a readable date."""
_ODD: Final = 1 << _NUMBER_BITS - 1
_MONTH_BITS: Final = 18


class Sought(NamedTuple):
    """Events, the cohorts that they are about, and of each event which of them."""

    events: Columns
    keys: list[CohortKey]
    of: Ints
    missing: list[CohortKey]
    """Cohorts that must be loaded before these events are folded."""


class Changes(NamedTuple):
    """What a piece leads to: rows to be saved, and the cohorts it touched, each with its partition."""

    history: ByColumn[ChangeRow]
    dossiers: ByColumn[DossierRow]
    tallies: Sequence[TallyRow]
    touched: dict[CohortKey, int]
    outcomes: Counter[Outcome]


class _Changed(NamedTuple):
    """What accepted events did, by column: one row an event.

    `of`: which of the piece's dossiers it is; `last`: whether it is the piece's last of its dossier; `moved`:
    whether a progress row of the piece stands on its clock by then; `after`: its state, masks by their names;
    `was`: what counted before.
    """

    of: Ints
    last: Bools
    moved: Bools
    after: dict[str, NDArray[Any]]
    status: Ints
    was: dict[str, NDArray[Any]]


class Ledger:
    """Held cohorts. Whatever is written of them is a copy, so folding may go on meanwhile."""

    _state: Final = (*_STATE, "pair")

    def __init__(self, procedures: Procedures) -> None:
        self._masks = _Masks()
        self._pairs = _Pairs(procedures)
        self.clear()

    def __contains__(self, key: CohortKey) -> bool:
        return key in self._cohorts

    def clear(self) -> None:
        """Hold nothing."""
        self._cohorts: dict[CohortKey, int] = {}
        self._place = Index()
        self._cell = Index()
        self._odd: dict[str, int] = {}
        self._odds = 0
        self._cohort = _Rows(
            unit=object, month=np.uint32, partition=np.uint16, used=np.int64, weight=np.int64
        )
        self._dossier = _Records(key=np.int64, pair=np.int32, **_STATE)
        self._tally = _Rows(key=np.int64, counts=(np.uint16, len(TALLIES)))
        self._turn = 0
        self.held = 0
        """How much is held: dossiers, cells, and four for each cohort."""

    def register(self, procedures: Procedures) -> None:
        """Fold by another register from now on; what was folded stays as it is."""
        self._pairs.register(procedures)

    def seek(self, events: Columns) -> Sought:
        """Find the dossiers that events are about."""
        names = events.unit << _MONTH_BITS | events.month
        first, of = distinct(names)
        keys = [
            CohortKey(events.units[name >> _MONTH_BITS], name & (1 << _MONTH_BITS) - 1)
            for name in names[first].tolist()
        ]
        return Sought(events, keys, of, [key for key in keys if key not in self._cohorts])

    def load(self, keys: Collection[CohortKey], stored: Stored) -> int:
        """Hold these cohorts as they are stored; returns how many dossiers they have."""
        at = self._cohort.take(len(keys))
        self._cohorts.update(zip(keys, at.tolist(), strict=True))
        self._cohort["unit"][at] = _objects([key.unit for key in keys])
        self._cohort["month"][at] = [key.month for key in keys]
        self._cohort["weight"][at] = 4
        self._cohort["used"][at] = self._turn
        self.held += 4 * len(keys)
        found = stored.dossiers
        place = self._dossier.take(len(found["number"]))
        cohort = self._of(found)
        self._dossier["key"][place] = self._loaded(cohort, found)
        for name in _STATE:
            self._dossier[name][place] = found[name]
        self._dossier["pair"][place] = self._pairs.names(
            zip(found["procedure"], found["sector"], strict=True)
        )
        self._dossier["mask"][place] = self._masks.names(np.asarray(found["mask"], np.int64))
        self._place.add(self._dossier["key"], place)
        cells = stored.cells
        packed = _packed(*(np.asarray(cells[name], np.int64) for name in ("system", "basis", "day")))
        self._cells(np.unique(self._of(cells) << _CELL | packed))
        self._weigh(cohort, 1)
        self._enter(self._counted(self._dossier.rows(place)), 1)
        return len(place)

    def fold(self, sought: Sought, flushed: Mapping[int, int]) -> Changes:
        """Take in events whose cohorts are all held; `flushed`: the version of tallies, by partition."""
        self._turn += 1
        if len(self._pairs) > max(_PAIRS, 2 * len(self._cohorts)):
            # Anybody may send any text.
            held = self._dossier["pair"]
            held[:] = self._pairs.keep(held)
        cohorts = np.array([self._cohorts[key] for key in sought.keys], np.int64)
        place = self._places(sought.events, cohorts[sought.of])
        first, of = distinct(place)
        owner = place[first]
        order, begins = grouped(of, len(owner), sought.events.version)
        group = of[order]
        new = _ordered(sought.events, order)
        pair = self._pairs.names(sought.events.pairs)[new.pair]
        system = self._pairs.system[pair]
        days = [_day(getattr(new, time)) for time in TIMES]
        held = self._dossier.rows(owner)
        keys = held["key"][group]
        applied = new.version <= held["version"][group]

        # The record clock: a later stage stands at equal time, within a stage the later arrival.
        clock = np.where(new.full & ~applied, new.time * 8 + _STAGE[new.status], -1)
        known = held["record_time"].astype(np.int64) * 8 + _STAGE[held["record_status"]]
        record = _accepted(clock, begins, group, np.where(held["record_status"] > 0, known, -1), 0)
        # The progress clock: the higher code stands at equal time, a copy changes nothing.
        clock = np.where(new.full | applied, -1, new.time * 16 + new.status)
        known = held["progress_time"].astype(np.int64) * 16 + held["progress_status"]
        row = _accepted(clock, begins, group, known, 1)

        changes = self._changes(new, record, row, begins, group, held, pair, system)
        changed = changes.of[changes.last]
        was, now = held[changed], held[changed]
        for name in self._state:
            now[name] = changes.after[name][changes.last]
        self._dossier.put(owner[changed], now)
        before, after = self._counted(was), self._counted(now)
        moved = changes.moved[changes.last]

        # Every day that a record names is written, even one that lost or was applied before; and where a
        # progress row may have moved a dossier, there or back, the days of its record.
        named = [
            self._own(keys, system, [day * new.full for day in days], applied),
            self._named(was[moved]),
            self._named(now[moved]),
        ]
        touched, of = self._standing(np.concatenate([before >> _MASKS, after >> _MASKS, *named]))
        left = len(before)
        self._count(touched, of[:left], before, -1)
        self._count(touched, of[left : left + len(after)], after, 1)
        self._cohort["used"][cohorts] = self._turn
        self._cohort["partition"][_cohort(keys)] = new.partition
        if applied.any():
            # Its dossier is stored, but a crash may have left any of its cohort's tallies behind.
            touched = np.union1d(touched, self._whole(_cohort(keys[applied])))
        latest = np.zeros(max(flushed) + 1, np.uint64)
        latest[list(flushed)] = list(flushed.values())
        accepted = record | row
        return Changes(
            *self._rows(held["key"], changes),
            self._tally_rows(
                touched, latest[self._cohort["partition"][self._tally["key"][touched] >> _CELL]]
            ),
            self._touched(cohorts),
            Counter(
                {
                    Outcome.ACCEPTED: int(accepted.sum()),
                    Outcome.APPLIED: int(applied.sum()),
                    Outcome.LOST: int((~accepted & ~applied).sum()),
                }
            ),
        )

    def recount(self, learnt: int) -> Changes:
        """Count every held dossier anew, by the register and the definitions of now.

        What its record says stays, and so does what its mask tells of delay. `learnt`: when this came to be
        known, for the history of those that count in another way than before; of the others there is none.
        """
        places = np.flatnonzero(self._dossier["key"][: self._dossier.top])
        rows = self._dossier.rows(places)
        after = {name: rows[name].copy() for name in self._state}
        was = {name: after[name] for name in ("mask", "system", *TIMES)}
        known = after["record_status"] > 0
        required = np.where(known, self._pairs.required[after["pair"]], 0)
        after["facts"] = (after["facts"] & ~np.uint8(RESULT_REQUIRED) | required).astype(np.uint8)
        after["system"] = np.where(known, self._pairs.system[after["pair"]], 0).astype(np.uint8)
        status, mask = _status(after), self._masks.values[was["mask"]]
        told, sync, week, due = (mask >> BIT[name] & 1 for name in _TOLD)
        latest = np.maximum(after["record_time"], after["progress_time"]).astype(np.int64)
        delay = np.where(told > 0, sync + week, _delay_of(latest, after["learnt"].astype(np.int64)))
        after["mask"] = self._mask(after, status, delay, due).astype(np.uint32)
        self._enter(self._counted(rows), -1)
        for name in ("facts", "system", "mask"):
            rows[name] = after[name]
        self._dossier.put(places, rows)
        self._enter(self._counted(rows), 1)
        moved = np.flatnonzero(
            (self._masks.values[after["mask"]] != mask) | (after["system"] != was["system"])
        )
        every = _Changed(np.arange(len(places)), np.ones(len(places), bool), known, after, status, was)
        history, dossiers = self._rows(rows["key"], every)
        columns = {name: _taken(column, moved) for name, column in history.columns.items()}
        columns["learnt"] = np.maximum(columns["learnt"], learnt).astype(np.uint32)
        cohorts = np.array(list(self._cohorts.values()), np.int64)
        newest = np.zeros(self._cohort.top, np.uint64)
        np.maximum.at(newest, _cohort(rows["key"]), after["version"])
        cells = np.flatnonzero(self._tally["key"][: self._tally.top])
        return Changes(
            ByColumn(columns, change_row),
            dossiers,
            self._tally_rows(cells, newest[self._tally["key"][cells] >> _CELL]),
            self._touched(cohorts),
            Counter(),
        )

    def cells(self, key: CohortKey) -> dict[Cell, int]:
        """The cells of a held cohort, each with its tallies as lanes."""
        at = np.flatnonzero(self._tally["key"][: self._tally.top] >> _CELL == self._cohorts[key])
        return {row.cell: row.vector for row in self._tally_rows(at, np.zeros(len(at), np.uint64))}

    def make_room(self, bound: int, turn: int) -> None:
        """Let go of cohorts that were not used since `turn`, longest unused first, until `bound` is kept.

        A sixteenth more is let go, so that this is rare; the one that was used last is kept.
        """
        if self.held <= bound or len(self._cohorts) < 2:
            return
        held = np.fromiter(self._cohorts.values(), np.int64, len(self._cohorts))
        oldest = held[np.argsort(self._cohort["used"][held], kind="stable")][:-1]
        oldest = oldest[self._cohort["used"][oldest] <= turn]
        left = self.held - np.cumsum(self._cohort["weight"][oldest])
        dropped = oldest[: np.searchsorted(-left, -(bound - bound // 16)) + 1]
        self._let_go(dropped)

    def let_go(self, key: CohortKey) -> None:
        """Hold a cohort no longer, if it was held."""
        if key in self._cohorts:
            self._let_go(np.array([self._cohorts[key]], np.int64))

    @property
    def turn(self) -> int:
        """How many pieces were folded since it was cleared."""
        return self._turn

    def _let_go(self, cohorts: Ints) -> None:
        gone = np.zeros(self._cohort.top, bool)
        gone[cohorts] = True
        for key in self._keys(cohorts):
            del self._cohorts[key]
        keys = self._dossier["key"][: self._dossier.top]
        places = np.flatnonzero(gone[_cohort(keys)])
        if self._odd:
            dropped = set(keys[places[_is_odd(keys[places])]].tolist())
            self._odd = {number: key for number, key in self._odd.items() if key not in dropped}
        rows = self._tally["key"][: self._tally.top]
        cells = np.flatnonzero(gone[rows >> _CELL])
        self.held -= len(places) + len(cells) + 4 * len(cohorts)
        self._dossier.give_back(places)
        self._tally.give_back(cells)
        for index, column in ((self._place, keys), (self._cell, rows)):
            index.reset(column, np.flatnonzero(column))
        self._cohort.give_back(cohorts)

    def _places(self, events: Columns, cohort: Ints) -> Ints:
        """Where each event's dossier stands, given its cohort; one that is new gets its place."""
        keys = cohort << _NUMBER_BITS | events.number
        for at in np.flatnonzero(events.number < 0).tolist():
            keys[at] = self._odd_key(int(cohort[at]), events.odd[-1 - int(events.number[at])])
        place = self._place.find(self._dossier["key"], keys)
        absent = np.flatnonzero(place < 0)
        if len(absent):
            fresh = keys[absent[distinct(keys[absent])[0]]]
            new = self._dossier.take(len(fresh))
            self._dossier["key"][new] = fresh
            self._place.add(self._dossier["key"], new)
            self._weigh(_cohort(fresh), 1)
            place[absent] = self._place.find(self._dossier["key"], keys[absent])
        return place

    def _odd_key(self, cohort: int, number: str) -> int:
        """The key of a dossier whose number has no readable date: of its cohort and a running number."""
        key = self._odd.get(number)
        if key is None:
            self._odds += 1
            key = self._odd[number] = cohort << _NUMBER_BITS | _ODD | self._odds
        return key

    def _loaded(self, cohort: Ints, found: Mapping[str, Any]) -> Ints:
        """The keys of dossiers as they are stored."""
        numbers = found["number"]
        texts = numbers if isinstance(numbers, Texts) else Texts.of(numbers)
        month, number = numbered(texts, np.array(list(map(len, found["unit"])), np.int64))
        keys = cohort << _NUMBER_BITS | number
        for at in np.flatnonzero(month == 0).tolist():
            keys[at] = self._odd_key(int(cohort[at]), texts[at])
        return keys

    def _changes(
        self,
        new: Columns,
        record: Bools,
        row: Bools,
        begins: Ints,
        group: Ints,
        held: Records,
        pair: Ints,
        system: Ints,
    ) -> "_Changed":
        """The state of its dossier after each event that is accepted, as `rates.dossier` says it.

        `record` and `row`: which are, on either clock. Events of a dossier stand together, in their order;
        `group` says of which row of `held`.
        """
        at = np.flatnonzero(record | row)
        of = group[at]
        first = begins[of]
        fresh = np.diff(of, prepend=-1) > 0
        last = np.diff(of, append=len(begins)) > 0
        stored = {name: held[name][of] for name in self._state}
        after = dict(stored)
        record_at, row_at = _latest(record, at, first), _latest(row, at, first)

        def since(which: Ints, **values: NDArray[Any]) -> None:
            """What stands of the event that each dossier has last taken in on a clock, if it has one."""
            known = which >= 0
            for name, value in values.items():
                after[name] = np.where(known, value[which], stored[name]).astype(stored[name].dtype)

        own = {name: getattr(new, name) for name in TIMES} | {
            "facts": new.facts | self._pairs.required[pair],
            "system": system,
            "pair": pair,
        }
        since(record_at, record_status=new.status, record_time=new.time, **own)
        since(row_at, progress_status=new.status, progress_time=new.time)
        after["version"] = new.version[at]
        learnt = new.learnt[at]
        known = np.where(fresh, np.maximum(learnt, stored["learnt"]), learnt)
        after["learnt"] = (np.maximum.accumulate(of << 32 | known) & (1 << 32) - 1).astype(np.uint32)

        def before(name: str) -> NDArray[Any]:
            """As it stood before each event."""
            return np.where(fresh, stored[name], np.roll(after[name], 1))

        status = _status(after)
        left = np.where(fresh, _status(stored), np.roll(status, 1))
        overdue = closing(before("due").astype(np.int64))
        past = stored["facts"] & PAST
        for bit, came in (
            (REOPENED, _IS_FINISHED[left] & ~_IS_FINISHED[status] & (status > 0)),
            (CLOSED_FROM_SUPPLEMENT, ((left == 5) | (left == 6)) & (status == 9)),
            (DUE_MOVED, record[at] & (overdue > 0) & (overdue < np.minimum(new.due, new.time)[at])),
        ):
            if came.any():
                since_then = np.maximum.accumulate(np.where(came, at, -1)) >= first
                past |= (bit * since_then).astype(past.dtype)
        after["facts"] |= past
        again = record[at] & (before("record_status") == new.status[at])
        again &= before("record_time") == new.time[at]
        due = closing(after["due"].astype(np.int64))
        after_due = (due > 0) & (due < learnt) & ~again
        delay = _delay_of(new.time[at], learnt) * ~again
        after["mask"] = self._mask(after, status, delay, after_due.astype(np.int64))
        was = {name: before(name) for name in ("mask", "system", *TIMES)}
        return _Changed(of, last, row_at >= 0, after, status, was)

    def _mask(self, rows: Mapping[str, NDArray[Any]], status: Ints, delay: Ints, after_due: Ints) -> Ints:
        """The masks of dossiers, by how late what they came to was learnt."""
        completed, due = (rows[name].astype(np.int64) for name in ("completed", "due"))
        timely = np.where(completed <= closing(due), 1, 2) * ((completed > 0) & (due > 0))
        undated = (due == 0).astype(np.int64)
        mask: Ints = self._masks.table[status, rows["facts"], timely, delay, after_due, undated]
        return np.where(rows["received"] > 0, mask, 0)

    def _counted(self, rows: Records) -> Ints:
        """The cells on which these dossiers count, each with the name of its mask."""
        return _cells(_cohort(rows["key"]), rows["system"], self._days(rows), rows["mask"].astype(np.int64))

    def _days(self, rows: "Mapping[str, NDArray[Any]] | Records") -> list[Ints]:
        """The day on which these dossiers count on each basis; 0 where they do not."""
        mask = self._masks.values[rows["mask"]]
        received = (mask & _IS_RECEIVED) > 0
        counts = (received, received & ((mask & _IS_DONE) > 0), received)
        return [_day(rows[time]) * on for time, on in zip(TIMES, counts, strict=True)]

    def _own(self, keys: Ints, system: Ints, days: Sequence[Ints], applied: Bools) -> Ints:  # noqa: ARG002
        """The cells of every day that events name, whatever became of them."""
        return _cells(_cohort(keys), system, days)

    def _whole(self, cohorts: Ints) -> Ints:
        """Where all cells of these cohorts stand."""
        among = np.zeros(self._cohort.top, bool)
        among[cohorts] = True
        return np.flatnonzero(among[self._tally["key"][: self._tally.top] >> _CELL])

    def _named(self, rows: Records) -> Ints:
        """The cells of every day that these dossiers' records name."""
        known = rows[rows["record_status"] > 0]
        return _cells(_cohort(known["key"]), known["system"], [_day(known[time]) for time in TIMES])

    def _cells(self, keys: Ints) -> Ints:
        """Where these cells stand; one that is new gets its place, with zeros."""
        at = self._cell.find(self._tally["key"], keys)
        new = np.flatnonzero(at < 0)
        if len(new):
            at[new] = self._tally.take(len(new))
            self._tally["key"][at[new]] = keys[new]
            self._tally["counts"][at[new]] = 0
            self._cell.add(self._tally["key"], at[new])
            self._weigh(keys[new] >> _CELL, 1)
        return at

    def _standing(self, cells: Ints) -> tuple[Ints, Ints]:
        """Where each different cell stands, and of every cell which of those it is."""
        first, of = distinct(cells)
        return self._cells(cells[first]), of

    def _enter(self, counted: Ints, sign: int) -> None:
        """Let dossiers enter (1) or leave (-1) the cells they count on."""
        self._count(*self._standing(counted >> _MASKS), counted, sign)

    def _count(self, at: Ints, of: Ints, counted: Ints, sign: int) -> None:
        """As `_enter`, where it is known at which places the cells stand, and which is whose."""
        counts = self._tally["counts"]
        if sign > 0:
            most = counts[at].max(axis=1) + np.bincount(of, minlength=len(at))
            if (most > np.iinfo(counts.dtype).max).any():
                self.widen()
                counts = self._tally["counts"]
        _add(counts, at[of], self._masks.values[counted & (1 << _MASKS) - 1], sign)

    def widen(self) -> None:
        """Let tallies go beyond 65,535."""
        self._tally.widen("counts", np.uint32)

    def _weigh(self, cohorts: Ints, each: int) -> None:
        np.add.at(self._cohort["weight"], cohorts, each)
        self.held += each * len(cohorts)

    def _of(self, columns: Mapping[str, Any]) -> Ints:
        """The cohort of each row, by its unit and month."""
        get = self._cohorts
        pairs = zip(columns["unit"], np.asarray(columns["cohort"]).tolist(), strict=True)
        return np.array([get[pair] for pair in pairs], np.int64)  # type: ignore[index]  # equal to its key

    def _keys(self, cohorts: Ints) -> list[CohortKey]:
        units, months = self._cohort["unit"][cohorts], self._cohort["month"][cohorts]
        return list(map(CohortKey, units.tolist(), months.tolist()))

    def _touched(self, cohorts: Ints) -> dict[CohortKey, int]:
        return dict(zip(self._keys(cohorts), self._cohort["partition"][cohorts].tolist(), strict=True))

    def _rows(self, keys: Ints, changes: "_Changed") -> tuple[ByColumn[ChangeRow], ByColumn[DossierRow]]:
        """Every change, and of each dossier where the last one left it. `keys` of the piece's dossiers."""
        columns: dict[str, Any] = {name: changes.after[name] for name in _STATE}
        columns |= {f"{basis}_day": on for basis, on in zip(BASES, self._days(columns), strict=True)}
        columns |= self._pairs.texts(changes.after["pair"])
        columns["status"] = changes.status
        columns["mask"] = self._masks.values[columns["mask"]]
        keys = keys[changes.of]
        cohort = _cohort(keys)
        columns |= self._of_cohorts(cohort)
        columns["number"] = self._numbers(keys, cohort)
        was = {f"was_{basis}_day": on for basis, on in zip(BASES, self._days(changes.was), strict=True)}
        was |= {"was_mask": self._masks.values[changes.was["mask"]], "was_system": changes.was["system"]}
        history = ByColumn(columns | was, change_row)
        if not changes.last.all():
            at = np.flatnonzero(changes.last)
            columns = {name: _taken(column, at) for name, column in columns.items()}
        return history, ByColumn(columns, dossier_row)

    def _numbers(self, keys: Ints, cohort: Ints) -> Texts | list[str]:
        """The numbers of dossiers, as texts."""
        first, of = distinct(cohort)
        units = Texts.of(self._cohort["unit"][cohort[first]])
        odd = _is_odd(keys)
        number = np.where(odd, 0, keys & (1 << _NUMBER_BITS) - 1)
        date, serial = unpacked(self._cohort["month"][cohort].astype(np.int64), number)
        texts = Texts(*scan.numbers(*buffers(units), of, np.where(odd, 0, date), serial))
        if not odd.any():
            return texts
        names = {key: name for name, key in self._odd.items()}
        return [names[key] if key in names else texts[at] for at, key in enumerate(keys.tolist())]

    def _tally_rows(self, at: Ints, versions: NDArray[np.uint64]) -> ByColumn[TallyRow]:
        keys = self._tally["key"][at]
        counts = self._tally["counts"][at]
        columns = {
            "system": keys >> 20 & 255,
            "basis": keys >> 16 & 15,
            "day": keys & 0xFFFF,
            "version": versions,
            **{name: counts[:, lane] for lane, name in enumerate(TALLIES)},
        }
        return ByColumn(self._of_cohorts(keys >> _CELL) | columns, tally_row)

    def _of_cohorts(self, cohorts: Ints) -> dict[str, Any]:
        first, of = distinct(cohorts)
        units = Texts.of(self._cohort["unit"][cohorts[first]])
        return {
            "unit": Texts(*scan.gathered(*buffers(units), of)),
            "cohort": self._cohort["month"][cohorts],
        }


class _Pairs:
    """Procedures with their sectors by a short name, 0 that of neither: system, and whether a result is due.

    Each text is kept once, however many dossiers name it.
    """

    def __init__(self, procedures: Procedures) -> None:
        self._at: dict[tuple[str, str], int] = {("", ""): 0}
        self._texts: tuple[Texts, Texts] | None = None
        self.register(procedures)

    def register(self, procedures: Procedures) -> None:
        """Ask another register from now on."""
        self._procedures = procedures
        self.system = self.required = np.zeros(0, np.int64)
        self._ask()

    def __len__(self) -> int:
        return len(self._at)

    def names(self, pairs: Iterable[tuple[str, str]]) -> Ints:
        """The name of each pair; one that is new is given one."""
        known = self._at
        found = np.array([known.setdefault(pair, len(known)) for pair in pairs], np.int64)
        if len(known) > len(self.system):
            self._ask()
        return found

    def texts(self, names: Ints) -> dict[str, Texts]:
        """The procedures and sectors behind names."""
        if self._texts is None:
            procedures, sectors = zip(*self._at, strict=True)
            self._texts = Texts.of(procedures), Texts.of(sectors)
        of = names.astype(np.int64)
        return {
            name: Texts(*scan.gathered(*buffers(texts), of))
            for name, texts in zip(("procedure", "sector"), self._texts, strict=True)
        }

    def keep(self, names: NDArray[Any]) -> NDArray[Any]:
        """Forget every pair but these; returns their new names."""
        used, of = np.unique(np.append(names, 0), return_inverse=True)
        pairs = list(self._at)
        self._at = {pairs[at]: name for name, at in enumerate(used.tolist())}
        self.register(self._procedures)
        return of[:-1].astype(names.dtype)

    def _ask(self) -> None:
        new = list(self._at)[len(self.system) :]
        system = [self._procedures.system(*pair) for pair in new]
        required = [RESULT_REQUIRED * self._procedures.result_required(procedure) for procedure, _ in new]
        self.system = np.append(self.system, np.array(system, np.int64))
        self.required = np.append(self.required, np.array(required, np.int64))
        self._texts = None


class _Masks:
    """Masks by a short name, 0 that of none."""

    def __init__(self) -> None:
        self._names: dict[int, int] = {}
        self.values = np.zeros(0, np.int64)
        self.names(np.zeros(1, np.int64))
        every = _every_mask()
        self.table = self.names(every.ravel()).reshape(every.shape)

    def names(self, masks: Ints) -> Ints:
        """The name of each mask; one that is new is given one."""
        different, inverse = np.unique(masks, return_inverse=True)
        new = [mask for mask in different.tolist() if mask not in self._names]
        if new:
            self._names.update(zip(new, range(len(self._names), 1 << _MASKS), strict=False))
            self.values = np.array(list(self._names), np.int64)
        return np.array([self._names[mask] for mask in different.tolist()], np.int64)[inverse]


@cache
def _every_mask() -> Ints:
    """The mask of each status, facts, timeliness (neither, on time, late), delay, learning after the due
    date, and want of a due date."""
    times = ((0, 30), (1, 30), (60, 30))
    shape = (_STATUSES, _FACTS, len(times), 3, 2, 2)
    every = [
        mask_of(
            status, 1, times[timely][0], 0 if undated else times[timely][1], facts, delay, bool(after_due)
        )
        for status, facts, timely, delay, after_due, undated in np.ndindex(*shape)
    ]
    return np.array(every, np.int64).reshape(shape)


class _Rows:
    """Columns that grow together. A place that was given back is given out again; 0 is nobody's."""

    def __init__(self, **types: Any) -> None:
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros(
                (1024, *kind[1:]) if isinstance(kind, tuple) else 1024,
                kind[0] if isinstance(kind, tuple) else kind,
            )
            for name, kind in types.items()
        }
        self._free: list[NDArray[np.int32]] = []
        self.top = 1

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def take(self, number: int) -> Ints:
        """Places for so many rows, with zeros."""
        again = np.concatenate([*self._free, np.zeros(0, np.int32)])
        again, left = again[:number], again[number:]
        self._free = [left] if len(left) else []
        end = self.top + number - len(again)
        self._grow(end)
        places = np.concatenate((again.astype(np.int64), np.arange(self.top, end)))
        self.top = end
        return places

    def _grow(self, end: int) -> None:
        room = len(next(iter(self._columns.values())))
        if end > room:
            room = max(end, room + room // 8)
            for column in self._columns.values():
                # In its place: the system moves no memory for it, and never both are held.
                column.resize((room, *column.shape[1:]), refcheck=False)

    def give_back(self, places: Ints) -> None:
        for column in self._columns.values():
            column[places] = 0
        self._free.append(places.astype(np.int32))

    def widen(self, name: str, kind: type[np.unsignedinteger[Any]]) -> None:
        """Let a column hold larger numbers."""
        self._columns[name] = self._columns[name].astype(kind)


class _Records(_Rows):
    """Rows whose columns lie together: whoever needs one of a row needs them all, and memory is far away."""

    def __init__(self, **types: Any) -> None:
        super().__init__()
        # The widest first, so that nothing lies between them.
        fields = sorted(types.items(), key=lambda field: -np.dtype(field[1]).itemsize)
        self._table: Records = np.zeros(1024, np.dtype(fields, align=True))

    def __getitem__(self, name: str) -> NDArray[Any]:
        column: NDArray[Any] = self._table[name]
        return column

    def rows(self, places: Ints) -> Records:
        """A copy of these rows."""
        return self._table[places]

    def put(self, places: Ints, rows: Records) -> None:
        self._table[places] = rows

    def _grow(self, end: int) -> None:
        room = len(self._table)
        if end > room:
            self._table.resize(max(end, room + room // 8), refcheck=False)

    def give_back(self, places: Ints) -> None:
        self._table[places] = np.zeros((), self._table.dtype)
        self._free.append(places.astype(np.int32))


@compiled
def _add(counts: NDArray[Any], cells: Ints, masks: Ints, sign: int) -> None:
    """Add 1 or -1 to the tallies of each cell that its mask names. Unsigned ones wrap."""
    for at in range(len(cells)):
        mask, lane = masks[at], 0
        while mask != 0:
            if mask & 1:
                counts[cells[at], lane] += sign
            mask >>= 1
            lane += 1


def _ordered(events: Columns, order: Ints) -> Columns:
    """Events in another order; texts are left where they are."""
    columns: dict[str, Any] = {
        name: column[order] for name, column in events._asdict().items() if not isinstance(column, list)
    }
    return events._replace(**columns)


def _accepted(clock: Ints, begins: Ints, group: Ints, known: Ints, above: int) -> Bools:
    """Which events stand against those before them and against what is known, by their clocks.

    -1 takes no part. `above` 0: what is as late stands; 1: only what is later.
    """
    running = np.maximum.accumulate(group << 40 | clock + 1)
    before = np.zeros_like(running)
    before[1:] = running[:-1] & (1 << 40) - 1
    before[begins] = 0
    before = np.maximum(before, known[group] + 1)
    return (clock >= 0) & (clock + 1 >= before + above)


def _latest(accepted: Bools, at: Ints, first: Ints) -> Ints:
    """Of the events `at`, each with its group's `first`: the last one up to it that is accepted, or -1."""
    latest = np.maximum.accumulate(np.where(accepted, np.arange(len(accepted)), -1))[at]
    return np.where(latest < first, -1, latest)


def _status(rows: Mapping[str, NDArray[Any]]) -> Ints:
    """The status that counts, as `rates.dossier.Dossier.status`."""
    newer = rows["progress_time"] > rows["record_time"]
    status = np.where(newer, rows["progress_status"], rows["record_status"])
    return np.where(rows["record_status"] > 0, status, 0).astype(np.int64)


def _taken(column: Any, at: Ints) -> Any:
    """Some of a column."""
    if isinstance(column, Texts):
        return Texts(*scan.gathered(*buffers(column), at))
    return [column[each] for each in at.tolist()] if isinstance(column, list) else column[at]


def _cohort(keys: Ints) -> Ints:
    """The cohorts of dossiers' keys."""
    return keys >> _NUMBER_BITS


def _is_odd(keys: Ints) -> Bools:
    return (keys & _ODD) > 0


def _delay_of(time: Ints, learnt: Ints) -> Ints:
    """As `rates.tallies.delay_of`."""
    late = np.where(time > 0, learnt - time, 0)
    return (late > DAY).astype(np.int64) + (late > 7 * DAY)


def _day(times: NDArray[Any]) -> Ints:
    """The local day of each time, 0 where there is none."""
    known = times.astype(np.int64)
    return (known + LOCAL) // DAY * (known > 0)


def _packed(system: Ints, basis: Ints | int, day: Ints) -> Ints:
    return system << 20 | basis << 16 | day


def _cells(cohort: Ints, system: NDArray[Any], days: Sequence[Ints], mask: Ints | None = None) -> Ints:
    """Cells (with masks' names, if given) of the days, one array for each basis, that are not 0."""
    found: list[Ints] = []
    for basis in range(len(BASES)):
        on = np.flatnonzero(days[basis])
        cells = cohort[on] << _CELL | _packed(system[on].astype(np.int64), basis, days[basis][on])
        found.append(cells if mask is None else cells << _MASKS | mask[on])
    return np.concatenate(found)


def _objects(values: Sequence[str]) -> NDArray[Any]:
    """Texts as an array of references."""
    found = np.empty(len(values), object)
    found[:] = values
    return found
