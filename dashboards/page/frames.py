"""The answers that the page shows, asked for once however many people look.

An answer holds as long as the freshness stamp does: nothing that became durable, nothing to ask again. So an
idle database costs one small query a look, and many viewers cost what one does. The freshness itself is held
for a moment that grows with what the answers cost, so that a page over a large and busy database takes a
third of its time at most, and figures and "complete to" always belong together. An answer is asked again
after `HOLD_SECONDS` all the same, because a rebuild changes figures without an event.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from msgspec import Struct

from dashboards.panels import FRESHNESS, Panel
from dashboards.reading import Reader

HOLD_SECONDS: Final = 20.0
MOMENT_SECONDS: Final = 0.2
STEADY_SECONDS: Final = 60.0
"""So long an answer that changes little from event to event holds, whatever became durable meanwhile."""
MOVING_SECONDS: Final = 30.0
"""What figures are complete to is moving if two looks, so close at most, saw it move."""
PATIENCE: Final = 2
"""How many times an answer's cost the freshness is held."""
KEPT: Final = 256

Rows: TypeAlias = list[dict[str, Any]]
Key: TypeAlias = tuple[str, tuple[tuple[str, object], ...]]


class Freshness(Struct, frozen=True):
    """How far the figures go. Times in seconds since 1970 UTC, None before anything came.

    `row`: the answer of the panel `freshness`. `moving`: whether `complete_to` has moved on lately.
    """

    stamp: str
    complete_to: int | None
    latest: int | None
    row: Mapping[str, Any]
    moving: bool = False


class Frames:
    """Rows by query and parameters, shared between requests while they hold."""

    def __init__(self, reader: Reader, now: Callable[[], float]) -> None:
        self._reader = reader
        self._now = now
        self._held: OrderedDict[Key, tuple[str, float, asyncio.Task[Rows]]] = OrderedDict()
        self._fresh: Freshness | None = None
        self._fresh_until = 0.0
        self._cost = 0.0
        self._looked: tuple[int | None, float] = None, 0.0
        self._moved_at: float | None = None

    async def freshness(self) -> Freshness:
        """How far the figures go now, or a moment ago."""
        if self._fresh is not None and self._now() < self._fresh_until:
            return self._fresh
        self._fresh = None
        hold = min(max(MOMENT_SECONDS, PATIENCE * self._cost), HOLD_SECONDS)
        rows = await self._reader.rows(FRESHNESS.text(), {})
        row = rows[0]
        complete_to = int(row["complete"]) or None if row["partitions"] else None
        fresh = Freshness(
            stamp=row["stamp"] if row["partitions"] else "",
            complete_to=complete_to,
            latest=int(row["latest"]) or None if row["partitions"] else None,
            row=row,
            moving=self._moving(complete_to),
        )
        self._fresh, self._fresh_until, self._cost = fresh, self._now() + hold, 0.0
        return fresh

    def _moving(self, complete_to: int | None) -> bool:
        before, at = self._looked
        now = self._now()
        self._looked = complete_to, now
        if before is not None and complete_to != before and now - at <= MOVING_SECONDS:
            self._moved_at = now
        return self._moved_at is not None and now - self._moved_at <= MOVING_SECONDS

    async def rows(self, panel: Panel, text: str, given: Mapping[str, object], freshness: Freshness) -> Rows:
        """The panel's rows; `text` is its SQL for the definition asked for."""
        values = panel.values(given)
        key = (text, tuple(sorted(values.items())))
        held = self._held.get(key)
        if held is not None:
            stamp, until, task = held
            if (panel.steady or stamp == freshness.stamp) and self._now() < until and not _failed(task):
                self._held.move_to_end(key)
                return await asyncio.shield(task)
        task = asyncio.create_task(self._ask(text, values), name=f"panel {panel.id}")
        hold = STEADY_SECONDS if panel.steady else HOLD_SECONDS
        self._held[key] = freshness.stamp, self._now() + hold, task
        self._held.move_to_end(key)
        while len(self._held) > KEPT:
            self._held.popitem(last=False)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up what is still being asked."""
        tasks = [task for _, _, task in self._held.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, text: str, values: Mapping[str, object]) -> Rows:
        began = self._now()
        rows = await self._reader.rows(text, values)
        self._cost = max(self._cost, self._now() - began)
        return rows


def _failed(task: asyncio.Task[Rows]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
