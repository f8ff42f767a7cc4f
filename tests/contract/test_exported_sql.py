"""What Grafana asks the engine is what the page asks it, and so is the answer."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from dashboards import choices, macros, visuals
from dashboards.boards import BOARDS, Board
from dashboards.panels import DEFAULTS, Panel, names, panel
from rates.definitions import DEFINITIONS, FORMS
from sinks.client import Database
from tests.contract.test_panels import stored  # noqa: F401  # the fixture

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST, LAST = "2023-10-01", "2023-10-31"
"""Local days; Grafana's period begins and ends within them, in seconds since 1970 UTC."""
BEGINS = int(datetime(2023, 9, 30, 17, tzinfo=UTC).timestamp())
ENDS = int(datetime(2023, 10, 31, 16, 59, 59, tzinfo=UTC).timestamp())
CHOSEN = {"body": "H18", "unit": "H18.02", "system": "land"}
SHOWN = [(board, panel(identifier)) for board in BOARDS for identifier in board.panels]


@pytest.mark.parametrize(("board", "shown"), SHOWN, ids=lambda one: one.id)
async def test_a_panel_answers_in_grafana_what_it_answers_on_the_page(
    stored: Database,  # noqa: F811
    board: Board,
    shown: Panel,
) -> None:
    known = macros.variables(board)
    text = macros.raw(shown, known)
    for definition, form in product(DEFINITIONS, FORMS):
        chosen = {name: CHOSEN[name] for name in known if name in CHOSEN}
        given = {**DEFAULTS, "first": FIRST, "last": LAST, **chosen}
        given |= {"first_before": "2022-10-01", "last_before": "2022-10-31"}
        variables = chosen | names(definition, form)
        expanded = macros.expand(text, variables, BEGINS, ENDS)
        assert "{" not in expanded
        page = await stored.rows(shown.text(definition, form), shown.values(given))
        assert shown.frame(await stored.rows(expanded)) == shown.frame(page)


@pytest.mark.parametrize(
    ("body", "first", "last", "line"),
    [
        ("H18", "2023-10-01", "2023-10-31", [("2023-10-01", 0.7), ("2023-10-31", 0.7)]),
        ("G15", "2023-10-01", "2023-10-31", [("2023-10-01", 0.8), ("2023-10-31", 0.8)]),
        (
            "H18",
            "2022-12-01",
            "2023-01-31",
            [("2022-12-01", 0.5), ("2022-12-31", 0.5), ("2023-01-01", 0.7), ("2023-01-31", 0.7)],
        ),
        ("H18", "2019-01-01", "2019-12-31", []),
    ],
)
async def test_the_targets_line_is_that_of_the_bodys_level_in_the_period(
    stored: Database,  # noqa: F811
    body: str,
    first: str,
    last: str,
    line: list[tuple[str, float]],
) -> None:
    text = macros.expand(visuals.targets("e_result", of_body=True), {"body": body}, local(first), local(last))
    rows = await stored.rows(text)
    at_home = timedelta(hours=7)
    assert [((row["time"] + at_home).date().isoformat(), row["target"]) for row in rows] == line
    if body == "H18":
        national = macros.expand(visuals.targets("e_result", of_body=False), {}, local(first), local(last))
        assert await stored.rows(national) == rows


def local(day: str) -> int:
    """Noon of a local day, in seconds since 1970 UTC."""
    return int(datetime.fromisoformat(f"{day}T12:00:00+07:00").timestamp())


@pytest.mark.parametrize("lang", ["vi", "en"])
async def test_bodies_and_units_are_chosen_by_name_and_give_their_codes(
    stored: Database,  # noqa: F811
    lang: str,
) -> None:
    (bodies, units) = (choices.choices(name, lang) for name in ("body", "unit"))  # type: ignore[arg-type]
    found = {row["code"]: row["name"] for row in await stored.rows(bodies)}
    assert found["H18"].endswith("(H18)")
    assert {"H18", "G15"} <= set(found)
    of_body = await stored.rows(macros.expand(units, {"body": "H18"}, 0, 1))
    assert [row["code"] for row in of_body] == ["H18.02", "H18.03"]
    assert all(list(row) == ["code", "name"] and row["name"] for row in of_body)


@pytest.mark.parametrize("form", FORMS)
async def test_what_follows_from_a_definition_is_what_stands_for_it_on_the_page(
    stored: Database,  # noqa: F811
    form: str,
) -> None:
    for definition in DEFINITIONS:
        for name, stands in names(definition, form).items():  # type: ignore[arg-type]
            text = choices.choices(name, "en")
            chosen = {"definition": definition.id, "form": form}
            (row,) = await stored.rows(macros.expand(text, chosen, 0, 1))
            assert row == {"value": stands}
