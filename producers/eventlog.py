"""Event logs: portal calls with the time each was received, one a line, in files of four kinds.

    {"received_at":"2026-01-05T09:30:00+07:00","call":{…}}

NDJSON, plain or as `.gz` or `.zst`, and `.parquet` with two columns of strings, `received_at` and `call`
(the call's JSON). The suffix decides.

Promises: memory is bounded, whatever a file's size; a bad line is told with its number and why, and never
costs its neighbours or shows what it held; a reading can start at any `Position` of an earlier one; a log is
written whole or not at all.

Refuses: a file that cannot be read to its end (`Unreadable`), after the lines before the damage.
"""

import gzip
import io
import os
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import msgspec
import zstandard
from msgspec import Raw, Struct

from rates.declared import encode, members
from rates.failures import Fatal
from rates.wire import strict

MAX_LINE: Final = 64 * 1024 * 1024


class Line(Struct, frozen=True, gc=False):
    """A good line. `call` is strict JSON of any kind; `received_at_ms` is in whole seconds."""

    path: Path
    number: int
    received_at_ms: int
    call: bytes


class BadLine(Struct, frozen=True, gc=False):
    path: Path
    number: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number}: {self.why}"


class Position(Struct, frozen=True, gc=False):
    """How far a reading has come: `line` lines of the file of index `file` are done."""

    file: int = 0
    line: int = 0


BEGINNING: Final = Position()


class Unreadable(Fatal):
    """A file that cannot be read, or not to its end. `line` is the number of the last line that was read."""

    def __init__(self, path: Path, line: int, detail: str) -> None:
        reached = f"cannot be read after line {line}" if line else "cannot be read"
        super().__init__(
            f"{path} {reached}: {detail}. Next: put a whole file there, then motcua publish {path}"
        )
        self.path = path
        self.line = line


# What one line holds: when it was received and its call, or why it is bad.
_Read: TypeAlias = tuple[int, bytes] | str


class Reading:
    """Iterates over the lines of files, in order; says meanwhile how far it is.

    `bytes_total` and `bytes_read` count the files as they are stored (compressed).
    """

    def __init__(self, paths: Sequence[Path], start: Position = BEGINNING) -> None:
        self.paths = tuple(paths)
        self.position = start
        self._sizes = [_size(path) for path in self.paths]
        self._within: Callable[[], int] = int

    @property
    def bytes_total(self) -> int:
        return sum(self._sizes)

    @property
    def bytes_read(self) -> int:
        return sum(self._sizes[: self.position.file]) + self._within()

    def __iter__(self) -> Generator[Line | BadLine, None, None]:
        first = self.position
        for file in range(first.file, len(self.paths)):
            path = self.paths[file]
            number = first.line if file == first.file else 0
            lines_of = _parquet if path.suffix == ".parquet" else _ndjson
            try:
                for found in lines_of(path, number, self._follow):
                    number += 1
                    self.position = Position(file, number)
                    if isinstance(found, str):
                        yield BadLine(path, number, found)
                    else:
                        yield Line(path, number, *found)
            except (OSError, EOFError, zlib.error) as error:
                raise Unreadable(path, number, str(error)) from error
            finally:
                self._within = int
            self.position = Position(file + 1)

    def _follow(self, within: Callable[[], int]) -> None:
        self._within = within


def read(paths: Iterable[Path | str], start: Position = BEGINNING) -> Reading:
    """Reads logs, one after the other. Raises Unreadable at once where one of them is not there."""
    return Reading([Path(path) for path in paths], start)


def write(path: Path | str, entries: Iterable[tuple[str, object]]) -> int:
    """Writes (received_at, call) as a log, of the kind that the suffix names; returns the number of lines.

    The same entries give the same bytes. Where something fails on the way, nothing is left of it and an
    older file stays.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        count = (
            _write_parquet(unfinished, entries)
            if path.suffix == ".parquet"
            else _write_ndjson(unfinished, entries, path.suffix)
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _size(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise Unreadable(path, 0, error.strerror or str(error)) from error


class _Entry(Struct, gc=False):
    received_at: str
    call: Raw


_as_entry = msgspec.json.Decoder(_Entry)
_as_json = msgspec.json.Decoder(Raw)
_as_text = msgspec.json.Decoder(str)


def _entry(line: bytes) -> _Read:
    if not strict(line):
        return "not UTF-8, or the escape of half a surrogate pair"
    try:
        try:
            entry = _as_entry.decode(line)
        except msgspec.ValidationError:
            # Also for a name that is there twice: the last counts, whatever the first one is.
            found = members(line.strip())
            if found is None:
                return "not a JSON object"
            if "call" not in found:
                return "no call"
            received_at = bytes(found.get("received_at", b""))
            if received_at[:1] != b'"':
                return "no received_at"
            entry = _Entry(_as_text.decode(received_at), found["call"])
    except RecursionError:
        return "nested too deeply"
    except msgspec.DecodeError as error:
        return f"not JSON: {error}" if line.strip() else "empty"
    return _read(entry.received_at, bytes(entry.call))


def _read(received_at: str, call: bytes) -> _Read:
    try:
        moment = datetime.fromisoformat(received_at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return "received_at is not a date, a time and an offset from UTC"
    return int(moment.replace(microsecond=0).timestamp()) * 1000, call


def _ndjson(path: Path, skipped: int, follow: Callable[[Callable[[], int]], None]) -> Iterator[_Read]:
    with path.open("rb") as stored, _decompressed(path, stored) as lines:
        follow(stored.tell)
        if lines is not stored and not path.stat().st_size:
            raise EOFError("it is empty")
        number = 0
        while line := lines.readline(MAX_LINE):
            number += 1
            whole = line
            while len(line) == MAX_LINE and line[-1:] != b"\n":
                line = lines.readline(MAX_LINE)
            if number > skipped:
                yield _entry(whole) if line is whole else f"longer than {MAX_LINE >> 20} MiB"


def _decompressed(path: Path, stored: IO[bytes]) -> IO[bytes]:
    match path.suffix:
        case ".gz":
            return io.BufferedReader(gzip.GzipFile(fileobj=stored, mode="rb"), 1 << 18)
        case ".zst":
            # Not zstandard's reader: that one takes a file cut off in the middle for a whole one.
            import pyarrow

            return io.BufferedReader(pyarrow.CompressedInputStream(stored, "zstd"), 1 << 18)
        case _:
            return stored


def _parquet(path: Path, skipped: int, follow: Callable[[Callable[[], int]], None]) -> Iterator[_Read]:
    # Here and not above: the import costs every command a quarter of a second, and few logs are Parquet.
    import pyarrow
    from pyarrow import parquet

    size = path.stat().st_size
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            for name in _COLUMNS:
                _check_text(file.schema_arrow, name)
            rows = file.metadata.num_rows
            number = 0
            follow(lambda: size * number // max(rows, 1))
            group = 0
            while group < file.num_row_groups and number + file.metadata.row_group(group).num_rows <= skipped:
                number += file.metadata.row_group(group).num_rows
                group += 1
            groups = range(group, file.num_row_groups)
            for batch in file.iter_batches(_ROWS, row_groups=groups, columns=_COLUMNS):
                # As bytes: Arrow does not promise that its strings are UTF-8.
                columns = [batch.column(name).cast(pyarrow.large_binary()).to_pylist() for name in _COLUMNS]
                for received_at, call in zip(*columns, strict=True):
                    number += 1
                    if number > skipped:
                        yield _row(received_at, call)
    except pyarrow.ArrowException as error:
        raise OSError(str(error)) from error


_COLUMNS: Final = ["received_at", "call"]
_ROWS: Final = 64


def _check_text(schema: Any, name: str) -> None:
    import pyarrow

    if name not in schema.names:
        raise OSError(f"it has no column {name}")
    kind = schema.field(name).type
    if kind not in (pyarrow.string(), pyarrow.large_string(), pyarrow.binary(), pyarrow.large_binary()):
        raise OSError(f"its column {name} holds {kind}, not strings")


def _row(received_at: bytes | None, call: bytes | None) -> _Read:
    if call is None:
        return "no call"
    if received_at is None:
        return "no received_at"
    if not strict(received_at) or not strict(call):
        return "not UTF-8, or the escape of half a surrogate pair"
    try:
        found = bytes(_as_json.decode(call))
    except RecursionError:
        return "nested too deeply"
    except msgspec.DecodeError as error:
        return f"the call is not JSON: {error}"
    return _read(received_at.decode(), found)


def _write_ndjson(unfinished: Path, entries: Iterable[tuple[str, object]], suffix: str) -> int:
    count = 0
    with unfinished.open("wb") as stored, _compressed(suffix, stored) as lines:
        for received_at, call in entries:
            lines.write(encode({"received_at": received_at, "call": call}) + b"\n")
            count += 1
    return count


def _compressed(suffix: str, stored: IO[bytes]) -> IO[bytes]:
    match suffix:
        case ".gz":
            # Without a name and a time, which would differ from one writing to the next.
            return gzip.GzipFile("", "wb", 5, stored, mtime=0)  # type: ignore[return-value]
        case ".zst":
            return zstandard.ZstdCompressor().stream_writer(stored)
        case _:
            return stored


def _write_parquet(unfinished: Path, entries: Iterable[tuple[str, object]]) -> int:
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(name, pyarrow.string()) for name in _COLUMNS])
    count = 0
    with parquet.ParquetWriter(unfinished, schema, compression="zstd") as file:
        for group in _groups(entries):
            file.write_table(pyarrow.table(list(zip(*group, strict=True)), schema=schema))
            count += len(group)
    return count


def _groups(entries: Iterable[tuple[str, object]]) -> Iterator[list[tuple[str, bytes]]]:
    """Row groups of a bounded size: a reader decodes at least a page of one, a writer holds all of one."""
    group: list[tuple[str, bytes]] = []
    size = 0
    for received_at, call in entries:
        group.append((received_at, encode(call)))
        size += len(group[-1][1])
        if size >= _GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


_GROUP: Final = 16 * 1024 * 1024
