"""A topic made anew under a living database: its small offsets win, and nothing is lost (rule 1)."""

from pathlib import Path

import pytest

from producers import topics
from tests.recount.recount import read_log, recount
from tests.recount.worlds import world
from tests.support.stack import Stack

pytestmark = pytest.mark.stack

GROUPS = ("unit", "day", "system")


def test_a_topic_made_anew_is_refused_then_registered_and_its_events_win(
    stack: Stack, tmp_path: Path
) -> None:
    lines = [line.rstrip(b"\n") + b"\n" for line in world(3, 6_000)]
    first, second = tmp_path / "first.ndjson", tmp_path / "second.ndjson"
    first.write_bytes(b"".join(lines[: len(lines) // 2]))
    second.write_bytes(b"".join(lines[len(lines) // 2 :]))
    stack.run("publish", first, "--wait")

    topics.delete(stack.address("kafka"), "dossiers")
    topics.create(stack.address("kafka"), "dossiers", 12)
    refused = stack.done("worker")
    assert refused.returncode == 1
    last = refused.stderr.strip().splitlines()[-1]
    assert "topic_id" in last
    assert "motcua migrate" in last

    stack.run("migrate")
    assert stack.query("SELECT count() FROM generations FINAL") == "2"
    # The worker that was running notices and begins anew, by itself or by its supervisor.
    stack.run("publish", second, "--wait")

    expected = recount(read_log(second), into=recount(read_log(first)))
    rows = stack.json("rates", "--form", "both", "--by", ",".join(GROUPS))["rows"]
    assert rows
    assert rows == expected.rates(by=GROUPS, form="both")


def test_a_topic_with_more_partitions_is_refused(stack: Stack) -> None:
    from kafka.admin import KafkaAdminClient, NewPartitions

    admin = KafkaAdminClient(bootstrap_servers=stack.address("kafka"))
    admin.create_partitions({"dossiers": NewPartitions(total_count=13)})
    admin.close()
    refused = stack.done("worker")
    assert refused.returncode == 1
    assert "partitions 12 → 13" in refused.stderr.strip().splitlines()[-1]
