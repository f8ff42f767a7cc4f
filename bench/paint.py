"""How soon a reader sees figures: the page's first paint in a real browser, over a national year.

The overview and a province's page, each in a fresh context, so that nothing is kept from the visit before.
"""

import asyncio
import shutil
from statistics import median
from typing import Any, Final

from aiohttp.test_utils import TestServer
from playwright.async_api import async_playwright

from bench.nation import YEAR, nation
from bench.panels import rested
from bench.stack import running
from dashboards.page import page
from motcua import clock
from motcua.settings import Settings
from motcua.wiring import database
from rates.register import Register

_VISITS: Final = 10
_PATHS: Final = ("/", f"/?from={YEAR}-01-01&to={YEAR}-12-31", f"/body/H18?from={YEAR}-01-01&to={YEAR}-12-31")
_PAINTED: Final = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def run() -> dict[str, Any]:
    """The figures of the part: milliseconds from the request to the first paint with figures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise RuntimeError("no chromium here. Next: apt-get install chromium")
    with running(engine=nation()) as stack:
        asyncio.run(rested(stack.settings))
        return asyncio.run(_measured(stack.settings, chromium))


async def _measured(settings: Settings, chromium: str) -> dict[str, Any]:
    took: dict[str, list[float]] = {path: [] for path in _PATHS}
    async with database(settings) as connected:
        app = page(connected, Register.shipped(), clock=clock.now, canary_seconds=0)
        async with TestServer(app) as server, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for _ in range(_VISITS):
                for path in _PATHS:
                    context = await browser.new_context()
                    tab = await context.new_page()
                    await tab.goto(f"http://127.0.0.1:{server.port}{path}")
                    await tab.locator("[data-n]").first.wait_for()
                    took[path].append(await tab.evaluate(_PAINTED))
                    await context.close()
            await browser.close()
    return {
        "first_paint_ms": round(max(median(times) for times in took.values())),
        "pages": {path: round(median(times)) for path, times in took.items()},
    }
