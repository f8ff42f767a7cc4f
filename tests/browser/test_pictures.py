"""The pictures of the page: each board at both widths, of what it is named after, and small."""

import base64
import struct
from typing import Final

import pytest
from playwright.async_api import Browser

from dashboards.boards import BOARDS
from tests.browser import NEEDS
from tests.browser.pictures import FOLDER, HEIGHT, OF_STORY, PLACES, WIDTHS, show, small

pytestmark = NEEDS
MOST_BYTES: Final = 130_000


def test_every_board_is_pictured_at_both_widths_and_nothing_else_is() -> None:
    assert {one.id for one in BOARDS} <= PLACES.keys() | OF_STORY.keys()
    named = {f"{name}{suffix}.png": width for name in PLACES | OF_STORY for suffix, width in WIDTHS.items()}
    assert {file.name for file in FOLDER.iterdir()} == set(named)
    for name, width in named.items():
        picture = (FOLDER / name).read_bytes()
        assert len(picture) <= MOST_BYTES, name
        assert struct.unpack(">II", picture[16:24]) == (width, HEIGHT), name


@pytest.mark.parametrize("suffix", WIDTHS)
async def test_a_picture_begins_with_the_section_it_is_of(
    browser: Browser, address: str, suffix: str
) -> None:
    tab = await browser.new_page(
        viewport={"width": WIDTHS[suffix], "height": HEIGHT}, reduced_motion="reduce"
    )
    for name in ("map", "ranking", "units"):
        path, section = PLACES[name]
        await show(tab, address, (path.replace("G18", "H18"), section))
        head = await tab.locator(".top").bounding_box()
        begins = await tab.locator(f"{section.removesuffix('-h')}-h").bounding_box()
        assert head is not None
        assert begins is not None
        assert 0 <= begins["y"] - head["height"] < 60, name
    await tab.close()


async def test_a_small_picture_is_the_same_picture(browser: Browser) -> None:
    tab = await browser.new_page(viewport={"width": 64, "height": 32})
    await tab.set_content("<body style='margin:0;background:#0b7285'><p style='color:#fff'>×</p>")
    made = await small(tab, await tab.screenshot())
    await tab.set_content(f"<body style='margin:0'><img src='data:image/png;base64,{_text(made)}'>")
    again = await small(tab, await tab.screenshot())
    assert again == made
    await tab.close()


def _text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
