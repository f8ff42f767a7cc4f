"""A request's body, unpacked as it arrives: nothing is held but what one piece brings.

Clients compress block by block, so a body holds several frames, one after the other.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Protocol

import lz4.frame  # type: ignore[import-untyped]
import zstandard

from infra.local.engine_errors import EngineError

PIECE = 1 << 20
_BROKEN = "CANNOT_DECOMPRESS"


class _Unpacker(Protocol):
    def unpack(self, data: bytes) -> bytes: ...


class _Zlib:
    def __init__(self, window: int) -> None:
        self._frame = zlib.decompressobj(window)
        self._window = window

    def unpack(self, data: bytes) -> bytes:
        out = b""
        while data:
            if self._frame.eof:
                self._frame = zlib.decompressobj(self._window)
            out += self._frame.decompress(data)
            data = self._frame.unused_data
        return out


class _Lz4:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameDecompressor()

    def unpack(self, data: bytes) -> bytes:
        out = b""
        while data:
            if self._frame.eof:
                self._frame = lz4.frame.LZ4FrameDecompressor()
            out += self._frame.decompress(data)
            data = self._frame.unused_data or b""
        return out


class _Zstd:
    def __init__(self) -> None:
        self._frames = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)

    def unpack(self, data: bytes) -> bytes:
        return self._frames.decompress(data)


class _Plain:
    def unpack(self, data: bytes) -> bytes:
        return data


def _unpacker(encoding: str) -> _Unpacker:
    match encoding.strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return _Zlib(16 + zlib.MAX_WBITS)
        case "deflate":
            return _Zlib(zlib.MAX_WBITS)
        case "lz4":
            return _Lz4()
        case "zstd":
            return _Zstd()
        case _:
            raise EngineError.refused(48, "NOT_IMPLEMENTED", f"Content-Encoding {encoding} is not served.")


async def unpacked(body: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The body in pieces of about a mebibyte (before unpacking)."""
    unpacker = _unpacker(encoding)
    held: list[bytes] = []
    size = 0
    try:
        async for data in body:
            held.append(data)
            size += len(data)
            if size >= PIECE:
                yield unpacker.unpack(b"".join(held))
                held, size = [], 0
        if held:
            yield unpacker.unpack(b"".join(held))
    except (zlib.error, RuntimeError, zstandard.ZstdError) as error:
        raise EngineError.refused(271, _BROKEN, f"The body is not valid {encoding}: {error}.") from None
