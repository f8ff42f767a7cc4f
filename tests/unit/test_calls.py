"""Portal calls as messages: what is kept, under which key, in which order."""

import json
from typing import Any

import msgspec
import pytest

from producers.calls import Message, _as_it_is, _written_anew, split
from rates.declared import encode, kept
from rates.register import Register
from rates.wire import MAX_RECORDS, decode

FULL = "DongBoHoSoMC"


def call(*records: object, **others: object) -> bytes:
    return json.dumps(
        {"service": FULL, "madonvi": "H18", "data": list(records), **others}, ensure_ascii=False
    ).encode()


def record(unit: str = "H18.21", number: int = 0, **fields: object) -> dict[str, Any]:
    return {"MaHoSo": f"{unit}-251002-{number:04}", **fields}


def numbers(message: Message) -> list[str]:
    return [found["MaHoSo"] for found in json.loads(message.value)["data"]]


def test_records_are_grouped_by_unit_in_order_of_first_appearance() -> None:
    units = ["H18.21", "H18.3", "H18.21", "000.00.16.H18", "H18.3", "H18.21"]
    found = split(call(*(record(unit, at) for at, unit in enumerate(units))))
    assert [message.key for message in found] == [b"H18.21", b"H18.3", b"000.00.16.H18"]
    assert [message.records for message in found] == [3, 2, 1]
    assert numbers(found[0]) == ["H18.21-251002-0000", "H18.21-251002-0002", "H18.21-251002-0005"]
    assert {json.loads(message.value)["madonvi"] for message in found} == {"H18"}


def test_a_unit_of_more_than_500_records_becomes_several_messages_in_order() -> None:
    found = split(call(*(record(number=at) for at in range(2 * MAX_RECORDS + 1))))
    assert [message.records for message in found] == [MAX_RECORDS, MAX_RECORDS, 1]
    assert [number for message in found for number in numbers(message)] == [
        f"H18.21-251002-{at:04}" for at in range(2 * MAX_RECORDS + 1)
    ]


@pytest.mark.parametrize(
    "unreadable", [{}, {"MaHoSo": None}, {"MaHoSo": "?"}, {"MaHoSo": 18.21}, {"MaHoSo": []}, 5, "x", None, []]
)
def test_a_record_without_a_readable_unit_goes_under_who_sent_it(unreadable: object) -> None:
    found = split(call(record(), unreadable, record("H18")))
    assert [(message.key, message.records) for message in found] == [(b"H18.21", 1), (b"H18", 2)]


def test_only_declared_fields_pass_whatever_their_type() -> None:
    secret = {"ChuHoSo": "secret", "x": ["secret"]}
    papers = [{"DuocSoHoa": "1", "TenTepDinhKem": "secret"}]
    regular = record(TaiLieuNop=papers, **secret)
    irregular = record(
        MaTTHC=secret, MaLinhVuc=[secret], TaiLieuNop=secret, DSKetNoiCSDL=[secret, 5, "secret"]
    )
    for records in ([regular], [regular, irregular], [regular, "secret", [secret]]):
        (*_, first), isolated = [
            split(call(*records, session="secret")),
            split(call(*records, isUpdating=secret)),
        ]
        for message in (first, *isolated):
            assert b"secret" not in message.value
    (message,) = split(call(regular, isUpdating="True", session="secret"))
    assert json.loads(message.value) == {
        "service": FULL,
        "madonvi": "H18",
        "isUpdating": "True",
        "data": [{"MaHoSo": "H18.21-251002-0000", "TaiLieuNop": [{"DuocSoHoa": "1"}]}],
    }


@pytest.mark.parametrize(
    "value",
    [
        b'"\\u0110\\/\\u0061"',
        b'"\xc4\x90"',
        b"null",
        b"9",
        b"9.0",
        b"-1E+5",
        b"true",
        b"123456789012345678901234567890",
    ],
)
def test_values_are_sent_byte_for_byte(value: bytes) -> None:
    sent = b'{"service":"%s","madonvi":"H18","isUpdating":%s,"data":[{"MaHoSo":"H18-1","MaTTHC":%s}]}'
    whole = sent % (FULL.encode(), value, value)
    (message,) = split(b" " + whole.replace(b":", b" : ") + b"\r\n")
    assert sorted(message.value) == sorted(whole)
    assert whole.count(value) == message.value.count(value)


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (b"null", b""),
        (b"5", b""),
        (b'"secret"', b""),
        (b'[{"secret":1}]', b""),
        (b"{}", b""),
        (b'{"service":"Other","madonvi":"H18","data":[{"MaHoSo":"H18-1","ChuHoSo":"secret"}]}', b"H18"),
        (b'{"service":5,"madonvi":18,"data":[{"secret":1}]}', b"18"),
        (b'{"service":"DongBoHoSoMC","madonvi":"H18","data":{"secret":1}}', b"H18"),
        (b'{"service":"DongBoHoSoMC","madonvi":"H18","data":null}', b"H18"),
        (b'{"service":"DongBoHoSoMC","madonvi":{"secret":1}}', b""),
        (b'{"service":"DongBoHoSoMC","madonvi":"H18","data":[]}', b"H18"),
    ],
)
def test_a_call_that_is_not_understood_or_empty_is_one_message_without_personal_data(
    sent: bytes, key: bytes
) -> None:
    (message,) = split(sent)
    assert (message.key, message.records) == (key, 0)
    assert b"secret" not in message.value
    assert json.loads(message.value) == json.loads(encode(kept(msgspec.Raw(sent))))


def test_of_a_name_that_is_there_twice_the_last_counts() -> None:
    sent = b'{"service":5,"service":"DongBoHoSoMC","data":[{"MaHoSo":1,"MaHoSo":"H18-1"}],"madonvi":"H18"}'
    (message,) = split(sent)
    assert (message.key, message.records) == (b"H18", 1)


def test_what_is_sent_decodes_to_what_was_received() -> None:
    records = [
        record(number=1, TrangThaiHoSo="4", NgayTiepNhan="20251002080000", MaTTHC="1.000656", ChuHoSo="x"),
        record(
            number=2,
            TrangThaiHoSo=9,
            NgayKetThucXuLy="20251003",
            DanhSachGiayToKetQua=[7, {"DuongDanTepTinKetQua": "u"}],
        ),
        record(number=3, TrangThaiHoSo="77"),
    ]
    sent = call(*records)
    (message,) = split(sent)
    register = Register.shipped()
    at = 1_780_000_000
    events, refused = decode(message.value, message.key, at, register)
    direct, refused_too = decode(sent, message.key, at, register)
    assert events == direct
    assert [(one.index, one.reason) for one in refused] == [(one.index, one.reason) for one in refused_too]


def test_what_is_not_json_or_nested_too_deeply_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        split(b'{"service":')
    with pytest.raises(RecursionError):
        split(b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@pytest.mark.parametrize("service", [FULL, "CapNhatTienDoHoSoMC"])
def test_a_call_that_is_its_own_message_is_sent_as_it_is_and_reads_like_one_that_is_written_anew(
    service: str,
) -> None:
    papers = [{"DuocSoHoa": "1"}, {"DuongDanTaiTepTin": "a"}]
    records = [record(number=at, TaiLieuNop=papers, MaTTHC="Đ\\u0110") for at in range(MAX_RECORDS)]
    value = {"data": records, "madonvi": "H18", "service": service, "isUpdating": "True"}
    sent = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert split(b"\n" + sent) == [Message(b"H18.21", sent, MAX_RECORDS)]
    (anew,) = _written_anew(sent)
    assert (anew.key, anew.records, json.loads(anew.value)) == (b"H18.21", MAX_RECORDS, value)


@pytest.mark.parametrize(
    "other",
    [
        {"session": "x"},
        {"isUpdating": True},
        {"service": "Other"},
        {"data": []},
        {"data": [record(ChuHoSo="x")]},
        {"data": [record(TaiLieuNop=[{"TenTepDinhKem": "x"}])]},
        {"data": [record(TaiLieuNop=["x"])]},
        {"data": [record(), record("H18.211")]},
        {"data": [record(), {}]},
        {"data": [record("no-unit")]},
        {"data": [record()] * (MAX_RECORDS + 1)},
        {"data": [record(MaTTHC="a b")]},
        {"data": [record(MaTTHC=None)]},
    ],
)
def test_every_other_call_is_written_anew(other: dict[str, Any]) -> None:
    value = {"service": FULL, "madonvi": "H18", "data": [record()], **other}
    assert _as_it_is(json.dumps(value, separators=(",", ":")).encode()) is None


def test_a_name_that_stands_twice_is_never_sent_as_it_is() -> None:
    once = json.dumps({"service": FULL, "madonvi": "H18", "data": [record()]}, separators=(",", ":")).encode()
    assert _as_it_is(once) is not None
    for name in (b"service", b"MaHoSo"):
        twice = once.replace(b'"%s":' % name, b'"%s":"hidden","%s":' % (name, name), 1)
        assert _as_it_is(twice) is None
        assert all(b"hidden" not in message.value for message in split(twice))
