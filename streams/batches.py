"""A micro-batch: from messages to durable rows, and the order of effects, which is all here.

    decode → load the cohorts it misses (once) → fold
    → history → dossiers → tallies → dead letters → progress
    → and only then its offsets may be acknowledged

While one piece is being saved the next is decoded and folded; never more than one is on its way. Where more
waits than a batch holds, what several batches bring becomes one piece: to the engine a row among many costs a
third of a row among few.
Promises: an offset is given back once everything before it is durable; if something fails or is cancelled,
nothing was promised and the same messages may be taken again by anybody. A dossier whose row the engine will
not take costs its neighbours nothing: it is found, and its events of the piece become dead letters. Memory is
bounded: clean cohorts are let go, longest unused first, while more than `cache_dossiers` are held (one hot
cohort may exceed that).
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from functools import partial
from itertools import compress
from time import perf_counter
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from rates.cohort import Cell, CohortKey
from rates.dossier import Procedures
from rates.effects import (
    NOTHING,
    Canary,
    ChangeRow,
    DeadLetter,
    DossierRow,
    Reached,
    Stored,
    TallyRow,
    due,
    offset_of,
    version,
)
from rates.failures import Fatal, Refused, Retry
from rates.wire import Event, Reason, Rejection, Senders, is_utf8, with_fields
from streams.compiled import Ints
from streams.events import Columns, Events, Message, Source
from streams.ledger import Changes, Ledger

log = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")
_MOST_RECORDS: Final = 100_000
_LONGEST: Final = 1.0
"""So many records are folded and saved at once, and those of so many seconds, whatever waits behind them:
eight mebibytes of calls can hold millions of empty ones."""
_AT_ONCE: Final = 4 * 1024 * 1024
_MESSAGES_AT_ONCE: Final = 10_000
"""So many bytes and messages are read at once."""
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

    async def cohorts(self) -> Collection[CohortKey]:
        """The cohorts that have a dossier."""

    async def load(self, keys: Collection[CohortKey]) -> Stored:
        """The cohorts as stored, cells included; one that is not stored has no rows."""

    async def save_history(self, rows: Sequence[ChangeRow]) -> None: ...

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None: ...

    async def save_tallies(self, rows: Sequence[TallyRow]) -> None: ...

    async def save_dead_letters(self, rows: Sequence[DeadLetter]) -> None: ...

    async def save_progress(self, rows: Sequence[Reached]) -> None: ...

    async def save_canaries(self, rows: Sequence[Canary]) -> None: ...

    async def progress(self) -> Mapping[int, Reached]:
        """How far each partition is durable, by partition."""


class Saving(Protocol):
    """A saving that goes on beside the folding of what comes next."""

    async def done(self) -> None:
        """Wait for its end; raises what it failed with."""

    def cancel(self) -> None:
        """Let go of it, wherever it is."""


class Folder:
    """Takes micro-batches of one generation's messages. Not for concurrent use."""

    def __init__(
        self,
        store: Store,
        register: Register,
        *,
        generation: int,
        millis: Callable[[], int],
        cache_dossiers: int = 4_500_000,
        replaced: Callable[[], Awaitable[Register | None]] | None = None,
        utf8: Callable[[bytes], bool] = is_utf8,
        seconds: defaultdict[str, float] | None = None,
        aside: Callable[[Coroutine[Any, Any, None]], "Saving"] = lambda saving: _Beside(saving),
        thread: bool = False,
        reread: Callable[[Mapping[int, tuple[int, int]]], Awaitable[Sequence[Message]]] | None = None,
    ) -> None:
        """`millis` since 1970 UTC: data are never complete beyond it, whatever a message is stamped.

        `replaced` is asked before each piece for a register that has replaced the present one; `utf8` may be
        a faster `rates.wire.is_utf8`; `aside` runs the saving of a piece beside the folding of the next.
        `thread`: decode and fold in another thread, so that the saving has its turns meanwhile.
        `reread` brings the messages of some partitions again, from an offset up to another; without it all
        are kept until they are durable.
        """
        self._store = store
        self._register = register
        self._generation = generation
        self._millis = millis
        self._cache_dossiers = cache_dossiers
        self._replaced = replaced
        self._utf8 = utf8
        self._aside = aside
        self._thread = thread
        self._reread = reread
        self._ledger = Ledger(register)
        self._open: _Piece | None = None
        self._saving: tuple[_Piece, Saving] | None = None
        self._durable: dict[int, int] = {}
        self._complete_to: dict[int, int] | None = None
        self._stored: set[CohortKey] = set()
        self._due: dict[int, int] = {}
        self._refused: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = seconds if seconds is not None else defaultdict(float)
        """Time by stage: decode, load, fold, and each step of the order of effects; others add theirs."""
        self.delays: dict[int, float] = {}
        """Of each partition, how many seconds its last canary took until it was durable."""
        self.away = ""
        """What the store would not do just now, and why; "" while it does."""
        self.written: dict[CohortKey, int] = {}
        """Cohorts written, with their partitions, that the audit has not taken up yet; the first of them."""

    @property
    def held(self) -> int:
        """About how many dossiers are cached."""
        return self._ledger.held

    def drop(self) -> None:
        """Forget everything that is cached or on its way: another worker may have written meanwhile."""
        if self._saving is not None:
            self._saving[1].cancel()
        self._open = self._saving = None
        self._durable = {}
        self._complete_to = None
        self._ledger.clear()

    async def take(self, messages: Sequence[Message]) -> dict[int, int]:
        """Make a batch durable. Messages of a partition are in the order of their offsets.

        Returns, for each partition, the offset that may be acknowledged: the one after its last message.
        """
        return {**await self.begin(messages), **await self.settle()}

    async def begin(
        self, messages: Sequence[Message], more: Callable[[], bool] | None = None
    ) -> dict[int, int]:
        """Fold a batch and begin to save it; returns the offsets that may be acknowledged meanwhile.

        While there is `more` to come at once, what was read may wait to be folded with that.
        """
        done = False
        try:
            left = messages
            while left:
                if self._open is None:
                    await self._prepare()
                    self._open = _Piece()
                self._check(left)
                taken = await self._work("decode", partial(self._fill, self._open, left))
                left = left[taken:]
                if left or self._open.full() or self._open.events.apart or not (more and more()):
                    await self._send_off()
            done = True
        finally:
            if not done:
                # What is cached may be ahead of what is stored, and these messages will come again.
                self.drop()
        self.counts["messages"] += len(messages)
        self.counts["bytes"] += sum(message.size for message in messages)
        self.counts["batches"] += 1
        self.counts[f"batches_{10 ** len(str(max(len(messages), 2) - 1))}"] += 1
        return self._acknowledged()

    async def settle(self) -> dict[int, int]:
        """Wait until everything that was begun is durable; returns the offsets that may be acknowledged."""
        done = False
        try:
            await self._send_off()
            await self._saved()
            done = True
        finally:
            if not done:
                self.drop()
        self._ledger.make_room(self._cache_dossiers, self._ledger.turn)
        return self._acknowledged()

    async def repair(self, key: CohortKey, cells: Collection[Cell], above: int) -> None:
        """Write some tallies of a cohort anew from its stored dossiers; `above`: the version they must reach.

        Only for the owner of its partition, between two batches.
        """
        durable = await self.settle()
        stored = await self._persist("load", lambda: self._store.load([key]))
        fresh = Ledger(self._register)
        fresh.load([key], stored)
        vectors = fresh.cells(key)
        rows = [TallyRow(key, cell, above, vectors.get(cell, 0)) for cell in cells]
        await self._persist("tallies", lambda: self._store.save_tallies(rows))
        self._ledger.let_go(key)
        self._durable = durable

    def _acknowledged(self) -> dict[int, int]:
        durable, self._durable = self._durable, {}
        return durable

    async def _prepare(self) -> None:
        if self._complete_to is None:
            stored = await self._persist("progress", self._store.progress)
            self._due = due({at: row.version for at, row in stored.items()}, self._generation)
            # What is not among them is new: whoever writes it from now on writes what we have yet to read.
            self._stored = set(await self._persist("load", self._store.cohorts))
            self._complete_to = {partition: stored[partition].complete_to for partition in self._due}
        if self._replaced is not None:
            register = await self._persist("register", self._replaced)
            if register is not None:
                self._register = register
                self._ledger.register(register)

    def _check(self, messages: Sequence[Message]) -> None:
        """`Fatal` where the first messages of a partition leave out some that are not stored."""
        for message in messages if self._due else ():
            expected = self._due.pop(message.partition, message.offset)
            if message.offset > expected:
                msg = (
                    f"partition {message.partition} is stored up to offset {expected} and is read on "
                    f"from {message.offset}: the database was lost or put back, and what lies between "
                    "would be skipped. Nothing was written. Next: motcua migrate, then start the worker "
                    "again"
                )
                raise Fatal(msg)

    async def _send_off(self) -> None:
        """Fold what was read, and begin to save it once what came before is saved."""
        piece, self._open = self._open, None
        if piece is None:
            return
        while True:
            await self._fold(piece)
            if await self._saved():
                break
            # What the piece before led to was refused and everything dropped: folded in vain.
        piece.events = Events()  # while it is saved nobody needs what was read
        self._ledger.make_room(self._cache_dossiers, self._ledger.turn - 1)
        self._saving = piece, self._aside(self._save(piece))

    def _fill(self, piece: "_Piece", messages: Sequence[Message]) -> int:
        """Read messages into a piece until it is full; how many it took."""
        taken = 0
        for some in _portions(messages):
            if taken and piece.full():
                break
            self._take_in(some, piece)
            taken += len(some)
        return taken

    def _take_in(self, messages: Sequence[Message], piece: "_Piece") -> None:
        columns = zip(*(message[:3] for message in messages), strict=True)
        partitions, offsets, stamps = (np.array(column, np.int64) for column in columns)
        received_at = np.clip(stamps // 1000, 0, _LATEST)
        reached = (offsets.astype(np.uint64) << np.uint64(12)) + np.uint64(version(self._generation, 0, 0))
        is_call = np.array([(message.key, message.value) != CANARY for message in messages], bool)
        calls = list(compress(messages, is_call))
        for at in np.flatnonzero(~is_call).tolist():
            sent_at = min(max(messages[at].timestamp, 0), _LATEST * 1000)
            canary = Canary(messages[at].partition, int(reached[at]), sent_at)
            piece.canaries[canary.partition] = canary
        last = piece.events.read(calls, reached[is_call], received_at[is_call], self._register, self._utf8)
        reached[is_call] += last.astype(np.uint64)
        piece.reach(partitions, reached, received_at)
        if self._reread is None:
            piece.messages += messages

    def _sort(self, piece: "_Piece", refused: Mapping[str, str]) -> Columns:
        """Sort a piece's records into events and dead letters; again, it only gives the same events."""

        def unsound(
            source: Source, events: Sequence[Event], rejections: Sequence[Rejection]
        ) -> Sequence[Event]:
            if refused:
                unstorable = [
                    Rejection(event.index, Reason.REFUSED, "", refused[event.number], event.unit)
                    for event in events
                    if event.number in refused
                ]
                events = [event for event in events if event.number not in refused]
                rejections = [*rejections, *with_fields(unstorable, source.message.value or b"")]
            at = source.message
            piece.dead += [
                DeadLetter(source.position + found.index, at.partition, at.offset, source.learnt, found)
                for found in rejections
            ]
            return events

        return piece.events.columns(self._register, unsound)

    async def _fold(self, piece: "_Piece", refused: Mapping[str, str] | None = None) -> None:
        columns = await self._work("decode", partial(self._sort, piece, refused or {}))
        sought = await self._work("fold", partial(self._ledger.seek, columns))
        missing = sought.missing
        if missing:
            known = [key for key in missing if key in self._stored]
            if known:
                stored = await self._persist("load", lambda: self._store.load(known))
                self.counts["loaded_dossiers"] += await self._work(
                    "fold", partial(self._ledger.load, known, stored)
                )
            self._ledger.load([key for key in missing if key not in self._stored], NOTHING)
            self._stored.update(missing)
        if sought.keys:
            flushed = {partition: reached.version for partition, reached in piece.reached.items()}
            piece.changes = await self._work("fold", partial(self._ledger.fold, sought, flushed))

    async def _work(self, stage: str, work: Callable[[], T]) -> T:
        """Compute something; a cancellation waits for its end, so that nobody else touches what it uses."""
        with self.timed(stage):
            if not self._thread:
                return work()
            working = asyncio.ensure_future(asyncio.to_thread(work))
            try:
                return await asyncio.shield(working)
            except asyncio.CancelledError:
                while not working.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([working])
                raise

    async def _saved(self) -> bool:
        """Wait for the piece on its way; False where the cache was dropped meanwhile."""
        if self._saving is None:
            return True
        piece, saving = self._saving
        refused: dict[str, str] = {}
        saved = False
        while not saved:
            try:
                await (self._save(piece) if refused else saving.done())
                saved = True
            except _Unstorable as found:
                refused |= found.numbers
                self._ledger.clear()
                messages, piece = await self._again(piece), _Piece(by_column=False)
                for some in _portions(messages):
                    self._take_in(some, piece)
                await self._fold(piece, refused)
        self._saving = None
        self._durable |= {at: offset_of(row.version) + 1 for at, row in piece.reached.items()}
        return not refused

    async def _again(self, piece: "_Piece") -> Sequence[Message]:
        """A piece's messages once more."""
        if self._reread is None:
            return piece.messages
        reread = self._reread
        spans = {at: (first, offset_of(piece.reached[at].version) + 1) for at, first in piece.firsts.items()}
        found = await self._persist("messages again", lambda: reread(spans))
        if len(found) != sum(end - first for first, end in spans.values()):
            msg = f"the engine refuses a row, and Kafka no longer holds all of {spans}. Next: motcua doctor"
            raise Fatal(msg)
        return found

    async def _save(self, piece: "_Piece") -> None:
        changes = piece.changes
        # The order of effects. Each step is durable before the next begins.
        if changes is not None:
            # First: an event whose dossier is stored was applied, and its change would be written no more.
            unsaid = await self._narrowed("history", changes.history, self._store.save_history)
            if unsaid:
                raise _Unstorable({row.number: why for row, why in unsaid})
            refused = await self._narrowed("dossiers", changes.dossiers, self._store.save_dossiers)
            if refused:
                raise _Unstorable({row.number: why for row, why in refused})
            for row, why in await self._narrowed("tallies", changes.tallies, self._store.save_tallies):
                raise Fatal(f"{why} The row is {row}")
        unkept = await self._narrowed("dead letters", piece.dead, self._store.save_dead_letters)
        if unkept:
            bare = [row._replace(rejection=_bare(row.rejection, why)) for row, why in unkept]
            await self._persist("dead letters", lambda: self._store.save_dead_letters(bare))
        reached = self._complete(piece)
        await self._persist("progress", lambda: self._store.save_progress(reached))
        if piece.canaries:
            await self._persist("canaries", lambda: self._store.save_canaries(list(piece.canaries.values())))
            visible_at = self._millis()
            for canary in piece.canaries.values():
                self.delays[canary.partition] = max(0, visible_at - canary.sent_at) / 1000
        self._tell(piece)

    def _complete(self, piece: "_Piece") -> list[Reached]:
        """How far partitions are with this piece; the time that data are complete to never goes back."""
        now = self._millis() // 1000
        known = self._complete_to if self._complete_to is not None else {}
        rows = [
            row._replace(complete_to=max(known.get(row.partition, 0), min(row.complete_to, now)))
            for row in piece.reached.values()
        ]
        known |= {row.partition: row.complete_to for row in rows}
        return rows

    def _tell(self, piece: "_Piece") -> None:
        self.counts["canaries"] += len(piece.canaries)
        self.counts.update(f"dead_{row.rejection.reason}" for row in piece.dead)
        if piece.changes is None:
            return
        self.counts["dossiers_written"] += len(piece.changes.dossiers)
        self.counts["tallies_written"] += len(piece.changes.tallies)
        self.counts.update({outcome.value: n for outcome, n in piece.changes.outcomes.items()})
        for key, partition in piece.changes.touched.items():
            if len(self.written) < _MOST_WRITTEN:
                self.written[key] = partition

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

        with self.timed(step):
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
    def timed(self, stage: str) -> Iterator[None]:
        """Count what the block takes as time of a stage."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += perf_counter() - began


class _Piece:
    """What is folded and saved at once, and what it came to. `messages` are those that are kept."""

    def __init__(self, *, by_column: bool = True) -> None:
        self.began = perf_counter()
        self.messages: list[Message] = []
        self.firsts: dict[int, int] = {}
        self.events = Events(by_column=by_column)
        self.dead: list[DeadLetter] = []
        self.reached: dict[int, Reached] = {}
        self.canaries: dict[int, Canary] = {}
        self.changes: Changes | None = None

    def full(self) -> bool:
        return self.events.records >= _MOST_RECORDS or perf_counter() - self.began > _LONGEST

    def reach(self, partitions: Ints, positions: NDArray[np.uint64], received_at: Ints) -> None:
        """It holds more messages: of these partitions, at these positions, received at these seconds."""
        for partition in np.unique(partitions).tolist():
            own = np.flatnonzero(partitions == partition)
            complete_to = int(received_at[own].max())
            if partition in self.reached:
                complete_to = max(complete_to, self.reached[partition].complete_to)
            last = own[-1]
            self.firsts.setdefault(partition, offset_of(int(positions[own[0]])))
            self.reached[partition] = Reached(
                partition, int(positions[last]), int(received_at[last]), complete_to
            )


def _portions(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Messages in their order, as many together as are read at once."""
    begin = size = 0
    for at, message in enumerate(messages):
        more = len(message.value or b"")
        if at > begin and (size + more > _AT_ONCE or at - begin >= _MESSAGES_AT_ONCE):
            yield messages[begin:at]
            begin, size = at, 0
        size += more
    if messages:
        yield messages[begin:]


class _Beside:
    def __init__(self, saving: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.ensure_future(saving)
        # One that is let go of has nobody who would ask what became of it.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def done(self) -> None:
        await self._task

    def cancel(self) -> None:
        self._task.cancel()


class _Unstorable(Exception):
    """Dossiers, by number, whose rows the engine refuses, each with what it said."""

    def __init__(self, numbers: Mapping[str, str]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


def _bare(rejection: Rejection, why: str) -> Rejection:
    """A letter whose own text cannot be stored."""
    return Rejection(rejection.index, rejection.reason, "", f"not kept: {why}"[:500], rejection.unit)
