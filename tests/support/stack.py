"""The embedded stack as its users start it: by the commands, in a data directory of the test's own."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Stack:
    """A data directory, and `motcua` run against it."""

    def __init__(self, data_dir: Path, environment: dict[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MOTCUA_")},
            **{name: os.environ[name] for name in ("MOTCUA_CACHE_DIR",) if name in os.environ},
            "MOTCUA_DATA_DIR": str(data_dir),
            **(environment or {}),
        }

    def run(self, *arguments: str | Path, check: bool = True, timeout: float = 240) -> str:
        """A command's stdout; a failure shows what it said."""
        done = self.done(*arguments, timeout=timeout)
        if check and done.returncode:
            msg = f"motcua {' '.join(map(str, arguments))} → {done.returncode}\n{done.stdout}\n{done.stderr}"
            raise AssertionError(msg)
        return done.stdout

    def done(
        self, *arguments: str | Path, timeout: float = 240, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command that has ended, whatever its exit code."""
        return subprocess.run(
            [sys.executable, "-m", "motcua", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout,
            cwd=folder,
            check=False,
        )

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def address(self, name: str) -> str:
        """Where `kafka`, `clickhouse` or `page` listens."""
        said = json.loads((self.data_dir / "run.json").read_text(encoding="utf-8"))
        return str(said[name])

    def query(self, sql: str) -> str:
        """The database's answer to a query, as text."""
        request = urllib.request.Request(self.address("clickhouse") + "/?database=motcua", sql.encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read().decode().strip())

    def pid(self, part: str) -> int:
        """The process of a part, or 0 while it has none."""
        parts = {row["name"]: row for row in self.json("status")["parts"]}
        return int(parts[part]["pid"] or 0)


@contextmanager
def running(data_dir: Path, **environment: str) -> Iterator[Stack]:
    """A stack that is up, and gone afterwards."""
    stack = Stack(data_dir, environment)
    stack.run("up", "--detach")
    try:
        yield stack
    finally:
        stack.run("down")
