"""A backup as one file: a tar of Parquet members, one for each table and partition, closed by a manifest.

It says nothing about where rows come from or go to. A file is written under another name and takes its own
when it is complete, on disk and verified; an unfinished one is never found under that name. Opening reads
every byte of it before anything is handed out: a file that was cut short, damaged or made by something else
is `Damaged`, with what is wrong. Memory is bounded by one page of rows, whatever the size of the file.

Members are plain Parquet (zstd), so that a backup can be read without this program: `tar -xf FILE`.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_SEAL: Final = "manifest.sha256"
_PIECE: Final = 1 << 20


class Damaged(Exception):
    """The file is no complete backup. The message says what is wrong with it."""


class Applied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A migration that the rows were stored under."""

    number: int
    name: str
    checksum: str


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows of one partition of a table."""

    name: str
    table: str
    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup holds. `made_at` in seconds since 1970 UTC; `rows` by table, empty ones included.

    `generation` 0: no topic was registered. `register` is one checksum over the members of the register.
    """

    format: int
    made_at: int
    database: str
    engine: str
    generation: int
    register: str
    schema: tuple[Applied, ...]
    rows: dict[str, int]
    members: tuple[Member, ...]

    @property
    def total(self) -> int:
        return sum(self.rows.values())


class Writer:
    """A backup being written: members one after the other, then the manifest."""

    def __init__(self, archive: tarfile.TarFile, folder: Path) -> None:
        self._archive = archive
        self._folder = folder
        self.members: list[Member] = []

    @contextmanager
    def member(self, table: str, partition: str) -> Iterator[Callable[["pa.Table"], None]]:
        """Takes the pages of one partition; one without rows leaves nothing behind."""
        import pyarrow.parquet as pq

        # A tar entry begins with its size, which is known only afterwards.
        with TemporaryFile(dir=self._folder) as scratch:
            writer: pq.ParquetWriter | None = None
            rows = 0

            def add(page: "pa.Table") -> None:
                nonlocal writer, rows
                if writer is None:
                    writer = pq.ParquetWriter(scratch, page.schema, compression="zstd")
                writer.write_table(page)
                rows += page.num_rows

            yield add
            if writer is None:
                return
            writer.close()
            self._add(f"{table}/{partition}.parquet", scratch)
            self.members.append(
                Member(f"{table}/{partition}.parquet", table, rows, scratch.tell(), _digest(scratch))
            )

    def close(self, manifest: Manifest) -> None:
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
        self._add(_MANIFEST, io.BytesIO(text))
        self._add(_SEAL, io.BytesIO(_seal(text)))

    def _add(self, name: str, content: IO[bytes]) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = content.seek(0, os.SEEK_END)
        entry.mode = 0o600
        content.seek(0)
        self._archive.addfile(entry, content)


@contextmanager
def written(path: Path) -> Iterator[Writer]:
    """Writes a backup beside its final name, which it gets once it reads back. Raises OSError, Damaged."""
    partial = path.with_name(f"{path.name}.partial")
    file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(file, "w+b") as content:
            with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
                yield Writer(archive, path.parent)
            content.flush()
            os.fsync(content.fileno())
        with opened(partial):
            pass
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)


class Archive:
    """A backup that was read and verified."""

    def __init__(self, manifest: Manifest, content: Any, places: dict[str, tuple[int, int]]) -> None:
        self.manifest = manifest
        self._content = content
        self._places = places

    def pages(self, member: Member) -> Iterator["pa.Table"]:
        """The rows of a member, a page at a time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        start, size = self._places[member.name]
        parquet = pq.ParquetFile(pa.BufferReader(self._content.slice(start, size)))
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Opens a backup once every byte of it is verified. Raises Damaged, and OSError as files do."""
    import pyarrow as pa

    places = _places(path)
    with pa.memory_map(str(path)) as mapped:
        content = mapped.read_buffer()
        manifest = _manifest(content, places)
        archive = Archive(manifest, content, places)
        for member in manifest.members:
            _verify(archive, member, content, places)
        for table, rows in manifest.rows.items():
            if rows != sum(member.rows for member in manifest.members if member.table == table):
                raise Damaged(f"the members of table {table} do not add up to its {rows:,} rows")
        yield archive


def _places(path: Path) -> dict[str, tuple[int, int]]:
    """Where each entry's content begins, and its size. Nothing is unpacked, so names cannot lead astray."""
    try:
        with tarfile.open(path, "r:") as archive:
            places = {entry.name: (entry.offset_data, entry.size) for entry in archive if entry.isreg()}
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise Damaged(f"it is no backup, or cut short: {error}") from error
    end = path.stat().st_size
    if any(start + size > end for start, size in places.values()):
        raise Damaged("it is cut short")
    return places


def _manifest(content: Any, places: dict[str, tuple[int, int]]) -> Manifest:
    if not {_MANIFEST, _SEAL} <= places.keys():
        raise Damaged("it is no backup, or cut short: it has no manifest")
    text = content.slice(*places[_MANIFEST]).to_pybytes()
    seal = content.slice(*places[_SEAL]).to_pybytes()
    if seal != _seal(text):
        raise Damaged("its manifest is not what was written")
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version != FORMAT:
            raise Damaged(f"it is of format {version}, and this program reads format {FORMAT}")
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Damaged(f"its manifest cannot be read: {error}") from error
    if places.keys() != {_MANIFEST, _SEAL, *(member.name for member in manifest.members)}:
        raise Damaged("it does not hold what its manifest lists")
    return manifest


class _Version(msgspec.Struct):
    format: int


def _verify(archive: Archive, member: Member, content: Any, places: dict[str, tuple[int, int]]) -> None:
    import pyarrow as pa

    start, size = places[member.name]
    digest = hashlib.sha256()
    for at in range(start, start + size, _PIECE):
        digest.update(content.slice(at, min(_PIECE, start + size - at)))
    if size != member.bytes or digest.hexdigest() != member.sha256:
        raise Damaged(f"{member.name} is not what was written")
    try:
        rows = sum(page.num_rows for page in archive.pages(member))
    except (pa.ArrowException, ValueError, OSError) as error:
        raise Damaged(f"{member.name} cannot be read: {error}") from error
    if rows != member.rows:
        raise Damaged(f"{member.name} holds {rows:,} rows, not {member.rows:,}")


def _seal(manifest: bytes) -> bytes:
    """As `sha256sum --check` reads it."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {_MANIFEST}\n".encode()


def _digest(content: IO[bytes]) -> str:
    content.seek(0)
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]  # any binary file
