"""The scripted story (`producers.scenario_story`) through fold and rules into a database, by evenings."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Final

from producers import scenario_story
from producers.scenario import scenario
from rates.calendar import Calendar
from rates.register import Register
from rates.sheets import day_number
from rates.wire import DAY, LOCAL, unit_of
from sinks import generations, migrate, reference
from sinks.alerts import Alerts
from sinks.client import Database
from sinks.cohorts import CohortStore
from sinks.generations import Source
from streams.batches import CANARY, Folder
from streams.events import Message
from streams.verdicts import Judge

EVENING: Final = 17 * 3600 + 1800
TET: Final = range(day_number(date(2024, 2, 8)), day_number(date(2024, 2, 15)))
CANARY_SECONDS: Final = 10.0
_PARTITIONS: Final = 2


def evenings() -> list[int]:
    """When rules are evaluated, in local days: each Tuesday, and when something is to be seen."""
    calendar = Calendar.shipped()
    judged = (scenario_story.STALE[0] // DAY, *scenario_story.SILENT[-3:], scenario_story.PLAYED[-1])
    begin = scenario_story.PLAYED[0] + 28
    return [
        day
        for day in scenario_story.PLAYED
        if day >= begin
        and (day in TET or day in judged or (calendar.is_working_day(day) and (day + 3) % 7 == 1))
    ]


async def play(database: Database, register: Register) -> AsyncIterator[tuple[int, int | None]]:
    """Play the story into an empty database; after each evening its local day, and how many alerts turned.

    None for an evening that was not judged, for its data are stale.
    """
    begin = scenario_story.PLAYED[0] * DAY - LOCAL
    await migrate.migrate(database, begin, lambda _line: None)
    await reference.save(database, begin)
    await generations.register(database, Source("cluster", "dossiers", "id", _PARTITIONS), begin)
    now = 0
    judge = Judge(Alerts(database, Calendar.shipped()), Calendar.shipped(), lambda: now, CANARY_SECONDS)
    folder = Folder(CohortStore(database), register, generation=1, millis=lambda: now * 1000)
    offsets = Counter[int]()

    def message(unit: str, value: bytes, at: int, partition: int) -> Message:
        offsets[partition] += 1
        return Message(partition, offsets[partition] - 1, at * 1000, unit.encode(), value)

    coming = iter(scenario("story", seed=1, scale=1.0, register=register))
    entry = next(coming, None)
    stale, lasting = scenario_story.STALE
    for day in evenings():
        now = day * DAY + EVENING - LOCAL
        sent: list[Message] = []
        while entry is not None:
            at = int(datetime.fromisoformat(entry[0]).timestamp())
            if at > now:
                break
            unit = unit_of(entry[1]["data"][0]["MaHoSo"])
            assert unit is not None
            sent.append(message(unit, json.dumps(entry[1]).encode(), at, sum(unit.encode()) % _PARTITIONS))
            entry = next(coming, None)
        if not stale <= now + LOCAL < stale + lasting:
            # The pipe works: what was sent just now tells that everything before has come.
            sent += [Message(p, offsets[p], now * 1000, *CANARY) for p in range(_PARTITIONS)]
            offsets.update(range(_PARTITIONS))
        if sent:
            await folder.take(sent)
        yield day, await judge.judge()
