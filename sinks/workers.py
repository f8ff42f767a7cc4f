"""What workers tell of themselves, kept in ClickHouse for the page, which may run anywhere else."""

from collections.abc import Mapping

from sinks.client import Database, strings, uints


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
    import pyarrow as pa

    await database.insert(
        "workers",
        {
            "worker": strings([worker]),
            "at": uints([at], 32),
            "version": uints([version], 64),
            "started_at": uints([started_at], 32),
            "counts": pa.array([list(counts.items())], pa.map_(pa.string(), pa.uint64())),
            "seconds": pa.array([list(seconds.items())], pa.map_(pa.string(), pa.float64())),
            "lag": pa.array([list(lag.items())], pa.map_(pa.uint16(), pa.uint64())),
        },
    )
