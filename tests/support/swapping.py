"""A live system beside the truth about it: what it was told, in order, and what figures follow from that."""

import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from motcua import clock
from producers import eventlog
from producers.eventlog import Line
from rates.tallies import TALLIES
from tests.recount.recount import recount
from tests.recount.register import SHIPPED
from tests.recount.worlds import world
from tests.support.stack import Stack

GROUPS: Final = ("unit", "body", "day", "month", "system")
BY: Final = ("--form", "both", "--by", ",".join(GROUPS))
EVER: Final = 4_294_967_295


def sorted_world(seed: int, events: int) -> list[tuple[int, bytes]]:
    """A world's sound lines by when they were received, ms: as-of answers need a log in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.ndjson"
        raw = [line.rstrip(b"\n") for line in world(seed, events)]
        path.write_bytes(b"".join(line + b"\n" for line in raw))
        found = [
            (line.received_at_ms, raw[line.number - 1])
            for line in eventlog.read([path])
            if isinstance(line, Line)
        ]
    return sorted(found, key=lambda one: one[0])


def write(path: Path, lines: Iterable[tuple[int, bytes]]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for _, line in lines))
    return path


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Something that goes on in a thread; what it raises is raised at the end."""
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised again below
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]


class Live:
    """A stack, and the lines that its live figures must follow from."""

    def __init__(self, stack: Stack, folder: Path, seed: int, events: int) -> None:
        self.stack = stack
        self.folder = folder
        self.ahead = sorted_world(seed, events)
        self.truth: list[tuple[int, bytes]] = []
        self.register = SHIPPED
        self._names = count(1)

    def take(self, lines: int) -> list[tuple[int, bytes]]:
        """The next lines of the world."""
        some, self.ahead = self.ahead[:lines], self.ahead[lines:]
        assert len(some) == lines, "the world is too small for this test"
        return some

    def log(self, lines: list[tuple[int, bytes]]) -> Path:
        return write(self.folder / f"{next(self._names)}.ndjson", lines)

    def publish(self, lines: int, *, wait: bool = True) -> None:
        """Send the next lines of the world to the live topic."""
        some = self.take(lines)
        self.truth += some
        self.stack.run("publish", self.log(some), *(["--wait"] if wait else []))

    def trickle(self, lines: int) -> None:
        """Send the next lines one after the other, and wait for none."""
        for _ in range(lines):
            self.publish(1, wait=False)

    def rates(self, *options: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.stack.json("rates", *BY, *options)["rows"]
        return rows

    def expected(self, lines: Iterable[tuple[int, bytes]] | None = None) -> list[dict[str, object]]:
        some = self.truth if lines is None else lines
        return recount((line for _, line in some), register=self.register).rates(by=GROUPS, form="both")

    def exact(self) -> None:
        """Figures are those of a recount, audits find nothing, and history adds up to the same."""
        with ThreadPoolExecutor() as pool:
            audited, rates = pool.submit(self.stack.done, "audit", "--all"), pool.submit(self.rates)
        audit = audited.result()
        assert rates.result() == self.expected()
        assert audit.returncode == 0, audit.stdout + audit.stderr
        assert self.stack.query(UNEXPLAINED) == "0"

    def exact_as_of(self, instant: int) -> None:
        """What was known at the end of an instant's (ms) day is the recount of the log until then."""
        day = clock.iso(instant // 1000)[:10]
        end = clock.end_of(day) * 1000
        until = [one for one in self.truth if one[0] < end]
        assert self.rates("--as-of", day) == self.expected(until)


_KEYS = "unit, basis, system, day"
UNEXPLAINED: Final = (
    "SELECT count() FROM (SELECT "
    + ", ".join(f"sum(x.{name}) AS s_{name}" for name in TALLIES)
    + " FROM ("
    + f"SELECT {_KEYS}, {', '.join(f'toInt64(k.{name}) AS {name}' for name in TALLIES)} "
    + f"FROM cells_known(known = {EVER}) AS k UNION ALL "
    + f"SELECT {_KEYS}, {', '.join(f'-toInt64(t.{name}) AS {name}' for name in TALLIES)} "
    + f"FROM tallies AS t FINAL) AS x GROUP BY {_KEYS} HAVING "
    + " OR ".join(f"s_{name} != 0" for name in TALLIES)
    + ")"
)
"""How many cells there are whose tallies are not the sum of all changes."""


def document(stack: Stack, *arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    """A command's exit code, its JSON and what it told."""
    done = stack.done(*arguments, "--json")
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr
