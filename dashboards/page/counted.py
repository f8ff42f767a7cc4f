"""What the page was asked, and what it asked in turn: counts and times, by address and by answer."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from dashboards.reading import Reader

_NOWHERE: Final = "other"


class Asked:
    """Counts since the page's start."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        """Requests by route (`/unit/{code}`, not each unit's own address) and HTTP status."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.queries: Counter[str] = Counter()
        """Queries that were `answered` or `failed`."""
        self.query_seconds = 0.0

    def middleware(self) -> Middleware:
        """What counts each request; it belongs around everything else."""

        @web.middleware
        async def counted(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            began = perf_counter()
            answer = await handler(request)
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else _NOWHERE
            self.requests[route, answer.status] += 1
            self.seconds[route] += perf_counter() - began
            return answer

        return counted


ASKED: Final = web.AppKey("asked", Asked)


class CountedReader:
    """A reader that counts what is asked of another."""

    def __init__(self, reader: Reader, asked: Asked) -> None:
        self._reader = reader
        self._asked = asked

    async def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        began, answer = perf_counter(), "failed"
        try:
            rows = await self._reader.rows(query, parameters)
            answer = "answered"
        finally:
            self._asked.queries[answer] += 1
            self._asked.query_seconds += perf_counter() - began
        return rows
