"""The order between a batch and its acknowledgement, and what a rebalance leaves of the cache."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest
from faust.types import TP

from rates.effects import DossierRow
from rates.failures import Fatal
from rates.tallies import TALLIES, counts
from streams.app import _fold
from streams.batches import Folder
from streams.events import Message
from streams.intake import App, Consumer
from streams.offsets import Buffer, Limits
from tests.support.calls import NUMBER, UNIT, call, full
from tests.support.memory import MemoryStore
from tests.support.register import SmallRegister

TOPIC = "dossiers"


class Brokerless(Consumer):
    """Faust's consumer without its broker: it keeps what it would have committed."""

    def __init__(self) -> None:
        self.committed: Mapping[TP, int] | None = None

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        self.committed = dict(offsets)
        return True


class Refusing(MemoryStore):
    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        raise Fatal("no such column")


def message(offset: int, number: str = NUMBER) -> Message:
    return Message(0, offset, 1_704_067_200_000, UNIT.encode(), call([full(MaHoSo=number)]))


def folder(store: MemoryStore) -> Folder:
    return Folder(store, SmallRegister(), generation=1, millis=lambda: 1_704_067_200 * 1000)


@pytest.fixture
async def app() -> App:
    """A worker's app, as far as it goes without a broker."""
    made = App("test", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False)
    made.buffer = Buffer(Limits(age=0))
    made.folding = asyncio.Lock()
    made.consumer = Brokerless()
    return made


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


def committed(app: App) -> Mapping[TP, int] | None:
    assert isinstance(app.consumer, Brokerless)
    return app.consumer.committed


async def test_what_could_not_be_written_is_not_acknowledged(app: App) -> None:
    await app.buffer.offer({0: [message(4)]}, app.buffer.epoch)
    with pytest.raises(Fatal):
        await _fold(app, folder(Refusing()), TOPIC)
    assert committed(app) is None


async def test_what_was_written_is_acknowledged(app: App) -> None:
    store = MemoryStore()
    folding = asyncio.create_task(_fold(app, folder(store), TOPIC))
    await app.buffer.offer({0: [message(4)]}, app.buffer.epoch)
    await until(lambda: committed(app) is not None)
    assert committed(app) == {TP(TOPIC, 0): 5}
    assert len(store.dossiers) == 1
    app.buffer.close()
    await folding


async def test_after_a_rebalance_a_worker_counts_what_another_wrote_meanwhile(app: App) -> None:
    store = MemoryStore()
    folding = asyncio.create_task(_fold(app, folder(store), TOPIC))
    await app.buffer.offer({0: [message(0)]}, app.buffer.epoch)
    await until(lambda: committed(app) == {TP(TOPIC, 0): 1})
    app.buffer.new_epoch()
    await folder(store).take([message(1, NUMBER + "0")])
    app.buffer.new_epoch()
    await app.buffer.offer({0: [message(2, NUMBER + "1")]}, app.buffer.epoch)
    await until(lambda: committed(app) == {TP(TOPIC, 0): 3})
    app.buffer.close()
    await folding
    received = [counts(row.vector)[TALLIES.index("received")] for row in store.tallies.values()]
    assert received == [3, 3, 3]  # on the days of receipt, completion and due date
