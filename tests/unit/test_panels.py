"""Panels are a catalogue that exporters can trust: said twice, bound fully, over views alone."""

import re

import pytest

from dashboards.figures import half_up, percent, ratio
from dashboards.page import states
from dashboards.page.words import LANG_NAMES, REASONS, STATUSES, SYSTEM_NAMES, WORDS, ago, count, decimal
from dashboards.panels import DEFAULTS, PANELS, RATES, panel
from dashboards.scoreboard import PARAMETERS
from rates.definitions import DEFINITIONS, FORMS
from rates.freshness import Pipe, State
from rates.tallies import SYSTEMS
from rates.wire import Reason
from tests.support.board import SIXTH

TABLES = ("dossiers", "tallies", "dead_letters", "progress", "generations", "units", "unit_bodies")


def test_every_panel_has_an_id_of_its_own_and_asks_its_question_in_both_languages() -> None:
    assert len({one.id for one in PANELS}) == len(PANELS)
    for one in PANELS:
        assert one.question_vi.endswith("?")
        assert one.question_en.endswith("?")
        assert one.question_vi != one.question_en
        assert panel(one.id) is one


def test_a_panel_that_is_not_there_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match="choose one of freshness, activity"):
        panel("nothing")


@pytest.mark.parametrize("one", PANELS, ids=lambda one: one.id)
def test_a_panels_sql_binds_exactly_the_parameters_it_names(one: object) -> None:
    assert one in PANELS
    shown = next(known for known in PANELS if known is one)
    for definition in DEFINITIONS:
        for form in FORMS:
            text = shown.text(definition, form)
            assert set(re.findall(r"\{(\w+):\w+\}", text)) == set(shown.parameters)
            assert "$" not in text
    assert set(shown.values({**DEFAULTS, **PARAMETERS})) == set(shown.parameters)


@pytest.mark.parametrize("one", PANELS, ids=lambda one: one.id)
def test_a_panel_reads_views_and_no_table(one: object) -> None:
    shown = next(known for known in PANELS if known is one)
    read = set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", shown.text(DEFINITIONS[0])))
    assert read
    assert not read & set(TABLES)


def test_a_drill_leads_to_a_panel() -> None:
    assert {one.drill for one in PANELS} - {""} <= {one.id for one in PANELS}


def test_a_sixth_definition_is_one_more_row_of_the_rates() -> None:
    text = RATES.text(definitions=(*DEFINITIONS, SIXTH))
    assert text.count("('ER-") == len(DEFINITIONS) + 1
    assert "('ER-SIXTH', sumIf(e_result, basis = 2)" in text


def test_a_frame_holds_its_values_column_by_column() -> None:
    frame = panel("rejections").frame([{"reason_code": "bad_number", "events": 3, "latest": 9}])
    assert [field["name"] for field in frame["schema"]["fields"]] == ["reason_code", "events", "latest"]
    assert [field["type"] for field in frame["schema"]["fields"]] == ["string", "number", "number"]
    assert frame["data"]["values"] == [["bad_number"], [3], [9]]


@pytest.mark.parametrize(
    ("numerator", "denominator", "digits", "printed"),
    [
        (2_448, 10_000, 2, "24.48"),
        (9_200, 11_956, 1, "76.9"),
        (57, 200, 0, "29"),
        (1_005, 100_000, 2, "1.01"),
        (1, 3, 2, "33.33"),
        (0, 7, 2, "0.00"),
        (7, 7, 2, "100.00"),
        (0, 0, 2, None),
        (5, 0, 2, None),
    ],
)
def test_a_rate_is_rounded_half_up_and_nothing_over_nothing_is_no_rate(
    numerator: int, denominator: int, digits: int, printed: str | None
) -> None:
    assert percent(numerator, denominator, digits) == printed


def test_a_fall_is_rounded_away_from_zero_like_a_rise() -> None:
    fall = ratio(-145, 100)
    assert fall is not None
    assert half_up(fall, 1) == "-1.5"
    assert half_up(-fall, 1) == "1.5"


def test_everything_that_has_a_name_has_it_in_both_languages() -> None:
    assert all(vi and en for vi, en in WORDS.values())
    assert set(STATUSES) == set(range(1, 11))
    assert set(SYSTEM_NAMES) == set(SYSTEMS)
    assert set(REASONS) == set(Reason)
    assert all(vi and en for name, meaning in REASONS.values() for vi, en in (name, meaning))
    assert list(LANG_NAMES) == ["vi", "en"]


def test_figures_that_stand_still_are_never_called_just_complete() -> None:
    def told(state: State, seconds: int) -> str:
        through = Pipe(
            state=state,
            why="in_time" if state == "fresh" else "behind",
            complete_to=1_000,
            heard=1,
            expected=1,
        )
        return states.age(through, 1_000 + seconds, "en")

    assert [told("fresh", 60), told("stale", 60)] == ["just now", ""]
    assert told("stale", 600) == told("fresh", 600) == "10 minutes ago"


def test_numbers_and_ages_are_written_the_way_each_language_does() -> None:
    assert count(1_234_567, "vi") == "1.234.567"
    assert count(1_234_567, "en") == "1,234,567"
    assert decimal("9,200 of 11,956", "vi") == "9.200 / 11.956"
    assert decimal("24.48 %", "vi") == "24,48 %"
    assert decimal("24.48 %", "en") == "24.48 %"
    assert [ago(seconds, "en") for seconds in (-5, 60, 600, 10_000, 400_000)] == [
        "just now",
        "just now",
        "10 minutes ago",
        "2 hours ago",
        "4 days ago",
    ]
