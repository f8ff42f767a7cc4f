"""What a newcomer runs: the October 2023 report, recomputed from events to its published digits."""

from pathlib import Path

import pytest

from tests.support.stack import Stack

pytestmark = pytest.mark.stack


def test_the_demo_plays_the_report_and_every_figure_agrees(tmp_path: Path) -> None:
    done = Stack(tmp_path).done("demo", "--once", timeout=280)
    assert done.returncode == 0, done.stderr
    for figure in ("24.48 %", "+13.7", "38.94 %", "+25.8", "76.9 %", "63 of 63", "77.0 %"):
        assert figure in done.stdout
    assert "NO" not in done.stdout
    assert not list(tmp_path.iterdir())
