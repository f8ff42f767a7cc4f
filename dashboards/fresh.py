"""Rows of the panels `freshness` and `activity` as what they mean: the pipe's state, and each office's.

A measured delay is shown while it is young; an older one says nothing about now.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final

from rates.calendar import Calendar
from rates.freshness import Activity, Office, Pipe, office, pipe
from rates.register import Register
from rates.sheets import day_number

DELAY_HOLDS: Final = 600
"""Seconds for which a canary's delay is worth telling."""
MOST_NAMED: Final = 300
EVERYBODY: Final = "*"


def pipe_of(row: Mapping[str, Any], *, canary_seconds: float, now: int, moving: bool = False) -> Pipe:
    """The state of the pipe from the row of `freshness`. `now` in seconds since 1970 UTC.

    `moving`: whether what figures are complete to has moved on lately.
    """
    young = now - int(row["canary"] or 0) <= DELAY_HOLDS
    return pipe(
        complete_to=int(row["complete"]) or None if row["partitions"] else None,
        heard=int(row["heard"]),
        expected=int(row["expected"]),
        canary_seconds=canary_seconds,
        now=now,
        moving=moving,
        delay=_known(row["delay"]) if young else None,
        slowest=_known(row["slowest"]) if young else None,
        lag=_known(row["lag"]),
    )


def activities(rows: Iterable[Mapping[str, Any]]) -> dict[str, Activity]:
    """What each unit was heard of, from the rows of `activity`, by its code; without its rhythm."""
    return {
        row["code"]: Activity(int(row["last_time"]), _day(row["first_day"]), int(row["complete"]))
        for row in rows
    }


def quiet(known: Mapping[str, Activity], through: Pipe, calendar: Calendar) -> str:
    """The units whose rhythm must be asked for, as the parameter `units` of the panel `rhythm`.

    "" where there is none. So many that no address holds them are `EVERYBODY`.
    """
    if through.state != "fresh":
        return ""
    codes = [code for code, activity in known.items() if activity.silent_days(calendar)]
    return ",".join(codes) if len(codes) <= MOST_NAMED else EVERYBODY


def offices(
    known: Mapping[str, Activity],
    rhythms: Iterable[Mapping[str, Any]],
    through: Pipe,
    register: Register,
    calendar: Calendar,
) -> dict[str, Office]:
    """The state of each unit, with the rows of `rhythm` for those that are quiet, by its code."""
    found = {row["code"]: (int(row["accepted"]), int(row["days"])) for row in rhythms}
    return {
        code: office(
            through,
            Activity(one.last, one.first, one.complete_to, *found.get(code, (0, 0))),
            calendar,
            exists_until=register.ends(code),
        )
        for code, one in known.items()
    }


def _known(value: Any) -> int | None:
    return None if value is None else int(value)


@lru_cache(maxsize=4096)
def _day(text: str) -> int:
    return day_number(date.fromisoformat(text))
