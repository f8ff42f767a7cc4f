"""A replay in national order of a history that is larger than the worker's cache.

Three months of the country, 3.2 million dossiers, against the default cache: what was dropped and is heard of
again is loaded with its whole cohort. Reloaded rows are the worker's own count.
"""

import asyncio
from typing import Any, Final

from bench import replay, world
from bench.pipeline import compared, limit
from bench.stack import running, say

RECORDS: Final = 6_000_000


def run(records: int = RECORDS, cache_dossiers: int | None = None) -> dict[str, Any]:
    """The figures of the part. `cache_dossiers`: another cache than the default one."""
    chosen: dict[str, Any] = {} if cache_dossiers is None else {"cache_dossiers": cache_dossiers}
    with running(**chosen) as stack:
        filled = replay.fill(stack.settings, world.calls(records, small=True))
        say(f"filled with {records:,} records in {filled.messages:,} messages in {filled.seconds:.0f} s")
        bound = limit(stack.settings, filled, records)
        found = replay.run(stack, filled)
        answer = asyncio.run(replay.answer(stack.settings))
        return {
            "cache_dossiers": stack.settings.cache_dossiers,
            "dossiers": answer["received"],
            "rows_reloaded_per_event": round(found.counts.get("loaded_dossiers", 0) / records, 4),
            **compared(replay.figures(records, filled, found), answer, bound),
        }
