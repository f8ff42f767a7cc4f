"""The doctor says what is there, and for what is not, the next command."""

import shutil
import sys
from pathlib import Path

import pytest

from infra.local import doctor, ports


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("MOTCUA_CACHE_DIR", str(tmp_path / "cache"))


def test_on_a_bare_machine_every_check_answers_and_what_is_not_ok_names_a_command(tmp_path: Path) -> None:
    checks = doctor.examine(tmp_path / "data")
    assert [check.name for check in checks] == [
        *("python", "java", "maven", "jars", "data directory", "disk", "memory", "stack")
    ]
    assert all((check.state == "ok") == (check.next_command == "") for check in checks)
    states = {check.name: check.state for check in checks}
    assert states["java"] == states["maven"] == "missing"
    assert states["jars"] == states["stack"] == "warning"


def test_it_makes_nothing(tmp_path: Path) -> None:
    doctor.examine(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_below_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = doctor.data_directory(tmp_path / "file" / "data")
    assert (check.state, check.next_command) == ("missing", "set MOTCUA_DATA_DIR")


def test_nothing_that_answers_is_missing_not_an_error(tmp_path: Path) -> None:
    address = f"127.0.0.1:{ports.settle(tmp_path, 'engine')}"
    assert doctor.broker_answers(address).state == "missing"
    assert doctor.engine_answers(f"http://{address}").state == "missing"


def test_a_part_that_is_being_started_again_sends_nobody_to_stop_the_stack(tmp_path: Path) -> None:
    address = f"127.0.0.1:{ports.settle(tmp_path, 'engine')}"
    assert doctor.broker_answers(address, starting=True).next_command == "motcua status"
    assert doctor.engine_answers(f"http://{address}", starting=True).next_command == "motcua status"
    assert "motcua up" in doctor.broker_answers(address).next_command


def test_the_python_that_runs_is_named() -> None:
    check = doctor.python()
    assert check.state == "ok"
    assert sys.executable in check.found


def test_a_full_disk_is_missing_and_a_tight_one_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    for free, state in ((0, "missing"), (3 * 1024**3, "warning"), (50 * 1024**3, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        assert doctor.disk(tmp_path).state == state
