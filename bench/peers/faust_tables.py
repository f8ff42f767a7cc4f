"""Faust as its documentation shows it: an agent, two tables in memory with their changelogs in Kafka."""

import asyncio
import json
import sys
import time
from typing import Any

import faust

from producers import topics


async def main(brokers: str, topic: str, messages: int) -> None:
    app = faust.App(
        "peer-faust",
        broker=[f"kafka://{address}" for address in brokers.split(",")],
        store="memory://",
        topic_partitions=12,
        topic_disable_leader=True,
        web_enabled=False,
    )
    calls = app.topic(topic, key_serializer="raw", value_serializer="json")
    latest = app.Table("latest", partitions=12)
    received = app.Table("received", default=int, partitions=12)
    e_result = app.Table("e_result", default=int, partitions=12)
    done = app.Table("done", default=int, partitions=12)
    seen = 0
    began = ended = 0.0
    finished = asyncio.Event()

    def count(state: list[Any], sign: int) -> None:
        _, cell, result, is_done = state
        received[cell] += sign
        if result:
            e_result[cell] += sign
        if is_done:
            done[cell] += sign

    @app.agent(calls)
    async def fold(stream: Any) -> None:
        nonlocal seen, began, ended
        async for call in stream:
            began = began or time.perf_counter()
            for record in call["data"]:
                number = record["MaHoSo"]
                at = record["NgayKetThucXuLy"] or record["NgayTiepNhan"]
                held = latest.get(number)
                if held is not None:
                    if at < held[0]:
                        continue
                    count(held, -1)
                links = record["DanhSachGiayToKetQua"]
                state = [
                    at,
                    f"{call['madonvi']} {record['NgayTiepNhan'][:8]}",
                    bool(links and links[0]["DuongDanTepTinKetQua"]),
                    record["TrangThaiHoSo"] in ("7", "9", "10"),
                ]
                count(state, 1)
                latest[number] = state
            seen += 1
            if seen == messages:
                ended = time.perf_counter()
                finished.set()

    # Faust would make their topics itself, but may wait for ever for what it has only just made.
    for table in (latest, received, e_result, done):
        topics.create(brokers, table.changelog_topic.get_topic_name(), 12)
    await app.start()
    await finished.wait()
    answer = {
        name: sum(table.values())
        for name, table in (("received", received), ("e_result", e_result), ("done", done))
    }
    print(json.dumps({"seconds": ended - began, "answer": answer}), flush=True)
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
