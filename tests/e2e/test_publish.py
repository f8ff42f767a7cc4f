"""Publishing on a real broker: what arrives under which key, and what happens when the broker is away."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local import broker
from producers import eventlog, topics
from producers.eventlog import Position, Unreadable
from producers.publish import publish
from rates.failures import Fatal, Retry
from tests.support.topic import arrived

pytestmark = pytest.mark.stack
AT = "2026-01-05T09:30:00.9+07:00"
AT_MS = 1_767_580_200_000


def call(units: list[str], sender: str = "H18", **fields: object) -> dict[str, Any]:
    records = [
        {"MaHoSo": f"{unit}-251002-{at:04}", "ChuHoSo": "secret", **fields} for at, unit in enumerate(units)
    ]
    return {
        "service": "DongBoHoSoMC",
        "madonvi": sender,
        "isUpdating": "True",
        "data": records,
        "session": "secret",
    }


def test_a_topic_is_made_once_and_one_made_anew_has_another_id(kafka: str) -> None:
    assert topics.describe(kafka, "anew") is None
    topics.create(kafka, "anew", 3)
    first = topics.describe(kafka, "anew")
    topics.create(kafka, "anew", 5)
    assert topics.describe(kafka, "anew") == first
    topics.delete(kafka, "anew")
    assert topics.describe(kafka, "anew") is None
    topics.create(kafka, "anew", 3)
    second = topics.describe(kafka, "anew")
    topics.delete(kafka, "anew")
    topics.delete(kafka, "anew")
    assert first is not None
    assert second is not None
    assert (
        (first.partitions, first.cluster_id)
        == (second.partitions, second.cluster_id)
        == (3, first.cluster_id)
    )
    assert first.topic_id != second.topic_id


def test_a_log_arrives_by_unit_in_order_stamped_and_without_personal_data(
    kafka: str, topic: str, tmp_path: Path
) -> None:
    units = ["H18.1", "H18.2", "H18.1", "000.00.16.H18", "bad"]
    entries = [(AT, call(units)) for _ in range(50)] + [(AT, 7), (AT, call([])), (AT, call(["H18.1"] * 1001))]
    eventlog.write(tmp_path / "log.ndjson.zst", entries)
    told: list[tuple[int, int]] = []
    done = publish(
        [tmp_path / "log.ndjson.zst"],
        brokers=kafka,
        topic=topic,
        progress=lambda read, total: told.append((read, total)),
    )
    assert (done.lines, done.calls, done.messages, done.records) == (53, 53, 50 * 4 + 2 + 3, 50 * 5 + 1001)
    assert (done.bad_lines, done.bad_count, done.position) == ([], 0, Position(1, 0))
    size = (tmp_path / "log.ndjson.zst").stat().st_size
    assert told[-1] == (size, size)

    messages = arrived(kafka, topic)
    assert len(messages) == done.messages
    assert {message.timestamp for message in messages} == {AT_MS}
    assert b"secret" not in b"".join(message.value for message in messages)
    last: dict[int, int] = {}
    for message in messages:
        last[message.partition] = message.offset
    assert last == done.last_offsets
    keys = {message.key.decode() for message in messages}
    assert keys == {"H18.1", "H18.2", "000.00.16.H18", "H18", ""}
    for key in keys:
        assert len({message.partition for message in messages if message.key.decode() == key}) == 1
    sizes = [len(json.loads(m.value)["data"]) for m in messages if m.key == b"H18.1"]
    assert sizes == [2] * 50 + [500, 500, 1]


def test_bad_lines_are_counted_the_first_are_kept_and_the_rest_is_sent(
    kafka: str, topic: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.ndjson"
    eventlog.write(path, [(AT, call(["H18.1"])), ("1960-01-01T00:00:00Z", call(["H18.1"]))])
    path.write_bytes(b"junk\n" * 5 + path.read_bytes() + b"\n")
    done = publish([path], brokers=kafka, topic=topic, keep_bad=3)
    assert (done.lines, done.calls, done.bad_count) == (8, 2, 6)
    assert [bad.number for bad in done.bad_lines] == [1, 2, 3]
    assert [message.timestamp for message in arrived(kafka, topic)] == [AT_MS, 0]
    rest = publish([path], brokers=kafka, topic=topic, start=Position(0, 6))
    assert (rest.lines, rest.calls, rest.bad_count) == (2, 1, 1)


def test_a_message_of_15_mib_is_sent_and_a_larger_one_costs_only_itself(
    kafka: str, topic: str, tmp_path: Path
) -> None:
    # Hardly compressible, so that the broker's limit is met as well.
    noise = os.urandom(15 << 19).hex()
    path = tmp_path / "log.ndjson"
    eventlog.write(path, [(AT, call(["H18.1"], MaTTHC=noise)), (AT, call(["H18.1", "H18.1"], MaTTHC=noise))])
    with path.open("ab") as log:
        mixed = call(["H18.1", "H18.1", "H18.2"], MaTTHC=noise)
        log.write(json.dumps({"received_at": AT, "call": mixed}).encode() + b"\n")
    done = publish([path], brokers=kafka, topic=topic)
    assert (done.lines, done.calls, done.messages, done.records) == (3, 2, 2, 2)
    assert [(bad.number, bad.why[:10]) for bad in done.bad_lines] == [(2, "1 of its 1"), (3, "1 of its 2")]
    assert sorted(message.key for message in arrived(kafka, topic)) == [b"H18.1", b"H18.2"]


def test_all_before_the_damage_of_a_file_has_arrived(kafka: str, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson.gz"
    eventlog.write(path, [(AT, call(["H18.1"], MaTTHC=os.urandom(500).hex())) for _ in range(2000)])
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(Unreadable) as refused:
        publish([path], brokers=kafka, topic=topic)
    assert len(arrived(kafka, topic)) == refused.value.line > 0


def test_without_the_topic_nothing_is_sent_and_the_next_command_is_told(kafka: str, tmp_path: Path) -> None:
    eventlog.write(tmp_path / "log.ndjson", [(AT, call(["H18.1"]))])
    with pytest.raises(Fatal, match="Next: motcua migrate"):
        publish([tmp_path / "log.ndjson"], brokers=kafka, topic="nowhere")
    assert topics.describe(kafka, "nowhere") is None


def test_a_broker_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    eventlog.write(tmp_path / "log.ndjson", [(AT, call(["H18.1"]))])
    with pytest.raises(Retry, match="Next: motcua status"):
        publish([tmp_path / "log.ndjson"], brokers="127.0.0.1:1", topic="dossiers")


def test_a_broker_that_goes_in_the_middle_is_an_error_never_a_silence(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    eventlog.write(path, [(AT, call([f"H18.{at}"], MaTTHC=os.urandom(50_000).hex())) for at in range(800)])
    with contextlib.ExitStack() as life:
        alone = life.enter_context(broker.running(tmp_path / "data"))
        topics.create(alone.address, "dossiers")
        # In a process of its own: the client leaves the sockets of its refused attempts to the collector.
        with subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(path), alone.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as publisher:
            assert publisher.stdout is not None
            assert publisher.stdin is not None
            read, total = map(int, publisher.stdout.readline().split())
            life.close()
            publisher.stdin.write("go on\n")
            publisher.stdin.flush()
            assert publisher.stdout.readline().startswith("Retry kafka: 127.0.0.1:")
        assert publisher.returncode == 0
    assert read < total


PUBLISHER = """
import sys
from producers.publish import publish
from rates.failures import Retry

told = []

def wait(read, total):
    if not told:
        told.append(read)
        print(read, total, flush=True)
        sys.stdin.readline()

try:
    publish([sys.argv[1]], brokers=sys.argv[2], topic="dossiers", patience=3, progress=wait)
except Retry as away:
    print("Retry", away, flush=True)
"""
