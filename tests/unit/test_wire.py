"""From any bytes to events and rejections: the portal's text, times, numbers, facts and reasons."""

import json

import pytest
from msgspec import Raw

from rates.declared import encode, kept, kept_record
from rates.wire import (
    DIGITISED,
    E_RESULT,
    E_RESULT_CLEAN,
    MAX_BYTES,
    MAX_RECORDS,
    POPULATION_DATABASE,
    Full,
    Reason,
    closing,
    day_of,
    instant,
    unit_of,
)
from tests.support.calls import (
    FULL,
    NUMBER,
    PROGRESS,
    UNIT,
    Json,
    at,
    call,
    decoded,
    decoded_full,
    decoded_row,
    full,
    reason_of,
    reasons,
    row,
    without,
)

DAY = 86_400
WRONG_TYPES: tuple[Json, ...] = (None, True, False, [], ["9"], {}, {"a": "9"})


# Text


@pytest.mark.parametrize("value", WRONG_TYPES)
def test_a_value_of_a_wrong_type_is_empty_text(value: Json) -> None:
    event = decoded_full(MaTTHC=value, MaLinhVuc=value)
    assert (event.procedure, event.sector) == ("", "")


def test_a_missing_key_is_empty_text() -> None:
    (event,), _ = decoded(call([without(full(), "MaTTHC", "MaLinhVuc", "NgayHenTra")]))
    assert (event.procedure, event.sector, event.due) == ("", "", 0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "written", ["9", "9.0", "-0", "1e5", "1E+5", "0.10", "12345678901234567890123", "1e400"]
)
def test_a_number_is_read_as_it_is_written(written: str) -> None:
    value = call([full(MaLinhVuc="SECTOR")]).replace(b'"SECTOR"', written.encode())
    (event,), _ = decoded(value)
    assert event.sector == written  # type: ignore[union-attr]


def test_a_status_that_is_a_number_is_a_status_and_one_with_a_fraction_is_not() -> None:
    assert decoded_full(TrangThaiHoSo=9).status == 9
    assert reason_of(full(TrangThaiHoSo=9.0)) == "unknown_status"


def test_a_time_that_is_a_number_is_a_time() -> None:
    assert decoded_full(NgayTiepNhan=20231002080000).received == at("20231002080000")


def test_nothing_is_trimmed() -> None:
    event = decoded_full(MaTTHC=" 1.000001", NgayTiepNhan=" 20231002080000", NgayHenTra="20231010 ")
    assert (event.procedure, event.received, event.due) == (" 1.000001", 0, 0)
    assert reason_of(full(TrangThaiHoSo="9 ")) == "unknown_status"
    assert reason_of(full(MaHoSo=" " + NUMBER)) == "bad_number"


def test_the_last_of_keys_that_appear_twice_stands() -> None:
    value = call([full(TrangThaiHoSo="10")]).replace(
        b'"TrangThaiHoSo"', b'"TrangThaiHoSo": [], "TrangThaiHoSo"'
    )
    (event,), _ = decoded(value)
    assert event.status == 10
    assert reasons(value.replace(b'"data":', b'"data": 7, "data":')) == []
    assert reasons(value[:-1] + b', "data": []}') == []
    assert reasons(value[:-1] + b', "data": 7}') == [Reason.NOT_A_CALL]


def test_keys_may_be_written_with_escapes() -> None:
    (event,), _ = decoded(call([full()]).replace(b'"MaHoSo"', rb'"\u004daHoSo"'))
    assert event.number == NUMBER


# Strict JSON


@pytest.mark.parametrize("status", [b'"9"', b"9"], ids=["all text", "a number in it"])
@pytest.mark.parametrize("field", ["MaLinhVuc", "GhiChu", "TaiLieuNop"])
@pytest.mark.parametrize(
    "junk",
    [
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"1e",
        b"0x1",
        b"True",
        b"nul",
        b"'a'",
        b"[1,]",
        b'{"a":1,}',
        b'{"a"}',
        b"{1:2}",
        b"/**/1",
        b"1\x0b",
        rb'"\q"',
        rb'"\u12"',
        b'"a\nb"',
        b'"a\x00b"',
        rb'"\ud800"',
        rb'"\udc00"',
        rb'"\udc00\ud800"',
        rb'"\ud800\\udc00"',
        rb'"\ud800x\udc00"',
        rb'"\uD83D\uD83D\uDE00"',
        rb'{"\ud800":1}',
        rb'[{"a":["\udfff"]}]',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b"\xef\xbb\xbf1",
    ],
)
def test_what_is_not_strict_json_is_not_json_wherever_it_stands(
    junk: bytes, field: str, status: bytes
) -> None:
    value = call([full(**{field: "JUNK", "TrangThaiHoSo": "STATUS"})])
    value = value.replace(b'"STATUS"', status).replace(b'"JUNK"', junk)
    assert decoded(value)[0] == []
    assert reasons(value) == [Reason.NOT_JSON]


@pytest.mark.parametrize("fine", [rb'"\ud83d\ude00"', rb'"\\ud800"', b'"\xf0\x9f\x98\x80"', rb'"\u0000\/"'])
def test_surrogates_in_pairs_and_escaped_backslashes_are_fine(fine: bytes) -> None:
    value = call([full(GhiChu="FINE", MaLinhVuc="FINE")]).replace(b'"FINE"', fine)
    (event,), rejections = decoded(value)
    assert rejections == []
    assert event.sector == json.loads(fine)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b" ",
        b"{",
        b"junk",
        b"\xef\xbb\xbf" + call([full()]),
        call([full()]).decode().encode("utf-16"),
        call([full()]) + b"x",
        call([full()]) + call([full()]),
        call([full()])[:-1],
        b"NaN",
        rb'"\ud800"',
        b"\x00",
    ],
)
def test_a_message_that_is_not_one_json_text_is_not_json(value: bytes | None) -> None:
    assert decoded(value) == ([], decoded(value)[1])
    assert reasons(value) == [Reason.NOT_JSON]


def test_space_around_and_between_is_free() -> None:
    value = b" \t\r\n" + json.dumps(json.loads(call([full()])), indent=3).encode() + b"\n"
    assert decoded(value) == decoded(call([full()]))


# Messages


def test_a_rejected_message_tells_its_length_and_hash_and_keeps_nothing() -> None:
    (rejection,) = decoded(b"Nguyen Van A")[1]
    assert (rejection.index, rejection.fields, rejection.unit) == (0, "", "")
    assert "12 bytes" in rejection.detail
    assert "Nguyen" not in rejection.detail


def test_a_message_above_8_mib_is_too_large_whatever_it_is() -> None:
    sound = call([full()])
    assert reasons(sound + b" " * (MAX_BYTES - len(sound))) == []
    assert reasons(sound + b" " * (MAX_BYTES + 1 - len(sound))) == [Reason.TOO_LARGE]
    assert reasons(b"\xff" * (MAX_BYTES + 1)) == [Reason.TOO_LARGE]


@pytest.mark.parametrize("status", ["9", 9, "99"], ids=["all text", "a number in it", "a record rejected"])
@pytest.mark.parametrize("deep", [b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 20_000 + b"1" + b"}" * 20_000])
@pytest.mark.parametrize("field", ["GhiChu", "MaTTHC", "TaiLieuNop"])
def test_nesting_that_the_decoder_gives_up_on_is_too_deep(field: str, deep: bytes, status: Json) -> None:
    value = call([full(**{field: "DEEP", "TrangThaiHoSo": status})]).replace(b'"DEEP"', deep)
    assert reasons(value) == [Reason.TOO_DEEP]


@pytest.mark.parametrize("status", ["9", 9, "99", 99])
@pytest.mark.parametrize("field", ["GhiChu", "MaTTHC", "TaiLieuNop", "data"])
def test_no_depth_of_nesting_makes_decoding_raise(field: str, status: Json) -> None:
    template = call([full(**{field: "DEEP", "TrangThaiHoSo": status})])
    for depth in range(850, 1000):
        value = template.replace(b'"DEEP"', b"[" * depth + b"]" * depth)
        events, rejections = decoded(value)
        assert len(events) + len(rejections) == 1


def test_a_call_of_500_records_is_taken_and_one_of_501_is_one_dead_letter() -> None:
    assert len(decoded(call([full()] * MAX_RECORDS))[0]) == MAX_RECORDS
    assert decoded(call([full()] * (MAX_RECORDS + 1)))[0] == []
    assert reasons(call([full()] * (MAX_RECORDS + 1))) == [Reason.TOO_MANY_RECORDS]
    assert reasons(call([7] * (MAX_RECORDS + 1))) == [Reason.TOO_MANY_RECORDS]


@pytest.mark.parametrize(
    "value",
    [
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"{}",
        call([full()], service="TraCuuHoSo"),
        call([full()], service=""),
        call([full()], service=None),
        call([full()], service=[FULL]),
        call([full()], service=FULL + " "),
        call([full()], service=FULL.lower()),
        call(None),
        call({"a": full()}),
        call("[]"),
        call(7),
        json.dumps({"service": FULL, "madonvi": UNIT}).encode(),
    ],
)
def test_an_unknown_service_or_data_that_is_no_list_is_not_a_call(value: bytes) -> None:
    assert decoded(value)[0] == []
    assert reasons(value) == [Reason.NOT_A_CALL]


def test_a_call_without_records_is_nothing_at_all() -> None:
    assert decoded(call([])) == ([], [])


def test_updating_and_deleted_do_not_matter() -> None:
    plain = decoded(call([full(TaiLieuNop=[{"DuocSoHoa": "1"}])]))
    marked = full(TaiLieuNop=[{"DuocSoHoa": "1", "IsDeleted": "1"}])
    assert decoded(call([marked], isUpdating="True")) == plain
    assert decoded(call([marked], isUpdating={"a": 1})) == plain


# Rejections of records


def test_the_first_reason_that_holds_is_given() -> None:
    assert reason_of(7) == "bad_field"
    assert reason_of(full(MaHoSo="x", TrangThaiHoSo="x"), madonvi="x") == "bad_number"
    assert reason_of(full(TrangThaiHoSo="x"), madonvi="x") == "wrong_unit"
    assert reason_of(row(TrangThai="x", ThoiDiemXuLy="x"), PROGRESS) == "unknown_status"
    assert reason_of(row(ThoiDiemXuLy="x"), PROGRESS) == "bad_field"


@pytest.mark.parametrize("record", [None, True, 7, 7.5, "text", [], [full()]])
def test_a_record_that_is_not_an_object_is_a_bad_field(record: Json) -> None:
    assert reason_of(record) == "bad_field"


def test_a_bad_record_does_not_cost_its_neighbours() -> None:
    records = [full(), 7, full(MaHoSo="x"), full(TrangThaiHoSo="0"), full(MaHoSo=NUMBER[:-1] + "8")]
    events, rejections = decoded(call(records))
    assert [(event.index, event.number) for event in events] == [(0, NUMBER), (4, NUMBER[:-1] + "8")]
    assert [(rejection.index, rejection.reason) for rejection in rejections] == [
        (1, Reason.BAD_FIELD),
        (2, Reason.BAD_NUMBER),
        (3, Reason.UNKNOWN_STATUS),
    ]


def test_a_rejected_record_keeps_its_declared_fields_as_written_and_nothing_else() -> None:
    record = full(TrangThaiHoSo=11, ChuHoSo="Nguyễn Văn A", MaLinhVuc={"SoDienThoai": "0912345678"})
    (rejection,) = decoded(call([full(), record]))[1]
    assert (rejection.index, rejection.unit, rejection.field) == (1, UNIT, "TrangThaiHoSo")
    assert json.loads(rejection.fields) == without(record, "ChuHoSo") | {"MaLinhVuc": {}}


@pytest.mark.parametrize("status", ["", "0", "11", "01", "-1", "９", "1.0", None, True, ["9"]])
def test_a_status_outside_1_to_10_is_unknown(status: Json) -> None:
    assert reason_of(full(TrangThaiHoSo=status)) == "unknown_status"
    assert reason_of(row(TrangThai=status), PROGRESS) == "unknown_status"


def test_the_status_of_the_other_call_does_not_count() -> None:
    assert reason_of(row()) == "unknown_status"
    assert reason_of(full(), PROGRESS) == "unknown_status"


@pytest.mark.parametrize("time", ["", None, "20230229", "2023100308", "20240102120001", []])
def test_a_progress_row_without_a_time_is_a_bad_field(time: Json) -> None:
    assert reason_of(row(ThoiDiemXuLy=time), PROGRESS) == "bad_field"


def test_a_time_of_progress_that_lies_ahead_of_its_receipt_is_not_called_unreadable() -> None:
    ahead = decoded(call([row(ThoiDiemXuLy="20240102120001")], PROGRESS))[1]
    unreadable = decoded(call([row(ThoiDiemXuLy="20230229")], PROGRESS))[1]
    assert ahead[0].detail == "'20240102120001' lies more than a day after its receipt"
    assert unreadable[0].detail == "'20230229' is no time of progress"


def test_a_progress_row_gives_status_and_time() -> None:
    event = decoded_row(TrangThai="10", ThoiDiemXuLy="20231003")
    assert (event.number, event.unit, event.index) == (NUMBER, UNIT, 0)
    assert (event.status, event.status_time) == (10, at("20231003"))


# Number and unit


@pytest.mark.parametrize(
    ("number", "unit"),
    [
        ("H18-231002-1", "H18"),
        ("G09.1-231002-1", "G09.1"),
        ("H18.21.7-231002-1", "H18.21.7"),
        ("H18.21.7.123-231002-1", "H18.21.7.123"),
        ("000.00.01.H22-231002-1", "000.00.01.H22"),
        ("0.17.22.G56-231002-1", "0.17.22.G56"),
        ("H18.021-x", "H18.021"),
        ("H18.21-", "H18.21"),
        ("H18.21--", "H18.21"),
        ("H18.21-\n\u0000", "H18.21"),
    ],
)
def test_a_unit_is_the_text_before_the_first_dash_as_written(number: str, unit: str) -> None:
    assert unit_of(number) == unit
    events, rejections = decoded(call([full(MaHoSo=number)], madonvi=unit), unit.encode())
    assert rejections == []
    assert (events[0].unit, events[0].number) == (unit, number)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "-",
        "-231002-1",
        "H1-231002-1",
        "H180-231002-1",
        "h18-231002-1",
        "K18-231002-1",
        "H18.-231002-1",
        "H18.1234-231002-1",
        "H18.1.2.3.4-231002-1",
        "00.01.H22-231002-1",
        "000.00.00.01.H22-231002-1",
        "000.00.01.H22.1-231002-1",
        "0000.00.01.H22-231002-1",
        "H18.21\n-231002-1",
        "H18 .21-231002-1",
        "H１８-231002-1",
        "H18.٢١-231002-1",
        "x H18.21-231002-1",
        "H18/21-231002-1",
    ],
)
def test_a_unit_in_neither_form_is_a_bad_number(number: str) -> None:
    assert unit_of(number) is None
    assert reason_of(full(MaHoSo=number)) == "bad_number"


@pytest.mark.parametrize("number", [None, True, [NUMBER], {}, 18])
def test_a_number_that_is_no_text_is_a_bad_number(number: Json) -> None:
    assert reason_of(full(MaHoSo=number)) == "bad_number"


def test_a_unit_above_may_send_and_a_sibling_a_child_or_nobody_may_not() -> None:
    assert reason_of(full(), madonvi="H18") == ""
    for sender in ("H18.22", "H18.21.1", "H1", "H18.2", "", None, [UNIT]):
        assert reason_of(full(), madonvi=sender) == "wrong_unit"


@pytest.mark.parametrize("key", [None, b"", b"H18", b"H18.22", b"H18.21 ", b"\xff"])
def test_a_record_whose_unit_is_not_the_key_is_of_the_wrong_unit(key: bytes | None) -> None:
    assert reasons(call([full()]), key) == [Reason.WRONG_UNIT]


# Times


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("20231002080910", "20231002080910"),
        ("20231002", "20231002000000"),
        ("20000101", "20000101000000"),
        ("20991231235959", "20991231235959"),
        ("20240229", "20240229000000"),
        ("20000229000000", "20000229000000"),
    ],
)
def test_a_time_is_fourteen_or_eight_digits_in_local_time(text: str, iso: str) -> None:
    assert instant(text) == at(iso)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "0",
        "202310",
        "2023100208",
        "202310020809",
        "202310020809100",
        "20231002 80910",
        "20231002-80910",
        "+2023100",
        "2023-10-02",
        "2023100²",
        "２０２３１００２",
        "20230229",
        "20231301",
        "20230001",
        "20231000",
        "20231032",
        "20230431",
        "20231002240000",
        "20231002236000",
        "20231002235960",
        "19991231235959",
        "21000101",
        "20231002\n",
        "2023 002",
    ],
)
def test_a_time_that_names_no_instant_of_this_century_is_empty(text: str | None) -> None:
    assert instant(text) == 0
    assert decoded_full(NgayTiepNhan=text).received == 0


def test_a_time_more_than_a_day_after_the_arrival_is_empty() -> None:
    arrival = at("20231002080000")
    ((event,), _) = decoded(
        call([full(NgayTiepNhan="20231003080000", NgayKetThucXuLy="20231003080001")]), received_at=arrival
    )
    assert isinstance(event, Full)
    assert (event.received, event.completed) == (at("20231003080000"), 0)
    assert event.status_time == at("20231003080000")


def test_a_progress_row_from_more_than_a_day_after_its_arrival_has_no_time() -> None:
    rows = call([row(ThoiDiemXuLy="20231003080000"), row(ThoiDiemXuLy="20231003080001")], PROGRESS)
    events, rejections = decoded(rows, received_at=at("20231002080000"))
    assert [event.index for event in events] == [0]
    assert [(rejection.index, rejection.reason) for rejection in rejections] == [(1, Reason.BAD_FIELD)]


def test_a_due_date_may_lie_in_the_future() -> None:
    assert decoded_full(NgayHenTra="20991231").due == at("20991231")


def test_the_future_is_judged_by_the_time_as_sent_not_by_the_end_of_its_day() -> None:
    ((event,), _) = decoded(call([full(NgayKetThucXuLy="20231003")]), received_at=at("20231002000000"))
    assert event.status_time == at("20231003235959")


def test_days_are_local() -> None:
    assert day_of(at("20231002000000")) == day_of(at("20231002235959"))
    assert day_of(at("20231003000000")) == day_of(at("20231002235959")) + 1
    assert day_of(at("20231002")) * DAY == at("20231002") + 7 * 3600


def test_a_closing_time_at_midnight_is_the_end_of_its_day_and_none_stays_none() -> None:
    assert closing(at("20231002")) == at("20231002235959")
    assert closing(at("20231002000001")) == at("20231002000001")
    assert closing(0) == 0


# Status time

TIMES: dict[str, Json] = {
    "NgayNopHoSo": "20231001070000",
    "NgayTiepNhan": "20231002080000",
    "NgayHenTra": "20231230000000",
    "NgayKetThucXuLy": "20231005100000",
    "NgayTra": "20231006110000",
    "NgayTuChoi": "20231007120000",
    "DanhSachHoSoBoSung": [
        {"NgayBoSung": "20231003090000", "NgayTiepNhanBoSung": "20231004090000"},
        {"NgayBoSung": "20231003100000"},
    ],
}


@pytest.mark.parametrize(
    ("status", "time"),
    [
        (1, "20231001070000"),
        (2, "20231004090000"),
        (3, "20231007120000"),
        (4, "20231004090000"),
        (5, "20231004090000"),
        (6, "20231004090000"),
        (7, "20231005100000"),
        (8, "20231005100000"),
        (9, "20231005100000"),
        (10, "20231006110000"),
    ],
)
def test_each_status_has_its_time(status: int, time: str) -> None:
    assert decoded_full(**TIMES, TrangThaiHoSo=str(status)).status_time == at(time)


def test_a_returned_dossier_has_the_later_of_return_and_end() -> None:
    times = {"NgayTra": "20231006110000", "NgayKetThucXuLy": "20231008100000"}
    assert decoded_full(TrangThaiHoSo="10", **times).status_time == at("20231008100000")
    assert decoded_full(TrangThaiHoSo="10", NgayTra="20231004").status_time == at("20231005100000")


@pytest.mark.parametrize("status", ["2", "4", "5", "6"])
def test_a_dossier_in_work_has_the_latest_of_receipt_and_supplements(status: str) -> None:
    def time(rounds: Json, received: str = "20231002080000") -> int:
        fields = {"NgayTiepNhan": received, "DanhSachHoSoBoSung": rounds}
        return decoded_full(TrangThaiHoSo=status, **fields).status_time

    assert time(None) == at("20231002080000")
    assert time([{"NgayBoSung": "20231001"}]) == at("20231002080000")
    assert time([{"NgayBoSung": "20231003"}, 7, None, {"NgayTiepNhanBoSung": "20231004"}]) == at("20231004")
    assert time([{"NgayTiepNhanBoSung": "20231004"}], "") == at("20231004")


@pytest.mark.parametrize(
    ("status", "own"),
    [(1, ["NgayNopHoSo"]), (3, ["NgayTuChoi"]), (7, ["NgayKetThucXuLy"]), (8, ["NgayKetThucXuLy"])]
    + [(9, ["NgayKetThucXuLy"]), (10, ["NgayTra", "NgayKetThucXuLy"])]
    + [(code, ["NgayTiepNhan", "DanhSachHoSoBoSung"]) for code in (2, 4, 5, 6)],
)
def test_without_its_own_time_a_status_has_the_latest_that_the_record_carries(
    status: int, own: list[str]
) -> None:
    others = TIMES | dict.fromkeys(own, "")
    left = {
        "NgayNopHoSo": "20231001070000",
        "NgayTiepNhan": "20231002080000",
        "DanhSachHoSoBoSung": "20231004090000",
        "NgayKetThucXuLy": "20231005100000",
        "NgayTra": "20231006110000",
        "NgayTuChoi": "20231007120000",
    }
    latest = max(time for name, time in left.items() if name not in own)
    assert decoded_full(**others, TrangThaiHoSo=status).status_time == at(latest)


def test_a_record_with_a_due_date_alone_has_no_status_time() -> None:
    empty = dict.fromkeys(TIMES, "") | {"NgayHenTra": "20231010"}
    for status in range(1, 11):
        assert decoded_full(**empty, TrangThaiHoSo=status).status_time == 0


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ("7", "NgayKetThucXuLy"),
        ("8", "NgayKetThucXuLy"),
        ("9", "NgayKetThucXuLy"),
        ("3", "NgayTuChoi"),
        ("10", "NgayTra"),
        ("10", "NgayKetThucXuLy"),
        ("1", "NgayTra"),
        ("1", "NgayTuChoi"),
    ],
)
def test_a_closing_time_at_midnight_is_the_end_of_its_day(status: str, field: str) -> None:
    empty = dict.fromkeys(TIMES, "") | {field: "20231005"}
    assert decoded_full(**empty, TrangThaiHoSo=status).status_time == at("20231005235959")


def test_other_times_at_midnight_are_midnights() -> None:
    assert decoded_full(TrangThaiHoSo="1", NgayNopHoSo="20231001").status_time == at("20231001")
    assert decoded_full(TrangThaiHoSo="4", NgayTiepNhan="20231002").status_time == at("20231002")
    assert decoded_row(ThoiDiemXuLy="20231003").status_time == at("20231003")


def test_midnight_moves_the_status_time_alone_not_the_completion() -> None:
    assert decoded_full(NgayKetThucXuLy="20231005").completed == at("20231005")


def test_the_completion_is_the_end_of_processing_else_the_return() -> None:
    assert decoded_full(NgayTra="20231004").completed == at("20231005100000")
    assert decoded_full(NgayKetThucXuLy="", NgayTra="20231004").completed == at("20231004")
    assert decoded_full(NgayKetThucXuLy="", NgayTra="").completed == 0


# Facts


def facts(**fields: Json) -> int:
    return decoded_full(**fields).facts


def test_without_anything_there_is_no_fact() -> None:
    assert facts() == 0


@pytest.mark.parametrize(
    "links", [[], [{}], [{"DuongDanTepTinKetQua": ""}], [{"MaGiayToKetQua": "x"}], {}, "a"]
)
def test_without_a_link_there_is_no_electronic_result(links: Json) -> None:
    assert facts(DanhSachGiayToKetQua=links) == 0


def test_a_link_to_a_result_is_an_electronic_result() -> None:
    links = [7, {"DuongDanTepTinKetQua": ""}, {"DuongDanTepTinKetQua": "a"}]
    assert facts(DanhSachGiayToKetQua=links) == E_RESULT | E_RESULT_CLEAN
    assert facts(DanhSachGiayToKetQua=[{"DuongDanTepTinKetQua": 7}]) == E_RESULT | E_RESULT_CLEAN


def test_a_result_that_is_one_of_the_papers_handed_in_is_not_clean() -> None:
    papers = [{"DuongDanTaiTepTin": "a"}, {"DuongDanTaiTepTin": "b"}, None]
    same = [{"DuongDanTepTinKetQua": "a"}, {"DuongDanTepTinKetQua": "b"}]
    assert facts(TaiLieuNop=papers, DanhSachGiayToKetQua=same) == E_RESULT
    another = [*same, {"DuongDanTepTinKetQua": "a "}]
    assert facts(TaiLieuNop=papers, DanhSachGiayToKetQua=another) == E_RESULT | E_RESULT_CLEAN


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"HoSoCoThanhPhanSoHoa": "1"}, DIGITISED),
        ({"HoSoCoThanhPhanSoHoa": 1}, DIGITISED),
        ({"HoSoCoThanhPhanSoHoa": True}, 0),
        ({"HoSoCoThanhPhanSoHoa": "0"}, 0),
        ({"HoSoCoThanhPhanSoHoa": "2"}, 0),
        ({"TaiLieuNop": [{"DuocSoHoa": "0"}, {"DuocSoHoa": "1"}]}, DIGITISED),
        ({"TaiLieuNop": [{"DuocTaiSuDung": "1"}]}, 0),
        ({"TaiKhoanDuocXacThucVoiVNeID": "1"}, POPULATION_DATABASE),
        ({"TaiKhoanDuocXacThucVoiVNeID": "0"}, 0),
        ({"DSKetNoiCSDL": [{"MaCSDL": "2"}, {"MaCSDL": "7"}]}, POPULATION_DATABASE),
        ({"DSKetNoiCSDL": [{"MaCSDL": 1}]}, POPULATION_DATABASE),
        ({"DSKetNoiCSDL": [{"MaCSDL": "17"}, "1", ["7"]]}, 0),
    ],
)
def test_digitising_and_the_population_database_are_facts(fields: dict[str, Json], expected: int) -> None:
    assert facts(**fields) == expected


# What is kept


def kept_of(sent: bytes) -> bytes:
    return encode(kept(Raw(sent)))


def test_declared_values_are_kept_byte_for_byte() -> None:
    record = rb'{"MaHoSo":"H18.21\u002d1","TrangThaiHoSo":9.0,"MaTTHC":"\/\ud83d\ude00","NgayNopHoSo":true'
    inner = record + rb',"TaiLieuNop":[{"DuocSoHoa":1e0,"DuongDanTaiTepTin":"\u0061"}]}'
    sent = b'{"service":"DongBoHoSoMC","madonvi":1.50,"isUpdating":"True","data":[' + inner + b"]}"
    assert kept_of(sent) == sent


def test_keeping_twice_is_keeping_once() -> None:
    once = kept_of(call([full(ChuHoSo="A", TaiLieuNop=[{"TenTepDinhKem": "A"}]), 7, None]))
    assert kept_of(once) == once


PERSON = "Nguyễn Thị Bí Mật"
SECRETS: tuple[Json, ...] = (
    {"ChuHoSo": PERSON},
    {"DanhSachLePhi": [{"Gia": PERSON}]},
    {"MaTTHC": {"ChuHoSo": PERSON}},
    {"MaTTHC": [PERSON]},
    {"TaiLieuNop": PERSON},
    {"TaiLieuNop": {"DuocSoHoa": PERSON}},
    {"TaiLieuNop": [PERSON]},
    {"TaiLieuNop": [[{"DuocSoHoa": PERSON}]]},
    {"TaiLieuNop": [{"TenTepDinhKem": PERSON}]},
    {"TaiLieuNop": [{"DuocSoHoa": {"a": PERSON}}]},
    {"TaiLieuNop": [{"DuocSoHoa": [PERSON]}]},
    {"DanhSachHoSoBoSung": [{"NguoiYeuCauBoSung": PERSON, "NgayBoSung": "20231002"}]},
    {PERSON: "1"},
    PERSON,
    [PERSON],
    [[{"MaHoSo": PERSON}]],
)


@pytest.mark.parametrize("service", [FULL, PROGRESS])
@pytest.mark.parametrize("record", SECRETS, ids=str)
def test_personal_data_is_not_kept_wherever_it_stands_in_a_record(record: Json, service: str) -> None:
    found = json.loads(kept_of(call([record, full()], service)))
    assert PERSON not in json.dumps(found, ensure_ascii=False)
    assert found["data"][1] == full()
    assert PERSON not in encode(kept_record(Raw(json.dumps(record).encode()))).decode()
    for rejection in decoded(kept_of(call([record], service)))[1] + decoded(call([record], service))[1]:
        assert PERSON not in json.dumps(json.loads(rejection.fields), ensure_ascii=False)


@pytest.mark.parametrize(
    "sent",
    [
        {"service": FULL, "madonvi": [PERSON], "data": []},
        {"service": {"a": PERSON}, "data": [full(ChuHoSo=PERSON)]},
        {"service": "TraCuuHoSo", "data": [{"MaHoSo": PERSON}]},
        {"service": FULL, "isUpdating": {"a": PERSON}, "data": []},
        {"service": FULL, "session": PERSON, "data": []},
        {"service": FULL, "data": {"a": PERSON}},
        {"service": FULL, "data": PERSON},
        {"data": [PERSON]},
        [PERSON],
        PERSON,
    ],
    ids=str,
)
def test_personal_data_is_not_kept_wherever_it_stands_in_a_call(sent: Json) -> None:
    result = json.loads(kept_of(json.dumps(sent).encode()))
    assert PERSON not in json.dumps(result, ensure_ascii=False)


@pytest.mark.parametrize(
    "sent",
    [
        912345678,
        {"service": FULL, "data": 912345678},
        {"service": FULL, "data": [912345678]},
        {"service": FULL, "data": [{"TaiLieuNop": 912345678}]},
    ],
    ids=str,
)
def test_a_telephone_number_is_not_kept_where_a_list_or_a_record_is_due(sent: Json) -> None:
    assert b"912345678" not in kept_of(json.dumps(sent).encode())
