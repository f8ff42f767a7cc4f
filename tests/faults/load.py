"""The load: seeded worlds and junk, published by a process of its own as far as it is allowed.

It reads from stdin how many events it may have sent (one number a line, each above the last) and says on
stdout, as one JSON document a line, what is in Kafka for certain. While the broker is away it tries the same
piece again: what is then there twice changes no figure, and the recount reads the topic itself.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from producers.publish import publish
from rates.failures import Retry
from tests.recount.junk import Message, junk
from tests.recount.worlds import world

WORLD: Final = 100_000
"""So many events are one world; the next has another seed. Memory stays that of one."""
JUNK: Final = 200
"""Raw messages to a world."""
PATIENCE: Final = 20.0


def pieces(seed: int, events: int, piece: int) -> Iterator[tuple[int, list[bytes], list[Message]]]:
    """The load in pieces: how many events it is up to their end, lines of a log, and junk."""
    done = 0
    for part in range((events + WORLD - 1) // WORLD):
        size = min(WORLD, events - part * WORLD)
        raw = junk(seed * 1_000 + part, JUNK)
        lines: list[bytes] = []
        held = 0
        for line in world(seed * 1_000 + part, size):
            lines.append(line)
            held += line.count(b'"MaHoS')
            if held >= piece:
                done += held
                take = JUNK * piece // size + 1
                yield done, lines, raw[:take]
                del raw[:take]
                lines, held = [], 0
        done += held
        yield done, lines, raw


def send(
    brokers: str, topic: str, lines: list[bytes], raw: list[Message], log: Path
) -> tuple[dict[int, int], int]:
    """A piece, until all of it is in Kafka: the last offset by partition, and how often it was sent again."""
    log.write_bytes(b"".join(lines))
    again = 0
    while True:
        try:
            ends = publish([log], brokers=brokers, topic=topic, patience=PATIENCE).last_offsets
            return ends | (_send_raw(brokers, topic, raw) if raw else {}), again
        except Retry:
            again += 1
            time.sleep(0.2)


def _send_raw(brokers: str, topic: str, raw: list[Message]) -> dict[int, int]:
    try:
        producer = KafkaProducer(
            bootstrap_servers=brokers,
            max_request_size=16 * 1024 * 1024,
            acks="all",
            delivery_timeout_ms=int(PATIENCE * 1000),
            request_timeout_ms=5_000,
            metrics_enabled=False,
        )
    except (KafkaError, OSError) as error:
        raise Retry("kafka", str(error)) from error
    sent = True
    try:
        futures = [producer.send(topic, value, key, timestamp_ms=time) for key, value, time in raw]
        ends = {there.partition: there.offset for there in (f.get(timeout=PATIENCE) for f in futures)}
    except (KafkaError, OSError) as error:
        sent = False
        raise Retry("kafka", str(error)) from error
    finally:
        if not sent:
            producer._sender.force_close()
        producer.close(timeout=PATIENCE)
    return ends


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.load")
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--piece", type=int, default=2_000, help="events that are sent at once")
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--ahead", action="store_true", help="make all of it before any is sent")
    options = parser.parse_args()
    load = pieces(options.seed, options.events, options.piece)
    allowed = done = again = 0
    for upto, lines, raw in list(load) if options.ahead else load:
        while done >= allowed:
            line = sys.stdin.readline()
            if not line:
                return 0
            allowed = int(line)
        ends, more = send(options.brokers, options.topic, lines, raw, options.scratch / "piece.ndjson")
        done, again = upto, again + more
        _tell({"events": done, "again": again, "ends": ends, "end": False})
    _tell({"events": done, "again": again, "ends": {}, "end": True})
    return 0


def _tell(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
