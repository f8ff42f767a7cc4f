"""A small world in which everything goes wrong: workers crash, stall, lose and regain their partitions.

The workers are the real `Folder`s. Their coroutines are driven by hand: each call to the store pauses, and
the world decides what becomes of it. Rows of a save land as a whole, in parts or not at all, now, later or
after the end; a worker that stalled goes on with its own cache when nobody expects it. Everything follows
from the seed.

A `Variant` says how a world differs from the design; the one without a difference must never be wrong.
"""

import json
from collections import Counter
from collections.abc import Collection, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from rates import effects
from rates.cohort import Cell, CohortKey, cohort_of
from rates.dossier import Dossier, fold
from rates.effects import (
    NOTHING,
    ChangeRow,
    DeadLetter,
    DossierRow,
    Reached,
    Stored,
    TallyRow,
    counted,
    version,
)
from rates.failures import Fatal
from rates.tallies import BASES, TALLIES, counts
from rates.wire import Event, decode
from streams.batches import Folder
from streams.events import Message
from streams.ledger import Ledger
from tests.support.memory import MemoryStore
from tests.support.register import SmallRegister

GENERATION = 3
NOW = 1 << 32  # later than any message
UNITS = ("H18.21", "H18.22")  # one for each partition
REGISTER = SmallRegister()

Row = ChangeRow | DossierRow | TallyRow | DeadLetter | Reached


@dataclass(frozen=True)
class Variant:
    """How a world differs from the design."""

    ledger: type[Ledger] = Ledger
    loads_cells: bool = True
    acknowledges_first: bool = False
    drops_on_rebalance: bool = True
    versions_from_clock: bool = False
    constant_versions: bool = False
    increments: bool = False
    history_interrupted: bool = False
    history_last: bool = False
    kept_open: bool = False
    """Whether what a batch brings may wait for the next one: no other order of effects, only later."""


class Pause:
    """One call to the store, waiting for what the world makes of it."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.rows = list(rows)

    def __await__(self) -> Generator["Pause", None, None]:
        yield self


class Database(MemoryStore):
    """What all workers share. Rows land only here."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        self._clock = 0
        self.letters: dict[tuple[int, int], DeadLetter] = {}
        self.disputed = False

    def land(self, rows: Sequence[Row]) -> None:
        for row in rows:
            match row:
                case ChangeRow():
                    self._land_change(row)
                case DossierRow():
                    _now(self.save_dossiers([row]))
                case TallyRow():
                    self._land_tally(row)
                case DeadLetter():
                    self.letters[row.partition, row.version] = row
                case Reached():
                    _now(self.save_progress([row]))

    def _land_change(self, row: ChangeRow) -> None:
        at = row.key, row.number, row.dossier.version
        self.disputed |= self.history.setdefault(at, row) != row

    def _land_tally(self, row: TallyRow) -> None:
        stored = self.tallies.get((row.key, row.cell))
        if self.variant.increments:
            base = stored.vector if stored else 0
            self.tallies[row.key, row.cell] = row._replace(vector=base + row.vector)
        else:
            _now(self.save_tallies([row]))

    def stamped(self, rows: Sequence[TallyRow]) -> list[TallyRow]:
        """The rows with the version that the variant gives them."""
        if self.variant.constant_versions:
            return [row._replace(version=1) for row in rows]
        if self.variant.versions_from_clock:
            self._clock += 1
            return [row._replace(version=self._clock) for row in rows]
        return list(rows)


class Link:
    """One worker's connection to the database: every call pauses first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cohorts(self) -> Collection[CohortKey]:
        await Pause()
        return await self._database.cohorts()

    async def load(self, keys: Collection[CohortKey]) -> Stored:
        await Pause()
        found = await self._database.load(keys)
        return found if self._database.variant.loads_cells else found._replace(cells=NOTHING.cells)

    async def progress(self) -> Mapping[int, Reached]:
        await Pause()
        return dict(self._database.reached)

    async def save_history(self, rows: Sequence[ChangeRow]) -> None:
        self._changes = sorted(rows, key=lambda row: (row.key, row.number, row.dossier.version))
        if not self._database.variant.history_interrupted:
            self._database.land(self._changes)
        elif not self._database.variant.history_last:
            await Pause(self._changes)

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        # A worker writes them in the order of a set; the same seed is to tell the same story anywhere.
        ordered = sorted(rows, key=lambda row: (row.key, row.number))
        await Pause(ordered)
        if self._database.variant.history_last:
            await Pause(self._changes)

    async def save_tallies(self, rows: Sequence[TallyRow]) -> None:
        ordered = sorted(rows, key=lambda row: (row.key, row.cell))
        await Pause(self._database.stamped(ordered))

    async def save_dead_letters(self, rows: Sequence[DeadLetter]) -> None:
        await Pause(rows)

    async def save_progress(self, rows: Sequence[Reached]) -> None:
        await Pause(rows)

    async def save_canaries(self, rows: Sequence[effects.Canary]) -> None:
        raise AssertionError("no canary is sent here")


class Beside:
    """The saving of a piece, which goes on only when it is waited for: as late as it can be."""

    def __init__(self, saving: Coroutine[Any, Any, None]) -> None:
        self._saving = saving

    async def done(self) -> None:
        await self._saving

    def cancel(self) -> None:
        self._saving.close()


@dataclass(eq=False)
class Worker:
    folder: Folder
    position: dict[int, int]  # the next offset to take, by partition
    task: Coroutine[Any, Any, dict[int, int]] | None = None
    pause: Pause | None = None
    begun: bool = False  # a batch that was folded is yet to be saved


@dataclass
class World:
    seed: int
    variant: Variant = field(default_factory=Variant)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.partitions = range(self.random.choice((1, 1, 2)))
        self.log = {partition: _messages(self.random, partition) for partition in self.partitions}
        self.database = Database(self.variant)
        self.acknowledged = dict.fromkeys(self.partitions, 0)
        self.stalled: list[Worker] = []
        self.flights: list[list[Row]] = []
        self.cache_dossiers = self.random.choice((0, 1, 2, 1000))
        self.sizes = self.random.choice(((1,), (1, 2), (2, 4), (1, 9)))
        self.owner = self._worker()
        self.ended = ""

    def run(self) -> "World":
        """Let everything happen, then let a last healthy worker take what is left."""
        try:
            self._run()
        except Fatal as why:
            self.ended = str(why)
            for worker in (*self.stalled, self.owner):
                self._kill(worker)
                worker.folder.drop()
        return self

    def _run(self) -> None:
        mishaps = [self._crash, self._stall, self._rebalance, self._cancel, self._regain, self._arrive]
        # Each world has mishaps of its own, or the rare meetings of two would hardly ever happen.
        happenings = (
            [self._advance] * self.random.choice((5, 10))
            + [self._step_stalled] * self.random.choice((0, 2, 5))
            + [mishap for mishap in mishaps for _ in range(self.random.choice((0, 0, 1, 3)))]
        )
        for _ in range(self.random.randrange(5, 70)):
            self.random.choice(happenings)()
        self._retire(self.owner)
        self.owner = self._worker()
        disturbed = self.random.choice((0.0, 0.3))
        while self._step(self.owner, owns=True):
            if self.random.random() < disturbed:
                self.random.choice((self._step_stalled, self._arrive))()
        while self.flights or self.stalled:
            self._arrive()
            for worker in tuple(self.stalled):
                if worker.task is None or not self._step(worker, owns=False):
                    worker.folder.drop()
                    self.stalled.remove(worker)

    def _worker(self) -> Worker:
        folder = Folder(
            Link(self.database),
            REGISTER,
            generation=GENERATION,
            millis=lambda: NOW * 1000,
            cache_dossiers=self.cache_dossiers,
            aside=Beside,
        )
        folder._ledger = self.variant.ledger(REGISTER)
        return Worker(folder, dict(self.acknowledged))

    # What may happen

    def _advance(self) -> None:
        self._step(self.owner, owns=True)

    def _step_stalled(self) -> None:
        if self.stalled:
            worker = self.random.choice(self.stalled)
            if self.random.random() < 0.3:
                self._land_part(worker)
            elif worker.task is not None or self.random.random() < 0.3:
                self._step(worker, owns=False)

    def _crash(self) -> None:
        self._kill(self.owner)
        self.owner = self._worker()

    def _stall(self) -> None:
        """The owner loses its partitions, between two batches or within one."""
        if self.random.random() < 0.5:
            self._finish()
        elif self.random.random() < 0.3:
            self._land_part(self.owner)
        self.stalled.append(self.owner)
        self.owner = self._worker()

    def _rebalance(self) -> None:
        """The owner keeps its partitions and is rewound to what was acknowledged."""
        if self.owner.task is None:
            self._rewind(self.owner)

    def _regain(self) -> None:
        """A worker that had lost its partitions is given them again."""
        idle = [worker for worker in self.stalled if worker.task is None]
        if idle:
            self._finish()
            worker = self.random.choice(idle)
            self.stalled.remove(worker)
            self.stalled.append(self.owner)
            self.owner = worker
            self._rewind(worker)

    def _cancel(self) -> None:
        """A batch fails in the middle and the same worker goes on."""
        if self.owner.task is not None:
            self._kill(self.owner)
            self.owner.position = dict(self.acknowledged)

    def _arrive(self) -> None:
        if self.flights:
            self.database.land(self.flights.pop(self.random.randrange(len(self.flights))))

    # How it happens

    def _finish(self) -> None:
        while self.owner.task is not None:
            self._step(self.owner, owns=True)

    def _rewind(self, worker: Worker) -> None:
        if self.variant.drops_on_rebalance:
            worker.folder.drop()
            worker.begun = False
        worker.position = dict(self.acknowledged)

    def _step(self, worker: Worker, *, owns: bool) -> bool:
        """One call to the store further; False where the worker has nothing left to take."""
        if worker.task is None:
            batch = self._batch(worker)
            if not batch and not worker.begun:
                return False
            if self.variant.acknowledges_first and owns:
                self.acknowledged.update({message.partition: message.offset + 1 for message in batch})
            worker.begun = bool(batch) and self.random.random() < 0.4
            if not batch:
                worker.task = worker.folder.settle()
            elif worker.begun:
                waits = self.variant.kept_open and self.random.random() < 0.5
                worker.task = worker.folder.begin(batch, lambda: waits)
            else:
                worker.task = worker.folder.take(batch)
        elif worker.pause is not None:
            self.database.land(worker.pause.rows)
        try:
            worker.pause = worker.task.send(None)
        except StopIteration as done:
            worker.task = worker.pause = None
            if owns and self.random.random() < 0.8:
                self.acknowledged.update(done.value)
        return True

    def _batch(self, worker: Worker) -> list[Message]:
        batch: list[Message] = []
        for partition in self.partitions:
            start = worker.position[partition]
            end = min(start + self.random.choice(self.sizes), len(self.log[partition]))
            batch.extend(self.log[partition][start:end])
            worker.position[partition] = end
        return batch

    def _land_part(self, worker: Worker) -> None:
        """Some of the rows that a worker waits for land, the others still may."""
        if worker.pause is not None:
            landing, worker.pause.rows = self._parted(worker.pause.rows)
            self.database.land(landing)

    def _kill(self, worker: Worker) -> None:
        """Of the rows on their way some land now, some later, some never."""
        if worker.task is None:
            worker.folder.drop()
            worker.begun = False
            return
        if worker.pause is not None:
            landing, rest = self._parted(worker.pause.rows)
            if self.random.random() < 0.5:
                landing, rest = [], worker.pause.rows
            self.database.land(landing)
            if self.random.random() < 0.5:
                self.flights.append(rest if self.random.random() < 0.7 else self._parted(rest)[0])
        worker.task.close()
        worker.task = worker.pause = None
        worker.begun = False

    def _retire(self, worker: Worker) -> None:
        if self.random.random() < 0.5:
            self._kill(worker)
        else:
            self.stalled.append(worker)

    def _parted(self, rows: list[Row]) -> tuple[list[Row], list[Row]]:
        """A prefix, or any rows; and the others."""
        if self.random.random() < 0.5:
            cut = self.random.randrange(len(rows) + 1)
            return rows[:cut], rows[cut:]
        chosen = [self.random.random() < 0.5 for _ in rows]
        return (
            [row for row, taken in zip(rows, chosen, strict=True) if taken],
            [row for row, taken in zip(rows, chosen, strict=True) if not taken],
        )

    # What must have come of it

    def differences(self) -> list[str]:
        """How the database differs from a plain recount of the log."""
        dossiers, history, dead = self._recount()
        found = [self.ended] if self.ended else []
        if self.database.disputed or self.database.history != history:
            found.append("history")
        if self.database.dossiers != dossiers:
            found.append("dossiers")
        if set(_tallied(self.database.tallies)) != set(_summed(dossiers)):
            found.append("tallies")
        if self.database.letters != dead:
            found.append("dead letters")
        for partition, messages in self.log.items():
            reached = self.database.reached.get(partition)
            latest = max(message.timestamp // 1000 for message in messages)
            if (
                reached is None
                or reached.version >> 12 != version(GENERATION, messages[-1].offset, 0) >> 12
                or reached.complete_to != latest
            ):
                found.append("progress")
        return found

    def _recount(
        self,
    ) -> tuple[
        dict[tuple[CohortKey, str], Dossier],
        dict[tuple[CohortKey, str, int], ChangeRow],
        dict[tuple[int, int], DeadLetter],
    ]:
        dossiers: dict[tuple[CohortKey, str], Dossier] = {}
        history: dict[tuple[CohortKey, str, int], ChangeRow] = {}
        dead: dict[tuple[int, int], DeadLetter] = {}
        for partition, messages in self.log.items():
            for message in messages:
                learnt = message.timestamp // 1000
                events, rejections = decode(message.value, message.key, learnt, REGISTER)
                for event in events:
                    key = cohort_of(event.unit, event.number), event.number
                    stored = dossiers.get(key)
                    state = _folded(stored, event, message)
                    if state is not None:
                        history[*key, state.version] = ChangeRow(*key, state, counted(stored))
                        dossiers[key] = state
                for rejection in rejections:
                    at = version(GENERATION, message.offset, rejection.index)
                    dead[partition, at] = DeadLetter(at, partition, message.offset, learnt, rejection)
        return dossiers, history, dead


def _folded(stored: Dossier | None, event: Event, message: Message) -> Dossier | None:
    return fold(
        stored,
        event,
        version=version(GENERATION, message.offset, event.index),
        learnt=message.timestamp // 1000,
        procedures=REGISTER,
    )


Counted = tuple[CohortKey, Cell, tuple[int, ...]]


def _summed(dossiers: Mapping[tuple[CohortKey, str], Dossier]) -> list[Counted]:
    """The tallies of each cell, added up bit by bit."""
    sums: dict[tuple[CohortKey, Cell], Counter[int]] = {}
    for (key, _), dossier in dossiers.items():
        for basis in range(len(BASES)):
            if dossier.days[basis]:
                cell = Cell(dossier.system, basis, dossier.days[basis])
                bits = [bit for bit in range(len(TALLIES)) if dossier.mask >> bit & 1]
                sums.setdefault((key, cell), Counter()).update(bits)
    return [(*where, tuple(bits[bit] for bit in range(len(TALLIES)))) for where, bits in sums.items()]


def _tallied(rows: Mapping[tuple[CohortKey, Cell], TallyRow]) -> list[Counted]:
    return [(*where, counts(row.vector)) for where, row in rows.items() if row.vector]


def _now(save: Coroutine[Any, Any, None]) -> None:
    """Do at once what never waits."""
    try:
        save.send(None)
    except StopIteration:
        return
    raise AssertionError("a save of the memory store waited")


# The log: few dossiers, few days, many changes of mind

_DAYS = ("20231002", "20231003", "20231004", "20231005")


def _messages(random: Random, partition: int) -> list[Message]:
    unit = UNITS[partition]
    numbers = [
        f"{unit}-{month}02-000{n}" for month in ("2310", "2311")[: random.choice((1, 1, 2))] for n in (1, 2)
    ][: random.choice((1, 1, 2, 4))]
    values: list[bytes] = []
    for _ in range(random.randrange(2, 10)):
        if values and random.random() < 0.2:
            values.append(random.choice(values))  # sent again
        elif random.random() < 0.03:
            values.append(b"junk")
        else:
            values.append(_call(random, unit, numbers))
    start = 1_704_067_200_000
    return [
        Message(partition, offset, start + random.randrange(10_000_000), unit.encode(), value)
        for offset, value in enumerate(values)
    ]


def _call(random: Random, unit: str, numbers: Sequence[str]) -> bytes:
    progress = random.random() < 0.25
    record = _progress if progress else _full
    return json.dumps(
        {
            "service": "CapNhatTienDoHoSoMC" if progress else "DongBoHoSoMC",
            "madonvi": unit,
            "data": [record(random, random.choice(numbers)) for _ in range(random.choice((1, 1, 2, 3)))],
        }
    ).encode()


def _progress(random: Random, number: str) -> dict[str, object]:
    return {
        "MaHoSo": number,
        "TrangThai": random.choice(("3", "4", "7", "9", "10", "99")),
        "ThoiDiemXuLy": random.choice(_DAYS) + random.choice(("080000", "120000")),
    }


def _full(random: Random, number: str) -> dict[str, object]:
    return {
        "MaHoSo": number,
        "TrangThaiHoSo": random.choice(("1", "2", "4", "4", "9", "9", "10", "11")),
        "MaTTHC": random.choice(("1.000001", "1.000001", "1.000002")),
        "NgayTiepNhan": random.choice((*_DAYS, "")),
        "NgayKetThucXuLy": random.choice((*_DAYS, "")),
        "NgayHenTra": random.choice(("20231005", "20231006", "")),
        "DanhSachGiayToKetQua": [{"DuongDanTepTinKetQua": random.choice(("", "a"))}],
    }
