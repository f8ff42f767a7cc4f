"""Where a rate stands: intervals, ranks, targets, changes, and the charts that show them."""

from datetime import date
from fractions import Fraction

import pytest

from dashboards.boards import BOARDS, board
from dashboards.page import atlas, charts
from dashboards.page.asked import Asked
from dashboards.page.shown import ages, line
from dashboards.page.standing import MINIMUM, quartiles, ranks, stand, targets
from dashboards.panels import AGES, PANELS
from rates.definitions import DEFINITIONS
from rates.register import Register
from rates.sheets import day_number
from rates.statistics import wilson
from rates.targets import Target

SEPTEMBER_2023 = day_number(date(2023, 9, 30))


def asked(**given: str) -> Asked:
    return Asked(lang="en", definition=DEFINITIONS[0], **given)


@pytest.mark.parametrize(
    ("numerator", "denominator", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_the_published_one(numerator: int, denominator: int, low: float, high: float) -> None:
    """The worked examples of R. G. Newcombe, Statistics in Medicine 17 (1998), method 3."""
    assert wilson(numerator, denominator) == pytest.approx((low, high), abs=5e-5)


def test_nothing_is_known_of_a_rate_of_nothing_and_an_interval_stays_within_its_bounds() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0


def test_a_rank_comes_with_those_that_are_possible_and_few_dossiers_have_none() -> None:
    clear = [(900, 1_000), (500, 1_000), (100, 1_000), (29, 29)]
    assert ranks(clear) == [(1, (1, 1)), (2, (2, 2)), (3, (3, 3)), (0, (0, 0))]
    near = [(510, 1_000), (500, 1_000), (100, 1_000)]
    assert ranks(near) == [(1, (1, 2)), (2, (1, 2)), (3, (3, 3))]
    assert ranks([(40, 80), (50, 100)]) == [(1, (1, 2)), (1, (1, 2))]


def test_one_alone_has_no_rank() -> None:
    assert ranks([(40, 80), (3, 4)]) == [(0, (0, 0))] * 2


def test_a_rate_stands_against_its_target_and_the_year_before() -> None:
    target = Target("province", "e_result", 0, 65_535, 0.7, "a decision", False)
    found = stand((3_894, 10_000), (1_314, 10_000), target, "en")
    assert (found.target, found.gap, found.reached, found.recalled) == ("70 %", "−31.1", False, True)
    assert (found.change, found.up) == ("+25.8", True)
    assert stand((80, 100), (80, 100), target, "vi").change == "±0,0"
    assert stand((80, 100), None, target, "vi").gap == "+10,0"


def test_few_dossiers_are_held_against_nothing() -> None:
    target = Target("province", "e_result", 0, 65_535, 0.7, "a decision", True)
    few = stand((20, MINIMUM - 1), (50, 100), target, "en")
    assert (few.few, few.gap, few.change) == (True, "", "")
    assert stand((50, 100), (20, MINIMUM - 1), None, "en").change == ""


def test_a_department_is_held_to_its_provinces_target_and_the_country_to_none() -> None:
    found = targets(Register.shipped(), SEPTEMBER_2023)
    shares = {code: one.target for code in ("G15", "H18", "H18.02", "H18.21") if (one := found(code))}
    assert shares == {"G15": 0.8, "H18": 0.7, "H18.02": 0.7, "H18.21": 0.6}
    assert found("H99") is None


def test_quartiles_need_four_that_have_enough_dossiers() -> None:
    assert quartiles([(1, 2)] * 9 + [(40, 100)] * 3) is None
    assert quartiles([(at, 100) for at in (10, 20, 30, 40, 50)]) == (
        Fraction(1, 5),
        Fraction(3, 10),
        Fraction(2, 5),
    )


@pytest.mark.parametrize(
    ("first", "last", "reached", "before"),
    [
        ("2023-01-01", "2023-09-30", "2026-01-01", ("2022-01-01", "2022-09-30")),
        ("2023-01-01", "2023-09-30", "2023-04-02", ("2022-01-01", "2022-04-02")),
        ("2024-02-29", "", "2024-03-05", ("2023-02-28", "2023-03-05")),
        ("", "2023-09-30", "2023-10-01", None),
        ("2023-05-01", "2023-09-30", "2023-04-02", None),
    ],
)
def test_a_period_is_held_against_as_many_days_a_year_before(
    first: str, last: str, reached: str, before: tuple[str, str] | None
) -> None:
    found = asked(first=first, last=last).year_before(date.fromisoformat(reached))
    assert found == (None if before is None else {"first": before[0], "last": before[1]})


@pytest.mark.parametrize(("day", "grid"), [("2023-09-30", 0), ("2025-07-01", 1)])
def test_every_province_of_the_register_has_a_tile_of_its_own(day: str, grid: int) -> None:
    codes = Register.shipped().bodies(day_number(date.fromisoformat(day)), "province")
    found = atlas.grid(codes)
    assert found is atlas.GRIDS[grid]
    assert set(found) == set(codes)
    assert len(set(found.values())) == len(codes) == (63, 34)[grid]


def test_a_tile_has_room_for_a_name_in_two_short_words() -> None:
    register = Register.shipped()
    for day in ("2023-09-30", "2025-07-01", "2026-06-01"):
        today = day_number(date.fromisoformat(day))
        for code in register.bodies(today, "province"):
            for name in register.name(code, today):
                assert all(len(part) <= 8 for part in atlas.short(name)), name


def months(**totals: int) -> list[dict[str, object]]:
    return [
        {"month": f"{name[1:5]}-{name[5:]}-01", "reported": total // 2, "clean": total // 4, "total": total}
        for name, total in totals.items()
    ]


def test_a_trend_leaves_out_months_of_few_dossiers_and_keeps_their_counts_in_the_table() -> None:
    rows = months(m202301=100, m202302=20, m202304=80)
    found = charts.trend(rows, "2023-01-01", 0.7, "reported", "en")
    assert found is not None
    assert [len(curve.dots) for curve in found.curves] == [2, 2]
    assert [len(curve.pieces) for curve in found.curves] == [2, 2]
    assert [row.month for row in found.rows] == ["Jan 2023", "Feb 2023", "Mar 2023", "Apr 2023"]
    assert [row.line.reported.denominator for row in found.rows] == ["100", "20", "0", "80"]
    assert found.target is not None
    assert all(found.target < y for curve in found.curves for _, y in curve.dots)


def test_the_year_before_is_a_line_of_its_own_and_no_month_of_the_period() -> None:
    found = charts.trend(months(m202201=100, m202301=50), "2023-01-01", None, "clean", "vi")
    assert found is not None
    assert [curve.key for curve in found.curves] == ["before", "clean", "reported"]
    assert [(row.month, row.before) for row in found.rows] == [("01/2023", "25,00 %")]
    assert charts.trend([], "", None, "reported", "vi") is None


def test_a_funnel_tells_those_that_chance_does_not_explain() -> None:
    lines = [line(f"H{at:02}", f"Province {at}", (50, 40, 100), "en") for at in range(20)]
    lines += [
        line("H98", "High", (900, 800, 1_000), "en"),
        line("H97", "Low", (100, 90, 1_000), "en"),
        line("H96", "Few", (9, 9, 10), "en"),
    ]
    found = charts.funnel(lines, "reported", "en")
    assert found is not None
    assert (found.above, found.below, found.few) == (1, 1, 1)
    assert {dot.code: dot.label for dot in found.dots if dot.far} == {"H98": "High", "H97": "Low"}
    assert found.pooled == "50.00 %"
    assert charts.funnel(lines[:2], "reported", "en") is None


def test_a_name_in_a_funnel_covers_no_mark_and_no_other_name() -> None:
    lines = [line(f"H{at:02}", f"Province {at}", (500, 400, 1_000), "en") for at in range(9)]
    # Two of nearly the same rate, so near each other that a name between them would cover one.
    for at in range(4):
        for beside, size in enumerate((1_500, 1_800)):
            rate = 0.95 - 0.06 * at - 0.005 * beside
            lines.append(line(f"H{50 + 2 * at + beside}", f"High {at}", (int(rate * size), 0, size), "en"))
    found = charts.funnel(lines, "reported", "en")
    assert found is not None
    named = [dot for dot in found.dots if dot.label]
    assert len(named) > 3
    for dot in named:
        wide = 6 * len(dot.label)
        begin, end = (dot.x + 7, dot.x + 7 + wide) if dot.anchor == "start" else (dot.x - 7 - wide, dot.x - 7)
        assert not [
            other
            for other in found.dots
            if other is not dot and abs(other.y - dot.y) < 8 and begin < other.x < end
        ]


def test_charts_hold_for_a_numerator_that_is_no_part_of_its_denominator() -> None:
    lines = [line(f"H{at:02}", f"Province {at}", (150, 140, 100), "en") for at in (1, 2, 3)]
    assert charts.funnel(lines, "reported", "en") is not None
    assert charts.tiles(lines, "reported", "en", "few").tiles


def test_the_backlog_shows_every_bucket_and_how_much_is_overdue() -> None:
    found, whole, late = ages([{"age": "overdue", "dossiers": 3}, {"age": "no_due", "dossiers": 9}], "en")
    assert [one.key for one in found] == list(AGES)
    assert (whole, late) == ("12", "3")
    assert [one.share for one in found if one.dossiers != "0"] == ["25.00", "75.00"]


def test_a_board_is_made_of_panels_and_asks_in_both_languages() -> None:
    known = {one.id for one in PANELS}
    assert len({one.id for one in BOARDS}) == len(BOARDS)
    for one in BOARDS:
        assert board(one.id) is one
        assert one.title_vi != one.title_en
        assert set(one.panels) <= known
        assert len(one.panels) <= 12
    with pytest.raises(LookupError, match="choose one of overview, province"):
        board("nothing")
