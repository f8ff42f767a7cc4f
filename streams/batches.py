"""A micro-batch: from messages to durable rows, and the order of effects, which is all here.

    decode → load the cohorts it misses (once) → fold → dossiers → tallies → dead letters → progress
    → and only then its offsets may be acknowledged

Promises: after `Folder.take` returns, everything in its messages is durable; if it raises or is cancelled,
nothing was promised and the same messages may be taken again by anybody. A dossier whose row the engine will
not take costs its neighbours nothing: it is found, and its events of the batch become dead letters. Memory is
bounded: clean cohorts are dropped, longest unused first, while more than `cache_dossiers` are held (one hot
cohort may exceed that).
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Final, NamedTuple, Protocol, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from rates.cohort import Cell, Cohort, CohortKey, cohort_of, packed
from rates.dossier import Procedures
from rates.effects import Canary, DeadLetter, DossierRow, Reached, TallyRow, due, version
from rates.failures import Fatal, Refused, Retry
from rates.wire import Event, Reason, Rejection, Senders, decode, with_fields

log = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")
_MOST_RECORDS: Final = 50_000
"""So many records are folded and saved at once: eight mebibytes of calls can hold millions of empty ones."""
_LATEST: Final = (1 << 32) - 1
"""The last second that can be stored (2106): a message may be stamped with any 64-bit time."""
_TOLD: Final = (1, 3, 10)
"""After how many tries a wait is logged, so that an outage does not flood the log."""
_MOST_REFUSED: Final = 100
"""An engine that refuses more rows than this, and takes none between, has another schema, not bad rows."""
_MOST_WRITTEN: Final = 50_000
CANARY: Final = (b"motcua-canary", b"canary")
"""Key and value of the message that only tells how long the way takes; never a call."""


class Register(Procedures, Senders, Protocol):
    """What folding asks of the register."""


class Store(Protocol):
    """Where state is kept. Each call raises `Retry` or `Fatal`; every save may be repeated."""

    async def load(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Cohort]:
        """The cohorts as stored, cells included; one that is not stored comes back empty."""

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None: ...

    async def save_tallies(self, rows: Sequence[TallyRow]) -> None: ...

    async def save_dead_letters(self, rows: Sequence[DeadLetter]) -> None: ...

    async def save_progress(self, rows: Sequence[Reached]) -> None: ...

    async def save_canaries(self, rows: Sequence[Canary]) -> None: ...

    async def progress(self) -> Mapping[int, Reached]:
        """How far each partition is durable, by partition."""


class Message(NamedTuple):
    """One Kafka message; `timestamp` in milliseconds since 1970 UTC."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def size(self) -> int:
        return len(self.value or b"") + 100


class Folder:
    """Takes micro-batches of one generation's messages. Not for concurrent use."""

    def __init__(
        self,
        store: Store,
        register: Register,
        *,
        generation: int,
        millis: Callable[[], int],
        cache_dossiers: int = 1_500_000,
        replaced: Callable[[], Awaitable[Register | None]] | None = None,
    ) -> None:
        """`millis` since 1970 UTC: data are never complete beyond it, whatever a message is stamped.

        `replaced` is asked before each batch for a register that has replaced the present one.
        """
        self._store = store
        self._register = register
        self._generation = generation
        self._millis = millis
        self._cache_dossiers = cache_dossiers
        self._replaced = replaced
        self._cohorts: OrderedDict[CohortKey, Cohort] = OrderedDict()
        self._complete_to: dict[int, int] | None = None
        self._due: dict[int, int] = {}
        self._refused: Counter[str] = Counter()
        self.held = 0
        """About how many dossiers are cached."""
        self.counts: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Time by stage: decode, load, fold, and each step of the order of effects."""
        self.delays: dict[int, float] = {}
        """Of each partition, how many seconds its last canary took until it was durable."""
        self.away = ""
        """What the store would not do just now, and why; "" while it does."""
        self.written: dict[CohortKey, int] = {}
        """Cohorts written, with their partitions, that the audit has not taken up yet; the first of them."""

    def drop(self) -> None:
        """Forget everything that is cached: another worker may have written meanwhile."""
        self._cohorts.clear()
        self.held = 0
        self._complete_to = None

    async def take(self, messages: Sequence[Message]) -> dict[int, int]:
        """Make a batch durable. Messages of a partition are in the order of their offsets.

        Returns, for each partition, the offset that may be acknowledged: the one after its last message.
        """
        refused: dict[str, str] = {}
        done = False
        try:
            while not done:
                try:
                    offsets = await self._take(messages, refused)
                    done = True
                except _Unstorable as found:
                    refused |= found.numbers
                    self.drop()
        finally:
            if not done:
                # What is cached may be ahead of what is stored, and these messages will come again.
                self.drop()
        return offsets

    async def repair(self, key: CohortKey, cells: Collection[Cell], above: int) -> None:
        """Write some tallies of a cohort anew from its stored dossiers; `above`: the version they must reach.

        Only for the owner of its partition, between two batches.
        """
        dropped = self._cohorts.pop(key, None)
        self.held -= dropped.weight if dropped else 0
        loaded = await self._persist("load", lambda: self._store.load([key]))
        vectors = loaded[key].vectors
        rows = [TallyRow(key, cell, above, vectors.get(packed(*cell), 0)) for cell in cells]
        await self._persist("tallies", lambda: self._store.save_tallies(rows))

    async def _take(self, messages: Sequence[Message], refused: Mapping[str, str]) -> dict[int, int]:
        piece = _Piece()
        if self._complete_to is None:
            stored = await self._persist("progress", self._store.progress)
            self._due = due({at: row.version for at, row in stored.items()}, self._generation)
            self._complete_to = {partition: stored[partition].complete_to for partition in self._due}
        if self._replaced is not None:
            register = await self._persist("register", self._replaced)
            if register is not None:
                self._register = register
        now = self._millis() // 1000
        for message in messages:
            expected = self._due.pop(message.partition, message.offset)
            if message.offset > expected:
                msg = (
                    f"partition {message.partition} is stored up to offset {expected} and is read on from "
                    f"{message.offset}: the database was lost or put back, and what lies between would be "
                    "skipped. Nothing was written. Next: motcua migrate, then start the worker again"
                )
                raise Fatal(msg)
            received_at = min(max(message.timestamp // 1000, 0), _LATEST)
            canary = (message.key, message.value) == CANARY
            last = 0 if canary else self._decode(message, received_at, refused, piece)
            position = version(self._generation, message.offset, last)
            if canary:
                sent_at = min(max(message.timestamp, 0), _LATEST * 1000)
                piece.canaries[message.partition] = Canary(message.partition, position, sent_at)
                self.counts["canaries"] += 1
            complete_to = max(self._complete_to.get(message.partition, 0), min(received_at, now))
            self._complete_to[message.partition] = complete_to
            piece.reached[message.partition] = Reached(message.partition, position, received_at, complete_to)
            if len(piece.events) + len(piece.dead) >= _MOST_RECORDS:
                await self._flush(piece)
                piece = _Piece()
        await self._flush(piece)
        self.counts["messages"] += len(messages)
        self.counts["bytes"] += sum(message.size for message in messages)
        self.counts["batches"] += 1
        self.counts[f"batches_{10 ** len(str(max(len(messages), 2) - 1))}"] += 1
        return {message.partition: message.offset + 1 for message in messages}

    def _decode(self, message: Message, received_at: int, refused: Mapping[str, str], piece: "_Piece") -> int:
        """Sort a message's records into events and dead letters; returns the index of the last."""
        last = 0
        with self._timed("decode"):
            accepted, rejected = decode(message.value, message.key, received_at, self._register)
            if refused:
                unstorable = [
                    Rejection(event.index, Reason.REFUSED, "", refused[event.number], event.unit)
                    for event in accepted
                    if event.number in refused
                ]
                accepted = [event for event in accepted if event.number not in refused]
                rejected = [*rejected, *with_fields(unstorable, message.value or b"")]
            for event in accepted:
                last = max(last, event.index)
                position = version(self._generation, message.offset, event.index)
                piece.events.append((message.partition, position, received_at, event))
            for rejection in rejected:
                last = max(last, rejection.index)
                position = version(self._generation, message.offset, rejection.index)
                piece.dead.append(
                    DeadLetter(position, message.partition, message.offset, received_at, rejection)
                )
                self.counts[f"dead_{rejection.reason}"] += 1
        return last

    async def _flush(self, piece: "_Piece") -> None:
        touched = await self._fold(piece.events)
        await self._save(touched, piece)
        self._make_room(touched)

    async def _fold(self, events: Iterable[tuple[int, int, int, Event]]) -> dict[CohortKey, int]:
        """Fold events in their order; returns the cohorts they touched, each with its partition."""
        keyed = [
            (cohort_of(event.unit, event.number), partition, position, received_at, event)
            for partition, position, received_at, event in events
        ]
        touched = {key: partition for key, partition, *_ in keyed}
        missing = [key for key in touched if key not in self._cohorts]
        if missing:
            loaded = await self._persist("load", lambda: self._store.load(missing))
            for key in missing:
                cohort = loaded[key]
                self._cohorts[key] = cohort
                self.held += cohort.weight
                self.counts["loaded_dossiers"] += len(cohort.dossiers)
        with self._timed("fold"):
            for key, _, position, received_at, event in keyed:
                cohort = self._cohorts[key]
                before = cohort.weight
                outcome = cohort.fold(event, version=position, learnt=received_at, procedures=self._register)
                self.held += cohort.weight - before
                self.counts[outcome.value] += 1
        return touched

    async def _save(self, touched: Mapping[CohortKey, int], piece: "_Piece") -> None:
        dossiers: list[DossierRow] = []
        tallies: list[TallyRow] = []
        with self._timed("fold"):
            for key, partition in touched.items():
                cohort = self._cohorts[key]
                flushed = piece.reached[partition].version
                dossiers.extend(DossierRow(key, number, state) for number, state in cohort.changed_dossiers())
                tallies.extend(
                    TallyRow(key, cell, flushed, vector) for cell, vector in cohort.changed_cells()
                )
        # The order of effects. Each step is durable before the next begins.
        refused = await self._narrowed("dossiers", dossiers, self._store.save_dossiers)
        if refused:
            raise _Unstorable({row.number: why for row, why in refused})
        for row, why in await self._narrowed("tallies", tallies, self._store.save_tallies):
            raise Fatal(f"{why} The row is {row}")
        unkept = await self._narrowed("dead letters", piece.dead, self._store.save_dead_letters)
        if unkept:
            bare = [row._replace(rejection=_bare(row.rejection, why)) for row, why in unkept]
            await self._persist("dead letters", lambda: self._store.save_dead_letters(bare))
        if piece.reached:
            await self._persist("progress", lambda: self._store.save_progress(list(piece.reached.values())))
        if piece.canaries:
            await self._persist("canaries", lambda: self._store.save_canaries(list(piece.canaries.values())))
            visible_at = self._millis()
            for canary in piece.canaries.values():
                self.delays[canary.partition] = max(0, visible_at - canary.sent_at) / 1000
        for key, partition in touched.items():
            self._cohorts[key].mark_clean()
            if len(self.written) < _MOST_WRITTEN:
                self.written[key] = partition
        self.counts["dossiers_written"] += len(dossiers)
        self.counts["tallies_written"] += len(tallies)

    async def _narrowed(
        self, step: str, rows: Sequence[R], save: Callable[[Sequence[R]], Awaitable[None]]
    ) -> list[tuple[R, str]]:
        """Save what the engine takes; the rows that it refuses, each with what it said."""
        found: list[tuple[R, str]] = []
        waiting = [rows] if rows else []
        while waiting:
            some = waiting.pop()
            try:
                await self._persist(step, partial(save, some))
                self._refused[step] = 0
            except Refused as refused:
                if len(some) > 1:
                    waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
                    continue
                found.append((some[0], str(refused)))
                log.error("the engine refuses a row", step=step, reason=str(refused))
                self._refused[step] += 1
                if self._refused[step] > _MOST_REFUSED:
                    raise
        return found

    def _make_room(self, touched: Iterable[CohortKey]) -> None:
        for key in touched:
            self._cohorts.move_to_end(key)
        while self.held > self._cache_dossiers and len(self._cohorts) > 1:
            _, dropped = self._cohorts.popitem(last=False)
            self.held -= dropped.weight

    async def _persist(self, step: str, call: Callable[[], Awaitable[T]]) -> T:
        """Do one step however long the store is away: nothing is acknowledged meanwhile."""

        def waiting(state: RetryCallState) -> None:
            self.counts["retries"] += 1
            error = state.outcome.exception() if state.outcome else None
            self.away = f"{step}: {error}"
            if state.attempt_number in _TOLD or state.attempt_number % 30 == 0:
                log.warning(
                    "store away, trying again", step=step, tries=state.attempt_number, error=str(error)
                )

        with self._timed(step):
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(Retry),
                wait=wait_exponential(multiplier=0.05, max=1),
                before_sleep=waiting,
            ):
                with attempt:
                    found = await call()
                    self.away = ""
                    return found
        raise AssertionError  # without a stop condition the loop above only returns or raises

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += perf_counter() - began


class _Piece:
    """What is folded and saved at once: events with partition, position and receipt, and what else came."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, int, Event]] = []
        self.dead: list[DeadLetter] = []
        self.reached: dict[int, Reached] = {}
        self.canaries: dict[int, Canary] = {}


class _Unstorable(Exception):
    """Dossiers, by number, whose rows the engine refuses, each with what it said."""

    def __init__(self, numbers: Mapping[str, str]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


def _bare(rejection: Rejection, why: str) -> Rejection:
    """A letter whose own text cannot be stored."""
    return Rejection(rejection.index, rejection.reason, "", f"not kept: {why}"[:500], rejection.unit)
