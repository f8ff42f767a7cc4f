"""How long the alert rules take over a national year: every unit and body under every rule.

The first evaluation writes a state for every rule and subject; what is measured are those after it, which
read all figures and states anew as data come further.
"""

import asyncio
import time
from datetime import date
from statistics import median
from typing import Any

from bench.nation import YEAR, nation
from bench.stack import running, say
from motcua.settings import Settings
from motcua.wiring import database
from rates.alerts import RULES
from rates.calendar import Calendar
from rates.effects import Reached, version
from rates.sheets import day_number
from rates.wire import DAY, LOCAL
from sinks.alerts import Alerts
from sinks.cohorts import CohortStore
from streams.verdicts import Judge

_ROUNDS = 5


def run() -> dict[str, Any]:
    """The figures of the part: seconds of an evaluation, its subjects and rules."""
    with running(engine=nation()) as stack:
        return asyncio.run(_measured(stack.settings, (day_number(date(YEAR, 12, 1)) * DAY) - LOCAL))


async def _measured(settings: Settings, start: int) -> dict[str, Any]:
    now = start
    took: list[float] = []
    async with database(settings) as connected:
        store, alerts = CohortStore(connected), Alerts(connected, Calendar.shipped())
        generation = int(await connected.value("SELECT max(generation) FROM generations") or 1)
        judge = Judge(alerts, Calendar.shipped(), lambda: now, 0.0)
        for turn in range(_ROUNDS + 1):
            now = start + turn * DAY
            reached = [
                Reached(part, version(generation, 1 << 30, turn), now, now)
                for part in range(settings.partitions)
            ]
            await store.save_progress(reached)
            began = time.perf_counter()
            turned = await judge.judge()
            say(f"evaluation {turn}: {turned} turned in {time.perf_counter() - began:.2f} s")
            if turned is None:
                raise RuntimeError("nothing was evaluated")
            took.append(time.perf_counter() - began)
        states = await connected.value("SELECT count() FROM alerts_now")
    return {
        "seconds": round(median(took[1:]), 2),
        "first_seconds": round(took[0], 2),
        "rules": len(RULES),
        "states": int(states or 0),
    }
