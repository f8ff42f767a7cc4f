"""Serves the intake: joins the portal's application with Kafka, the tokens and the stored register.

Tokens and register are looked at again every few seconds, so that to strike out a token, to add one, or to
load a register needs no restart. One that cannot be read changes nothing, and is told.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from motcua import clock, wiring
from motcua.metrics import INTAKE, exposed
from motcua.probes import exposition
from motcua.settings import Settings
from producers import senders
from producers.outlet import Outlet
from producers.portal import Limits, Portal
from producers.senders import Senders
from rates.failures import Fatal, Retry
from rates.register import Register
from rates.wire import day_of
from sinks import reference

log = structlog.get_logger("intake")

RENEW_SECONDS: Final = 10.0


async def serve(found: Settings, known: Senders, ready: Callable[[str], None]) -> None:
    """Serve the intake until the process is told to stop; `ready` hears the address.

    Kafka may be away at the start. The database may not: who may send for which unit is never guessed.
    """
    wiring.needed(found.kafka, "kafka")
    stop = wiring.asked_to_stop()
    with contextlib.suppress(Retry):
        if await asyncio.to_thread(wiring.source, found) is None:
            raise Fatal(f"topic {found.topic} does not exist. Next: motcua migrate")
    loaded, register = await _register_at_start(found)
    outlet = Outlet(found.kafka, found.topic)
    limits = Limits(calls_a_second=found.intake_calls, calls_at_once=max(1, int(5 * found.intake_calls)))
    portal = Portal(outlet, known, register, clock=clock.now, limits=limits)
    _tell_ended(portal)
    logging.getLogger("aiohttp.server").addFilter(_holds_nothing_sent)
    runner = portal.runner()
    runner.app.router.add_get("/metrics", exposition(exposed(INTAKE, lambda: portal)))
    await runner.setup()
    tasks = [asyncio.create_task(stop.wait()), asyncio.create_task(_renew(found, portal, loaded))]
    try:
        await web.TCPSite(runner, found.intake_host, found.intake_port).start()
        host, port = runner.addresses[0][:2]
        ready(f"{host}:{port}")
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await runner.cleanup()
        await outlet.close()


async def _register_at_start(found: Settings) -> tuple[Any, Register]:
    """The stored register, waited for while the database is coming up."""
    async for attempt in wiring.patiently():
        with attempt:
            async with wiring.migrated(found) as connected:
                return await reference.loads(connected), await reference.load(connected)
    raise AssertionError  # reraise=True: the loop above returns or raises


async def _renew(found: Settings, portal: Portal, loaded: Any) -> None:
    """Takes up tokens that were added or struck out and a register that was loaded; else keeps its own."""
    told = ""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            known = senders.read(Path(found.intake_tokens))
            if known != portal.senders:
                portal.senders = known
                log.info("tokens read anew", tokens=len(known.known))
                _tell_ended(portal)
            async with wiring.database(found) as connected:
                now = await reference.loads(connected)
                if now != loaded:
                    portal.register, loaded = await reference.load(connected), now
                    log.info("register read anew")
                    _tell_ended(portal)
            told = ""
        except (Retry, Fatal) as error:
            if str(error) != told:
                log.warning("tokens and register stay as they are", why=str(error))
            told = str(error)


def _tell_ended(portal: Portal) -> None:
    bodies = set(portal.register.bodies(day_of(clock.now())))
    for body in sorted({sender.body for sender in portal.senders.known} - bodies):
        heir = portal.register.body(body, day_of(clock.now()))
        log.warning("a token of a body that is none now sends nothing", body=body, units_are_of=heir)


def _holds_nothing_sent(record: logging.LogRecord) -> bool:
    """Not what the server says of bytes that are no HTTP: it shows them, and a token may be among them."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
