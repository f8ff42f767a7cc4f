"""A micro-batch waits for a store that is away, promises nothing when it fails, and keeps memory bounded."""

import asyncio
import json
import threading
from collections.abc import Collection, Mapping, Sequence

import pytest

from rates.cohort import CohortKey
from rates.effects import DossierRow, Stored, TallyRow
from rates.failures import Fatal, Refused, Retry
from streams.batches import CANARY, Folder
from streams.events import Message
from tests.support.memory import MemoryStore
from tests.support.register import SmallRegister

NOON = 1_696_222_800_000
NOW = NOON // 1000 + 5


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

    async def load(self, keys: Collection[CohortKey]) -> Stored:
        self.loads += len(keys)
        return await super().load(keys)


class Slow(MemoryStore):
    """A store whose saves let others have many turns."""

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        await super().save_dossiers(rows)


def folder(store: MemoryStore, cache: int = 1_000) -> Folder:
    return Folder(store, SmallRegister(), generation=1, millis=lambda: NOW * 1000, cache_dossiers=cache)


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
    assert store.loads == 3  # each is let go of and comes back; the first time there is nothing to load
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


class Constrained(MemoryStore):
    """A store that refuses rows of some dossiers, as an engine with a constraint does: the insert whole."""

    def __init__(self, *numbers: str) -> None:
        super().__init__()
        self.numbers = numbers

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        for row in rows:
            if row.number in self.numbers:
                msg = f"Constraint `c` is violated at {row.number}"
                raise Refused(msg)
        await super().save_dossiers(rows)


class Inserts(MemoryStore):
    """A store that remembers how many dossiers came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def save_dossiers(self, rows: Sequence[DossierRow]) -> None:
        self.sizes.append(len(rows))
        await super().save_dossiers(rows)


async def test_a_row_that_the_engine_refuses_becomes_a_dead_letter_and_costs_its_neighbours_nothing() -> None:
    bad = "H18.21-231002-0007"
    batch = [message(offset, f"H18.21-231002-{offset:04}") for offset in range(20)]
    store, whole = Constrained(bad), MemoryStore()
    assert await folder(store).take(batch) == {0: 20}
    await folder(whole).take([one for one in batch if one.offset != 7])
    assert store.tallies == whole.tallies
    assert store.dossiers == whole.dossiers
    (letter,) = store.dead.values()
    assert letter.rejection.reason == "refused_by_store"
    assert letter.rejection.unit == "H18.21"
    assert bad in letter.rejection.fields
    assert "Constraint `c` is violated" in letter.rejection.detail
    assert store.reached[0].version == whole.reached[0].version


async def test_a_piece_whose_messages_are_not_kept_is_read_again_once_a_row_is_refused() -> None:
    sent = [message(7 + offset, f"H18.21-231002-000{offset}") for offset in range(5)]
    asked: list[dict[int, tuple[int, int]]] = []

    async def reread(spans: Mapping[int, tuple[int, int]]) -> Sequence[Message]:
        asked.append(dict(spans))
        return sent

    store = Constrained("H18.21-231002-0003")
    folding = Folder(store, SmallRegister(), generation=1, millis=lambda: NOW * 1000, reread=reread)
    assert await folding.take(sent) == {0: 12}
    assert asked == [{0: (7, 12)}]
    assert {number[-1] for _, number in store.dossiers} == {"0", "1", "2", "4"}
    assert [letter.offset for letter in store.dead.values()] == [10]


async def test_a_refused_row_whose_messages_kafka_has_dropped_is_fatal() -> None:
    async def reread(_: Mapping[int, tuple[int, int]]) -> Sequence[Message]:
        return []

    store = Constrained("H18.21-231002-0003")
    folding = Folder(store, SmallRegister(), generation=1, millis=lambda: NOW * 1000, reread=reread)
    with pytest.raises(Fatal, match="Kafka no longer holds"):
        await folding.take([message(0, "H18.21-231002-0003"), message(1, "H18.21-231002-0004")])
    assert not store.reached


async def test_what_several_batches_bring_is_saved_as_one_piece_while_more_waits() -> None:
    store = Inserts()
    folding = folder(store)
    for offset in range(4):
        assert await folding.begin([message(offset, f"H18.21-231002-000{offset}")], lambda: True) == {}
    assert store.sizes == []
    assert await folding.begin([message(4, "H18.21-231002-0004")]) == {}
    assert await folding.settle() == {0: 5}
    assert store.sizes == [5]
    await folding.begin([message(5, "H18.21-231002-0005")], lambda: True)
    assert await folding.settle() == {0: 6}
    await folding.begin([message(6, "H18.21-231002-0006")], lambda: True)
    folding.drop()
    assert await folding.settle() == {}
    assert store.sizes == [5, 1]


async def test_a_piece_does_not_wait_once_it_is_full_or_holds_messages_that_are_read_singly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Inserts()
    folding = folder(store)
    odd = message(0, "H18.21-231002-0001")._replace(value=b"not json")
    await folding.begin([odd], lambda: True)
    for _ in range(100):
        await asyncio.sleep(0)
    assert store.dead
    monkeypatch.setattr("streams.batches._MOST_RECORDS", 2)
    for offset in range(1, 6):
        await folding.begin([message(offset, f"H18.21-231002-000{offset}")], lambda: True)
    assert await folding.settle() == {0: 6}
    assert store.sizes == [2, 2, 1]


async def test_an_engine_that_refuses_every_row_is_fatal_and_not_a_flood_of_dead_letters() -> None:
    batch = [message(offset, f"H18.21-231002-{offset:04}") for offset in range(300)]
    store = Constrained(*(f"H18.21-231002-{offset:04}" for offset in range(300)))
    with pytest.raises(Refused):
        await folder(store).take(batch)
    assert not store.dead
    assert not store.reached


async def test_an_engine_that_refuses_row_after_row_is_fatal_however_few_come_at_once() -> None:
    numbers = [f"H18.21-231002-{offset:04}" for offset in range(200)]
    folding = folder(store := Constrained(*numbers))
    for offset, number in enumerate(numbers[:100]):
        await folding.take([message(offset, number)])
    assert len(store.dead) == 100
    with pytest.raises(Refused):
        await folding.take([message(100, numbers[100])])


async def test_a_canary_moves_the_time_that_data_are_complete_to_and_nothing_else() -> None:
    store = MemoryStore()
    folding = folder(store)
    await folding.take([message(0, "H18.21-231002-0001")])
    before = dict(store.dossiers), dict(store.tallies)
    await folding.take([Message(0, 1, NOON + 3_000, *CANARY)])
    assert (store.dossiers, store.tallies) == before
    assert not store.dead
    assert store.reached[0].complete_to == NOON // 1000 + 3
    assert store.canaries[0].sent_at == NOON + 3_000


async def test_a_message_stamped_in_the_future_does_not_make_data_complete_beyond_now() -> None:
    store = MemoryStore()
    await folder(store).take([message(0, "H18.21-231002-0001")._replace(timestamp=NOON * 2)])
    assert store.reached[0].complete_to == NOW


async def test_a_repair_writes_the_tallies_of_the_stored_dossiers() -> None:
    store = MemoryStore()
    folding = folder(store)
    await folding.take([message(offset, f"H18.21-231002-000{offset}") for offset in range(3)])
    true = {at: row.vector for at, row in store.tallies.items()}
    at, row = next(iter(store.tallies.items()))
    store.tallies[at] = row._replace(vector=row.vector + 1, version=row.version + 9)
    await folding.repair(at[0], [at[1]], row.version + 9)
    assert {at: row.vector for at, row in store.tallies.items()} == true


async def test_a_canary_tells_how_long_it_took_until_it_was_durable() -> None:
    folding = Folder(MemoryStore(), SmallRegister(), generation=1, millis=lambda: NOW * 1000 + 310)
    sent = {0: NOW * 1000, 3: NOW * 1000 + 900}
    await folding.take([Message(partition, 0, at, *CANARY) for partition, at in sent.items()])
    assert folding.delays == {0: 0.31, 3: 0.0}


async def test_a_topic_that_is_read_on_beyond_what_is_stored_is_fatal_and_nothing_is_written() -> None:
    store = MemoryStore()
    await folder(store).take([message(4, "H18.21-231002-0001")])
    before = dict(store.dossiers)
    with pytest.raises(Fatal, match=r"stored up to offset 5 and is read on from 6.*motcua migrate"):
        await folder(store).take([message(6, "H18.21-231002-0002")])
    assert store.dossiers == before
    # Read again, or read on: both are right, and a partition that was never read may begin anywhere.
    await folder(store).take([message(5, "H18.21-231002-0002"), message(9, "H18.22-231002-0001", 1)])


async def test_what_is_still_being_saved_may_not_be_acknowledged() -> None:
    away = Away(3)
    folding = folder(away)
    assert await folding.begin([message(0, "H18.21-231002-0001")]) == {}
    assert not away.reached
    assert await folding.begin([message(1, "H18.21-231002-0002")]) == {0: 1}
    assert away.reached[0].version == 1 << 52
    assert await folding.settle() == {0: 2}
    assert await folding.settle() == {}
    assert len(away.dossiers) == 2


async def test_a_row_that_is_refused_beside_the_next_batch_has_that_folded_anew() -> None:
    store, whole = Constrained("H18.21-231002-0000"), MemoryStore()
    folding = folder(store)
    batch = [message(offset, f"H18.21-231002-{offset:04}") for offset in range(9)]
    assert await folding.begin(batch[:3]) == {}
    assert await folding.begin(batch[3:6]) == {0: 3}
    assert await folding.begin(batch[6:]) == {0: 6}
    assert await folding.settle() == {0: 9}
    await folder(whole).take(batch[1:])
    assert store.dossiers == whole.dossiers
    assert {at: row.vector for at, row in store.tallies.items()} == {
        at: row.vector for at, row in whole.tallies.items()
    }
    assert len(store.dead) == 1


async def test_a_cohort_that_is_being_saved_is_held_however_little_may_be() -> None:
    store, whole = Slow(), MemoryStore()
    folding = folder(store, cache=1)
    numbers = ("H18.21-231002-0001", "H18.22-231002-0001", "H18.21-231002-0002")
    sent = [message(offset, number) for offset, number in enumerate(numbers)]
    await folding.begin(sent[:2])
    await folding.begin(sent[2:])
    assert await folding.settle() == {0: 3}
    await folder(whole).take(sent)
    assert {at: row.vector for at, row in store.tallies.items()} == {
        at: row.vector for at, row in whole.tallies.items()
    }


async def test_what_fails_beside_the_next_batch_is_raised_and_neither_may_be_acknowledged() -> None:
    folding = folder(Refusing())
    assert await folding.begin([message(0, "H18.21-231002-0001")]) == {}
    with pytest.raises(Fatal):
        await folding.begin([message(1, "H18.21-231002-0002")])
    assert await folding.settle() == {}


class Pondering(SmallRegister):
    """A register that answers once it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()

    def may_send(self, sender: str, unit: str) -> bool:
        self.asked.set()
        self.let.wait(30)
        return super().may_send(sender, unit)


async def test_a_cancellation_waits_for_what_is_computed_in_another_thread() -> None:
    register = Pondering()
    folding = Folder(MemoryStore(), register, generation=1, millis=lambda: NOW * 1000, thread=True)
    taking = asyncio.ensure_future(folding.take([message(0, "H18.21-231002-0001")]))
    await asyncio.to_thread(register.asked.wait, 30)
    taking.cancel()
    for _ in range(100):
        await asyncio.sleep(0)
    assert not taking.done()
    register.let.set()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert folding.held == 0


async def test_folding_in_another_thread_leads_to_the_same_rows() -> None:
    here, there = MemoryStore(), MemoryStore()
    sent = [message(at, f"H18.21-231002-{at:04d}") for at in range(30)]
    threaded = Folder(there, SmallRegister(), generation=1, millis=lambda: NOW * 1000, thread=True)
    assert await threaded.take(sent) == await folder(here).take(sent) == {0: 30}
    assert there.dossiers == here.dossiers
    assert there.tallies == here.tallies
