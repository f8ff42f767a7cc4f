"""The built-in page: what was published and what is, from the country down to one dossier.

`page(reader, register, clock=…)` makes the application; whoever serves it decides where. It comes up whether
or not the database is there, says in plain words what is missing, and recovers by itself: a look asks anew.
Every address carries its whole question (definition, form, period, language). With `part=live` an address
answers with its changing part alone and an ETag, which is how an open page keeps itself up to date.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import web

from dashboards.page.counted import ASKED, Asked, CountedReader
from dashboards.page.doors import guarded
from dashboards.page.render import STATIC
from dashboards.page.site import Site
from dashboards.readers import Readers
from dashboards.reading import Reader
from rates.definitions import DEFINITIONS, Definition
from rates.register import Register

__all__ = ["page"]


def page(
    reader: Reader,
    register: Register,
    *,
    clock: Callable[[], int],
    definitions: Sequence[Definition] = DEFINITIONS,
    load: Callable[[], Awaitable[Register]] | None = None,
    readers: Readers | None = None,
    only: str = "",
    canary_seconds: float = 10,
    rehearsed: str = "",
) -> web.Application:
    """The page as an application.

    `clock` tells seconds since 1970 UTC. `register` gives names and what is registered; with `load` it is
    replaced by the stored one as soon as the database answers, and again after each time it was away.
    `readers` are asked for name and password; without them the page answers under names of loopback alone,
    and `only` limits it to one body. From `canary_seconds`, which must be the workers', follows when the pipe
    is stale. `rehearsed` names the rehearsal whose figures these are, "" for the live ones. What it was asked
    is counted under `ASKED`.
    """
    asked = Asked()
    counted = CountedReader(reader, asked)
    site = Site(
        counted,
        register,
        clock=clock,
        definitions=tuple(definitions),
        load=load,
        canary_seconds=canary_seconds,
        rehearsed=rehearsed,
    )
    app = web.Application(middlewares=[asked.middleware(), guarded(site, readers, only)])
    app[ASKED] = asked
    app.add_routes(
        [
            web.get("/", site.overview),
            web.get("/body/{code}", site.body),
            web.get("/unit/{code}", site.unit),
            web.get("/systems", site.systems),
            web.get("/connections", site.connections),
            web.get("/inspection", site.inspection),
            web.get("/evidence/{detector}/{code}", site.evidence),
            web.get("/dossier/{number:.+}", site.dossier),
            web.get("/alerts", site.alerts),
            web.get("/definitions", site.definitions),
            web.get("/pipeline", site.pipeline),
            web.get("/api/panels", site.panels),
            web.get("/api/panels/{id:[a-z_]+}.csv", site.sheet),
            web.get("/api/panels/{id}", site.panel),
            web.get("/livez", site.live),
            web.get("/readyz", site.ready),
            web.get("/healthz", site.health),
            web.static("/static", STATIC),
        ]
    )

    async def closing(_: web.Application) -> AsyncIterator[None]:
        site.open(asyncio.get_running_loop().time)
        yield
        await site.close()

    app.cleanup_ctx.append(closing)
    return app
