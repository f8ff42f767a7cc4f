"""The door: ClickHouse's HTTP interface in front of the engine, as clickhouse-connect, clickhouse-go and curl
use it.

Reads and writes have threads of their own, so neither waits for the other, and a ping waits for nobody.
Answers go out as the engine makes them; a client that asked to wait for the end gets an error's status even
if rows came first, up to 16 MiB of answer. A client that leaves ends its streamed query, and its insert is
not committed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple

from aiohttp import web

from infra.local.engine_body import unpacked
from infra.local.engine_errors import (
    AUTHENTICATION_FAILED,
    NOT_IMPLEMENTED,
    READONLY,
    SYNTAX_ERROR,
    EngineError,
)
from infra.local.engine_native import hello, is_hello
from infra.local.engine_read import Answer, Columns
from infra.local.engine_request import Ask, Passwords
from infra.local.engine_session import Engine, Session
from infra.local.engine_statement import LONGEST_HEAD, READS, InsertHead, Statement, is_insert

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_READERS, _WRITERS = 16, 8
_HELD = 16 << 20  # of an answer, for a client that waits for its end
_PIECE = 1 << 20
_LONGEST_TEXT = 64 << 20
_KINDS = {
    "json": "application/json; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "native": "application/octet-stream",
}


class Door:
    """Handlers of one engine's HTTP interface."""

    def __init__(self, engine: Engine, passwords: Passwords) -> None:
        self._engine = engine
        self._passwords = passwords
        self._reads = ThreadPoolExecutor(_READERS, "read")
        self._writes = ThreadPoolExecutor(_WRITERS, "write")
        self._running: set[Future[Any]] = set()
        self._columns: dict[Hashable, Columns] = {}

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_LONGEST_TEXT)
        app.router.add_get("/ping", self._ping)
        app.router.add_get("/", self._query)
        app.router.add_post("/", self._query)
        return app

    def dismiss(self) -> bool:
        """Take no more work; whether some that cannot be cut short still runs."""
        self._reads.shutdown(wait=False, cancel_futures=True)
        self._writes.shutdown(wait=False, cancel_futures=True)
        return bool(self._running)

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _query(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET" and not request.query:
            return await self._ping(request)
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        headers = {
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Server-Display-Name": "motcua",
            "X-ClickHouse-Timezone": "UTC",
        }
        try:
            params, body = await _opened(request)
            ask = Ask.read(request.method, params, request.headers, self._passwords)
            return await self._dispatch(request, ask, body, headers)
        except EngineError as error:
            return self._refused(error, headers)
        except (ConnectionError, web.RequestPayloadError):
            # The client left in the middle of its body: there is nobody to answer.
            return web.Response(status=400)

    async def _dispatch(
        self, request: web.Request, ask: Ask, body: AsyncIterator[bytes], headers: dict[str, str]
    ) -> web.StreamResponse:
        start = f"{ask.query}\n".encode() if ask.query.strip() else b""
        head = None
        while not start.strip() or is_insert(start):
            head = InsertHead.read(start)
            if len(start) >= LONGEST_HEAD or (head is not None and head.data_from < len(start)):
                break
            piece = await anext(body, None)
            if piece is None:
                break
            start += piece
        # Values with parameters are expressions: only the engine's parser can put them in.
        if head is not None and not (ask.parameters and head.format == "Values"):
            return await self._insert(ask, head, start[head.data_from :], body, headers)
        text = await _all(start, body)
        statement = Statement.read(text)
        if is_hello(text, ask.protocol):
            return web.Response(
                body=hello(self._engine.version), headers=headers | {"X-ClickHouse-Format": "Native"}
            )
        if statement.needs_session():
            raise EngineError.refused(
                NOT_IMPLEMENTED,
                "NOT_IMPLEMENTED",
                "There are no sessions here: send settings with each query.",
            )
        return await self._answer(request, ask, statement, headers)

    async def _answer(
        self, request: web.Request, ask: Ask, statement: Statement, headers: dict[str, str]
    ) -> web.StreamResponse:
        pool = self._reads if statement.verb in READS else self._writes
        began = time.monotonic()
        answer, data, done = await self._on(pool, self._begin, ask, statement)
        response: web.StreamResponse | None = None
        try:
            held = data
            while ask.whole and not done and len(held) < _HELD:
                data, done = await self._on(pool, answer.gather, _PIECE)
                held += data
            if held or statement.verb in READS:
                headers["X-ClickHouse-Format"] = answer.format
                headers["Content-Type"] = _kind(answer.format)
            if done:
                headers["X-ClickHouse-Summary"] = _summary(began, **answer.counts)
                return web.Response(body=held, headers=headers)
            tag = secrets.token_hex(8)
            response = web.StreamResponse(headers=headers | {"X-ClickHouse-Exception-Tag": tag})
            await response.prepare(request)
            await response.write(held)
            del held
            while not done:
                try:
                    data, done = await self._on(pool, answer.gather, _PIECE)
                except EngineError as error:
                    await response.write(error.block(tag, self._engine.version))
                    break
                await response.write(data)
            await response.write_eof()
        except ConnectionError:
            # The client has left: there is nobody to answer.
            return web.Response() if response is None else response
        finally:
            if done:
                answer.close()
            else:
                self._later(pool, answer.close)
        return response

    def _begin(self, ask: Ask, statement: Statement) -> tuple[Answer, bytes, bool]:
        session = self._session(ask)
        given = ask.database, ask.reader, *sorted(ask.settings.items())
        answer = Answer(session, statement, ask.format, ask.parameters, self._columns, given)
        done = True
        try:
            data, done = answer.gather(_PIECE)
        finally:
            if statement.verb not in READS:
                self._columns = {}
            if done:
                answer.close()
        return answer, data, done

    async def _insert(
        self, ask: Ask, head: InsertHead, data: bytes, body: AsyncIterator[bytes], headers: dict[str, str]
    ) -> web.Response:
        if ask.reader:
            raise EngineError.refused(READONLY, "READONLY", "Cannot execute query in readonly mode.")
        began = time.monotonic()
        session = await self._on(self._writes, self._session, ask)
        try:
            if data:
                await self._on(self._writes, session.append, data)
            async for piece in body:
                await self._on(self._writes, session.append, piece)
            rows, size = await self._on(self._writes, session.insert, head)
        finally:
            # An insert that was not committed is given up with its connection.
            self._later(self._writes, session.close)
        headers["X-ClickHouse-Summary"] = _summary(began, written_rows=rows, written_bytes=size)
        return web.Response(headers=headers)

    def _session(self, ask: Ask) -> Session:
        return self._engine.session(database=ask.database, settings=ask.settings, reader=ask.reader)

    def _refused(self, error: EngineError, headers: dict[str, str]) -> web.Response:
        return web.Response(
            status=error.status(),
            body=error.body(self._engine.version),
            headers=headers | {"X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain"},
        )

    async def _on(self, pool: ThreadPoolExecutor, work: Callable[[*Ts], T], *args: *Ts) -> T:
        future = pool.submit(work, *args)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    def _later(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        try:
            pool.submit(work)
        except RuntimeError:
            work()


async def _opened(request: web.Request) -> tuple[dict[str, str], AsyncIterator[bytes]]:
    """The request's words and its body. A form's fields are words too."""
    _check_origin(request)
    params = dict(request.query)
    if request.content_type != "multipart/form-data":
        encoding = request.headers.get("Content-Encoding", "")
        return params, unpacked(request.content.iter_any(), encoding)
    for name, value in (await request.post()).items():
        if not isinstance(value, str):
            raise EngineError.refused(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "External data is not served.")
        params[name] = value
    return params, _nothing()


def _check_origin(request: web.Request) -> None:
    """A page in a browser on this machine reaches loopback, too; it must not get in, by whatever name."""
    host = request.host.rpartition(":")[0] or request.host
    foreign = (
        "Origin" in request.headers
        or "Sec-Fetch-Site" in request.headers
        or (_on_loopback(request.remote) and not _on_loopback(host.strip("[]")))
    )
    if foreign:
        raise EngineError.refused(AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED", "Not for browsers.")


def _on_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


async def _nothing() -> AsyncIterator[bytes]:
    for piece in tuple[bytes, ...]():
        yield piece


async def _all(start: bytes, body: AsyncIterator[bytes]) -> str:
    """The whole statement."""
    parts = [start]
    size = len(start)
    async for piece in body:
        parts.append(piece)
        size += len(piece)
        if size > _LONGEST_TEXT:
            raise EngineError.refused(
                223, "QUERY_IS_TOO_LARGE", f"A statement is at most {_LONGEST_TEXT >> 20} MiB long."
            )
    try:
        return b"".join(parts).decode()
    except UnicodeDecodeError:
        raise EngineError.refused(SYNTAX_ERROR, "SYNTAX_ERROR", "The statement is not UTF-8.") from None


def _kind(fmt: str) -> str:
    lower = fmt.lower()
    for start, kind in _KINDS.items():
        if lower.startswith(start):
            return kind
    return (
        "text/plain; charset=UTF-8" if lower.startswith(("t", "pretty", "v")) else "application/octet-stream"
    )


def _summary(began: float, **counts: int) -> str:
    spent = int((time.monotonic() - began) * 1e9)
    return json.dumps({name: str(count) for name, count in counts.items()} | {"elapsed_ns": str(spent)})
