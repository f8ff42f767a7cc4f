"""What a reader may not ask, beyond what the engine's `readonly = 1` refuses by itself.

`readonly = 1` stops writes, DDL and settings. It lets through INTO OUTFILE, the function `file` and most
table functions that open files or connections. This closes them by class and by name: a reader's query is
one READ_ONLY statement that calls nothing reaching outside the engine. It is a filter on text, so the door
stays on loopback or behind passwords.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from infra.local.engine_errors import READONLY, EngineError

# Table functions that only compute or only read this engine's tables. `format` and `dictionary` are plain
# functions, too; as table functions readonly = 1 refuses them.
_INSIDE = {
    "dictionary", "format", "generate_series", "generateseries", "merge", "null", "numbers", "numbers_mt",
    "values", "view", "zeros", "zeros_mt",
}  # fmt: skip
_OUTSIDE_FUNCTIONS = {"file", "catboostevaluate"}
_ASSISTANTS = re.compile(r"ai[A-Z]\w*|AI[A-Z]\w*")

# What can make a text mean other than it seems: comments (they nest), heredocs, typographic quotes.
_OPAQUE = re.compile("/\\*|--|#|\\$|[\u2018\u2019\u201c\u201d]")
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
    """The functions a reader may not call, in lower case, and a pattern that finds any mention of one."""

    names: frozenset[str]
    mention: re.Pattern[str]

    @classmethod
    def around(cls, table_functions: Iterable[str]) -> Bounds:
        names = frozenset({name.lower() for name in table_functions} - _INSIDE | _OUTSIDE_FUNCTIONS)
        return cls(names, re.compile(rf"\b(?:{'|'.join(sorted(names))}|ai[a-z]+)\b", re.IGNORECASE))

    def check(self, sql: str, query_class: str) -> None:
        """Raise if a reader may not run this statement."""
        if query_class != "READ_ONLY":
            raise _refusal("Cannot execute query in readonly mode.")
        # Most queries mention none of the names, and taking a long text apart costs more than running it.
        if self.mention.search(sql) is None and not ("\\" in sql and ("`" in sql or '"' in sql)):
            return
        if _OPAQUE.search(sql):
            raise _refusal(
                "No comments, heredocs or typographic quotes beside the name of an outside function."
            )
        for name in _called(sql):
            if "\\" in name or name.lower() in self.names or _ASSISTANTS.fullmatch(name):
                raise _refusal(f"Cannot call {name} in readonly mode: it reaches outside the engine.")


def _called(sql: str) -> Iterable[str]:
    """Every name directly before an opening parenthesis, quotes seen through."""
    name = ""
    for token in _TOKEN.finditer(sql):
        if token["blank"]:
            continue
        if token["paren"] and name:
            yield name
        quoted = token["quoted"]
        name = quoted[1:-1] if quoted else token["word"] or ""


def _refusal(why: str) -> EngineError:
    return EngineError.refused(READONLY, "READONLY", why)
