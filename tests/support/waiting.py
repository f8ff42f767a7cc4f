"""Waiting for something to become true, with a deadline instead of a guess."""

import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], what: str, within: float = 120) -> None:
    """Ask until it holds; fail with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            msg = f"not within {within:g} s: {what}"
            raise AssertionError(msg)
        time.sleep(0.05)
