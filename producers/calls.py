"""One portal call → the messages it becomes on Kafka: declared fields only, one unit and 500 records each.

Promises: no record is lost or added; values are sent byte for byte; within a key the records keep their
order; personal data does not pass, because only what `rates.declared` names is copied. A call that is not
understood goes on as one message, for the worker to refuse with a reason.

Asks for strict JSON (`rates.wire.strict`, and what msgspec accepts); refuses what is not JSON
(msgspec.DecodeError) or is nested too deeply (RecursionError).
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from rates.declared import (
    FULL_SERVICE,
    LISTS,
    PROGRESS_SERVICE,
    Call,
    Record,
    encode,
    items,
    kept,
    members,
    text_of,
)
from rates.wire import MAX_RECORDS, unit_of


class Message(NamedTuple):
    """What Kafka is given: the key is the records' unit, or who sent them where no unit can be read."""

    key: bytes
    value: bytes
    records: int


def split(call: bytes | Raw) -> list[Message]:
    """The messages of one call, grouped by key in the order in which the keys first appear."""
    sent = bytes(call).strip(b" \t\r\n")
    whole = _as_it_is(sent)
    return [whole] if whole is not None else _written_anew(sent)


def _written_anew(sent: bytes) -> list[Message]:
    try:
        read = _as_call.decode(sent)
        copied = _as_copied.decode(sent)
    except msgspec.ValidationError:
        return _split_irregular(sent)
    if copied.is_updating is not UNSET and bytes(copied.is_updating)[:1] in (b"[", b"{"):
        return _split_irregular(sent)
    sender = read.madonvi or ""
    if read.service not in _SERVICES or read.data is None or not copied.data:
        return [_unsplit(sent, sender)]
    keys = [unit_of(record.MaHoSo or "") or sender for record in read.data]
    records = [encode(record) for record in copied.data]
    copied.data = UNSET
    return _grouped(encode(copied), keys, records)


_SERVICES = (FULL_SERVICE, PROGRESS_SERVICE)


def _as_it_is(sent: bytes) -> Message | None:
    """A call that is its own message: compact, one unit's, and every field of it declared and a text.

    So are the calls of a log that was recorded, and of a seeded world. To read one once and copy nothing
    costs a third of writing it anew.
    """
    if any(space in sent for space in _SPACES):
        return None
    try:
        read = _as_declared.decode(sent)
    except msgspec.ValidationError:
        return None
    records = read.data
    if read.service not in _SERVICES or not records or len(records) > MAX_RECORDS:
        return None
    # A name that stands twice would be sent twice: then what was read is less than what is there.
    if len(msgspec.json.encode(read)) != len(sent):
        return None
    unit = unit_of(records[0].MaHoSo or "")
    begin = f"{unit}-"
    if unit is None or not all(
        record.MaHoSo is not None and record.MaHoSo.startswith(begin) for record in records
    ):
        return None
    return Message(unit.encode(), sent, len(records))


_SPACES = (b" ", b"\n", b"\t", b"\r")


def _only(declared: type[Struct]) -> type[Struct]:
    """The same fields and no other: a call with one that is not declared does not decode."""
    fields: list[tuple[str, object, None]] = []
    for name in declared.__struct_fields__:
        kind = list[_only(LISTS[name])] if name in LISTS else str  # type: ignore[misc]
        fields.append((name, kind | None, None))
    return msgspec.defstruct(
        f"{declared.__name__}Only", fields, gc=False, forbid_unknown_fields=True, omit_defaults=True
    )


class _CallOnly(Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    service: str | None = None
    madonvi: str | None = None
    is_updating: str | None = msgspec.field(default=None, name="isUpdating")
    data: list[_only(Record)] | None = None  # type: ignore[valid-type]


_as_declared = msgspec.json.Decoder(_CallOnly)


def _copy_of(declared: type[Struct]) -> type[Struct]:
    """The same fields, undecoded, told apart from missing ones: what was sent can be written as it was."""
    fields: list[tuple[str, object, object]] = []
    for name in declared.__struct_fields__:
        kind = list[_copy_of(LISTS[name])] | None if name in LISTS else Raw  # type: ignore[misc]
        fields.append((name, kind | UnsetType, UNSET))
    return msgspec.defstruct(f"{declared.__name__}Copy", fields, gc=False)


class _CallCopy(Struct, gc=False):
    service: Raw | UnsetType = UNSET
    madonvi: Raw | UnsetType = UNSET
    is_updating: Raw | UnsetType = msgspec.field(default=UNSET, name="isUpdating")
    data: list[_copy_of(Record)] | UnsetType | None = UNSET  # type: ignore[valid-type]


# Read twice: by the declared types, which proves that no container stands where text is due and gives the
# numbers, and undecoded, to be written again byte for byte. Together four times as fast as `kept`.
_as_call = msgspec.json.Decoder(Call)
_as_copied = msgspec.json.Decoder(_CallCopy)


def _split_irregular(sent: bytes) -> list[Message]:
    """The same for a call in which some value is of another type than text: legal, rare, slower."""
    found = kept(Raw(sent))
    if isinstance(found, Raw):
        return [Message(b"", bytes(found), 0)]
    sender = text_of(found.get("madonvi"))
    records = items(found.get("data")) if text_of(found.get("service")) in _SERVICES else None
    if not records:
        return [Message(sender.encode(), encode(found), 0)]
    keys = [unit_of(text_of((members(record) or {}).get("MaHoSo"))) or sender for record in records]
    del found["data"]
    return _grouped(encode(found), keys, [bytes(record) for record in records])


def _unsplit(sent: bytes, sender: str) -> Message:
    return Message(sender.encode(), encode(kept(Raw(sent))), 0)


def _grouped(head: bytes, keys: Sequence[str], records: Sequence[bytes]) -> list[Message]:
    # The head of an understood call names its service, so it is never the empty object.
    opening = head[:-1] + b',"data":['
    groups: dict[str, list[bytes]] = {}
    for key, record in zip(keys, records, strict=True):
        groups.setdefault(key, []).append(record)
    return [
        Message(key.encode(), opening + b",".join(chunk) + b"]}", len(chunk))
        for key, group in groups.items()
        for chunk in (group[at : at + MAX_RECORDS] for at in range(0, len(group), MAX_RECORDS))
    ]
