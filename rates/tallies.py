"""How a dossier counts: its 0/1 contributions to a day, as a mask of bits and as lanes of one integer.

A dossier has one mask; bit *i* is set where it adds 1 to `TALLIES[i]`. It contributes the same mask on
each basis that it has a day for: the day it was received, completed, due. A day's running tallies are one
Python integer with a 32-bit lane for each tally, so that a dossier enters or leaves a day by one addition or
subtraction. The mask is stored with the dossier, so an audit is `sum(bitTest(mask, i))`.

The order of `TALLIES` is the order of bits in stored masks: append, never reorder.
"""

from functools import lru_cache
from typing import Final

from rates.wire import (
    CLOSED_FROM_SUPPLEMENT,
    DAY,
    DIGITISED,
    DUE_MOVED,
    E_RESULT,
    E_RESULT_CLEAN,
    POPULATION_DATABASE,
    REOPENED,
    RESULT_REQUIRED,
    closing,
    day_of,
)

SYSTEMS: Final = (
    "civil_status",
    "criminal_records",
    "business",
    "household_business",
    "land",
    "environment",
    "other",
)
BASES: Final = ("received", "completed", "due")
TALLIES: Final = (
    "received",
    "done",
    "completed",
    "returned",
    "open",
    "result_required",
    "e_result",
    "e_result_clean",
    "e_result_required",
    "e_result_clean_required",
    "returned_required",
    "e_result_returned_required",
    "e_result_clean_returned_required",
    "done_e_result",
    "done_e_result_clean",
    "done_satisfied",
    "done_satisfied_clean",
    "on_time",
    "late",
    "digitised",
    "population_database",
    "withdrawn",
    "sync_late",
    "backdated",
    "reopened",
    "closed_from_supplement",
    "no_due",
    "overdue_sync_late",
    "due_moved",
)
BIT: Final = {name: index for index, name in enumerate(TALLIES)}

LANE_BITS: Final = 32
_LANE: Final = (1 << LANE_BITS) - 1

_RECEIVED: Final = frozenset({2, 4, 5, 6, 7, 8, 9, 10})
DONE: Final = frozenset({7, 9, 10})
_COMPLETED: Final = frozenset({9, 10})


_IS_RECEIVED: Final = 1 << BIT["received"]
_IS_DONE: Final = 1 << BIT["done"]


def mask_of(
    status: int,
    received: int,
    completed: int,
    due: int,
    facts: int,
    delay: int = 0,
    learnt_after_due: bool = False,
) -> int:
    """The contributions of a dossier in `status`, with these times (seconds, 0 = none) and facts (wire bits).

    `delay` as `delay_of`; `learnt_after_due`: that its status came to be known only after it was due.

    *received*: a status in {2,4,…,10} with a time of receipt; a dossier that is not received counts nowhere.
    *done*: 7 (withdrawn), 9, 10; *completed*: 9, 10; *open*: not done.
    *on time*: completed not later than due, where a due date at midnight means the end of its day; without
    either time the dossier is neither on time nor late (Decision 766/QĐ-TTg, progress group).
    Evidence of how figures come about (reference: domain §5.1 and §5.2): *sync late*: learnt more than a day
    after it happened (R5); *backdated*: more than seven days (R6); *no due*: received without a due date
    (R10, G6); *overdue sync late*: on time, but learnt after it was due (G15). *Reopened* and *closed from
    supplement* and *due moved* tell of a dossier's past (R9, G1, G7), so they depend on the order in which
    events were accepted.
    """
    if not received:
        return 0
    timely = None if not completed or not due else completed <= closing(due)
    return _mask(status, facts, timely, delay, timely is True and learnt_after_due, not due)


def delay_of(time: int, learnt: int) -> int:
    """0 for what was learnt within a day of its time, 1 within seven, else 2; 0 for what has no time."""
    return int(learnt - time > DAY) + int(learnt - time > 7 * DAY) if time else 0


@lru_cache(maxsize=65_536)
def _mask(
    status: int, facts: int, timely: bool | None, delay: int, learnt_after_due: bool, undated: bool
) -> int:
    if status not in _RECEIVED:
        return 0
    done = status in DONE
    required = bool(facts & RESULT_REQUIRED)
    holds = {
        "received": True,
        "done": done,
        "completed": status in _COMPLETED,
        "returned": status == 10,
        "open": not done,
        "withdrawn": status == 7,
        "result_required": required,
        "returned_required": required and status == 10,
        "on_time": done and timely is True,
        "late": done and timely is False,
        "digitised": bool(facts & DIGITISED),
        "population_database": bool(facts & POPULATION_DATABASE),
        "sync_late": delay > 0,
        "backdated": delay > 1,
        "reopened": bool(facts & REOPENED),
        "closed_from_supplement": bool(facts & CLOSED_FROM_SUPPLEMENT),
        "no_due": undated,
        "due_moved": bool(facts & DUE_MOVED),
        "overdue_sync_late": done and learnt_after_due,
    }
    for form, result in (("", bool(facts & E_RESULT)), ("_clean", bool(facts & E_RESULT_CLEAN))):
        holds[f"e_result{form}"] = result
        holds[f"e_result{form}_required"] = result and required
        holds[f"e_result{form}_returned_required"] = result and required and status == 10
        holds[f"done_e_result{form}"] = done and result
        holds[f"done_satisfied{form}"] = done and (result or not required)
    return sum(1 << bit for bit, name in enumerate(TALLIES) if holds[name])


def days_of(mask: int, received: int, completed: int, due: int) -> tuple[int, int, int]:
    """The day on which a dossier counts on each basis, in the order of `BASES`; 0 where it does not."""
    if not mask & _IS_RECEIVED:
        return 0, 0, 0
    return (
        day_of(received),
        day_of(completed) if completed and mask & _IS_DONE else 0,
        day_of(due) if due else 0,
    )


def lanes(mask: int) -> int:
    """A mask as lanes: 1 in the lane of each bit that is set."""
    vector = _LANES.get(mask)
    if vector is None:
        vector = sum(1 << (LANE_BITS * bit) for bit in range(len(TALLIES)) if mask >> bit & 1)
        _LANES[mask] = vector
    return vector


_LANES: dict[int, int] = {}  # as many entries as there are different masks: a few hundred


def counts(vector: int) -> tuple[int, ...]:
    """The lanes of a vector, one count for each tally in the order of `TALLIES`."""
    return tuple(vector >> shift & _LANE for shift in _SHIFTS)


_SHIFTS: Final = tuple(LANE_BITS * bit for bit in range(len(TALLIES)))
