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
PATIENCE: Final = 2
"""How many times an answer's cost the freshness is held."""
KEPT: Final = 256

Rows: TypeAlias = list[dict[str, Any]]
Key: TypeAlias = tuple[str, tuple[tuple[str, object], ...]]


class Freshness(Struct, frozen=True):
    """How far the figures go. Times in seconds since 1970 UTC, None before anything came."""

    stamp: str
    complete_to: int | None
    latest: int | None


class Frames:
    """Rows by query and parameters, shared between requests while they hold."""

    def __init__(self, reader: Reader, now: Callable[[], float]) -> None:
        self._reader = reader
        self._now = now
        self._held: OrderedDict[Key, tuple[str, float, asyncio.Task[Rows]]] = OrderedDict()
        self._fresh: Freshness | None = None
        self._fresh_until = 0.0
        self._cost = 0.0

    async def freshness(self) -> Freshness:
        """How far the figures go now, or a moment ago."""
        if self._fresh is not None and self._now() < self._fresh_until:
            return self._fresh
        self._fresh = None
        hold = min(max(MOMENT_SECONDS, PATIENCE * self._cost), HOLD_SECONDS)
        rows = await self._reader.rows(FRESHNESS.text(), {})
        row = rows[0] if rows else {}
        if row.get("partitions"):
            fresh = Freshness(row["stamp"], int(row["complete"]) or None, int(row["latest"]) or None)
        else:
            fresh = Freshness("", None, None)
        self._fresh, self._fresh_until, self._cost = fresh, self._now() + hold, 0.0
        return fresh

    async def rows(self, panel: Panel, text: str, given: Mapping[str, object], freshness: Freshness) -> Rows:
        """The panel's rows; `text` is its SQL for the definition asked for."""
        values = panel.values(given)
        key = (text, tuple(sorted(values.items())))
        held = self._held.get(key)
        if held is not None:
            stamp, until, task = held
            if stamp == freshness.stamp and self._now() < until and not _failed(task):
                self._held.move_to_end(key)
                return await asyncio.shield(task)
        task = asyncio.create_task(self._ask(text, values), name=f"panel {panel.id}")
        self._held[key] = freshness.stamp, self._now() + HOLD_SECONDS, task
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
