"""What a topic holds."""

import contextlib
from typing import Any

from kafka import KafkaConsumer, TopicPartition


def arrived(kafka: str, topic: str) -> list[Any]:
    """Every message of a topic, partition by partition, each in its order."""
    with contextlib.closing(
        KafkaConsumer(bootstrap_servers=kafka, max_partition_fetch_bytes=1 << 25)
    ) as consumer:
        partitions = [
            TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        found: list[Any] = []
        while len(found) < sum(ends.values()):
            for messages in consumer.poll(timeout_ms=1_000).values():
                found += messages
    return sorted(found, key=lambda message: (message.partition, message.offset))
