"""Templates and the two static files, as the page serves them."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

STATIC: Final = Path(__file__).parent / "static"
_TEMPLATES: Final = Path(__file__).parent / "templates"


class Templates:
    """HTML from a template; everything that is put in is escaped, and a name that is missing is an error."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        files = sorted(STATIC.iterdir())
        self._version = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]

    def html(self, template: str, context: Mapping[str, Any]) -> str:
        return self._environment.get_template(template).render(version=self._version, **context)


def tag(text: str) -> str:
    """The ETag of an answer: the same text, the same tag."""
    return f'"{sha256(text.encode()).hexdigest()[:24]}"'
