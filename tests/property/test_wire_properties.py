"""What holds for any bytes: decoding is total, its two paths agree, and what is kept reads the same."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from producers.calls import _as_it_is, _written_anew
from rates.declared import Call, encode, kept
from rates.wire import Decoded, Reason, Rejection, _loose, decode, strict
from tests.property.worlds import UNITS, mutated, odd_calls, text_calls, written
from tests.support.calls import RECEIVED_AT
from tests.support.register import SmallRegister

KEYS = st.sampled_from((*(unit.encode() for unit in UNITS), None, b"", b"\xff"))


def read(value: bytes, key: bytes | None = UNITS[0].encode()) -> Decoded:
    return decode(value, key, RECEIVED_AT, SmallRegister())


def told(decoded: Decoded) -> object:
    """What was decoded, without what tells of the message's bytes alone (its length, its hash)."""
    events, rejections = decoded
    return events, [
        msgspec.structs.replace(rejection, detail="") if is_message(rejection) else rejection
        for rejection in rejections
    ]


def is_message(rejection: Rejection) -> bool:
    return rejection.reason in {
        Reason.NOT_JSON,
        Reason.TOO_LARGE,
        Reason.TOO_DEEP,
        Reason.TOO_MANY_RECORDS,
        Reason.NOT_A_CALL,
    }


def assert_understood_or_rejected(value: bytes, key: bytes | None) -> None:
    """Decoding ends in an answer about each record, or in one about the message; and always in the same."""
    events, rejections = read(value, key)
    assert (events, rejections) == read(value, key)
    if any(map(is_message, rejections)):
        assert (events, len(rejections)) == ([], 1)
        return
    records: list[Any] = json.loads(value)["data"]
    assert sorted([each.index for each in events] + [each.index for each in rejections]) == [
        *range(len(records))
    ]
    for rejection in rejections:
        json.loads(rejection.fields)


@given(st.binary(), KEYS)
def test_any_bytes_are_understood_or_rejected(value: bytes, key: bytes | None) -> None:
    assert_understood_or_rejected(value, key)


@given(written(odd_calls), KEYS)
def test_any_call_is_understood_or_rejected(value: bytes, key: bytes | None) -> None:
    assert_understood_or_rejected(value, key)


@given(mutated(written(text_calls | odd_calls)), KEYS)
def test_a_damaged_call_is_understood_or_rejected(value: bytes, key: bytes | None) -> None:
    assert_understood_or_rejected(value, key)


@given(mutated(written(text_calls | odd_calls)))
def test_what_is_no_json_to_the_standard_library_is_none_here_and_the_reverse(value: bytes) -> None:
    rejected = [rejection.reason for rejection in read(value)[1]] == [Reason.NOT_JSON]
    assert rejected == (not strict_json(value))


def strict_json(value: bytes) -> bool:
    """Whether bytes are strict JSON, by the standard library; a lone surrogate does not go back to UTF-8."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        found = json.loads(
            value.decode(), parse_constant=refuse, parse_int=str, parse_float=str, object_pairs_hook=list
        )
        json.dumps(found, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


@given(written(text_calls))
def test_the_fast_and_the_loose_reading_of_a_call_agree(value: bytes) -> None:
    fast = msgspec.json.decode(value, type=Call)
    loose = _loose(value)
    assert loose is not None
    assert (loose.service, loose.madonvi, loose.data) == (fast.service, fast.madonvi, fast.data)


@given(text_calls, KEYS)
def test_a_value_of_another_type_elsewhere_changes_nothing_for_a_record(call: Any, key: bytes | None) -> None:
    plain = json.dumps(call).encode()
    forced = json.dumps({**call, "data": [*call["data"], None]}).encode()
    events, rejections = read(forced, key)
    assert (events, rejections[:-1]) == read(plain, key)
    assert rejections[-1].reason is Reason.BAD_FIELD


@given(written(text_calls | odd_calls), KEYS)
def test_what_is_kept_of_a_call_reads_the_same(value: bytes, key: bytes | None) -> None:
    assert told(read(encode(kept(Raw(value))), key)) == told(read(value, key))


@given(mutated(written(text_calls | odd_calls)))
def test_what_is_kept_of_a_damaged_call_that_still_is_json_reads_the_same(value: bytes) -> None:
    if strict(value) and strict_json(value):
        assert told(read(encode(kept(Raw(value.strip()))))) == told(read(value))


@given(written(odd_calls))
def test_keeping_twice_is_keeping_once(value: bytes) -> None:
    once = encode(kept(Raw(value)))
    assert encode(kept(Raw(once))) == once


@given(text_calls | odd_calls)
def test_a_call_that_is_sent_as_it_is_reads_like_one_that_is_written_anew(call: Any) -> None:
    value = json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode()
    if strict(value) and (sent := _as_it_is(value)) is not None:
        (anew,) = _written_anew(value)
        assert (sent.key, sent.records) == (anew.key, anew.records)
        assert json.loads(sent.value) == json.loads(anew.value)
