"""Strategies: portal calls as they might arrive, sound, odd and broken."""

import json
from typing import Any

from hypothesis import strategies as st

from rates.declared import LISTS, RECORD_FIELDS
from rates.wire import Event, Full, Progress

UNITS = ("H18.21", "H18.22", "000.00.01.H22")
NUMBERS = tuple(f"{unit}-{tail}" for unit in UNITS for tail in ("231002-0147", "231102-0001", "khác"))
SERVICES = ("DongBoHoSoMC", "CapNhatTienDoHoSoMC")

times = st.sampled_from(
    (
        "",
        "20231002",
        "20231002080000",
        "20231003",
        "20231003235959",
        "20231004",
        "20240229120000",
        "20230229",
        "20991231",
        "x",
    )
)
statuses = st.sampled_from((*map(str, range(1, 11)), "4", "9", "10", "11", ""))
links = st.sampled_from(("", "a", "b"))
flags = st.sampled_from(("0", "1", "2", ""))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _listed(name: str) -> st.SearchStrategy[Any]:
    fields: dict[str, st.SearchStrategy[str]] = {
        "DuongDanTepTinKetQua": links,
        "DuongDanTaiTepTin": links,
        "DuocSoHoa": flags,
        "MaCSDL": st.sampled_from(("1", "2", "7", "17")),
        "NgayBoSung": times,
        "NgayTiepNhanBoSung": times,
    }
    inner = {field: fields[field] for field in LISTS[name].__struct_fields__}
    return st.lists(st.fixed_dictionaries({}, optional=inner), max_size=3)


text_records: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "MaHoSo": st.sampled_from((*NUMBERS, "x")),
        "TrangThaiHoSo": statuses,
        "TrangThai": statuses,
        "ThoiDiemXuLy": times,
    },
    optional={
        "MaTTHC": st.sampled_from(("1.000001", "1.000002", "1.000003", "?")),
        "MaLinhVuc": st.sampled_from(("G09-LV", "")),
        **dict.fromkeys(
            ("NgayNopHoSo", "NgayTiepNhan", "NgayHenTra", "NgayKetThucXuLy", "NgayTra", "NgayTuChoi"), times
        ),
        "HoSoCoThanhPhanSoHoa": flags,
        "TaiKhoanDuocXacThucVoiVNeID": flags,
        "ChuHoSo": st.text(max_size=8),
        **{name: _listed(name) for name in LISTS},
    },
)
"""Records of which every value is text, lists of objects apart: what a portal sends."""


@st.composite
def odd_records(draw: st.DrawFn) -> Any:
    """Records in which some values are of any type at all, or which are no objects."""
    if draw(st.integers(0, 9)) == 0:
        return draw(json_values)
    record = dict(draw(text_records))
    for name in draw(st.lists(st.sampled_from(sorted(RECORD_FIELDS)), max_size=3)):
        record[name] = draw(json_values)
    for name in draw(st.lists(st.sampled_from(sorted(LISTS)), max_size=2)):
        inner = st.dictionaries(st.sampled_from(LISTS[name].__struct_fields__), json_values, max_size=2)
        record[name] = draw(st.lists(inner | json_values, max_size=3))
    return record


def calls(records: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "service": st.sampled_from((*SERVICES, *SERVICES, "TraCuuHoSo")) | odd,
            "madonvi": st.sampled_from((*UNITS, "H18")) | odd,
            "data": st.lists(records, max_size=4) | odd,
        },
        optional={"isUpdating": odd, "session": st.text(max_size=8)},
    )


text_calls = st.fixed_dictionaries(
    {
        "service": st.sampled_from(SERVICES),
        "madonvi": st.sampled_from((*UNITS, "H18", "")),
        "data": st.lists(text_records, max_size=4),
    },
    optional={"isUpdating": st.sampled_from(("True", "False"))},
)
odd_calls = calls(odd_records(), json_values)


@st.composite
def written(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """A JSON text, escaped or not, in one line or in many."""
    return json.dumps(
        draw(values), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from((None, 1)))
    ).encode()


@st.composite
def mutated(draw: st.DrawFn, texts: st.SearchStrategy[bytes]) -> bytes:
    """A text in which some bytes are cut out, written over or put in."""
    value = bytearray(draw(texts))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(value)))
        end = min(len(value), start + draw(st.integers(0, 6)))
        pieces = st.sampled_from(
            (b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"null", b"7", b"NaN", b"\xff", rb"\ud800")
        )
        value[start:end] = draw(pieces | st.binary(max_size=4))
    return bytes(value)


# Events of one dossier. Few times and statuses, so that equal ones meet.

NUMBER = NUMBERS[0]
MOMENTS = tuple(1_696_208_400 + 86_400 * day for day in range(3))


def _record(status: int, time: int, received: int, ended: int, due: int, procedure: str, facts: int) -> Event:
    return Full(NUMBER, UNITS[0], 0, status, time, received, ended, due, procedure, "", facts)


def _progress(status: int, time: int) -> Event:
    return Progress(NUMBER, UNITS[0], 0, status, time)


moments = st.sampled_from((0, *MOMENTS))
records: st.SearchStrategy[Event] = st.builds(
    _record,
    st.sampled_from((1, 2, 3, 4, 7, 9, 10)),
    moments,
    moments,
    moments,
    moments,
    st.sampled_from(("1.000001", "1.000002")),
    st.sampled_from((0, 1, 3)),
)
rows: st.SearchStrategy[Event] = st.builds(
    _progress, st.sampled_from((3, 4, 7, 9, 10)), st.sampled_from((*MOMENTS, MOMENTS[1] + 1))
)
events = records | rows
