"""A micro-batch waits for a store that is away, promises nothing when it fails, and keeps memory bounded."""

import json
from collections.abc import Collection, Mapping, Sequence

import pytest

from rates.cohort import Cohort, CohortKey
from rates.effects import DossierRow, TallyRow
from rates.failures import Fatal, Retry
from streams.batches import Folder, Message
from tests.support.memory import MemoryStore
from tests.support.register import SmallRegister

NOON = 1_696_222_800_000


def message(offset: int, number: str, partition: int = 0) -> Message:
    unit = number.partition("-")[0]
    record = {"MaHoSo": number, "TrangThaiHoSo": "4", "NgayTiepNhan": "20231002083000"}
    call = {"service": "DongBoHoSoMC", "madonvi": unit, "data": [record]}
    return Message(partition, offset, NOON, unit.encode(), json.dumps(call).encode())


class Away(MemoryStore):
    """A store that is away for some calls, then back."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    async def save_tallies(self, rows: Sequence[TallyRow]) -> None:
        if self.calls:
            self.calls -= 1
            raise Retry("clickhouse", "connection refused")
        await super().save_tallies(rows)


class Refusing(MemoryStore):
    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        msg = "no such column"
        raise Fatal(msg)


class Counting(MemoryStore):
    loads = 0

    async def load(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Cohort]:
        self.loads += len(keys)
        return await super().load(keys)


def folder(store: MemoryStore, cache: int = 1_000) -> Folder:
    return Folder(store, SmallRegister(), generation=1, cache_dossiers=cache)


async def test_a_store_that_is_away_is_waited_for_and_then_everything_is_there() -> None:
    store = Away(3)
    folding = folder(store)
    assert await folding.take([message(4, "H18.21-231002-0001")]) == {0: 5}
    assert folding.counts["retries"] == 3
    assert len(store.dossiers) == 1
    assert store.tallies
    assert store.reached[0].version == (1 << 52) | (4 << 12)


async def test_what_cannot_be_saved_is_raised_and_nothing_after_it_is_written() -> None:
    store = Refusing()
    with pytest.raises(Fatal):
        await folder(store).take([message(0, "H18.21-231002-0001")])
    assert not store.tallies
    assert not store.reached


async def test_clean_cohorts_are_dropped_while_more_than_the_cache_is_held() -> None:
    store = Counting()
    folding = folder(store, cache=12)
    for offset in range(6):
        await folding.take([message(offset, f"H18.{offset % 3}-231002-000{offset}")])
    assert store.loads > 3
    store.loads = 0
    roomy = folder(store, cache=100)
    for offset in range(6, 12):
        await roomy.take([message(offset, f"H18.{offset % 3}-231002-000{offset}")])
    assert store.loads == 3


async def test_the_time_that_data_are_complete_to_never_goes_back() -> None:
    store = MemoryStore()
    late = message(1, "H18.21-231002-0002")._replace(timestamp=NOON - 86_400_000)
    await folder(store).take([message(0, "H18.21-231002-0001")])
    await folder(store).take([late])
    assert store.reached[0].received_at == NOON // 1000 - 86_400
    assert store.reached[0].complete_to == NOON // 1000
