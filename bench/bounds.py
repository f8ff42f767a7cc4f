"""What `make bench CHECK=1` holds the figures to: one table, and the answers of every part.

A figure that was measured and is not a number misses its bound; a part that was not run is not judged.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Bound(NamedTuple):
    """`figure` of `part`, a dotted path; at least or at most `value`. `moonshot` is told, not checked."""

    part: str
    figure: str
    least: bool
    value: float
    moonshot: float


BOUNDS: Final = (
    Bound("pipeline", "records_per_second", True, 100_000, 200_000),
    Bound("pipeline", "ratio", True, 0.5, 0.8),
    Bound("small_200", "ahead_of_peers", True, 1.0, 1.0),
    Bound("small_200", "records_per_second", True, 0, 280_000),
    Bound("small_1", "records_per_second", True, 60_000, 160_000),
    *(
        Bound(part, "peak_memory_mib.worker", False, 1024, 512)
        for part in ("pipeline", "small_200", "small_1", "two_workers", "cold", "history")
    ),
    Bound("cold", "rows_reloaded_per_event", False, 0.1, 0.03),
    Bound("live", "p99_ms", False, 1500, 500),
    Bound("live", "idle_cpu_percent", False, 10, 3),
    Bound("panels", "p95_ms", False, 100, 30),
    Bound("start", "ready_s", False, 8, 5),
    Bound("alerts", "seconds", False, 2, 2),
    Bound("paint", "first_paint_ms", False, 1000, 1000),
    Bound("history", "published_seconds", False, 360, 180),
    Bound("history", "parity_seconds", False, 5, 5),
    Bound("history", "rebuild_seconds_per_million", False, 10, 10),
    Bound("backtest", "seconds", False, 30, 30),
)


def missed(measured: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for each bound that is missed and each answer that differs, in the order of the table."""
    lines = []
    for bound in BOUNDS:
        if bound.part not in measured:
            continue
        found = _at(measured[bound.part], bound.figure)
        name = f"{bound.part} {bound.figure}"
        sign = "≥" if bound.least else "≤"
        if isinstance(found, bool) or not isinstance(found, int | float) or found != found:
            lines.append(f"{name}: not measured, must be {sign} {bound.value:g}")
        elif found < bound.value if bound.least else found > bound.value:
            lines.append(f"{name}: {found:g}, must be {sign} {bound.value:g}")
    for part, result in measured.items():
        if not result.get("agrees", True):
            lines.append(f"{part}: the answer differs from that of its limit")
        lines += [
            f"{part}: the answer of {peer} differs"
            for kind in ("peers", "without_tallies")
            for peer, found in (result.get(kind) or {}).items()
            if not found.get("agrees", False)
        ]
    return lines


def _at(result: Mapping[str, Any], path: str) -> Any:
    found: Any = result
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
