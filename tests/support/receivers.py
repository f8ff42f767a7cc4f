"""Those who are told of alerts, as real servers on loopback: one takes posts, the other mail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiohttp import web


class Posts:
    """What was posted; `refuse` is the HTTP status that is answered instead of 200, 0 for none."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[Any] = []
        self.refused = 0
        self.refuse = 0

    async def take(self, request: web.Request) -> web.Response:
        if self.refuse:
            self.refused += 1
            return web.Response(status=self.refuse, text="not now")
        self.bodies.append(await request.json())
        return web.Response(text="ok")


@asynccontextmanager
async def posts() -> AsyncIterator[Posts]:
    """An HTTP server that keeps the JSON that it is sent."""
    taken = Posts()
    application = web.Application()
    application.router.add_post("/{path:.*}", taken.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taken.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield taken
    finally:
        await runner.cleanup()


class Mails:
    """What was sent: the envelope's receivers, and the message."""

    def __init__(self) -> None:
        self.url = ""
        self.letters: list[tuple[list[str], EmailMessage]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session of RFC 5321, as far as a sender without extensions needs it."""
        to: list[str] = []
        writer.write(b"220 loopback\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                to.append(line.decode().partition("<")[2].partition(">")[0])
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                text = (await reader.readuntil(b"\r\n.\r\n"))[:-5].replace(b"\r\n..", b"\r\n.")
                message = message_from_bytes(text, policy=policy.default)
                assert isinstance(message, EmailMessage)
                self.letters.append((to, message))
                to = []
            writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            await writer.drain()
            if verb == b"QUIT":
                break
        writer.close()


@asynccontextmanager
async def mails() -> AsyncIterator[Mails]:
    """A mail server that keeps what it is sent."""
    taken = Mails()
    server = await asyncio.start_server(taken.serve, "127.0.0.1", 0)
    taken.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield taken
