"""Makes `docs/pictures/` anew, every board at both widths: `python -m tests.browser.pictures [ADDRESS]`.

ADDRESS is that of a page that runs over the October 2023 scenario (`make demo`); without it, the page of the
stack in `MOTCUA_DATA_DIR`. That scenario ends long ago, so of its alerts only silence is left: the alerts are
those of an evening of the scenario `story`, which is played for it. Needs a Chromium.
"""

import asyncio
import base64
import json
import os
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, async_playwright

from dashboards.boards import BOARDS
from dashboards.page import page
from producers import scenario_story
from rates.register import Register
from rates.wire import DAY, LOCAL
from sinks.client import connect
from tests.browser import ARGUMENTS, CHROMIUM
from tests.support.stack import running
from tests.support.story import CANARY_SECONDS, EVENING, play

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
WIDTHS: Final = {"": 1440, "-phone": 390}
"""What a picture's name ends with → its width in pixels."""
HEIGHT: Final = 1000
PERIOD: Final = "from=2023-01-01&to=2023-09-30&lang=en"
PLACES: Final = {
    "overview": (f"/?{PERIOD}", ""),
    "map": (f"/?{PERIOD}", "#map"),
    "ranking": (f"/?{PERIOD}&sort=rate", "#bodies-h"),
    "province": (f"/body/H14?{PERIOD}", ""),
    "units": (f"/body/G18?{PERIOD}&sort=rate", "#units"),
    "unit": (f"/unit/G22.01?{PERIOD}", ""),
    "systems": (f"/systems?{PERIOD}&system=land", ""),
    "connections": (f"/connections?{PERIOD}", ""),
    "inspection": (f"/inspection?{PERIOD}", ""),
    "evidence": (f"/evidence/G2/G22.01?{PERIOD}", ""),
    "pipeline": ("/pipeline?lang=en", ""),
}
"""Where each picture is taken over the October 2023 scenario, and the section that it begins with."""
OF_STORY: Final = {"alerts": ("/alerts?lang=en", "")}
SHOWN_EVENING: Final = scenario_story.SILENT[-2]
"""The evening of the story on which each kind of its alerts is open."""
_COLOURS: Final = 256


async def show(tab: Page, address: str, place: tuple[str, str]) -> None:
    """Bring a place into view, its section at the top; `SystemExit` where the page does not answer."""
    path, section = place
    answer = await tab.goto(address + path)
    if answer is None or answer.status != 200:
        raise SystemExit(f"{path}: {answer.status if answer else 'no answer'}")
    if section:
        # A page that has just been opened is still filled in and would go back to where it was.
        await tab.wait_for_load_state("networkidle")
        await tab.locator(section).evaluate("one => one.scrollIntoView()")


async def take(browser: Browser, address: str, places: dict[str, tuple[str, str]], folder: Path) -> None:
    """The pictures of these places, at each width."""
    plain = await browser.new_page()
    for suffix, width in WIDTHS.items():
        tab = await browser.new_page(
            viewport={"width": width, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce"
        )
        for name, place in places.items():
            await show(tab, address, place)
            picture = await small(plain, await tab.screenshot())
            (folder / f"{name}{suffix}.png").write_bytes(picture)
            print(f"{name}{suffix}.png, {len(picture) // 1024} KiB")
        await tab.close()
    await plain.close()


async def small(tab: Page, picture: bytes) -> bytes:
    """A PNG in its most frequent 256 colours; every other colour becomes the nearest of them."""
    width, height, text = await tab.evaluate(
        """async picture => {
            const shown = await createImageBitmap(
                new Blob([Uint8Array.from(atob(picture), one => one.charCodeAt(0))]));
            const drawn = new OffscreenCanvas(shown.width, shown.height).getContext("2d");
            drawn.drawImage(shown, 0, 0);
            const bytes = drawn.getImageData(0, 0, shown.width, shown.height).data;
            let text = "";
            for (let at = 0; at < bytes.length; at += 32768)
                text += String.fromCharCode(...bytes.subarray(at, at + 32768));
            return [shown.width, shown.height, btoa(text)];
        }""",
        base64.b64encode(picture).decode(),
    )
    pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, 4)[:, :3].astype(np.int64)
    colours, which, counts = np.unique(
        pixels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True, return_counts=True
    )
    parts = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
    palette = parts[np.argsort(-counts, kind="stable")[:_COLOURS]]
    nearest = ((parts[:, None] - palette[None]) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    # Each row begins with its filter, 0: none.
    rows = np.pad(nearest[which].reshape(height, width), ((0, 0), (1, 0)))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + bytes((8, 3, 0, 0, 0))),
            chunk(b"PLTE", palette.astype(np.uint8).tobytes()),
            chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            chunk(b"IEND", b""),
        )
    )


@asynccontextmanager
async def story() -> AsyncIterator[str]:
    """The address of a page over the story as it is on its `SHOWN_EVENING`."""
    register = Register.shipped()
    with (
        TemporaryDirectory(prefix="motcua-story-") as folder,
        running(Path(folder), MOTCUA_WORKERS="0") as up,
    ):
        async with connect(up.address("clickhouse"), "story") as database:
            async for day, _ in play(database, register):
                if day == SHOWN_EVENING:
                    break
            # The engine has a clock of its own: what the way of a canary took is no time of the story.
            await database.run("TRUNCATE TABLE canaries")
            now = SHOWN_EVENING * DAY + EVENING - LOCAL
            app = page(database, register, clock=lambda: now, canary_seconds=CANARY_SECONDS)
            async with TestServer(app) as server:
                yield f"http://127.0.0.1:{server.port}"


async def make(address: str) -> None:
    """Every picture."""
    if CHROMIUM is None:
        raise SystemExit("no chromium here. Next: apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        await take(browser, address, PLACES, FOLDER)
        async with story() as told:
            await take(browser, told, OF_STORY, FOLDER)
        await browser.close()


def _running() -> str:
    folder = Path(os.environ.get("MOTCUA_DATA_DIR", "motcua-data"))
    try:
        found = str(json.loads((folder / "run.json").read_text(encoding="utf-8"))["page"])
    except (OSError, ValueError, KeyError):
        raise SystemExit(f"no page runs in {folder}. Next: make demo") from None
    return found if found.startswith("http") else f"http://{found}"


if __name__ == "__main__":
    assert {one.id for one in BOARDS} <= PLACES.keys() | OF_STORY.keys()
    asyncio.run(make(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else _running()))
