"""The bench's own parts that decide something: its worlds, its bounds, what it keeps of earlier runs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import peers
from bench.__main__ import PARTS, save
from bench.bounds import BOUNDS, missed
from bench.live import Sent
from bench.profile import table
from bench.world import calls
from rates.register import Register
from rates.tallies import SYSTEMS
from rates.wire import Full, decode

REGISTER = Register.shipped()
GOOD: dict[str, dict[str, Any]] = {
    "pipeline": {"records_per_second": 100_000, "ratio": 0.5, "peak_memory_mib": {"worker": 1024}},
    "small_200": {
        "records_per_second": 1,
        "ahead_of_peers": 1.0,
        "peak_memory_mib": {"worker": 1024},
    },
    "small_1": {"records_per_second": 60_000, "peak_memory_mib": {"worker": 1024}},
    "two_workers": {"peak_memory_mib": {"worker": 1024}},
    "live": {"p99_ms": 1500, "idle_cpu_percent": 10},
    "cold": {"rows_reloaded_per_event": 0.1, "peak_memory_mib": {"worker": 1024}},
    "panels": {"p95_ms": 100},
    "start": {"ready_s": 8},
    "alerts": {"seconds": 2},
    "paint": {"first_paint_ms": 1000},
    "history": {
        "published_seconds": 360,
        "parity_seconds": 5,
        "rebuild_seconds_per_million": 10,
        "peak_memory_mib": {"worker": 1024},
    },
    "backtest": {"seconds": 30},
}


def events(records: int, per_call: int, *, small: bool = False) -> list[Full]:
    found = []
    for key, value, timestamp in calls(records, per_call, small=small):
        accepted, rejected = decode(value, key.encode(), timestamp // 1000, REGISTER)
        assert rejected == []
        found += [event for event in accepted if isinstance(event, Full)]
    return found


@pytest.mark.parametrize("small", [False, True])
def test_a_world_is_the_same_bytes_each_time_and_has_as_many_records_as_were_asked_for(small: bool) -> None:
    first = list(calls(1_501, 100, small=small))

    assert first == list(calls(1_501, 100, small=small))
    assert first != list(calls(1_501, 100, small=small, seed=8))
    assert len(events(1_501, 100, small=small)) == 1_501


def test_all_seven_systems_and_every_kind_of_repetition_appear_in_a_world() -> None:
    found = events(40_000, 500)
    systems = {SYSTEMS[REGISTER.system(event.procedure, event.sector)] for event in found}
    said = Counter((event.number, event.status, event.status_time, event.facts) for event in found)
    newest: dict[str, int] = {}
    late = 0
    for event in found:
        late += event.status_time < newest.get(event.number, 0)
        newest[event.number] = max(newest.get(event.number, 0), event.status_time)
    corrected = Counter((number, status, time) for number, status, time, _ in said)

    assert systems == set(SYSTEMS)
    assert max(said.values()) > 1
    assert late > 0
    assert max(corrected.values()) > 1


def test_records_are_of_the_sizes_that_peers_are_measured_with() -> None:
    full = sum(len(value) for _, value, _ in calls(4_000, 200)) / 4_000
    small = sum(len(value) for _, value, _ in calls(4_000, 200, small=True)) / 4_000

    assert 900 < full < 1_200
    assert 400 < small < 600


def test_figures_at_their_bounds_pass() -> None:
    assert missed(GOOD) == []
    assert {bound.part for bound in BOUNDS} == set(PARTS)


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: f"{bound.part}-{bound.figure}")
def test_a_figure_beyond_its_bound_or_not_measured_is_one_line(bound: "BOUNDS[0]") -> None:  # type: ignore[valid-type]
    name, _, inner = bound.figure.partition(".")
    for value in (bound.value - 0.01 if bound.least else bound.value + 0.01, None, float("nan")):
        measured = {bound.part: {**GOOD[bound.part], name: {inner: value} if inner else value}}

        (line,) = missed(measured)

        assert line.startswith(f"{bound.part} {bound.figure}: ")


def test_what_was_not_measured_in_this_run_is_not_judged() -> None:
    assert missed({}) == []
    assert missed({"live": GOOD["live"]}) == []


def test_an_answer_that_differs_misses_whatever_the_figures_are() -> None:
    peer = {"records_per_second": 1, "answer": None, "agrees": False}

    assert missed({"pipeline": {**GOOD["pipeline"], "agrees": False}}) == [
        "pipeline: the answer differs from that of its limit"
    ]
    for kind in ("peers", "without_tallies"):
        assert missed({"small_1": {**GOOD["small_1"], kind: {"quix": peer}}}) == [
            "small_1: the answer of quix differs"
        ]


def test_a_part_that_is_not_run_keeps_its_earlier_result(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    save(path, {"machine": {"cores": 2}, "live": {"p50_ms": 1}})
    save(path, {"machine": {"cores": 4}, "pipeline": {"ratio": 1}})
    save(path, {"live": {"p50_ms": 2}})

    kept = json.loads(path.read_text(encoding="utf-8"))

    assert kept == {"machine": {}, "pipeline": {"ratio": 1}, "live": {"p50_ms": 2}}


def test_results_that_cannot_be_read_are_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    path.write_text("{", encoding="utf-8")
    save(path, {"cold": {}})

    assert json.loads(path.read_text(encoding="utf-8"))["cold"] == {}


def test_the_lock_of_the_peers_has_a_hash_for_everything_and_names_no_host() -> None:
    lines = [line for line in peers.LOCK.read_text(encoding="utf-8").splitlines() if "#" not in line]
    pinned = [line for line in lines if "==" in line]

    assert any(line.startswith("quixstreams==") for line in pinned)
    assert all(line.endswith("\\") for line in pinned)
    assert not any("://" in line or line.startswith("--") for line in lines)


def test_a_message_is_seen_once_and_only_when_its_own_partition_has_come_so_far() -> None:
    sent = Sent()
    sent.at = {0: {4: 1.0, 5: 2.0}, 1: {4: 3.0}}
    sent.done = True

    assert sent.seen({0: 4}) == [1.0]
    assert sent.seen({0: 4}) == []
    assert sorted(sent.seen({0: 9, 1: 4})) == [2.0, 3.0]
    assert not sent.waiting()


def test_the_table_of_stages_follows_a_record_and_counts_encoding_once() -> None:
    told = {"load": 1.0, "register": 0.5, "fold": 4.0, "dossiers": 2.0, "tallies": 1.0, "encode": 0.5}
    lines = [line.split() for line in table(1_000_000, 10.0, told).splitlines()]

    names = ["stage", "fetch", "decode", "load", "fold", "encode", "insert", "commit", "passed"]
    assert [line[0] for line in lines] == names
    found = {name: float(used) for name, used, _share in lines[1:]}
    assert found["load"] == 1.5
    assert found["insert"] == 2.5
    assert lines[4][1:] == ["4.00", "40.0%"]
