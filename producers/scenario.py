"""Seeded worlds as event logs: portal calls with the time each was received.

`october-2023` is two years' first nine months of 63 provinces, 22 ministries and 11,956 one-stop units, as
the national portal would have received them; the pipeline, not this scenario, arrives at the figures that
were published in October 2023. `steady` is a quiet morning, for a page to move by. `story` is a spring in six
provinces in which something happens to each, for alert rules to be held against. `npsp-2026` is the nine
published months of four provinces, to the dossier, for histories to be replayed.

Promises: the same name, seed, scale and register give the same calls, byte for byte; calls come in the order
in which they were received; memory holds the plan (40 bytes a dossier) and what is under way, never the log.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import groupby
from random import Random
from typing import Any, Final, TypeAlias

from producers.scenario_dossiers import PROGRESS, UPDATE, Dossiers
from producers.scenario_junk import WHOLE, Junk
from producers.scenario_npsp import npsp
from producers.scenario_plan import Plan, make_plan, unpacked
from producers.scenario_records import DAY, clock_text
from producers.scenario_steady import steady
from producers.scenario_story import story
from rates.declared import FULL_SERVICE, PROGRESS_SERVICE
from rates.register import Register
from rates.wire import LOCAL

NAMES: Final = ("october-2023", "npsp-2026", "steady", "story")

Entry: TypeAlias = tuple[str, Any]
"""A log line: received_at as ISO 8601 with its offset, and the call, as a dict or as JSON already written."""

_Waiting: TypeAlias = tuple[int, str, int, int, Any]

_MOST: Final = 200
_MOST_ROWS: Final = 10  # some systems send at most ten progress rows in a call
_JUNK: Final = 0.012
_MONDAY: Final = datetime(2026, 1, 5, 7, 30, tzinfo=timezone(timedelta(hours=7)))


def scenario(
    name: str, *, seed: int, scale: float, register: Register, start: datetime = _MONDAY
) -> Iterator[Entry]:
    """The calls of a world; `start` is when the morning of `steady` begins.

    Raises ValueError where there is no world of that name, or none at this scale or of this register.
    """
    random = Random(seed)
    match name:
        case "october-2023":
            plan = make_plan(random, scale, register)
            return _calls(random, plan, Dossiers(random, plan.sources, plan.bodies, register))
        case "npsp-2026":
            return npsp(random, scale, register)
        case "steady":
            begin = int(start.timestamp()) + LOCAL
            return (
                (clock_text(sent.at), _written(sent.sender, sent.kind, [sent.record]))
                for sent in steady(random, scale, register, begin)
            )
        case "story":
            return (
                (clock_text(sent.at), _written(sent.sender, sent.kind, [sent.record]))
                for sent in story(random, scale, register)
            )
        case _:
            msg = f"no scenario {name!r}; choose one of {', '.join(NAMES)}"
            raise ValueError(msg)


def _calls(random: Random, plan: Plan, dossiers: Dossiers) -> Iterator[Entry]:
    """Day by day: what is received on a day is complete once the dossiers of that day are made."""
    junk = Junk(random)
    waiting: dict[int, list[_Waiting]] = {}
    order = position = 0
    day = unpacked(plan.dossiers[0])[0]
    while position < len(plan.dossiers) or waiting:
        while position < len(plan.dossiers):
            found, source, bits = unpacked(plan.dossiers[position])
            if found != day:
                break
            position += 1
            sent = dossiers.sent(day, source, bits)
            if sent and random.random() < _JUNK and sent[-1].kind != PROGRESS:
                sent.append(junk.of(sent[-1], plan.sources[source].unit))
            for at, sender, kind, record in sent:
                order += 1
                waiting.setdefault(at // DAY, []).append((at, sender, kind, order, record))
        today = waiting.pop(day, [])
        today.sort(key=_order)
        for (at, sender, kind), same in groupby(today, key=_call):
            records = [each[-1] for each in same]
            most = 1 if kind == WHOLE else _MOST_ROWS if kind == PROGRESS else _MOST
            for start in range(0, len(records), most):
                yield clock_text(at), _written(sender, kind, records[start : start + most])
        day += 1


def _order(waiting: _Waiting) -> tuple[int, str, int, int]:
    return waiting[:4]


def _call(waiting: _Waiting) -> tuple[int, str, int]:
    return waiting[:3]


def _written(sender: str, kind: int, records: list[Any]) -> dict[str, Any]:
    if kind == WHOLE:
        whole: dict[str, Any] = records[0]
        return whole
    if kind == PROGRESS:
        return {"service": PROGRESS_SERVICE, "madonvi": sender, "data": records}
    updating = "True" if kind == UPDATE else "False"
    return {"service": FULL_SERVICE, "madonvi": sender, "isUpdating": updating, "data": records}
