"""Whatever happens to the workers, what is stored in the end is a plain recount of the log."""

import pytest

from tests.model.canaries import CANARIES, Canary
from tests.model.world import Variant, World

WORLDS = 400
CHUNK = 100
HISTORY = Variant(history_interrupted=True, kept_open=True)


@pytest.mark.parametrize("first", range(0, WORLDS, CHUNK))
def test_a_world_in_which_everything_goes_wrong_ends_in_a_plain_recount(first: int) -> None:
    wrong = {
        seed: differences
        for seed in range(first, first + CHUNK)
        if (differences := World(seed, HISTORY).run().differences())
    }
    assert wrong == {}


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_a_rule_switched_off_is_caught_by_every_seed_known_to_bite(canary: Canary) -> None:
    assert canary.seeds
    assert [seed for seed in canary.seeds if not World(seed, canary.variant).run().differences()] == []


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_the_seeds_of_the_canaries_find_nothing_where_every_rule_holds(canary: Canary) -> None:
    assert [seed for seed in canary.seeds if World(seed).run().differences()] == []
