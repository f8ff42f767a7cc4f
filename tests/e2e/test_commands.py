"""The commands as scripts rely on them: documents, exit codes, and what is said when something is away."""

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers import topics
from tests.support.stack import Stack, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack


def call(number: str, **fields: object) -> dict[str, object]:
    unit = number.partition("-")[0]
    record = {
        "MaHoSo": number,
        "MaTTHC": "1.003560",
        "NgayTiepNhan": "20231002083000",
        "NgayHenTra": "20231009000000",
        "TrangThaiHoSo": "4",
        **fields,
    }
    return {"service": "DongBoHoSoMC", "madonvi": unit, "isUpdating": "True", "data": [record]}


FINISHED = {
    "TrangThaiHoSo": "10",
    "NgayKetThucXuLy": "20231009000000",
    "NgayTra": "20231010090000",
    "DanhSachGiayToKetQua": [{"DuongDanTepTinKetQua": "https://kq.example/1.pdf"}],
}
LOG = [
    ("2023-10-02T09:00:00+07:00", call("H18.21-231002-0001")),
    ("2023-10-02T09:00:00+07:00", call("H63.05-231002-0001")),
    ("2023-10-10T10:00:00+07:00", call("H18.21-231002-0001", **FINISHED)),
    ("2023-10-10T10:00:00+07:00", call("H18.21-231002-0002", TrangThaiHoSo="99")),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # Without canaries data are complete to the last message, and no further.
    with running(tmp_path_factory.mktemp("stack"), MOTCUA_CANARY_SECONDS="0") as up:
        yield up


@pytest.fixture(scope="module")
def told(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack with a small log in it, of which one line is bad."""
    log = tmp_path_factory.mktemp("logs") / "small.ndjson"
    lines = [json.dumps({"received_at": at, "call": sent}) for at, sent in LOG]
    log.write_text("\n".join([*lines[:2], "not a line", *lines[2:]]) + "\n", encoding="utf-8")
    done = stack.done("publish", log, "--wait")
    assert done.returncode == 0, done.stderr
    assert "small.ndjson:3: " in done.stderr
    assert done.stdout == ""
    return stack


def test_rates_are_one_document_with_counts_beside_each_rate(told: Stack) -> None:
    document = told.json("rates", "--definition", "ER-766-DOC", "--by", "body,unit,day,month,system")
    assert document == {
        "complete_to": document["complete_to"],
        "rows": [
            {
                "definition": "ER-766-DOC",
                "form": "reported",
                "basis": "received",
                "body": body,
                "unit": unit,
                "day": "2023-10-02",
                "month": "2023-10",
                "system": "other",
                "numerator": numerator,
                "denominator": 1,
                "rate": float(numerator),
            }
            for body, unit, numerator in (("H18", "H18.21", 1), ("H63", "H63.05", 0))
        ],
    }


def test_complete_to_is_the_least_of_the_partitions(told: Stack) -> None:
    assert told.json("rates")["complete_to"] == "2023-10-02T09:00:00+07:00"


def test_a_rate_of_nothing_is_null_and_kept_only_without_groups(told: Stack) -> None:
    period = ("--from", "2024-01-01", "--to", "2024-01-31")
    rows = told.json("rates", "--definition", "ER-PROV-DONE", "--form", "clean", *period)["rows"]
    assert rows == [
        {
            "definition": "ER-PROV-DONE",
            "form": "clean",
            "basis": "completed",
            "numerator": 0,
            "denominator": 0,
            "rate": None,
        }
    ]
    assert told.json("rates", "--by", "unit", *period)["rows"] == []


def test_the_dossiers_behind_a_number_and_those_that_are_missing(told: Stack) -> None:
    rows = told.json("dossiers", "--definition", "ER-766-DOC")["rows"]
    assert [(row["number"], row["counts"]) for row in rows] == [
        ("H18.21-231002-0001", True),
        ("H63.05-231002-0001", False),
    ]
    missing = told.json("dossiers", "--definition", "ER-766-DOC", "--missing", "--body", "H63")["rows"]
    assert [row["number"] for row in missing] == ["H63.05-231002-0001"]
    assert told.json("dossiers", "--unit", "H18.21", "--from", "2023-10-03")["rows"] == []


def test_status_names_every_part(told: Stack) -> None:
    parts = told.json("status")["parts"]
    assert [part["name"] for part in parts] == ["broker", "engine", "worker", "page"]
    assert {part["state"] for part in parts} == {"running"}


def test_a_partition_that_nobody_reads_is_found(told: Stack) -> None:
    brokers = told.address("kafka")
    eventually(lambda: not topics.unread(brokers, "dossiers", "motcua-g1", 12), "the worker reads them all")
    assert topics.unread(brokers, "dossiers", "motcua-g1", 14) == [12, 13]


def test_doctor_finds_everything_it_needs(told: Stack) -> None:
    rows = told.json("doctor")["rows"]
    assert {row["state"] for row in rows} <= {"ok", "warning"}


def test_the_scoreboard_says_no_while_the_report_is_not_there(told: Stack) -> None:
    done = told.done("scoreboard", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["rows"]


def test_a_second_stack_in_one_data_directory_is_refused(told: Stack) -> None:
    done = told.done("up", "--detach")
    assert done.returncode == 2
    assert "motcua down" in done.stderr


def test_faust_s_own_command_runs_the_worker_too(told: Stack, tmp_path: Path) -> None:
    log = tmp_path / "one.ndjson"
    sent = call("H01.02-231002-0001", **FINISHED)
    log.write_text(json.dumps({"received_at": LOG[-1][0], "call": sent}) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "faust", "-A", "motcua.wiring", "worker", "-l", "info", "--without-web"]
    with subprocess.Popen(
        command, env=told.environment, stderr=subprocess.STDOUT, stdout=subprocess.PIPE
    ) as faust:
        assert faust.stdout is not None
        heard = any(b"partitions assigned" in line for line in faust.stdout)
        assert heard
        # With two workers in the group, partitions move; wherever this one's lands, it is counted.
        told.run("publish", log, "--wait")
        faust.terminate()
        said, _ = faust.communicate(timeout=60)
    assert faust.returncode == 0, said
    assert told.json("rates", "--definition", "ER-766-DOC", "--by", "unit")["rows"][0]["unit"] == "H01.02"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("rates", "--by", "colour"), "--by takes each of unit,body,day,month,system"),
        (("rates", "--from", "2023-02-30"), "--from takes a day as YYYY-MM-DD"),
        (
            ("rates", "--from", "2023-10-02", "--to", "2023-10-01"),
            "--from 2023-10-02 is after --to 2023-10-01",
        ),
        (("dossiers", "--from", "2023-10-02", "--to", "2023-10-01"), "--from 2023-10-02 is after --to"),
        (("rates", "--form", "tidy"), "reported, clean or both"),
        (("rates", "--definition", "ER-0"), "choose one of ER-766-DOC"),
        (("dossiers", "--missing"), "--missing needs a --definition"),
        (("dossiers", "--unit", "nope"), "--unit takes a code such as H18.21"),
        (("dossiers", "--body", "H18.21"), "--body takes a code such as H18"),
        (("publish", "no-such-file.ndjson"), "no-such-file.ndjson is no file"),
        (("scenario", "steady", "--to", "no-such-folder/x.ndjson"), "cannot be written"),
        (("scenario", "steady", "--to", "x.ndjson", "--scale", "0"), "a number above 0"),
        (("scenario", "steady", "--to", "x.ndjson", "--scale", "nan"), "a number above 0"),
        (("page", "--new-reader", ""), "'' is no name"),
        (("intake", "--new-token", ""), "'' is no ministry or province"),
        (("scenario", "atlantis", "--to", "x.ndjson"), "choose one of october-2023"),
    ],
)
def test_wrong_use_is_two_and_says_what_is_right(
    tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    done = Stack(tmp_path).done(*arguments)
    assert done.returncode == 2
    assert hint in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("name", "value"), [("MOTCUA_CLICKHOUSE", "junk"), ("MOTCUA_KAFKA", "nohost"), ("MOTCUA_PARTITIONS", "0")]
)
def test_an_address_that_is_none_is_wrong_use_and_named(tmp_path: Path, name: str, value: str) -> None:
    done = Stack(tmp_path, {name: value}).done("rates", "--json")
    assert done.returncode == 2
    assert name in done.stderr
    assert done.stdout == ""


def test_a_damaged_log_is_wrong_use_and_named(told: Stack, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1 and nothing else")
    done = told.done("publish", damaged)
    assert done.returncode == 2
    assert "damaged.parquet" in done.stderr


def test_a_table_that_is_piped_holds_every_value_whole(told: Stack) -> None:
    shown = told.run("dossiers", "--definition", "ER-766-DOC")
    assert "H18.21-231002-0001" in shown
    assert "2023-10-02T08:30:00+07:00" in shown


def test_a_server_that_is_away_is_three_and_names_the_next_command(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = Stack(tmp_path, {"MOTCUA_CLICKHOUSE": address}).done("rates", "--json")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.strip().splitlines()[-1].endswith("Next: motcua doctor")


@pytest.mark.parametrize("arguments", [("rates",), ("scoreboard",), ("dossiers",), ("migrate",), ("worker",)])
def test_without_a_stack_it_is_three_and_names_the_next_command(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = Stack(tmp_path).done(*arguments)
    assert done.returncode == 3
    assert "motcua up" in done.stderr.strip().splitlines()[-1]


def test_a_wrong_setting_is_named_with_its_origin(tmp_path: Path) -> None:
    done = Stack(tmp_path, {"MOTCUA_WORKERS": "many"}).done("config")
    assert done.returncode == 2
    assert "MOTCUA_WORKERS" in done.stderr


def test_config_shows_where_each_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "motcua.toml").write_text('topic = "a"\nworkers = 3\ncache_dossiers = 5\n', encoding="utf-8")
    stack = Stack(tmp_path, {"MOTCUA_WORKERS": "2"})
    done = stack.done("--topic", "b", "config", "--json", folder=tmp_path)
    rows = {row["name"]: (row["value"], row["origin"]) for row in json.loads(done.stdout)["rows"]}
    assert rows["cache_dossiers"] == ("5", "motcua.toml")
    assert rows["workers"] == ("2", "MOTCUA_WORKERS")
    assert rows["topic"] == ("b", "option")
    assert rows["database"] == ("motcua", "default")


def test_a_register_that_is_wrong_is_refused_by_file_and_line(told: Stack, tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_text("code,name_vi\nH18,Điện Biên\n", encoding="utf-8")
    done = told.done("migrate", "--register", tmp_path)
    assert done.returncode == 2
    assert "units.csv" in done.stderr


def test_a_sixth_definition_is_one_line_in_one_file(told: Stack, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    for room in ("rates", "streams", "producers", "sinks", "dashboards", "infra", "motcua"):
        shutil.copytree(root / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "rates" / "definitions.py"
    line = (
        '    Definition(id="ER-SIXTH", basis="received", numerator=("done", "done"), denominator="received", '
        'name_vi="Sáu", name_en="Sixth", source="a test", valid_from="2026-01-01"),\n'
    )
    before, opening, after = file.read_text(encoding="utf-8").partition("DEFINITIONS: Final = (\n")
    file.write_text(before + opening + line + after, encoding="utf-8")

    sixth = Stack(told.data_dir, {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"})
    sixth.run("migrate")
    rows = sixth.json("rates", "--definition", "ER-SIXTH")["rows"]
    assert rows[0]["denominator"] >= 2
    assert rows[0]["numerator"] < rows[0]["denominator"]
    command = [sys.executable, "-m", "motcua", "page"]
    with subprocess.Popen(command, env=sixth.environment, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        address = page.stdout.readline().split()[-1]
        with urllib.request.urlopen(f"http://{address}/?lang=en", timeout=30) as answer:
            html = answer.read().decode()
        page.terminate()
    assert "ER-SIXTH" in html
    assert "Sixth" in html
