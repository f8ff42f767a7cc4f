"""The supervisor starts parts in order, keeps them running, and leaves nothing behind."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.local import broker, claim, doctor, jars, stack
from infra.local.claim import PartStatus
from infra.local.trouble import Away, WrongUse

ROOT = Path(__file__).resolve().parents[2]

# A part: notes when it starts and stops, says that it is ready, and waits.
FAKE = """
import signal, sys, time
name, notes = sys.argv[1:3]
def note(what):
    with open(notes, "a") as file:
        file.write(f"{what} {name}\\n")
def stop(*_):
    note("stop")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else stop)
note("start")
if "dies" in sys.argv:
    sys.exit("I cannot go on")
if "parent" in sys.argv:
    import subprocess
    child = subprocess.Popen(["sleep", "1000"])
    print("child", child.pid)
print(f"{name} is ready \\x1b[31m", flush=True)
while True:
    time.sleep(1000)
"""

# The command that a front door would be: `up DATA PARTS [real]`.
UP = """
import json, sys
from pathlib import Path
from infra.local import parts, stack
from infra.local.trouble import Trouble
data, described = Path(sys.argv[1]), json.loads(sys.argv[2])
def note(name):
    with open(data.parent / "notes", "a") as file:
        file.write(f"before {name}\\n")
def listed():
    real = [parts.broker_part(data, say=print), parts.engine_part(data)] if "real" in sys.argv else []
    fakes = [stack.Part(**one, before=lambda name=one["name"]: note(name)) for one in described]
    return [*real, *fakes]
try:
    sys.exit(stack.up(data, listed))
except Trouble as trouble:
    print(trouble, file=sys.stderr)
    sys.exit(trouble.code)
"""


def until(happens: Callable[[], bool], *, within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not happens():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return not told.stdout.strip() or told.stdout.startswith("Z")


def words(pid: int) -> str:
    """The command line of a process."""
    return subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout


@dataclass(frozen=True, slots=True)
class House:
    """A data directory and the notes of the parts that ran in it."""

    data: Path

    def part(self, name: str, *words: str, **more: object) -> dict[str, object]:
        command = [sys.executable, "-c", FAKE, name, str(self.data.parent / "notes"), *words]
        return {"name": name, "argv": command, "ready": f"{name} is ready", "address": f"{name}:1"} | more

    def command(self, *parts: dict[str, object], real: bool = False) -> list[str]:
        return [sys.executable, "-c", UP, str(self.data), json.dumps(parts), *(["real"] if real else [])]

    def notes(self) -> list[str]:
        path = self.data.parent / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def status(self) -> dict[str, PartStatus]:
        return {part.name: part for part in claim.status(self.data)}

    def pid(self, name: str) -> int:
        pid = self.status()[name].pid
        assert pid is not None
        return pid

    def runs(self, without: int = 0) -> bool:
        """Whether every part runs, and none of them as the process `without`."""
        parts = self.status().values()
        return bool(parts) and all(
            part.state == "running" and part.pid not in (None, without) for part in parts
        )


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "data")
    yield house
    claim.down(house.data)


@pytest.fixture
def start(house: House) -> Iterator[Start]:
    """Starts a supervisor in the foreground and waits until all of its parts run."""
    started: list[subprocess.Popen[str]] = []

    def start(*parts: dict[str, object], where: House = house, ready: bool = True) -> subprocess.Popen[str]:
        process = subprocess.Popen(where.command(*parts), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        started.append(process)
        if ready:
            until(where.runs)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_parts_start_in_order_and_stop_in_reverse_order(
    house: House, start: Start, number: signal.Signals
) -> None:
    process = start(house.part("one"), house.part("two"))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert house.notes() == ["before one", "start one", "before two", "start two", "stop two", "stop one"]
    assert claim.read(house.data) is None
    assert not claim.in_use(house.data)


def test_parts_that_need_nothing_do_not_wait_for_each_other(house: House, start: Start) -> None:
    never = house.part("never", ready="this is never said", needs=[])
    start(never, house.part("at once", needs=[]), ready=False)
    until(lambda: "at once" in house.status() and house.status()["at once"].state == "running")
    assert house.status()["never"].state == "starting"


def test_run_json_says_where_things_listen_to_their_owner_alone(house: House, start: Start) -> None:
    process = start(house.part("engine", announced={"clickhouse": "http://127.0.0.1:1"}))
    file = house.data / "run.json"
    document = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert document == {
        "pid": process.pid,
        "clickhouse": "http://127.0.0.1:1",
        "parts": [{"name": "engine", "pid": house.pid("engine"), "address": "engine:1", "state": "running"}],
    }


def test_every_line_stands_behind_its_part_on_the_terminal_and_in_the_log(house: House, start: Start) -> None:
    process = start(house.part("one"))
    process.terminate()
    _, said = process.communicate(timeout=60)
    log = stack.log_path(house.data).read_text()
    assert said == log
    assert "one    │ one is ready ␛[31m\n" in log
    assert "\x1b" not in log


def test_a_part_that_dies_is_started_again_and_the_others_go_on(house: House, start: Start) -> None:
    start(house.part("one"), house.part("two"))
    one, two = house.pid("one"), house.pid("two")
    os.kill(one, signal.SIGKILL)
    until(lambda: house.runs(without=one))
    assert house.pid("two") == two
    assert house.notes().count("start one") == 2
    assert house.notes().count("before one") == 1


def test_a_part_that_dies_five_times_ends_the_stack_with_its_last_lines(house: House, start: Start) -> None:
    process = start(house.part("one"), house.part("two", "dies"), ready=False)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert house.notes().count("start two") == 5
    assert house.notes()[-1] == "stop one"
    assert "motcua │ two ended with exit code 1, 5 times within a minute" in said
    assert "motcua │   I cannot go on" in said
    assert claim.read(house.data) is None


def test_a_part_that_refuses_its_first_task_ends_the_stack_at_once(house: House, start: Start) -> None:
    process = start(house.part("one"), house.part("two", "dies", first=["prepare"]), ready=False)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert house.notes().count("start two") == 1
    assert "motcua │ two ended with exit code 1, before it was ever ready: the stack ends" in said


def test_a_part_gets_its_first_task_until_it_was_ready_once(house: House, start: Start) -> None:
    start(house.part("one", first=["prepare"]))
    pid = house.pid("one")
    assert "prepare" in words(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: house.runs(without=pid))
    assert "prepare" not in words(house.pid("one"))


def test_a_part_that_is_not_ready_in_time_counts_as_dead(house: House, start: Start) -> None:
    process = start(house.part("one", ready="this is never said", ready_within=0.2), ready=False)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "one is not ready after 0.2 s" in said


def test_a_program_that_is_not_there_is_named(house: House, start: Start) -> None:
    process = start({"name": "one", "argv": ["no-such-program"], "ready": "never"}, ready=False)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot start no-such-program" in said


def test_a_part_that_does_not_stop_is_ended(house: House, start: Start) -> None:
    process = start(house.part("deaf", "deaf", stops_within=0.2))
    pid = house.pid("deaf")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert gone(pid)


def test_a_second_interrupt_stops_at_once(house: House, start: Start) -> None:
    process = start(house.part("deaf", "deaf", stops_within=1_000))
    process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in stack.log_path(house.data).read_text())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("words", [[], ["deaf"], ["parent"]])
def test_nothing_outlives_a_killed_supervisor(house: House, start: Start, words: list[str]) -> None:
    process = start(house.part("one", *words))
    pids = [house.pid("one")]
    if words == ["parent"]:
        log = stack.log_path(house.data)
        until(lambda: "child " in log.read_text())
        pids.append(int(log.read_text().split("child ")[1].split()[0]))
    process.kill()
    until(lambda: all(gone(pid) for pid in pids))
    until(lambda: not claim.in_use(house.data))
    assert house.status()["one"] == PartStatus("one", None, "one:1", "stopped")


def test_a_stack_starts_where_an_earlier_one_was_killed(house: House, start: Start) -> None:
    start(house.part("one", "deaf")).kill()
    process = start(house.part("one"), ready=False)
    until(lambda: (run := claim.read(house.data)) is not None and run.pid == process.pid and house.runs())


def test_a_second_stack_in_one_data_directory_is_refused(house: House, start: Start) -> None:
    first = start(house.part("one"))
    second = start(house.part("one"), ready=False)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"in use by a running stack (process {first.pid}). Stop it with: motcua down" in said
    assert house.runs()


def test_two_stacks_with_two_data_directories_live_side_by_side(house: House, start: Start) -> None:
    other = House(house.data.parent / "elsewhere" / "data")
    start(house.part("one"))
    start(other.part("one"), where=other)
    assert claim.down(other.data)
    assert house.runs()
    assert other.status() == {}


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Away, match="cannot be written"):
        stack.up(tmp_path / "file" / "data", list)


def test_a_part_must_be_listed_after_what_it_needs(tmp_path: Path) -> None:
    parts = [stack.Part(name="one", argv=["true"], needs=["two"]), stack.Part(name="two", argv=["true"])]
    with pytest.raises(WrongUse, match="one needs two"):
        stack.up(tmp_path, lambda: parts)


def test_down_is_content_when_nothing_runs(tmp_path: Path) -> None:
    assert not claim.down(tmp_path / "never made")


def test_down_removes_what_a_killed_stack_left_written(house: House, start: Start) -> None:
    start(house.part("one")).kill()
    until(lambda: not claim.in_use(house.data))
    assert not claim.down(house.data)
    assert claim.read(house.data) is None


def detach(house: House, *parts: dict[str, object], real: bool = False) -> subprocess.CompletedProcess[str]:
    """As a front door would, in a process of its own, whose child then is nobody's."""
    program = "import sys, pathlib; from infra.local import stack; "
    program += "sys.exit(stack.detach(pathlib.Path(sys.argv[1]), sys.argv[2:]))"
    command = [sys.executable, "-c", program, str(house.data), *house.command(*parts, real=real)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_detached_it_returns_when_ready_and_says_where_it_listens(house: House) -> None:
    told = detach(house, house.part("page", announced={"page": "http://127.0.0.1:1"}))
    assert told.returncode == 0, told.stderr
    assert "http://127.0.0.1:1" in told.stderr
    assert house.runs()
    assert stack.log_path(house.data).read_text().count("page is ready") == 1
    assert claim.down(house.data)
    assert house.notes()[-1] == "stop page"


def test_detached_it_says_why_it_did_not_start(house: House) -> None:
    told = detach(house, house.part("one", "dies"))
    assert told.returncode == 1
    assert "I cannot go on" in told.stderr
    assert not claim.in_use(house.data)


def test_detached_a_second_one_is_refused_and_the_first_goes_on(house: House, start: Start) -> None:
    start(house.part("one"))
    with pytest.raises(WrongUse, match="in use by a running stack"):
        stack.detach(house.data, house.command(house.part("one")))
    assert house.runs()


@pytest.mark.stack
def test_a_real_broker_that_is_killed_comes_back_at_its_address(house: House) -> None:
    try:
        jars.java()
    except Away as away:
        pytest.skip(str(away))
    told = detach(house, house.part("worker"), real=True)
    assert told.returncode == 0, told.stderr
    run = claim.read(house.data)
    assert run is not None
    assert broker.topics(run.announced["kafka"]) == ()
    assert {check.name: check.state for check in doctor.examine(house.data)}.items() >= {
        ("stack", "ok"),
        ("broker", "ok"),
        ("engine", "ok"),
    }
    os.kill(house.pid("broker"), signal.SIGKILL)
    until(lambda: "broker ended by SIGKILL" in stack.log_path(house.data).read_text())
    until(house.runs)
    assert broker.topics(run.announced["kafka"]) == ()
    assert house.notes().count("start worker") == 1
    assert claim.down(house.data)
