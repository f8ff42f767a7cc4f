"""Dead letters on a whole stack: listed, shown, and sent again once what they were refused for is mended.

The figures afterwards are held against the recount of the log as if no record had been refused.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from tests.recount.recount import read_log, recount
from tests.recount.register import SHIPPED
from tests.support.stack import Stack, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

UNIT = "H18.21"
STRANGER, OTHER = "H14.77", "H15.77"
"""Senders that the shipped register does not let send for UNIT; a mended one does."""
GROUPS = ("unit", "day", "system")
TOKEN = "Nguyen-Van-An-0912345678"
MANY = 4_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # Without canaries nothing but the tests moves a partition.
    with running(tmp_path_factory.mktemp("stack"), MOTCUA_CANARY_SECONDS="0") as up:
        yield up


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "MaHoSo": f"{UNIT}-231002-{number:04}",
        "TrangThaiHoSo": "9",
        "MaTTHC": "1.003560.000.00.00.H18",
        "NgayTiepNhan": "20231002083000",
        "NgayHenTra": "20231010170000",
        "NgayKetThucXuLy": "20231005100000",
        "TenNguoiNop": TOKEN,
        **fields,
    }


def call(*records: Any, sender: str = UNIT, service: str = "DongBoHoSoMC") -> dict[str, Any]:
    return {"service": service, "madonvi": sender, "isUpdating": "True", "data": list(records)}


def publish(stack: Stack, log: Path, *calls: Any, at: str = "2023-10-06T09:00:00+07:00") -> None:
    log.write_text("".join(json.dumps({"received_at": at, "call": one}) + "\n" for one in calls))
    stack.run("publish", log, "--wait")


def mended(folder: Path, stranger: str) -> Path:
    """The shipped register in which a stranger is the successor of UNIT, and so may send for it."""
    folder.mkdir()
    for sheet in SHIPPED.glob("*.csv"):
        (folder / sheet.name).write_bytes(sheet.read_bytes())
    header, *rows = (folder / "units.csv").read_text(encoding="utf-8").splitlines()
    names = header.split(",")
    kept = [row for row in rows if row.split(",")[names.index("code")] != UNIT]
    own = dict.fromkeys(names, "") | {
        "code": UNIT,
        "name_vi": "Một cửa",
        "name_en": "One-stop",
        "level": "commune",
        "parent": "H18",
        "valid_from": "2020-01-01",
        "valid_to": "2025-06-30",
        "successor": stranger,
        "one_stop": "1",
        "source": "own",
    }
    heir = own | {"code": stranger, "valid_to": "", "successor": "", "parent": stranger[:3]}
    lines = [",".join(row[name] for name in names) for row in (own, heir)]
    (folder / "units.csv").write_text("\n".join([header, *kept, *lines]) + "\n", encoding="utf-8")
    return folder


def junk(stack: Stack) -> None:
    """What only broken bytes can be, straight into the topic."""
    many = json.dumps(call(*[record(3)] * 501)).encode()
    producer = KafkaProducer(bootstrap_servers=stack.address("kafka"), max_request_size=16_000_000)
    for value in (b"{", b"[" * 100_000, b"x" * (8 * 1024 * 1024 + 1), many):
        producer.send("dossiers", value, UNIT.encode(), timestamp_ms=1_696_557_600_000)
    producer.flush()
    producer.close()
    query = "SELECT count() FROM dead_letters WHERE reason = 'too_many_records'"
    eventually(lambda: stack.query(query) == "1", "the last of the junk is refused")


def reached(stack: Stack) -> str:
    """How far the topic is taken: it changes with every message that is sent and folded."""
    return stack.query(
        "SELECT groupArray((partition, version)) FROM (SELECT * FROM progress FINAL ORDER BY 1)"
    )


def states(stack: Stack) -> dict[str, tuple[str, int, str, int]]:
    """State, tries, identity and refusals of the one letter of each reason."""
    rows = stack.query("SELECT reason, state, tries, letter, seen FROM letters FORMAT TSV").splitlines()
    return {
        r: (state, int(tries), letter, int(seen)) for r, state, tries, letter, seen in map(str.split, rows)
    }


def assert_recounted(stack: Stack, register: Path, *logs: Path) -> None:
    expected = recount((line for log in logs for line in read_log(log)), register=register)
    rows = stack.json("rates", "--form", "both", "--by", ",".join(GROUPS))["rows"]
    assert rows
    assert rows == expected.rates(by=GROUPS, form="both")


SHORT = ("bad_field", "bad_number", "not_a_call", "not_json", "too_deep", "too_large", "too_many_records")
REFUSED = (*SHORT, "unknown_status", "wrong_unit")


def test_letters_from_refusal_to_replay(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    bad = (record(8, TrangThaiHoSo="77"), record(9, MaHoSo="khong-co"), "hồ sơ", record(2))
    calls = ([call(record(7), sender=STRANGER)] * 50, call(record(1), *bad), call(service="TraCuuHoSo"))
    publish(stack, log, *calls[0], *calls[1:])
    junk(stack)

    # Listed and shown: the same record is one letter, with where it stood, and nobody's name in it.
    rows = stack.json("dead", "list")["rows"]
    assert [row["reason"] for row in rows] == list(REFUSED)
    assert all(row["letters"] == row["waiting"] == 1 for row in rows)
    assert [row["seen"] for row in rows] == [1] * 8 + [50]
    shown = {row["reason"]: row for row in stack.json("dead", "show")["rows"]}
    wrong = shown["wrong_unit"]
    assert (wrong["unit"], wrong["field"], wrong["tries"], wrong["state"]) == (UNIT, "madonvi", 0, "waiting")
    assert wrong["first_seen"] == wrong["last_seen"] == "2023-10-06T09:00:00+07:00"
    assert wrong["fields"]["MaHoSo"] == record(7)["MaHoSo"]
    assert "may not send" in wrong["detail"]
    assert shown["too_deep"]["fields"] is None

    # A dry run says what would be done, and does nothing.
    before = reached(stack)
    dry = stack.done("dead", "replay", "--dry-run")
    assert dry.returncode == 0
    assert "9 letters not taken: 9 to send" in dry.stderr
    assert reached(stack) == before
    assert stack.query("SELECT count() FROM replays") == "0"

    # Nothing is mended, so each fails again, is the same letter, counts its try and is then left alone.
    first = stack.done("dead", "replay", "--json")
    assert first.returncode == 1
    told = json.loads(first.stdout)
    assert (told["accepted"], told["failed_again"], told["waiting"]) == (0, 9, 0)
    assert states(stack) == {
        reason: ("failed_again", 1, row["letter"], row["seen"]) for reason, row in shown.items()
    }
    before = reached(stack)
    second = stack.done("dead", "replay")
    assert second.returncode == 0
    assert "0 to send, 0 on their way, 9 left alone" in second.stderr
    assert reached(stack) == before

    # The register is mended: what it refused is taken, and what stays bad counts its tries.
    register = mended(tmp_path / "register", STRANGER)
    stack.run("migrate", "--register", register)
    third = stack.done("dead", "replay", "--reason", "wrong_unit")
    assert third.returncode == 0
    assert "1 accepted, 0 failed again, 0 still waiting" in third.stderr
    assert_recounted(stack, register, log)
    fourth = stack.done("dead", "replay")
    assert fourth.returncode == 1
    assert "8 letters not taken: 8 to send" in fourth.stderr
    assert "0 accepted, 8 failed again" in fourth.stderr
    assert {reason: state[:2] for reason, state in states(stack).items()} == {
        **dict.fromkeys((*SHORT, "unknown_status"), ("failed_again", 2)),
        "wrong_unit": ("replayed", 2),
    }
    everything = (json.dumps([rows, list(shown.values())]), stack.run("dead", "show"), dry.stdout)
    assert TOKEN not in "".join([*everything, dry.stderr, first.stdout, first.stderr])
    assert (
        stack.query(f"SELECT count() FROM dead_letters WHERE position(concat(fields, head), '{TOKEN}')")
        == "0"
    )


def test_a_replay_that_is_killed_in_the_middle_is_completed_by_the_next(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "many.ndjson"
    publish(stack, log, *(call(record(10_000 + number), sender=OTHER) for number in range(MANY)))
    count = f"SELECT count() FROM dossiers FINAL WHERE match(number, '{UNIT}-231002-1[0-9]{{4}}')"
    assert stack.query(count) == "0"
    stack.run("migrate", "--register", mended(tmp_path / "register", OTHER))
    with subprocess.Popen(
        [sys.executable, "-m", "motcua", "dead", "replay", "--reason", "wrong_unit"],
        env=stack.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any("seen to" in line for line in process.stderr)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    sent = int(
        stack.query(
            "SELECT count() FROM replays FINAL WHERE step > 0 AND tries = 1 AND letter IN "
            "(SELECT letter FROM letters WHERE head LIKE '%H15%')"
        )
    )
    assert 0 < sent < MANY

    done = stack.done("dead", "replay", "--reason", "wrong_unit")
    assert done.returncode == 0
    assert f"{MANY:,} letters not taken" not in done.stderr
    assert stack.query(count) == str(MANY)
    theirs = "FROM letters WHERE head LIKE '%H15%'"
    assert stack.query(f"SELECT count(), uniqExact(state), max(state), max(tries) {theirs}").split() == [
        *(str(MANY), "1", "replayed", "1")
    ]


def test_while_the_broker_is_away_nothing_is_meant_or_lost_and_the_exit_code_says_so(stack: Stack) -> None:
    before = stack.query("SELECT count(), max(tries) FROM letters WHERE state != 'replayed'")
    away = stack.done("--kafka", "127.0.0.1:1", "dead", "replay")
    assert away.returncode == 3
    assert "motcua status" in away.stderr.splitlines()[-1]
    assert stack.query("SELECT count(), max(tries) FROM letters WHERE state != 'replayed'") == before


def test_a_record_that_the_engine_would_not_store_is_a_letter_until_it_would(
    stack: Stack, tmp_path: Path
) -> None:
    log = tmp_path / "log.ndjson"
    stack.query("ALTER TABLE dossiers ADD CONSTRAINT odd CHECK number != 'H18.21-231002-0501'")
    publish(stack, log, call(record(500), record(501), record(502)))
    stored = (
        "SELECT groupArray(number) FROM ("
        "SELECT number FROM dossiers FINAL WHERE match(number, '-050[0-2]$') ORDER BY 1)"
    )
    assert stack.query(stored) == "['H18.21-231002-0500','H18.21-231002-0502']"
    (letter,) = stack.json("dead", "show", "--reason", "refused_by_store")["rows"]
    assert (letter["unit"], letter["state"]) == (UNIT, "waiting")
    assert "odd" in letter["detail"]
    stack.query("ALTER TABLE dossiers DROP CONSTRAINT odd")
    answer = stack.json("dead", "replay", "--reason", "refused_by_store")
    assert (answer["accepted"], answer["failed_again"]) == (1, 0)
    assert stack.query(stored).count("0501") == 1
    assert stack.json("audit")["disagreements"] == 0
