"""Sums of tallies by body and by unit, made once for months that are not written any more.

`tallies` stay the only truth. A month's sums count for exactly as long as the parts of `tallies` that they
were made from are the ones that are there, by their content, under the register that they were made under.
Whatever else is there, a month that has just been written above all, is summed from `tallies` by the same
query. So an answer never depends on whether, when or how often anybody settled anything; only its speed does.
"""

import secrets
from collections.abc import Iterator
from typing import Final

from rates.tallies import TALLIES
from sinks.client import Database, uints

TABLES: Final = ("rolled", "rolled_units", "settled")
"""Derived: no backup holds them."""

_MONTH: Final = "toUInt32(partition_id)"
# A part is never changed, so the content of all parts is the content of the month.
_PARTS: Final = (
    f"SELECT {_MONTH} AS month, sum(sipHash64(name, hash_of_all_files)) AS parts FROM system.parts "
    "WHERE database = currentDatabase() AND table = 'tallies' AND active GROUP BY partition_id"
)
_LOADS: Final = "(SELECT count() FROM register_log)"
FINAL: Final = "do_not_merge_across_partitions_select_final = 1, optimize_move_to_prewhere_if_final = 1"
"""A row and its replacement share a partition; a condition on the key alone can be asked before they meet."""
_KEPT_SECONDS: Final = 600
"""Sums that hold no more are dropped after so long: a query that began before may still read them."""


def views(body: str) -> Iterator[str]:
    """The views `body_sums`, `unit_days` and `unit_sums` of (first = …, last = …).

    `body_sums` has body, basis, system and day, `unit_days` unit, body, basis and day, each in one row or in
    several; `unit_sums` has unit, body and basis. `basis` and `system` are indexes. `body`: SQL on `unit` and
    `day`; in `unit_sums` it is asked once for each era between two days on which the register changes, not
    for every row.
    """
    # The pairs (month, made) that hold, and the names of those months' partitions.
    held = (
        "(SELECT (groupArray((s.month, s.made)), groupArray(toString(s.month))) "
        f"FROM (SELECT * FROM settled FINAL) AS s INNER JOIN ({_PARTS}) AS p ON s.month = p.month "
        f"WHERE s.parts = p.parts AND s.loads = {_LOADS})"
    )
    eras = (
        "(SELECT arraySort(arrayConcat([0], groupUniqArray(arrayJoin("
        "[toUInt32(from_day), toUInt32(to_day) + 1])))) FROM unit_bodies)"
    )
    within = "t.day BETWEEN {first:Date} AND {last:Date}"
    tallies = ", ".join(f"t.{name} AS {name}" for name in TALLIES)
    # Which months hold is decided once: both branches read the same constant.
    summed = f"(t.month, t.made) IN held.1 AND {within}"
    others = f"NOT has(held.2, t._partition_id) AND {within}"
    yield (
        f"CREATE OR REPLACE VIEW body_sums AS WITH {held} AS held "
        "SELECT toString(t.body) AS body, t.basis AS basis, t.system AS system, t.day AS day, "
        f"{tallies} FROM rolled AS t WHERE {summed} "
        f"UNION ALL SELECT {body} AS body, t.basis AS basis, t.system AS system, t.day AS day, "
        f"{tallies} FROM tallies AS t FINAL WHERE {others} SETTINGS {FINAL}"
    )

    def days(named: str) -> str:
        columns = f"{named}, t.basis AS basis, t.day AS day, {tallies}"
        return (
            f"SELECT {columns} FROM rolled_units AS t WHERE {summed} "
            f"UNION ALL SELECT {columns} FROM tallies AS t FINAL WHERE {others}"
        )

    yield (
        f"CREATE OR REPLACE VIEW unit_days AS WITH {held} AS held "
        f"{days(f't.unit AS unit, {body} AS body')} SETTINGS {FINAL}"
    )
    yield (
        f"CREATE OR REPLACE VIEW unit_sums AS WITH {held} AS held, {eras} AS eras "
        f"SELECT unit, {body} AS body, basis, {', '.join(TALLIES)} FROM ("
        "SELECT u.unit AS unit, u.basis AS basis, min(u.day) AS day, "
        f"{', '.join(f'sum(u.{name}) AS {name}' for name in TALLIES)} FROM ({days('t.unit AS unit')}) AS u "
        f"GROUP BY u.unit, u.basis, roundDown(toUInt32(u.day), eras)) SETTINGS {FINAL}"
    )


class Rollups:
    """Settles the months of one database that have come to rest. Several may do so at once."""

    def __init__(self, database: Database, body: str) -> None:
        self._database = database
        self._body = body
        self._seen: dict[int, int] = {}

    async def settle(self, now: int, most: int = 1) -> int:
        """Make the sums of months that have not changed since this was last called; how many were made.

        `most`: so many at once. `now` in seconds since 1970 UTC. Raises Retry and Fatal.
        """
        stamps = {row["month"]: row["parts"] for row in await self._database.rows(_PARTS)}
        loads = int(await self._database.value(f"SELECT {_LOADS}"))
        known = {row["month"]: row for row in await self._database.rows("SELECT * FROM settled FINAL")}
        made = 0
        for month, parts in sorted(stamps.items()):
            held = known.get(month)
            holds = held is not None and (held["parts"], held["loads"]) == (parts, loads)
            if made < most and not holds and self._seen.get(month) == parts:
                await self._make(month, parts, loads, now)
                made += 1
        self._seen = stamps
        await self._drop(now)
        return made

    async def _make(self, month: int, parts: int, loads: int, now: int) -> None:
        # Nobody else's: rows of two makers never stand under one name.
        made = now << 24 | secrets.randbits(24)
        inner = ", ".join(f"sum(t.{name}) AS {name}" for name in TALLIES)
        outer = ", ".join(f"toUInt32(sum(t.{name})) AS {name}" for name in TALLIES)
        await self._database.run(
            f"INSERT INTO rolled SELECT {month} AS month, {made} AS made, {self._body} AS body, basis, "
            f"system, day, {outer} FROM (SELECT unit, basis, system, day, {inner} FROM tallies AS t FINAL "
            f"WHERE _partition_id = '{month}' GROUP BY unit, basis, system, day) AS t "
            f"GROUP BY body, basis, system, day SETTINGS {FINAL}"
        )
        await self._database.run(
            f"INSERT INTO rolled_units SELECT {month} AS month, {made} AS made, unit, basis, day, {outer} "
            f"FROM tallies AS t FINAL WHERE _partition_id = '{month}' GROUP BY unit, basis, day "
            f"SETTINGS {FINAL}"
        )
        # What was written meanwhile has changed the parts, so these sums will not count.
        await self._database.insert(
            "settled",
            {
                "month": uints([month], 32),
                "made": uints([made], 64),
                "parts": uints([parts], 64),
                "loads": uints([loads], 64),
            },
        )

    async def _drop(self, now: int) -> None:
        """Drop sums that count no more, and have not for a while."""
        for table in ("rolled", "rolled_units"):
            old = await self._database.rows(
                f"SELECT DISTINCT month, made FROM {table} WHERE (month, made) NOT IN "
                f"(SELECT month, made FROM settled FINAL) AND made < {now - _KEPT_SECONDS << 24}"
            )
            for row in old:
                await self._database.run(
                    f"ALTER TABLE {table} DROP PARTITION ({row['month']}, {row['made']})"
                )
