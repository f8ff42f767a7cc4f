"""What a real broker says of a topic's consumer group: how far it has read, and that it can be set back."""

import pytest

from producers import topics
from rates.failures import Retry
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
