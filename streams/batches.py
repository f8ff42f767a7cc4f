"""A micro-batch: from messages to durable rows, and the order of effects, which is all here.

    decode → load the cohorts it misses (once) → fold → dossiers → tallies → dead letters → progress
    → and only then its offsets may be acknowledged

Promises: after `Folder.take` returns, everything in its messages is durable; if it raises or is cancelled,
nothing was promised and the same messages may be taken again by anybody. Memory is bounded: clean cohorts are
dropped, longest unused first, while more than `cache_dossiers` are held (one hot cohort may exceed that).
"""

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from rates.cohort import Cohort, CohortKey, cohort_of
from rates.dossier import Procedures
from rates.effects import DeadLetter, DossierRow, Reached, TallyRow, version
from rates.failures import Retry
from rates.wire import Event, Senders, decode

log = structlog.get_logger(__name__)

T = TypeVar("T")
_MOST_RECORDS: Final = 50_000
"""So many records are folded and saved at once: eight mebibytes of calls can hold millions of empty ones."""
_LATEST: Final = (1 << 32) - 1
"""The last second that can be stored (2106): a message may be stamped with any 64-bit time."""
_TOLD: Final = (1, 3, 10)
"""After how many tries a wait is logged, so that an outage does not flood the log."""


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
        cache_dossiers: int = 1_500_000,
        replaced: Callable[[], Awaitable[Register | None]] | None = None,
    ) -> None:
        """`replaced` is asked before each batch for a register that has replaced the present one."""
        self._store = store
        self._register = register
        self._generation = generation
        self._cache_dossiers = cache_dossiers
        self._replaced = replaced
        self._cohorts: OrderedDict[CohortKey, Cohort] = OrderedDict()
        self._held = 0
        self._complete_to: dict[int, int] | None = None
        self.counts: Counter[str] = Counter()

    def drop(self) -> None:
        """Forget everything that is cached: another worker may have written meanwhile."""
        self._cohorts.clear()
        self._held = 0
        self._complete_to = None

    async def take(self, messages: Sequence[Message]) -> dict[int, int]:
        """Make a batch durable. Messages of a partition are in the order of their offsets.

        Returns, for each partition, the offset that may be acknowledged: the one after its last message.
        """
        done = False
        try:
            offsets = await self._take(messages)
            done = True
        finally:
            if not done:
                # What is cached may be ahead of what is stored, and these messages will come again.
                self.drop()
        return offsets

    async def _take(self, messages: Sequence[Message]) -> dict[int, int]:
        events: list[tuple[int, int, int, Event]] = []
        dead: list[DeadLetter] = []
        reached: dict[int, Reached] = {}
        if self._complete_to is None:
            stored = await self._persist("progress", self._store.progress)
            self._complete_to = {
                partition: row.complete_to
                for partition, row in stored.items()
                if row.version >> 52 == self._generation
            }
        if self._replaced is not None:
            register = await self._persist("register", self._replaced)
            if register is not None:
                self._register = register
        for message in messages:
            received_at = min(max(message.timestamp // 1000, 0), _LATEST)
            accepted, rejected = decode(message.value, message.key, received_at, self._register)
            last = 0
            for event in accepted:
                last = max(last, event.index)
                position = version(self._generation, message.offset, event.index)
                events.append((message.partition, position, received_at, event))
            for rejection in rejected:
                last = max(last, rejection.index)
                position = version(self._generation, message.offset, rejection.index)
                dead.append(DeadLetter(position, message.partition, message.offset, received_at, rejection))
                self.counts[f"dead_{rejection.reason}"] += 1
            complete_to = max(self._complete_to.get(message.partition, 0), received_at)
            self._complete_to[message.partition] = complete_to
            position = version(self._generation, message.offset, last)
            reached[message.partition] = Reached(message.partition, position, received_at, complete_to)
            if len(events) + len(dead) >= _MOST_RECORDS:
                await self._flush(events, dead, reached)
                events, dead, reached = [], [], {}
        await self._flush(events, dead, reached)
        self.counts["messages"] += len(messages)
        return {message.partition: message.offset + 1 for message in messages}

    async def _flush(
        self,
        events: Sequence[tuple[int, int, int, Event]],
        dead: Sequence[DeadLetter],
        reached: Mapping[int, Reached],
    ) -> None:
        touched = await self._fold(events)
        await self._save(touched, dead, reached)
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
                self._held += cohort.weight
                self.counts["loaded_dossiers"] += len(cohort.dossiers)
        for key, _, position, received_at, event in keyed:
            cohort = self._cohorts[key]
            before = cohort.weight
            outcome = cohort.fold(event, version=position, learnt=received_at, procedures=self._register)
            self._held += cohort.weight - before
            self.counts[outcome.value] += 1
        return touched

    async def _save(
        self, touched: Mapping[CohortKey, int], dead: Sequence[DeadLetter], reached: Mapping[int, Reached]
    ) -> None:
        dossiers: list[DossierRow] = []
        tallies: list[TallyRow] = []
        for key, partition in touched.items():
            cohort = self._cohorts[key]
            flushed = reached[partition].version
            dossiers.extend(DossierRow(key, number, state) for number, state in cohort.changed_dossiers())
            tallies.extend(TallyRow(key, cell, flushed, vector) for cell, vector in cohort.changed_cells())
        # The order of effects. Each step is durable before the next begins.
        if dossiers:
            await self._persist("dossiers", lambda: self._store.save_dossiers(dossiers))
        if tallies:
            await self._persist("tallies", lambda: self._store.save_tallies(tallies))
        if dead:
            await self._persist("dead letters", lambda: self._store.save_dead_letters(dead))
        if reached:
            await self._persist("progress", lambda: self._store.save_progress(list(reached.values())))
        for key in touched:
            self._cohorts[key].mark_clean()

    def _make_room(self, touched: Iterable[CohortKey]) -> None:
        for key in touched:
            self._cohorts.move_to_end(key)
        while self._held > self._cache_dossiers and len(self._cohorts) > 1:
            _, dropped = self._cohorts.popitem(last=False)
            self._held -= dropped.weight

    async def _persist(self, step: str, call: Callable[[], Awaitable[T]]) -> T:
        """Do one step however long the store is away: nothing is acknowledged meanwhile."""

        def waiting(state: RetryCallState) -> None:
            self.counts["retries"] += 1
            if state.attempt_number in _TOLD or state.attempt_number % 30 == 0:
                error = state.outcome.exception() if state.outcome else None
                log.warning(
                    "store away, trying again", step=step, tries=state.attempt_number, error=str(error)
                )

        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Retry),
            wait=wait_exponential(multiplier=0.05, max=1),
            before_sleep=waiting,
        ):
            with attempt:
                return await call()
        raise AssertionError  # without a stop condition the loop above only returns or raises
