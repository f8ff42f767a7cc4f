"""One readable stream of what all parts say: a line each, behind the part's name, on the terminal and in a
file.

Coloured on a terminal alone (and not with NO_COLOR). Control characters are shown, not obeyed: a part may
quote bytes that somebody sent it. The file is set aside as `stack.log.1` when it is large, so that it never
fills a disk.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

_LARGE = 16 * 1024 * 1024
_LONGEST_LINE = 16 * 1024
_COLOURS = (36, 33, 35, 32, 34, 31)
_SHOWN = {code: chr(0x2400 + code) for code in range(32) if code != 9} | {127: "\u2421"}


class Journal:
    def __init__(
        self,
        path: Path,
        out: TextIO,
        names: Sequence[str],
        *,
        stamp: Callable[[], str] | None = None,
    ) -> None:
        """`stamp` gives the time as it shall stand before every line."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _opened(path)
        # Detached, the process's own output is this very file: a line shall not stand there twice.
        self._out = None if _same_file(self._file, out) else out
        self._width = max(len(name) for name in ("motcua", *names))
        self._stamp = stamp
        colourful = out.isatty() and not os.environ.get("NO_COLOR")
        self._colours = {
            name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names) if colourful
        }

    def write(self, name: str, line: str) -> None:
        text = line[:_LONGEST_LINE].translate(_SHOWN)
        time = f"{self._stamp()} " if self._stamp else ""
        prefix = f"{time}{name:<{self._width}} │ "
        self._file.write(f"{prefix}{text}\n")
        self._file.flush()
        if self._file.tell() > _LARGE:
            self._file.close()
            self._file = _opened(self._path)
        if self._out is None:
            return
        colour = self._colours.get(name)
        shown = f"\x1b[{colour}m{prefix}\x1b[0m{text}\n" if colour else f"{prefix}{text}\n"
        try:
            self._out.write(shown)
            self._out.flush()
        except OSError:
            # The terminal is gone; the file goes on.
            self._out = None

    def close(self) -> None:
        self._file.close()


def last_lines(path: Path, count: int, after: int = 0) -> list[str]:
    """The end of a log, at most what stands behind `after` bytes: for a message about why something ended."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            end = file.tell()
            # A log that was set aside meanwhile is shorter than it was, and all of it is new.
            file.seek(max(after if after <= end else 0, end - 64 * 1024))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


def _opened(path: Path) -> TextIO:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LARGE:
            path.replace(path.with_name(path.name + ".1"))
    return path.open("a", encoding="utf-8", errors="replace")


def _same_file(one: TextIO, other: TextIO) -> bool:
    try:
        return os.path.sameopenfile(one.fileno(), other.fileno())
    except (OSError, ValueError):
        # A stream in memory has no file.
        return False
