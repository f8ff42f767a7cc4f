"""What Grafana asks the engine is what the page asks it, and so is the answer."""

from datetime import UTC, datetime
from itertools import product

import pytest

from dashboards import macros
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
