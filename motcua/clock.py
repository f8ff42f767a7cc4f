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
    drill = os.environ.get("MOTCUA_CLOCK_DRILL")
    return int(time.time()) + (int(Path(drill).read_text(encoding="ascii")) if drill else 0)


def stamp() -> str:
    """The local time of day, for a line of log."""
    return datetime.fromtimestamp(now(), LOCAL).strftime("%H:%M:%S")


def iso(seconds: int) -> str:
    """An instant as people and `--json` read it: local, with its offset."""
    return datetime.fromtimestamp(seconds, LOCAL).isoformat()
