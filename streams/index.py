"""Where keys stand, for arrays of them at once."""

from secrets import randbits
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.compiled import Ints, compiled, inlined

Slots: TypeAlias = NDArray[np.int32]
_FACTOR: Final = randbits(63) | 1
"""Whoever sends may choose keys, so where they are looked for depends on a secret."""


@inlined
def _slot(slots: Slots, held: Ints, key: int, factor: int) -> int:
    """Where a key's place is kept, or would be."""
    last = len(slots) - 1
    mixed = key * factor
    at = (mixed ^ (mixed >> 32)) & last
    while slots[at] != 0 and held[slots[at]] != key:
        at = (at + 1) & last
    return at


@compiled
def _found(slots: Slots, held: Ints, factor: int, sought: Ints) -> Ints:
    found = np.empty(len(sought), np.int64)
    for at in range(len(sought)):
        place = slots[_slot(slots, held, sought[at], factor)]
        found[at] = place if place != 0 else -1
    return found


@compiled
def _put(slots: Slots, held: Ints, factor: int, places: Ints) -> None:
    for place in places:
        slots[_slot(slots, held, held[place], factor)] = place


class Index:
    """The places of keys: a dict of numbers in 6 to 11 bytes each. No key is 0, and nobody's place is 0.

    The keys themselves are where they stand: `held`, a column with the key of each place, is handed in.
    """

    def __init__(self) -> None:
        self._empty(1024)

    def __len__(self) -> int:
        return self._size

    def _empty(self, room: int) -> None:
        self._size = 0
        self._slots = np.zeros(room, np.int32)

    def reset(self, held: Ints, places: Ints) -> None:
        """Know these places and nothing else."""
        self._empty(1024)
        self.add(held, places)

    def find(self, held: Ints, keys: Ints) -> Ints:
        """The place of each key, -1 where it has none."""
        found: Ints = _found(self._slots, held, _FACTOR, keys)
        return found

    def add(self, held: Ints, places: Ints) -> None:
        """Know these places, too, whose keys were not known."""
        room = len(self._slots)
        while 4 * (self._size + len(places)) > 3 * room:
            room *= 2
        size, known = self._size, self._slots
        if room > len(known):
            self._empty(room)
            _put(self._slots, held, _FACTOR, known[known != 0].astype(np.int64))
        _put(self._slots, held, _FACTOR, places)
        self._size = size + len(places)


@compiled
def _distinct(keys: Ints, factor: int) -> tuple[Ints, Ints]:
    room = 16
    while room < 2 * len(keys):
        room *= 2
    slots = np.zeros(room, np.int32)
    held, first = np.empty(len(keys) + 1, np.int64), np.empty(len(keys), np.int64)
    of = np.empty(len(keys), np.int64)
    known = 0
    for at in range(len(keys)):
        slot = _slot(slots, held, keys[at], factor)
        if slots[slot] == 0:
            first[known] = at
            known += 1
            held[known] = keys[at]
            slots[slot] = known
        of[at] = slots[slot] - 1
    return first[:known].copy(), of


def distinct(keys: Ints) -> tuple[Ints, Ints]:
    """Where each different key stands first, and of every key which of those it is.

    As `np.unique` with its indexes, a tenth of its time, in the order in which they come.
    """
    first, of = _distinct(keys, _FACTOR)
    return first, of


@compiled
def _grouped(of: Ints, groups: int, version: NDArray[np.uint64]) -> tuple[Ints, Ints, bool]:
    begins = np.zeros(groups + 1, np.int64)
    for group in of:
        begins[group + 1] += 1
    for group in range(groups):
        begins[group + 1] += begins[group]
    order, free, ordered = np.empty(len(of), np.int64), begins[:-1].copy(), True
    for at in range(len(of)):
        to = free[of[at]]
        free[of[at]] += 1
        order[to] = at
        ordered &= to == begins[of[at]] or version[order[to - 1]] <= version[at]
    return order, begins[:-1], ordered


def grouped(of: Ints, groups: int, version: NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """The order in which what is of one group stands together, by version; and where each group begins."""
    order, begins, ordered = _grouped(of, groups, version)
    return (order if ordered else np.lexsort((version, of))), begins
