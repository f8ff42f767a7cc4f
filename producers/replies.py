"""What the intake says, in the portal's own shape: `error_code` "0", or the number of the HTTP status.

    {"error_code":"207","message":…,"message_en":…,"next":…,"next_en":…,"taken":2,
     "refused":[{"index":1,"MaHoSo":…,"reason":"wrong_unit","detail":…}]}

The portal's clients look at `error_code` alone; "3" and "-3", which some of them read as success, are not
used. All values but the lists and counts are text, as on the portal.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from rates.wire import MAX_BYTES, MAX_RECORDS


class Said(NamedTuple):
    status: int
    message: str
    message_en: str
    next: str = ""
    next_en: str = ""


_MIB: Final = MAX_BYTES >> 20
_AGAIN: Final = ("Gửi lại nguyên gói tin sau ít giây.", "Send the same call again in a few seconds.")
_ONE_CALL: Final = (
    "Gửi một đối tượng JSON có service, madonvi và data.",
    "Send one JSON object with service, madonvi and data.",
)

SAID: Final[Mapping[str, Said]] = {
    "taken": Said(200, "Đã tiếp nhận toàn bộ.", "All records were taken."),
    "taken_in_part": Said(
        207,
        "Đã tiếp nhận một phần; các bản ghi trong danh sách refused bị từ chối.",
        "Some records were taken; those listed under refused were not.",
        "Sửa hoặc bỏ các bản ghi bị từ chối; không cần gửi lại các bản ghi khác.",
        "Correct or drop the refused records; the others need not be sent again.",
    ),
    "refused": Said(
        403,
        "Không bản ghi nào được tiếp nhận; xem danh sách refused.",
        "No record was taken; see refused.",
        "Kiểm tra MaHoSo, madonvi và mã truy cập của đơn vị.",
        "Check MaHoSo, madonvi and which body the token is of.",
    ),
    "unauthorized": Said(
        401,
        "Thiếu mã truy cập hoặc mã không đúng.",
        "No token, or not one that is known here.",
        "Gửi mã trong Authorization: Bearer … hoặc trong trường session; hỏi quản trị viên nếu chưa có.",
        "Send it as Authorization: Bearer … or as the call's session; ask the administrator for one.",
    ),
    "foreign_sender": Said(
        403,
        "Mã truy cập không thuộc về đơn vị gửi madonvi.",
        "The token is not of the body that madonvi belongs to.",
        "Gửi madonvi của chính bộ, tỉnh mình; sau sáp nhập cần mã truy cập của đơn vị mới.",
        "Send a madonvi of your own body; after a merger, ask for a token of the new body.",
    ),
    "not_json": Said(
        400, "Nội dung không phải JSON hợp lệ (UTF-8).", "This is not JSON in UTF-8.", *_ONE_CALL
    ),
    "too_deep": Said(400, "JSON lồng nhau quá sâu.", "The JSON is nested too deeply.", *_ONE_CALL),
    "not_a_call": Said(
        400,
        "Không phải gói tin DongBoHoSoMC hoặc CapNhatTienDoHoSoMC có danh sách data.",
        "This is no DongBoHoSoMC or CapNhatTienDoHoSoMC with a list data.",
        *_ONE_CALL,
    ),
    "too_many_records": Said(
        413,
        f"Quá {MAX_RECORDS} bản ghi trong một gói tin.",
        f"More than {MAX_RECORDS} records in one call.",
        "Chia thành nhiều gói tin nhỏ hơn.",
        "Send them as several calls.",
    ),
    "too_large": Said(
        413,
        f"Gói tin lớn hơn {_MIB} MiB.",
        f"The call is larger than {_MIB} MiB.",
        "Chia thành nhiều gói tin nhỏ hơn.",
        "Send its records as several calls.",
    ),
    "compressed": Said(
        415,
        "Gói tin được nén (Content-Encoding).",
        "The call is compressed (Content-Encoding).",
        "Gửi không nén.",
        "Send it as it is.",
    ),
    "too_slow": Said(408, "Gói tin đến quá chậm.", "The call came too slowly.", *_AGAIN),
    "too_fast": Said(
        429,
        "Gửi quá nhanh.",
        "Too many calls in too short a time.",
        "Đợi số giây trong Retry-After rồi gửi lại.",
        "Wait the seconds of Retry-After, then send it again.",
    ),
    "busy": Said(503, "Hệ thống đang bận.", "The intake is busy.", *_AGAIN),
    "away": Said(
        503,
        "Chưa lưu được gói tin (Kafka không trả lời).",
        "The call could not be stored (Kafka does not answer).",
        *_AGAIN,
    ),
    "method": Said(405, "Chỉ nhận POST tại địa chỉ /.", "Calls are taken by POST to /.", *_ONE_CALL),
    "no_such_address": Said(
        404, "Không có địa chỉ này.", "There is nothing here.", "Gửi POST đến /.", "POST calls to /."
    ),
}


def reply(
    key: str, *, detail: str = "", taken: int = 0, refused: Sequence[msgspec.Struct] = ()
) -> web.Response:
    """The answer for one of `SAID`."""
    said = SAID[key]
    answer: dict[str, Any] = {
        "error_code": "0" if said.status == 200 else str(said.status),
        "message": said.message,
        "message_en": said.message_en,
        "next": said.next,
        "next_en": said.next_en,
        "reason": key,
        "detail": detail,
        "taken": taken,
        "refused": refused,
    }
    shown = {name: value for name, value in answer.items() if value != "" and value != ()}
    body = msgspec.json.encode(shown)
    return web.Response(status=said.status, body=body, content_type="application/json", charset="utf-8")
