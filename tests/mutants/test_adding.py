"""A panel, an alert rule and a kind of evidence are each added in one file of a copy, and are there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.test_mutants import ROOT

PANEL = """
NEW: Final = Panel(
    id="open_by_body", question_vi="Còn bao nhiêu hồ sơ đang mở?", question_en="How many dossiers are open?",
    sql=f"SELECT body AS code, sum(open) AS dossiers FROM {_SUMS} WHERE basis = 0 AND {_ONLY} GROUP BY code",
    parameters=("first", "last", "only"), columns=_columns(code="text", dossiers="count"),
)
PANELS: Final = (NEW, """
RULE = """ALL: Final[tuple[Rule, ...]] = (
    Rule(
        id="R99", name_vi="Rút nhiều", name_en="Many withdrawn", levels=_UNITS, severity="inspect",
        threshold=0.3, recovery=0.2, minimum=FEW, hold=1, recover=1, read=_share(("withdrawn", "received")),
        tallies=("withdrawn", "received"), text_vi="{value} hồ sơ bị rút", text_en="{value} withdrawn",
        source=_OWN,
    ),
"""
DETECTOR = """DETECTORS: Final = (
    Detector(
        id="G99", matching="withdrawn", of="received", ordinary=0.3, title_vi="Rút nhiều",
        title_en="Many withdrawn", of_dossier_vi="bị rút", of_dossier_en="were withdrawn",
    ),
"""
SEEN = {
    "panel": (
        "dashboards/panels.py",
        "PANELS: Final = (\n",
        PANEL,
        # Whoever lists panels has it: the page's answers, a limited reader's, Grafana's headings.
        (
            "from dashboards.panels import panel\n"
            "from dashboards.columns import COLUMNS\n"
            "from dashboards import macros\n"
            "one = panel('open_by_body')\n"
            "assert one.limitable and {c.name for c in one.columns} <= set(COLUMNS) and macros.raw(one)\n"
        ),
    ),
    "rule": (
        "rates/alerts.py",
        "ALL: Final[tuple[Rule, ...]] = (\n",
        RULE,
        (
            "from rates.alerts import RULES, Figures\n"
            "from sinks import alerts\n"
            "rule = next(one for one in RULES if one.id == 'R99')\n"
            "of = Figures(subject='H01.01', level='unit', kind='commune', body='H01', "
            "recent={'withdrawn': 50, 'received': 100})\n"
            "assert rule.read(rule, of).zone == 'bad'\n"
            "assert any('R99' in view for view in alerts.views('body'))\n"
        ),
    ),
    "evidence": (
        "rates/anomalies.py",
        "DETECTORS: Final = (\n",
        DETECTOR,
        (
            "from dashboards.page.inspected import detector\n"
            "from dashboards.panels import EVIDENCE, EVIDENCE_DOSSIERS\n"
            "assert detector('G99')\n"
            "assert all('G99' in panel.text() for panel in (EVIDENCE, EVIDENCE_DOSSIERS))\n"
        ),
    ),
}


@pytest.mark.parametrize("what", SEEN)
def test_what_is_added_in_one_file_is_there(what: str, tmp_path: Path) -> None:
    module, before, after, seen = SEEN[what]
    text = (ROOT / module).read_text(encoding="utf-8")
    assert text.count(before) == 1
    # Everything but the one file is the project's own.
    package, _, name = module.partition("/")
    for room in ("rates", "streams", "sinks", "dashboards"):
        (tmp_path / room).mkdir()
        for entry in (ROOT / room).iterdir():
            if (room, entry.name) != (package, name) and entry.name != "__pycache__":
                (tmp_path / room / entry.name).symlink_to(entry)
    (tmp_path / module).write_text(text.replace(before, after), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", seen],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
