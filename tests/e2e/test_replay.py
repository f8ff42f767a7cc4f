"""Rehearsals on a real stack: exact beside a live stream, after any death, and nothing to the live workers.

Every figure is held against the recount of the same logs, which shares no code with the project.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from motcua import clock
from motcua.rehearsal import NICENESS
from producers import eventlog, topics
from producers.eventlog import Line
from tests.recount.reading import received_at_of
from tests.recount.recount import Recount, recount, recount_messages
from tests.recount.worlds import world
from tests.support.stack import Stack, running
from tests.support.topic import arrived
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

EVENTS = 20_000
GROUPS = ("unit", "body", "day", "month", "system")
BY = ("--form", "both", "--by", ",".join(GROUPS))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # Without canaries what is complete to is the last message, of the live system as of a rehearsal.
    with running(tmp_path_factory.mktemp("stack"), MOTCUA_CANARY_SECONDS="0") as up:
        yield up


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in four logs: two that overlap, and two that follow."""
    folder = tmp_path_factory.mktemp("logs")
    lines = [line.rstrip(b"\n") + b"\n" for line in world(20260605, EVENTS)]
    half, most = len(lines) // 2, len(lines) * 3 // 4
    for name, some in (
        ("a.ndjson", lines[:half:2]),
        ("b.ndjson", lines[1:half:2]),
        ("c.ndjson", lines[half:most]),
        ("d.ndjson", lines[most:]),
    ):
        (folder / name).write_bytes(b"".join(some))
    return folder


@pytest.fixture(scope="module")
def recounted(folder: Path) -> Recount:
    return recount(by_receipt(sorted(folder.iterdir())))


@pytest.fixture(scope="module")
def unkilled(stack: Stack, folder: Path) -> dict[str, Any]:
    """The rates of a rehearsal that nothing happened to."""
    stack.run("replay", folder, "--into", "unkilled")
    document: dict[str, Any] = stack.json("rates", *BY, "--on", "unkilled")
    return document


def by_receipt(paths: list[Path]) -> Iterator[bytes]:
    """The lines of logs by when they were received; within a log none overtakes another."""
    found = []
    for number, path in enumerate(paths):
        newest = 0
        raw = path.read_bytes().split(b"\n")
        for line in eventlog.read([path]):
            newest = max(newest, line.received_at_ms if isinstance(line, Line) else 0)
            found.append((newest, number, line.number, raw[line.number - 1]))
    return (line for *_, line in sorted(found, key=lambda one: one[:3]))


def times(path: Path) -> Iterator[int]:
    return (line.received_at_ms // 1000 for line in eventlog.read([path]) if isinstance(line, Line))


def record(stack: Stack, name: str) -> dict[str, Any]:
    """What is written down of a rehearsal, {} before anything is."""
    said = stack.query(f"SELECT record FROM rehearsals FINAL WHERE name = '{name}' FORMAT TSVRaw")
    return json.loads(said) if said else {}


@contextmanager
def replaying(stack: Stack, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """`motcua replay` while it runs; it is ended afterwards if nobody did."""
    with subprocess.Popen(
        [sys.executable, "-m", "motcua", "replay", *map(str, arguments)],
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)


def parts(stack: Stack, name: str) -> dict[str, int]:
    return {row["name"]: row["pid"] for row in stack.json("status", "--on", name)["parts"] if row["pid"]}


def test_a_rehearsal_beside_live_events_is_exact_and_so_are_they(
    stack: Stack, folder: Path, recounted: Recount, tmp_path: Path
) -> None:
    live = tmp_path / "live.ndjson"
    live.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in world(7, EVENTS)))
    publishing = threading.Thread(target=stack.run, args=("publish", live, "--wait"))
    publishing.start()
    done = stack.done(
        "replay", folder / "[ab].ndjson", folder / "c.ndjson", folder / "d.ndjson", "--into", "re"
    )
    publishing.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    answer = stack.done("rates", *BY, "--on", "re", "--json")
    assert "rehearsed figures of re" in answer.stderr
    assert json.loads(answer.stdout)["rows"] == recounted.rates(by=GROUPS, form="both")
    expected = recount(live.read_bytes().splitlines(keepends=True))
    assert stack.json("rates", *BY)["rows"] == expected.rates(by=GROUPS, form="both")
    assert stack.done("audit", "--on", "re").returncode == 0

    (row,) = [row for row in stack.json("replay", "list")["rows"] if row["name"] == "re"]
    status = stack.json("replay", "status", "re")
    assert row == status
    assert (status["state"], status["share"], status["lag"], status["error"]) == ("done", 1.0, 0, None)
    assert (status["database"], status["topic"]) == ("motcua_re", "dossiers.re")
    assert status["sources"] == [str(folder / f"{name}.ndjson") for name in "abcd"]
    assert status["events"] > 0
    generation = stack.query("SELECT max(generation) FROM motcua.generations")
    assert stack.query("SELECT max(generation) FROM motcua_re.generations") == str(int(generation) + 1)
    letters = stack.json("dead", "list", "--on", "re")["rows"]
    assert sum(row["seen"] for row in letters) == sum(recounted.rejections.values())

    again = stack.done("replay", folder, "--into", "re")
    assert again.returncode == 2
    assert "there already" in again.stderr
    assert stack.done("replay", "resume", "re").returncode == 2


MOMENTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "prepared": lambda record: bool(record.get("generation")),
    "sending": lambda record: bool(record.get("messages")),
}


@pytest.mark.parametrize("moment", [pytest.param("prepared", marks=pytest.mark.long), "sending"])
def test_killed_at_any_moment_and_resumed_it_ends_as_one_that_was_not(
    stack: Stack, folder: Path, recounted: Recount, unkilled: dict[str, Any], moment: str
) -> None:
    name = f"killed_{moment}"
    with replaying(stack, folder, "--into", name) as process:
        eventually(lambda: MOMENTS[moment](record(stack, name)), moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    status = stack.json("replay", "status", name)
    assert status["state"] == "failed"
    assert f"motcua replay resume {name}" in status["error"]
    # Its worker, too, dies in the middle.
    with replaying(stack, "resume", name) as process:
        eventually(lambda: "worker" in parts(stack, name) or process.poll() is not None, "a worker runs")
        with suppress(ProcessLookupError, KeyError):
            os.kill(parts(stack, name)["worker"], signal.SIGKILL)
        assert process.wait(timeout=240) == 0
    document = stack.json("rates", *BY, "--on", name)
    assert document == unkilled
    assert document["rows"] == recounted.rates(by=GROUPS, form="both")
    stack.run("replay", "drop", name)


def test_paused_resumed_stopped_and_dropped_from_another_shell(stack: Stack, folder: Path) -> None:
    with replaying(stack, folder, "--into", "paced", "--speed", "3600") as process:
        eventually(lambda: record(stack, "paced").get("messages", 0) > 0, "something is sent")
        eventually(lambda: "worker" in parts(stack, "paced"), "its worker runs")
        running_parts = parts(stack, "paced")
        assert running_parts["sender"] == process.pid
        for pid in running_parts.values():
            assert os.getpriority(os.PRIO_PROCESS, pid) == NICENESS
        assert os.getpriority(os.PRIO_PROCESS, stack.pid("worker")) == 0
        # The rehearsal's own time is that of its log.
        first = min(next(times(path)) for path in folder.iterdir())
        offset = int((stack.data_dir / "rehearsals" / "paced" / "clock").read_text())
        assert 0 <= clock.now() + offset - first < 365 * 86_400
        refused = stack.done("replay", "drop", "paced")
        assert refused.returncode == 2
        assert "motcua replay stop paced" in refused.stderr
        assert stack.done("replay", "resume", "paced").returncode == 2
        assert stack.json("replay", "status", "paced")["state"] == "running"
        stack.run("replay", "pause", "paced")
        assert process.wait(timeout=60) == 1
    paused = stack.json("replay", "status", "paced")
    assert paused["state"] == "paused"
    assert 0 < paused["share"] < 1
    assert stack.json("status", "--on", "paced")["parts"] == []

    with replaying(stack, "resume", "paced") as process:
        eventually(lambda: record(stack, "paced")["messages"] > paused["messages"], "it goes on")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert stack.json("replay", "status", "paced")["state"] == "paused"

    with replaying(stack, "resume", "paced") as process:
        eventually(lambda: record(stack, "paced")["state"] == "running", "it runs")
        stack.run("replay", "stop", "paced")
        assert process.wait(timeout=60) == 1
    assert stack.json("replay", "status", "paced")["state"] == "stopped"
    assert stack.done("rates", "--on", "paced").returncode == 0

    stack.run("replay", "drop", "paced")
    assert "paced" not in {row["name"] for row in stack.json("replay", "list")["rows"]}
    assert topics.describe(stack.address("kafka"), "dossiers.paced") is None
    assert stack.query("SELECT count() FROM system.databases WHERE name = 'motcua_paced'") == "0"
    for command in (("rates", "--on", "paced"), ("replay", "drop", "paced"), ("replay", "pause", "paced")):
        gone = stack.done(*command)
        assert gone.returncode == 2, gone.stderr
        assert "no rehearsal paced" in gone.stderr


def test_the_live_topic_from_a_time_on(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "live.ndjson"
    log.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in world(8, 20_000)))
    stack.run("publish", log, "--wait")
    held = arrived(stack.address("kafka"), "dossiers")
    stamps = sorted(message.timestamp for message in held)
    since = stamps[len(stamps) // 2] // 1000
    chosen = []
    for partition in range(12):
        own = [message for message in held if message.partition == partition]
        first = next((at for at, one in enumerate(own) if one.timestamp >= since * 1000), len(own))
        chosen += own[first:]
    assert 0 < len(chosen) < len(held)
    stack.run("replay", "--from-topic", "--since", clock.iso(since), "--into", "topical")
    copied = arrived(stack.address("kafka"), "dossiers.topical")
    assert [(one.partition, one.key, one.value, one.timestamp) for one in copied] == [
        (one.partition, one.key, one.value, one.timestamp) for one in chosen
    ]
    expected = recount_messages((one.key, one.value, one.timestamp) for one in chosen)
    rows = stack.json("rates", *BY, "--on", "topical")["rows"]
    assert rows == expected.rates(by=GROUPS, form="both")
    bounds = topics.bounds(stack.address("kafka"), "dossiers", 12)
    assert record(stack, "topical")["ends"] == {str(one): end for one, (_, end) in bounds.items()}


@pytest.mark.long
def test_a_damaged_log_counts_up_to_its_damage_and_goes_on_once_it_is_whole(
    stack: Stack, folder: Path, tmp_path: Path
) -> None:
    lines = (folder / "d.ndjson").read_bytes()
    eventlog_path = tmp_path / "d.ndjson.zst"
    entries = [
        (clock.iso(line.received_at_ms // 1000), json.loads(line.call))
        for line in eventlog.read([folder / "d.ndjson"])
        if isinstance(line, Line)
    ]
    eventlog.write(eventlog_path, entries)
    whole = eventlog_path.read_bytes()
    eventlog_path.write_bytes(whole[: len(whole) // 2])
    failed = stack.done("replay", eventlog_path, "--into", "damaged")
    assert failed.returncode == 2
    assert "motcua replay resume damaged" in failed.stderr
    status = stack.json("replay", "status", "damaged")
    assert status["state"] == "failed"
    assert status["messages"] > 0
    eventlog_path.write_bytes(whole)
    stack.run("replay", "resume", "damaged")
    expected = recount(lines.splitlines(keepends=True))
    rows = stack.json("rates", *BY, "--on", "damaged")["rows"]
    assert rows == expected.rates(by=GROUPS, form="both")


def test_what_is_no_rehearsal_is_never_touched(stack: Stack, folder: Path) -> None:
    stack.query("CREATE DATABASE motcua_mine")
    refused = stack.done("replay", folder, "--into", "mine")
    assert refused.returncode == 2
    assert "is no rehearsal" in refused.stderr
    assert stack.done("replay", "drop", "mine").returncode == 2
    assert stack.query("EXISTS DATABASE motcua_mine") == "1"
    assert stack.done("worker", "--on", "nobody").returncode == 2


@pytest.mark.long
def test_a_worker_by_hand_and_the_register_of_the_live_database(
    stack: Stack, folder: Path, tmp_path: Path
) -> None:
    register = tmp_path / "register"
    shutil.copytree(Path(__file__).parents[2] / "rates" / "reference", register)
    targets = (register / "targets.csv").read_text(encoding="utf-8")
    (register / "targets.csv").write_text(targets.rstrip("\n").rpartition("\n")[0] + "\n", encoding="utf-8")
    stack.run("migrate", "--register", register)
    stack.run("replay", folder / "d.ndjson", "--into", "own")
    for table in ("units", "procedures", "targets", "unit_bodies"):
        same = f"(SELECT groupArray(tuple(*)) FROM (SELECT * FROM {{}}.{table} ORDER BY ALL))"
        assert stack.query(f"SELECT {same.format('motcua')} = {same.format('motcua_own')}") == "1"
    with subprocess.Popen(
        [sys.executable, "-m", "motcua", "worker", "--on", "own", "--port", "0"],
        env=stack.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if "worker ready" in line)
            assert "motcua-own-g" in line
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == NICENESS
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def test_what_was_known_on_a_day_is_a_recount_of_the_log_up_to_its_end(
    stack: Stack, folder: Path, tmp_path: Path
) -> None:
    lines = [line for path in sorted(folder.iterdir()) for line in path.read_bytes().split(b"\n")]
    told = [(at, line) for line in lines if (at := received_at(line)) is not None]
    told.sort(key=lambda one: one[0])
    log = tmp_path / "sorted.ndjson"
    log.write_bytes(b"".join(line + b"\n" for _, line in told))
    stack.run("replay", log, "--into", "known")
    days = sorted({clock.iso(at)[:10] for at, _ in told})
    assert len(days) > 100
    for day in (days[0], days[len(days) // 3], days[len(days) // 2], days[-2], "2049-01-01"):
        end = clock.end_of(day)
        cut = [line for at, line in told if at < end]
        known = stack.json("rates", *BY, "--as-of", day, "--on", "known")
        assert known["rows"] == recount(cut).rates(by=GROUPS, form="both")
        assert known["complete_to"] <= f"{day}T23:59:59+07:00"
    assert known["rows"] == stack.json("rates", *BY, "--on", "known")["rows"]


def received_at(line: bytes) -> int | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return received_at_of(entry.get("received_at")) if isinstance(entry, dict) else None
