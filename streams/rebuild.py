"""Every cohort counted anew: loaded, counted by the register and the definitions of now, and saved elsewhere.

The ordinary code counts (`streams.ledger`), so there is no second rule. What was known before stays as it was
known: a dossier that now counts in another way has one more change in its history, learnt at the rebuild.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rates.cohort import CohortKey
from rates.dossier import Procedures
from rates.effects import Stored
from streams.batches import Store
from streams.ledger import Changes, Ledger

_AT_ONCE: Final = 200_000
"""So many dossiers are held at once; one cohort may be larger."""


async def rebuild(
    original: Store,
    sizes: Sequence[tuple[CohortKey, int]],
    shadow: Store,
    procedures: Procedures,
    learnt: int,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> tuple[int, int]:
    """Count cohorts anew; how many dossiers there are, and how many of them count in another way than before.

    `sizes`: the cohorts of `original` with about how many dossiers each has, those of a month together.
    `learnt`: seconds since 1970 UTC. `progress` hears dossiers done, and about how many there are. May be
    begun anew at any time: the same is saved again. Raises Retry and Fatal.
    """
    total, done, moved = sum(size for _, size in sizes), 0, 0
    portions = list(_portions(sizes))
    if not portions:
        return 0, 0
    # One portion is loaded and one saved while one is counted.
    loading = asyncio.ensure_future(original.load(portions[0]))
    saving = asyncio.ensure_future(asyncio.sleep(0))
    try:
        for keys, following in zip_longest(portions, portions[1:]):
            stored = await loading
            if following is not None:
                loading = asyncio.ensure_future(original.load(following))
            changes = await asyncio.to_thread(_counted, procedures, keys, stored, learnt)
            await saving
            done += len(changes.dossiers)
            moved += len(changes.history)
            saving = asyncio.ensure_future(_save(shadow, changes))
            progress(done, max(total, done))
        await saving
    finally:
        loading.cancel()
        saving.cancel()
    return done, moved


def _counted(procedures: Procedures, keys: Sequence[CohortKey], stored: Stored, learnt: int) -> Changes:
    ledger = Ledger(procedures)
    ledger.load(keys, stored)
    return ledger.recount(learnt)


async def _save(shadow: Store, changes: Changes) -> None:
    if len(changes.history):
        await shadow.save_history(changes.history)
    await shadow.save_dossiers(changes.dossiers)
    await shadow.save_tallies(changes.tallies)


def _portions(sizes: Sequence[tuple[CohortKey, int]]) -> Iterator[list[CohortKey]]:
    """Cohorts, as many together as are held at once."""
    some: list[CohortKey] = []
    held = 0
    for key, size in sizes:
        if some and held + size > _AT_ONCE:
            yield some
            some, held = [], 0
        some.append(key)
        held += size
    if some:
        yield some
