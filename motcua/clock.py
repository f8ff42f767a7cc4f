"""The one place that reads the clock. Everywhere else time comes in as an argument.

For drills a clock can be put wrong: `MOTCUA_CLOCK_DRILL` names a file whose number of seconds is added, read
anew at every look, so that the clock steps while the program runs.
"""

import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

LOCAL: Final = timezone(timedelta(hours=7))


def now() -> int:
    """Seconds since 1970 UTC."""
    return millis() // 1000


def millis() -> int:
    """Milliseconds since 1970 UTC."""
    drill = os.environ.get("MOTCUA_CLOCK_DRILL")
    put_wrong = int(Path(drill).read_text(encoding="ascii")) if drill else 0
    return time.time_ns() // 1_000_000 + 1000 * put_wrong


def drill(file: Path, then: int) -> None:
    """Put the clocks that look at a drill's file at an instant, in milliseconds since 1970 UTC."""
    fresh = file.with_suffix(".new")
    fresh.write_text(str(then // 1000 - time.time_ns() // 1_000_000_000), encoding="ascii")
    fresh.replace(file)


def stamp() -> str:
    """The local time of day, for a line of log."""
    return datetime.fromtimestamp(now(), LOCAL).strftime("%H:%M:%S")


def iso(seconds: int) -> str:
    """An instant as people and `--json` read it: local, with its offset."""
    return datetime.fromtimestamp(seconds, LOCAL).isoformat()


def end_of(day: str) -> int:
    """The first instant, seconds since 1970 UTC, after a local day `YYYY-MM-DD`."""
    return int((datetime.fromisoformat(day).replace(tzinfo=LOCAL) + timedelta(days=1)).timestamp())
