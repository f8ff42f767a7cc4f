"""The two Native blocks that the engine does not write itself: an empty result's header, and clickhouse-go's
hello."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HELLO = re.compile(
    r"\s*SELECT\s+displayName\(\),\s*version\(\),\s*revision\(\),\s*timezone\(\)\s*;?\s*", re.IGNORECASE
)
_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_DEFAULT_SERIALIZATION = b"\x00"


def header(columns: Sequence[tuple[str, str]]) -> bytes:
    """A block of no rows that names its columns: (name, type)."""
    block = _number(len(columns)) + _number(0)
    for name, kind in columns:
        block += _text(name) + _text(kind)
    return block if columns else b""


def is_hello(sql: str, protocol: int) -> bool:
    """clickhouse-go's first question. It reads the answer at the revision that it asked for."""
    return protocol > 0 and _HELLO.fullmatch(sql) is not None


def hello(version: str) -> bytes:
    """The answer: revision 0, the one in which the engine writes all later blocks."""
    columns = (
        ("displayName()", "String", _text("motcua")),
        ("version()", "String", _text(version)),
        ("revision()", "UInt32", (0).to_bytes(4, "little")),
        ("timezone()", "String", _text("UTC")),
    )
    block = _BLOCK_INFO + _number(len(columns)) + _number(1)
    for name, kind, data in columns:
        block += _text(name) + _text(kind) + _DEFAULT_SERIALIZATION + data
    return block


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _text(value: str) -> bytes:
    raw = value.encode()
    return _number(len(raw)) + raw
