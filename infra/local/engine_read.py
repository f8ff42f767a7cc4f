"""A statement's answer, in pieces.

A SELECT whose format has no global header or footer is streamed from the engine, whatever its size, in
constant memory; any other statement is run whole. An empty Native answer is a header block with names and
types, as a server sends it.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, MutableMapping
from typing import TypeAlias

from infra.local.engine_errors import BAD_ARGUMENTS, EngineError
from infra.local.engine_native import header
from infra.local.engine_session import Session
from infra.local.engine_statement import READS, SELECTS, Statement

# In other formats every piece of the engine would carry a header of its own.
_STREAMED = frozenset({
    "native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "rowbinary", "jsoneachrow", "ndjson",
    "jsonlines", "jsoncompacteachrow", "lineasstring",
})  # fmt: skip


Columns: TypeAlias = list[tuple[str, str]]
_MOST_KNOWN = 1_000


class Answer:
    """One statement on one session. `gather` until it is done; then, whatever happened, `close`."""

    def __init__(
        self,
        session: Session,
        statement: Statement,
        fmt: str,
        parameters: Mapping[str, str],
        known: MutableMapping[Hashable, Columns] | None = None,
        given: Hashable = (),
    ) -> None:
        """`known`: columns of statements, for as long as no definition changes; `given`: what else they
        depend on."""
        self._known = {} if known is None else known
        self._given = given
        self._session = session
        self._statement = statement
        self._parameters = parameters
        self._begun = False
        self._streaming = False
        self._bytes = 0
        self.format = statement.format or fmt
        self.counts: dict[
            str, int
        ] = {}  # what the engine tells of a whole answer, and never of a streamed one

    def gather(self, limit: int) -> tuple[bytes, bool]:
        """The next bytes, about `limit` of them, and whether they are the last."""
        if not self._begun:
            self._begun = True
            self._session.check(self._statement.text, self._statement.verb)
            whole = self._start()
            if whole is not None:
                return whole, True
        pieces: list[bytes] = []
        size = 0
        while size < limit:
            piece = self._session.fetch()
            if piece is None:
                if not self._bytes:
                    return self._empty(), True
                return b"".join(pieces), True
            pieces.append(piece)
            size += len(piece)
            self._bytes += len(piece)
        return b"".join(pieces), False

    def close(self) -> None:
        self._session.close()

    def _start(self) -> bytes | None:
        """Begin to stream; or, where the engine does not, the whole answer."""
        if self._statement.verb in SELECTS and self.format.lower() in _STREAMED:
            try:
                self._session.start(self._statement.text, self.format, self._parameters)
            except EngineError as error:
                if error.code != BAD_ARGUMENTS or "Streaming query is not supported" not in error.text:
                    raise
            else:
                return None
        result = self._session.run(self._statement.text, self.format, self._parameters)
        self.counts = {
            "read_rows": result.rows_read,
            "read_bytes": result.bytes_read,
            "result_rows": result.rows,
        }
        return result.data or self._empty()

    def _empty(self) -> bytes:
        if self.format.lower() != "native" or self._statement.verb not in READS:
            return b""
        return header(self._columns())

    def _columns(self) -> Columns:
        """Names and types. They take as long to find as an answer: for a statement that comes again, once."""
        key = self._given, self._statement.text
        if key not in self._known:
            found = self._described()
            if ":Identifier}" in self._statement.text or len(self._known) >= _MOST_KNOWN:
                return found
            self._known[key] = found
        return self._known[key]

    def _described(self) -> Columns:
        """DESCRIBE only analyses; what it does not take is run once more for its JSON."""
        if self._statement.verb in SELECTS:
            described = f"DESCRIBE TABLE (\n{self._statement.text}\n)"
            try:
                rows = self._session.run(described, "JSONCompactEachRow", self._parameters).data
            except EngineError:
                pass
            else:
                return [(name, kind) for name, kind, *_ in map(json.loads, rows.splitlines())]
        again = self._session.run(self._statement.text, "JSONCompact", self._parameters).data
        return [(column["name"], column["type"]) for column in json.loads(again)["meta"]] if again else []
