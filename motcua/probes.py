"""The three questions that every part answers over HTTP: does it live, is it ready, what are its numbers.

`/livez` and `/readyz` answer 200, or 503 with the reason; `/metrics` is Prometheus' text. They answer under
names of loopback alone, as the page does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Middleware

from dashboards.readers import loopback
from infra.local.ports import HOST
from infra.local.trouble import Away
from motcua.metrics import CONTENT_TYPE, WORKER, exposed

if TYPE_CHECKING:
    from streams.intake import App
    from streams.vitals import Numbers


def probes(
    dead: Callable[[], str], unready: Callable[[], str], metrics: Callable[[], bytes]
) -> web.Application:
    """An application of the three alone. `dead` and `unready` say why; "" for neither."""

    async def live(_: web.Request) -> web.Response:
        return _said("live", dead())

    async def ready(_: web.Request) -> web.Response:
        return _said("ready", dead() or unready())

    app = web.Application(middlewares=[_local()])
    app.add_routes(
        [web.get("/livez", live), web.get("/readyz", ready), web.get("/metrics", exposition(metrics))]
    )
    return app


class Worker:
    """The probes of a worker, from its process's first moment on: `app` is there once it has one."""

    def __init__(self) -> None:
        self.app: App | None = None

    def application(self) -> web.Application:
        from streams.vitals import dead, unready

        return probes(
            lambda: dead(self.app) if self.app else "",
            lambda: unready(self.app) if self.app else "it waits for broker and database",
            exposed(WORKER, self._numbers),
        )

    def _numbers(self) -> "Numbers":
        from streams.vitals import NONE, numbers

        return numbers(self.app) if self.app else NONE


def exposition(
    metrics: Callable[[], bytes], *, named: bool = False
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """What answers `/metrics`: to this machine alone, unless whoever reaches it has proven a name."""

    async def answer(request: web.Request) -> web.Response:
        if not (named or loopback(request.remote or "")):
            raise web.HTTPNotFound
        return web.Response(body=metrics(), headers={"Content-Type": CONTENT_TYPE})

    return answer


@asynccontextmanager
async def listening(app: web.Application, port: int) -> AsyncIterator[str]:
    """Serve on loopback while the block lasts; gives the address. `port` 0: a free one."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            msg = f"port {port} on {HOST} cannot be listened on: {error.strerror}. Next: MOTCUA_WORKER_PORT=0"
            raise Away(msg) from error
        host, chosen = runner.addresses[0][:2]
        yield f"{host}:{chosen}"
    finally:
        await runner.cleanup()


def _said(what: str, why: str) -> web.Response:
    return web.json_response({what: not why, **({"why": why} if why else {})}, status=503 if why else 200)


def _local() -> Middleware:
    # A web page elsewhere whose name was pointed at this machine gets nothing.
    @web.middleware
    async def local(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        host = request.host
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if not loopback(name.strip("[]")):
            return web.json_response({"error": "elsewhere"}, status=403)
        return await handler(request)

    return local
