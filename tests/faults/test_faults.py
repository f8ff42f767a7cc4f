"""The short run: a little of everything that goes wrong, and nothing is lost, doubled or wrong."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.parts import ROOT, clean
from tests.faults.plan import FIRST, LAST, draw

pytestmark = pytest.mark.stack


@pytest.mark.timeout(600)
def test_figures_are_exact_through_a_little_of_everything(tmp_path: Path) -> None:
    counts = (
        "--kills=2",
        "--rebalances=1",
        "--stalls=1",
        "--broker=1",
        "--engine=1",
        "--wire=3",
        "--clock=1",
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--seed=20231002", "--events=20000",
         "--keep", str(tmp_path / "run"), *counts],
        capture_output=True, text=True, cwd=ROOT, env=clean({}), timeout=590, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr[-6000:]}\n{done.stdout}"


def test_a_seed_plays_the_same_faults_again() -> None:
    counts = {"kill": 20, "stall": 3, "wire": 7}
    plan = draw(7, counts)
    assert plan == draw(7, counts)
    assert plan != draw(8, counts)
    assert {kind: sum(fault.kind == kind for fault in plan) for kind in counts} == counts
    assert all(FIRST <= one.at < two.at <= LAST for one, two in pairwise(plan))
