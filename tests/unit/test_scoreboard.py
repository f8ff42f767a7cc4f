"""The scoreboard compares digit by digit, and only what it knows."""

from typing import Any

import pytest

from dashboards.scoreboard import DIEN_BIEN, Figure, figures
from rates.register import Register
from tests.support.board import Board


@pytest.fixture(scope="module")
def board() -> Board:
    board = Board(Register.shipped())
    board.version = 1
    return board


def made(board: Board, bodies: list[dict[str, Any]] | None = None) -> dict[str, Figure]:
    found = board.scoreboard_bodies("", {}) if bodies is None else bodies
    units = board.scoreboard_units("", {})
    return {one.id: one for one in figures(found, units, board.register)}


def test_a_world_as_reported_gives_every_published_figure(board: Board) -> None:
    shown = made(board)
    assert {one.id: one.recomputed for one in shown.values()} == {
        "ministries_rate": "24.48 %",
        "ministries_change": "+13.7",
        "localities_rate": "38.94 %",
        "localities_change": "+25.8",
        "one_stop_units": "9,200 of 11,956",
        "one_stop_rate": "76.9 %",
        "population_ministries": "15",
        "population_localities": "63 of 63",
        "dien_bien_units": "100 %",
        "dien_bien_dossiers": "76.4 %",
    }
    assert all(one.agrees for one in shown.values())
    assert shown["one_stop_units"].numerator == 9_200
    assert shown["population_ministries"].denominator == 22


def test_before_any_dossier_came_nothing_agrees_and_no_figure_is_zero(board: Board) -> None:
    shown = made(board, [])
    assert {one.recomputed for one in shown.values()} == {"–"}
    assert {one.value for one in shown.values()} == {None}
    assert not any(one.agrees for one in shown.values())


def test_the_year_before_alone_says_nothing_about_the_period(board: Board) -> None:
    bodies = [row for row in board.scoreboard_bodies("", {}) if row["year"] == "2022"]
    assert {one.recomputed for one in made(board, bodies).values()} == {"–"}


def test_a_figure_that_differs_in_its_last_printed_digit_does_not_agree(board: Board) -> None:
    bodies = board.scoreboard_bodies("", {})
    bodies[-1]["with_result"] += 60  # 63 provinces of 10,000: 38.9495 %, printed 38.95 %
    assert bodies[-1]["year"] == "2023"
    shown = made(board, bodies)
    assert shown["localities_rate"].recomputed == "38.95 %"
    assert not shown["localities_rate"].agrees
    assert shown["ministries_rate"].agrees


def test_over_75_per_cent_means_above_it_and_not_at_it(board: Board) -> None:
    for digitising, agrees in ((8_250, False), (8_251, True)):
        bodies = board.scoreboard_bodies("", {})
        for row in bodies:
            if row["code"] == DIEN_BIEN:
                row["digitising"] = digitising
        assert made(board, bodies)["dien_bien_dossiers"].agrees is agrees


def test_one_dossier_that_used_the_database_makes_its_body_one_that_does(board: Board) -> None:
    bodies = board.scoreboard_bodies("", {})
    silent = next(row for row in bodies if row["code"].startswith("G") and not row["connected"])
    assert silent["year"] == "2022"
    silent["connected"] = 1
    assert made(board, bodies)["population_ministries"].numerator == 15
    next(row for row in bodies if row["code"] == silent["code"] and row["year"] == "2023")["connected"] = 1
    assert made(board, bodies)["population_ministries"].numerator == 16


def test_a_unit_that_the_register_does_not_know_is_not_part_of_a_coverage(board: Board) -> None:
    units = [*board.scoreboard_units("", {}), {"code": "H18.999.1", "digitising": 4}]
    shown = {one.id: one for one in figures(board.scoreboard_bodies("", {}), units, board.register)}
    assert shown["one_stop_units"].numerator == 9_200
