"""The one place that reads the clock. Everywhere else time comes in as an argument."""

import time
from datetime import datetime, timedelta, timezone
from typing import Final

LOCAL: Final = timezone(timedelta(hours=7))


def now() -> int:
    """Seconds since 1970 UTC."""
    return int(time.time())


def stamp() -> str:
    """The local time of day, for a line of log."""
    return datetime.fromtimestamp(now(), LOCAL).strftime("%H:%M:%S")


def iso(seconds: int) -> str:
    """An instant as people and `--json` read it: local, with its offset."""
    return datetime.fromtimestamp(seconds, LOCAL).isoformat()
