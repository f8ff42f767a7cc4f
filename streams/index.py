"""Where keys stand, for arrays of them at once."""

from secrets import randbits

import numpy as np
from numpy.typing import NDArray

from streams.compiled import Ints, compiled


@compiled
def _slot(keys: Ints, key: int, factor: int) -> int:
    """Where a key stands, or would."""
    last = len(keys) - 1
    mixed = key * factor
    at = (mixed ^ (mixed >> 32)) & last
    while keys[at] != 0 and keys[at] != key:
        at = (at + 1) & last
    return at


@compiled
def _found(keys: Ints, places: NDArray[np.int32], factor: int, sought: Ints) -> Ints:
    found = np.empty(len(sought), np.int64)
    for at in range(len(sought)):
        slot = _slot(keys, sought[at], factor)
        found[at] = places[slot] if keys[slot] != 0 else -1
    return found


@compiled
def _put(keys: Ints, places: NDArray[np.int32], factor: int, new: Ints, at: Ints) -> None:
    for one in range(len(new)):
        slot = _slot(keys, new[one], factor)
        keys[slot] = new[one]
        places[slot] = at[one]


class Index:
    """The places of keys: a dict of numbers in 16 to 32 bytes each. No key is 0.

    Whoever sends may choose keys, so where they stand depends on a secret.
    """

    def __init__(self) -> None:
        self._factor = randbits(63) | 1
        self.reset(np.zeros(0, np.int64), np.zeros(0, np.int64))

    def __len__(self) -> int:
        return self._size

    def reset(self, keys: Ints, places: Ints) -> None:
        """Hold these and nothing else."""
        self._size = 0
        self._keys, self._places = np.zeros(1024, np.int64), np.zeros(1024, np.int32)
        self.add(keys, places)

    def find(self, keys: Ints) -> Ints:
        """The place of each key, -1 where it has none."""
        found: Ints = _found(self._keys, self._places, self._factor, keys)
        return found

    def add(self, keys: Ints, places: Ints) -> None:
        """Give places to keys that have none."""
        room = len(self._keys)
        while 4 * (self._size + len(keys)) > 3 * room:
            room *= 2
        if room > len(self._keys):
            held = np.flatnonzero(self._keys)
            kept = self._keys[held], self._places[held].astype(np.int64)
            self._keys, self._places = np.zeros(room, np.int64), np.zeros(room, np.int32)
            _put(self._keys, self._places, self._factor, *kept)
        _put(self._keys, self._places, self._factor, keys, places)
        self._size += len(keys)
