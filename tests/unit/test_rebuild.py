"""A rebuild counts every dossier as folding its events anew would, and tells which ones changed."""

from random import Random

import pytest

from rates.cohort import Cohort, CohortKey, cohort_of
from rates.dossier import Dossier
from rates.effects import DossierRow, TallyRow, version
from rates.tallies import BIT
from rates.wire import Full, Progress
from streams.rebuild import rebuild
from tests.support.memory import MemoryStore
from tests.support.register import SmallRegister

T = 1_696_222_800
DAY = 86_400
NOW = T + 900 * DAY


class Other(SmallRegister):
    """Another register: each procedure has another system, and none or all have a result."""

    def system(self, procedure: str, sector: str) -> int:
        return (super().system(procedure, sector) + 1) % 7

    def result_required(self, procedure: str) -> bool:
        return not super().result_required(procedure)


def folded(register: SmallRegister) -> dict[CohortKey, Cohort]:
    random = Random(3)
    cohorts: dict[CohortKey, Cohort] = {}
    for at in range(4_000):
        unit = random.choice(("H18.21", "000.17.22.H56"))
        number = f"{unit}-{random.choice(('231002', '231102', 'x'))}-{random.randrange(150):04}"
        time = T + random.randrange(60) * DAY
        event: Full | Progress = Progress(number, unit, 0, random.randint(3, 10), time)
        if random.random() < 0.7:
            received, ended, due = (random.choice((0, T + random.randrange(50) * DAY)) for _ in range(3))
            procedure = random.choice(("1.003560", "9.900009", "2.000001"))
            status = random.choice((1, 2, 4, 5, 7, 9, 10))
            event = Full(number, unit, 0, status, time, received, ended, due, procedure, "", at % 16)
        key = cohort_of(unit, number)
        cohort = cohorts.setdefault(key, Cohort(key))
        learnt = time + random.choice((0, 2, 9)) * DAY
        cohort.fold(event, version=version(1, at, 0), learnt=learnt, procedures=register)
    return cohorts


async def store_of(cohorts: dict[CohortKey, Cohort]) -> MemoryStore:
    store = MemoryStore()
    for key, cohort in cohorts.items():
        rows = [DossierRow(key, number, state) for number, state in cohort.changed_dossiers()]
        await store.save_dossiers(rows)
        cells = [TallyRow(key, cell, version(1, 4_000, 0), vector) for cell, vector in cohort.changed_cells()]
        await store.save_tallies(cells)
    return store


def told(store: MemoryStore) -> dict[object, int]:
    return {at: row.vector for at, row in store.tallies.items() if row.vector}


async def rebuilt(store: MemoryStore, register: SmallRegister) -> tuple[MemoryStore, int, int]:
    shadow = MemoryStore()
    sizes = [(key, 40) for key in sorted({key for key, _ in store.dossiers}, key=lambda key: key.month)]
    heard: list[tuple[int, int]] = []
    done, moved = await rebuild(store, sizes, shadow, register, NOW, lambda *at: heard.append(at))
    assert heard[-1][0] == done
    return shadow, done, moved


async def test_under_the_same_register_nothing_changes() -> None:
    store = await store_of(folded(SmallRegister()))
    shadow, done, moved = await rebuilt(store, SmallRegister())
    assert (done, moved) == (len(store.dossiers), 0)
    assert shadow.dossiers == store.dossiers
    assert told(shadow) == told(store)
    assert not shadow.history
    assert {key for key, _ in shadow.tallies} == {key for key, _ in store.tallies}


async def test_under_another_register_it_is_as_if_everything_had_been_folded_by_it() -> None:
    store = await store_of(folded(SmallRegister()))
    anew = await store_of(folded(Other()))
    shadow, _, moved = await rebuilt(store, Other())
    assert moved > 100
    assert shadow.dossiers == anew.dossiers
    assert told(shadow) == told(anew)
    # Cells that have emptied stand as zeros, so that what was written there before loses.
    assert set(shadow.tallies) >= set(store.tallies)
    for (key, number, at), row in shadow.history.items():
        before = store.dossiers[key, number]
        assert row.dossier.version == at == before.version
        assert (row.was.mask, row.was.system, row.was.days) == (before.mask, before.system, before.days)
        assert row.dossier.learnt == NOW
        assert (row.dossier.mask, row.dossier.system) != (before.mask, before.system)
    assert len(shadow.history) == moved


async def test_what_a_dossier_that_never_counted_tells_of_delay_comes_from_its_clocks() -> None:
    """A mask of 0 under an older definition says nothing of when its dossier was heard of."""
    key, number = CohortKey("H18.21", 202310), "H18.21-231002-0001"
    state = Dossier(version(1, 5, 0), T + 9 * DAY, 0, 6, 4, T, 0, 0, T, 0, 0, 0, "1.003560", "")
    store = MemoryStore()
    await store.save_dossiers([DossierRow(key, number, state)])
    shadow, _, moved = await rebuilt(store, SmallRegister())
    assert moved == 1
    mask = shadow.dossiers[key, number].mask
    assert mask >> BIT["received"] & 1
    assert mask >> BIT["backdated"] & 1


@pytest.mark.parametrize("many", [1, 3])
async def test_it_may_be_begun_anew(many: int) -> None:
    store = await store_of(folded(SmallRegister()))
    shadow = MemoryStore()
    sizes = [(key, 100_000) for key, _ in {key: 0 for key, _ in store.dossiers}.items()]
    for _ in range(many):
        await rebuild(store, sizes, shadow, Other(), NOW)
    assert told(shadow) == told(await store_of(folded(Other())))
