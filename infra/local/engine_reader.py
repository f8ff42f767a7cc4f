"""What a reader may not ask, beyond what the engine's `readonly = 1` refuses by itself.

`readonly = 1` stops writes, DDL and settings. It lets through INTO OUTFILE, the function `file` and most
table functions that open files or connections. This closes them by class and by name: a reader's query is
one READ_ONLY statement that calls nothing reaching outside the engine. It is a filter on text, so the door
stays on loopback or behind passwords.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from infra.local.engine_errors import READONLY, EngineError

# Table functions that only compute or only read this engine's tables. `format` and `dictionary` are plain
# functions, too; as table functions readonly = 1 refuses them.
_INSIDE = {
    "dictionary", "format", "generate_series", "generateseries", "merge", "null", "numbers", "numbers_mt",
    "values", "view", "zeros", "zeros_mt",
}  # fmt: skip
# A plain function can be handed over by name alone, as in arrayMap(file, …): no mention of these passes.
_NEVER = re.compile(
    r"file|catboostevaluate|ai(?:classify|embed|extract|filter|generate|redact|similarity|translate)"
)

# What can make a text mean other than it seems: comments (they nest), heredocs, typographic quotes.
_OPAQUE = re.compile("/\\*|--|#|\\$|[\u2018\u2019\u201c\u201d]")
_QUOTE = re.compile('[`"\u201c\u201d]')
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | '(?:\\.|''|[^'\\])*'
      | (?P<quoted>`(?:\\.|``|[^`\\])*`|"(?:\\.|""|[^"\\])*")
      | (?P<word>\w+)
      | (?P<paren>\()
      | .""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The table functions a reader may not call, in lower case, and what is worth a closer look."""

    names: frozenset[str]
    mention: re.Pattern[str]

    @classmethod
    def around(cls, table_functions: Iterable[str]) -> Bounds:
        names = frozenset({name.lower() for name in table_functions} - _INSIDE)
        words = "|".join([*sorted(names), _NEVER.pattern])
        return cls(names, re.compile(rf"\b(?:{words})\b", re.IGNORECASE))

    def check(self, sql: str, query_class: str) -> None:
        """Raise if a reader may not run this statement."""
        if query_class != "READ_ONLY":
            raise _refusal("Cannot execute query in readonly mode.")
        # Most queries mention none of the names, and taking a long text apart costs more than running it.
        escaped_name = "\\" in sql and _QUOTE.search(sql) is not None
        if not escaped_name and self.mention.search(sql) is None:
            return
        if _OPAQUE.search(sql):
            raise _refusal(
                "No comments, heredocs or typographic quotes beside the name of an outside function."
            )
        for name, called in _names(sql):
            outside = name.lower() in self.names and called
            if outside or "\\" in name or _NEVER.fullmatch(name.lower()):
                raise _refusal(f"Cannot use {name} in readonly mode: it reaches outside the engine.")


def _names(sql: str) -> Iterator[tuple[str, bool]]:
    """Every word and quoted name, and whether a parenthesis opens directly behind it."""
    name = ""
    for token in _TOKEN.finditer(sql):
        if token["blank"]:
            continue
        if name:
            yield name, token["paren"] is not None
        quoted = token["quoted"]
        name = quoted[1:-1] if quoted else token["word"] or ""
    if name:
        yield name, False


def _refusal(why: str) -> EngineError:
    return EngineError.refused(READONLY, "READONLY", why)
