"""The engine in this process, and a session of it for each request.

A session is a chDB connection: opening one costs 0.15 ms, so each request gets its own, prepared with its
database and settings, and nothing a statement does can leak into the next request. Sessions run side by
side; within one, calls queue. A reader's session refuses writes and whatever reaches outside the engine's
own tables, and has caps of its own. Every refusal of the engine comes out as an EngineError.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from chdb import _chdb as _untyped_chdb

from infra.local.engine_errors import (
    BAD_ARGUMENTS,
    NOT_ENOUGH_SPACE,
    SYNTAX_ERROR,
    UNKNOWN_DATABASE,
    EngineError,
)
from infra.local.engine_reader import Bounds
from infra.local.engine_statement import SELECTS, InsertHead

_chdb: Any = _untyped_chdb

HOME = "motcua"
_DATABASE = re.compile(r"[\w.-]+")
_MOST_IN_MEMORY = 8 * 1024 * 1024
_READER_TIME_S = 60
_READER_THREADS = 2
# What makes a writer's statement worth a second parse.
_SUSPECT = re.compile(r";|\bdefault\b|\bOUTFILE\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Caps:
    """Memory in bytes: of the whole engine, of one writer's statement, of one reader's query."""

    server: int
    query: int
    reader: int


@dataclass(frozen=True, slots=True)
class Result:
    """A whole result and what it cost."""

    data: bytes
    rows: int
    rows_read: int
    bytes_read: int


class Engine:
    """The one engine of this process, on one data directory."""

    def __init__(self, directory: Path, caps: Caps) -> None:
        # Its handlers would take SIGTERM and crash signals away from this process.
        _chdb.set_signal_handlers_enabled(0)
        backups = directory / "backups"
        backups.mkdir(parents=True, exist_ok=True)
        self._caps = caps
        self._address = (
            f"{directory}?max_server_memory_usage={caps.server}&backups.allowed_path={backups}"
            f"&mark_cache_size={caps.server // 8}"
        )
        # The engine lives as long as one connection is open.
        self._directory = directory
        self._keeper = Session(_connect(self._address), directory)
        self._close_default()
        self._keeper.run(f"CREATE DATABASE IF NOT EXISTS {HOME} ENGINE = Atomic", "Null")
        self.version = self._keeper.run("SELECT version()", "TSV").data.decode().strip()
        names = self._keeper.run("SELECT name FROM system.table_functions", "TSV").data.decode().split()
        self._bounds = Bounds.around(names)

    def _close_default(self) -> None:
        """At each start chDB's own `default` reads any file by its name; without a `default` no connection
        opens. The Dictionary engine holds no tables, so it stays empty and is closed again next time."""
        tables = self._keeper.run("SELECT count() FROM system.tables WHERE database = 'default'", "TSV").data
        if int(tables):
            raise EngineError.refused(
                BAD_ARGUMENTS, "BAD_ARGUMENTS", "the database `default` of this data directory holds tables"
            )
        self._keeper.run("DROP DATABASE default", "Null")
        self._keeper.run("CREATE DATABASE default ENGINE = Dictionary", "Null")

    def session(self, *, database: str, settings: Mapping[str, str], reader: bool) -> Session:
        """A session for one request. Settings are the client's; a reader's cannot raise its caps."""
        name = database or HOME
        if not _DATABASE.fullmatch(name):
            raise EngineError.refused(
                UNKNOWN_DATABASE, "UNKNOWN_DATABASE", f"Database {name} does not exist."
            )
        cap = self._caps.reader if reader else self._caps.query
        address = f"{self._address}&database={name}&max_memory_usage={cap}"
        if reader:
            address += f"&max_execution_time={_READER_TIME_S}&max_threads={_READER_THREADS}"
        session = Session(_connect(address), self._directory, self._bounds if reader else None)
        try:
            wanted = {k: v for k, v in settings.items() if not (reader and _raises_a_cap(k, v))}
            if reader:
                wanted["readonly"] = "1"
            if wanted:
                session.run("SET " + ", ".join(f"{k} = {_quoted(v)}" for k, v in wanted.items()), "Null")
        except EngineError:
            session.close()
            raise
        return session

    def close(self) -> None:
        self._keeper.close()


class Session:
    """One connection. Calls may come from any thread; they queue."""

    def __init__(self, connection: Any, spool: Path, bounds: Bounds | None = None) -> None:
        """`spool`: where the data of an insert are kept until they are complete."""
        self._connection = connection
        self._spool = spool
        self._bounds = bounds
        self._turn = threading.Lock()
        self._open: Any = None  # the streamed result under way
        self._body: IO[bytes] | None = None
        self._closed = False

    def check(self, sql: str, verb: str) -> None:
        """Refuse what a server refuses over HTTP, and what a reader may not ask."""
        if self._bounds is None and not _SUSPECT.search(sql):
            return
        report = self._connection.classify_query(sql, "default")
        if report["statement_count"] > 1:
            raise EngineError.refused(
                SYNTAX_ERROR, "SYNTAX_ERROR", "Multi-statements are not allowed: send them one by one."
            )
        if report["changes_database_lifecycle"] and report["writes_only_target_database"]:
            raise EngineError.refused(
                BAD_ARGUMENTS, "BAD_ARGUMENTS", "Database default stays as it is: use one of your own."
            )
        kind = report["query_class"].name
        if kind == "CONTROL" and verb in SELECTS:
            raise EngineError.refused(BAD_ARGUMENTS, "BAD_ARGUMENTS", "INTO OUTFILE is not allowed.")
        if self._bounds is not None:
            if kind == "UNKNOWN":
                # It does not parse: this says why, in the engine's words, and runs nothing of it.
                self.run("SELECT formatQuery({sql:String})", "Null", {"sql": _escaped(sql)})
            self._bounds.check(sql, kind)

    def run(self, sql: str, fmt: str, parameters: Mapping[str, str] | None = None) -> Result:
        with self._turn:
            try:
                result = self._connection.query(sql, fmt, params=dict(parameters or {}))
            except RuntimeError as error:
                raise EngineError.from_engine(error) from None
            return Result(
                bytes(result.bytes()),
                result.rows_read(),
                result.storage_rows_read(),
                result.storage_bytes_read(),
            )

    def start(self, sql: str, fmt: str, parameters: Mapping[str, str]) -> None:
        """Begin a streamed SELECT; `fetch` brings its pieces."""
        with self._turn:
            try:
                self._open = self._connection.send_query(sql, fmt, params=dict(parameters))
            except RuntimeError as error:
                raise EngineError.from_engine(error) from None

    def fetch(self) -> bytes | None:
        """The next piece of the streamed result, None after the last."""
        with self._turn:
            if self._closed or self._open is None:
                return None
            try:
                piece = self._connection.streaming_fetch_result(self._open)
            except RuntimeError as error:
                self._open = None
                raise EngineError.from_engine(error) from None
            if piece is None or piece.rows_read() == 0:
                self._open = None
                return None
            return bytes(piece.bytes())

    def append(self, data: bytes) -> None:
        """A piece of the data of an insert, kept until all of it is there."""
        with self._turn:
            try:
                self._body = _spooled(self._body, len(data), self._spool)
                self._body.write(data)
            except OSError as error:
                raise _no_room(error) from None

    def insert(self, head: InsertHead) -> tuple[int, int]:
        """Insert what was appended; rows and bytes written.

        From a file, not by the engine's streamed insert: that one reports success where a constraint or too
        many parts refused the rows. The file has no name, so that none outlives this process.
        """
        self.append(b"")
        with self._turn:
            body, self._body = self._body, None
            if body is None:
                raise AssertionError
            with body:
                try:
                    body.flush()
                    body.seek(0)
                except OSError as error:
                    raise _no_room(error) from None
                try:
                    done = self._connection.query(head.from_file(f"/dev/fd/{body.fileno()}"), "Null")
                except RuntimeError as error:
                    raise EngineError.from_engine(error) from None
            return done.rows_written(), done.bytes_written()

    def close(self) -> None:
        """Give the connection back; a result under way, or an insert not yet made, is given up."""
        with self._turn:
            if not self._closed:
                self._closed = True
                self._open = None
                if self._body is not None:
                    self._body.close()
                self._connection.close()


def _raises_a_cap(name: str, value: str) -> bool:
    """Whether a setting could give a reader more memory, time or threads than it has; 0 is without end."""
    most = {"max_execution_time": _READER_TIME_S, "max_threads": _READER_THREADS}.get(name)
    if most is None:
        return any(word in name for word in ("memory", "execution_time", "max_threads"))
    return not (value.isascii() and value.isdigit() and 0 < int(value) <= most)


def _spooled(held: IO[bytes] | None, more: int, directory: Path) -> IO[bytes]:
    """Where the data of an insert are kept: in memory while they are few, for making a file takes longer."""
    size = held.tell() if held is not None else 0
    if held is None and hasattr(os, "memfd_create"):
        held = os.fdopen(os.memfd_create("insert"), "w+b")
    if held is None or size <= _MOST_IN_MEMORY < size + more:
        kept = TemporaryFile(dir=directory)  # noqa: SIM115  # closed with the session
        if held is not None:
            with held:
                held.seek(0)
                shutil.copyfileobj(held, kept)
        held = kept
    return held


def _no_room(error: OSError) -> EngineError:
    why = f"Cannot keep the data of an insert: {error.strerror}."
    return EngineError.refused(NOT_ENOUGH_SPACE, "NOT_ENOUGH_SPACE", why)


def _connect(address: str) -> Any:
    try:
        return _chdb.connect(address)
    except RuntimeError as error:
        raise EngineError.from_engine(error) from None


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _escaped(value: str) -> str:
    """As query parameters travel."""
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
