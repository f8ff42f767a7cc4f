"""One's own register: loaded by `motcua migrate`, and counted by from the next micro-batch on."""

import json
from pathlib import Path

import pytest

from tests.support.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("register")]

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
