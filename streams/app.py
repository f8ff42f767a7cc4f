"""The Faust app: one topic, one agent, one task that folds micro-batches and acknowledges them.

Faust gives membership, rebalance, seek, commit and lifecycle. It keeps no state: no tables, no changelogs.
A rebalance of any kind starts a new epoch: what was fetched and what was cached is forgotten, since Faust
rewinds even the partitions that it keeps, and another worker may have written meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Final

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP
from mode.supervisors import CrashingSupervisor

from rates.failures import Fatal, Retry, kafka_failure
from streams.audit import Auditor, AuditStore
from streams.batches import Folder
from streams.canary import sing
from streams.intake import App, Consumer, Tables
from streams.offsets import Buffer, Limits
from streams.vitals import Teller, Told, dead

log = structlog.get_logger(__name__)

CONFIRM_SECONDS: Final = 10.0
"""How often a worker makes sure that its topic was not made anew under it."""
TELL_SECONDS: Final = 30.0
"""How often a worker that is busy logs what it has folded."""
REBALANCE_SECONDS: Final = 60.0
"""How long a rebalance may last before the worker gives its place to another."""
DEAD_SECONDS: Final = 5.0
"""How long a worker may go on without its agent or its folding; Faust itself starts an agent again sooner."""
STOP_SECONDS: Final = 5.0
"""How long leaving the group may last: a broker that hangs must not keep a worker that was asked to stop."""
_AGAIN: Final = "nothing it had not written was acknowledged. Next: start the worker again"
DRAIN_SECONDS: Final = 5.0
"""How long a worker that was asked to stop may finish the micro-batch in flight."""


def build(
    brokers: str,
    topic: str,
    group: str,
    opened: Callable[[], AbstractAsyncContextManager[tuple[Folder, AuditStore]]],
    confirm: Callable[[], Awaitable[None]],
    limits: Limits,
    *,
    partitions: int,
    millis: Callable[[], int],
    canary_seconds: float,
    data_dir: Path,
    worker: str,
    save: Callable[[Told], Awaitable[None]],
    beside: Callable[[App], Awaitable[None]] | None = None,
) -> App:
    """The app of one worker. `brokers` is host:port[,host:port…], `group` names the topic's generation.

    `opened` gives the folder and what audits it, with their connections, in the loop that the app runs in;
    `confirm` raises `Fatal` once the topic is no longer the registered one. `millis` since 1970 UTC;
    `canary_seconds`: after how long a quiet partition is sent a canary, 0 for never. `save` keeps what the
    worker, under the name `worker`, tells of itself. `beside` runs while it folds, and ends with it.
    """

    def now() -> int:
        return millis() // 1000

    app = App(
        group,
        broker=[f"kafka://{broker}" for broker in brokers.split(",")],
        broker_session_timeout=6.0,  # the least a broker allows by default: a dead worker is replaced in 6 s
        broker_heartbeat_interval=0.5,  # by its answer a member hears that partitions are shared out anew
        broker_rebalance_timeout=10.0,
        broker_request_timeout=10.0,
        broker_max_poll_interval=3.0e8,  # ten years: Faust's client is never polled (streams/intake.py)
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,  # True hangs stop and rebalance while a message is unacknowledged
        store="memory://",
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
        autodiscover=False,
        datadir=str(data_dir),  # nothing is kept there, but Faust's own command makes it
        TableManager=Tables,
    )
    app.buffer = Buffer(limits)
    app.drained = asyncio.Event()
    app.folding = asyncio.Lock()
    app.brokers, app.topic_name = brokers, topic
    app.own_tasks = {}
    teller = Teller(app, worker, save, now)
    source = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(source, supervisor_strategy=CrashingSupervisor)
    async def dossiers(stream: faust.StreamT[bytes]) -> None:
        _live(app, "dossiers")
        # Keeps the topic subscribed; its messages drain into the buffer instead (streams/intake.py).
        async for _ in stream:
            pass

    @app.on_partitions_revoked.connect  # type: ignore[arg-type]  # faust's signals are typed for any sender
    async def on_revoked(_app: App, revoked: set[TP], **_: object) -> None:
        app.buffer.new_epoch()
        log.info("partitions revoked", count=len(revoked), epoch=app.buffer.epoch)

    @app.on_partitions_assigned.connect  # type: ignore[arg-type]  # as above
    async def on_assigned(_app: App, assigned: set[TP], **_: object) -> None:
        log.info("partitions assigned", count=len(assigned), epoch=app.buffer.epoch)

    @app.task
    async def fold() -> None:
        _live(app, "fold")
        async with opened() as (folder, audits):
            app.folder = folder
            auditor = Auditor(app, folder, audits, partitions, now)
            try:
                async with asyncio.TaskGroup() as tasks:
                    others = [tasks.create_task(auditor.run())]
                    if beside is not None:
                        others.append(tasks.create_task(_until(beside(app))))
                    await _fold(app, folder, topic)
                    for other in others:
                        other.cancel()
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
            await teller.tell(last=True)
        app.drained.set()

    @app.task
    async def telling() -> None:
        await teller.run()

    @app.timer(CONFIRM_SECONDS)
    async def same_topic() -> None:
        await confirm()

    if canary_seconds:

        @app.task
        async def canaries() -> None:
            await sing(app, brokers, topic, canary_seconds, millis)

    return app


async def _until(done: Awaitable[None]) -> None:
    await done


def _live(app: App, name: str) -> None:
    """The worker lives as long as the task that says this."""
    task = asyncio.current_task()
    if task is not None:
        app.own_tasks[name] = task


async def _fold(app: App, folder: Folder, topic: str) -> None:
    epoch, told = -1, asyncio.get_running_loop().time()
    while True:
        with folder.timed("fetch"):
            batch = await app.buffer.next_batch()
        if batch is None:
            break
        if batch.epoch != epoch:
            folder.drop()
            epoch = batch.epoch
        async with app.folding:
            # The first rows of an epoch are not to wait for what comes behind them.
            offsets = await folder.begin(batch.messages, None if batch.first else app.buffer.due)
            if not app.buffer.due():
                offsets |= await folder.settle()
        with folder.timed("commit"):
            await _acknowledge(app, topic, offsets, epoch)
        if asyncio.get_running_loop().time() - told > TELL_SECONDS:
            told = asyncio.get_running_loop().time()
            log.info("folded", **folder.counts)
    async with app.folding:
        await _acknowledge(app, topic, await folder.settle(), epoch)
    log.info("folded", **folder.counts)


async def _acknowledge(app: App, topic: str, offsets: dict[int, int], epoch: int) -> None:
    # An ended epoch's rows are durable and harmless, but its offsets are no longer ours to acknowledge.
    ours = epoch == app.buffer.epoch and not app.rebalancing
    if offsets and ours and isinstance(app.consumer, Consumer):
        await app.consumer.acknowledge({TP(topic, partition): at for partition, at in offsets.items()})
        if epoch == app.buffer.epoch:
            app.buffer.durable.update(offsets)


async def run(app: App, stop: asyncio.Event, address: str) -> None:
    """Run the app until `stop` is set, or it crashes or leaves; the exception that says why is raised.

    `address` is where the worker answers for its health, for those who read its log.
    """
    leaves = app.leaves = asyncio.get_running_loop().create_future()
    starting, stopping = asyncio.ensure_future(app.start()), asyncio.ensure_future(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        try:
            starting.result()
        except KafkaError as error:
            raise kafka_failure(error, app.brokers) from error
        log.info("worker ready", group=app.conf.id, address=address)
    else:
        starting.cancel()
    loop = asyncio.get_running_loop()
    settled = lived = loop.time()
    while not (stop.is_set() or leaves.done() or app.crashed):
        await asyncio.wait((stopping, leaves), timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        if not app.rebalancing:
            settled = loop.time()
        elif loop.time() - settled > REBALANCE_SECONDS:
            msg = f"a rebalance did not end in {REBALANCE_SECONDS:g} s. Next: start the worker again"
            raise Retry("kafka", msg)
        # A task that was cancelled ends in silence, and the worker would keep partitions that it never folds.
        if not dead(app):
            lived = loop.time()
        elif loop.time() - lived > DEAD_SECONDS:
            raise Fatal(f"{dead(app)}; {_AGAIN}")
    stopping.cancel()
    reason = app.crash_reason if app.crashed else None
    if reason is None and starting.done():
        app.buffer.close()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await app.drained.wait()
        except TimeoutError:
            log.info("stopped in the middle of a micro-batch; it will be taken again")
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await app.stop()
    if isinstance(reason, KafkaError):
        raise kafka_failure(reason, app.brokers) from reason
    if isinstance(reason, asyncio.CancelledError):
        raise Fatal(f"a task of the worker was cancelled; {_AGAIN}") from reason
    if reason is not None:
        raise reason
    if leaves.done() and not stop.is_set():
        raise leaves.result()
