"""The generators: that a seed is a world, and that nothing in it is bad by accident."""

from __future__ import annotations

import random

import pytest

from tests.recount import worlds
from tests.recount.junk import KINDS, junk
from tests.recount.recount import recount, recount_messages
from tests.recount.worlds import world

REASONS = {
    *("not_json", "too_large", "too_deep", "too_many_records", "not_a_call"),
    *("bad_field", "bad_number", "wrong_unit", "unknown_status"),
}


def test_a_seed_is_a_world() -> None:
    assert list(world(3, 2_000)) == list(world(3, 2_000))
    assert list(world(3, 2_000)) != list(world(4, 2_000))
    assert junk(3, 300) == junk(3, 300)


@pytest.mark.parametrize("seed", range(3))
def test_only_lines_meant_to_be_bad_are_bad(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    meant: list[bytes] = []
    make = worlds.bad_line

    def watched(rng: random.Random, good: bytes, *, doubtful: bool) -> bytes:
        meant.append(make(rng, good, doubtful=doubtful))
        return meant[-1]

    monkeypatch.setattr(worlds, "bad_line", watched)
    lines = list(world(seed, 5_000))
    assert recount(lines).bad_lines == recount(meant).bad_lines == len(meant) > 0
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)


def test_a_world_holds_every_system_body_and_rejection_of_a_record() -> None:
    state = recount(world(5, 20_000))
    assert len({row["system"] for row in state.rates(by=("system",))}) == 7
    assert {row["body"] for row in state.rates(by=("body",))} > {"H38", "H56", "H99", "G24"}
    assert set(state.rejections) == {
        *("bad_field", "bad_number", "wrong_unit", "unknown_status", "not_a_call", "too_large")
    }
    assert all(0 < row["numerator"] < row["denominator"] for row in state.rates(form="both"))  # type: ignore[operator]


def test_junk_holds_every_rejection_and_dossiers_that_no_world_has() -> None:
    messages = junk(5, 400)
    state = recount_messages(messages)
    assert len(messages) == 400 > len(KINDS)
    assert set(state.rejections) == REASONS
    assert all(number.startswith("H14.9") for number in state.dossiers)
    assert not any(number.startswith("H14.9") for number in recount(world(5, 5_000)).dossiers)


def test_junk_may_stand_before_or_after_a_log() -> None:
    lines, messages = list(world(6, 3_000)), junk(6, 200)
    after = recount_messages(messages, into=recount(lines))
    before = recount(lines, into=recount_messages(messages))
    assert after.states() == before.states()
    assert after.rejections == before.rejections
