"""What of the portal's calls is declared: the fields that are decoded, and so all that may be kept.

Personal data (names, phones, id numbers, addresses) is not declared, so nothing can decode, store or send it:
whatever sends calls on (`kept`) keeps declared fields only, their values untouched. Field names are those of
the portal's interface.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

FULL_SERVICE: Final = "DongBoHoSoMC"
PROGRESS_SERVICE: Final = "CapNhatTienDoHoSoMC"


class Result(Struct, gc=False):
    DuongDanTepTinKetQua: str | None = None


class Paper(Struct, gc=False):
    DuongDanTaiTepTin: str | None = None
    DuocSoHoa: str | None = None


class Database(Struct, gc=False):
    MaCSDL: str | None = None


class Round(Struct, gc=False):
    NgayBoSung: str | None = None
    NgayTiepNhanBoSung: str | None = None


class Record(Struct, gc=False):
    MaHoSo: str | None = None
    TrangThaiHoSo: str | None = None
    MaTTHC: str | None = None
    MaLinhVuc: str | None = None
    NgayNopHoSo: str | None = None
    NgayTiepNhan: str | None = None
    NgayHenTra: str | None = None
    NgayKetThucXuLy: str | None = None
    NgayTra: str | None = None
    NgayTuChoi: str | None = None
    HoSoCoThanhPhanSoHoa: str | None = None
    TaiKhoanDuocXacThucVoiVNeID: str | None = None
    DSKetNoiCSDL: list[Database] | None = None
    TaiLieuNop: list[Paper] | None = None
    DanhSachGiayToKetQua: list[Result] | None = None
    DanhSachHoSoBoSung: list[Round] | None = None
    TrangThai: str | None = None
    ThoiDiemXuLy: str | None = None


class Call(Struct, gc=False):
    service: str | None = None
    madonvi: str | None = None
    data: list[Record] | None = None


LISTS: Final[dict[str, type[Struct]]] = {
    "DSKetNoiCSDL": Database,
    "TaiLieuNop": Paper,
    "DanhSachGiayToKetQua": Result,
    "DanhSachHoSoBoSung": Round,
}
_INNER: Final = {name: frozenset(inner.__struct_fields__) for name, inner in LISTS.items()}
TEXTS: Final = tuple(name for name in Record.__struct_fields__ if name not in LISTS)
RECORD_FIELDS: Final = frozenset(Record.__struct_fields__)
CALL_FIELDS: Final = frozenset({"service", "madonvi", "isUpdating", "data"})

_as_members = msgspec.json.Decoder(dict[str, Raw])
_as_items = msgspec.json.Decoder(list[Raw])
_as_text = msgspec.json.Decoder(str)
encode = msgspec.json.Encoder().encode


def text_of(raw: Raw | None) -> str:
    """A raw JSON value as the portal's text: a string as it is, a number as it is written, else empty."""
    if raw is None:
        return ""
    written = bytes(raw)
    if written[:1] == b'"':
        return _as_text.decode(written)
    return written.decode() if written[:1] in b"-0123456789" and written else ""


def members(value: bytes | Raw) -> dict[str, Raw] | None:
    """The members of a JSON object, undecoded; None where the value is something else."""
    return _as_members.decode(value) if bytes(value)[:1] == b"{" else None


def items(value: Raw | None) -> list[Raw] | None:
    """The items of a JSON list, undecoded; None where the value is something else."""
    return _as_items.decode(value) if value is not None and bytes(value)[:1] == b"[" else None


def kept(call: Raw) -> Raw | dict[str, Raw]:
    """What of a portal call may be sent on: declared fields, values untouched.

    A container where text is due is kept as an empty one of its kind, and so is the data of a service that
    is not known: both read the same as before, and neither can carry personal data.
    """
    found = members(call)
    if found is None:
        return _blank(call, keep_text=False)
    result: dict[str, Raw] = kept_head(found)
    if "data" in found:
        listed = items(found["data"])
        if listed is None or text_of(found.get("service")) not in (FULL_SERVICE, PROGRESS_SERVICE):
            result["data"] = _blank(found["data"], keep_text=False)
        else:
            result["data"] = Raw(encode([kept_record(raw) for raw in listed]))
    return result


def kept_head(call: dict[str, Raw]) -> dict[str, Raw]:
    """What may be kept of a call beside its records: declared fields, values untouched."""
    return {name: _blank(raw) for name, raw in call.items() if name in CALL_FIELDS and name != "data"}


def kept_record(record: Raw) -> Raw | dict[str, Raw]:
    """What of one record may be kept: its declared fields, values untouched."""
    found = members(record)
    if found is None:
        return _blank(record, keep_text=False)
    return {
        name: _kept_list(raw, _INNER[name]) if name in _INNER else _blank(raw)
        for name, raw in found.items()
        if name in RECORD_FIELDS
    }


def _kept_list(raw: Raw, declared: frozenset[str]) -> Raw:
    listed = items(raw)
    if listed is None:
        return _blank(raw, keep_text=False)
    inner = [found for found in map(members, listed) if found is not None]
    return Raw(encode([{n: _blank(r) for n, r in found.items() if n in declared} for found in inner]))


def _blank(raw: Raw, *, keep_text: bool = True) -> Raw:
    """A value without what it must not carry: containers are emptied, texts and numbers out of place too."""
    match bytes(raw)[:1]:
        case b"[":
            return Raw(b"[]")
        case b"{":
            return Raw(b"{}")
        case b"t" | b"f" | b"n":
            return raw
        case _ if keep_text:
            return raw
        case b'"':
            return Raw(b'""')
        case _:
            return Raw(b"0")
