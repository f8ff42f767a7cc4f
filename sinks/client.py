"""The one place that connects to ClickHouse, and the one where its errors get their names.

Every error of the driver leaves here as `Retry` (the database is away, or refuses for now) or `Fatal` (the
statement, the schema or the rights are wrong, so trying again cannot help), by the table in `rates.failures`.
"""

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp
import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError, Error, ProgrammingError

from rates import wire
from rates.effects import Texts
from rates.failures import CLICKHOUSE, Fatal, Retry

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


def failure(error: Exception) -> Retry | Fatal:
    """The failure that a driver's error means."""
    code = error.code if isinstance(error, Error) else None
    text = str(error).strip().split("\n", 1)[0][:500]
    if isinstance(error, DataError | ProgrammingError):
        return Fatal(f"the ClickHouse client refuses: {text}. Next: report it, with this line")
    status = _STATUS.search(str(error)) if code is None else None
    if status and status[1].startswith("4") and status[1] not in ("408", "425", "429"):
        return Fatal(f"ClickHouse's HTTP door refuses: {text}. Next: motcua config")
    if code is None:
        # Without a code the answer never came: a connection refused, cut or timed out.
        return Retry("clickhouse", text or type(error).__name__)
    if code == 252 and "partitions for single INSERT" in str(error):
        return Fatal(f"one insert touches too many partitions: {text}. Next: report it, with this line")
    kind, meaning = CLICKHOUSE.get(code, (Fatal, "refused"))
    if issubclass(kind, Retry):
        return Retry("clickhouse", f"{meaning} ({code}): {text}")
    return kind(f"ClickHouse refuses, code {code} ({meaning}): {text}. Next: motcua doctor")


class Database:
    """A ClickHouse database: statements, Arrow in and out. Raises `Retry` and `Fatal`, nothing else."""

    def __init__(self, client: AsyncClient, name: str) -> None:
        self._client = client
        self.name = name

    async def run(self, statement: str) -> None:
        """A statement without an answer."""
        async with _translated():
            await self._client.command(statement)

    async def insert(self, table: str, columns: Mapping[str, "pa.Array"]) -> None:
        """Rows by column, as one insert."""
        import pyarrow as pa  # a third of a second that commands which only read need not wait

        rows = pa.table(dict(columns))

        def encoded() -> memoryview:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_file(sink, rows.schema) as stream:
                stream.write_table(rows)
            return memoryview(sink.getvalue())

        few = rows.nbytes < _FEW_BYTES
        data = encoded() if few else await asyncio.to_thread(encoded)

        async def once() -> AsyncIterator[memoryview]:
            yield data

        async with _translated():
            # As the client's own insert_arrow, which copies the data three times.
            await self._client.raw_insert(
                f"{self.name}.{table}",
                rows.schema.names,
                data.tobytes() if few else once(),  # type: ignore[arg-type]  # any bytes will do
                settings=_DURABLE,
                fmt="Arrow",
                transport_settings=None if few else {"Content-Length": str(data.nbytes)},
            )

    async def arrow(self, query: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        async with _translated():
            return await self._client.query_arrow(
                query, parameters=_named(query, parameters), settings=_BIG, use_strings=True
            )

    async def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """The answer as dictionaries, by column name."""
        async with _translated():
            result = await self._client.query(query, parameters=_named(query, parameters), settings=_BIG)
            return list(result.named_results())

    async def value(self, query: str, parameters: Mapping[str, object] | None = None) -> Any:
        """The first value of the answer, or None."""
        found = await self.rows(query, parameters)
        return next(iter(found[0].values())) if found else None

    async def create(self) -> None:
        """Make the database itself, if it is not there."""
        async with _translated():
            await self._client.command(f"CREATE DATABASE IF NOT EXISTS {self.name}", use_database=False)

    async def exists(self) -> bool:
        async with _translated():
            found = await self._client.command(f"EXISTS DATABASE {self.name}", use_database=False)
        return str(found) == "1"


_DURABLE: Final = {
    "async_insert": 0,
    "max_partitions_per_insert_block": 0,
    "optimize_on_insert": 0,
}
"""An insert that has returned is durable, and may touch every year, whatever the server's profile says.

Its rows have different keys, so that the engine need not look for equal ones.
"""
_FEW_BYTES: Final = 64 * 1024
"""To copy so few takes less long than not to."""
_SMALL: Final = 8192
"""To ask Arrow costs as much as so many bytes do."""
_STATUS: Final = re.compile(r"HTTP status ([0-9]{3})")

_BIG: Final = {"max_query_size": 64 * 1024 * 1024}
"""A micro-batch names the cohorts it misses in the text of its query."""


@asynccontextmanager
async def connect(
    url: str, database: str, *, user: str = "", password: str = "", settings: Mapping[str, Any] | None = None
) -> AsyncIterator[Database]:
    """A database by the URL of its HTTP interface. The database itself need not exist yet."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"{url!r} is no ClickHouse address; it looks like http://127.0.0.1:8123. Next: motcua config"
        raise Fatal(msg)
    async with _translated():
        client = await clickhouse_connect.get_async_client(
            host=parts.hostname,
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            interface=parts.scheme,
            username=user or None,
            password=password,
            compress=False,  # on loopback compression only costs
            autogenerate_session_id=False,
            connect_timeout=5,
            send_receive_timeout=120,
            query_retries=0,  # whether to try again is decided above, where nothing can be lost
            settings=dict(settings or {}),
        )
    client.database = database
    try:
        yield Database(client, database)
    finally:
        await client.close()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (ClickHouseError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise failure(error) from error


def _named(query: str, parameters: Mapping[str, object] | None) -> dict[str, object]:
    """The parameters that a query names. Given others, the driver would read its percent signs as formats."""
    return {name: value for name, value in (parameters or {}).items() if f"{{{name}:" in query}


# Arrays are made and read by their buffers: pyarrow's own ways ask pandas, which takes two seconds to import.


def strings(values: Sequence[str]) -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    if isinstance(values, Texts):
        ends = np.ascontiguousarray(values.ends, np.int64)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(values.data)]
        return pa.Array.from_buffers(pa.large_string(), len(values), buffers)
    texts = list(values)
    together = "".join(texts).encode()
    sizes = list(map(len, texts))
    if len(together) != sum(sizes):
        sizes = [len(text.encode()) for text in texts]
    ends = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(together)]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)


def texts(column: "pa.ChunkedArray") -> Texts:
    """A column of texts."""
    import numpy as np
    import pyarrow as pa

    if not len(column):
        return Texts(b"", np.zeros(1, np.int64))
    one = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in column.chunks])
    _, ends, data = one.buffers()
    return Texts(data, np.frombuffer(ends, np.int64)[one.offset : one.offset + len(one) + 1])


def uints(values: "Sequence[int] | NDArray[Any]", bits: int) -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    kinds = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
    packed = np.ascontiguousarray(values, f"u{bits // 8}")
    return pa.Array.from_buffers(kinds[bits], len(packed), [None, pa.py_buffer(packed)])


def floats(values: "Sequence[float | None]") -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    packed = np.array([0.0 if value is None else value for value in values], np.float64)
    there = np.packbits(np.array([value is not None for value in values], bool), bitorder="little")
    return pa.Array.from_buffers(pa.float64(), len(packed), [pa.py_buffer(there), pa.py_buffer(packed)])


def one_map(keys: "pa.Array", items: "pa.Array") -> "pa.Array":
    """A column of one row, which is a map."""
    import numpy as np
    import pyarrow as pa

    ends = pa.py_buffer(np.array([0, len(keys)], np.int32))
    return pa.MapArray.from_arrays(pa.Array.from_buffers(pa.int32(), 2, [None, ends]), keys, items)


def ints(column: "pa.ChunkedArray") -> "NDArray[Any]":
    """A column of numbers."""
    import numpy as np

    chunks = [
        np.frombuffer(chunk.buffers()[1], chunk.type.to_pandas_dtype())[
            chunk.offset : chunk.offset + len(chunk)
        ]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int64)


def is_utf8(value: bytes) -> bool:
    """Whether bytes are UTF-8: as `rates.wire.is_utf8`, several times as fast for a call of many records."""
    if len(value) < _SMALL:
        return wire.is_utf8(value)
    import pyarrow as pa

    ends = pa.py_buffer(struct.pack("=ii", 0, len(value)))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(value)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def millis(values: Sequence[int]) -> "pa.Array":
    """Instants in milliseconds since 1970 UTC."""
    import numpy as np
    import pyarrow as pa

    packed = np.array(values, np.int64)
    return pa.Array.from_buffers(pa.timestamp("ms", "UTC"), len(packed), [None, pa.py_buffer(packed)])
