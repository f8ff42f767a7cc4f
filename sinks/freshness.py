"""What the database knows of how current it is: how far its pipe has come, on which days units were heard of.

Nothing is judged here: `rates.freshness` does that.
"""

from collections.abc import Iterator

_GENERATION = "bitShiftRight(version, 52) = registered.1"


def views(body: str) -> Iterator[str]:
    """The views `pipe` (one row), `unit_activity`, `unit_ends`. `body`: SQL for the body of `unit` on `day`.

    `pipe` tells of the registered topic how many of its partitions were heard of, the canaries' delay in
    milliseconds (median and maximum over partitions, and when the last was seen) and what workers say is
    waiting; NULL where that is not known, as a delay is not that clocks apart make negative.
    """
    yield (
        "CREATE OR REPLACE VIEW pipe AS "
        "WITH (SELECT max((generation, partitions)) FROM generations) AS registered, "
        "(SELECT (quantileExact(0.5)(took), max(took), max(canary_at), sum(waiting)) FROM ("
        "SELECT if(delay_ms >= 0, delay_ms, NULL) AS took, canary_at, "
        "if(told_at > now() - 60, lag, NULL) AS waiting FROM partitions_now)) AS told "
        "SELECT toUInt32(min(complete_to)) AS complete, toUInt32(max(received_at)) AS latest, "
        "count() AS partitions, toString(sum(toUInt128(version))) AS stamp, "
        f"toUInt32(countIf({_GENERATION})) AS heard, toUInt32(registered.2) AS expected, "
        "told.1 AS delay, told.2 AS slowest, toUnixTimestamp(told.3) AS canary, told.4 AS lag FROM freshness"
    )
    yield f"CREATE OR REPLACE VIEW unit_activity AS SELECT unit, {body} AS body, day, last FROM heard"
    # Which units to look at for a body, without asking for the body of each of their days.
    ends = " UNION ALL ".join(
        f"SELECT unit, {which}(day) AS day FROM heard GROUP BY unit" for which in ("min", "max")
    )
    yield f"CREATE OR REPLACE VIEW unit_ends AS SELECT unit, {body} AS body FROM ({ends})"
