"""An intake on a real broker, in the test's own loop, and two bodies that may send to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from producers import senders
from producers.outlet import Outlet
from producers.portal import Portal
from producers.senders import Sender, Senders
from rates.register import Register

NOW = 1_767_580_200
TODAY = 20458
TOKEN, LINE = senders.new("H18")
OTHER_TOKEN, OTHER_LINE = senders.new("H26")
KNOWN = Senders(
    tuple(Sender(line[:3], bytes.fromhex(line.rpartition(":")[2])) for line in (LINE, OTHER_LINE))
)
BEARER = {"Authorization": f"Bearer {TOKEN}"}
REGISTER = Register.shipped()

Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def sending(brokers: str, topic: str, *, patience: float = 5.0, **more: Any) -> AsyncIterator[Client]:
    """A client of an intake that sends to this topic."""
    outlet = Outlet(brokers, topic, patience=patience)
    portal = Portal(outlet, KNOWN, REGISTER, clock=lambda: NOW, **more)
    server = TestServer(portal.application())
    await server.start_server(access_log=None, auto_decompress=False)
    try:
        async with TestClient(server) as client:
            yield client
    finally:
        await outlet.close()


async def said(answer: ClientResponse) -> dict[str, Any]:
    """What an answer says, in the shape that every answer has."""
    document = json.loads(await answer.read())
    assert document["message"]
    assert document["message_en"]
    assert document["error_code"] == ("0" if answer.status == 200 else str(answer.status))
    assert bool(document.get("next")) == bool(document.get("next_en")) == (answer.status != 200)
    return dict(document)


def numbers(messages: list[Any]) -> list[str]:
    return sorted(record["MaHoSo"] for message in messages for record in json.loads(message.value)["data"])


async def taken_again(send: Callable[[], Awaitable[ClientResponse]]) -> None:
    """Sends until it is taken."""
    async with asyncio.timeout(60):
        while (await send()).status != 200:  # noqa: ASYNC110  # what is asked is another process
            await asyncio.sleep(0.05)
