"""Holds tallies against the dossiers they come from, by SQL alone, and keeps what was found.

A dossier is stored with the mask of its contributions, so what a cell must hold is `sum(bitTest(mask, i))`
over the dossiers that count on its day: no rule of counting is written a second time here.
"""

from collections.abc import Collection, Mapping, Sequence

from rates.cohort import Cell, CohortKey
from rates.effects import Checked, Compared, Difference, Reached
from rates.tallies import BASES, TALLIES
from sinks.client import Database, strings, uints
from sinks.cohorts import CohortStore, among


class Audits:
    """The audits of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cohorts(self) -> list[tuple[CohortKey, int]]:
        """Every cohort with dossiers or tallies, and how many dossiers it has; longest unchecked first."""
        rows = await self._database.rows(
            "SELECT toString(c.unit) AS unit, c.cohort AS cohort, c.dossiers AS dossiers FROM ("
            "SELECT unit, cohort, sum(one) AS dossiers FROM (SELECT unit, cohort, 1 AS one FROM dossiers "
            "UNION ALL SELECT DISTINCT unit, cohort, 0 AS one FROM tallies) GROUP BY unit, cohort) AS c "
            "LEFT JOIN (SELECT * FROM audits FINAL) AS a ON a.unit = c.unit AND a.cohort = c.cohort "
            "ORDER BY a.checked_at, unit, cohort"
        )
        return [(CohortKey(row["unit"], row["cohort"]), row["dossiers"]) for row in rows]

    async def found(self) -> int:
        """How many disagreements were ever found, in all cohorts."""
        return int(await self._database.value("SELECT sum(found) FROM audits FINAL"))

    async def known(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Checked]:
        """What earlier audits found of these cohorts, whoever made them."""
        rows = await self._database.rows(
            "SELECT toString(unit) AS unit_code, cohort, toUInt32(checked_at) AS checked, wrong, found, "
            "toUInt32(found_at) AS latest, toUInt32(repaired_at) AS repaired "
            f"FROM audits FINAL WHERE {among(keys)}"
        )
        return {
            (key := CohortKey(row["unit_code"], row["cohort"])): Checked(
                key, row["checked"], row["wrong"], row["found"], row["latest"], row["repaired"]
            )
            for row in rows
        }

    async def compare(self, keys: Collection[CohortKey]) -> Mapping[CohortKey, Compared]:
        """These cohorts, each cell held against its dossiers.

        The newest tally is read before that and the newest dossier after it, so that what a batch writes
        meanwhile shows as in flight, never as a difference.
        """
        wanted = among(keys)
        newest = await self._database.rows(
            "SELECT toString(unit) AS unit_code, cohort, max(version) AS newest FROM tallies "
            f"WHERE {wanted} GROUP BY unit_code, cohort"
        )
        covered = {CohortKey(row["unit_code"], row["cohort"]): row["newest"] for row in newest}
        days = ", ".join(f"({basis}, toUInt16({name}_day))" for basis, name in enumerate(BASES))
        stored = ", ".join(f"toInt64({tally}) AS s_{tally}, toInt64(0) AS c_{tally}" for tally in TALLIES)
        counted = ", ".join(
            f"toInt64(0) AS s_{tally}, toInt64(bitTest(mask, {bit})) AS c_{tally}"
            for bit, tally in enumerate(TALLIES)
        )
        sums = ", ".join(
            f"sum(s_{tally}) AS s{bit}, sum(c_{tally}) AS c{bit}" for bit, tally in enumerate(TALLIES)
        )
        differ = " OR ".join(f"s{bit} != c{bit}" for bit in range(len(TALLIES)))
        pairs = ", ".join(f"(s{bit}, c{bit})" for bit in range(len(TALLIES)))
        wrong = await self._database.rows(
            f"SELECT toString(unit) AS unit_code, cohort, system, basis, day, [{pairs}] AS pairs FROM ("
            f"SELECT unit, cohort, system, basis, day, {sums} FROM ("
            f"SELECT unit, cohort, system, basis, toUInt16(day) AS day, {stored} "
            f"FROM tallies FINAL WHERE {wanted} "
            "UNION ALL "
            f"SELECT unit, cohort, system, toUInt8(on.1) AS basis, on.2 AS day, {counted} "
            f"FROM dossiers FINAL ARRAY JOIN [{days}] AS on WHERE {wanted} AND on.2 != 0"
            f") GROUP BY unit, cohort, system, basis, day HAVING {differ}) "
            "ORDER BY unit_code, cohort, system, basis, day "
            "SETTINGS do_not_merge_across_partitions_select_final = 1"
        )
        differences: dict[CohortKey, list[Difference]] = {key: [] for key in keys}
        for row in wrong:
            cell = Cell(row["system"], row["basis"], row["day"])
            differences[CohortKey(row["unit_code"], row["cohort"])] += [
                Difference(cell, tally, stored, counted)
                for tally, (stored, counted) in zip(TALLIES, row["pairs"], strict=True)
                if stored != counted
            ]
        held = await self._database.rows(
            "SELECT toString(unit) AS unit_code, cohort, max(version) AS newest, count() AS dossiers "
            f"FROM dossiers FINAL WHERE {wanted} "
            "GROUP BY unit_code, cohort SETTINGS do_not_merge_across_partitions_select_final = 1"
        )
        dossiers = {CohortKey(row["unit_code"], row["cohort"]): row for row in held}
        return {
            key: Compared(
                dossiers[key]["dossiers"] if key in dossiers else 0,
                dossiers[key]["newest"] if key in dossiers else 0,
                covered.get(key, 0),
                differences[key],
            )
            for key in keys
            if key in dossiers or key in covered
        }

    async def save_audits(self, rows: Sequence[Checked], now: int) -> None:
        """Keep what audits found; of a cohort the row that was saved last stands."""
        await self._database.insert(
            "audits",
            {
                "unit": strings([row.key.unit for row in rows]),
                "cohort": uints([row.key.month for row in rows], 32),
                "version": uints([now] * len(rows), 64),
                "checked_at": uints([row.checked_at for row in rows], 32),
                "wrong": uints([row.wrong for row in rows], 32),
                "found": uints([row.found for row in rows], 32),
                "found_at": uints([row.found_at for row in rows], 32),
                "repaired_at": uints([row.repaired_at for row in rows], 32),
            },
        )

    async def progress(self) -> Mapping[int, Reached]:
        return await CohortStore(self._database).progress()
