"""A browser, and the page over a world of the test's own."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, async_playwright

from dashboards.page import page
from rates.register import Register
from tests.browser import ARGUMENTS, CHROMIUM
from tests.support.board import Board


@pytest.fixture
def board() -> Board:
    board = Board(Register.shipped())
    board.version = 1
    return board


@pytest.fixture
async def address(board: Board) -> AsyncIterator[str]:
    app = page(board, board.register, clock=lambda: board.complete + 600, canary_seconds=300)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()
