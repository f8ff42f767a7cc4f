"""Quix Streams as its documentation shows it: a dataframe with RocksDB state and its changelog in Kafka.

Runs in an environment of its own (bench/peers.lock), so it imports nothing of the project.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from typing import Any

from quixstreams import Application, State  # type: ignore[import-not-found]

FIELDS = ("received", "e_result", "done")
total: Counter[str] = Counter()
began = ended = 0.0


def count(state: State, held: list[Any], sign: int) -> None:
    _, day, *counted = held
    cell = state.get(day, default=[0, 0, 0])
    state.set(day, [value + sign * one for value, one in zip(cell, counted, strict=True)])
    for name, one in zip(FIELDS, counted, strict=True):
        total[name] += sign * one


def fold(record: dict[str, Any], state: State) -> None:
    """One record; state is that of its unit, the key of its message."""
    global began, ended
    began = began or time.perf_counter()
    number = record["MaHoSo"]
    at = record["NgayKetThucXuLy"] or record["NgayTiepNhan"]
    held = state.get(number)
    if held is None or at >= held[0]:
        if held is not None:
            count(state, held, -1)
        links = record["DanhSachGiayToKetQua"]
        new = [
            at,
            f"day {record['NgayTiepNhan'][:8]}",
            1,
            int(bool(links and links[0]["DuongDanTepTinKetQua"])),
            int(record["TrangThaiHoSo"] in ("7", "9", "10")),
        ]
        count(state, new, 1)
        state.set(number, new)
    ended = time.perf_counter()


def main(brokers: str, topic: str, records: int) -> None:
    with tempfile.TemporaryDirectory(prefix="motcua-quix-") as folder:
        app = Application(
            broker_address=brokers,
            consumer_group="peer-quix",
            auto_offset_reset="earliest",
            state_dir=folder,
            loglevel="WARNING",
            consumer_extra_config={"fetch.queue.backoff.ms": 5},
        )
        calls = app.topic(topic, key_deserializer="str", value_deserializer="json")
        frame = app.dataframe(calls)
        frame = frame.apply(lambda call: call["data"], expand=True)
        frame = frame.update(fold, stateful=True)
        app.run(count=records, collect=False)
    print(
        json.dumps({"seconds": ended - began, "answer": {name: total[name] for name in FIELDS}}), flush=True
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[4]))
