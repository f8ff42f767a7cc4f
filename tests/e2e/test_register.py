"""One's own register: loaded by `motcua migrate`, and what worker and intake go by from then on."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from producers import senders
from tests.support.stack import Stack, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

UNITS = (
    "code,name_vi,name_en,level,parent,valid_from,valid_to,successor,one_stop,gso,source\n"
    "H18,Điện Biên,Dien Bien,province,,2020-01-01,,,0,11,own\n"
    "H90,Tỉnh mới,New province,province,,2020-01-01,,,0,90,own\n"
    "H18.21,Một cửa,One-stop,commune,H90,2020-01-01,,,1,,own\n"
)
PROCEDURES = (
    "kind,code,name_vi,name_en,sector,system,result_required,fee,source\n"
    "procedure,1.003560,Đất,Land,,land,0,0,own\n"
)


TOKENS = {body: senders.new(body) for body in ("H18", "H90")}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with an intake."""
    folder = tmp_path_factory.mktemp("stack")
    tokens = folder / "intake.tokens"
    tokens.write_text("".join(f"{line}\n" for _, line in TOKENS.values()))
    tokens.chmod(0o600)
    with running(folder / "data", MOTCUA_INTAKE_TOKENS=str(tokens)) as up:
        yield up


def publish(stack: Stack, folder: Path, number: str) -> None:
    record = {
        "MaHoSo": number,
        "MaTTHC": "1.003560.000.00.00.H18",
        "NgayTiepNhan": "20231002083000",
        "TrangThaiHoSo": "4",
    }
    call = {"service": "DongBoHoSoMC", "madonvi": "H18.21", "data": [record]}
    log = folder / f"{number}.ndjson"
    log.write_text(json.dumps({"received_at": "2023-10-02T09:00:00+07:00", "call": call}) + "\n")
    stack.run("publish", log, "--wait")


def test_a_running_worker_counts_by_ones_own_register(stack: Stack, tmp_path: Path) -> None:
    publish(stack, tmp_path, "H18.21-231002-0001")
    (tmp_path / "units.csv").write_text(UNITS, encoding="utf-8")
    (tmp_path / "procedures.csv").write_text(PROCEDURES, encoding="utf-8")
    stack.run("migrate", "--register", tmp_path)
    publish(stack, tmp_path, "H18.21-231002-0002")

    rows = {row["number"]: row for row in stack.json("dossiers")["rows"]}
    assert rows["H18.21-231002-0002"]["system"] == "land"
    assert {row["body"] for row in rows.values()} == {"H90"}
    required = stack.json("rates", "--definition", "ER-766-DOC")["rows"][0]["denominator"]
    # Counted when it was folded: the first needed a result by the shipped register, the second needs none.
    assert required == 1
    # Migrating without a register keeps the loaded one.
    stack.run("migrate")
    assert {row["body"] for row in stack.json("dossiers")["rows"]} == {"H90"}


def test_a_call_sent_over_http_becomes_a_dossier_of_those_who_own_the_unit_by_the_loaded_register(
    stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "units.csv").write_text(UNITS, encoding="utf-8")
    (tmp_path / "procedures.csv").write_text(PROCEDURES, encoding="utf-8")
    stack.run("migrate", "--register", tmp_path)

    def send(body: str) -> tuple[int, str]:
        record = {"MaHoSo": "H18.21-231002-0003", "NgayTiepNhan": "20231002083000", "TrangThaiHoSo": "4"}
        call = {"service": "DongBoHoSoMC", "madonvi": "H18.21", "data": [record], "session": TOKENS[body][0]}
        request = urllib.request.Request(stack.address("intake"), json.dumps(call).encode())
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())["error_code"]
        except HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read())["error_code"]

    # The running intake takes the register up by itself.
    eventually(lambda: send("H90") == (200, "0"), "the unit's new body may send for it")
    assert send("H18") == (403, "403")
    eventually(
        lambda: "H18.21-231002-0003" in [row["number"] for row in stack.json("dossiers")["rows"]],
        "what was taken is counted",
    )
    assert "intake" in [part["name"] for part in stack.json("status")["parts"]]
