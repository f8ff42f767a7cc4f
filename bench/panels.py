"""What viewers ask of a national year, and how long it takes: every panel, and the commands that read.

The SQL is what the page and the commands themselves send, through HTTP to the embedded engine, one question
after the other with parameters that vary. First while nothing is written, then while a worker takes a
thousand events a second: new dossiers, and later states of those of the last two months. In the end the
country's figures are held against the bits of its dossiers.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, cast

from confluent_kafka import Producer

from bench import replay
from bench.nation import YEAR, nation
from bench.stack import ended, running, say
from dashboards import panels
from dashboards.panels import Panel
from dashboards.scoreboard import PARAMETERS, SOURCES
from motcua import clock
from motcua.settings import Settings
from motcua.wiring import database
from rates.definitions import DEFINITIONS, FORMS, Definition
from rates.tallies import BIT
from sinks import migrate, reads
from sinks.client import Database
from sinks.rollups import Rollups

ROUNDS: Final = 20
EVENTS_A_SECOND: Final = 1_000

_PERIODS: Final = (
    ("1970-01-02", "2149-06-06"),
    (f"{YEAR}-01-01", f"{YEAR}-12-31"),
    (f"{YEAR}-01-01", f"{YEAR}-09-30"),
    (f"{YEAR}-07-01", f"{YEAR}-12-31"),
    (f"{YEAR}-11-01", f"{YEAR}-11-30"),
    (f"{YEAR}-12-01", f"{YEAR}-12-31"),
    (f"{YEAR}-03-11", f"{YEAR}-08-19"),
)
_SCOREBOARD: Final = {
    "first": f"{YEAR}-01-01",
    "last": f"{YEAR}-09-30",
    "first_before": f"{YEAR - 1}-01-01",
    "last_before": f"{YEAR - 1}-09-30",
}
assert _SCOREBOARD.keys() == PARAMETERS.keys()


class _Timed:
    """A reader that notes how long each query took, under the name of what asked it."""

    def __init__(self, connected: Database) -> None:
        self._connected = connected
        self.name = ""
        self.took: defaultdict[str, list[float]] = defaultdict(list)

    async def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        began = time.perf_counter()
        found = await self._connected.rows(query, parameters)
        self.took[self.name].append(1000 * (time.perf_counter() - began))
        return found


_Question = Callable[[_Timed], Awaitable[object]]


class _Place(NamedTuple):
    units: Sequence[str]
    bodies: Sequence[str]


def run() -> dict[str, Any]:
    """The figures of the part, and whether the country's figures are those of its dossiers."""
    with running(engine=nation()) as stack:
        settings = stack.settings
        asyncio.run(rested(settings))
        asyncio.run(
            _round(settings, 1, seed=1)
        )  # what is measured is a database at work, not one that wakes up
        quiet = asyncio.run(_round(settings, ROUNDS, seed=2))
        say(f"at rest: {_figures(quiet)}")
        with ended(replay.worker(settings)) as worker:
            replay.ready(worker)
            busy, sent, seconds = asyncio.run(_while_writing(settings))
        agrees = asyncio.run(_agrees(settings))
    return {
        **_figures(quiet),
        "while_writing_p50_ms": _at(_all(busy), 0.5),
        "while_writing_p95_ms": _at(_all(busy), 0.95),
        "written_events_per_second": round(sent / seconds),
        "agrees": agrees,
        "queries": {name: {"n": len(took), **_figures({name: took})} for name, took in sorted(quiet.items())},
        "queries_while_writing": {
            name: {"n": len(took), **_figures({name: took})} for name, took in sorted(busy.items())
        },
    }


async def _round(settings: Settings, rounds: int, seed: int) -> dict[str, list[float]]:
    async with database(settings) as connected:
        reader = _Timed(connected)
        place = await _place(connected)
        chance = random.Random(seed)
        for _ in range(rounds):
            for name, question in _questions(chance, place):
                reader.name = name
                await question(reader)
    return dict(reader.took)


async def rested(settings: Settings) -> None:
    """What a worker does at rest, at once: nothing is written, so every month is settled."""
    async with database(settings) as connected:
        rollups = Rollups(connected, migrate.body("day"))
        for _ in range(2):
            made = await rollups.settle(clock.now(), most=100)
            say(f"{made} months settled")


async def _place(connected: Database) -> _Place:
    units = await connected.rows("SELECT DISTINCT toString(unit) AS code FROM unit_activity ORDER BY code")
    bodies = await connected.rows("SELECT DISTINCT body AS code FROM unit_activity ORDER BY code")
    return _Place(
        units=[row["code"] for row in units],
        bodies=[row["code"] for row in bodies],
    )


def _questions(chance: random.Random, place: _Place) -> Iterator[tuple[str, _Question]]:
    """Every question once, about something else each time."""
    for panel in panels.PANELS:
        for suffix, given in _parameters(panel, chance, place):
            first, last = chance.choice(_PERIODS)
            chosen = {"first": first, "last": last, **given}
            if panel in SOURCES:
                chosen |= _SCOREBOARD
            text = panel.text(chance.choice(DEFINITIONS), chance.choice(FORMS))
            values = panel.values(chosen)
            yield panel.id + suffix, _asking(text, values)
    for by in ((), ("body",), ("month",), ("body", "month"), ("system",), ("unit",), ("day",)):
        period = reads.Period(*chance.choice(_PERIODS))
        name = f"motcua rates by {','.join(by) or 'nothing'}"
        yield name, _rates(chance.choice(DEFINITIONS), by, period)
    yield "complete_to", lambda reader: reads.complete_to(cast("Database", reader))


def _asking(text: str, values: Mapping[str, object]) -> _Question:
    async def ask(reader: _Timed) -> object:
        return await reader.rows(text, values)

    return ask


def _rates(one: Definition, by: Sequence[str], period: reads.Period) -> _Question:
    async def ask(reader: _Timed) -> object:
        return await reads.rates(cast("Database", reader), (one,), by=by, period=period)

    return ask


def _parameters(
    panel: Panel, chance: random.Random, place: _Place
) -> Iterator[tuple[str, dict[str, object]]]:
    unit, body = chance.choice(place.units), chance.choice(place.bodies)
    if panel is panels.RATES:
        yield " of the country", {}
        yield " of a body", {"body": body}
        yield " of a unit", {"unit": unit}
        yield " of a reader's body", {"only": body}
    elif panel in (panels.TREND, panels.BACKLOG):
        yield " of the country", {}
        yield " of a body", {"body": body}
        yield " of a unit", {"unit": unit}
    elif panel is panels.RHYTHM:
        yield " of everybody", {}
        yield " of some", {"units": ",".join(chance.sample(place.units, 20))}
    elif panel in (panels.UNITS, panels.DOSSIERS):
        yield "", {"unit": unit, "body": body, "missing": chance.randrange(2)}
    else:
        yield "", {}


async def _while_writing(settings: Settings) -> tuple[dict[str, list[float]], int, float]:
    """The questions again while events arrive; how many did, in how many seconds."""
    async with database(settings) as connected, _arriving(settings, await _living(connected)) as sent:
        began = time.perf_counter()
        found = await _round(settings, ROUNDS, seed=3)
        return found, sent["events"], time.perf_counter() - began


async def _living(connected: Database) -> list[tuple[str, str, str, str]]:
    """Unit, number, procedure and receipt of dossiers that something can still happen to."""
    rows = await connected.rows(
        "SELECT unit, number, toString(procedure) AS procedure_code, "
        "formatDateTime(received_at, '%Y%m%d%H%i%S', 'Asia/Ho_Chi_Minh') AS received_text "
        f"FROM dossiers_named WHERE received_day >= '{YEAR}-11-01' AND number LIKE '%7' "
        "ORDER BY cityHash64(number) LIMIT 100000"
    )
    return [(r["unit"], r["number"], r["procedure_code"], r["received_text"]) for r in rows]


@asynccontextmanager
async def _arriving(
    settings: Settings, living: Sequence[tuple[str, str, str, str]]
) -> AsyncIterator[dict[str, int]]:
    """Events arrive, so many a second, for as long as the block lasts."""
    sent = {"events": 0}
    stop = asyncio.Event()
    task = asyncio.create_task(_send(settings, living, sent, stop))
    try:
        yield sent
    finally:
        stop.set()
        await task


async def _send(
    settings: Settings,
    living: Sequence[tuple[str, str, str, str]],
    sent: dict[str, int],
    stop: asyncio.Event,
) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"})
    chance = random.Random(11)
    began = time.perf_counter()
    while not stop.is_set():
        while sent["events"] < (time.perf_counter() - began) * EVENTS_A_SECOND:
            unit, number, procedure, received = chance.choice(living)
            at = f"{YEAR}1231{chance.randrange(13, 17)}{chance.randrange(60):02}{sent['events'] % 60:02}"
            status = 10
            if sent["events"] % 3 == 0:
                number, received, status = f"{unit}-{YEAR % 100}1231-9{sent['events']:07}", at, 4
            producer.produce(settings.topic, _call(unit, number, procedure, received, at, status), unit)
            sent["events"] += 1
        producer.poll(0)
        await asyncio.sleep(0.02)
    producer.flush()


def _call(unit: str, number: str, procedure: str, received: str, at: str, status: int) -> bytes:
    ended = at if status == 10 else ""
    return (
        f'{{"service":"DongBoHoSoMC","madonvi":"{unit}","isUpdating":"True","data":[{{"MaHoSo":"{number}",'
        f'"MaTTHC":"{procedure}","NgayTiepNhan":"{received}","NgayHenTra":"{YEAR}1231170000",'
        f'"NgayKetThucXuLy":"{ended}","NgayTra":"{ended}","TrangThaiHoSo":"{status}",'
        f'"HoSoCoThanhPhanSoHoa":"1","DanhSachGiayToKetQua":[]}}]}}'
    ).encode()


async def _agrees(settings: Settings) -> bool:
    """Whether every rate of the country is the sum of two bits of its dossiers."""
    async with database(settings) as connected:
        told = {
            row["definition"]: row
            for row in await connected.rows(panels.RATES.text(), panels.RATES.values({}))
        }
        for one in DEFINITIONS:
            (counted,) = await connected.rows(
                f"SELECT sum(bitTest(mask, {BIT[one.numerator[0]]})) AS reported, "
                f"sum(bitTest(mask, {BIT[one.numerator[1]]})) AS clean, "
                f"sum(bitTest(mask, {BIT[one.denominator]})) AS total "
                f"FROM dossiers FINAL WHERE {one.basis}_day > toDate(0)"
            )
            shown = {name: told[one.id][name] for name in counted}
            if shown != counted:
                say(f"{one.id}: {shown}, the dossiers say {counted}")
                return False
    return True


def _all(took: Mapping[str, Sequence[float]]) -> list[float]:
    return [one for times in took.values() for one in times]


def _at(times: Sequence[float], share: float) -> float:
    return round(sorted(times)[min(len(times) - 1, int(share * len(times)))], 1)


def _figures(took: Mapping[str, Sequence[float]]) -> dict[str, float]:
    times = _all(took)
    return {"p50_ms": _at(times, 0.5), "p95_ms": _at(times, 0.95)}
