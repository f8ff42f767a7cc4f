"""What a worker knows of itself: whether it lives, whether it is ready, and its numbers.

Nothing here asks anybody: not Kafka, not the database. A worker lives as long as its agent and its folding
run; it is ready once it has joined its group and what it wrote last was written. Its numbers are also told,
every few seconds and at its end, to whoever shows them elsewhere; a telling that fails is dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

import structlog

from rates.failures import Fatal, Retry
from streams.intake import App, Consumer

log = structlog.get_logger(__name__)

TELL_SECONDS: Final = 10.0
"""How often a worker tells its numbers."""
_PATIENCE_SECONDS: Final = 5.0


class Numbers(NamedTuple):
    """Counters since the worker's start, and what it holds now.

    `counts` and `seconds` as `streams.batches.Folder` keeps them; `lag` and `delays` (seconds of the last
    canary's way) by partition, as far as they are known; `held` dossiers are cached.
    """

    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    lag: Mapping[int, int]
    delays: Mapping[int, float]
    held: int
    buffered_messages: int
    buffered_bytes: int
    rebalances: int
    ready: bool


NONE: Final = Numbers({}, {}, {}, {}, 0, 0, 0, 0, ready=False)
"""Those of a worker that has not begun."""


class Told(NamedTuple):
    """One telling. Times in seconds since 1970 UTC; of two in one second the higher `version` stands."""

    worker: str
    at: int
    version: int
    started_at: int
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    lag: Mapping[int, int]


def dead(app: App) -> str:
    """Why the worker does not live any more; "" while it does."""
    if app.crashed:
        return f"the worker crashed: {app.crash_reason!r}"
    if app.should_stop or app.rebalancing or app.drained.is_set():
        return ""
    for name, task in app.own_tasks.items():
        if task.done():
            return f"the worker's task {name} ended"
    return ""


def unready(app: App) -> str:
    """Why nothing becomes durable through this worker just now; "" if it does."""
    if app.should_stop:
        return "it stops"
    if not app.started or not app.consumer_generation_id:
        return "it has not joined its group yet"
    if app.rebalancing:
        return "its group shares out partitions"
    if app.folder is None:
        return "its database has not answered yet"
    return app.folder.away


def lag(app: App) -> dict[int, int]:
    """How many messages each own partition holds that are not durable yet, where Kafka has said so."""
    found: dict[int, int] = {}
    if app.rebalancing or not app.started or not isinstance(app.consumer, Consumer):
        return found
    for partition, at in app.buffer.durable.items():
        end = app.consumer.reader.end(partition)
        if end is not None:
            found[partition] = max(0, end - at)
    return found


def numbers(app: App) -> Numbers:
    """The worker's numbers now; zeros before its database has answered."""
    folder = app.folder
    return Numbers(
        counts=dict(folder.counts) if folder else {},
        seconds=dict(folder.seconds) if folder else {},
        lag=lag(app),
        delays=dict(folder.delays) if folder else {},
        held=folder.held if folder else 0,
        buffered_messages=app.buffer.messages,
        buffered_bytes=app.buffer.bytes,
        rebalances=app.buffer.epoch,
        ready=not unready(app),
    )


class Teller:
    """Tells one worker's numbers through `save`. `now` in seconds since 1970 UTC."""

    def __init__(
        self, app: App, worker: str, save: Callable[[Told], Awaitable[None]], now: Callable[[], int]
    ) -> None:
        self._app = app
        self._worker = worker
        self._save = save
        self._now = now
        self._started_at = now()
        self._told = 0
        self._failing = False

    async def run(self) -> None:
        """Tell until the app stops."""
        while not self._app.should_stop:
            await self.tell()
            await self._app.sleep(TELL_SECONDS)

    async def tell(self, *, last: bool = False) -> None:
        """Tell once; what goes wrong costs this telling and nothing else. `last`: the worker ends."""
        folder = self._app.folder
        if folder is None:
            return
        own = numbers(self._app)
        self._told += 1
        counts = {
            **own.counts,
            "held": own.held,
            "buffered_messages": own.buffered_messages,
            "buffered_bytes": own.buffered_bytes,
            "rebalances": own.rebalances,
            "ended": int(last),
        }
        told = Told(self._worker, self._now(), self._told, self._started_at, counts, own.seconds, own.lag)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._save(told)
        except (Retry, Fatal, TimeoutError) as error:
            folder.counts["tellings_lost"] += 1
            if not self._failing:
                log.warning("the worker's numbers cannot be told", reason=str(error) or "no answer in time")
            self._failing = True
        else:
            self._failing = False
