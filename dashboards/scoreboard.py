"""The October 2023 report, recomputed: each published figure beside what the dossiers give.

The figures are those that the Prime Minister's working group was told for January to September 2023, under
`ER-766-DOC` as reported, by the day of receipt. Bodies and units are those that the register held valid on
the period's last day: 22 ministries, 63 provinces, 11,956 one-stop shops. A coverage is the registered ones
whose tally in the period is above 0, of all registered ones. A figure agrees if it is the same to the digit
as printed; "over 75 %" agrees above 75. Before a dossier of the period came there is nothing to say, and that
is not 0.

Source: press report of the working group's second meeting, October 2023,
https://www.vietnam.vn/en/to-cong-tac-cai-cach-tthc-cua-thu-tuong-chinh-phu-hop-phien-thu-2
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from dashboards.figures import half_up, ratio
from dashboards.panels import SCOREBOARD_BODIES, SCOREBOARD_UNITS, Panel
from dashboards.reading import Reader
from rates.definitions import definition
from rates.register import Register
from rates.sheets import day_number

FIRST: Final = "2023-01-01"
LAST: Final = "2023-09-30"
FIRST_BEFORE: Final = "2022-01-01"
LAST_BEFORE: Final = "2022-09-30"
DEFINITION: Final = definition("ER-766-DOC")
DIEN_BIEN: Final = "H18"
NONE: Final = "–"

_SOURCE: Final = (
    "Prime Minister's working group on administrative procedure reform, second meeting, October 2023 "
    "(vietnam.vn)"
)


class Figure(Struct, frozen=True, kw_only=True):
    """A published figure and its recomputation. Of a change, the counts are those of the later period."""

    id: str
    label_vi: str
    label_en: str
    published: str
    recomputed: str
    numerator: int
    denominator: int
    value: float | None
    agrees: bool
    source: str


class Counted(Struct, frozen=True):
    """What a figure is made of: two counts, and those of the year before where it is a change."""

    numerator: int
    denominator: int
    before: tuple[int, int] | None = None


class Printed(Struct, frozen=True):
    """How a figure is printed: its number, and the text that the number stands in."""

    value: Fraction | None
    text: str


NOTHING: Final = Printed(None, NONE)


class Report(Struct, frozen=True):
    """The answers that all figures are read from."""

    ministries: frozenset[str]
    localities: frozenset[str]
    one_stops: Mapping[str, str]
    digitising: frozenset[str]
    bodies: Mapping[tuple[str, str], Mapping[str, int]]

    @property
    def heard(self) -> bool:
        """Whether any dossier of the period came."""
        return any(year == LAST[:4] for _, year in self.bodies)

    def tally(self, name: str, bodies: Iterable[str], year: str = "2023") -> int:
        """The sum of a tally over bodies in a year's period."""
        return sum(found[name] for body in bodies if (found := self.bodies.get((body, year))))

    def result(self, bodies: frozenset[str]) -> Counted:
        """Electronic results of dossiers that end in one, this year and the year before."""
        counts = [
            (self.tally("with_result", bodies, year), self.tally("total", bodies, year))
            for year in ("2023", "2022")
        ]
        return Counted(*counts[0], before=counts[1])

    def connected(self, bodies: frozenset[str]) -> Counted:
        """Bodies of which a dossier used the population database, of all registered ones."""
        return Counted(sum(self.tally("connected", (body,)) > 0 for body in bodies), len(bodies))

    def one_stop(self, body: str = "") -> Counted:
        """One-stop units that digitise, of all registered ones; of one body, or of all."""
        units = {unit for unit, of in self.one_stops.items() if body in ("", of)}
        return Counted(len(units & self.digitising), len(units))

    def digitised(self, body: str) -> Counted:
        """Dossiers with a digitised part, of all received ones."""
        return Counted(self.tally("digitising", (body,)), self.tally("dossiers", (body,)))


class Published(Struct, frozen=True, kw_only=True):
    """A figure of the report: as printed, what it counts, how it is printed, when it agrees."""

    id: str
    label_vi: str
    label_en: str
    printed: str
    counts: Callable[[Report], Counted]
    show: Callable[[Counted], Printed]
    above: int | None = None
    """For "over N %": the number that must be exceeded."""

    def figure(self, report: Report) -> Figure:
        counted = self.counts(report)
        shown = self.show(counted) if report.heard else NOTHING
        if shown.value is None:
            agrees = False
        elif self.above is not None:
            agrees = shown.value > self.above
        else:
            agrees = shown.text == self.printed
        return Figure(
            id=self.id,
            label_vi=self.label_vi,
            label_en=self.label_en,
            published=self.printed,
            recomputed=shown.text,
            numerator=counted.numerator,
            denominator=counted.denominator,
            value=None if shown.value is None else float(shown.value),
            agrees=agrees,
            source=_SOURCE,
        )


def rate(digits: int) -> Callable[[Counted], Printed]:
    """A percentage to so many decimals."""

    def show(counted: Counted) -> Printed:
        found = ratio(counted.numerator, counted.denominator)
        return (
            Printed(None, NONE)
            if found is None
            else Printed(found * 100, f"{half_up(found * 100, digits)} %")
        )

    return show


def change(counted: Counted) -> Printed:
    """The difference to the year before in percentage points, of the exact rates, to one decimal."""
    now = ratio(counted.numerator, counted.denominator)
    before = ratio(*counted.before) if counted.before else None
    if now is None or before is None:
        return NOTHING
    points = (now - before) * 100
    return Printed(points, f"{'+' if points >= 0 else ''}{half_up(points, 1)}")


def share(counted: Counted) -> Printed:
    """How many of how many."""
    return Printed(Fraction(counted.numerator), f"{counted.numerator:,} of {counted.denominator:,}")


def number(counted: Counted) -> Printed:
    """How many."""
    return Printed(Fraction(counted.numerator), f"{counted.numerator:,}")


PUBLISHED: Final = (
    Published(
        id="ministries_rate",
        label_vi="Bộ, ngành: hồ sơ có kết quả điện tử, 9 tháng 2023",
        label_en="Ministries: electronic results, Jan–Sep 2023",
        printed="24.48 %",
        counts=lambda report: report.result(report.ministries),
        show=rate(2),
    ),
    Published(
        id="ministries_change",
        label_vi="Bộ, ngành: điểm phần trăm so với cùng kỳ 2022",
        label_en="Ministries: points against Jan–Sep 2022",
        printed="+13.7",
        counts=lambda report: report.result(report.ministries),
        show=change,
    ),
    Published(
        id="localities_rate",
        label_vi="Địa phương: hồ sơ có kết quả điện tử, 9 tháng 2023",
        label_en="Localities: electronic results, Jan–Sep 2023",
        printed="38.94 %",
        counts=lambda report: report.result(report.localities),
        show=rate(2),
    ),
    Published(
        id="localities_change",
        label_vi="Địa phương: điểm phần trăm so với cùng kỳ 2022",
        label_en="Localities: points against Jan–Sep 2022",
        printed="+25.8",
        counts=lambda report: report.result(report.localities),
        show=change,
    ),
    Published(
        id="one_stop_units",
        label_vi="Bộ phận một cửa đã số hóa hồ sơ",
        label_en="One-stop units that digitise dossiers",
        printed="9,200 of 11,956",
        counts=lambda report: report.one_stop(),
        show=share,
    ),
    Published(
        id="one_stop_rate",
        label_vi="Tỷ lệ bộ phận một cửa đã số hóa hồ sơ",
        label_en="Share of one-stop units that digitise",
        printed="76.9 %",
        counts=lambda report: report.one_stop(),
        show=rate(1),
    ),
    Published(
        id="population_ministries",
        label_vi="Bộ, ngành khai thác CSDL quốc gia về dân cư",
        label_en="Ministries that use the population database",
        printed="15",
        counts=lambda report: report.connected(report.ministries),
        show=number,
    ),
    Published(
        id="population_localities",
        label_vi="Địa phương khai thác CSDL quốc gia về dân cư",
        label_en="Localities that use the population database",
        printed="63 of 63",
        counts=lambda report: report.connected(report.localities),
        show=share,
    ),
    Published(
        id="dien_bien_units",
        label_vi="Điện Biên: bộ phận một cửa đã số hóa hồ sơ",
        label_en="Điện Biên: one-stop units that digitise",
        printed="100 %",
        counts=lambda report: report.one_stop(DIEN_BIEN),
        show=rate(0),
    ),
    Published(
        id="dien_bien_dossiers",
        label_vi="Điện Biên: hồ sơ được số hóa",
        label_en="Điện Biên: dossiers digitised",
        printed="over 75 %",
        counts=lambda report: report.digitised(DIEN_BIEN),
        show=rate(1),
        above=75,
    ),
)

PARAMETERS: Final[Mapping[str, object]] = {
    "first": FIRST,
    "last": LAST,
    "first_before": FIRST_BEFORE,
    "last_before": LAST_BEFORE,
}
SOURCES: Final[tuple[Panel, ...]] = (SCOREBOARD_BODIES, SCOREBOARD_UNITS)


async def scoreboard(reader: Reader, register: Register) -> list[Figure]:
    """Every figure of the report, recomputed from what the database holds now. Two queries."""
    bodies, units = [await reader.rows(panel.text(DEFINITION), panel.values(PARAMETERS)) for panel in SOURCES]
    return figures(bodies, units, register)


def figures(
    bodies: Iterable[Mapping[str, Any]], units: Iterable[Mapping[str, Any]], register: Register
) -> list[Figure]:
    """The figures, from the answers of the two panels of `SOURCES`."""
    day = day_number(date.fromisoformat(LAST))
    report = Report(
        ministries=frozenset(register.bodies(day, "ministry")),
        localities=frozenset(register.bodies(day, "province")),
        one_stops={unit: register.body(unit, day) for unit in register.one_stop_units(day)},
        digitising=frozenset(row["code"] for row in units),
        bodies={(row["code"], row["year"]): row for row in bodies},
    )
    return [published.figure(report) for published in PUBLISHED]
