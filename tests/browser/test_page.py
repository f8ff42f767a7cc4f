"""The page in a real browser: a number moves, a person can follow it down, nobody is shut out."""

import re
from collections.abc import AsyncIterator
from typing import Final

import pytest
from aiohttp.test_utils import TestServer
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from dashboards.page import page
from rates.failures import Retry
from tests.browser import NEEDS
from tests.support.board import Board, alarm, told

SECONDS: Final = 30_000

pytestmark = NEEDS


class Watched:
    """A tab, with whatever it complained of and whatever it asked of another host."""

    def __init__(self, tab: Page, address: str) -> None:
        self.tab = tab
        self.complaints: list[str] = []
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("console", lambda said: self.complaints.extend([said.text] if said.type == "error" else []))
        tab.on(
            "request",
            lambda asked: self.complaints.extend([] if asked.url.startswith(address) else [asked.url]),
        )


@pytest.fixture
async def watched(browser: Browser, address: str) -> AsyncIterator[Watched]:
    tab = await browser.new_page(viewport={"width": 1440, "height": 900})
    tab.set_default_timeout(SECONDS)
    yield Watched(tab, address)
    await tab.close()


async def test_a_number_moves_while_events_flow_and_nothing_else_does(
    watched: Watched, address: str, board: Board
) -> None:
    tab = watched.tab
    await tab.goto(f"{address}/?lang=en")
    counts = tab.locator("#national tr").nth(1).locator("[data-n]")
    await expect(counts.nth(1)).to_have_text("266,000")
    await expect(tab.locator("[data-beat]")).to_have_text("live", timeout=SECONDS)
    await tab.locator('#national th > a[href*="ER-766-PORTAL"]').focus()
    await tab.evaluate("window.before = document.querySelector('#national table')")
    board.version, board.more = 2, 37
    await expect(counts.nth(1)).to_have_text("266,037", timeout=SECONDS)
    assert await tab.evaluate("window.before === document.querySelector('#national table')")
    assert "ER-766-PORTAL" in await tab.evaluate("document.activeElement.href")
    assert not watched.complaints


async def test_the_page_of_the_pipe_says_by_itself_that_a_worker_fell_silent(
    watched: Watched, address: str, board: Board
) -> None:
    tab = watched.tab
    await tab.goto(f"{address}/pipeline?lang=en")
    await expect(tab.locator('[data-figure="workers"]')).to_have_text("1 / 3")
    await expect(tab.locator("#workers tbody tr").nth(1)).to_contain_text("silent")
    await expect(tab.locator(".alarm")).to_have_count(0)
    board.workers_told = [told("node-a:4711", board.complete + 500)]
    board.version = 2
    await expect(tab.locator('[data-figure="workers"]')).to_have_text("0 / 1", timeout=SECONDS)
    await expect(tab.locator(".alarm")).to_contain_text("No worker is live")
    await expect(tab.locator('[data-figure="lag"]')).to_have_text("–")
    assert not watched.complaints


async def test_the_first_figure_appears_on_a_page_that_was_opened_before_any_event(
    watched: Watched, address: str, board: Board
) -> None:
    board.version = 0
    tab = watched.tab
    await tab.goto(f"{address}/?lang=vi")
    notice = tab.locator(".notice").filter(has_text="Chưa có sự kiện nào tới")
    await expect(notice).to_be_visible()
    board.version = 1
    await expect(tab.locator('[data-figure="localities_rate"]')).to_have_text("38,94 %", timeout=SECONDS)
    await expect(notice).to_have_count(0)
    assert not watched.complaints


async def test_a_page_keeps_its_figures_while_the_database_is_away_and_goes_on_after(
    watched: Watched, address: str, board: Board
) -> None:
    tab = watched.tab
    await tab.goto(f"{address}/?lang=en")
    await expect(tab.locator("[data-beat]")).to_have_text("live", timeout=SECONDS)
    board.failure = Retry("clickhouse", "refused")
    await expect(tab.locator("[data-beat]")).to_have_text(re.compile("connection lost"), timeout=SECONDS)
    await expect(tab.locator('[data-figure="localities_rate"]')).to_have_text("38.94 %")
    board.failure = None
    await expect(tab.locator("[data-beat]")).to_have_text("live", timeout=SECONDS)


async def test_a_page_opened_without_a_database_fills_itself_when_it_comes(
    watched: Watched, address: str, board: Board
) -> None:
    board.failure = Retry("clickhouse", "refused")
    tab = watched.tab
    await tab.goto(f"{address}/?lang=en")
    await expect(tab.locator("h1")).to_have_text("The database does not answer")
    board.failure = None
    await expect(tab.locator('[data-figure="localities_rate"]')).to_have_text("38.94 %", timeout=SECONDS)


async def test_from_the_country_to_one_dossier_and_back_by_keyboard_alone(
    watched: Watched, address: str
) -> None:
    tab = watched.tab
    await tab.goto(f"{address}/?lang=en&definition=ER-PROV-DONE&from=2023-01-01")
    for name in ("Dien Bien", "Department 02, Dien Bien"):
        await tab.get_by_role("link", name=name, exact=True).first.focus()
        await tab.keyboard.press("Enter")
        await expect(tab.locator("h1")).to_have_text(name)
    await expect(tab.locator(".dossiers tbody tr")).to_have_count(50)
    await tab.get_by_role("link", name="Only the missing").focus()
    await tab.keyboard.press("Enter")
    await expect(tab.locator(".dossiers tr.counts")).to_have_count(0)
    await tab.get_by_role("navigation", name="You are here").get_by_role("link", name="Overview").focus()
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#scoreboard")).to_be_visible()
    assert "definition=ER-PROV-DONE&from=2023-01-01" in tab.url
    assert not watched.complaints


@pytest.mark.parametrize("width", [390, 1440])
async def test_each_link_of_the_contents_brings_its_section_right_under_the_head(
    browser: Browser, address: str, width: int
) -> None:
    tab = await browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    await tab.goto(f"{address}/?lang=en&from=2023-01-01&to=2023-09-30")
    await expect(tab.locator("[data-beat]")).to_have_text("live", timeout=SECONDS)
    for link in await tab.locator(".contents a").all():
        await link.click()
        begins = str(await link.get_attribute("href")).removesuffix("-h") + "-h"
        heading, head = await tab.locator(begins).bounding_box(), await tab.locator(".top").bounding_box()
        assert heading is not None
        assert head is not None
        left = await tab.evaluate(
            "document.documentElement.scrollHeight - window.innerHeight - window.scrollY"
        )
        # A section near the end cannot come up further than the page goes.
        assert 0 <= heading["y"] - head["height"] < 60 or left < 1, begins
        await tab.evaluate("window.scrollTo(0, 0)")
    await tab.close()


async def test_the_filter_keeps_language_and_asks_for_what_was_chosen(watched: Watched, address: str) -> None:
    tab = watched.tab
    await tab.goto(f"{address}/?lang=vi")
    await tab.get_by_role("combobox", name="Định nghĩa").select_option("ER-766-PORTAL")
    await tab.get_by_label("Từ ngày").fill("2023-01-01")
    await tab.get_by_role("button", name="Xem").click()
    await expect(tab.locator("#bodies .tally")).to_contain_text(
        "ER-766-PORTAL · Theo báo cáo · từ 01/01/2023"
    )
    assert "lang=vi" in tab.url


@pytest.mark.parametrize("width", [390, 1440])
async def test_from_the_national_rate_to_one_dossier_and_back_whatever_the_width(
    browser: Browser, board: Board, address: str, width: int
) -> None:
    board.alarms = [alarm("H18.02", "firing")]
    tab = await browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    tab.set_default_timeout(SECONDS)
    watched = Watched(tab, address)
    question = "definition=ER-766-PORTAL&form=clean&from=2023-01-01&to=2023-09-30"
    await tab.goto(f"{address}/?{question}&lang=en")

    async def sound() -> None:
        await expect(tab.locator("[data-beat]")).to_have_text("live", timeout=SECONDS)
        assert question in tab.url
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        found = await Axe().run(tab)
        assert found.violations_count == 0, found.generate_report()

    await expect(tab.locator('[data-head="national"] .figure .n').first).to_have_text("32.38 %")
    await sound()
    await tab.locator('[data-chart="tiles"] a[data-key="H18"]').click()
    await expect(tab.locator("h1")).to_have_text("Dien Bien")
    await expect(tab.locator('[data-chart="trend"] svg')).to_be_visible()
    await sound()
    await tab.locator('#units tr[data-key="H18.02"] a').click()
    await expect(tab.locator("h1")).to_have_text("Department 02, Dien Bien")
    await expect(tab.locator("[data-peers]")).to_contain_text("half of the units")
    await sound()
    await expect(tab.locator(".dossiers tbody tr").first).to_contain_text("H18.02-230930-0000")
    path = tab.get_by_role("navigation", name="You are here")
    await path.get_by_role("link", name="Dien Bien", exact=True).click()
    await expect(tab.locator("h1")).to_have_text("Dien Bien")
    boards = tab.get_by_role("navigation", name="Boards")
    for name, drilled in (
        ("Specialised systems", '#systems tr[data-key="land"] a'),
        ("Connections", '#population tr[data-key="H18"] a'),
        ("Inspection", '#inspection tr[data-key="H18.02"] a >> nth=0'),
        ("Alerts", '#alerts tr[data-key="R1/H18.02"] a'),
    ):
        await boards.get_by_role("link", name=name).click()
        await expect(tab.locator("h1")).to_have_text(name)
        await sound()
        await tab.locator(drilled).click()
        assert "definition=ER-766-PORTAL" in tab.url
    await expect(tab.locator("h1")).to_have_text("Department 02, Dien Bien")
    await boards.get_by_role("link", name="Overview").click()
    await expect(tab.locator("#scoreboard")).to_be_visible()
    await sound()
    assert not watched.complaints
    await tab.close()


async def test_a_chart_changes_while_its_data_stay_open_and_nothing_flickers(
    watched: Watched, address: str, board: Board
) -> None:
    tab = watched.tab
    await tab.goto(f"{address}/?lang=en&from=2023-01-01")
    await expect(tab.locator("[data-beat]")).to_have_text("live", timeout=SECONDS)
    await tab.locator("#trend summary").click()
    await tab.evaluate("window.before = document.querySelector('#trend svg')")
    rows = Board.trend(board, "", {"first": "2022-01-01", "last": "2023-12-31", "unit": ""})
    board.trend = lambda _, __: [{**row, "reported": row["reported"] + 400} for row in rows]
    board.version = 2
    cell = tab.locator('#trend tr[data-key="2023-01"] td').first
    await expect(cell).to_contain_text("610", timeout=SECONDS)
    assert await tab.evaluate("window.before === document.querySelector('#trend svg')")
    await expect(tab.locator("#trend details table")).to_be_visible()
    assert not watched.complaints


async def test_a_units_report_prints_without_what_is_only_for_a_screen(
    watched: Watched, address: str
) -> None:
    tab = watched.tab
    await tab.goto(f"{address}/unit/H18.02?lang=en&from=2023-01-01&to=2023-09-30")
    await tab.emulate_media(media="print")
    for hidden in (".top", ".filter", ".boards", ".tabs", ".csv"):
        await expect(tab.locator(hidden).first).to_be_hidden()
    await expect(tab.locator(".print-only")).to_contain_text("Report on a unit · ER-766-DOC: Decision 766")
    await expect(tab.locator(".print-only")).to_contain_text("Complete to 2023-10-01 09:30")
    await expect(tab.locator(".dossiers")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_stale_pipe_and_silent_offices_fit_a_phone_and_pass_the_accessibility_rules(
    browser: Browser, board: Board, scheme: str
) -> None:
    board.silent = {"H18.02": 5 * 86_400, "H18.21": 900 * 86_400}
    for seconds, path, shown in ((300, "/body/H18", "Im lặng từ"), (10, "/", "Đường truyền chậm")):
        app = page(board, board.register, clock=lambda: board.complete + 600, canary_seconds=seconds)
        async with TestServer(app) as server:
            for width in (390, 1440):
                tab = await browser.new_page(
                    viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
                )
                await tab.goto(f"http://127.0.0.1:{server.port}{path}?lang=vi")
                await expect(tab.locator("main")).to_contain_text(shown)
                assert await tab.evaluate("document.documentElement.scrollWidth") <= width
                found = await Axe().run(tab)
                assert found.violations_count == 0, found.generate_report()
                await tab.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?from=2023-01-01&to=2023-09-30&sort=rate",
        "/body/H18?from=2023-01-01&form=clean",
        "/unit/H18.02?from=2023-01-01",
        "/systems?from=2023-01-01&system=land",
        "/connections?to=2023-09-30",
        "/inspection",
        "/alerts",
        "/definitions",
        "/pipeline",
        "/dossier/H18.02-230930-0001?known=2023-09-20&definition=ER-766-PORTAL",
        "/?from=2023-02-31",
    ],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_fits_a_phone_and_passes_the_accessibility_rules(
    browser: Browser, address: str, board: Board, path: str, scheme: str
) -> None:
    board.alarms = [alarm("H18.02", "firing"), alarm("H17.03", "pending")]
    for width in (390, 1440):
        tab = await browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        await tab.goto(address + path)
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        found = await Axe().run(tab)
        assert found.violations_count == 0, found.generate_report()
        await tab.close()
