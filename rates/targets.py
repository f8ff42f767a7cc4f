"""The numeric targets that bodies are held to: a share of 1, by level and indicator, valid in time.

`confirmed` tells a target read in its source from one that is recalled; nothing here decides what to do with
either.
"""

from collections.abc import Iterable
from importlib.resources.abc import Traversable

from msgspec import Struct

from rates.sheets import read_rows

COLUMNS = ("level", "indicator", "valid_from", "valid_to", "target", "source", "confirmed")


class Target(Struct, frozen=True, gc=False):
    """`valid_from` and `valid_to`: days since 1970, both inclusive."""

    level: str
    indicator: str
    valid_from: int
    valid_to: int
    target: float
    source: str
    confirmed: bool


def read_targets(sheet: Traversable) -> tuple[Target, ...]:
    """The targets of a sheet; a `RegisterError` where one cannot be used."""
    return tuple(
        Target(
            row.required("level"),
            row.required("indicator"),
            *row.validity(),
            row.share("target"),
            row.required("source"),
            row.flag("confirmed"),
        )
        for row in read_rows(sheet, COLUMNS)
    )


def target_on(targets: Iterable[Target], level: str, indicator: str, day: int) -> Target | None:
    """The target of a level on a day; None where there is none."""
    for target in targets:
        if (target.level, target.indicator) == (
            level,
            indicator,
        ) and target.valid_from <= day <= target.valid_to:
            return target
    return None
