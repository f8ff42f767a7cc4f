"""A real browser in front of the page."""

import shutil
from typing import Final

import pytest

ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM: Final = shutil.which("chromium")
NEEDS: Final = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (apt-get install chromium)"),
]
"""The marks of a test that opens it."""
