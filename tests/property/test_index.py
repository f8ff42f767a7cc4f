"""An index is a dict of numbers, and texts by their bytes are texts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rates.effects import Texts
from streams import scan
from streams.compiled import Ints
from streams.events import buffers, months, numbered, packed, unpacked
from streams.index import Index, distinct

keys = st.integers(1, 1 << 62) | st.integers(1, 40)
texts = st.lists(st.text(max_size=9), max_size=8)


def ints(values: list[int]) -> Ints:
    return np.array(values, np.int64)


@given(st.lists(st.sets(keys, max_size=900), max_size=4), st.lists(keys, max_size=9), st.booleans())
def test_an_index_finds_what_a_dict_finds(added: list[set[int]], sought: list[int], reset: bool) -> None:
    index, known = Index(), dict[int, int]()
    for some in added:
        new = sorted(some - known.keys())
        places = range(len(known) + 1, len(known) + 1 + len(new))
        known |= zip(new, places, strict=True)
        held = ints([0, *known])
        if reset:
            index.reset(held, ints(list(known.values())))
        else:
            index.add(held, ints(list(places)))
        asked = [*sought, *known]
        assert index.find(held, ints(asked)).tolist() == [known.get(key, -1) for key in asked]
        assert len(index) == len(known)


@given(st.lists(st.integers(-3, 3) | st.integers(-(1 << 62), 1 << 62), max_size=60))
def test_different_keys_are_told_apart(given_: list[int]) -> None:
    first, of = distinct(ints(given_))
    assert [given_[at] for at in first] == list(dict.fromkeys(given_))
    assert [given_[first[at]] for at in of] == given_


@given(texts, st.data())
def test_texts_by_their_bytes_are_gathered_and_sliced_like_a_list(
    given_: list[str], data: st.DataObject
) -> None:
    column = Texts.of(given_)
    assert list(column) == given_
    first, last = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
    assert list(column[first:last]) == given_[first:last]
    of = data.draw(st.lists(st.integers(0, len(given_) - 1), max_size=9)) if given_ else []
    assert list(Texts(*scan.gathered(*buffers(column), ints(of)))) == [given_[at] for at in of]


@given(
    st.sampled_from(("H18.21", "000.00.01.H22")), st.dates(), st.text("0123456789", min_size=1, max_size=9)
)
def test_a_number_with_a_date_is_written_as_it_was_read(unit: str, day: object, serial: str) -> None:
    number = f"{unit}-{day:%y%m%d}-{serial}"
    month, found = numbered(Texts.of([number]), ints([len(unit)]))
    date, digits = unpacked(month, found)
    units = Texts.of([unit])
    assert list(Texts(*scan.numbers(*buffers(units), ints([0]), date, digits))) == [number]
    assert months(date).tolist() == month.tolist()
    assert packed(date, digits).tolist() == found.tolist()


@given(st.text("0123456789-x", max_size=18))
def test_a_number_without_a_date_has_no_month(tail: str) -> None:
    month, _ = numbered(Texts.of([f"H18.21-{tail}"]), ints([6]))
    date, dash, serial = tail.partition("-")
    readable = dash and serial.isdigit() and len(serial) <= 9 and len(date) == 6
    assert readable or month[0] == 0
