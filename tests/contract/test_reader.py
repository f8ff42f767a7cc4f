"""What a worker reads of a real broker: what it was told to, from where it was told to, and nothing else."""

import time
from collections.abc import Iterator

import pytest
from kafka import KafkaProducer

from producers import topics
from streams.events import Message
from streams.intake import Reader
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack]


@pytest.fixture
def reader(kafka: str, topic: str) -> Iterator[Reader]:
    found = Reader(kafka, topic)
    yield found
    found.close()


def send(kafka: str, topic: str, values: dict[int, list[bytes]], packed: str | None = None) -> None:
    producer = KafkaProducer(
        bootstrap_servers=kafka, max_request_size=topics.LARGEST_MESSAGE, compression_type=packed
    )
    for partition, listed in values.items():
        for at, value in enumerate(listed):
            producer.send(topic, value, b"k", partition=partition, timestamp_ms=1_000 + at)
    producer.close()


def take(reader: Reader, count: int, most: int = 1_000) -> tuple[set[int], dict[int, list[Message]]]:
    """So many messages, in which epochs they were asked for."""
    found: dict[int, list[Message]] = {}
    epochs = set()

    def complete() -> bool:
        epoch, messages = reader.read(most)
        assert sum(map(len, messages.values())) <= most
        if messages:
            epochs.add(epoch)
        for partition, listed in messages.items():
            found.setdefault(partition, []).extend(listed)
        return sum(map(len, found.values())) >= count

    eventually(complete, f"{count} messages come")
    return epochs, found


def test_each_partition_is_read_on_from_its_offset_in_its_order(
    kafka: str, topic: str, reader: Reader
) -> None:
    send(kafka, topic, {0: [b"a", b"b", b"c"], 1: [b"d", b"e"], 2: [b"f"]})
    reader.assign({0: 1, 1: 0}, 7)
    epochs, found = take(reader, 4, most=1)
    assert epochs == {7}
    assert found == {
        0: [Message(0, 1, 1_001, b"k", b"b"), Message(0, 2, 1_002, b"k", b"c")],
        1: [Message(1, 0, 1_000, b"k", b"d"), Message(1, 1, 1_001, b"k", b"e")],
    }
    assert [reader.end(at) for at in (0, 1, 11)] == [3, 2, None]


def test_a_later_assignment_leaves_nothing_of_the_one_before(kafka: str, topic: str, reader: Reader) -> None:
    send(kafka, topic, {0: [b"x" * 50_000] * 200, 1: [b"y"]})
    reader.assign({0: 0}, 1)
    assert take(reader, 1, most=1)[0] == {1}
    reader.assign({1: 0}, 2)
    assert take(reader, 1) == ({2}, {1: [Message(1, 0, 1_000, b"k", b"y")]})
    reader.assign({0: 0}, 1)  # it comes too late to count
    reader.assign({}, 3)
    assert reader.read(1_000) == (3, {})


def test_a_message_as_large_as_may_be_comes_whole(kafka: str, topic: str, reader: Reader) -> None:
    largest = topics.LARGEST_MESSAGE - 1_000
    send(kafka, topic, {0: [b"s", b"x" * largest, b"t"]})
    reader.assign({0: 0}, 1)
    _, found = take(reader, 3)
    assert [len(message.value or b"") for message in found[0]] == [1, largest, 1]


def test_packed_messages_are_unpacked(kafka: str, topic: str, reader: Reader) -> None:
    for at, packed in enumerate(("gzip", "lz4", "zstd")):
        send(kafka, topic, {at: [b"x" * 1_000] * 3}, packed)
    reader.assign({0: 0, 1: 0, 2: 0}, 1)
    _, found = take(reader, 9)
    assert {at: [message.value for message in listed] for at, listed in found.items()} == {
        at: [b"x" * 1_000] * 3 for at in range(3)
    }


def test_a_broker_that_is_away_brings_nothing_and_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader("127.0.0.1:1", "nowhere")
    reader.assign({0: 0}, 1)
    until = time.monotonic() + 30
    while not caplog.records and time.monotonic() < until:
        assert reader.read(10) == (1, {})
    assert "Connection refused" in caplog.text
    reader.close()
    reader.assign({0: 0}, 2)
    assert reader.read(10) == (1, {})
    assert reader.end(0) is None
