"""Provinces as a grid of tiles, about where they lie: every one is as large as any other, and needs no map.

Two grids: the 63 provinces until 2025-06-30, and the 34 since (Resolution 202/2025/QH15). Codes are those of
Decision 20/2020/QĐ-TTg. A province that stands in no grid is in the table all the same.
"""

from collections.abc import Collection, Mapping
from typing import Final

_63: Final = """
 .   .   .   H22 H14 .   .   .
 .   H35 H38 H60 H03 H37 .   .
 H18 H52 H63 H44 H55 H02 H49 .
 .   .   H28 H62 H26 H05 H23 H24
 .   .   .   H25 H31 H54 .   .
 .   .   H56 H42 H40 .   .   .
 .   .   H41 H27 .   .   .   .
 .   .   .   H46 H50 .   .   .
 .   .   .   .   H57 H17 .   .
 .   .   .   .   .   H47 .   .
 .   .   .   .   H34 H48 .   .
 .   .   .   .   H21 H08 .   .
 .   .   .   .   H15 H45 .   .
 .   .   .   H10 H16 H32 .   .
 .   .   H53 H09 H36 H43 .   .
 .   H39 H29 H19 H11 .   .   .
 H01 H20 H58 H07 H06 .   .   .
 H33 H13 H61 H59 .   .   .   .
 .   H30 H51 .   .   .   .   .
 H12 H04 .   .   .   .   .   .
"""
_34: Final = """
 .   .   .   H60 H14 .
 .   H35 H38 H44 H55 H37
 H18 H52 .   H26 H05 H49
 .   .   H56 H42 H31 H24
 .   .   H41 H27 .   .
 .   .   .   H50 H57 .
 .   .   .   .   .   H17
 .   .   .   .   .   H48
 .   .   .   .   .   H21
 .   .   .   .   .   H15
 .   .   H53 H19 H36 H32
 H01 H20 H61 H29 .   .
 H12 H13 .   .   .   .
"""


def _read(text: str) -> dict[str, tuple[int, int]]:
    rows = [line.split() for line in text.strip("\n").splitlines()]
    return {code: (x, y) for y, row in enumerate(rows) for x, code in enumerate(row) if code != "."}


GRIDS: Final[tuple[Mapping[str, tuple[int, int]], ...]] = (_read(_63), _read(_34))
_SHORT: Final = {
    "Bà Rịa-Vũng Tàu": ("BR-VT", ""),
    "Ba Ria - Vung Tau": ("BR-VT", ""),
    "TP. Hồ Chí Minh": ("TP.HCM", ""),
    "Ho Chi Minh City": ("HCMC", ""),
    "Thừa Thiên Huế": ("Huế", ""),
    "Thua Thien Hue": ("Hue", ""),
}


def grid(codes: Collection[str]) -> Mapping[str, tuple[int, int]]:
    """The grid (column, row) of these provinces: the one that has most of them and least besides."""
    return max(GRIDS, key=lambda one: len(one.keys() & set(codes)) - len(one.keys() - set(codes)))


def short(name: str) -> tuple[str, str]:
    """A province's name in two short lines, as a tile has room for."""
    if name in _SHORT:
        return _SHORT[name]
    for title in ("Thành phố ", "Tỉnh "):
        name = name.removeprefix(title)
    first, _, rest = name.partition(" ")
    return first, rest
