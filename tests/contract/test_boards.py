"""The boards of the page: every number with what it is made of, and nobody sees what is not theirs."""

import csv
import io
import re
from collections.abc import AsyncIterator
from typing import get_args

import pytest
from aiohttp.test_utils import TestClient

from dashboards.page import alarms
from dashboards.page.asked import LANGS, Lang
from dashboards.panels import PANELS
from rates.alerts import ALL, Severity
from rates.anomalies import UNSEEN
from rates.definitions import DEFINITIONS
from rates.register import Register
from tests.contract.test_page import UNIT, read, served
from tests.support.board import Board, alarm

PERIOD = "from=2023-01-01&to=2023-09-30&lang=en"
BOARD_PATHS = ("/systems", "/systems?system=land", "/connections", "/inspection", "/alerts", "/definitions")


@pytest.fixture
def board() -> Board:
    board = Board(Register.shipped())
    board.version = 1
    board.alarms = [alarm("H18.02", "firing"), alarm("H17.03", "pending")]
    return board


@pytest.fixture
async def client(board: Board) -> AsyncIterator[TestClient]:
    async with served(board) as client:
        yield client


async def test_the_headline_says_rate_counts_clean_change_and_target(client: TestClient) -> None:
    seen = await read(client, f"/?{PERIOD}")
    head = seen.text[seen.text.index("The rate now") :]
    assert "National 36.89 % 266,000 / 721,000 Clean: 30.10 % ( 217,000 / 721,000 )" in head
    assert "±0.0 pp on the same days last year" in head
    assert "Target 80 % ▽ −" in head
    assert "(not yet checked in its source)" in head


async def test_without_a_first_day_nothing_is_compared_and_the_page_says_so(client: TestClient) -> None:
    seen = await read(client, "/?lang=en")
    assert "Choose a first day to compare with the same days last year." in seen.text
    assert "on the same days last year ±" not in seen.text


async def test_few_dossiers_are_grey_and_have_no_rank(client: TestClient, board: Board) -> None:
    seen = await read(client, f"/systems?{PERIOD}")
    row = re.search(r'<tr data-key="other".*?</tr>', seen.html, re.DOTALL)
    assert row is not None
    assert 'class="few' in row[0]
    assert "too few to rank" in row[0]
    assert "Rank" not in row[0]


async def test_a_rank_stands_with_the_ranks_that_are_possible(client: TestClient) -> None:
    seen = await read(client, f"/?{PERIOD}&sort=rate")
    assert re.search(r"Rank 1 \(1–[0-9]+\)", seen.text)


async def test_the_map_has_a_tile_that_leads_to_each_province_with_the_whole_question(
    client: TestClient,
) -> None:
    seen = await read(client, f"/?definition=ER-766-DOC&{PERIOD}")
    chart = seen.html[seen.html.index('data-chart="tiles"') :]
    links = re.findall(r'<a href="/body/(H[0-9]{2})\?definition=ER-766-DOC&amp;from=2023-01-01', chart)
    assert len(set(links[:63])) == 63


async def test_a_unit_is_told_from_its_peers(client: TestClient) -> None:
    seen = await read(client, f"{UNIT}?{PERIOD}")
    assert "Among units of its level: half of the units of its level lie between" in seen.text
    assert 'class="print-only"' in seen.html


async def test_within_a_system_bodies_are_told_apart_and_the_system_is_carried_along(
    client: TestClient, board: Board
) -> None:
    seen = await read(client, f"/systems?{PERIOD}&system=land")
    assert "Land: Ministries and localities" in seen.text
    assert [given["system"] for name, given in board.asked if name == "system_bodies"] == ["land"] * 2
    assert 'name="system" value="land"' in seen.html
    assert not re.search(r"/body/H18\?[^\"]*system=", seen.html)


async def test_connections_are_in_use_quiet_or_never_seen(client: TestClient) -> None:
    seen = await read(client, f"/connections?{PERIOD}")
    assert "Ministries 19 / 22 have used it Localities 60 / 63 have used it" in seen.text
    for word in ("✓ In use", "◌ Not seen lately", "○ Never seen"):
        assert word in seen.text


async def test_units_are_listed_by_their_evidence_in_pages(client: TestClient) -> None:
    seen = await read(client, f"/inspection?{PERIOD}")
    assert "60 units with evidence" in seen.text
    assert "Page 1 / 2" in seen.text
    assert "= digitised 100 %" in seen.text
    assert "/unit/H18.02?definition=ER-766-DOC&amp;form=clean" in seen.html
    assert "H18.61" in (await read(client, f"/inspection?{PERIOD}&page=2")).text


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "H18.02 R1 Lagging behind its target ⚠ firing warning 41.2 % threshold 70.0 % 42 / 102 Below"),
        (
            "vi",
            "H18.02 R1 Tụt lại so với mục tiêu ⚠ đang báo động cảnh báo 41,2 % ngưỡng 70,0 % 42 / 102 Thấp",
        ),
    ],
)
async def test_an_alert_is_told_in_words_with_its_rule_its_severity_and_its_share(
    client: TestClient, lang: str, said: str
) -> None:
    seen = await read(client, f"/alerts?lang={lang}")
    assert said in seen.text


async def test_every_severity_of_a_rule_has_its_words() -> None:
    assert {rule.severity for rule in ALL} <= set(get_args(Severity)) <= set(alarms.WORDS)


@pytest.mark.parametrize("lang", LANGS)
async def test_what_cannot_be_seen_is_said_in_the_language_of_the_page(
    client: TestClient, lang: Lang
) -> None:
    seen = await read(client, f"/inspection?lang={lang}")
    for identifier, why in UNSEEN.items():
        assert f"{identifier} {why[LANGS.index(lang)]}" in seen.text


async def test_a_definition_leads_to_its_legal_text(client: TestClient) -> None:
    seen = await read(client, "/definitions?lang=en")
    for one in DEFINITIONS:
        assert f'id="{one.id}"' in seen.html
        assert one.source in seen.text
    assert re.search(r'href="https://thuvienphapluat.vn/[^"]*766[^"]*" rel="noreferrer', seen.html)
    assert (
        "/definitions?definition=ER-766-DOC&amp;lang=en#ER-766-DOC" in (await read(client, "/?lang=en")).html
    )


@pytest.mark.parametrize("panel", PANELS, ids=lambda one: one.id)
async def test_every_table_is_to_be_had_as_csv_through_the_same_panel(
    client: TestClient, panel: object, board: Board
) -> None:
    one = next(known for known in PANELS if known is panel)
    number = "&number=H18.02-230930-0001" if one.id == "dossier" else ""
    whom = number[8:] or "H18.02"
    seen = await read(client, f"/api/panels/{one.id}.csv?{PERIOD}&body=H18&unit=H18.02{number}")
    assert seen.status == 200
    assert seen.headers["Content-Type"].startswith("text/csv")
    assert f'filename="motcua-{one.id}-{whom}-ER-766-DOC.csv"' in seen.headers["Content-Disposition"]
    async with client.get(f"/api/panels/{one.id}.csv?{PERIOD}&body=H18&unit=H18.02{number}") as answer:
        rows = list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig"))))
    assert rows[0][: len(one.columns)] == [column.name for column in one.columns]
    assert {len(row) for row in rows} == {len(rows[0])}


async def test_a_sheet_has_names_and_rates_with_their_intervals(client: TestClient) -> None:
    async with client.get("/api/panels/units.csv?lang=vi&body=H18") as answer:
        rows = list(csv.DictReader(io.StringIO((await answer.read()).decode("utf-8-sig"))))
    row = next(row for row in rows if row["code"] == "H18.03")
    assert row["name"] == "Sở 03, Điện Biên"
    assert (row["reported"], row["total"]) == ("2", "43")
    assert row["reported_percent"] == "4.65"
    assert float(row["reported_low"]) < 4.65 < float(row["reported_high"])


async def test_a_sheet_holds_no_text_that_a_spreadsheet_would_run(client: TestClient, board: Board) -> None:
    evil = '=HYPERLINK("x")'
    board.dossiers = lambda _, values: [{**Board.dossiers(board, "", values)[0], "number": evil}]
    text = (await read(client, "/api/panels/dossiers.csv?unit=H18.02")).html
    assert "'=HYPERLINK" in text
    assert "\n=HYPERLINK" not in text


async def test_a_sheet_of_what_is_not_there_is_refused_like_its_panel(client: TestClient) -> None:
    for path in ("none.csv", "units.csv", "rates.csv?from=x", "systems.csv?system=fish"):
        assert (await read(client, f"/api/panels/{path}")).status == 400


@pytest.mark.parametrize("path", [*BOARD_PATHS, "/body/H18", UNIT])
async def test_whoever_is_limited_to_one_body_sees_no_row_of_another(board: Board, path: str) -> None:
    rows = Board.bodies(board, "", {})
    board.bodies = lambda _, values: [row for row in rows if values["only"] in ("", row["code"])]
    joined = "&" if "?" in path else "?"
    async with served(board, only="H18") as client:
        seen = await read(client, f"{path}{joined}{PERIOD}")
    assert seen.status == 200
    main = seen.html[seen.html.index("<main") :]
    others = {code for code in re.findall(r"/(?:body|unit)/([HG][0-9]{2})", main) if code != "H18"}
    assert not others
    asked = [given for name, given in board.asked if "only" in given]
    assert all(given["only"] == "H18" for given in asked)
    assert "H17.03" not in seen.text


@pytest.mark.parametrize("panel", [one for one in PANELS if not one.limitable], ids=lambda one: one.id)
async def test_what_cannot_be_limited_is_no_sheet_for_a_limited_reader(board: Board, panel: object) -> None:
    one = next(known for known in PANELS if known is panel)
    async with served(board, only="H18") as client:
        for address in (f"/api/panels/{one.id}.csv", f"/api/panels/{one.id}"):
            assert (await read(client, address)).status == 403


async def test_a_limited_reader_gets_no_sheet_of_another_body(board: Board) -> None:
    async with served(board, only="H18") as client:
        for more in ("units.csv?body=H17", "dossiers.csv?unit=H17.02", "trend.csv?body=H17"):
            assert (await read(client, f"/api/panels/{more}")).status == 403


@pytest.mark.parametrize("path", ["/systems", "/connections", "/inspection", "/alerts"])
async def test_before_anything_came_a_board_is_empty_and_says_no_rate(board: Board, path: str) -> None:
    board.version, board.alarms = 0, []
    async with served(board) as client:
        seen = await read(client, f"{path}?lang=en")
    assert seen.status == 200
    assert "0.00 %" not in seen.text
    assert "Nothing yet" in seen.text


async def test_evidence_that_chance_explains_is_not_shown_and_the_rest_leads_to_its_dossiers(
    client: TestClient,
) -> None:
    seen = await read(client, f"/inspection?{PERIOD}")
    section = seen.html[seen.html.index('id="evidence"') :]
    assert 'data-key="G2-H18.02"' in section
    assert "H18.03" not in section
    (link,) = re.findall(r'href="(/evidence/G2/H18\.02[^"]*)"', section)
    behind = await read(client, link.replace("&amp;", "&"))
    assert "have a result link that is one of the papers handed in" in behind.text
    assert "<code>H18.02-" in behind.html


async def test_dossiers_are_told_alike_whether_they_are_behind_a_number_or_evidence(
    client: TestClient,
) -> None:
    def table(html: str) -> tuple[list[str], list[str]]:
        found = html[html.index('<table class="dossiers') :].partition("</table>")[0]
        heads = re.findall(r'<th scope="col">(.*?)</th>', found)
        row = found[found.index('<tr data-key="H18.02-230930-0001"') :]
        return heads, re.findall(r"<td.*?</td>", row[: row.index("</tr>")])

    heads, cells = table((await read(client, f"{UNIT}?{PERIOD}")).html)
    evidence = table((await read(client, f"/evidence/G2/H18.02?{PERIOD}")).html)
    # Of evidence there is no question whether it counts.
    assert (heads.pop(1), "✓" in cells.pop(0)) == ("As reported", True)
    assert (heads, cells) == evidence


async def test_evidence_of_no_known_kind_is_not_found(client: TestClient) -> None:
    assert (await client.get("/evidence/G99/H18.02")).status == 404
