"""A rebuild on a real stack: every dossier counted anew by another register, beside live events, and back."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recount.register import SHIPPED
from tests.support.stack import running
from tests.support.steps import walk
from tests.support.swapping import Live, beside

pytestmark = pytest.mark.stack

BASE = 50


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("logs")
    with running(tmp_path_factory.mktemp("stack"), MOTCUA_CANARY_SECONDS="0") as up:
        found = Live(up, folder, 20261127, 9_000)
        found.publish(BASE)
        yield found


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A register in which half of the systems are another, and half of the procedures need no result."""
    folder = tmp_path_factory.mktemp("register")
    for name in ("units.csv", "targets.csv"):
        shutil.copy(SHIPPED / name, folder / name)
    with (SHIPPED / "procedures.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for at, row in enumerate(rows):
        if at % 2:
            row["system"] = "land" if row["system"] != "land" else "environment"
        elif row["kind"] == "procedure":
            row["result_required"] = "0" if row["result_required"] == "1" else "1"
    with (folder / "procedures.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.mark.long
def test_under_the_same_register_nothing_changes(live: Live) -> None:
    before = live.rates()
    with beside(lambda: live.trickle(6)):
        done = live.stack.done("rebuild")
    assert done.returncode == 0, done.stderr
    assert " 0 of them count in another way" in done.stderr
    assert before != []
    live.publish(1)
    live.exact()
    live.exact_as_of(live.truth[BASE // 2][0])


@pytest.mark.long
@pytest.mark.timeout(600)
def test_another_register_holds_from_now_on_and_back_however_often_it_is_killed(
    live: Live, other: Path
) -> None:
    stack = live.stack
    day = live.truth[BASE // 2][0]
    with beside(lambda: live.trickle(5)):
        # Making the database is a hundred steps of one kind; the swap's are walked one by one below.
        done = walk(stack, "rebuild", "--register", other, first=3, stride=13)
    assert done.code == 0, done.said
    assert done.deaths > 5
    live.register = other
    live.publish(2)
    live.exact()
    # What was known before it is what was said then.
    live.register = SHIPPED
    live.exact_as_of(day)
    with beside(lambda: live.trickle(3)):
        stack.run("swap", "--back")
    live.publish(1)
    live.exact()
    live.exact_as_of(day)


def test_kept_for_a_look_it_is_compared_and_swapped_later(live: Live, other: Path) -> None:
    stack = live.stack
    stack.run("rebuild", "--register", other, "--keep")
    live.exact()
    refused = stack.done("parity", "rebuild")
    assert refused.returncode == 1
    assert "other-register" in refused.stderr
    again = stack.done("swap", "--back")
    assert again.returncode == 1
    live.publish(2)
    assert stack.done("parity", "rebuild", "--allow", "other-register").returncode == 0
    walked = walk(stack, "swap", "rebuild", first=2, stride=4)
    assert walked.code == 0, walked.said
    live.register = other
    live.publish(1)
    live.exact()
    # The database that held the former figures is made anew, so there is no way back.
    stack.run("rebuild", "--keep")
    gone = stack.done("swap", "--back")
    assert gone.returncode == 1
    assert "dropped or made anew" in gone.stderr
    live.publish(1)
    live.exact()
