"""The page says what it was asked, whether or not the database is there; in two languages, and safely."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html import unescape
from typing import NamedTuple

import pytest
from aiohttp.test_utils import TestClient, TestServer

from dashboards.page import page
from dashboards.panels import PANELS, Panel
from dashboards.reading import Late
from rates.definitions import DEFINITIONS
from rates.failures import Fatal, Retry
from rates.register import Register, RegisterError
from rates.wire import Reason
from tests.support.board import SIXTH, Board

UNIT = "/unit/H18.02"
DOSSIER = "/dossier/H18.02-230930-0001"
CODES = {"body": "H18", "unit": "H18.02", "number": "H18.02-230930-0001"}


@pytest.fixture
def board() -> Board:
    board = Board(Register.shipped())
    board.version = 1
    return board


@pytest.fixture
async def client(board: Board) -> AsyncIterator[TestClient]:
    async with served(board) as client:
        yield client


@asynccontextmanager
async def served(board: Board, **options: object) -> AsyncIterator[TestClient]:
    options.setdefault("canary_seconds", 300)  # the bound is then beyond the clock's ten minutes
    app = page(board, board.register, clock=lambda: board.complete + 600, **options)
    async with TestClient(TestServer(app)) as client:
        yield client


class Read(NamedTuple):
    """An answer: its status, headers and HTML, and its text as a person reads it."""

    status: int
    headers: Mapping[str, str]
    html: str
    text: str


async def read(client: TestClient, path: str, **headers: str) -> Read:
    async with client.get(path, headers={n.replace("_", "-"): v for n, v in headers.items()}) as answer:
        html = await answer.text()
        return Read(
            answer.status, answer.headers, html, " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
        )


async def test_published_and_recomputed_figures_stand_side_by_side(client: TestClient) -> None:
    seen = await read(client, "/?lang=en")
    assert seen.status == 200
    assert "10 / 10 figures agree" in seen.text
    assert "Published 24.48 % Recomputed 24.48 % ✓ Agrees 53,856 / 220,000" in seen.text


async def test_a_figure_that_differs_says_so_in_words(board: Board) -> None:
    board.missing_units = 3_000
    async with served(board) as client:
        seen = await read(client, "/?lang=en")
    assert "8 / 10 figures agree" in seen.text
    assert "≠ Differs 8,956 / 11,956" in seen.text


async def test_while_the_period_is_still_coming_in_a_figure_is_counting_and_not_wrong(board: Board) -> None:
    board.missing_units, board.complete = 3_000, 1_690_000_000
    async with served(board) as client:
        seen = await read(client, "/?lang=en")
    assert "… Counting 8,956 / 11,956" in seen.text
    assert "Differs" not in seen.text


async def test_every_definition_stands_with_source_counts_and_both_forms(client: TestClient) -> None:
    seen = await read(client, "/?lang=en")
    for one in DEFINITIONS:
        assert one.source in seen.text
    assert "36.89 % 266,000 / 721,000 30.10 % 217,000 / 721,000" in seen.text


async def test_nothing_over_nothing_is_a_dash_and_never_a_rate(client: TestClient) -> None:
    seen = await read(client, "/?lang=en")
    metrics = seen.text[seen.text.index("ER-2026-METRICS · by day of completion") :]
    assert metrics.split("2026-01-01")[1].strip().startswith("– ")


async def test_a_sixth_definition_shows_by_itself(board: Board) -> None:
    definitions = (*DEFINITIONS, SIXTH)
    board.definitions = definitions
    async with served(board, definitions=definitions) as client:
        seen = await read(client, "/?lang=en&definition=ER-SIXTH")
    assert seen.status == 200
    assert "A sixth definition ER-SIXTH · by due day · a test" in seen.text


async def test_both_languages_write_words_numbers_and_days_their_own_way(client: TestClient) -> None:
    vietnamese = await read(client, "/?lang=vi")
    english = await read(client, "/?lang=en")
    assert '<html lang="vi">' in vietnamese.html
    assert '<html lang="en">' in english.html
    assert "24,48 %" in vietnamese.text
    assert "53.856 / 220.000" in vietnamese.text
    assert "Đầy đủ đến 09:30 01/10/2023 · 10 phút trước" in vietnamese.text
    assert "Complete to 2023-10-01 09:30 · 10 minutes ago" in english.text


async def test_without_a_choice_the_browser_decides_and_else_it_is_vietnamese(client: TestClient) -> None:
    assert '<html lang="vi">' in (await read(client, "/")).html
    assert '<html lang="en">' in (await read(client, "/", Accept_Language="en-GB,en;q=0.9,vi;q=0.8")).html
    assert '<html lang="vi">' in (await read(client, "/", Accept_Language="fr,de")).html


async def test_a_link_carries_the_whole_question_down_and_up(client: TestClient) -> None:
    question = "definition=ER-PROV-DONE&form=clean&from=2023-01-01&to=2023-09-30&lang=en"
    for path, link in (("/", "/body/H18?"), ("/body/H18", "/unit/H18.02?"), (UNIT, "/body/H18?")):
        seen = await read(client, f"{path}?{question}")
        assert seen.status == 200
        assert link + question in unescape(seen.html)


async def test_a_body_shows_its_units_and_a_unit_its_dossiers(client: TestClient) -> None:
    body = await read(client, "/body/H18?lang=en")
    assert "Dien Bien Province or city · H18" in body.text
    assert "Department 02, Dien Bien H18.02" in body.text
    unit = await read(client, f"{UNIT}?lang=en")
    assert "H18.02-230930-0001 ✓ Counts 2023-09-30 Result returned" in unit.text
    assert "H18.02-230930-0000 ○ Missing 2023-09-30 Processing" in unit.text


async def test_the_missing_alone_can_be_shown(client: TestClient) -> None:
    seen = await read(client, f"{UNIT}?lang=en&show=missing")
    assert "○ Missing" in seen.text
    assert "✓ Counts" not in seen.text


async def test_dossiers_come_in_pages(client: TestClient, board: Board) -> None:
    seen = await read(client, f"{UNIT}?lang=en&page=2")
    assert "Page 2 / 3" in seen.text
    assert 'rel="prev"' in seen.html
    assert 'rel="next"' in seen.html
    assert next(v for name, v in board.asked if name == "dossiers")["offset"] == 50
    last = await read(client, f"{UNIT}?lang=en&page=3")
    assert 'rel="next"' not in last.html
    assert (await read(client, f"{UNIT}?lang=en&page=999")).status == 200


async def test_a_unit_that_the_register_does_not_know_is_shown_by_its_code(client: TestClient) -> None:
    assert "H99 Not in the register · H99" in (await read(client, "/body/H99?lang=en")).text
    assert "000.17.22.H56" in (await read(client, "/unit/000.17.22.H56?lang=en")).text


async def test_rejections_are_counted_by_reason_and_every_reason_is_explained(client: TestClient) -> None:
    for lang, total, said in (
        ("en", "1,291", "begin with the code"),
        ("vi", "1.291", "không bắt đầu bằng mã"),
    ):
        seen = await read(client, f"/?lang={lang}")
        assert f": {total}" in seen.text
        assert said in seen.text
        for reason in Reason:
            assert reason in seen.text


async def test_before_anything_came_the_page_says_so(board: Board) -> None:
    board.version = 0
    async with served(board) as client:
        seen = await read(client, "/?lang=en")
        assert seen.status == 200
        assert "Nothing yet" in seen.text
        assert "No event has come yet" in seen.text
        assert "0 / 10 figures agree" in seen.text
        assert "0.00 %" not in seen.text
        assert (await read(client, "/body/H18?lang=vi")).status == 200
        assert (await read(client, f"{UNIT}?lang=vi")).status == 200


@pytest.mark.parametrize(
    ("failure", "english", "vietnamese", "state"),
    [
        (Retry("clickhouse", "refused"), "does not answer", "chưa trả lời", "away"),
        (Fatal("code 60: no table"), "Next: motcua migrate", "Tiếp theo: motcua migrate", "not_ready"),
    ],
)
async def test_without_a_database_the_page_is_up_says_so_and_recovers(
    board: Board, failure: Retry | Fatal, english: str, vietnamese: str, state: str
) -> None:
    board.failure = failure
    async with served(board) as client:
        for path in ("/", "/body/H18", UNIT):
            seen = await read(client, f"{path}?lang=en")
            assert seen.status == 503
            assert english in seen.text
            assert vietnamese in seen.text
            assert "code 60" not in seen.text
        async with client.get("/healthz") as health:
            assert health.status == 200
            assert (await health.json())["database"] == state
        async with client.get("/api/panels/rates") as answer:
            assert answer.status == 503
        board.failure = None
        assert (await read(client, "/?lang=en")).status == 200


async def test_the_page_is_up_before_anything_can_be_connected_to(board: Board) -> None:
    connections = 0
    away = True

    @asynccontextmanager
    async def connect() -> AsyncIterator[Board]:
        nonlocal connections
        if away:
            raise Retry("clickhouse", "refused")
        connections += 1
        yield board
        connections -= 1

    async with Late(connect) as late:
        app = page(late, board.register, clock=lambda: board.complete)
        async with TestClient(TestServer(app)) as client:
            assert (await read(client, "/?lang=en")).status == 503
            away = False
            assert (await read(client, "/?lang=en")).status == 200
            assert (await read(client, "/body/H18?lang=en")).status == 200
            assert connections == 1
    assert connections == 0


async def test_figures_move_with_what_becomes_durable(client: TestClient, board: Board) -> None:
    path = "/?lang=en&part=live"
    before = await read(client, path)
    assert (await read(client, path, If_None_Match=before.headers["ETag"])).status == 304
    board.version, board.more = 2, 37
    async with asyncio.timeout(30):
        after = before
        while after.text in ("", before.text):
            after = await read(client, path, If_None_Match=before.headers["ETag"])
            await asyncio.sleep(0.02)
    assert "266,037 / 721,000" in after.text
    assert "<html" not in after.html


async def test_while_nothing_becomes_durable_many_looks_cost_one(client: TestClient, board: Board) -> None:
    await asyncio.gather(*(read(client, "/?lang=en") for _ in range(8)))
    asked = [name for name, _ in board.asked]
    assert {name: asked.count(name) for name in set(asked) - {"freshness"}} == {
        "activity": 1,
        "rates": 1,
        "bodies": 1,
        "trend": 1,
        "backlog": 1,
        "rejections": 1,
        "scoreboard_bodies": 1,
        "scoreboard_units": 1,
    }


@pytest.mark.parametrize("path", ["/", "/body/H18", UNIT])
async def test_a_look_costs_at_most_thirteen_queries(client: TestClient, board: Board, path: str) -> None:
    board.silent = {"H18.02": 40 * 86_400}
    await read(client, f"{path}?from=2023-01-01")
    assert len(board.asked) <= 13


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/?from=2023-02-31", "from"),
        ("/?to=yesterday", "to"),
        ("/?from=2023-9-1", "from"),
        ("/?from=٢٠٢٣-٠١-٠١", "from"),
        ("/?to=2300-01-01", "to"),
        ("/?from=2023-09-30&to=2023-01-01", "from"),
        ("/?definition=ER-0", "definition"),
        ("/?form=best", "form"),
        ("/?lang=fr", "lang"),
        ("/?sort=luck", "sort"),
        ("/?show=some", "show"),
        ("/systems?system=fish", "system"),
        ("/?page=0", "page"),
        ("/?page=99999999999999999999", "page"),
        ("/body/H1", "body"),
        ("/body/H18'%20OR%201", "body"),
        ("/unit/H18.21-231002-0147", "unit"),
        ("/unit/%3Cscript%3E", "unit"),
        ("/?known=2023-02-31", "known"),
        ("/?known=yesterday", "known"),
        ("/?known=2023-10-02", "known"),  # the day after the clock's
        ("/dossier/H1-231002-0147", "number"),
        ("/dossier/%3Cscript%3E", "number"),
    ],
)
async def test_what_is_not_understood_is_refused_in_both_languages(
    client: TestClient, board: Board, path: str, parameter: str
) -> None:
    seen = await read(client, path)
    assert seen.status == 400
    assert "This address cannot be understood" in seen.text
    assert "Địa chỉ này không hiểu được" in seen.text
    assert f"<code>{parameter}</code>" in seen.html
    assert "<script>" not in seen.html
    assert not board.asked


async def test_whatever_is_stored_is_shown_as_text_and_never_as_markup(board: Board) -> None:
    evil = "<img src=x onerror=alert(1)>"

    def stored(_: str, values: Mapping[str, object]) -> list[dict[str, object]]:
        row = Board.dossiers(board, "", values)[0]
        return [{**row, "number": evil, "system": evil, "procedure_code": evil}]

    board.dossiers = stored
    board.rejected = {evil: (1, 0)}
    async with served(board) as client:
        for path in ("/", UNIT):
            seen = await read(client, path)
            assert "<img" not in seen.html
            assert evil in unescape(seen.html)


async def test_an_address_that_is_not_there_is_404_and_reading_is_all_one_can_do(client: TestClient) -> None:
    for path in ("/nowhere", "/static/", "/static/../site.py", "/static/none.js"):
        assert (await read(client, path)).status == 404
    assert "There is no such page" in (await read(client, "/nowhere")).text
    async with client.post("/") as answer:
        assert answer.status == 405


@pytest.mark.parametrize("path", ["/", "/nowhere", "/?lang=fr", "/static/page.js", "/healthz", "/api/panels"])
async def test_every_answer_carries_a_policy_that_lets_nothing_in_from_elsewhere(
    client: TestClient, path: str
) -> None:
    policy = (await read(client, path)).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy


async def test_a_page_has_no_inline_script_and_no_address_of_another_host(client: TestClient) -> None:
    for path in ("/", "/body/H18", UNIT, "/static/page.css", "/static/page.js"):
        html = (await read(client, path)).html
        assert not re.findall(r"<script(?![^>]*\bsrc=\"/static/)", html)
        assert not re.findall(r"\son\w+=", html)
        assert not re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", html)


async def test_panels_answer_as_frames_with_their_question(client: TestClient) -> None:
    async with client.get("/api/panels") as answer:
        assert [row["panel"] for row in (await answer.json())["rows"]] == [one.id for one in PANELS]
    for one in PANELS:
        where = "&".join(f"{name}={code}" for name, code in CODES.items())
        async with client.get(f"/api/panels/{one.id}?from=2023-01-01&{where}") as answer:
            assert answer.status == 200
            found = await answer.json()
        assert found["question"] == {"vi": one.question_vi, "en": one.question_en}
        (frame,) = found["frames"]
        assert [field["name"] for field in frame["schema"]["fields"]] == [c.name for c in one.columns]
        assert len({len(values) for values in frame["data"]["values"]}) == 1


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/api/panels/none", "panel"),
        ("/api/panels/units", "body"),
        ("/api/panels/dossiers", "unit"),
        ("/api/panels/dossier", "number"),
        ("/api/panels/rates?known=x", "known"),
        ("/api/panels/rates?from=x", "from"),
        ("/api/panels/rates?body=x", "body"),
    ],
)
async def test_a_program_is_refused_in_json(client: TestClient, path: str, parameter: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 400
        assert (await answer.json())["parameter"] == parameter


async def test_the_stored_register_takes_over_once_the_database_answers(board: Board) -> None:
    shipped = board.register
    kept = Register(unit for unit in shipped.units if unit.code != "H18")
    board.failure = Retry("clickhouse", "refused")

    empty = True

    async def load() -> Register:
        if empty:
            raise RegisterError("units", 1, "", "there is no unit in it", "add a row for each unit")
        return kept

    async with served(board, load=load) as client:
        assert (await read(client, "/?lang=en")).status == 503
        board.failure = None
        assert "Dien Bien H18" in (await read(client, "/?lang=en")).text
        empty = False
        seen = await read(client, "/?lang=en")
        assert "Others" in seen.text
        assert "Dien Bien H18" not in seen.text


QUIET = 5 * 86_400
"""From a Sunday's morning back to the Tuesday before: three whole working days."""


async def test_beside_its_numbers_the_page_says_that_they_are_fresh_and_how_long_the_way_takes(
    client: TestClient,
) -> None:
    seen = await read(client, "/?lang=en")
    assert 'data-pipe="fresh"' in seen.html
    assert "✓ Fresh Complete to 2023-10-01 09:30 · 10 minutes ago · delay 0.3 s, at most 0.4 s" in seen.text
    for section in ("bodies", "national", "rejected", "scoreboard"):
        heading = seen.html[seen.html.index(f'id="{section}-h"') :].split("</div>")[0]
        assert "✓</span> Fresh" in heading
    assert "data-banner" not in seen.html


async def test_a_silent_office_says_since_when_and_why_and_its_body_counts_it(
    client: TestClient, board: Board
) -> None:
    board.silent = {"H18.02": QUIET}
    unit = await read(client, f"{UNIT}?lang=en")
    assert "◌ Silent since 2023-09-26" in unit.text
    assert "3 whole working days" in unit.text
    body = await read(client, "/body/H18?lang=en")
    assert "Department 02, Dien Bien H18.02 ◌ Silent since 2023-09-26" in body.text
    assert "Department 03, Dien Bien H18.03 ✓ Fresh" in body.text
    total = len(board.units("", {"body": "H18"}))
    assert f"H18 ◌ 1 / {total} silent" in body.text
    assert f"Dien Bien H18 ◌ 1 / {total} silent" in (await read(client, "/?lang=en")).text
    assert "◌ Im lặng từ 26/09/2023" in (await read(client, f"{UNIT}?lang=vi")).text


@pytest.mark.parametrize("path", ["/", "/body/H18", UNIT])
async def test_a_stale_pipe_is_said_once_and_turns_no_office_silent(board: Board, path: str) -> None:
    board.silent = {"H18.02": QUIET}
    async with served(board, canary_seconds=10) as client:
        seen = await read(client, f"{path}?lang=en")
    assert seen.html.count("data-banner") == 1
    assert (
        "⏸ Pipe stale. Figures are complete to 2023-10-01 09:30. They stand still at that time" in seen.text
    )
    assert "ilent" not in seen.text
    assert "◌" not in seen.text


BOARDS = ("/", "/body/H18", UNIT, "/systems", "/connections", "/inspection", "/evidence/G2/H18.02", DOSSIER)


@pytest.mark.parametrize("path", BOARDS)
async def test_as_known_on_a_day_a_page_asks_of_that_day_says_so_and_keeps_it_in_every_link(
    client: TestClient, board: Board, path: str
) -> None:
    seen = await read(client, f"{path}?lang=en&known=2023-09-20&from=2023-01-01")
    assert seen.status == 200
    end = 1_695_229_200  # 2023-09-21 0:00 local
    kept = {one.id for one in PANELS if one.kept}
    asked = {name for name, _ in board.asked}
    assert asked & kept
    assert {name for name, given in board.asked if given.get("known") == end} == asked & kept
    assert asked - kept <= {"freshness", "rejections"}  # of now: what is not told is not asked either
    assert "Figures as they were known at the end of 2023-09-20." in seen.text
    links = re.findall(r'href="(/[^"]*)"', seen.html)
    back = [one for one in links if "known=2023-09-20" not in one and not one.startswith("/static/")]
    assert back == [f"{path}?definition=ER-766-DOC&amp;from=2023-01-01&amp;lang=en"]
    assert "As known on 2023-09-20" in seen.text
    live = await read(client, f"{path}?lang=en&known=2023-09-20&from=2023-01-01&part=live")
    assert 'data-known="2023-09-20"' in live.html
    vietnamese = await read(client, f"{path}?lang=vi&known=2023-09-20")
    assert "Số liệu như được biết đến hết ngày 20/09/2023." in vietnamese.text
    assert "data-known" not in (await read(client, f"{path}?lang=en")).html


@pytest.mark.parametrize("path", ["/alerts", "/pipeline"])
async def test_a_board_of_now_says_that_it_is_and_keeps_the_day_in_its_links(
    client: TestClient, board: Board, path: str
) -> None:
    seen = await read(client, f"{path}?lang=en&known=2023-09-20")
    assert "This always tells of now. Back to now" in seen.text
    assert not any("known" in given for _, given in board.asked)
    assert 'href="/?definition=ER-766-DOC&amp;known=2023-09-20&amp;lang=en"' in seen.html


async def test_the_day_is_chosen_beside_the_period(client: TestClient) -> None:
    form = (await read(client, "/?lang=en&known=2023-09-20")).html.partition('<form class="filter"')[2]
    assert 'name="known" value="2023-09-20" min="1970-01-02" max="2023-10-01"' in form


@pytest.mark.parametrize("panel", PANELS, ids=lambda one: one.id)
async def test_programs_and_sheets_ask_as_known_too_and_are_told_when_there_is_no_past(
    client: TestClient, board: Board, panel: Panel
) -> None:
    where = "&".join(f"{name}={code}" for name, code in CODES.items())
    asked = f"known=2023-09-20&{where}"
    async with client.get(f"/api/panels/{panel.id}?{asked}") as answer:
        found = await answer.json()
    assert found["known"] == ("2023-09-20" if panel.kept else None)
    assert found["complete_to"] == f"2023-{'09-20T23:59:59' if panel.kept else '10-01T09:30:00'}+07:00"
    async with client.get(f"/api/panels/{panel.id}.csv?{asked}") as answer:
        assert answer.status == 200
        assert ("known-2023-09-20" in answer.headers["Content-Disposition"]) == panel.kept
    assert all(("known" in given) == panel.kept for name, given in board.asked if name == panel.id)
    assert not {one.id for one in PANELS if one.kept} & {
        "freshness", "activity", "rhythm", "alerts", "alert_history", "audits", "swaps", "rejections",
    }  # fmt: skip


async def test_what_was_known_by_a_day_that_is_over_is_not_asked_again_at_every_event(
    client: TestClient, board: Board
) -> None:
    for day, times in (("2023-09-20", 1), ("2023-10-01", 2)):
        board.asked.clear()
        for _ in range(2):
            assert (await read(client, f"/systems?known={day}")).status == 200
            board.version += 1
            async with asyncio.timeout(30):
                while [name for name, _ in board.asked].count("freshness") < 2:
                    await read(client, "/healthz")
                    await asyncio.sleep(0.02)
        assert len([name for name, _ in board.asked if name == "systems"]) == times


async def test_a_dossier_shows_its_state_and_each_version_with_when_it_was_learnt(client: TestClient) -> None:
    unit = await read(client, f"{UNIT}?lang=en&form=clean")
    (link,) = re.findall(r'href="(/dossier/H18\.02-230930-0001[^"]*)"', unit.html)
    seen = await read(client, unescape(link))
    assert seen.status == 200
    assert "State" in seen.text
    table = seen.text[seen.text.index("Accepted versions 3") :]
    last, second, first = (table.index(word) for word in ("Result added", "Status changed", "First heard of"))
    assert last < second < first
    assert "2023-09-04 09:30 ✓ Counts Result added" in table
    assert "<b>Result returned</b>" in seen.html
    assert seen.html.count("<b>Result returned</b>") == 1
    known = await read(client, f"{unescape(link)}&known=2023-09-01")
    assert "Accepted versions 2" in known.text
    assert "Result added" not in known.text


async def test_a_dossier_of_which_nothing_is_known_is_not_there(client: TestClient) -> None:
    for path in ("/dossier/H18.03-230930-0001", f"{DOSSIER}?known=2023-06-01"):
        seen = await read(client, path)
        assert seen.status == 404
        assert "There is no such dossier" in seen.text


@pytest.mark.parametrize(
    ("path", "who"), [("/inspection", "Dien Bien"), ("/body/H18", "Department 02, Dien Bien")]
)
async def test_a_published_figure_that_moved_says_from_what_to_what_and_by_which_kind_of_event(
    client: TestClient, path: str, who: str
) -> None:
    seen = await read(client, f"{path}?lang=en")
    table = seen.text[seen.text.index("Moved since published") :]
    assert f"{who} H18" in table
    assert "2023-08 30.00 % 1,200 / 4,000 40.05 % 1,597 / 3,988 ▲ +10.0" in table
    assert "Withdrawn ( −3 / −12 ) Result added ( +400 / 0 )" in table
    assert "2023-07 30.00 % 900 / 3,000 18.20 % 910 / 5,000 ▼ −11.8" in table
    assert "08/2023" in (await read(client, f"{path}?lang=vi")).text


async def test_the_pipeline_tells_what_was_put_in_the_place_of_live_by_whom_and_why(
    client: TestClient, board: Board
) -> None:
    seen = await read(client, "/pipeline?lang=en")
    assert "Put back nine ✓ done whole an a log was missing" in seen.text
    assert "Put in place nine ✓ done 2023-07, 2023-08 an parity" in seen.text
    board.swaps = lambda *_: []
    board.version += 1
    async with served(board) as other:
        assert (
            "No history was ever put in the place of live." in (await read(other, "/pipeline?lang=en")).text
        )


async def test_while_figures_move_a_pipe_that_is_behind_is_catching_up(board: Board) -> None:
    async with served(board, canary_seconds=10) as client:
        await read(client, "/?lang=en")
        board.complete += 60
        seen = await read(client, "/?lang=en")
        async with asyncio.timeout(30):
            while "They stand still" in seen.text:
                seen = await read(client, "/?lang=en")
                await asyncio.sleep(0.02)
    assert "They are moving, but have not come to the present yet." in seen.text


async def test_what_is_not_known_is_said_so_and_never_guessed(board: Board) -> None:
    board.version = 0
    async with served(board) as client:
        seen = await read(client, "/?lang=en")
        assert "? Unknown" in seen.text
        assert "Nothing has come through the pipe yet." in seen.html
    board.version = 1
    async with served(board, canary_seconds=0) as client:
        assert "? Unknown" in (await read(client, "/?lang=en")).text


async def test_programs_get_the_state_with_each_answer(board: Board) -> None:
    for seconds, state in ((300, "fresh"), (10, "stale"), (0, "unknown")):
        async with (
            served(board, canary_seconds=seconds) as client,
            client.get("/api/panels/rates") as answer,
        ):
            told = await answer.json()
        assert told["freshness"] == {
            "state": state,
            "complete_to": "2023-10-01T09:30:00+07:00",
            "delay_ms": 320,
        }


@pytest.mark.parametrize(("lang", "words"), [("vi", "Số liệu diễn tập"), ("en", "Rehearsed figures of")])
@pytest.mark.parametrize("path", ["/", UNIT, "/pipeline", "/nowhere"])
async def test_rehearsed_figures_are_told_as_such_in_both_languages(
    board: Board, path: str, lang: str, words: str
) -> None:
    async with served(board, rehearsed="re_1") as client:
        for part in ("", "&part=live"):
            answer = await read(client, f"{path}?lang={lang}{part}")
            assert f"{words} re_1 ." in answer.text
    async with served(board) as client:
        assert words not in (await read(client, f"{path}?lang={lang}")).text
