"""Builds everything and joins it: the one module that knows all rooms.

`faust -A motcua.wiring worker` finds its app here too (`app` is made when it is asked for). What only some
commands need (Faust, Kafka's client, the page) is imported where it is used: the others start quickly.
"""

import asyncio
import os
import signal
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_fixed

from infra.local.trouble import WrongUse
from motcua import clock, logs
from motcua.settings import Settings, live, load
from rates.calendar import Calendar
from rates.effects import due, version
from rates.failures import Fatal, Retry
from rates.register import Register
from rates.wire import day_of
from sinks import generations, migrate, reference, swaps, workers
from sinks.client import Database, connect, is_utf8
from sinks.cohorts import CohortStore
from sinks.generations import Source
from sinks.rollups import Rollups

if TYPE_CHECKING:
    from streams.batches import Folder
    from streams.intake import App


log = structlog.get_logger(__name__)

SETTLE_SECONDS: Final = 10.0
"""How often a worker that is up to date looks for a month whose sums can be kept."""
REGISTER_SECONDS: Final = 1.0
"""How often a worker that is busy looks for another register."""
MOVED_SECONDS: Final = 0.5
"""How often a worker looks whether a swap has moved its topic on."""
_LOOK_SECONDS: Final = 0.1
"""How often members of a group that are to leave are looked for."""
START_SECONDS: Final = 60.0
"""How long a part waits at its start for a broker or a database that is still coming up."""


class Moved(Exception):
    """The topic has another generation than this worker reads: whoever runs it begins anew."""


def patiently() -> AsyncRetrying:
    """Tries of what may still be coming up; what is waited for is logged, each once."""
    told: set[str] = set()

    def tell(state: RetryCallState) -> None:
        why = str(state.outcome.exception()) if state.outcome is not None else ""
        if state.attempt_number > 1 and why not in told:
            log.info("waiting", why=why)
            told.add(why)

    return AsyncRetrying(
        retry=retry_if_exception_type(Retry),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(START_SECONDS),
        before_sleep=tell,
        reraise=True,
    )


def asked_to_stop() -> asyncio.Event:
    """Set once the process is told to end, by Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def needed(address: str, what: str) -> str:
    """An address, or `Retry` that says how to get one."""
    if not address:
        msg = f"none is named and no embedded stack runs here. Next: motcua up (or MOTCUA_{what.upper()}=…)"
        raise Retry(what, msg)
    return address


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The database of these settings, whether or not it is migrated."""
    async with connect(
        needed(settings.clickhouse, "clickhouse"),
        settings.database,
        user=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
    ) as connected:
        yield connected


@asynccontextmanager
async def migrated(settings: Settings) -> AsyncIterator[Database]:
    """The database of these settings, once its schema is this program's."""
    async with database(settings) as connected:
        if settings.on and not await connected.exists():
            raise WrongUse(f"there is no rehearsal {settings.on}. Next: motcua replay list")
        await migrate.check(connected)
        yield connected


def source(settings: Settings) -> Source | None:
    """The topic as the broker describes it now, or None where there is none."""
    from producers import topics

    found = topics.describe(needed(settings.kafka, "kafka"), settings.topic)
    return Source(found.cluster_id, settings.topic, found.topic_id, found.partitions) if found else None


async def existing(settings: Settings) -> Source:
    """The topic as the broker describes it now; `Fatal` where there is none."""
    found = await asyncio.to_thread(source, settings)
    if found is None:
        raise Fatal(f"topic {settings.topic} does not exist. Next: motcua migrate")
    return found


async def lingering(settings: Settings, groups: Sequence[str], seconds: float) -> list[str]:
    """Wait until nobody reads in these groups; those in which somebody still does after so long."""
    from producers import topics

    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while alive := await asyncio.to_thread(topics.members, settings.kafka, groups):
        if loop.time() > until:
            return alive
        await asyncio.sleep(_LOOK_SECONDS)
    return []


async def prepare(settings: Settings, say: Callable[[str], None], directory: Path | None = None) -> None:
    """`motcua migrate`: schema, views, reference data, the topic and its generation. May be repeated.

    A rehearsal gets the live database's register, its number of partitions and a generation above its own.
    """
    above, partitions = 0, settings.partitions
    async with database(settings) as connected:
        await migrate.migrate(connected, clock.now(), say)
        if settings.on:
            async with migrated(live(settings)) as original:
                known = await generations.latest(original)
                if known is None:
                    msg = f"no topic is registered in database {original.name}. Next: motcua migrate"
                    raise Fatal(msg)
                above, partitions = known[0], known[1].partitions
                await reference.copy(original, connected, clock.now())
        if directory is not None or not await reference.loads(connected):
            await reference.save(connected, clock.now(), directory)
            say(f"register loaded from {directory or 'the shipped files'}")
        await reference.save_definitions(connected)
        if settings.kafka:
            found = source(settings)
            if found is not None:
                await _on_from_stored(settings, connected, found, say, above)
            else:
                from producers import topics

                topics.create(settings.kafka, settings.topic, partitions)
                say(f"topic {settings.topic} made with {partitions} partitions")
                found = source(settings)
            if found is None:
                msg = f"topic {settings.topic} was made but the broker does not show it. Next: motcua migrate"
                raise Fatal(msg)
            generation = await generations.register(connected, found, clock.now(), above)
            say(f"topic {settings.topic} is generation {generation}")


async def _on_from_stored(
    settings: Settings, connected: Database, found: Source, say: Callable[[str], None], above: int
) -> None:
    """Let the topic's group go on from where the database stands, or from where Kafka's memory begins.

    A group outlives the database that it belonged to, where that was lost or put back, and would skip events:
    to skip is to lose. What Kafka itself no longer holds is told, and no longer waited for.
    """
    from producers import topics

    known = await generations.latest(connected)
    number = await generations.number(connected, found, above)
    group = generations.group(number, settings.on)
    async for attempt in patiently():
        with attempt:
            bounds = await asyncio.to_thread(topics.bounds, settings.kafka, found.topic, found.partitions)
            firsts = {partition: first for partition, (first, _) in bounds.items()}
            # Before progress: a worker at work moves both, progress first.
            committed = await asyncio.to_thread(topics.committed, settings.kafka, found.topic, group)
            at = await CohortStore(connected).progress()
            counted = due({partition: row.version for partition, row in at.items()}, number)
            stored = {partition: max(first, counted.get(partition, 0)) for partition, first in firsts.items()}
            astray = {
                partition: offset
                for partition, offset in stored.items()
                if partition in committed and not firsts[partition] <= committed[partition] <= offset
            }
            if astray:
                if await asyncio.to_thread(topics.members, settings.kafka, [group]):
                    if known is not None and known[1] == found:
                        # One that has just ended counts as a member for some seconds.
                        raise Retry("kafka", f"group {group} still has workers. Next: stop them")
                    msg = (
                        f"workers of another database read topic {found.topic} as group {group}. "
                        "Next: stop them, or give this database a topic of its own with MOTCUA_TOPIC"
                    )
                    raise Fatal(msg)
                await asyncio.to_thread(topics.rewind, settings.kafka, found.topic, group, astray)
    gone = {partition: first for partition, first in firsts.items() if counted.get(partition, first) < first}
    for partition, first in gone.items():
        say(
            f"partition {partition}: Kafka no longer holds offsets {counted[partition]:,} to {first - 1:,}, "
            "and they were not counted yet. Next: publish the event logs of that time again"
        )
    if gone:
        moved = [at[one]._replace(version=version(number, first - 1, 0)) for one, first in gone.items()]
        await CohortStore(connected).save_progress(moved)


async def generation(settings: Settings, say: Callable[[str], None] | None = None) -> tuple[int, Source]:
    """The generation that a worker reads and its topic, after the checks it must not start without.

    A broker or a database that is still coming up is waited for, `START_SECONDS` at most. With `say` both are
    prepared first, as by `motcua migrate`.
    """
    needed(settings.kafka, "kafka")
    needed(settings.clickhouse, "clickhouse")
    async for attempt in patiently():
        with attempt:
            async with database(settings) as connected:
                if await connected.exists():
                    await _swapped(connected)
            if say is not None:
                await prepare(settings, say)
            async with migrated(settings) as connected:
                found = await existing(settings)
                confirmed = await generations.confirmed(connected, found)
                # One that began meanwhile is written down before its generation is.
                await _swapped(connected)
                return confirmed, found
    raise AssertionError  # reraise=True: the loop above returns or raises


async def _swapped(connected: Database) -> None:
    """`Retry` while a swap is under way."""
    under_way = await swaps.unfinished(connected)
    if under_way is not None:
        msg = f"swap {under_way.number} is under way"
        raise Retry("clickhouse", f"{msg}. Next: wait for it, or, if it was killed, {under_way.command}")


def worker(settings: Settings, generation: int, topic: Source) -> "App":
    """A worker's app. It opens its database when it starts, in the loop that it runs in."""
    from motcua.notices import Notifier, channels
    from sinks.alerts import Alerts
    from sinks.audits import Audits
    from streams import verdicts
    from streams.app import build
    from streams.batches import Folder
    from streams.events import Message
    from streams.offsets import Limits
    from streams.vitals import Told

    telling: Database | None = None
    ways = channels(settings)

    async def save(told: Told) -> None:
        if telling is not None:
            await workers.save(telling, **told._asdict())

    async def judge(running: "App") -> None:
        """Evaluate the alert rules, and tell whoever is to be told."""
        if telling is None:
            return
        calendar = Calendar.shipped()
        store = Alerts(telling, calendar)
        counts: Counter[str] = Counter() if running.folder is None else running.folder.counts
        hours, body = settings.reminder_hours, settings.body
        notifier = Notifier(telling, ways, reminder_hours=hours, counts=counts, only=body)

        async def tell() -> None:
            if ways:
                register, at = await store.register(), clock.now()
                await notifier.notify(at, lambda code: register.name(code, day_of(at)))

        judging = verdicts.Judge(store, calendar, clock.now, settings.canary_seconds, counts=counts)
        await asyncio.gather(verdicts.run(running, judging, tell), stay(running, telling))

    async def stay(running: "App", connected: Database) -> None:
        """Have the worker leave once a swap has made another generation of the topic the one to read."""
        while running.leaves is None or not running.leaves.done():
            await asyncio.sleep(MOVED_SECONDS)
            with suppress(Retry):
                known = await generations.latest(connected)
                if known is not None and known[0] != generation:
                    why = f"the topic is generation {known[0]} now, this worker read {generation}"
                    if running.leaves is None:
                        raise Moved(why)
                    running.leaves.set_result(Moved(why))

    async def settle(connected: Database) -> None:
        """One month at a time, while nothing waits; without its sums answers are slower, and the same."""
        rollups = Rollups(connected, migrate.body("day"))
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            if not app.buffer.messages:
                with suppress(Retry, Fatal):
                    await rollups.settle(clock.now())

    async def reread(spans: Mapping[int, tuple[int, int]]) -> list[Message]:
        from producers import topics

        def read() -> list[Message]:
            found = topics.read(settings.kafka, settings.topic, spans)
            return [Message(one.partition, one.offset, one.timestamp, one.key, one.value) for one in found]

        return await asyncio.to_thread(read)

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple["Folder", Audits]]:
        async with AsyncExitStack() as stack:
            # However long the database is away: what was fetched waits, nothing is acknowledged.
            async for attempt in AsyncRetrying(retry=retry_if_exception_type(Retry), wait=wait_fixed(0.5)):
                with attempt:
                    connected = await stack.enter_async_context(migrated(settings))
                    known = await reference.loads(connected)
                    register = await reference.load(connected)
            nonlocal telling
            telling = connected
            loop = asyncio.get_running_loop()
            asked = loop.time()

            async def replaced() -> Register | None:
                nonlocal known, asked
                if loop.time() - asked < REGISTER_SECONDS:
                    return None
                asked = loop.time()
                found = await reference.loads(connected)
                if found == known:
                    return None
                register = await reference.load(connected)
                known = found
                return register

            seconds: defaultdict[str, float] = defaultdict(float)
            folder = Folder(
                CohortStore(connected, seconds),
                register,
                generation=generation,
                millis=clock.millis,
                cache_dossiers=settings.cache_dossiers,
                replaced=replaced,
                utf8=is_utf8,
                seconds=seconds,
                thread=True,
                reread=reread,
            )
            settling = asyncio.create_task(settle(connected))
            try:
                yield folder, Audits(connected)
            finally:
                settling.cancel()
                folder.drop()

    group = generations.group(generation, settings.on)
    unread: list[int] = []

    async def confirm() -> None:
        from producers import topics

        nonlocal unread
        before = unread
        try:
            found = await asyncio.to_thread(source, settings)
            unread = await asyncio.to_thread(
                topics.unread, settings.kafka, settings.topic, group, topic.partitions
            )
        except Retry:
            return  # the broker is away, which the consumer notices for itself
        if found != topic:
            what = "was made anew" if found else "is gone"
            if found and found.topic_id == topic.topic_id:
                what = f"came to have {found.partitions} partitions instead of {topic.partitions}"
            msg = f"topic {settings.topic} {what} while it was read. Next: motcua migrate"
            raise Fatal(msg)
        if unread and unread == before:
            # A group leader that joined while the broker was loading hands out what it knew: too little.
            msg = f"nobody in group {group} reads partitions {unread}. Next: start the worker again"
            raise Retry("kafka", msg)

    limits = Limits(
        bytes=settings.batch_bytes,
        messages=settings.batch_messages,
        age=settings.batch_age,
        buffered_bytes=2 * settings.batch_bytes,
    )
    app = build(
        settings.kafka,
        settings.topic,
        group,
        opened,
        confirm,
        limits,
        partitions=topic.partitions,
        millis=clock.millis,
        canary_seconds=settings.canary_seconds,
        data_dir=settings.data_dir / "faust",
        worker=f"{socket.gethostname()}:{os.getpid()}",
        save=save,
        beside=judge,
    )
    return app


async def serve_page(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve the built-in page until the process is told to stop; `ready` hears the address."""
    from dashboards.page import page
    from dashboards.page.counted import ASKED
    from dashboards.reading import Late
    from motcua.access import readers
    from motcua.metrics import PAGE, exposed
    from motcua.probes import exposition

    admitted = readers(settings)
    stop = asked_to_stop()
    async with Late(lambda: database(settings)) as late:

        async def stored() -> Register:
            return await reference.load(await late.reader())

        site_app = page(
            late,
            Register.shipped(),
            clock=clock.now,
            load=stored,
            readers=admitted,
            only=settings.body,
            canary_seconds=settings.canary_seconds,
            rehearsed=settings.on,
        )
        metrics = exposed(PAGE, lambda: site_app[ASKED])
        site_app.router.add_get("/metrics", exposition(metrics, named=admitted is not None))
        runner = web.AppRunner(site_app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, settings.page_host, settings.page_port)
        try:
            await site.start()
            host, port = runner.addresses[0][:2]
            ready(f"{host}:{port}")
            await stop.wait()
        finally:
            await runner.cleanup()


def __getattr__(name: str) -> "App":
    """`app`, for `faust -A motcua.wiring worker`: built when it is asked for, from the settings in force."""
    if name != "app":
        raise AttributeError(name)
    settings = load()
    logs.configure(settings.log_level, settings.log_format)
    return worker(settings, *asyncio.run(generation(settings)))
