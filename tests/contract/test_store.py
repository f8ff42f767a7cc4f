"""One suite for both stores: what folding relies on holds in memory and in ClickHouse alike."""

from collections.abc import AsyncIterator, Collection
from itertools import count

import pytest

from rates.cohort import Cell, Cohort, CohortKey, packed, unpacked
from rates.dossier import Dossier, unpack
from rates.effects import DeadLetter, DossierRow, Reached, TallyRow, version
from rates.tallies import lanes
from rates.wire import Reason, Rejection
from sinks import migrate
from sinks.client import connect
from sinks.cohorts import CohortStore
from streams.batches import Store
from tests.support.memory import MemoryStore, cohorts

KEY = CohortKey("H18.21", 202310)
OLD = CohortKey("000.17.22.H56", 7)
_names = count(1)


@pytest.fixture(params=["memory", "clickhouse"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    url = request.getfixturevalue("engine_url")
    async with connect(url, f"store_{next(_names)}") as database:
        await migrate.migrate(database, 1_700_000_000, lambda _line: None)
        yield CohortStore(database)


def dossier(at: int, **changes: object) -> Dossier:
    values = {
        "version": at,
        "learnt": 1_696_233_600,
        "mask": 5,
        "system": 2,
        "record_status": 9,
        "record_time": 1_696_233_000,
        "progress_status": 10,
        "progress_time": 1_696_234_000,
        "received": 1_696_200_000,
        "completed": 1_696_233_000,
        "due": 4_102_419_599,  # the last instant of the wire: 2099-12-31 23:59:59 local
        "facts": 19,
        "procedure": "1.003560.000.00.00.H56",
        "sector": "G15-HT01",
    }
    return Dossier(**{**values, **changes})  # type: ignore[arg-type]


async def loaded_as(store: Store, keys: Collection[CohortKey]) -> dict[CohortKey, Cohort]:
    return cohorts(keys, await store.load(keys))


async def test_a_cohort_that_is_not_stored_comes_back_empty(store: Store) -> None:
    loaded = await loaded_as(store, [KEY])
    assert not loaded[KEY].dossiers
    assert not loaded[KEY].vectors


async def test_a_dossier_comes_back_as_it_was_saved(store: Store) -> None:
    top = version(4095, (1 << 40) - 1, 4095)
    state = dossier(top)
    bare = dossier(3, due=0, record_status=0, record_time=0, received=0, completed=0, mask=0, procedure="")
    await store.save_dossiers(
        [DossierRow(KEY, "H18.21-231002-0147", state), DossierRow(OLD, "Đ “x”'\\", bare)]
    )
    loaded = await loaded_as(store, [KEY, OLD])
    assert {n: unpack(p) for n, p in loaded[KEY].dossiers.items()} == {"H18.21-231002-0147": state}
    assert {n: unpack(p) for n, p in loaded[OLD].dossiers.items()} == {"Đ “x”'\\": bare}


async def test_the_highest_version_stands_whatever_the_order_of_saves(store: Store) -> None:
    for at in (5, 9, 7, 9, 1):
        await store.save_dossiers([DossierRow(KEY, "n", dossier(at, mask=at))])
    loaded = await loaded_as(store, [KEY])
    assert unpack(loaded[KEY].dossiers["n"]).mask == 9


async def test_cells_that_exist_are_part_of_a_loaded_cohort_even_as_zeros(store: Store) -> None:
    cell, empty = Cell(6, 2, 19_632), Cell(0, 0, 1)
    await store.save_tallies([TallyRow(KEY, cell, 4, lanes(7)), TallyRow(KEY, empty, 4, 0)])
    await store.save_tallies([TallyRow(OLD, cell, 4, lanes(7))])
    loaded = await loaded_as(store, [KEY])
    assert {unpacked(key): vector for key, vector in loaded[KEY].vectors.items()} == {cell: 0, empty: 0}


async def test_cohorts_of_many_years_are_saved_at_once(store: Store) -> None:
    keys = [CohortKey("H18", year * 100 + 1) for year in range(2000, 2100)] + [OLD]
    await store.save_dossiers([DossierRow(key, "n", dossier(1)) for key in keys])
    await store.save_tallies([TallyRow(key, Cell(0, 0, 19_000), 1, lanes(1)) for key in keys])
    loaded = await loaded_as(store, keys)
    stored = packed(0, 0, 19_000)
    assert all(list(loaded[key].dossiers) == ["n"] and stored in loaded[key].vectors for key in keys)


async def test_progress_is_the_highest_version_of_each_partition(store: Store) -> None:
    assert not await store.progress()
    await store.save_progress([Reached(3, 10, 100, 120), Reached(11, 1, 5, 5)])
    await store.save_progress([Reached(3, 8, 90, 90)])
    assert await store.progress() == {3: Reached(3, 10, 100, 120), 11: Reached(11, 1, 5, 5)}


async def test_a_dead_letter_may_be_saved_again(store: Store) -> None:
    rejection = Rejection(2, Reason.BAD_NUMBER, "MaHoSo", "no unit", "", '{"MaHoSo":9.0}')
    letter = DeadLetter(version(1, 7, 2), 3, 7, 1_696_233_600, rejection)
    await store.save_dead_letters([letter])
    await store.save_dead_letters([letter])


async def test_the_cohorts_that_have_a_dossier_are_known(store: Store) -> None:
    assert set(await store.cohorts()) == set()
    await store.save_dossiers([DossierRow(key, "n", dossier(1)) for key in (KEY, OLD, KEY)])
    assert set(await store.cohorts()) == {KEY, OLD}
