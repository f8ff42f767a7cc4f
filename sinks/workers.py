"""What workers tell of themselves, kept in ClickHouse for the page, which may run anywhere else."""

from collections.abc import Mapping

from sinks.client import Database, floats, one_map, strings, uints


async def save(
    database: Database,
    *,
    worker: str,
    at: int,
    version: int,
    started_at: int,
    counts: Mapping[str, int],
    seconds: Mapping[str, float],
    lag: Mapping[int, int],
) -> None:
    """One telling. Times in seconds since 1970 UTC; `seconds` by stage, `lag` by partition."""
    await database.insert(
        "workers",
        {
            "worker": strings([worker]),
            "at": uints([at], 32),
            "version": uints([version], 64),
            "started_at": uints([started_at], 32),
            "counts": one_map(strings(list(counts)), uints(list(counts.values()), 64)),
            "seconds": one_map(strings(list(seconds)), floats(list(seconds.values()))),
            "lag": one_map(uints(list(lag), 16), uints(list(lag.values()), 64)),
        },
    )
