"""The engine's errors, said the way a ClickHouse server says them over HTTP.

An error is the engine's own text and code; nothing is reworded. A client sees a status, the code header and
the text, or, once an answer has begun, the server's tagged exception block. The statuses 429, 503 and 504
are never used: clients answer them by sending the same request again.
"""

from __future__ import annotations

import re

SYNTAX_ERROR = 62
BAD_ARGUMENTS = 36
NOT_IMPLEMENTED = 48
UNKNOWN_DATABASE = 81
READONLY = 164
NOT_ENOUGH_SPACE = 243
AUTHENTICATION_FAILED = 516
UNKNOWN = 1001

_CODE = re.compile(r"Code: (\d+)\.")

_BAD_REQUEST = {
    6, 7, 20, 25, 26, 27, 34, 36, 38, 41, 42, 43, 44, 47, 50, 53, 62, 69, 70, 72, 117, 130, 131, 158, 179,
    184, 190, 206, 215, 307, 386, 396, 456, 457,
}  # fmt: skip
_NOT_FOUND = {46, 60, 63, 73, 75, 81, 82, 115, 390}
_FORBIDDEN = {164, 192, 193, 194, 291, 497, 516}


class EngineError(Exception):
    """What the engine, or its door, refuses: a ClickHouse error code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @classmethod
    def refused(cls, code: int, name: str, why: str) -> EngineError:
        """An error of the door itself, in the engine's own form."""
        return cls(code, f"Code: {code}. DB::Exception: {why} ({name})")

    @classmethod
    def from_engine(cls, error: RuntimeError) -> EngineError:
        text = str(error)
        found = _CODE.search(text)
        return cls(int(found[1]) if found else UNKNOWN, text)

    def status(self) -> int:
        """The HTTP status a ClickHouse server gives this code."""
        if self.code in _BAD_REQUEST:
            return 400
        if self.code in _NOT_FOUND:
            return 404
        if self.code in _FORBIDDEN:
            return 403
        return {NOT_IMPLEMENTED: 501, 159: 408, 209: 408, 223: 413}.get(self.code, 500)

    def body(self, version: str) -> bytes:
        """The text with the version behind it; clients cut it off again by that form."""
        suffix = "" if "(version " in self.text else f" (version {version})"
        return f"{self.text}{suffix}\n".encode()

    def block(self, tag: str, version: str) -> bytes:
        """The tagged block that ends an answer which had already begun."""
        text = self.body(version)
        return b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (
            tag.encode(),
            text,
            len(text),
            tag.encode(),
        )
