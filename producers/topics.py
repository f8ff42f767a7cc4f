"""The topic: made, described and (by tests) deleted. And Kafka's errors, in the project's two words for them.

A topic that was deleted and made anew is another one: its `topic_id` tells.
"""

import socket
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError, NoError, TopicAlreadyExistsError, UnknownTopicOrPartitionError
from kafka.structs import OffsetAndMetadata
from msgspec import Struct

from rates.failures import Retry, kafka_failure

LARGEST_MESSAGE: Final = 16 * 1024 * 1024
_READ_SECONDS: Final = 30.0
"""So long a partition may bring nothing while it is read."""


class Topic(Struct, frozen=True, gc=False):
    cluster_id: str
    topic_id: str
    partitions: int


class Group(Struct, frozen=True):
    """A consumer group: its state in Kafka's words, how many members it has, what they read."""

    state: str
    members: int
    partitions: frozenset[int]


def describe(brokers: str, topic: str) -> Topic | None:
    """The topic as the brokers know it now, or None where there is none. Raises Retry when they are away."""
    with _admin(brokers) as admin:
        (found,) = admin.describe_topics([topic])
        if found["error_code"] == UnknownTopicOrPartitionError.errno:
            return None
        cluster = admin.describe_cluster()
    return Topic(cluster["cluster_id"], str(found["topic_id"]), len(found["partitions"]))


def unread(brokers: str, topic: str, group: str, partitions: int) -> list[int]:
    """The partitions that no member of a settled group reads; none while it is not settled. Raises Retry."""
    found = readers(brokers, topic, group)
    return sorted(set(range(partitions)) - found.partitions) if found.state == "Stable" else []


def readers(brokers: str, topic: str, group: str) -> Group:
    """The group as the brokers know it now; one that is not there is `Dead`. Raises Retry."""
    with _admin(brokers) as admin:
        found = admin.describe_groups([group])[group]
    read = frozenset(
        partition
        for member in found["members"]
        for assigned in (member["member_assignment"] or {}).get("assigned_partitions", ())
        if assigned["topic"] == topic
        for partition in assigned["partitions"]
    )
    return Group(found["group_state"], len(found["members"]), read)


def members(brokers: str, groups: Collection[str]) -> list[str]:
    """Which of these groups have a member that the broker takes for alive. Raises Retry."""
    with _admin(brokers) as admin:
        found = admin.describe_groups(list(groups))
    return sorted(group for group, state in found.items() if state["members"])


def bounds(brokers: str, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
    """What each partition holds: its first offset, and the one that its next message will get."""
    every = [TopicPartition(topic, partition) for partition in range(partitions)]
    with _admin(brokers) as admin:
        first = admin.list_partition_offsets(dict.fromkeys(every, OffsetSpec.EARLIEST))
        end = admin.list_partition_offsets(dict.fromkeys(every, OffsetSpec.LATEST))
    return {each.partition: (first[each].offset, end[each].offset) for each in every}


def since(brokers: str, topic: str, partitions: int, instant: int) -> dict[int, tuple[int, int]]:
    """What was received since an instant (milliseconds): its first offset in each partition, and the end."""
    every = [TopicPartition(topic, partition) for partition in range(partitions)]
    with _admin(brokers) as admin:
        end = admin.list_partition_offsets(dict.fromkeys(every, OffsetSpec.LATEST))
        first = admin.list_partition_offsets(dict.fromkeys(every, instant))
    return {
        each.partition: (
            first[each].offset if 0 <= first[each].offset <= end[each].offset else end[each].offset,
            end[each].offset,
        )
        for each in every
    }


def read(brokers: str, topic: str, ranges: Mapping[int, tuple[int, int]]) -> Generator[Any, None, None]:
    """The messages of some partitions, from an offset up to another, each partition in its order.

    Those that Kafka no longer holds are not among them. Raises Retry.
    """
    with reaching(brokers), closing(reader(brokers)) as consumer:
        for at, (first, end) in ranges.items():
            partition = TopicPartition(topic, at)
            consumer.assign([partition])
            consumer.seek(partition, first)
            reached, until = -1, 0.0
            while (position := consumer.position(partition)) < end:
                if position > reached:
                    reached, until = position, time.monotonic() + _READ_SECONDS
                elif time.monotonic() > until:
                    raise Retry("kafka", f"partition {at} of {topic} cannot be read. Next: motcua status")
                for messages in consumer.poll(timeout_ms=500).values():
                    yield from (one for one in messages if one.offset < end)


def reader(brokers: str, **settings: Any) -> Any:
    """A consumer that belongs to no group; `settings` as the client has them."""
    own = {
        "auto_offset_reset": "earliest",
        # Of a partition at once, compressed; a message that is larger comes alone.
        "max_partition_fetch_bytes": 1 << 18,
    }
    return KafkaConsumer(
        bootstrap_servers=brokers.split(","),
        group_id=None,
        enable_auto_commit=False,
        metrics_enabled=False,
        **own | settings,
    )


def forget(brokers: str, group: str) -> None:
    """Deletes a group and what it had committed, if it is there. Raises Retry while it has members."""
    with _admin(brokers) as admin:
        refused = [why for why in admin.delete_groups([group]).values() if why not in _FORGOTTEN]
    if refused:
        msg = f"group {group} cannot be deleted: {refused[0]}. Next: stop its workers"
        raise Retry("kafka", msg)


_FORGOTTEN: Final = ("OK", "GroupIdNotFoundError")


def committed(brokers: str, topic: str, group: str) -> dict[int, int]:
    """From which offset of each partition a group goes on, where it has said so."""
    with _admin(brokers) as admin:
        found = admin.list_group_offsets(group).get(group, {})
    return {at.partition: held.offset for at, held in found.items() if at.topic == topic and held.offset >= 0}


def rewind(brokers: str, topic: str, group: str, offsets: Mapping[int, int]) -> None:
    """Lets a group without members go on from these offsets, by partition. Raises Retry while it has some."""
    wanted = {
        TopicPartition(topic, partition): OffsetAndMetadata(offset, "", None)
        for partition, offset in offsets.items()
    }
    with _admin(brokers) as admin:
        refused = [
            error for error in admin.alter_group_offsets(group, wanted).values() if error is not NoError
        ]
        if refused:
            raise refused[0]


def create(brokers: str, topic: str, partitions: int = 12) -> None:
    """Makes the topic, with no end to its retention, and waits until it can be used.

    One that is there already is left as it is.
    """
    ever = str((1 << 63) - 1)
    configs = {
        "max.message.bytes": str(LARGEST_MESSAGE),
        "retention.ms": "-1",
        "retention.bytes": "-1",
        # A message is stamped with when its call was received, which may be years ago, or a typo ahead.
        "message.timestamp.before.max.ms": ever,
        "message.timestamp.after.max.ms": ever,
    }
    with _admin(brokers) as admin:
        with suppress(TopicAlreadyExistsError):
            admin.create_topics(
                {topic: {"num_partitions": partitions, "replication_factor": -1, "configs": configs}}
            )
        admin.wait_for_topics([topic])


def delete(brokers: str, topic: str, within: float = 10) -> None:
    """Deletes the topic with all that it holds, and waits until the brokers no longer know it."""
    with _admin(brokers) as admin:
        try:
            admin.delete_topics([topic])
        except UnknownTopicOrPartitionError:
            return
        deadline = time.monotonic() + within
        while admin.describe_topics([topic])[0]["error_code"] != UnknownTopicOrPartitionError.errno:
            if time.monotonic() > deadline:
                raise Retry("kafka", f"topic {topic} is still there {within:.0f} s after it was deleted")
            time.sleep(0.02)


@contextmanager
def reaching(brokers: str) -> Iterator[None]:
    """Turns Kafka's errors inside the block into Retry (it is away, or not ready) and Fatal (it refuses)."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise kafka_failure(error, brokers) from error


@contextmanager
def _admin(brokers: str) -> Iterator[KafkaAdminClient]:
    with reaching(brokers):
        _knock(brokers)
        admin = KafkaAdminClient(
            bootstrap_servers=brokers.split(","), bootstrap_timeout_ms=5_000, request_timeout_ms=10_000
        )
        try:
            yield admin
        finally:
            admin.close()


def _knock(brokers: str) -> None:
    """Raises OSError at once where nobody listens: the client would try for seconds, and leak its sockets."""
    refused = OSError("no broker is named")
    for address in brokers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except OSError as error:
            refused = error
        except ValueError:
            refused = OSError(f"{address} is not HOST:PORT")
        else:
            return
    raise refused
