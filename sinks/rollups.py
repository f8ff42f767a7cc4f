"""Sums of tallies by body, made once for months that are not written any more.

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

TABLES: Final = ("rolled", "settled")
"""Derived: no backup holds them."""

_MONTH: Final = "toUInt32(partition_id)"
# A part is never changed, so the content of all parts is the content of the month.
_PARTS: Final = (
    f"SELECT {_MONTH} AS month, sum(sipHash64(name, hash_of_all_files)) AS parts FROM system.parts "
    "WHERE database = currentDatabase() AND table = 'tallies' AND active GROUP BY partition_id"
)
_LOADS: Final = "(SELECT count() FROM register_log)"
_FINAL: Final = "do_not_merge_across_partitions_select_final = 1, optimize_move_to_prewhere_if_final = 1"
_ERAS: Final = 8
_KEPT_SECONDS: Final = 600
"""Sums that hold no more are dropped after so long: a query that began before may still read them."""


def views(body: str) -> Iterator[str]:
    """The view `body_sums(first = …, last = …)`: all tallies by body and basis. `body`: SQL on `unit`, `day`.

    `basis` is an index. The body of a unit is asked once for each era between two days on which the register
    changes, not for every row.
    """
    valid = (
        "(SELECT groupArray((s.month, s.made)) FROM (SELECT * FROM settled FINAL) AS s "
        f"INNER JOIN ({_PARTS}) AS p ON s.month = p.month "
        f"WHERE s.parts = p.parts AND s.loads = {_LOADS})"
    )
    starts = (
        "(SELECT arraySort(groupUniqArray(arrayJoin("
        "[from_day, toDate(least(toUInt32(to_day) + 1, 65535))]))) FROM unit_bodies)"
    )
    era = " + ".join(f"(t.day >= starts[{at}])" for at in range(1, _ERAS + 1))
    within = "t.day BETWEEN {first:Date} AND {last:Date}"
    sums = ", ".join(f"sum(t.{name}) AS {name}" for name in TALLIES)
    # Whether a month holds is decided once: both branches read the same constant.
    yield (
        f"CREATE OR REPLACE VIEW body_sums AS WITH {valid} AS valid, {starts} AS starts "
        f"SELECT body, basis, {', '.join(f'sum(u.{name}) AS {name}' for name in TALLIES)} FROM ("
        f"SELECT toString(t.body) AS body, t.basis AS basis, {sums} FROM rolled AS t "
        f"WHERE (t.month, t.made) IN (SELECT arrayJoin(valid)) AND {within} GROUP BY body, basis "
        f"UNION ALL SELECT {body} AS body, basis, {', '.join(TALLIES)} FROM ("
        f"SELECT t.unit AS unit, t.basis AS basis, min(t.day) AS day, {sums} FROM tallies AS t FINAL "
        f"WHERE NOT has(arrayMap(one -> toString(one.1), valid), t._partition_id) AND {within} "
        f"GROUP BY t.unit, t.basis, if(length(starts) > {_ERAS}, toUInt16(t.day), {era}))"
        f") AS u GROUP BY body, basis SETTINGS {_FINAL}"
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
            f"GROUP BY body, basis, system, day SETTINGS {_FINAL}"
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
        old = await self._database.rows(
            "SELECT DISTINCT month, made FROM rolled WHERE (month, made) NOT IN "
            f"(SELECT month, made FROM settled FINAL) AND made < {now - _KEPT_SECONDS << 24}"
        )
        for row in old:
            await self._database.run(f"ALTER TABLE rolled DROP PARTITION ({row['month']}, {row['made']})")
