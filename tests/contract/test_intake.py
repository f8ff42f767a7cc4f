"""The intake on a real broker: who may send what, and what arrives of it."""

import json
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from producers import eventlog, senders
from producers.portal import Declined, admit
from producers.publish import publish
from rates.failures import Fatal
from tests.support.calls import NUMBER, PROGRESS, call, full, row
from tests.support.intake import (
    BEARER,
    KNOWN,
    LINE,
    NOW,
    OTHER_LINE,
    REGISTER,
    TODAY,
    TOKEN,
    numbers,
    said,
    sending,
)
from tests.support.topic import arrived

pytestmark = pytest.mark.stack


async def test_what_is_taken_is_on_kafka_by_unit_stamped_with_its_receipt(kafka: str, topic: str) -> None:
    records = [full(), full(MaHoSo="H18.22-231002-0001"), full(MaHoSo="H18.21-231002-0148")]
    async with sending(kafka, topic) as client:
        answer = await client.post("/", data=call(records, madonvi="H18", isUpdating="True"), headers=BEARER)
        assert await said(answer) == {
            "error_code": "0",
            "message": "Đã tiếp nhận toàn bộ.",
            "message_en": "All records were taken.",
            "reason": "taken",
            "taken": 3,
            "refused": [],
        }
        # Said after the brokers had them, so they are there now.
        messages = arrived(kafka, topic)
        answer = await client.post("/", data=call([row()], PROGRESS, session=TOKEN))
        assert (await said(answer))["taken"] == 1
    assert {message.key: message.timestamp for message in messages} == {
        b"H18.21": NOW * 1000,
        b"H18.22": NOW * 1000,
    }
    assert numbers(messages) == sorted(record["MaHoSo"] for record in records)
    assert len(arrived(kafka, topic)) == 3


async def test_no_personal_data_and_no_token_reaches_kafka(kafka: str, topic: str) -> None:
    secret = "Nguyễn Văn Kín 001099123456"
    names = ("ChuHoSo", "SoGiayToChuHoSo", "Email", "SoDienThoai", "TrichYeuHoSo", "NguoiXuLy")
    personal = dict.fromkeys(names, secret)
    nested = {"DinhDanhCHS": [{"SoDinhDanh": secret}], "TaiLieuNop": [{"TenTepDinhKem": secret}, secret]}
    out_of_place = {"MaTTHC": {"name": secret}, "DanhSachGiayToKetQua": secret, "NgayTra": [secret]}
    records = [full(**personal, **nested), full(**personal, **nested, **out_of_place)]
    async with sending(kafka, topic) as client:
        sent = call(records, session=TOKEN, username=secret, isUpdating=[secret], DonVi={"ten": secret})
        assert (await said(await client.post("/", data=sent)))["taken"] == 2
    (message,) = arrived(kafka, topic)
    text = json.dumps(json.loads(message.value), ensure_ascii=False)
    assert secret not in text
    assert TOKEN not in text
    assert numbers([message]) == [NUMBER, NUMBER]


async def test_a_unit_has_one_partition_whichever_way_its_calls_come(
    kafka: str, topic: str, tmp_path: Path
) -> None:
    units = [f"H18.{number}" for number in range(1, 200)]
    sent = call([full(MaHoSo=f"{unit}-231002-0001") for unit in units], madonvi="H18")
    eventlog.write(tmp_path / "log.ndjson", [("2026-01-05T09:30:00+07:00", json.loads(sent))])
    publish([tmp_path / "log.ndjson"], brokers=kafka, topic=topic)
    async with sending(kafka, topic) as client:
        await said(await client.post("/", data=sent, headers=BEARER))
    messages = arrived(kafka, topic)
    assert len(messages) == 2 * len(units)
    assert len({(message.key, message.partition) for message in messages}) == len(units)


async def test_a_foreign_record_is_refused_and_named_and_its_neighbours_are_taken(
    kafka: str, topic: str
) -> None:
    foreign = [
        full(MaHoSo="H26.5-231002-0001"),
        full(MaHoSo="000.00.05.H26-231002-0001"),
        full(MaHoSo="H18.22-231002-0001"),
        full(MaHoSo="nonsense"),
        full(MaHoSo=7),
        None,
    ]
    async with sending(kafka, topic) as client:
        answer = await client.post("/", data=call([full(), *foreign, full()]), headers=BEARER)
        document = await said(answer)
        assert (answer.status, document["taken"]) == (207, 2)
        assert [(one["index"], one["reason"]) for one in document["refused"]] == [
            (1, "wrong_unit"),
            (2, "wrong_unit"),
            (3, "wrong_unit"),
            (4, "bad_number"),
            (5, "bad_number"),
            (6, "bad_field"),
        ]
        assert document["refused"][0] == {
            "index": 1,
            "MaHoSo": "H26.5-231002-0001",
            "reason": "wrong_unit",
            "detail": "H26.5 is a unit of H26, this token is of H18",
        }
        answer = await client.post("/", data=call(foreign), headers=BEARER)
        assert (answer.status, (await said(answer))["taken"]) == (403, 0)
        # Not even as somebody else: the sender that a call names must be the token's own.
        for madonvi in ("H26", "H26.5", "", "x.H18", 7, None, ["H18"]):
            answer = await client.post("/", data=call([full()], madonvi=madonvi), headers=BEARER)
            told = await said(answer)
            assert (answer.status, told["reason"]) == (403, "foreign_sender")
            assert told["detail"].endswith("this token is of H18")
    assert numbers(arrived(kafka, topic)) == [NUMBER, NUMBER]


@pytest.mark.parametrize(
    ("body", "sender", "day", "taken"),
    [
        ("H38", "H38", "2025-07-01", True),
        ("H38", "H63.5", "2025-07-01", True),
        ("H38", "H38", "2025-06-30", False),
        ("H63", "H63", "2025-06-30", True),
        ("H63", "H63", "2025-07-01", False),
    ],
)
def test_the_units_of_a_merged_body_are_its_successors_from_the_day_on(
    body: str, sender: str, day: str, taken: bool
) -> None:
    days = (date.fromisoformat(day) - date(1970, 1, 1)).days
    sent = call([full(MaHoSo="H63.5-250602-0001")], madonvi=sender)
    if sender == "H63" and not taken:
        with pytest.raises(Declined, match="foreign_sender"):
            admit(sent, body, days, REGISTER)
        return
    admitted = admit(sent, body, days, REGISTER)
    assert (admitted.records, len(admitted.messages)) == ((1, 1) if taken else (0, 0))


def test_a_name_that_stands_twice_smuggles_nothing() -> None:
    twice = (
        b'{"service":"DongBoHoSoMC","madonvi":"H26","madonvi":"H18","data":[{"MaHoSo":"%b","MaHoSo":"%b"}]}'
    )
    own, foreign = b"H18.21-231002-0001", b"H26.5-231002-0001"
    assert admit(twice % (own, foreign), "H18", TODAY, REGISTER).messages == []
    (message,) = admit(twice % (foreign, own), "H18", TODAY, REGISTER).messages
    assert message.key == b"H18.21"
    assert b"H26" not in message.value


@pytest.mark.parametrize(
    ("headers", "session"),
    [
        ({}, None),
        ({}, ""),
        ({}, 7),
        ({}, {"token": TOKEN}),
        ({}, TOKEN[:-1]),
        ({}, TOKEN + "x"),
        ({}, LINE.rpartition(":")[2]),
        ({"Authorization": ""}, TOKEN),
        ({"Authorization": "Bearer "}, TOKEN),
        ({"Authorization": f"Bearer {TOKEN}x"}, None),
        ({"Authorization": f"Basic {TOKEN}"}, None),
        ({"Authorization": f"Bearer {'x' * 5000}"}, None),
    ],
    ids=range(12),
)
async def test_without_a_known_token_nothing_is_taken(headers: dict[str, str], session: Any) -> None:
    async with sending("127.0.0.1:1", "none") as client:
        answer = await client.post("/", data=call([full()], session=session), headers=headers)
        assert (answer.status, (await said(answer))["reason"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


HOSTILE = {
    "empty": b"",
    "words": b"hello",
    "cut": call([full()])[:-3],
    "two": call([full()]) * 2,
    "list": b"[" + call([full()]) + b"]",
    "null": b"null",
    "deep": b'{"data":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "deep record": call([full()])[:-2] + b',{"MaHoSo":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}]}",
    "lone surrogate": call([full(ChuHoSo="\ud800")]),
    "backslashes": b'{"data":"' + b"\\\\" * 3_000_000 + b'\\ud800"}',
    "not UTF-8": call([full()]).replace(b"1.000001", b"\xff\xfe"),
    "NaN": call([full(MaTTHC=float("nan"))]),
    "service": call([full()], service="LayDanhSachTTHC"),
    "no service": call([full()], service=None),
    "data": call({"MaHoSo": NUMBER}),
    "huge number in place of data": call([]).replace(b"[]", b"1" + b"0" * 1_000_000),
    "bad inside": call([full()]).replace(b'"9"', b"tru"),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_is_no_call_is_answered_as_such(body: bytes) -> None:
    async with sending("127.0.0.1:1", "none") as client:
        answer = await client.post("/", data=BytesIO(body), headers=BEARER)
        document = await said(answer)
        assert (answer.status, document["reason"] in ("not_json", "too_deep", "not_a_call")) == (400, True)
        # Of a stranger it is not even looked at.
        assert (await client.post("/", data=BytesIO(body))).status == 401


async def test_odd_but_legal_calls_are_taken(kafka: str, topic: str) -> None:
    async with sending(kafka, topic) as client:
        for odd in (
            full(MaTTHC="1" * 1_000_000),
            full(TrangThaiHoSo=9),
            full(NgayTra=float("1e300")),
            full(NgayTra="\U0001f600\u0000"),
            full(TrangThaiHoSo="no status"),
        ):
            answer = await client.post("/", data=BytesIO(b" \r\n" + call([odd]) + b"\n"), headers=BEARER)
            assert (await said(answer))["taken"] == 1
        assert (await said(await client.post("/", data=call([]), headers=BEARER)))["taken"] == 0
    assert len(arrived(kafka, topic)) == 5


def test_the_file_of_tokens_holds_digests_and_only_its_owner_may_write_it(tmp_path: Path) -> None:
    path = tmp_path / "intake.tokens"
    path.write_text(f"# who\n{LINE}\n\n{OTHER_LINE}  # Hà Nội\n", encoding="utf-8")
    path.chmod(0o600)
    known = senders.read(path)
    assert known == KNOWN
    assert TOKEN not in path.read_text(encoding="utf-8")
    found = known.by_header(f"Bearer {TOKEN}")
    assert found is not None
    assert found.body == "H18"
    path.chmod(0o620)
    with pytest.raises(Fatal, match="Next: chmod 600"):
        senders.read(path)


@pytest.mark.parametrize(
    "wrong",
    [f"H18 {TOKEN}", TOKEN, LINE[:-1], "H18.21" + LINE[3:], "", "# none"],
    ids=["a token beside its body", "a token alone", "a short digest", "a unit", "empty", "comments"],
)
def test_a_file_of_tokens_that_is_wrong_is_refused_and_not_shown(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "intake.tokens"
    path.touch(0o600)
    path.write_text(wrong + "\n", encoding="utf-8")
    with pytest.raises(Fatal, match="Next: motcua intake --new-token") as refused:
        senders.read(path)
    assert TOKEN not in str(refused.value)
    path.unlink()
    with pytest.raises(Fatal, match="cannot be read"):
        senders.read(path)
