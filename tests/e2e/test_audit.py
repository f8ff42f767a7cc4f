"""A wrong tally on a running stack: `motcua audit` finds it, the worker reports and repairs it by itself."""

import os
import signal
from pathlib import Path

import pytest

from tests.recount.worlds import world
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


def test_a_planted_tally_is_found_reported_and_repaired(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "world.ndjson"
    log.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in world(5, 5_000)))
    stack.run("publish", log, "--wait")
    clean = stack.json("audit")
    assert clean["rows"] == []
    assert clean["dossiers"] > 500
    assert clean["in_flight"] == clean["disagreements"] == clean["found_before"] == 0
    every = stack.json("audit", "--all")["rows"]
    assert len(every) == clean["cohorts"]
    assert {row["state"] for row in every} == {"agrees"}

    worker = stack.pid("worker")
    os.kill(worker, signal.SIGSTOP)
    try:
        stack.query(
            "INSERT INTO tallies SELECT * REPLACE (received + 7 AS received, version + 1 AS version) "
            "FROM tallies FINAL WHERE received > 0 ORDER BY unit, cohort, basis, day LIMIT 1"
        )
        found = stack.done("audit", "--json")
        assert found.returncode == 1
        assert '"disagreements":1' in found.stdout
        assert '"tally":"received"' in found.stdout
    finally:
        os.kill(worker, signal.SIGCONT)
    eventually(
        lambda: (
            stack.query("SELECT sum(found), countIf(repaired_at > 0), sum(wrong) FROM audits FINAL")
            == "1\t1\t0"
        ),
        "the worker found and repaired it",
        within=120,
    )
    after = stack.json("audit")
    assert (after["disagreements"], after["found_before"]) == (0, 1)
