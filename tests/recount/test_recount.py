"""The recount itself, on cases small enough to count by hand."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.recount.reading import instant
from tests.recount.recount import Recount, main, recount, recount_messages

AT = "2023-10-05T12:00:00+07:00"
AT_MS = 1_696_482_000_000


def full(**fields: object) -> dict[str, object]:
    record: dict[str, object] = {
        "MaHoSo": "H18.21-231002-0001",
        "MaTTHC": "9.900001",
        "MaLinhVuc": "G13-DD01",
        "NgayNopHoSo": "20231001080000",
        "NgayTiepNhan": "20231002090000",
        "NgayHenTra": "20231006",
        "NgayKetThucXuLy": "20231004150000",
        "NgayTra": "",
        "TrangThaiHoSo": "9",
        "TaiLieuNop": [{"DuongDanTaiTepTin": "in/1"}],
        "DanhSachGiayToKetQua": [{"DuongDanTepTinKetQua": "out/1"}],
    }
    return record | fields


def step(status: object, time: object, number: str = "H18.21-231002-0001") -> dict[str, object]:
    return {"MaHoSo": number, "TrangThai": status, "ThoiDiemXuLy": time}


def line(*records: object, at: object = AT, sender: object = "H18.21", progress: bool = False) -> bytes:
    service = "CapNhatTienDoHoSoMC" if progress else "DongBoHoSoMC"
    call = {"service": service, "madonvi": sender, "isUpdating": "True", "data": list(records)}
    return json.dumps({"received_at": at, "call": call}).encode() + b"\n"


def message(*records: object, sender: object = "H18.21") -> bytes:
    return json.dumps({"service": "DongBoHoSoMC", "madonvi": sender, "data": list(records)}).encode()


def rounds(*elements: object) -> dict[str, object]:
    return {"DanhSachHoSoBoSung": list(elements)}


def results(*elements: object) -> dict[str, object]:
    return {"DanhSachGiayToKetQua": list(elements)}


def only(state: Recount) -> dict[str, Any]:
    (dossier,) = state.states().values()
    return dossier


def rate(state: Recount, definition: str, form: str = "reported") -> tuple[object, object]:
    (row,) = state.rates(definition=definition, form=form)
    return row["numerator"], row["denominator"]


# ---- text and times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20231002090000", 1_696_212_000),
        ("20231002", 1_696_179_600),
        ("20000101000000", 946_659_600),
        ("20991231235959", 4_102_419_599),
        *((text, None) for text in ("", "19991231235959", "21000101", "20230230", "20231002246000")),
        *(
            (text, None)
            for text in ("20231002090060", " 20231002", "20231002\n", "２０２３１００２", "202310020900")
        ),
    ],
)
def test_a_time_is_one_of_two_forms_that_names_a_real_local_instant(text: str, seconds: int | None) -> None:
    assert instant(text) == seconds


@pytest.mark.parametrize("empty", [None, "", True, [], {}, ["20231004"]])
def test_wrong_types_are_empty_text(empty: object) -> None:
    state = recount([line(full(NgayTiepNhan=empty))])
    assert only(state)["received"] is None
    assert not only(state)["counts"]


def test_numbers_are_read_as_they_are_written() -> None:
    assert only(recount([line(full(TrangThaiHoSo=9, NgayTiepNhan=20231002090000))]))["counts"]
    assert recount([line(full(TrangThaiHoSo=9.0))]).rejections == {"unknown_status": 1}
    assert not only(recount([line(full(HoSoCoThanhPhanSoHoa=1.0))]))["digitised"]
    assert not only(recount([line(full(MaTTHC=9.900009))]))["result_required"]


def test_nothing_is_trimmed() -> None:
    assert recount([line(full(TrangThaiHoSo=" 9"))]).rejections == {"unknown_status": 1}


def test_a_time_more_than_a_day_after_receipt_is_empty_but_a_due_date_stays() -> None:
    edge = only(recount([line(full(NgayTiepNhan="20231006120000"))]))
    past = only(recount([line(full(NgayTiepNhan="20231006120001", NgayHenTra="20501231"))]))
    assert (edge["counts"], past["counts"]) == (True, False)
    assert past["due"] == instant("20501231")


def test_received_at_is_cut_to_seconds() -> None:
    late = full(NgayTiepNhan="20231006120001")
    assert not only(recount([line(late, at="2023-10-05T05:00:00.999999Z")]))["counts"]


# ---- lines and messages


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{}",
        b"[]",
        b'"text"',
        b'{"received_at":"2023-10-05T12:00:00+07:00"}',
        b'{"call":{}}',
        b'{"received_at":"2023-10-05T12:00:00","call":{}}',
        b'{"received_at":null,"call":{}}',
        b'{"received_at":20231005,"call":{}}',
        b'{"received_at":"2023-10-35T12:00:00Z","call":{}}',
        b'\xef\xbb\xbf{"received_at":"2023-10-05T12:00:00Z","call":{}}',
        b'{"received_at":"2023-10-05T12:00:00Z","call":{"x":NaN}}',
        b'{"received_at":"2023-10-05T12:00:00Z","call":{"x":"\\ud800"}}',
        b'{"received_at":"2023-10-05T12:00:00Z","call":{"x":"\xff"}}',
        b"[" * 100_000,
    ],
)
def test_a_line_without_a_call_and_a_time_with_offset_is_skipped(bad: bytes) -> None:
    state = recount([bad, line(full())])
    assert (state.bad_lines, len(state.dossiers), dict(state.rejections)) == (1, 1, {})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"\xef\xbb\xbf" + message(full()), "not_json"),
        (message(full())[:-1], "not_json"),
        (message(full()) + b"{}", "not_json"),
        (message(full(x=float("nan"))), "not_json"),
        (message(full(x="\ud800")), "not_json"),
        (message(full(x="\udc00\ud800")), "not_json"),
        (message(full(x="\ud800.\udc00")), "not_json"),
        (message(full(x="#")).replace(b"#", b"\\x41"), "not_json"),
        (message(full(x="#")).replace(b"#", b"\x01"), "not_json"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (message(full()) + b" " * 8 * 1024 * 1024, "too_large"),
        (message(*[full()] * 501), "too_many_records"),
        (b"null", "not_a_call"),
        (b'{"service":"Other","data":[]}', "not_a_call"),
        (b'{"service":"DongBoHoSoMC","madonvi":"H18.21","data":{}}', "not_a_call"),
    ],
)
def test_a_message_that_is_no_call_is_one_rejection(value: bytes, reason: str) -> None:
    state = recount_messages([(b"H18.21", value, AT_MS)])
    assert (dict(state.rejections), state.dossiers) == ({reason: 1}, {})


def test_a_message_of_exactly_the_limits_is_taken() -> None:
    value = message(*[full()] * 500)
    state = recount_messages([(b"H18.21", value + b" " * (8 * 1024 * 1024 - len(value)), AT_MS)])
    assert not state.rejections


def test_surrogate_pairs_and_escaped_backslashes_are_text() -> None:
    state = recount_messages([(b"H18.21", message(full(x="😀", y="\\ud800")), AT_MS)])
    assert not state.rejections


def test_the_last_of_equal_keys_counts() -> None:
    value = message(full()).replace(b'"TrangThaiHoSo"', b'"TrangThaiHoSo": "99", "TrangThaiHoSo"')
    assert not recount_messages([(b"H18.21", value, AT_MS)]).rejections


def test_publish_cuts_a_call_to_500_records_and_sends_whatever_else_it_holds() -> None:
    state = recount(
        [
            line(*(full(MaHoSo=f"H18.21-231002-{n}") for n in range(900))),
            b'{"received_at":"2023-10-05T12:00:00Z","call":[]}',
            b'{"received_at":"2023-10-05T12:00:00Z","call":{"service":"Other","data":[{},{}]}}',
        ]
    )
    assert (len(state.dossiers), dict(state.rejections)) == (900, {"not_a_call": 2})


def test_a_fat_link_makes_a_message_too_large_and_a_fat_name_does_not() -> None:
    fat = "x" * (9 * 1024 * 1024)
    assert recount([line(full(ChuHoSo=fat))]).rejections == {}
    paper = [{"DuongDanTepTinKetQua": fat}]
    assert recount([line(full(DanhSachGiayToKetQua=paper), full())]).rejections == {"too_large": 1}


# ---- numbers, units, keys, statuses


@pytest.mark.parametrize("number", ["H18", "H18.21-x", "H18.1.22.333--", "000.17.22.H56-210531-0001"])
def test_a_unit_is_the_text_before_the_first_hyphen(number: str) -> None:
    unit = number.partition("-")[0]
    assert list(recount([line(full(MaHoSo=number), sender=unit)]).dossiers) == [number]


@pytest.mark.parametrize(
    "number",
    [
        "",
        "-",
        "h18-1",
        "H18.-1",
        "H18.21\n-1",
        "H1８-1",
        "H18.1.2.3.4-1",
        "H18.2222-1",
        "17.22.H56-1",
        18,
        None,
    ],
)
def test_any_other_number_is_bad(number: object) -> None:
    assert recount([line(full(MaHoSo=number))]).rejections == {"bad_number": 1}


@pytest.mark.parametrize(
    ("unit", "sender", "taken"),
    [
        ("H18.21.05", "H18.21", True),
        ("H18.21.05", "H18", True),
        ("H18.21.05", "H18.2", False),
        ("H18.21", "H18.21.05", False),
        ("H18.21", "", False),
        ("H18.21", None, False),
        ("000.17.22.H56", "000.00.22.H56", True),
        ("000.17.22.H56", "000.00.00.H56", True),
        ("000.17.22.H56", "000.17.00.H56", False),
        ("000.17.22.H56", "H56.22.17", False),
        ("H63.999", "H38", True),  # Yên Bái was joined to Lào Cai
        ("H38", "H63", False),
    ],
)
def test_the_sender_is_the_unit_one_above_it_or_a_successor(unit: str, sender: object, taken: bool) -> None:
    state = recount([line(full(MaHoSo=f"{unit}-231002-1"), sender=sender)])
    assert dict(state.rejections) == ({} if taken else {"wrong_unit": 1})


def test_a_record_under_anothers_key_is_of_the_wrong_unit() -> None:
    keys = [b"H18.22", b"H18", b"\xff", b"", None]
    state = recount_messages((key, message(full()), AT_MS) for key in keys)
    assert (dict(state.rejections), state.dossiers) == ({"wrong_unit": 5}, {})


def test_a_record_is_rejected_for_the_first_reason_that_holds() -> None:
    state = recount(
        [
            line(None, full(MaHoSo="?", TrangThaiHoSo="?"), full(MaHoSo="H18.22-1", TrangThaiHoSo="?")),
            line(step("11", ""), step("9", ""), step("9", "20231007"), progress=True),
        ]
    )
    assert state.rejections == {"bad_field": 3, "bad_number": 1, "wrong_unit": 1, "unknown_status": 1}


# ---- the two clocks


@pytest.mark.parametrize(
    ("fields", "time"),
    [
        ({"TrangThaiHoSo": "10", "NgayTra": "20231003"}, "20231004150000"),
        ({"TrangThaiHoSo": "10", "NgayTra": "20231004"}, "20231004235959"),
        ({"TrangThaiHoSo": "9", "NgayTra": "20231005"}, "20231004150000"),
        ({"TrangThaiHoSo": "7", "NgayKetThucXuLy": "20231004"}, "20231004235959"),
        ({"TrangThaiHoSo": "3", "NgayTuChoi": "20231003"}, "20231003235959"),
        ({"TrangThaiHoSo": "3"}, "20231004150000"),
        ({"TrangThaiHoSo": "1"}, "20231001080000"),
        ({"TrangThaiHoSo": "4"}, "20231002090000"),
        ({"TrangThaiHoSo": "4", "NgayTiepNhan": "20231002"}, "20231002000000"),
        ({"TrangThaiHoSo": "5", "DanhSachHoSoBoSung": [{"NgayBoSung": "20231003"}, 7]}, "20231003000000"),
        (
            {"TrangThaiHoSo": "5", "DanhSachHoSoBoSung": [{"NgayTiepNhanBoSung": "20231003"}]},
            "20231003000000",
        ),
        ({"TrangThaiHoSo": "8", "NgayKetThucXuLy": "", "NgayTuChoi": "20231003"}, "20231003235959"),
        ({"TrangThaiHoSo": "9", "NgayKetThucXuLy": "", "NgayTra": ""}, "20231002090000"),
    ],
)
def test_a_records_status_time(fields: dict[str, object], time: str) -> None:
    assert only(recount([line(full(**fields))]))["record_time"] == instant(time)


def test_a_record_without_any_time_is_older_than_any() -> None:
    times = dict.fromkeys(("NgayNopHoSo", "NgayTiepNhan", "NgayKetThucXuLy"))
    state = recount([line(full(TrangThaiHoSo="4")), line(full(TrangThaiHoSo="10", **times))])
    assert only(state)["status"] == 4


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ({"NgayKetThucXuLy": "20231003"}, {"NgayKetThucXuLy": "20231002"}, "first"),
        ({"NgayKetThucXuLy": "20231003"}, {"NgayKetThucXuLy": "20231004"}, "second"),
        ({}, {}, "second"),
        ({}, {"TrangThaiHoSo": "8"}, "second"),
        ({"TrangThaiHoSo": "8"}, {}, "second"),
        ({"TrangThaiHoSo": "10"}, {}, "first"),
        ({}, {"TrangThaiHoSo": "4", "NgayTiepNhan": "20231004150000"}, "first"),
    ],
)
def test_a_newer_record_stands_then_the_later_stage_then_the_later_arrival(
    first: dict[str, object], second: dict[str, object], stands: str
) -> None:
    state = recount([line(full(MaLinhVuc="first", **first)), line(full(MaLinhVuc="second", **second))])
    (dossier,) = state.dossiers.values()
    assert dossier.record is not None
    assert dossier.record.sector == stands


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([step("10", "20231004150001")], 10),
        ([step("10", "20231004150000")], 9),
        ([step("4", "20231004160000"), step("7", "20231004155959")], 4),
        ([step("8", "20231004160000"), step("7", "20231004160000")], 8),
        ([step("7", "20231004160000"), step("8", "20231004160000")], 8),
    ],
)
def test_a_progress_row_rules_the_status_only_if_strictly_later(
    rows: list[dict[str, object]], status: int
) -> None:
    before = recount([line(*rows, progress=True), line(full())])
    after = recount([line(full()), line(*rows, progress=True)])
    assert only(before) == only(after)
    assert only(after)["status"] == status


def test_a_progress_row_waits_for_its_dossier_and_counts_nothing() -> None:
    state = recount([line(step("10", "20231004"), progress=True)])
    assert not only(state)["counts"]
    assert rate(state, "ER-766-PORTAL") == (0, 0)


def test_a_late_link_is_not_lost_to_a_progress_row() -> None:
    late = full(TrangThaiHoSo="10", NgayTra="20231004150000")
    state = recount(
        [
            line(full(DanhSachGiayToKetQua=[])),
            line(step("10", "20231005"), progress=True),
            line(late),
        ]
    )
    assert rate(state, "ER-766-DOC") == (1, 1)


# ---- what counts


ALL = ("ER-766-DOC", "ER-766-PORTAL", "ER-2026-METRICS", "ER-PROV-DONE", "ER-PROV-SCORE")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # definitions in the order of ALL, as reported
        ({}, [(1, 1), (1, 1), (0, 0), (1, 1), (1, 1)]),
        ({"TrangThaiHoSo": "10"}, [(1, 1), (1, 1), (1, 1), (1, 1), (1, 1)]),
        ({"TrangThaiHoSo": "7"}, [(1, 1), (1, 1), (0, 0), (1, 1), (1, 1)]),
        ({"TrangThaiHoSo": "8"}, [(1, 1), (1, 1), (0, 0), (0, 0), (0, 1)]),
        ({"TrangThaiHoSo": "3"}, [(0, 0)] * 5),
        ({"TrangThaiHoSo": "1"}, [(0, 0)] * 5),
        ({"NgayTiepNhan": ""}, [(0, 0)] * 5),
        ({"TrangThaiHoSo": "10", "NgayKetThucXuLy": ""}, [(1, 1), (1, 1), (0, 0), (0, 0), (1, 1)]),
        ({"MaTTHC": "9.900009"}, [(0, 0), (1, 1), (0, 0), (1, 1), (1, 1)]),
        (
            {"MaTTHC": "9.900009.000.00.00.H18", "DanhSachGiayToKetQua": ""},
            [(0, 0), (0, 1), (0, 0), (1, 1), (0, 1)],
        ),
        (
            {"DanhSachGiayToKetQua": [{"DuongDanTepTinKetQua": ""}, "out/1"]},
            [(0, 1), (0, 1), (0, 0), (0, 1), (0, 1)],
        ),
        (results({"DuongDanTepTinKetQua": 5}), [(1, 1), (1, 1), (0, 0), (1, 1), (1, 1)]),
        ({"MaTTHC": "unknown"}, [(1, 1), (1, 1), (0, 0), (1, 1), (1, 1)]),
    ],
)
def test_the_five_definitions(fields: dict[str, object], expected: list[tuple[int, int]]) -> None:
    state = recount([line(full(**fields))])
    assert [rate(state, name) for name in ALL] == expected


def test_a_clean_result_has_a_link_that_was_not_sent_in() -> None:
    papers = [{"DuongDanTaiTepTin": "in/1", "IsDeleted": "1"}, None]
    fake = recount([line(full(TaiLieuNop=papers, DanhSachGiayToKetQua=[{"DuongDanTepTinKetQua": "in/1"}]))])
    both = [{"DuongDanTepTinKetQua": "in/1"}, {"DuongDanTepTinKetQua": "out/1"}]
    assert (rate(fake, "ER-766-DOC"), rate(fake, "ER-766-DOC", "clean")) == ((1, 1), (0, 1))
    assert rate(recount([line(full(DanhSachGiayToKetQua=both))]), "ER-766-DOC", "clean") == (1, 1)


@pytest.mark.parametrize(
    ("fields", "system"),
    [
        ({}, "civil_status"),
        ({"MaTTHC": "9.900006.000.00.00.H18"}, "land"),
        ({"MaTTHC": "1.999999"}, "land"),
        ({"MaTTHC": "1.999999", "MaLinhVuc": "?"}, "other"),
    ],
)
def test_the_system_is_the_procedures_else_the_sectors_else_other(
    fields: dict[str, object], system: str
) -> None:
    assert only(recount([line(full(**fields))]))["system"] == system


@pytest.mark.parametrize(
    ("fields", "on_time"),
    [
        ({"NgayHenTra": "20231004"}, True),
        ({"NgayHenTra": "20231004150000"}, True),
        ({"NgayHenTra": "20231004145959"}, False),
        ({"NgayHenTra": ""}, None),
    ],
)
def test_on_time_is_no_later_than_the_due_date_and_unknown_without_one(
    fields: dict[str, object], on_time: bool | None
) -> None:
    assert only(recount([line(full(**fields))]))["on_time"] is on_time


@pytest.mark.parametrize(
    ("fields", "digitised", "population"),
    [
        ({}, False, False),
        ({"HoSoCoThanhPhanSoHoa": 1, "DSKetNoiCSDL": [{"MaCSDL": "7"}]}, True, True),
        ({"TaiLieuNop": [{"DuocSoHoa": "1"}], "TaiKhoanDuocXacThucVoiVNeID": "1"}, True, True),
        ({"TaiLieuNop": {"DuocSoHoa": "1"}, "DSKetNoiCSDL": [{"MaCSDL": "71"}]}, False, False),
    ],
)
def test_digitising_and_the_population_database(
    fields: dict[str, object], digitised: bool, population: bool
) -> None:
    dossier = only(recount([line(full(**fields))]))
    assert (dossier["digitised"], dossier["population"]) == (digitised, population)


# ---- bodies and rows


@pytest.mark.parametrize(
    ("unit", "day", "body"),
    [
        ("H18.21", "2023-10-02", "H18"),
        ("H63", "2025-06-30", "H63"),
        ("H63", "2025-07-01", "H38"),
        ("H63.999", "2025-06-30", "H63"),
        ("H63.999", "2025-07-01", "H38"),
        ("000.01.22.H63", "2025-06-30", "H63"),
        ("000.01.22.H63", "2025-07-01", "H38"),
        ("H02.20", "2025-06-30", "H02"),
        ("H02.20", "2025-07-01", "H05"),
        ("G04.01", "2025-02-28", "G04"),
        ("G04.01", "2025-03-01", "G17"),
        ("G10", "2025-03-01", "G10"),
        ("H99.01", "2025-07-01", "H99"),
        ("H18.21", "2015-01-01", "H18"),
    ],
)
def test_the_body_is_the_one_valid_on_the_day(unit: str, day: str, body: str) -> None:
    assert recount([]).register.body(unit, day) == body


def test_a_correction_moves_a_dossier_to_its_new_day() -> None:
    moved = full(NgayTiepNhan="20231001235959", NgayKetThucXuLy="20231005")
    rows = recount([line(full()), line(moved)]).rates(definition="ER-766-PORTAL", by=("day",))
    assert [(row["day"], row["denominator"]) for row in rows] == [("2023-10-01", 1)]


def test_rows_are_sorted_and_empty_groups_left_out() -> None:
    state = recount(
        [
            line(full(MaHoSo="H18.22-1"), full(MaHoSo="H18.22-2", DanhSachGiayToKetQua=[]), sender="H18"),
            line(full(TrangThaiHoSo="1")),
            line(full(MaHoSo="H18.03-1", NgayTiepNhan="20231003"), sender="H18"),
        ]
    )
    rows = state.rates(definition="ER-766-DOC", form="both", by=("unit", "month"), until="2023-10-02")
    assert rows == [
        {
            "definition": "ER-766-DOC",
            "form": form,
            "basis": "received",
            "unit": "H18.22",
            "month": "2023-10",
            "numerator": 1,
            "denominator": 2,
            "rate": 0.5,
        }
        for form in ("clean", "reported")
    ]


def test_without_groups_there_is_one_row_even_of_nothing() -> None:
    rows = recount([]).rates()
    assert [row["definition"] for row in rows] == sorted(ALL)
    assert all(row["rate"] is None for row in rows)


def test_the_command_prints_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "events.ndjson.gz"
    log.write_bytes(gzip.compress(line(full()) + b"\xff\n" + line(full(TrangThaiHoSo="11"))))
    assert main([str(log), "--by", "unit,day", "--definition", "ER-PROV-DONE", "--json"]) == 0
    output = capsys.readouterr()
    (row,) = json.loads(output.out)["rows"]
    assert (row["unit"], row["day"], row["basis"], row["rate"]) == ("H18.21", "2023-10-04", "completed", 1.0)
    assert output.err == "1 dossiers, 1 bad lines, rejected: 1 unknown_status\n"


def test_the_recount_shares_no_code_with_the_project() -> None:
    room = re.compile(
        r"\s*(?:import|from) (?:rates|producers|sinks|streams|dashboards|infra|motcua)\b", re.MULTILINE
    )
    for source in Path(__file__).parent.glob("*.py"):
        assert not room.search(source.read_text(encoding="utf-8"))
