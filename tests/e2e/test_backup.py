"""A backup made while a worker writes, put back later: nothing is lost, nothing counts twice."""

import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from producers import topics
from tests.recount.junk import junk
from tests.recount.recount import Recount, read_log, recount, recount_messages
from tests.recount.worlds import world
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

GROUPS = ("unit", "day", "system")
POSITIONS = "SELECT groupArray(version) FROM (SELECT version FROM progress FINAL ORDER BY partition)"
LETTERS = "SELECT reason, count() FROM dead_letters FINAL GROUP BY reason FORMAT TSV"


class Story:
    """One database's life, in the order in which the tests tell it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.busy = folder / "busy.tar"
        self.quiet = folder / "quiet.tar"
        lines = [line.rstrip(b"\n") + b"\n" for line in world(20260105, 24_000)]
        self.logs = [folder / f"{part}.ndjson" for part in range(4)]
        for part, log in enumerate(self.logs):
            log.write_bytes(b"".join(lines[part * len(lines) // 4 : (part + 1) * len(lines) // 4]))
        self.junk = junk(11, 60)

    def recounted(self, logs: int) -> Recount:
        counted = recount(line for log in self.logs[:logs] for line in read_log(log))
        return recount_messages(self.junk, into=counted)

    def matches(self, stack: Stack, expected: Recount) -> None:
        rows = stack.json("rates", "--form", "both", "--by", ",".join(GROUPS))["rows"]
        assert rows
        assert rows == expected.rates(by=GROUPS, form="both")
        letters = dict(line.split("\t") for line in stack.query(LETTERS).splitlines())
        assert Counter({reason: int(count) for reason, count in letters.items()}) == expected.rejections


@pytest.fixture(scope="module")
def story(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Story:
    story = Story(stack, tmp_path_factory.mktemp("backups"))
    producer = KafkaProducer(bootstrap_servers=stack.address("kafka"), max_request_size=16_000_000)
    for key, value, timestamp in story.junk:
        producer.send("dossiers", value, key, timestamp_ms=timestamp)
    producer.flush()
    producer.close()
    stack.run("publish", story.logs[0], "--wait")
    before = stack.query(POSITIONS)
    publishing = threading.Thread(target=stack.run, args=("publish", story.logs[1], "--wait"))
    publishing.start()
    eventually(lambda: stack.query(POSITIONS) != before, "the worker takes a batch")
    stack.run("backup", story.busy)
    publishing.join()
    stack.run("publish", story.logs[2], "--wait")
    return story


def test_a_restore_never_goes_over_data_nor_under_a_worker(story: Story) -> None:
    there = story.stack.done("restore", story.busy)
    assert there.returncode == 2
    assert "holds data" in there.stderr
    assert f"motcua restore {story.busy} --replace" in there.stderr
    alive = story.stack.done("restore", story.busy, "--replace")
    assert alive.returncode == 2
    assert "a worker is alive in group motcua-g1" in alive.stderr
    assert "motcua down" in alive.stderr
    story.matches(story.stack, story.recounted(3))


def test_a_copy_under_another_name_leaves_everything_alone(story: Story) -> None:
    stack = story.stack
    stack.run("--database", "looked_at", "restore", story.busy)
    assert stack.json("--database", "looked_at", "rates")["rows"]
    refused = stack.done("--database", "looked_at", "worker")
    assert refused.returncode == 1
    assert "the topic is not the one of generation 2" in refused.stderr
    assert int(stack.query("SELECT count() FROM generations FINAL")) == 1
    story.matches(stack, story.recounted(3))


def test_a_second_database_does_not_take_events_from_the_first_ones_workers(story: Story) -> None:
    refused = story.stack.done("--database", "second", "migrate")
    assert refused.returncode == 1
    assert "workers of another database read topic dossiers as group motcua-g1" in refused.stderr


def test_what_is_no_whole_backup_is_refused_before_anything_starts(story: Story, tmp_path: Path) -> None:
    whole = story.busy.read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    elsewhere = Stack(tmp_path / "elsewhere")
    for file, why in ((tmp_path / "cut.tar", "cut short"), (tmp_path / "none.tar", "cannot be read")):
        refused = elsewhere.done("restore", file)
        assert refused.returncode == 2
        assert why in refused.stderr
    assert not (tmp_path / "elsewhere").exists()
    again = story.stack.done("backup", story.busy)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    nowhere = story.stack.done("backup", tmp_path / "no" / "such" / "folder.tar")
    assert nowhere.returncode == 2
    assert "cannot be written" in nowhere.stderr


def test_what_came_after_a_backup_comes_again_even_after_a_restore_was_killed(story: Story) -> None:
    stack = story.stack
    positions = [int(version) for version in stack.query(POSITIONS).strip("[]").split(",")]
    stack.run("down")
    with subprocess.Popen(
        [sys.executable, "-m", "motcua", "restore", str(story.busy), "--replace"],
        env=stack.environment,
        stderr=subprocess.PIPE,
    ) as restoring:
        eventually(lambda: (stack.data_dir / "run.json").exists(), "broker and engine start", within=60)
        eventually(lambda: "motcua_restoring" in _databases(stack), "rows are gathered", within=60)
        restoring.send_signal(signal.SIGKILL)
    told = stack.done("rates")
    assert told.returncode == 1
    assert "restore of database motcua is under way or stopped half-way" in told.stderr
    stack.run("restore", story.busy, "--replace")
    assert "motcua_restoring" not in _databases(stack)
    stack.run("down")
    stack.run("up", "--detach")

    def caught_up() -> bool:
        now = [int(version) for version in stack.query(POSITIONS).strip("[]").split(",")]
        return all(is_at >= was_at for is_at, was_at in zip(now, positions, strict=True))

    eventually(caught_up, "the worker folds again what came after the backup", within=60)
    story.matches(stack, story.recounted(3))
    assert stack.done("audit").returncode == 0


def test_a_database_moves_to_another_machine_and_goes_on_there(story: Story, tmp_path: Path) -> None:
    said = story.stack.done("backup", story.quiet)
    assert said.returncode == 0, said.stderr
    assert "every byte as written" in said.stderr
    other = Stack(tmp_path / "other")
    done = other.done("restore", story.quiet)
    assert done.returncode == 0, done.stderr
    assert "is generation 2" in done.stderr
    assert other.json("status")["parts"] == []
    other.run("up", "--detach")
    try:
        story.matches(other, story.recounted(3))
        other.run("publish", story.logs[3], "--wait")
        story.matches(other, story.recounted(4))
    finally:
        other.run("down")


def test_a_database_that_was_lost_is_made_again_from_the_topic_alone(story: Story) -> None:
    stack = story.stack
    stack.run("down")
    shutil.rmtree(stack.data_dir / "engine")
    stack.run("up", "--detach")
    expected = story.recounted(3).rates(by=GROUPS, form="both")
    command = ("rates", "--form", "both", "--by", ",".join(GROUPS))
    eventually(lambda: stack.json(*command)["rows"] == expected, "everything is folded again", within=60)
    story.matches(stack, story.recounted(3))


def test_a_backup_older_than_what_kafka_kept_goes_on_from_there_and_says_what_is_missing(
    story: Story, tmp_path: Path
) -> None:
    stack = story.stack
    stack.run("backup", tmp_path / "older.tar")
    stack.run("publish", story.logs[3], "--wait")
    bounds = topics.bounds(stack.address("kafka"), "dossiers", 12)
    admin = KafkaAdminClient(bootstrap_servers=stack.address("kafka"))
    admin.delete_records({TopicPartition("dossiers", at): end for at, (_, end) in bounds.items()})
    admin.close()
    stack.run("down")
    restored = stack.done("restore", tmp_path / "older.tar", "--replace")
    assert restored.returncode == 0, restored.stderr
    assert "Kafka no longer holds offsets" in restored.stderr
    stack.run("up", "--detach")
    stack.run("publish", story.logs[3], "--wait")
    story.matches(stack, story.recounted(4))


def _databases(stack: Stack) -> str:
    try:
        return stack.query("SELECT groupArray(name) FROM system.databases")
    except (OSError, KeyError):
        return ""
