"""What a real broker says of a group, how far it has read, and of what a topic holds."""

import pytest
from kafka import KafkaProducer

from producers import topics
from producers.rehearsing import known_from
from rates.failures import Retry
from streams.batches import CANARY
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack]


def test_how_far_a_group_has_read_is_told_by_partition_and_can_be_set_back(kafka: str) -> None:
    def never_read() -> bool:
        try:
            return topics.committed(kafka, "read", "readers") == {}
        except Retry:
            return False  # a fresh broker makes the topic of its offsets when it is asked first

    topics.create(kafka, "read", 3)
    topics.create(kafka, "other", 1)
    eventually(never_read, "a group that never read has no offsets")
    topics.rewind(kafka, "read", "readers", {1: 5, 2: 0})
    topics.rewind(kafka, "other", "readers", {0: 9})
    assert topics.committed(kafka, "read", "readers") == {1: 5, 2: 0}
    topics.rewind(kafka, "read", "readers", {1: 3})
    assert topics.committed(kafka, "read", "readers") == {1: 3, 2: 0}


def sent(kafka: str, topic: str, messages: list[tuple[bytes, bytes, int]]) -> None:
    topics.create(kafka, topic, 1)
    producer = KafkaProducer(bootstrap_servers=kafka)
    for key, value, received_at in messages:
        producer.send(topic, value, key, timestamp_ms=received_at, partition=0).get(30)
    producer.close()


def test_what_a_rehearsal_lacks_of_a_topic_begins_behind_canaries_and_what_it_knows(kafka: str) -> None:
    cut, now = 1_697_640_000_000, 1_795_750_000_000
    old, same, new = (
        (b"H18.21", name, at) for name, at in ((b"old", cut - 9), (b"same", cut), (b"new", cut + 1))
    )
    sent(kafka, "sent", [(*CANARY, now), old, same, (*CANARY, now), new, old])
    sent(kafka, "quiet", [(*CANARY, now), old, (*CANARY, now)])
    sent(kafka, "rehearsed", [old, same])
    assert known_from(kafka, "sent", "rehearsed", {0: 6}, cut, CANARY) == {0: 3}
    assert known_from(kafka, "sent", "rehearsed", {0: 6}, cut + 1, CANARY) == {0: 4}
    assert known_from(kafka, "sent", "rehearsed", {0: 3}, cut + 1, CANARY) == {0: 3}
    assert known_from(kafka, "quiet", "rehearsed", {0: 3}, cut, CANARY) == {0: 3}
    assert known_from(kafka, "quiet", "rehearsed", {0: 0}, cut, CANARY) == {0: 0}


def test_messages_are_read_once_more_by_their_offsets(kafka: str) -> None:
    sent(kafka, "again", [(b"k", b"%d" % at, 1_000 + at) for at in range(5)])
    found = topics.read(kafka, "again", {0: (1, 4)})
    assert [(one.offset, one.value, one.timestamp) for one in found] == [
        (at, b"%d" % at, 1_000 + at) for at in (1, 2, 3)
    ]
