"""One dossier's state, and the fold of one event into it.

A dossier keeps two clocks. The *record clock*: a full record replaces the stored one if its status time is
newer; at equal time the later stage stands (1 → 2–6 → 7–9 → 10), within a stage the later arrival. The
*progress clock*: of the progress rows the newest is kept beside the record, at equal time the higher code.
The status that counts is the progress row's if its time is strictly later than the record's, else the
record's. So a progress row can arrive before its dossier, and a late result link is never lost to one.

Promise: any order and duplication of a dossier's events ends in the same contributions, as long as different
full records of equal status time and stage keep the order of their last copies.
"""

from enum import Enum
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from rates.tallies import DONE, days_of, delay_of, mask_of
from rates.wire import (
    CLOSED_FROM_SUPPLEMENT,
    DUE_MOVED,
    REOPENED,
    RESULT_REQUIRED,
    Full,
    Progress,
    closing,
)

PAST: Final = REOPENED | CLOSED_FROM_SUPPLEMENT | DUE_MOVED


class Procedures(Protocol):
    """What the fold asks of the register."""

    def system(self, procedure: str, sector: str) -> int: ...

    def result_required(self, procedure: str) -> bool: ...


class Outcome(Enum):
    """What became of an event."""

    ACCEPTED = "accepted"
    LOST = "lost"  # an older or lesser one; counted, changes nothing
    APPLIED = "applied"  # its version is not above the stored one: seen before


class Dossier(Struct, frozen=True, array_like=True, gc=False):
    """The latest state of a dossier.

    `record_status` 0: no full record came yet, the dossier counts nowhere. Times are seconds since 1970 UTC,
    0 where there is none; `facts` are wire bits; `system` an index of `SYSTEMS`; `mask` the contributions as
    fixed when the last event was folded; `learnt` when the last accepted event was received, or one before it
    if the clocks of those who received them disagree: what is known now was not known earlier.
    """

    version: int
    learnt: int
    mask: int
    system: int
    record_status: int
    record_time: int
    progress_status: int
    progress_time: int
    received: int
    completed: int
    due: int
    facts: int
    procedure: str
    sector: str

    @property
    def status(self) -> int:
        """The status that counts: 1–10, or 0 while no full record is known."""
        if not self.record_status:
            return 0
        return self.progress_status if self.progress_time > self.record_time else self.record_status

    @property
    def days(self) -> tuple[int, int, int]:
        """The day it counts on, for each of `BASES`; 0 where it does not."""
        return days_of(self.mask, self.received, self.completed, self.due)


# Cached and loaded dossiers are packed: about 100 bytes instead of 450 as an object.
pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Dossier).decode

STAGE: Final = (0, 1, 2, 2, 2, 2, 2, 3, 3, 3, 4)
"""The stage of each status; 3 (refused) is of the same as 2 and 4–6."""


def fold(
    stored: Dossier | None, event: Full | Progress, *, version: int, learnt: int, procedures: Procedures
) -> Dossier | None:
    """The state after an event, or None where the event loses against what is stored."""
    if isinstance(event, Progress):
        return _fold_progress(stored, event, version, learnt)
    if stored is not None and stored.record_status:
        newer = (event.status_time, STAGE[event.status])
        if newer < (stored.record_time, STAGE[stored.record_status]):
            return None
    progress_status, progress_time = (
        (stored.progress_status, stored.progress_time) if stored is not None else (0, 0)
    )
    facts = event.facts | RESULT_REQUIRED if procedures.result_required(event.procedure) else event.facts
    status = progress_status if progress_time > event.status_time else event.status
    facts |= _past(stored, status, event)
    return Dossier(
        version,
        max(learnt, stored.learnt if stored is not None else 0),
        mask_of(
            status,
            event.received,
            event.completed,
            event.due,
            facts,
            *_delay(stored, event, event.due, learnt),
        ),
        procedures.system(event.procedure, event.sector),
        event.status,
        event.status_time,
        progress_status,
        progress_time,
        event.received,
        event.completed,
        event.due,
        facts,
        event.procedure,
        event.sector,
    )


def ties(event: Full, record_status: int, record_time: int) -> bool:
    """Whether a full record would replace a stored one for arriving later, and for nothing else."""
    clock = (event.status_time, STAGE[event.status])
    return record_status > 0 and clock == (record_time, STAGE[record_status])


def _fold_progress(stored: Dossier | None, event: Progress, version: int, learnt: int) -> Dossier | None:
    if stored is None:
        return Dossier(version, learnt, 0, 0, 0, 0, event.status, event.status_time, 0, 0, 0, 0, "", "")
    if (event.status_time, event.status) <= (stored.progress_time, stored.progress_status):
        return None
    status = event.status if event.status_time > stored.record_time else stored.record_status
    mask, facts = 0, stored.facts
    if stored.record_status:
        facts |= _past(stored, status, event)
        late = _delay(stored, event, stored.due, learnt)
        mask = mask_of(status, stored.received, stored.completed, stored.due, facts, *late)
    return msgspec.structs.replace(
        stored,
        version=version,
        learnt=max(learnt, stored.learnt),
        mask=mask,
        progress_status=event.status,
        progress_time=event.status_time,
        facts=facts,
    )


def _past(stored: Dossier | None, status: int, event: Full | Progress) -> int:
    """What is to be remembered of a dossier that now comes to `status`: the bits it had, and a new one.

    *Reopened*: it was done (7, 9, 10) and no longer is. *Closed from supplement*: it was asked for papers or
    payment (5, 6) and is ready (9) at once (reference: domain G1). *Due moved*: a record of after the day it
    was due gives it a later one (G7).
    """
    if stored is None:
        return 0
    before = stored.status
    found = stored.facts & PAST
    if before in DONE and status not in DONE:
        found |= REOPENED
    if before in (5, 6) and status == 9:
        found |= CLOSED_FROM_SUPPLEMENT
    if isinstance(event, Full) and 0 < closing(stored.due) < min(event.due, event.status_time):
        found |= DUE_MOVED
    return found


def _delay(stored: Dossier | None, event: Full | Progress, due: int, learnt: int) -> tuple[int, bool]:
    """How late an event was learnt, and whether after the dossier was due.

    What is only said again, the same status of the same time, is not late: a re-sync is no evidence. When it
    was said first is not kept, so what was late then is no longer told either.
    """
    said = (event.status, event.status_time) if isinstance(event, Full) else None
    if stored is not None and said == (stored.record_status, stored.record_time):
        return 0, False
    return delay_of(event.status_time, learnt), 0 < closing(due) < learnt
