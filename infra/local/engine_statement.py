"""What the door has to know about a statement's text, and no more: its verb, its format, an insert's head.

The engine parses SQL; this reads only the two ends of the text. A statement that is not recognised goes to
the engine as it is, which then answers for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

READS = frozenset({"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK"})
SELECTS = frozenset({"SELECT", "WITH", "FROM"})

# Possessive: a comment, once read, is not read in another way, or many of them would take for ever.
_BLANK = r"(?:\s+|--[^\n]*(?:\n|$)|#[! ][^\n]*(?:\n|$)|/\*.*?\*/)*+"
_VERB = re.compile(rf"(?:{_BLANK}\()*{_BLANK}([A-Za-z]+)", re.DOTALL)
_FORMAT = re.compile(
    r"\bFORMAT\s+(?P<format>[A-Za-z]\w*)(?P<settings>\s+SETTINGS\s[^;']*)?[\s;]*$", re.IGNORECASE
)
_TAIL = 2_000
LONGEST_HEAD = 256 << 10
_FOR_LATER = re.compile(
    rf"{_BLANK}(?:SET|USE|CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY)\s", re.IGNORECASE | re.DOTALL
)
_NAME = r"(?:`(?:\\.|[^`\\])*`|\"(?:\\.|[^\"\\])*\"|\w+)"
_INSERT = re.compile(
    rf"(?P<statement>{_BLANK}INSERT\s+INTO\s+(?:TABLE\s+)?{_NAME}(?:\s*\.\s*{_NAME})?\s*"
    rf"(?:\((?:`(?:\\.|[^`\\])*`|\"(?:\\.|[^\"\\])*\"|[^()`\"])*\)\s*)?"
    r")(?P<settings>SETTINGS\s(?:'(?:\\.|[^'\\])*'|[^'(])*?)?"
    r"(?:FORMAT\s+(?P<format>[A-Za-z]\w*)[ \t]*;?[ \t]*(?:\r?\n)?|(?P<values>VALUES)\b)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement without its FORMAT clause."""

    text: str
    verb: str
    format: str | None

    @classmethod
    def read(cls, text: str) -> Statement:
        found = _VERB.match(text)
        verb = found[1].upper() if found else ""
        start = max(0, len(text) - _TAIL)
        clause = _FORMAT.search(text, start) if verb in READS else None
        if clause is None or "--" in text[text.rfind("\n", 0, clause.start()) + 1 : clause.start()]:
            return cls(text.rstrip("; \t\r\n"), verb, None)
        return cls(text[: clause.start()] + (clause["settings"] or ""), verb, clause["format"])

    def needs_session(self) -> bool:
        """Whether it would only do something for later statements of the same session."""
        return _FOR_LATER.match(self.text) is not None


@dataclass(frozen=True, slots=True)
class InsertHead:
    """The part of an insert before its data: statement, settings, format, and where the data begin."""

    text: str
    settings: str
    format: str
    data_from: int

    def from_file(self, path: str) -> str:
        """The same insert with its data in a file."""
        return f"{self.text} FROM INFILE '{path}' COMPRESSION 'none' {self.settings} FORMAT {self.format}"

    @classmethod
    def read(cls, start: bytes) -> InsertHead | None:
        """The head of an insert that carries data; None for any other statement, INSERT … SELECT too."""
        found = _INSERT.match(start[:LONGEST_HEAD].decode("latin-1"))
        if found is None:
            return None
        text, settings = (
            (found[part] or "").encode("latin-1").decode("utf-8", "replace")
            for part in ("statement", "settings")
        )
        return cls(text, settings, found["format"] or "Values", found.end())


def is_insert(start: bytes) -> bool:
    """Whether a body begins with an INSERT of any kind."""
    found = _VERB.match(start[:LONGEST_HEAD].decode("latin-1"))
    return found is not None and found[1].upper() == "INSERT"
