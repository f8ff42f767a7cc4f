"""What this room asks of a database: rows for a query with `{name:Type}` parameters.

`sinks.client.Database` is such a reader; a test's list of rows is another. Whatever goes wrong is raised as
`rates.failures.Retry` (away for now) or `Fatal` (not migrated, or a bug), and as nothing else.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Generic, Protocol, TypeVar


class Reader(Protocol):
    async def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """The answer as dictionaries, by column name."""


R = TypeVar("R", bound=Reader)


class Late(Generic[R]):
    """A reader that connects when it is first asked, and tries anew at each look until that succeeds.

    So whoever reads can be up before the database is. Use it as a context: at its end the connection closes.
    """

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[R]]) -> None:
        self._connect = connect
        self._connecting = asyncio.Lock()
        self._connected: R | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Late[R]":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connected = None
        await self._stack.aclose()

    async def reader(self) -> R:
        """The connected reader, or what `connect` raises."""
        async with self._connecting:
            if self._connected is None:
                self._connected = await self._stack.enter_async_context(self._connect())
            return self._connected

    async def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        return await (await self.reader()).rows(query, parameters)
