"""ClickHouse's own Kafka engine → materialized view → ReplacingMergeTree; counters are a query, not rows.

In a directory that is thrown away: an engine that has held such a table does not open it again. The process
ends without closing it, for its consumers do not always end.
"""

import json
import os
import sys
import tempfile
import time
from typing import Any

import chdb
from chdb import session as untyped_session

# A status time, then the order of arrival: of equal times the later record stands.
_VERSION = "(toUInt64(at) - 20000000000000) * 67108864 + _offset * 256 + index"
_RECORD = (
    "Tuple(MaHoSo String, NgayTiepNhan String, NgayKetThucXuLy String, TrangThaiHoSo String, "
    "DanhSachGiayToKetQua Array(Tuple(DuongDanTepTinKetQua String)))"
)


def main(brokers: str, topic: str, records: int) -> None:
    folder = tempfile.mkdtemp(prefix="motcua-kafka-engine-")
    session: Any = untyped_session.Session(folder)  # type: ignore[no-untyped-call]
    for statement in statements(brokers, topic):
        began = time.perf_counter()  # the last one begins to read
        try:
            session.query(statement)
        except chdb.ChdbError as error:
            # What the embedded engine says of a table of this kind, which it has made nevertheless.
            if "Shutdown was called" not in str(error) or "ENGINE = Kafka" not in statement:
                raise
    while one(session, "SELECT sum(records) FROM peer.heard") < records:
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    total = json.loads(
        session.query(
            "SELECT sum(received) AS received, sum(e_result) AS e_result, sum(done) AS done FROM ("
            "SELECT unit, day, count() AS received, sum(e_result) AS e_result, sum(done) AS done "
            "FROM peer.dossiers FINAL GROUP BY unit, day)",
            "JSONEachRow",
        ).data()
    )
    answer = {name: int(value) for name, value in total.items()}
    print(json.dumps({"seconds": seconds, "answer": answer}), flush=True)
    os._exit(0)


def statements(brokers: str, topic: str) -> list[str]:
    queue = (
        f"kafka_broker_list = '{brokers}', kafka_topic_list = '{topic}', kafka_format = 'JSONEachRow', "
        "kafka_group_name = 'peer-kafka-engine', kafka_flush_interval_ms = 1000, "
        "input_format_skip_unknown_fields = 1"
    )
    return [
        "CREATE DATABASE peer ENGINE = Atomic",
        (
            "CREATE TABLE peer.dossiers (unit LowCardinality(String), number String, version UInt64, "
            "day String, e_result UInt8, done UInt8) "
            "ENGINE = ReplacingMergeTree(version) ORDER BY (unit, number)"
        ),
        "CREATE TABLE peer.heard (records UInt64) ENGINE = SummingMergeTree ORDER BY tuple()",
        f"CREATE TABLE peer.calls (madonvi String, data Array({_RECORD})) ENGINE = Kafka SETTINGS {queue}",
        (
            "CREATE MATERIALIZED VIEW peer.hearing TO peer.heard AS "
            "SELECT count() AS records FROM peer.dossiers"
        ),
        (
            "CREATE MATERIALIZED VIEW peer.folding TO peer.dossiers AS "
            "WITH if(record.NgayKetThucXuLy = '', record.NgayTiepNhan, record.NgayKetThucXuLy) AS at "
            "SELECT madonvi AS unit, record.MaHoSo AS number, "
            f"{_VERSION} AS version, substring(record.NgayTiepNhan, 1, 8) AS day, "
            "length(record.DanhSachGiayToKetQua) > 0 AS e_result, "
            "record.TrangThaiHoSo IN ('7', '9', '10') AS done "
            "FROM peer.calls ARRAY JOIN data AS record, arrayEnumerate(data) AS index"
        ),
    ]


def one(session: Any, query: str) -> int:
    return int(session.query(query, "TSV").data() or 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[4]))
