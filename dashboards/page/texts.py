"""Where the texts that a definition rests on can be read: a link for a person, never asked by the page."""

from collections.abc import Mapping
from typing import Final

from rates.definitions import Definition

_TEXTS: Final[Mapping[str, str]] = {
    "766/QĐ-TTg": (
        "https://thuvienphapluat.vn/van-ban/Bo-may-hanh-chinh/"
        "Quyet-dinh-766-QD-TTg-2022-Bo-chi-so-danh-gia-chat-luong-phuc-vu-thu-tuc-hanh-chinh-dien-tu-518821.aspx"
    ),
}


def text_of(definition: Definition) -> str:
    """The address of a definition's legal text; "" where none is known."""
    return next((address for name, address in _TEXTS.items() if name in definition.source), "")
