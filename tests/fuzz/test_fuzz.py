"""A few seconds of `make fuzz`: hostile input through the decoder, and that its checks can fail.

Hostile input through a running stack is part of `tests/e2e/test_exact.py`.
"""

import msgspec
import pytest

from rates import wire
from rates.wire import Reason, Rejection
from tests.fuzz.decoding import check, decode_range
from tests.fuzz.inputs import BRINK, KINDS, LARGE, LIMIT, MARK, Input, make
from tests.fuzz.pipeline import pipeline_inputs

SEED = 20231002


@pytest.mark.parametrize("first", [LARGE, LARGE + 1_500])
def test_hostile_input_is_decoded_as_recounted_and_breaks_no_promise(first: int) -> None:
    done = decode_range(SEED, range(first, first + 1_500))
    assert done.faults == []
    assert done.inputs.total() == 1_500
    assert done.accepted.total() > 500
    others = {Reason.TOO_LARGE, Reason.TOO_MANY_RECORDS, Reason.REFUSED}
    assert {reason for _, reason in done.rejected} >= set(Reason) - others


def test_the_largest_inputs_are_of_ten_megabytes_or_just_what_is_read() -> None:
    sizes = [len(make(SEED, index).value or b"") for index in (4, LARGE - 1, LARGE)]
    assert LIMIT - 10 < sizes[0] <= LIMIT
    assert 9_999_990 <= sizes[1] <= 10_000_000
    assert sizes[2] < 1_000_000


@pytest.mark.parametrize("index", [1, 4, 7, LARGE - 1])
def test_a_message_of_ten_megabytes_is_decoded_in_bounded_memory(index: int) -> None:
    _, _, faults = check(make(SEED, index))
    assert faults == []


def test_an_input_is_the_same_whenever_it_is_made_and_every_kind_comes() -> None:
    made = [make(SEED, index) for index in range(LARGE, LARGE + 2_000)]
    assert made == [make(SEED, index) for index in range(LARGE, LARGE + 2_000)]
    assert {item.kind for item in made} == set(KINDS)
    assert BRINK not in {item.kind for _, item in pipeline_inputs(SEED, LARGE, 2_000)}


# That each promise is looked at: a decoder that breaks it is found out.


def sound(rejected: bool = False) -> Input:
    status = b"11" if rejected else b"9"
    value = (
        b'{"service":"DongBoHoSoMC","madonvi":"H14.910","data":[{"MaHoSo":"H14.910-250303-1",'
        b'"TrangThaiHoSo":"' + status + b'","NgayTiepNhan":"20250303","ChuHoSo":"x"}]}'
    )
    return Input("real call", b"H14.910", value, 1_760_000_000_000)


def test_a_sound_call_breaks_no_promise() -> None:
    assert check(sound())[2] == []
    assert check(sound(rejected=True))[2] == []


def test_a_decoder_that_loses_a_record_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.decoding.decode", lambda *_: ([], []))
    assert check(sound())[2] == ["1 records, told of []", "other dossiers than recounted"]


def test_a_decoder_that_gives_another_reason_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rejection = Rejection(0, Reason.BAD_FIELD, "", "")
    monkeypatch.setattr("tests.fuzz.decoding.decode", lambda *_: ([], [rejection]))
    (fault,) = check(sound(rejected=True))[2]
    assert "unknown_status" in fault


def test_a_decoder_that_lets_personal_data_through_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(*arguments: object) -> wire.Decoded:
        events, rejections = wire.decode(*arguments)  # type: ignore[arg-type]
        fields = msgspec.json.encode({"ChuHoSo": MARK}).decode()
        return events, [msgspec.structs.replace(each, fields=fields) for each in rejections]

    monkeypatch.setattr("tests.fuzz.decoding.decode", leaking)
    faults = check(sound(rejected=True))[2]
    assert len(faults) == 2
    assert faults[0].startswith("personal data in")
    assert faults[1] == "undeclared fields are kept: ['ChuHoSo']"


def test_a_decoder_that_raises_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object) -> wire.Decoded:
        raise KeyError("data")

    monkeypatch.setattr("tests.fuzz.decoding.decode", raising)
    (fault,) = decode_range(SEED, range(LARGE, LARGE + 1)).faults
    assert (fault.number, fault.what) == (LARGE, "raised KeyError('data')")


def test_a_decoder_that_changes_its_mind_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter((wire.decode(b"", b"", 0, _anybody()), ([], [])))
    monkeypatch.setattr("tests.fuzz.decoding.decode", lambda *_: next(answers))
    assert "another answer the second time" in check(Input("nothing", b"", b"", 0))[2]


def _anybody() -> wire.Senders:
    class Anybody:
        def may_send(self, sender: str, unit: str) -> bool:
            return True

    return Anybody()
