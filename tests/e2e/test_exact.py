"""The main promise, on a real broker and the real engine: every figure equals an independent recount.

The recount (`tests/recount`) shares no code with the project; it is held against the stack's own commands,
tally by tally, and against what is stored, dossier by dossier.
"""

import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest
from kafka import KafkaProducer

from sinks.client import connect
from tests.fuzz.pipeline import pipeline_inputs
from tests.recount.junk import junk
from tests.recount.recount import Recount, read_log, recount, recount_messages
from tests.recount.worlds import world
from tests.support.stack import Stack
from tests.support.stored import DOSSIERS, state
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

EVENTS = 200_000
JUNK = 400
HOSTILE = 2_000
REACHED = "SELECT sum(version) FROM progress FINAL"
GROUPS = ("unit", "body", "day", "month", "system")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One world in three logs, one after the other."""
    folder = tmp_path_factory.mktemp("logs")
    lines = [line.rstrip(b"\n") + b"\n" for line in world(20231002, EVENTS)]
    paths = [folder / f"world-{part}.ndjson" for part in range(3)]
    for part, path in enumerate(paths):
        path.write_bytes(b"".join(lines[part * len(lines) // 3 : (part + 1) * len(lines) // 3]))
    return paths


@pytest.fixture(scope="module")
def recounted(stack: Stack, logs: list[Path]) -> Recount:
    """The recount, once the stack has the junk and the logs, its worker killed twice in the middle.

    The hostile input is real calls to which something happened, of the units of the logs that come after it.
    """
    hostile = [item for _, item in pipeline_inputs(20231002, 20, HOSTILE)]
    messages = [*junk(7, JUNK), *((item.key, item.value, item.timestamp) for item in hostile)]
    producer = KafkaProducer(bootstrap_servers=stack.address("kafka"), max_request_size=16_000_000)
    for key, value, timestamp in messages:
        producer.send("dossiers", value, key, timestamp_ms=timestamp)
    producer.flush()
    producer.close()
    for log in logs:
        publishing = threading.Thread(target=stack.run, args=("publish", log, "--wait"))
        worker, reached = stack.pid("worker"), stack.query(REACHED)
        publishing.start()
        eventually(lambda reached=reached: stack.query(REACHED) != reached, "the worker takes a batch")
        if log != logs[-1]:
            os.kill(worker, signal.SIGKILL)
        publishing.join()
    return recount((line for log in logs for line in read_log(log)), into=recount_messages(messages))


def test_every_tally_equals_the_recount(stack: Stack, recounted: Recount) -> None:
    rows = stack.json("rates", "--form", "both", "--by", ",".join(GROUPS))["rows"]
    assert len(rows) > 10_000
    assert rows == recounted.rates(by=GROUPS, form="both")


@pytest.mark.parametrize("by", [(), ("body",), ("system", "month"), ("day", "body")])
def test_groups_pool_counts_in_a_period(stack: Stack, recounted: Recount, by: tuple[str, ...]) -> None:
    period = ("--from", "2023-09-15", "--to", "2024-06-30")
    rows = stack.json("rates", "--form", "both", "--by", ",".join(by), *period)["rows"]
    expected = recounted.rates(by=by, form="both", since=period[1], until=period[3])
    if by:
        assert rows == expected
    else:
        assert [row for row in rows if row["denominator"]] == expected


async def test_every_dossier_is_stored_as_recounted(stack: Stack, recounted: Recount) -> None:
    async with connect(stack.address("clickhouse"), "motcua") as database:
        rows = await database.rows(DOSSIERS)
    stored = {row["number"]: state(row) for row in rows}
    expected = recounted.states()
    assert stored.keys() == expected.keys()
    differences = [
        (number, name, value, expected[number].get(name))
        for number, found in stored.items()
        for name, value in found.items()
        if value != expected[number].get(name)
    ]
    assert differences == []


async def test_everything_refused_is_a_dead_letter_with_its_reason(stack: Stack, recounted: Recount) -> None:
    async with connect(stack.address("clickhouse"), "motcua") as database:
        rows = await database.rows(
            "SELECT toString(reason) AS reason, count() AS letters FROM dead_letters FINAL GROUP BY reason"
        )
    assert Counter({row["reason"]: row["letters"] for row in rows}) == recounted.rejections


async def test_no_personal_data_is_stored(stack: Stack, recounted: Recount) -> None:
    async with connect(stack.address("clickhouse"), "motcua") as database:
        leaked = await database.value(
            "SELECT count() FROM dead_letters WHERE match(fields, 'ChuHoSo|SoDienThoai|SoDinhDanh|Email')"
        )
    assert leaked == 0
