"""Working days of Vietnam's administration: Monday to Friday without the public holidays.

Holidays are reference data, days in lieu and exchanged days included (Labour Code 2019, Articles 111 and
112). The Saturdays worked in exchange are not: nothing falls due on one.
"""

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources.abc import Traversable

from msgspec import Struct

from rates.sheets import day_number, read_rows, shipped

COLUMNS = ("date", "name_vi", "name_en", "source")


class Holiday(Struct, frozen=True, gc=False):
    """`day`: days since 1970."""

    day: int
    name_vi: str
    name_en: str
    source: str


class Calendar:
    """Knows working days. Days are days since 1970, local."""

    __slots__ = ("_free", "holidays")

    def __init__(self, holidays: Iterable[Holiday]) -> None:
        self.holidays = tuple(holidays)
        self._free = frozenset(holiday.day for holiday in self.holidays)

    @staticmethod
    @lru_cache(maxsize=1)
    def shipped() -> "Calendar":
        return Calendar(read_holidays(shipped() / "holidays.csv"))

    def is_working_day(self, day: int) -> bool:
        # 1970-01-01 was a Thursday.
        return (day + 3) % 7 < 5 and day not in self._free

    def working_days(self, first: int, last: int) -> int:
        """How many working days there are from `first` to `last`, both inclusive."""
        return sum(self.is_working_day(day) for day in range(first, last + 1))


def read_holidays(sheet: Traversable) -> tuple[Holiday, ...]:
    """The holidays of a sheet; a `RegisterError` where one cannot be used."""
    return tuple(
        Holiday(
            day_number(row.date("date")), row.text("name_vi"), row.text("name_en"), row.required("source")
        )
        for row in read_rows(sheet, COLUMNS)
    )
