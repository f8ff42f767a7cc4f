"""Event logs: what is read, what is refused line by line, and what a damaged file costs."""

import gzip
import json
from pathlib import Path

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from producers import eventlog
from producers.eventlog import BadLine, Line, Position, Unreadable

AT = "2026-01-05T09:30:00+07:00"
AT_MS = 1_767_580_200_000
CALL: dict[str, object] = {"service": "DongBoHoSoMC", "madonvi": "H18.21", "data": [{"MaHoSo": "Đ 😀"}]}
KINDS = ("log.ndjson", "log.ndjson.gz", "log.ndjson.zst", "log.parquet")


def entries(count: int) -> list[tuple[str, object]]:
    return [(AT, {**CALL, "madonvi": f"H18.{index}"}) for index in range(count)]


def good(paths: list[Path], start: Position = eventlog.BEGINNING) -> list[Line]:
    found = list(eventlog.read(paths, start))
    assert all(isinstance(line, Line) for line in found)
    return [line for line in found if isinstance(line, Line)]


def only(folder: Path, line: bytes) -> Line | BadLine:
    path = folder / "one.ndjson"
    path.write_bytes(line + b"\n")
    (found,) = eventlog.read([path])
    return found


@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_is_read_again_whatever_the_kind(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert eventlog.write(path, entries(300)) == 300
    found = good([path])
    assert [line.number for line in found] == list(range(1, 301))
    assert {line.received_at_ms for line in found} == {AT_MS}
    assert [json.loads(line.call) for line in found] == [call for _, call in entries(300)]
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", KINDS)
def test_the_same_entries_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    eventlog.write(tmp_path / name, entries(20))
    first = (tmp_path / name).read_bytes()
    eventlog.write(tmp_path / name, iter(entries(20)))
    assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("name", KINDS)
def test_a_log_that_failed_halfway_leaves_the_older_one_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    eventlog.write(path, entries(2))
    with pytest.raises(TypeError):
        eventlog.write(path, [*entries(5), (AT, object())])
    assert len(good([path])) == 2
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", KINDS)
def test_an_empty_log_has_no_lines(tmp_path: Path, name: str) -> None:
    assert eventlog.write(tmp_path / name, []) == 0
    assert good([tmp_path / name]) == []


@pytest.mark.parametrize("name", KINDS)
def test_a_reading_goes_on_from_any_position_of_an_earlier_one(tmp_path: Path, name: str) -> None:
    paths = [tmp_path / f"{number}{name}" for number in range(3)]
    for path in paths:
        eventlog.write(path, entries(7))
    reading = eventlog.read(paths)
    seen = [(reading.position, line) for line in reading]
    for position, _ in seen:
        rest = seen[[at for at, _ in seen].index(position) + 1 :]
        assert list(eventlog.read(paths, position)) == [line for _, line in rest]


def test_a_reading_of_parquet_goes_on_from_a_position_beyond_whole_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    columns = {"received_at": [AT] * 10, "call": [str(number) for number in range(10)]}
    parquet.write_table(pyarrow.table(columns), path, row_group_size=3)
    assert [line.number for line in good([path], Position(0, 7))] == [8, 9, 10]


@pytest.mark.parametrize("name", KINDS)
def test_progress_in_bytes_rises_to_the_size_of_the_files(tmp_path: Path, name: str) -> None:
    paths = [tmp_path / f"{number}{name}" for number in range(2)]
    for path in paths:
        eventlog.write(path, entries(100))
    reading = eventlog.read(paths)
    told = [reading.bytes_read, *(reading.bytes_read for _ in reading), reading.bytes_read]
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == reading.bytes_total == sum(path.stat().st_size for path in paths)


@pytest.mark.parametrize(
    ("received_at", "ms"),
    [
        (AT, AT_MS),
        ("2026-01-05T02:30:00Z", AT_MS),
        ("2026-01-05T02:30Z", AT_MS),
        ("20260105T093000+0700", AT_MS),
        ("2026-01-05T09:30:00.999999+07:00", AT_MS),
        ("1969-12-31T23:59:59.5Z", -1000),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
    ],
)
def test_a_time_of_receipt_with_an_offset_is_cut_to_seconds(
    tmp_path: Path, received_at: str, ms: int
) -> None:
    found = only(tmp_path, json.dumps({"received_at": received_at, "call": None}).encode())
    assert isinstance(found, Line)
    assert found.received_at_ms == ms


@pytest.mark.parametrize(
    "received_at",
    [
        "",
        "2026-01-05",
        "2026-01-05T09:30:00",
        "2026-02-30T09:30:00Z",
        "09:30:00Z",
        "20260105093000",
        None,
        1767580200,
    ],
)
def test_without_a_date_a_time_and_an_offset_the_line_is_bad(tmp_path: Path, received_at: object) -> None:
    found = only(tmp_path, json.dumps({"received_at": received_at, "call": {}}).encode())
    assert isinstance(found, BadLine)
    assert "received_at" in found.why


@pytest.mark.parametrize(
    "call", [b"null", b"7", b'"text"', b"[]", b"{}", b'{"data": [1, {"a":"\\ud83d\\ude00"}]}']
)
def test_whatever_a_call_holds_is_passed_on_byte_for_byte(tmp_path: Path, call: bytes) -> None:
    found = only(tmp_path, b'{"call":' + call + b' , "received_at":"' + AT.encode() + b'","x":[1]}\r')
    assert isinstance(found, Line)
    assert found.call == call


def test_of_a_name_that_is_there_twice_the_last_counts(tmp_path: Path) -> None:
    twice = b'{"received_at":5,"call":1,"call":2,"received_at":"' + AT.encode() + b'"}'
    found = only(tmp_path, twice)
    assert isinstance(found, Line)
    assert found.call == b"2"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"  ",
        b"junk",
        b"[]",
        b'"text"',
        b'{"received_at":"%s"}',
        b'{"call":{}}',
        b'{"received_at":"%s","call":NaN}',
        b'{"received_at":"%s","call":{"a":Infinity}}',
        b'{"received_at":"%s","call":{}',
        b'{"received_at":"%s","call":{}}{}',
        b'\xef\xbb\xbf{"received_at":"%s","call":{}}',
        b'{"received_at":"%s","call":"\xff"}',
        b'{"received_at":"%s","call":"\\ud800"}',
        b'{"received_at":"%s","call":"\\udc00\\ud800"}',
        b'{"received_at":"%s","call":"\t"}',
        b'{"received_at":"%s","call":01}',
        b'{"received_at":"%s","call":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
    ],
)
def test_a_bad_line_is_told_with_its_number_and_costs_no_neighbour(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "log.ndjson"
    whole = json.dumps({"received_at": AT, "call": CALL}).encode()
    path.write_bytes(b"\n".join([whole, line.replace(b"%s", AT.encode()), whole]))
    first, bad, last = eventlog.read([path])
    assert isinstance(first, Line)
    assert isinstance(bad, BadLine)
    assert isinstance(last, Line)
    assert (bad.number, last.number) == (2, 3)
    assert str(bad).startswith(f"{path}:2: ")


def test_why_a_line_is_bad_never_shows_what_it_held(tmp_path: Path) -> None:
    for line in (b'{"received_at":"secret","call":{}}', b'{"call":secret}', b'{"secret":1}', b"secret"):
        found = only(tmp_path, line)
        assert isinstance(found, BadLine)
        assert "secret" not in found.why


def test_a_line_without_end_is_skipped_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlog, "MAX_LINE", 1 << 20)
    whole = json.dumps({"received_at": AT, "call": CALL}).encode()
    for ending in (b"\n" + whole, b""):
        path = tmp_path / "log.ndjson"
        path.write_bytes(whole + b"\n" + b"x" * (3 << 20) + ending)
        _, bad, *rest = eventlog.read([path])
        assert isinstance(bad, BadLine)
        assert "longer than 1 MiB" in bad.why
        assert [line.number for line in rest] == ([3] if ending else [])


@pytest.mark.parametrize("name", ["log.ndjson.gz", "log.ndjson.zst"])
def test_a_file_cut_off_is_refused_with_the_last_line_that_was_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    # Calls that do not compress, so that the cut leaves lines on both sides of it.
    eventlog.write(path, [(AT, {"n": number, "noise": _noise(number)}) for number in range(2000)])
    stored = path.read_bytes()
    for kept in (0, 3, len(stored) // 2, len(stored) - 1):
        path.write_bytes(stored[:kept])
        read: list[int] = []
        with pytest.raises(Unreadable, match=name) as refused:
            read.extend(line.number for line in eventlog.read([path]) if isinstance(line, Line))
        assert read == list(range(1, refused.value.line + 1))
        assert "then motcua publish" in str(refused.value)
    assert len(read) > 1000


def test_a_file_of_several_compressed_streams_is_read_to_its_end(tmp_path: Path) -> None:
    whole = json.dumps({"received_at": AT, "call": CALL}).encode() + b"\n"
    (tmp_path / "a.gz").write_bytes(gzip.compress(whole) + gzip.compress(whole))
    frame = zstandard.ZstdCompressor().compress(whole)
    (tmp_path / "a.zst").write_bytes(frame + frame)
    assert len(good([tmp_path / "a.gz", tmp_path / "a.zst"])) == 4


@pytest.mark.parametrize("name", KINDS[1:])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'{"received_at":"2026-01-05T09:30:00+07:00","call":{}}\n')
    with pytest.raises(Unreadable, match=name):
        list(eventlog.read([tmp_path / name]))


def test_parquet_cut_off_or_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    eventlog.write(path, entries(10))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Unreadable):
        list(eventlog.read([path]))
    parquet.write_table(pyarrow.table({"received_at": [AT]}), path)
    with pytest.raises(Unreadable, match="no column call"):
        list(eventlog.read([path]))
    parquet.write_table(pyarrow.table({"received_at": [AT], "call": [5]}), path)
    with pytest.raises(Unreadable, match="column call holds int64"):
        list(eventlog.read([path]))


def test_a_bad_row_of_parquet_costs_no_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    calls = [b"{}", None, b"{}", b"NaN", b"\xff", b'"\\ud800"', b"[" * 100_000, b"", b"null"]
    times = [AT, AT, None, AT, AT, AT, AT, AT, AT]
    columns = {"call": pyarrow.array(calls, pyarrow.binary()), "received_at": times}
    parquet.write_table(pyarrow.table(columns), path)
    found = list(eventlog.read([path]))
    assert [line.number for line in found if isinstance(line, Line)] == [1, 9]
    assert [line.number for line in found] == list(range(1, 10))


def test_a_log_that_is_not_there_is_told_before_any_is_read(tmp_path: Path) -> None:
    eventlog.write(tmp_path / "a.ndjson", entries(1))
    with pytest.raises(Unreadable, match=r"b\.ndjson cannot be read"):
        eventlog.read([tmp_path / "a.ndjson", tmp_path / "b.ndjson"])
    with pytest.raises(Unreadable):
        eventlog.read([tmp_path])


def _noise(number: int) -> str:
    return "".join(
        chr(33 + (number * 7919 + index * index * 31 + index * number) % 58) for index in range(300)
    )
