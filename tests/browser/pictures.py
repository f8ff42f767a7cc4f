"""Makes `docs/pictures/` anew, one picture of every board: `python -m tests.browser.pictures [ADDRESS]`.

ADDRESS is that of a page that runs over the October 2023 scenario (`make demo`); without it, the page of the
stack in `MOTCUA_DATA_DIR`. Needs a Chromium.
"""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright

from dashboards.boards import BOARDS
from tests.browser import ARGUMENTS

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
PERIOD: Final = "?from=2023-01-01&to=2023-09-30&lang=en"
WIDTH, HEIGHT = 1280, 1000
_PHONE: Final = 390

# Where each board is, and what of it the picture begins with.
_PLACES: Final = {
    "overview": (f"/{PERIOD}", ""),
    "province": (f"/body/H14{PERIOD}", ""),
    "unit": (f"/unit/G22.01{PERIOD}", ""),
    "systems": (f"/systems{PERIOD}&system=land", ""),
    "connections": (f"/connections{PERIOD}", ""),
    "inspection": (f"/inspection{PERIOD}", ""),
    "alerts": ("/alerts?lang=en", ""),
    "pipeline": ("/pipeline?lang=en", ""),
    "map": (f"/{PERIOD}", "#map-h"),
    "ranking": (f"/{PERIOD}&sort=rate", "#bodies-h"),
}


async def take(address: str) -> None:
    """Every picture; a board that is not there is left out, and said."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no chromium here. Next: apt-get install chromium")
    assert {one.id for one in BOARDS} <= _PLACES.keys()
    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for width, suffix in ((WIDTH, ""), (_PHONE, "-phone")):
            tab = await browser.new_page(
                viewport={"width": width, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce"
            )
            for name, (path, begin) in _PLACES.items():
                if suffix and name not in ("overview", "unit"):
                    continue
                answer = await tab.goto(address + path)
                if answer is None or answer.status != 200:
                    print(f"{name}: not there")
                    continue
                if begin:
                    await tab.locator(begin).evaluate("one => one.scrollIntoView()")
                await tab.screenshot(path=FOLDER / f"{name}{suffix}.png")
                print(f"{name}{suffix}.png")
            await tab.close()
        await browser.close()


def _running() -> str:
    folder = Path(os.environ.get("MOTCUA_DATA_DIR", "motcua-data"))
    try:
        found = str(json.loads((folder / "run.json").read_text(encoding="utf-8"))["page"])
    except (OSError, ValueError, KeyError):
        raise SystemExit(f"no page runs in {folder}. Next: make demo") from None
    return found if found.startswith("http") else f"http://{found}"


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else _running()))
