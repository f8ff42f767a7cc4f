"""Columns are made without pandas, which a worker would carry for nothing: two seconds, sixty megabytes."""

import subprocess
import sys

MAKES = """
import sys
from sinks.client import floats, millis, one_map, strings, uints
assert floats([1.5, None, -2.0]).to_pylist() == [1.5, None, -2.0]
assert floats([None] * 9 + [3.0]).to_pylist() == [None] * 9 + [3.0]
assert floats([]).to_pylist() == []
assert one_map(strings(["một", "b"]), uints([1, 2], 64)).to_pylist() == [[("một", 1), ("b", 2)]]
assert one_map(uints([], 16), floats([])).to_pylist() == [[]]
assert millis([1_000]).type.unit == "ms"
assert "pandas" not in sys.modules, "pandas was imported"
"""


def test_columns_are_made_without_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", MAKES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
