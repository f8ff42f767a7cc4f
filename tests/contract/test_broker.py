"""The embedded broker keeps what it is given, where it was, and says what it lacks."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import MessageSizeTooLargeError

from infra.local import broker, jars, ports
from infra.local.broker_settings import LARGEST_MESSAGE
from infra.local.trouble import Away, WrongUse

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024


def has_java() -> bool:
    try:
        jars.java()
    except Away:
        return False
    return True


needs_java = pytest.mark.skipif(not has_java(), reason="no Java 17 or later on this machine")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker.running(tmp_path_factory.mktemp("broker")) as running:
        yield running.address


def make_topic(address: str, name: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    admin.close()


def send(address: str, topic: str, value: bytes, timestamp_ms: int | None = None) -> None:
    producer = KafkaProducer(bootstrap_servers=address, max_request_size=64 * MIB)
    try:
        producer.send(topic, value, timestamp_ms=timestamp_ms).get(timeout=60)
    finally:
        producer.close()


def records(address: str, topic: str, group: str | None = None) -> list[tuple[int, int]]:
    """The size and the timestamp of every record of a one-partition topic."""
    consumer = KafkaConsumer(
        bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", session_timeout_ms=6_000
    )
    try:
        partition = TopicPartition(topic, 0)
        if group is None:
            consumer.assign([partition])
        else:
            consumer.subscribe([topic])
        end = consumer.end_offsets([partition])[partition]
        found: list[tuple[int, int]] = []
        while len(found) < end:
            for batch in consumer.poll(timeout_ms=1_000).values():
                found += [(len(record.value), record.timestamp) for record in batch]
        return found
    finally:
        consumer.close()


@pytest.mark.stack
@needs_java
def test_a_message_of_ten_megabytes_comes_back_whole(address: str) -> None:
    make_topic(address, "large")
    send(address, "large", b"x" * 10_000_000)
    assert [size for size, _ in records(address, "large")] == [10_000_000]


@pytest.mark.stack
@needs_java
def test_a_message_above_sixteen_mebibytes_is_refused(address: str) -> None:
    make_topic(address, "too-large")
    with pytest.raises(MessageSizeTooLargeError):
        send(address, "too-large", b"x" * (LARGEST_MESSAGE + 1))


@pytest.mark.stack
@needs_java
def test_timestamps_of_any_year_are_taken_and_kept(address: str) -> None:
    make_topic(address, "times")
    times = [946_684_800_000, 4_102_444_799_000, 1_696_118_400_000]
    for moment in times:
        send(address, "times", b"x", timestamp_ms=moment)
    assert [timestamp for _, timestamp in records(address, "times")] == times


@pytest.mark.stack
@needs_java
def test_a_topic_is_not_made_by_asking_for_it(address: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.describe_topics(["never-made"])
    admin.close()
    assert "never-made" not in (broker.topics(address) or ())


@pytest.mark.stack
@needs_java
def test_a_consumer_group_may_have_a_session_of_six_seconds(address: str) -> None:
    make_topic(address, "grouped")
    send(address, "grouped", b"x")
    assert len(records(address, "grouped", group="a-group")) == 1


@pytest.mark.stack
@needs_java
def test_a_broker_killed_and_started_again_has_its_address_and_its_messages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.local.broker", "run", "--data", str(tmp_path)]
    with broker.running(tmp_path) as first:
        make_topic(first.address, "kept")
    # Alone, to be killed: `running` stops it as it should be stopped.
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while broker.topics(first.address) is None and time.monotonic() < deadline:
                time.sleep(0.05)
            send(first.address, "kept", b"kept")
        finally:
            process.send_signal(signal.SIGKILL)
    with broker.running(tmp_path) as second:
        assert second.address == first.address
        assert [size for size, _ in records(second.address, "kept")] == [4]


@pytest.mark.stack
@needs_java
def test_a_broker_listens_on_the_port_that_was_asked_for(tmp_path: Path) -> None:
    asked = ports.settle(tmp_path / "elsewhere", "broker")
    with broker.running(tmp_path, asked) as running:
        assert running.address == f"127.0.0.1:{asked}"


@needs_java
def test_two_data_directories_hold_two_clusters(tmp_path: Path) -> None:
    said = []
    for name in ("one", "other"):
        made = broker.prepare(tmp_path / name, say=ignore)
        made.format()
        said.append((made.home / "log" / "meta.properties").read_text())
    assert (
        len({line for text in said for line in text.splitlines() if ".id=" in line and "node" not in line})
        == 4
    )


def test_nothing_answers_where_no_broker_is(tmp_path: Path) -> None:
    assert broker.topics(f"127.0.0.1:{ports.settle(tmp_path, 'broker')}") is None


def test_a_port_stays_the_same_while_it_is_free_and_another_is_found_when_it_is_not(tmp_path: Path) -> None:
    first = ports.settle(tmp_path, "broker")
    assert ports.settle(tmp_path, "broker") == first
    with socket.create_server(("127.0.0.1", first)):
        assert ports.settle(tmp_path, "broker") != first


def test_a_taken_port_is_named_with_the_command_that_finds_who_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Away, match=f"port {port} on 127.0.0.1, asked for the broker, is taken.*ss -ltnp"):
            ports.settle(tmp_path, "broker", port)


def test_a_number_that_is_no_port_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="70000 is no port"):
        ports.settle(tmp_path, "broker", 70_000)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which only what a test puts there is found, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("MOTCUA_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def put(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def java_of(version: str) -> str:
    return f"echo 'openjdk version \"{version}\" 2025-04-15' >&2"


# Like Maven, as far as it matters: puts a jar where it is told to.
GOOD_MAVEN = (
    'for word; do case "$word" in -DoutputDirectory=*) folder="${word#*=}";; esac; done\n'
    'echo jar > "$folder/kafka-1.jar"; echo fetched >> "$folder/../fetches"'
)


def ignore(_: str) -> None:
    pass


def test_without_java_the_message_says_what_to_install(programs: Path, tmp_path: Path) -> None:
    with pytest.raises(Away, match=r"no java on PATH: install a JDK 17.*motcua doctor"):
        broker.prepare(tmp_path / "data", say=ignore)


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_292"])
def test_a_java_that_is_too_old_is_named(programs: Path, version: str) -> None:
    put(programs, "java", java_of(version))
    with pytest.raises(Away, match=r"java is Java (11|8), the broker needs 17"):
        jars.java()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_a_java_of_seventeen_or_later_will_do(programs: Path, version: str) -> None:
    put(programs, "java", java_of(version))
    assert jars.java().version == int(version[:2])


def test_without_maven_the_message_says_what_to_install(programs: Path) -> None:
    put(programs, "java", java_of("17"))
    with pytest.raises(Away, match=r"no mvn on PATH.*install Maven"):
        jars.fetch(ignore)


def test_when_maven_fails_its_reason_is_told(programs: Path) -> None:
    put(programs, "java", java_of("17"))
    put(programs, "mvn", "echo '[ERROR] Could not transfer artifact'; exit 1")
    with pytest.raises(Away, match=r"(?s)Could not transfer artifact.*python -m infra.local.broker jars"):
        jars.fetch(ignore)
    assert jars.fetched() is None


def test_jars_are_fetched_once_and_again_when_one_is_missing(programs: Path, tmp_path: Path) -> None:
    os.environ["PATH"] += ":/usr/bin:/bin"
    put(programs, "java", java_of("17"))
    put(programs, "mvn", GOOD_MAVEN)
    folder = jars.fetch(ignore)
    assert jars.fetch(ignore) == folder
    assert (tmp_path / "cache" / "fetches").read_text().count("fetched") == 1
    (folder / "kafka-1.jar").unlink()
    assert jars.fetched() is None
    jars.fetch(ignore)
    assert jars.fetched() == folder


def test_an_interrupted_download_is_repeated(programs: Path, tmp_path: Path) -> None:
    put(programs, "java", java_of("17"))
    put(programs, "mvn", GOOD_MAVEN)
    half = tmp_path / "cache" / "jars" / "half.jar"
    half.parent.mkdir(parents=True)
    half.write_text("ha")
    folder = jars.fetch(ignore)
    assert [jar.name for jar in folder.glob("*.jar")] == ["kafka-1.jar"]


def test_the_command_that_fetches_jars_exits_3_without_java(programs: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "infra.local.broker", "jars"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 3
    assert "install a JDK 17" in told.stderr
