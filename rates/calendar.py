"""Working days of Vietnam's administration: Monday to Friday without the public holidays.

Holidays are reference data, days in lieu and exchanged days included (Labour Code 2019, Articles 111 and
112). The Saturdays worked in exchange are not: nothing falls due on one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from importlib.resources.abc import Traversable

from msgspec import Struct

from rates.sheets import EPOCH, day_number, read_rows, shipped

COLUMNS = ("date", "name_vi", "name_en", "source")


class Holiday(Struct, frozen=True, gc=False):
    """`day`: days since 1970."""

    day: int
    name_vi: str
    name_en: str
    source: str


class Calendar:
    """Knows working days. Days are days since 1970, local."""

    __slots__ = ("_free", "_missed", "_years", "holidays")

    def __init__(self, holidays: Iterable[Holiday]) -> None:
        self.holidays = tuple(holidays)
        self._free = frozenset(holiday.day for holiday in self.holidays)
        self._missed = sorted(day for day in self._free if _weekday(day) < 5)
        self._years = {_year(day) for day in self._free}

    @staticmethod
    @lru_cache(maxsize=1)
    def shipped() -> "Calendar":
        return Calendar(read_holidays(shipped() / "holidays.csv"))

    def is_working_day(self, day: int) -> bool:
        return _weekday(day) < 5 and day not in self._free

    def working_days(self, first: int, last: int) -> int:
        """How many working days there are from `first` to `last`, both inclusive."""
        if last < first:
            return 0
        weeks, rest = divmod(last - first + 1, 7)
        weekdays = 5 * weeks + sum(_weekday(day) < 5 for day in range(last - rest + 1, last + 1))
        return weekdays - (bisect_right(self._missed, last) - bisect_left(self._missed, first))

    def knows(self, first: int, last: int) -> bool:
        """Whether the holidays of all these days' years are known."""
        return self._years.issuperset(range(_year(first), _year(last) + 1))


def _year(day: int) -> int:
    return (EPOCH + timedelta(days=day)).year


def _weekday(day: int) -> int:
    """0 for Monday: 1970-01-01 was a Thursday."""
    return (day + 3) % 7


def read_holidays(sheet: Traversable) -> tuple[Holiday, ...]:
    """The holidays of a sheet; a `RegisterError` where one cannot be used."""
    return tuple(
        Holiday(
            day_number(row.date("date")), row.text("name_vi"), row.text("name_en"), row.required("source")
        )
        for row in read_rows(sheet, COLUMNS)
    )
