"""Several event logs as one, by receipt: their order, what is open at a time, and going on in the middle."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from producers import eventlog, merged
from producers.eventlog import BadLine, Line, Unreadable
from producers.merged import At, Merged

KINDS = (".ndjson", ".ndjson.gz", ".ndjson.zst", ".parquet")


def at(seconds: int) -> str:
    return datetime.fromtimestamp(1_700_000_000 + seconds, UTC).isoformat()


def log(path: Path, *times: int) -> Path:
    eventlog.write(path, [(at(time), {"log": path.name, "line": line}) for line, time in enumerate(times)])
    return path


def seconds(paths: list[Path], start: list[At] | None = None) -> list[tuple[int, int]]:
    """The log and the time of each line, in the order in which they are given."""
    return [
        (found.log, found.line.received_at_ms // 1000 - 1_700_000_000)
        for found in Merged(paths, start or ())
        if isinstance(found.line, Line)
    ]


def test_logs_that_overlap_are_given_in_the_order_of_receipt_and_equal_times_by_log(tmp_path: Path) -> None:
    paths = [
        log(tmp_path / "a.ndjson", 1, 5, 9),
        log(tmp_path / "b.ndjson.gz", 2, 5, 6),
        log(tmp_path / "c.parquet", 0, 5, 10),
    ]
    assert seconds(paths) == [(2, 0), (0, 1), (1, 2), (0, 5), (1, 5), (2, 5), (1, 6), (0, 9), (2, 10)]


def test_a_log_that_is_not_sorted_inside_is_given_as_it_is_and_what_comes_early_is_counted(
    tmp_path: Path,
) -> None:
    paths = [log(tmp_path / "a.ndjson", 3, 1, 2, 8), log(tmp_path / "b.ndjson", 2, 4)]
    assert seconds(paths) == [(1, 2), (0, 3), (0, 1), (0, 2), (1, 4), (0, 8)]
    assert [found.out_of_order for found in Merged(paths)] == [False, False, True, True, False, False]


def test_a_bad_line_keeps_its_place_and_costs_no_neighbour(tmp_path: Path) -> None:
    path = log(tmp_path / "a.ndjson", 1, 4)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"junk\n" + second)
    found = list(Merged([path, log(tmp_path / "b.ndjson", 2, 3)]))
    assert [(one.log, isinstance(one.line, BadLine)) for one in found] == [
        (0, False), (0, True), (1, False), (1, False), (0, False),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_going_on_anywhere_gives_the_rest_in_the_same_order(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    paths = [
        log(tmp_path / f"{number}{kind}", *(rng.randrange(30) for _ in range(rng.randrange(12))))
        for number, kind in enumerate(KINDS)
    ]
    whole = seconds(paths)
    reached = [At()] * len(paths)
    for done, found in enumerate(Merged(paths)):
        assert seconds(paths, reached) == whole[done:]
        reached[found.log] = found.at
    assert seconds(paths, reached) == []


def test_logs_that_follow_one_another_are_open_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [log(tmp_path / f"{day}.ndjson", *range(10 * day, 10 * day + 9)) for day in range(20)]
    reading = Merged(paths)
    opened: set[int] = set()
    most = 0
    lines = merged._lines

    def counted(number: int, *rest: object) -> object:
        nonlocal most
        opened.add(number)
        most = max(most, len(opened))
        yield from lines(number, *rest)
        opened.discard(number)

    monkeypatch.setattr(merged, "_lines", counted)
    assert len(list(reading)) == 180
    assert most <= 2
    assert reading.bytes_read == reading.bytes_total == sum(path.stat().st_size for path in paths)


def test_all_before_the_damage_of_a_log_is_given(tmp_path: Path) -> None:
    whole, damaged = log(tmp_path / "a.ndjson", 1, 3), log(tmp_path / "b.ndjson.gz", *range(2, 20_000))
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    reached = [At(), At()]

    def read() -> None:
        for found in Merged([whole, damaged]):
            reached[found.log] = found.at

    with pytest.raises(Unreadable) as refused:
        read()
    assert refused.value.path == damaged
    assert [at.line for at in reached] == [2, refused.value.line]


def test_a_log_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="nowhere"):
        Merged([log(tmp_path / "a.ndjson", 1), tmp_path / "nowhere.ndjson"])
