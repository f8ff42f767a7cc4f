"""Views of what the monitor knows about itself: its workers, its partitions, its audits."""

from collections.abc import Iterator
from typing import Final

_HEARD: Final = "INTERVAL 1 HOUR"
"""How long a worker that tells nothing any more is still listed."""
_MINUTE: Final = 70
"""Seconds: what a worker tells every ten seconds is compared with what it told about a minute ago."""


def views(body: str) -> Iterator[str]:
    """`workers_now`, `partitions_now` and `audits_now`. `body`: SQL for the body of `unit` at the check."""
    newest = "(w.at, w.version)"
    recent = f"w.at > now() - {_MINUTE}"
    yield (
        "CREATE OR REPLACE VIEW workers_now AS SELECT worker, max(w.at) AS told_at, "
        f"argMax(w.started_at, {newest}) AS begun_at, argMax(w.counts, {newest}) AS numbers, "
        f"argMax(w.seconds, {newest}) AS stages, argMax(w.lag, {newest}) AS lags, "
        f"minIf(w.at, {recent}) AS earlier_at, argMinIf(w.counts, {newest}, {recent}) AS numbers_earlier, "
        f"argMinIf(w.seconds, {newest}, {recent}) AS stages_earlier "
        f"FROM workers AS w FINAL WHERE w.at > now() - {_HEARD} GROUP BY worker"
    )
    yield (
        "CREATE OR REPLACE VIEW partitions_now AS SELECT f.partition AS partition, "
        "f.received_at AS received_at, f.complete_to AS complete_to, "
        "if(toUInt32(l.told) = 0, NULL, l.lag) AS lag, l.told AS told_at, "
        "if(toUInt32(c.visible_at) = 0, NULL, dateDiff('millisecond', c.sent_at, c.visible_at)) AS delay_ms, "
        "c.visible_at AS canary_at FROM freshness AS f "
        "LEFT JOIN (SELECT one.1 AS partition, argMax(one.2, told_at) AS lag, max(told_at) AS told FROM ("
        "SELECT told_at, arrayJoin(arrayZip(mapKeys(lags), mapValues(lags))) AS one FROM workers_now) "
        "GROUP BY partition) AS l ON f.partition = l.partition "
        "LEFT JOIN (SELECT * FROM canaries FINAL) AS c ON f.partition = c.partition"
    )
    yield (
        f"CREATE OR REPLACE VIEW audits_now AS SELECT unit, cohort, {body} AS body, "
        "checked_at, wrong, found, found_at, repaired_at FROM audits FINAL"
    )
