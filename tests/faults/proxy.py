"""Between worker and engine, on loopback: it passes requests on, disturbs those it is told to, and watches.

Each worker has a door of its own, so that it is known who asks. What was made durable is seen here: an insert
into `progress` that the engine took says how far its partitions are. A disturbance does what a network, or
the engine itself, might do, in the engine's own words and codes. It is in the bench's own loop.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import aiohttp
import pyarrow as pa
from aiohttp import web
from yarl import URL

from infra.local.engine_errors import EngineError

VERSION: Final = "25.8.2.29 (official build)"
WORDS: Final = {
    164: "Cannot execute query in readonly mode. (READONLY)",
    242: "Table is in readonly mode (replica path: /clickhouse/tables/01/motcua/replicas/r1). "
    "(TABLE_IS_READ_ONLY)",
    241: "(total) memory limit exceeded: would use 3.01 GiB (attempt to allocate chunk of 4.00 MiB bytes), "
    "current RSS: 2.94 GiB, maximum: 2.70 GiB. OvercommitTracker decision: Query was selected to stop by "
    "OvercommitTracker. (MEMORY_LIMIT_EXCEEDED)",
    252: "Too many parts (3000 with average size of 1.21 MiB) in table 'motcua.tallies'. Merges are "
    "processing significantly slower than inserts. (TOO_MANY_PARTS)",
    243: "Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)",
}
"""As `DB::Exception` says them (ClickHouse's sources), behind "Code: N. DB::Exception: "."""

_PASSED: Final = (
    *("X-ClickHouse-Format", "X-ClickHouse-Summary", "X-ClickHouse-Timezone", "Content-Type"),
    *("Content-Encoding", "X-ClickHouse-Exception-Code", "X-ClickHouse-Exception-Tag"),
)


_PROGRESS: Final = re.compile(r"INSERT INTO \S*\bprogress\b")


class Moved(NamedTuple):
    """A partition that became durable up to a version, by which worker's which life, and when."""

    partition: int
    version: int
    slot: int
    life: int
    at: float


@dataclass(slots=True)
class Disturbance:
    """What happens to requests whose statement matches `text`, at the doors `slots`; `times` at most.

    `how`: slow, cut_before, cut_during, cut_after (the engine has taken it), cut_answer, an error's code,
    or "call": `call` is awaited before the request is passed on, or after it was if `late`.
    """

    how: str
    text: str
    slots: frozenset[int]
    times: int = 1_000_000
    seconds: float = 1.0
    late: bool = False
    call: Callable[[int], Awaitable[None]] | None = None
    struck: int = field(default=0, init=False)


class _Cut(Exception):
    """The connection is to be cut instead of an answer."""


class Proxy:
    """Doors to the engine at `engine` (http://host:port), one for each worker."""

    def __init__(self, engine: str, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._runners: list[web.AppRunner] = []
        self.disturbances: list[Disturbance] = []
        self.lives: dict[int, int] = {}
        self.durable: dict[int, int] = {}
        self.owner: dict[int, tuple[int, float]] = {}
        """By partition, who last wrote its progress, and when."""
        self.watchers: set[Callable[[Moved], None]] = set()

    async def open(self, doors: int) -> list[str]:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=150), auto_decompress=False, max_field_size=1 << 20
        )
        return [await self._open(slot) for slot in range(doors)]

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _open(self, slot: int) -> str:
        app = web.Application(client_max_size=1 << 30)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(slot, request)

        app.router.add_route("*", "/{rest:.*}", handle)
        runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, max_line_size=1 << 20, max_field_size=1 << 20,
            keepalive_timeout=3600, shutdown_timeout=0.5,
        )  # fmt: skip
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def _found(self, slot: int, statement: str) -> Disturbance | None:
        for one in self.disturbances:
            if slot in one.slots and one.struck < one.times and re.search(one.text, statement):
                one.struck += 1
                return one
        return None

    async def _handle(self, slot: int, request: web.Request) -> web.StreamResponse:
        life = self.lives.get(slot, 0)
        body = await request.read()
        statement = request.query.get("query") or body[:400].decode(errors="replace")
        found = self._found(slot, statement)
        how = found.how if found else ""
        try:
            if found and how.isdigit():
                return _refusal(int(how))
            if found and how == "slow":
                await asyncio.sleep(found.seconds)
            if how == "cut_before":
                raise _Cut
            if found and found.call and not found.late:
                await found.call(slot)
            status, headers, answer = await self._forward(request, body, half=how == "cut_during")
            if status == 200 and _PROGRESS.match(statement):
                self._progressed(slot, life, body)
            if found and found.call and found.late:
                await found.call(slot)
            if how == "cut_after":
                raise _Cut
            if how == "cut_answer":
                return await _half(request, headers, answer)
            if found and how == "slow":
                await asyncio.sleep(found.seconds)
            return web.Response(status=status, headers=headers, body=answer)
        except (_Cut, aiohttp.ClientError, ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)

    async def _forward(
        self, request: web.Request, body: bytes, *, half: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "content-length", "transfer-encoding", "connection")
        }
        url = URL(self._engine + request.raw_path, encoded=True)

        async def broken() -> AsyncIterator[bytes]:
            yield body[: len(body) // 2]
            raise _Cut

        async with self._session.request(
            request.method, url, headers=kept, data=broken() if half else body or None
        ) as answer:
            headers = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
            return answer.status, headers, await answer.read()

    def _progressed(self, slot: int, life: int, body: bytes) -> None:
        start = body.find(b"ARROW1")
        if start < 0:
            return
        table = pa.ipc.open_file(pa.BufferReader(body[start:])).read_all()
        rows = zip(table["partition"].to_pylist(), table["version"].to_pylist(), strict=True)
        for partition, version in rows:
            self.owner[partition] = slot, self._now()
            if version > self.durable.get(partition, -1):
                self.durable[partition] = version
                moved = Moved(partition, version, slot, life, self._now())
                for watcher in list(self.watchers):
                    watcher(moved)


def _refusal(code: int) -> web.Response:
    error = EngineError(code, f"Code: {code}. DB::Exception: {WORDS[code]}")
    return web.Response(
        status=error.status(),
        body=error.body(VERSION),
        headers={"X-ClickHouse-Exception-Code": str(code), "Content-Type": "text/plain; charset=UTF-8"},
    )


async def _half(request: web.Request, headers: Mapping[str, str], answer: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(answer) + 1)})
    await response.prepare(request)
    await response.write(answer[: len(answer) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
