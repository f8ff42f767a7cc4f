"""The limit: consume, decode the same fields, keep the latest state of each dossier in a dict; store nothing.

`python -m bench.limit BROKERS TOPIC MESSAGES` prints its seconds and its answer as JSON.
"""

import json
import sys
import time

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from rates.declared import Call


def main(brokers: str, topic: str, messages: int) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "limit",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "queued.max.messages.kbytes": 65_536,
        }
    )
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    decode = msgspec.json.Decoder(Call).decode
    latest: dict[str, tuple[str, str, bool]] = {}
    seen = 0
    start = 0.0
    while seen < messages:
        for message in consumer.consume(500, 1.0):
            start = start or time.perf_counter()
            seen += 1
            for record in decode(message.value() or b"").data or ():
                number = record.MaHoSo or ""
                status = record.TrangThaiHoSo or ""
                at = record.NgayTra or record.NgayKetThucXuLy or record.NgayTiepNhan or ""
                held = latest.get(number)
                if held is None or at >= held[0]:
                    links = record.DanhSachGiayToKetQua
                    latest[number] = (at, status, bool(links and links[0].DuongDanTepTinKetQua))
    seconds = time.perf_counter() - start
    consumer.close()
    answer = {
        "received": len(latest),
        "e_result": sum(result for _, _, result in latest.values()),
        "done": sum(status in ("7", "9", "10") for _, status, _ in latest.values()),
    }
    print(json.dumps({"seconds": seconds, "answer": answer}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
