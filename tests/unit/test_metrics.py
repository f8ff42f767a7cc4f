"""The catalogue of metrics is what is exported, what is documented, and what the program counts."""

import asyncio
import shutil
import subprocess
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from dashboards.page import pipeline
from dashboards.page.counted import Asked
from motcua import logs
from motcua.metrics import CHANNELS, EVERYWHERE, INTAKE, PAGE, PROCESS, STAGES, WORKER, documentation, exposed
from motcua.notices import Notice, Notifier, Undelivered
from rates.calendar import Calendar
from rates.cohort import Cell, CohortKey
from rates.effects import Checked, Compared, Difference, DossierRow, Reached, version
from rates.failures import Refused, Retry
from sinks.client import Database
from streams.audit import Auditor, partition_of
from streams.batches import CANARY, Folder
from streams.events import Message
from streams.intake import App
from streams.offsets import Buffer, Limits
from streams.verdicts import Judge
from streams.vitals import Numbers, Teller, Told, numbers
from tests.support.calls import UNIT, call, full
from tests.support.memory import MemoryStore
from tests.support.register import SmallRegister
from tests.support.verdicts import MONDAY, Memory

PROMTOOL = shutil.which("promtool")
NOON = 1_696_222_800
OLDER, REFUSED = f"{UNIT}-231002-0002", f"{UNIT}-231002-0666"


class Troubled(MemoryStore):
    """A store that is away once, and never takes one dossier."""

    away = 1

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        if self.away:
            self.away -= 1
            raise Retry("clickhouse", "connection refused")
        if any(row.number == REFUSED for row in rows):
            raise Refused("no such day")
        await super().save_dossiers(rows)


class Suspect:
    """What an audit finds in three cohorts: one agrees, one differs, one is in flight."""

    keys = tuple(CohortKey(UNIT, 202310 + month) for month in range(3))

    async def cohorts(self) -> Sequence[tuple[CohortKey, int]]:
        return [(key, 1) for key in self.keys]

    async def compare(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Compared]:
        wrong = [Difference(Cell(0, 0, 1), "received", 0, 1)]
        found = Compared(1, 0, 0, []), Compared(1, 0, 0, wrong), Compared(1, version(1, 9_000, 0), 0, wrong)
        return {key: one for key, one in zip(self.keys, found, strict=True) if key in keys}

    async def known(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Checked]:
        return {}

    async def save_audits(self, rows: Sequence[Checked], now: int) -> None: ...

    async def progress(self) -> Mapping[int, Reached]:
        return {}


class Firing(Database):
    """A database in which one alert fires, and that forgets whom it told."""

    def __init__(self) -> None: ...

    async def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        row = {"rule": "R1", "level": "province", "subject": "H18", "body": "H18", "severity": "warn"}
        said = {"since": NOON, "reason_vi": "", "reason_en": "", "silenced_until": 0}
        return [row | said] if "alerts_now" in query else []

    async def value(self, query: str, parameters: Mapping[str, object] | None = None) -> Any:
        return 1

    async def insert(self, table: str, columns: Mapping[str, Any]) -> None: ...


class Way(NamedTuple):
    """A way out that takes a notice, or does not."""

    name: str
    works: bool

    async def send(self, notice: Notice) -> None:
        if not self.works:
            raise Undelivered("not now")


async def worker() -> Numbers:
    """The numbers of a worker that has seen everything that it counts."""
    app = App("metrics", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False)
    app.buffer = Buffer(Limits())
    app.folding = asyncio.Lock()
    app.own_tasks = {}
    folder = Folder(Troubled(), SmallRegister(), generation=1, millis=lambda: NOON * 1000, cache_dossiers=1)
    app.folder = folder
    calls = [
        call([full(), full(MaHoSo=OLDER)]),
        call([full(MaHoSo=OLDER, NgayKetThucXuLy="20231001090000", TrangThaiHoSo="4")]),
        call([full(MaHoSo=REFUSED)]),
        b"no call",
    ]
    batch = [Message(0, offset, NOON * 1000, UNIT.encode(), one) for offset, one in enumerate(calls)]
    batch.append(Message(0, len(calls), NOON * 1000 - 400, *CANARY))
    await folder.take(batch[:1])
    folder.drop()
    await folder.take(batch)
    app.buffer.durable[partition_of(UNIT, 1)] = 0
    await Auditor(app, folder, Suspect(), 1, lambda: NOON).check(Suspect.keys)

    async def never(_: Told) -> None:
        raise Retry("clickhouse", "connection refused")

    await Teller(app, "here:1", never, lambda: NOON).tell()
    await Judge(Memory(), Calendar.shipped(), lambda: MONDAY, 10, counts=folder.counts).judge()
    ways = [Way(name, works) for name in CHANNELS for works in (True, False)]
    notifier = Notifier(Firing(), ways, reminder_hours=24, counts=folder.counts, wait=0)
    await notifier.notify(NOON, lambda code: (code, code))
    app.buffer.new_epoch()
    app.buffer.begin({0: 5})
    await app.buffer.offer({0: [batch[0]._replace(offset=5)]}, app.buffer.epoch)
    return numbers(app)._replace(lag={0: 7}, ready=True)


def page() -> Asked:
    asked = Asked()
    asked.requests["/unit/{code}", 200] += 1
    asked.seconds["/unit/{code}"] += 0.1
    asked.queries.update(("answered", "failed"))
    asked.query_seconds += 0.1
    return asked


class Counted:
    """An intake, as far as its counts go."""

    def __init__(self) -> None:
        names = "taken", "taken_in_part", "refused", "records", "messages"
        self.counts = Counter((*names, "declined_busy", "refused_wrong_unit"))


Parts: TypeAlias = dict[str, tuple[Sequence[Any], bytes]]


@pytest.fixture(scope="module")
def own() -> Numbers:
    return asyncio.run(worker())


@pytest.fixture(scope="module")
def parts(own: Numbers) -> Iterator[Parts]:
    """What each part exports, with its list of the catalogue."""
    asked = page()
    logs.suppressed["aiokafka"] += 1
    yield {
        "worker": (WORKER, exposed(WORKER, lambda: own)()),
        "page": (PAGE, exposed(PAGE, lambda: asked)()),
        "intake": (INTAKE, exposed(INTAKE, lambda: Counted())()),  # type: ignore[arg-type]
    }
    del logs.suppressed["aiokafka"]


def families(text: bytes) -> dict[str, Family]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


@pytest.mark.parametrize("part", ["worker", "page", "intake"])
def test_every_metric_of_the_catalogue_is_emitted_by_the_code_that_it_names(parts: Parts, part: str) -> None:
    metrics, text = parts[part]
    found = families(text)
    for metric in (*metrics, *EVERYWHERE):
        samples = found[metric.name.removesuffix("_total")].samples
        assert any(sample.value > 0 for sample in samples), metric.name
        assert all(set(sample.labels) == set(metric.labels) for sample in samples), metric.name


@pytest.mark.parametrize("part", ["worker", "page", "intake"])
def test_nothing_is_emitted_that_the_catalogue_does_not_name(parts: Parts, part: str) -> None:
    metrics, text = parts[part]
    known = {metric.name for metric in (*metrics, *EVERYWHERE)} | {name for name, *_ in PROCESS}
    assert {sample.name for family in families(text).values() for sample in family.samples} == known


class Watched(dict[str, int]):
    """Counts that know which of them were looked at."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        super().__init__(counts)
        self.seen: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.add(name)
        return super().get(name, default)


def test_whatever_a_worker_counts_is_in_the_catalogue(own: Numbers) -> None:
    watched = Watched(own.counts)
    exposed(WORKER, lambda: own._replace(counts=watched))()
    prefixed = {name for name in watched if name.startswith(("dead_", "batches_", "notices_"))}
    # How many batches there were is the sum over their sizes.
    assert watched.keys() - watched.seen - prefixed == {"batches"}
    assert sum(own.counts[name] for name in prefixed if name.startswith("batches_")) == own.counts["batches"]


async def test_a_batch_is_counted_under_the_power_of_ten_that_it_fits_in() -> None:
    folder = Folder(MemoryStore(), SmallRegister(), generation=1, millis=lambda: NOON * 1000)
    for size in (1, 10, 11, 100, 101):
        await folder.take([Message(0, offset, NOON * 1000, *CANARY) for offset in range(size)])
    sizes = {name: count for name, count in folder.counts.items() if name.startswith("batches_")}
    assert sizes == {"batches_10": 2, "batches_100": 2, "batches_1000": 1}


def test_the_documentation_is_the_catalogue() -> None:
    written = Path("docs/metrics.md").read_text(encoding="utf-8")
    assert written == documentation(), "run: python -m motcua.metrics"


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool here (apt-get install prometheus)")
@pytest.mark.parametrize("part", ["worker", "page", "intake"])
def test_promtool_finds_nothing_to_say(parts: Parts, part: str) -> None:
    _, text = parts[part]
    done = subprocess.run([str(PROMTOOL), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_catalogue_names_no_metric_twice() -> None:
    names = [metric.name for metric in (*WORKER, *PAGE, *INTAKE, *EVERYWHERE)]
    assert len(set(names)) == len(names)


def test_the_page_has_words_for_each_stage_and_shows_them_in_their_order() -> None:
    assert tuple(pipeline._STAGES) == STAGES
