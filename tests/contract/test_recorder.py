"""The recorder on a real broker: each message in one closed file, whatever happens to it or comes late."""

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from pyarrow import parquet

from producers import eventlog, recorder, topics
from producers.eventlog import Line
from producers.publish import publish
from producers.recorder import MANIFEST, File, Manifest, record
from producers.scenario import scenario
from rates.failures import Fatal
from rates.register import Register
from rates.wire import unit_of
from streams.batches import CANARY
from tests.support.topic import arrived

pytestmark = pytest.mark.stack

DAY = 86_400
FIFTH = 1_767_546_000  # 2026-01-05T00:00:00+07:00
NOW = FIFTH + 30 * DAY

Put = tuple[bytes, bytes, float, int]
"""Key, value, seconds after the beginning of 5 January 2026, partition."""


def call(unit: str, serial: int, status: str = "2") -> bytes:
    records = [{"MaHoSo": f"{unit}-260105-{serial:04}", "TrangThaiHoSo": status}]
    return json.dumps(
        {"service": "DongBoHoSoMC", "madonvi": "H18", "data": records}, separators=(",", ":")
    ).encode()


def plain(unit: str, serial: int, at: float, partition: int = 0) -> Put:
    return unit.encode(), call(unit, serial), at, partition


@pytest.fixture
def narrow(kafka: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A topic of two partitions."""
    name = request.node.name.split("[")[0][:200]
    topics.create(kafka, name, 2)
    yield name
    topics.delete(kafka, name)


def put(kafka: str, topic: str, *messages: Put) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=1 << 24)
    for key, value, at, partition in messages:
        producer.send(topic, value, key=key, timestamp_ms=int((FIFTH + at) * 1000), partition=partition)
    producer.flush()
    producer.close()


def recorded(kafka: str, topic: str, folder: Path) -> Manifest:
    """Record until now; what the folder then says of itself holds, file by file."""
    record(
        folder,
        brokers=kafka,
        topic=topic,
        canary=CANARY,
        now=lambda: NOW,
        stopped=lambda: False,
        until_now=True,
    )
    manifest, problems = recorder.check(folder)
    assert manifest is not None
    assert problems == []
    named = {MANIFEST, *(file.file for file in manifest.files)}
    named |= {file.aside.file for file in manifest.files if file.aside}
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == named
    for file in manifest.files:
        rows = lines(folder, file)
        assert len(rows) == file.messages
        assert sum(len(json.loads(row[1])["data"]) for row in rows) == file.records
        assert {row[0][:10] for row in rows} <= {file.day}
        assert all(file.first_received_at <= row[0] <= file.last_received_at for row in rows)
    return manifest


def lines(folder: Path, file: File) -> list[tuple[str, str]]:
    table = parquet.read_table(folder / file.file).to_pydict()
    return list(zip(table["received_at"], table["call"], strict=True))


def every(folder: Path, manifest: Manifest) -> list[tuple[str, str]]:
    return [row for file in manifest.files for row in lines(folder, file)]


def asides(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    names = [file.aside.file for file in manifest.files if file.aside]
    return [json.loads(line) for name in names for line in (folder / name).read_text().splitlines()]


def names(manifest: Manifest) -> list[str]:
    return [file.file for file in manifest.files]


def test_days_are_files_in_order_of_receipt_and_what_is_no_call_is_named_beside_them(
    kafka: str, narrow: str, tmp_path: Path
) -> None:
    put(
        kafka,
        narrow,
        plain("H18.1", 1, 2 * DAY - 1),
        plain("H18.1", 2, 10.25),
        plain("H18.2", 3, 5, 1),
        plain("H18.1", 4, 5),
        (*CANARY, 7, 0),
        (b"H18.1", b"\xffsecret", 8, 0),
        (b"H18.1", b'{"secret":', 9, 1),
        (b"H18.1", call("H18.2", 5), 9, 0),
        (b"H18.1", b"", DAY, 0),
        (b"H18.1", call("H18.1", 6).replace(b'"data"', b'"session":"secret","data"'), DAY, 1),
        plain("H18.1", 7, DAY - 0.001),
    )
    manifest = recorded(kafka, narrow, tmp_path)
    assert names(manifest) == ["2026-01-05.parquet", "2026-01-06.parquet"]
    assert every(tmp_path, manifest) == [
        ("2026-01-05T00:00:05+07:00", call("H18.1", 4).decode()),
        ("2026-01-05T00:00:05+07:00", call("H18.2", 3).decode()),
        ("2026-01-05T00:00:10.250+07:00", call("H18.1", 2).decode()),
        ("2026-01-05T23:59:59.999+07:00", call("H18.1", 7).decode()),
        ("2026-01-06T00:00:00+07:00", call("H18.1", 6).decode()),
        ("2026-01-06T23:59:59+07:00", call("H18.1", 1).decode()),
    ]
    assert manifest.files[0].offsets == {0: (1, 7), 1: (0, 1)}
    assert manifest.next == {0: 8, 1: 3}
    told = [
        (row["partition"], row["offset"], row["bytes"], row["why"][:8]) for row in asides(tmp_path, manifest)
    ]
    assert told == [
        (0, 4, 7, "not JSON"),
        (0, 5, len(call("H18.2", 5)), "publishe"),
        (1, 1, 10, "not JSON"),
        (0, 6, 0, "not JSON"),
    ]
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_a_recorded_log_published_again_is_recorded_as_the_same_log(
    kafka: str, topic: str, tmp_path: Path
) -> None:
    world = tmp_path / "world.ndjson"
    eventlog.write(world, scenario("npsp-2026", seed=1, scale=0.001, register=Register.shipped()))
    publish([world], brokers=kafka, topic=topic)
    first = recorded(kafka, topic, tmp_path / "first")
    assert len(first.files) > 200
    again = f"{topic}-again"
    topics.create(kafka, again, 5)
    try:
        logs = [tmp_path / "first" / name for name in names(first)]
        done = publish(logs, brokers=kafka, topic=again)
        assert (done.bad_count, done.messages) == (0, sum(file.messages for file in first.files))
        second = recorded(kafka, again, tmp_path / "second")
    finally:
        topics.delete(kafka, again)
    sent = by_unit(eventlog.read([world]))
    assert by_unit(eventlog.read(logs)) == sent
    assert by_unit(eventlog.read([tmp_path / "second" / name for name in names(second)])) == sent
    assert [(file.day, file.messages, file.records) for file in first.files] == [
        (file.day, file.messages, file.records) for file in second.files
    ]


def by_unit(reading: eventlog.Reading) -> dict[str | None, list[tuple[int, bytes]]]:
    """The calls of each unit in their order, with when they were received."""
    found: dict[str | None, list[tuple[int, bytes]]] = defaultdict(list)
    for line in reading:
        assert isinstance(line, Line)
        unit = unit_of(json.loads(line.call)["data"][0]["MaHoSo"])
        found[unit].append((line.received_at_ms, line.call))
    return found


def test_what_comes_later_for_a_closed_day_makes_a_further_file(
    kafka: str, narrow: str, tmp_path: Path
) -> None:
    put(kafka, narrow, plain("H18.1", 1, 10), plain("H18.1", 2, DAY + 10))
    recorded(kafka, narrow, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    assert names(recorded(kafka, narrow, tmp_path)) == sorted(before)
    put(kafka, narrow, plain("H18.1", 3, 5), plain("H18.2", 4, 20, 1), plain("H18.1", 5, 3 * DAY))
    manifest = recorded(kafka, narrow, tmp_path)
    assert names(manifest) == [*sorted(before), "2026-01-05.2.parquet", "2026-01-08.parquet"]
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert [row[1] for row in lines(tmp_path, manifest.files[2])] == [
        call("H18.1", 3).decode(),
        call("H18.2", 4).decode(),
    ]


KILLED = """
import os, signal, sys
from pathlib import Path
from producers.recorder import record

folder, brokers, topic, now, step = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
seen = 0

def hear(event, arguments):
    global seen
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "shutil.rmtree") and arguments:
        if str(arguments[0]).startswith(folder):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hear)
options = dict(brokers=brokers, topic=topic, canary=(b'', b''), now=lambda: now, stopped=lambda: False)
record(Path(folder), until_now=True, **options)
print("whole", seen)
"""


def test_a_recorder_that_is_killed_at_any_step_loses_and_doubles_nothing(
    kafka: str, narrow: str, tmp_path: Path
) -> None:
    put(
        kafka,
        narrow,
        *(plain(f"H18.{n % 5}", n, n % 2 * DAY + n, n % 5 % 2) for n in range(200)),
        (b"H18.1", b"junk", 5, 1),
    )
    wanted = Counter(message.value.decode() for message in arrived(kafka, narrow) if message.value != b"junk")
    # Closing a day takes twelve steps: every other one of the first day, and the others of the second.
    for step in (*range(1, 21, 2), *range(22, 33, 2), 0):
        folder = tmp_path / f"{step}"
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(folder), kafka, narrow, str(NOW), str(step)],
            capture_output=True,
            text=True,
            check=False,
        )
        closed = {path.name: path.read_bytes() for path in folder.glob("20*")}
        manifest = recorded(kafka, narrow, folder)
        assert Counter(row[1] for row in every(folder, manifest)) == wanted
        assert [(row["partition"], row["why"]) for row in asides(folder, manifest)] == [(1, "not JSON")]
        assert names(manifest) == ["2026-01-05.parquet", "2026-01-06.parquet"]
        assert {name: (folder / name).read_bytes() for name in closed} == closed
        assert (done.returncode, done.stdout[:5]) == ((-9, "") if step else (0, "whole")), done.stderr


class Clock:
    """A clock that is moved by hand, and a recorder's life of so many looks at the topic."""

    def __init__(self, now: int, looks: int) -> None:
        self.now = now
        self.left = looks

    def stopped(self) -> bool:
        self.left -= 1
        self.now += 5
        return self.left < 0


def run(kafka: str, topic: str, folder: Path, now: int, looks: int = 6, idle: int = 600) -> list[str]:
    """The files that a recorder closes which looks so often, from a moment on."""
    clock = Clock(now, looks)
    closed: list[str] = []
    record(
        folder,
        brokers=kafka,
        topic=topic,
        canary=CANARY,
        now=lambda: clock.now,
        stopped=clock.stopped,
        told=lambda file: closed.append(file.file),
        idle=idle,
    )
    return closed


def test_a_day_is_closed_once_every_partition_has_passed_it_by_an_hour(
    kafka: str, narrow: str, tmp_path: Path
) -> None:
    put(kafka, narrow, plain("H18.1", 1, 10), plain("H18.2", 2, 10, 1), plain("H18.1", 3, DAY + 3601))
    assert run(kafka, narrow, tmp_path, NOW) == []
    put(kafka, narrow, plain("H18.2", 4, DAY + 3599, 1))
    assert run(kafka, narrow, tmp_path, NOW) == []
    put(kafka, narrow, (*CANARY, DAY + 3600, 1))
    assert run(kafka, narrow, tmp_path, NOW) == ["2026-01-05.parquet"]
    assert run(kafka, narrow, tmp_path, NOW) == []
    manifest = recorded(kafka, narrow, tmp_path)
    assert [row[1] for row in every(tmp_path, manifest)] == [
        call(*one).decode() for one in (("H18.1", 1), ("H18.2", 2), ("H18.2", 4), ("H18.1", 3))
    ]


def test_a_quiet_topic_is_closed_by_the_clock(kafka: str, narrow: str, tmp_path: Path) -> None:
    put(kafka, narrow, plain("H18.1", 1, 10), plain("H18.1", 2, 400 * DAY))
    end = FIFTH + DAY + 3600
    assert run(kafka, narrow, tmp_path, end - 100, looks=10, idle=20) == []
    # The day that lies ahead of the clock does not hold back where the next start begins.
    assert run(kafka, narrow, tmp_path, end, looks=10, idle=20) == [
        "2026-01-05.parquet",
        "2027-02-09.parquet",
    ]
    found = recorder.load(tmp_path)
    assert found is not None
    assert found.next == {0: 2, 1: 0}


def test_a_topic_made_anew_is_refused_and_the_recorded_days_stay(
    kafka: str, narrow: str, tmp_path: Path
) -> None:
    put(kafka, narrow, plain("H18.1", 1, 10))
    recorded(kafka, narrow, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("[!.]*")}
    topics.delete(kafka, narrow)
    topics.create(kafka, narrow, 2)
    put(kafka, narrow, plain("H18.1", 2, 10), plain("H18.1", 3, 10))
    with pytest.raises(
        Fatal, match=r"is another one now.*nothing was written\. Next: motcua record --to another"
    ):
        recorded(kafka, narrow, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("[!.]*")} == before


def test_damage_is_told_with_what_to_do_and_nothing_is_overwritten(
    kafka: str, narrow: str, tmp_path: Path
) -> None:
    put(kafka, narrow, plain("H18.1", 1, 10))
    recorded(kafka, narrow, tmp_path)
    put(kafka, narrow, plain("H18.1", 2, DAY))
    log, manifest = tmp_path / "2026-01-05.parquet", tmp_path / MANIFEST
    whole, text = log.read_bytes(), manifest.read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(Fatal, match=match):
            recorded(kafka, narrow, tmp_path)

    manifest.write_bytes(text[:-30])
    refused(r"manifest\.json cannot be read.*Next: put manifest\.json back")
    assert manifest.read_bytes() == text[:-30]
    manifest.unlink()
    refused(r"2026-01-05\.parquet is there, and no manifest\.json")
    assert not manifest.exists()
    manifest.write_bytes(text)
    log.write_bytes(whole[:-1])
    refused(
        r"2026-01-05\.parquet has .* bytes, and .* by the manifest; nothing was written\. Next: put it back"
    )
    log.unlink()
    refused(r"2026-01-05\.parquet, which the manifest names, cannot be read: No such file")
    altered = bytearray(whole)
    altered[len(whole) // 2] ^= 1
    log.write_bytes(altered)
    assert recorder.check(tmp_path)[1] == [f"{log} is not what was recorded: its sha256 is another one"]
    log.write_bytes(whole)
    stray = tmp_path / "2026-01-06.parquet"
    stray.write_bytes(b"mine")
    refused(
        r"2026-01-06\.parquet is there, and is not in the manifest: nothing was overwritten\. Next: move it"
    )
    assert (stray.read_bytes(), manifest.read_bytes()) == (b"mine", text)
    stray.unlink()
    assert names(recorded(kafka, narrow, tmp_path)) == ["2026-01-05.parquet", "2026-01-06.parquet"]


def test_a_disk_that_refuses_is_told_as_such_and_the_next_run_goes_on(
    kafka: str, narrow: str, tmp_path: Path
) -> None:
    put(kafka, narrow, plain("H18.1", 1, 10), plain("H18.1", 2, DAY))
    folder, taken = tmp_path / "logs", tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(Fatal, match=r"taken cannot be written: .*Next: make room"):
        recorded(kafka, narrow, taken)
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700)){KILLED}"
    done = subprocess.run(
        [sys.executable, "-c", limited, str(folder), kafka, narrow, str(NOW), "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"Fatal: .*logs cannot be written: .*File too large.*Next: make room", done.stderr)
    assert names(recorded(kafka, narrow, folder)) == ["2026-01-05.parquet", "2026-01-06.parquet"]


def test_two_recorders_do_not_write_to_one_folder(kafka: str, narrow: str, tmp_path: Path) -> None:
    found = topics.describe(kafka, narrow)
    assert found is not None
    with (
        recorder.opened(tmp_path, narrow, found, {0: 0, 1: 0}),
        pytest.raises(Fatal, match="another motcua record writes to"),
    ):
        recorded(kafka, narrow, tmp_path)


def test_what_kafka_has_dropped_before_it_was_recorded_is_told(
    kafka: str, narrow: str, tmp_path: Path
) -> None:
    put(kafka, narrow, *(plain("H18.1", n, 10) for n in range(5)))
    found = topics.describe(kafka, narrow)
    assert found is not None
    recorded(kafka, narrow, tmp_path)
    with (
        pytest.raises(Fatal, match=r"offsets 5 to 6 of partition 0.*Next: motcua record --to another folder"),
        recorder.opened(tmp_path, narrow, found, {0: 7, 1: 0}),
    ):
        pass


def test_without_the_topic_nothing_is_made(kafka: str, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="Next: motcua migrate"):
        recorded(kafka, "nowhere", tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
