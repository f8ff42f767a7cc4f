"""A part says whether it lives and whether it is ready; a worker that is dead ends itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from mode.threads import WorkerThread

from dashboards.page import page
from dashboards.page.counted import ASKED
from dashboards.readers import Readers
from infra.local.trouble import Away
from motcua.probes import Worker, exposition, listening
from producers import topics
from rates.cohort import CohortKey
from rates.effects import Checked, Compared, Reached
from rates.failures import Fatal, Retry
from rates.register import Register
from streams.app import build, run
from streams.batches import Folder
from streams.intake import App
from streams.offsets import Buffer, Limits
from streams.vitals import Told
from tests.support.board import Board
from tests.support.memory import MemoryStore
from tests.support.register import SmallRegister

NOON = 1_696_222_800


class Said(NamedTuple):
    status: int
    text: str


async def ask(client: TestClient, path: str, **headers: str) -> Said:
    async with client.get(path, headers=headers) as answer:
        return Said(answer.status, await answer.text())


async def becomes(client: TestClient, path: str, status: int, within: float = 60) -> Said:
    """The answer of `path`, once it has this status."""
    async with asyncio.timeout(within):
        while (said := await ask(client, path)).status != status:  # noqa: ASYNC110  # another task is waited for
            await asyncio.sleep(0.05)
    return said


class Switched(MemoryStore):
    """A store that can be away."""

    away = False

    async def save_progress(self, rows: Sequence[Reached]) -> None:
        if self.away:
            raise Retry("clickhouse", "connection refused")
        await super().save_progress(rows)


class NoAudits:
    async def cohorts(self) -> Sequence[tuple[CohortKey, int]]:
        return []

    async def compare(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Compared]:
        return {}

    async def known(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Checked]:
        return {}

    async def save_audits(self, rows: Sequence[Checked], now: int) -> None: ...

    async def progress(self) -> Mapping[int, Reached]:
        return {}


class Live(NamedTuple):
    app: App
    store: Switched
    told: list[Told]
    client: TestClient
    running: "asyncio.Task[None]"
    stop: asyncio.Event


@asynccontextmanager
async def living(kafka: str, topic: str, folder: Path) -> AsyncIterator[Live]:
    """A worker on a real broker, over a store in memory, with its probes."""
    topics.create(kafka, topic, 2)
    store, told = Switched(), list[Told]()

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Folder, NoAudits]]:
        yield Folder(store, SmallRegister(), generation=1, millis=lambda: NOON * 1000), NoAudits()

    async def fine() -> None: ...

    async def save(row: Told) -> None:
        told.append(row)

    app = build(
        kafka,
        topic,
        f"{topic}-g1",
        opened,
        fine,
        Limits(),
        partitions=2,
        millis=lambda: NOON * 1000,
        canary_seconds=0.5,
        data_dir=folder,
        worker="here:1",
        save=save,
    )
    probed, stop = Worker(), asyncio.Event()
    async with TestClient(TestServer(probed.application())) as client:
        assert (await ask(client, "/readyz")).status == 503
        assert (await ask(client, "/livez")).status == 200
        probed.app = app
        running = asyncio.create_task(run(app, stop, "here"))
        try:
            yield Live(app, store, told, client, running, stop)
        finally:
            stop.set()
            await asyncio.gather(running, return_exceptions=True)
            # A crash leaves Faust's consumer thread behind, whose last word goes to this loop.
            for thread in threading.enumerate():
                if isinstance(thread, WorkerThread):
                    thread.service.set_shutdown()
                    await thread.service.stop()
                    await asyncio.to_thread(thread.join, 60)


@pytest.mark.stack
async def test_a_worker_is_ready_while_it_writes_and_lives_whether_or_not_the_database_does(
    kafka: str, tmp_path: Path
) -> None:
    async with living(kafka, "health-ready", tmp_path) as worker:
        await becomes(worker.client, "/readyz", 200)
        worker.store.away = True
        said = await becomes(worker.client, "/readyz", 503)
        assert "connection refused" in said.text
        assert (await ask(worker.client, "/livez")).status == 200
        worker.store.away = False
        await becomes(worker.client, "/readyz", 200)
        assert 'motcua_lag_messages{partition="1"}' in (await ask(worker.client, "/metrics")).text
        worker.stop.set()
        await worker.running
        assert worker.told[-1].counts["ended"] == 1
        assert worker.told[-1].counts["canaries"] > 0
        assert worker.told[-1].lag.keys() == {0, 1}


@pytest.mark.stack
async def test_a_worker_stays_in_its_group_for_days_though_the_groups_own_client_reads_nothing(
    kafka: str, tmp_path: Path
) -> None:
    def committed() -> list[int]:
        found = topics.committed(kafka, "health-days", "health-days-g1")
        return [found.get(partition, 0) for partition in (0, 1)]

    async with living(kafka, "health-days", tmp_path) as worker:
        await becomes(worker.client, "/readyz", 200)
        client = worker.app.consumer._thread._consumer
        client._subscription._last_fetch_ended -= 90 * 86_400
        before = await asyncio.to_thread(committed)
        async with asyncio.timeout(60):
            # A member commits, twice a second here, and is heard twice a second: it would be out by then.
            while min(await asyncio.to_thread(committed)) < max(before) + 8:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert worker.app.buffer.epoch == 1


@pytest.mark.stack
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # faust's own, in a crash
@pytest.mark.parametrize("task", ["fold", "dossiers"])
async def test_a_worker_whose_agent_or_folding_ended_in_silence_is_dead_and_ends_itself(
    kafka: str, tmp_path: Path, task: str
) -> None:
    async with living(kafka, f"health-{task}", tmp_path) as worker:
        await becomes(worker.client, "/readyz", 200)
        worker.app.own_tasks[task].cancel()
        await becomes(worker.client, "/livez", 503)
        assert (await ask(worker.client, "/readyz")).status == 503
        with pytest.raises(Fatal, match=r"nothing it had not written was acknowledged\. Next:"):
            async with asyncio.timeout(60):
                await worker.running


async def test_a_telling_that_fails_or_hangs_is_dropped() -> None:
    from streams.vitals import Teller

    app = App("telling", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False)
    app.buffer = Buffer(Limits())
    app.folder = Folder(MemoryStore(), SmallRegister(), generation=1, millis=lambda: NOON * 1000)
    told: list[Told] = []
    failures: list[Exception | None] = [Retry("clickhouse", "away"), Fatal("no such table"), TimeoutError()]

    async def save(row: Told) -> None:
        if failures and (failure := failures.pop(0)):
            raise failure
        told.append(row)

    teller = Teller(app, "here:1", save, lambda: NOON)
    for _ in range(4):
        await teller.tell()
    assert app.folder.counts["tellings_lost"] == 3
    assert [row.version for row in told] == [4]
    assert told[0].counts["tellings_lost"] == 3


async def test_a_worker_answers_under_names_of_this_machine_alone() -> None:
    async with TestClient(TestServer(Worker().application())) as client:
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await ask(client, path, Host="evil.example")).status == 403
        assert (await ask(client, "/metrics", Host="localhost:1")).status == 200


async def test_a_port_that_is_taken_is_said_with_what_to_do() -> None:
    async with listening(Worker().application(), 0) as address:
        taken = int(address.rpartition(":")[2])
        with pytest.raises(Away, match=f"port {taken} .* MOTCUA_WORKER_PORT"):
            async with listening(Worker().application(), taken):
                pass


@pytest.fixture
def board() -> Board:
    board = Board(Register.shipped())
    board.version = 1
    return board


def paged(board: Board, **options: Any) -> TestClient:
    return TestClient(TestServer(page(board, board.register, clock=lambda: board.complete, **options)))


@pytest.mark.parametrize("failure", [Retry("clickhouse", "refused"), Fatal("not migrated")])
async def test_the_page_lives_without_a_database_and_is_ready_with_one(
    board: Board, failure: Retry | Fatal
) -> None:
    async with paged(board) as client:
        assert await ask(client, "/readyz") == (200, '{"ready": true}')
        board.failure = failure
        asked = len(board.asked)
        assert await ask(client, "/livez") == (200, '{"live": true}')
        assert len(board.asked) == asked
        assert "database" in (await becomes(client, "/readyz", 503)).text
        board.failure = None
        await becomes(client, "/readyz", 200)


async def test_probes_ask_nobody_for_a_name_and_everything_else_does(board: Board) -> None:
    async with paged(board, readers=Readers({})) as client:
        assert (await ask(client, "/livez")).status == 200
        assert (await ask(client, "/readyz")).status == 200
        for path in ("/healthz", "/pipeline", "/livez/", "/api/panels/workers"):
            assert (await ask(client, path)).status == 401


async def test_the_page_counts_what_it_is_asked_by_route_and_never_by_unit(board: Board) -> None:
    async with paged(board) as client:
        for path in ("/unit/H18.02", "/unit/H18.03", "/unit/nonsense", "/nowhere", "/pipeline"):
            await ask(client, path)
        assert client.app is not None
        asked = client.app[ASKED]
        assert asked.requests == {
            ("/unit/{code}", 200): 2,
            ("/unit/{code}", 400): 1,
            ("other", 404): 1,
            ("/pipeline", 200): 1,
        }
        assert asked.queries["answered"] > 0
        board.failure = Retry("clickhouse", "refused")
        await becomes(client, "/readyz", 503)
        assert asked.queries["failed"] > 0


async def test_metrics_of_a_part_that_others_reach_are_for_this_machine_or_for_those_with_a_name() -> None:
    for named, status in ((False, 404), (True, 200)):
        app = web.Application()
        app.router.add_get("/metrics", exposition(lambda: b"", named=named))

        @web.middleware
        async def from_elsewhere(request: web.Request, handler: Any) -> web.StreamResponse:
            return await handler(request.clone(remote="192.0.2.1"))

        app.middlewares.append(from_elsewhere)
        async with TestClient(TestServer(app)) as client:
            assert (await ask(client, "/metrics")).status == status
