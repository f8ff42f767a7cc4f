"""Two databases of one engine held against each other, cohort by cohort: tallies, and the dossiers behind.

What the live database took in after a rehearsal began is left aside: it is taken off the live side, change by
change, by `history`. So a rehearsal can be compared while live events go on, and neither side is stopped.

Masks are compared as they are stored, so nothing here says how a dossier counts. A difference has a cause,
which is found per dossier from what both sides know of it: the two clocks (what was said last, and when),
what the record said, and what followed from the register and the definitions.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from msgspec import Struct

from rates.cohort import CohortKey
from rates.dossier import PAST
from rates.tallies import BASES, BIT, SYSTEMS, TALLIES
from rates.wire import RESULT_REQUIRED
from sinks.client import Database
from sinks.cohorts import among
from sinks.history import FINAL, SUMS, changed

Cause: TypeAlias = Literal[
    "missing-log",
    "unknown-dossier",
    "late-lost",
    "altered-record",
    "other-register",
    "other-definition",
    "other-times",
    "tallies-alone",
]
CAUSES: Final[tuple[Cause, ...]] = get_args(Cause)
MEANING: Final[Mapping[str, str]] = {
    "missing-log": "one side has heard later of the dossier: a part of the log is missing on the other",
    "unknown-dossier": "one side has never heard of the dossier",
    "late-lost": "both took in the same record last said, and another copy of its moment stands",
    "altered-record": "the record of one moment says something else on either side",
    "other-register": "the register gives another system, or says otherwise whether a result is due",
    "other-definition": "the same dossier counts in another way",
    "other-times": "the same was learnt at other times, or in another order: evidence of delay differs",
    "tallies-alone": "the dossiers agree and their tallies do not",
}

_SAID: Final = ("received", "completed", "due", "procedure", "sector")
_STATE: Final = (
    "record_status",
    "record_time",
    "progress_status",
    "progress_time",
    *_SAID,
    "facts",
    "system",
    "mask",
)
_SHOWN: Final = tuple(name for name in _STATE if name not in ("procedure", "sector"))
_LATENESS: Final = (
    "sync_late",
    "backdated",
    "reopened",
    "closed_from_supplement",
    "overdue_sync_late",
    "due_moved",
)
"""Tallies that depend on when, or in which order, events were learnt."""
_MOST_COHORTS: Final = 20_000
"""So many cohorts that differ are looked into; of the others it is said that they differ."""
_LOOKS: Final = 8
_LOOK_SECONDS: Final = 0.3
"""Cohorts that differ are looked at again, while there are fewer of them each time."""
SAMPLES: Final = 5
"""Of each cause."""


class Difference(NamedTuple):
    """A tally of a cohort, summed over its cells of one basis, of which cells differ."""

    unit: str
    month: int
    basis: str
    tally: str
    live: int
    rehearsed: int
    cells: int


class Sample(Struct, frozen=True):
    """A dossier that differs, as both sides know it; None where one has never heard of it."""

    number: str
    unit: str
    month: int
    cause: Cause
    live: dict[str, Any] | None
    rehearsed: dict[str, Any] | None


class Report(Struct, frozen=True, kw_only=True):
    """What was compared and what differs. `stamp` is what it was true of (`stamp`).

    `cohorts`: how many are equal, and of the others how many have less in the rehearsal (deficit), more
    (surplus), or both. `left_aside`: live changes from after the rehearsal's beginning. `causes`: dossiers
    by cause.
    """

    stamp: str
    left_aside: int
    cohorts: dict[str, int]
    dossiers: dict[str, int]
    differences: list[Difference]
    causes: dict[Cause, int]
    samples: list[Sample]

    @property
    def equal(self) -> bool:
        return not self.causes

    def allowed(self, causes: Sequence[str]) -> bool:
        """Whether every difference is of a cause that is named."""
        return set(self.causes) <= set(causes)


class Begins(NamedTuple):
    """From which version on each partition of the live topic is left aside."""

    versions: Sequence[int]

    def later(self) -> str:
        """A condition on a change."""
        if not self.versions:
            return "false"
        at = f"kafkaMurmurHash(toString(unit)) % {len(self.versions)} + 1"
        listed = ", ".join(f"toUInt64({version})" for version in self.versions)
        return f"version >= {min(self.versions)} AND version >= [{listed}][{at}]"


NONE: Final = Begins(())


async def stamp(live: Database, other: str) -> str:
    """What a report is true of: while it is the same, nothing was written on the rehearsed side, nor was live
    swapped."""
    query = (
        f"SELECT concat(toString((SELECT sum(cityHash64(number, version)) FROM {other}.dossiers FINAL)), "
        "' ', "
        f"toString((SELECT sum(cityHash64(unit, system, basis, day, version)) FROM {other}.tallies FINAL "
        f"WHERE received > 0)), ' ', (SELECT toString(uuid) FROM system.tables WHERE "
        f"database = '{live.name}' AND name = 'tallies')) SETTINGS {FINAL}"
    )
    return str(await live.value(query))


async def compare(live: Database, other: str, begins: Begins = NONE, *, shared: bool = False) -> Report:
    """Hold the rehearsal in database `other` against the live one. Raises Retry and Fatal.

    `shared`: the rehearsed side was made from live rows and has their versions, so that what is later is left
    aside there, too.
    """
    true_of = await stamp(live, other)
    later = begins.later()
    aside = int(
        await live.value(f"SELECT count() FROM {live.name}.history FINAL WHERE {later} SETTINGS {FINAL}")
    )
    off = later if aside else ""
    ours, theirs = _Side(live.name, off), _Side(other, off if shared else "")
    counted = await _cohorts(live, ours, theirs)
    differ = _differing(counted)
    # A change is stored before its dossier, and that before its tallies: what is on its way is no difference.
    if begins.versions:
        ours = _Side(live.name, later)
    for _ in range(_LOOKS if begins.versions else 0):
        if not differ or len(differ) > _MOST_COHORTS:
            break
        await asyncio.sleep(_LOOK_SECONDS)
        again = _differing(await _cohorts(live, ours, theirs, _among(differ)))
        if len(again) == len(differ):
            break
        differ = again
    differences: list[Difference] = []
    causes: dict[Cause, int] = {}
    samples: list[Sample] = []
    cohorts = {"equal": len(counted) - len(differ), "deficit": 0, "surplus": 0, "both": 0, "dossiers": 0}
    if differ:
        those = _among(differ[:_MOST_COHORTS])
        differences = await _differences(live, ours, theirs, those)
        causes, samples = await _dossiers(live, ours, theirs, those)
        alone = sum(
            1 for row in differ if row["ours"] != row["theirs"] and row["our_state"] == row["their_state"]
        )
        if alone:
            causes["tallies-alone"] = alone
        _sort(cohorts, differ, differences)
    return Report(
        stamp=true_of,
        left_aside=aside,
        cohorts=cohorts,
        dossiers={
            "live": sum(row["our_dossiers"] for row in counted),
            "rehearsed": sum(row["their_dossiers"] for row in counted),
        },
        differences=differences,
        causes=causes,
        samples=samples,
    )


async def _cohorts(
    live: Database, ours: "_Side", theirs: "_Side", where: str = "true"
) -> list[dict[str, Any]]:
    """Cohorts with what their tallies and dossiers are on both sides, each as one number."""
    return await live.rows(
        "SELECT toString(unit) AS unit_code, cohort, max(a) AS ours, max(b) AS theirs, max(c) AS our_state, "
        "max(d) AS their_state, max(e) AS our_dossiers, max(f) AS their_dossiers FROM ("
        f"SELECT unit, cohort, a, 0 AS b, 0 AS c, 0 AS d, 0 AS e, 0 AS f FROM ({ours.sums('a', where)}) "
        f"UNION ALL SELECT unit, cohort, 0, b, 0, 0, 0, 0 FROM ({theirs.sums('b', where)}) UNION ALL "
        f"SELECT unit, cohort, 0, 0, c, 0, e, 0 FROM ({ours.states('c', 'e', where)}) UNION ALL "
        f"SELECT unit, cohort, 0, 0, 0, d, 0, f FROM ({theirs.states('d', 'f', where)})"
        f") GROUP BY unit, cohort ORDER BY unit_code, cohort SETTINGS {FINAL}, {_SPILLS}"
    )


_SPILLS: Final = "max_bytes_before_external_group_by = 300000000"
"""What does not fit into so many bytes is grouped on disk."""


def _differing(counted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in counted if row["ours"] != row["theirs"] or row["our_state"] != row["their_state"]]


class _Side:
    """One of the two, as SQL. `later`: the condition on changes that are taken off, "" for none."""

    def __init__(self, name: str, later: str) -> None:
        self._name = name
        self._later = later

    def cells(self, where: str = "true") -> str:
        """Tallies by cell, those that are not all zeros."""
        names = ", ".join(f"toInt64({name}) AS {name}" for name in TALLIES)
        keys = "unit, cohort, system, basis, toUInt16(day) AS day"
        stored = f"SELECT {keys}, {names} FROM {self._name}.tallies FINAL WHERE {where}"
        some = " OR ".join(f"{name} != 0" for name in TALLIES)
        if not self._later:
            return f"SELECT * FROM ({stored}) WHERE {some}"
        table, later = f"{self._name}.history", f"{self._later} AND {where}"
        # Only where something is taken off are cells summed: a sum over all of them would not fit in memory.
        moved = f"(unit, cohort) IN (SELECT DISTINCT unit, cohort FROM {table} WHERE {later})"
        taken = " UNION ALL ".join(
            f"SELECT unit, cohort, one.1 AS system, toUInt8({at}) AS basis, toUInt16(one.2) AS day, {SUMS} "
            f"FROM ({changed(basis, 'unit, cohort', later, table)}) WHERE one.2 > toDate(0) "
            "GROUP BY unit, cohort, system, day"
            for at, basis in enumerate(BASES)
        )
        off = ", ".join(f"-t.{name} AS {name}" for name in TALLIES)
        taken = f"SELECT unit, cohort, system, basis, day, {off} FROM ({taken}) AS t"
        summed = ", ".join(f"sum(t.{name}) AS {name}" for name in TALLIES)
        return (
            f"SELECT * FROM ({stored} AND NOT {moved}) WHERE {some} UNION ALL "
            f"SELECT unit, cohort, system, basis, day, {summed} FROM ({stored} AND {moved} UNION ALL {taken})"
            f" AS t GROUP BY unit, cohort, system, basis, day HAVING {some}"
        )

    def sums(self, name: str, where: str) -> str:
        """One number for all tallies of a cohort."""
        hashed = f"cityHash64(system, basis, day, {', '.join(TALLIES)})"
        return (
            f"SELECT unit, cohort, sum({hashed}) AS {name} FROM ({self.cells(where)}) GROUP BY unit, cohort"
        )

    def dossiers(self, where: str = "true") -> str:
        """Dossiers with their states."""
        keys = "unit, cohort, number"
        columns = f"{keys}, {', '.join(_STATE)}"
        if not self._later:
            return f"SELECT {columns} FROM {self._name}.dossiers FINAL WHERE {where}"
        moved = f"SELECT {keys} FROM {self._name}.history WHERE {self._later} AND {where}"
        before = ", ".join(f"argMax(h.{name}, (h.version, h.learnt)) AS {name}" for name in _STATE)
        return (
            f"SELECT {columns} FROM {self._name}.dossiers FINAL WHERE {where} AND ({keys}) NOT IN ({moved}) "
            f"UNION ALL SELECT {keys}, {before} FROM {self._name}.history AS h "
            f"WHERE {where} AND NOT ({self._later}) AND ({keys}) IN ({moved}) GROUP BY {keys}"
        )

    def states(self, name: str, count: str, where: str) -> str:
        """One number for the states of all dossiers of a cohort, and how many there are."""
        return (
            f"SELECT unit, cohort, sum(cityHash64(number, {', '.join(_STATE)})) AS {name}, "
            f"count() AS {count} FROM ({self.dossiers(where)}) GROUP BY unit, cohort"
        )

    def said(self, where: str) -> str:
        """Every record that a dossier ever was."""
        return (
            f"SELECT unit, cohort, number, record_time, record_status, {', '.join(_SAID)}, "
            f"bitAnd(facts, {_WIRE}) FROM {self._name}.history WHERE {where}"
        )


_WIRE: Final = 0xFF & ~(PAST | RESULT_REQUIRED)
"""The facts that a record says itself."""
_TOLD_LATE: Final = sum(1 << BIT[name] for name in _LATENESS)


def _among(rows: Sequence[Mapping[str, Any]]) -> str:
    return among([CohortKey(row["unit_code"], row["cohort"]) for row in rows])


async def _differences(live: Database, ours: _Side, theirs: _Side, those: str) -> list[Difference]:
    both = ", ".join(
        f"sumIf({name}, mine) AS a_{name}, sumIf({name}, NOT mine) AS b_{name}" for name in TALLIES
    )
    pairs = ", ".join(f"(sum(a_{name}), sum(b_{name}), countIf(a_{name} != b_{name}))" for name in TALLIES)
    differ = " OR ".join(f"a_{name} != b_{name}" for name in TALLIES)
    rows = await live.rows(
        f"SELECT toString(unit) AS unit_code, cohort, basis, [{pairs}] AS pairs FROM ("
        f"SELECT unit, cohort, system, basis, day, {both} FROM ("
        f"SELECT *, true AS mine FROM ({ours.cells(those)}) UNION ALL "
        f"SELECT *, false AS mine FROM ({theirs.cells(those)})"
        f") GROUP BY unit, cohort, system, basis, day HAVING {differ}) "
        f"GROUP BY unit, cohort, basis ORDER BY unit_code, cohort, basis SETTINGS {FINAL}"
    )
    return [
        Difference(row["unit_code"], row["cohort"], BASES[row["basis"]], tally, int(mine), int(other), cells)
        for row in rows
        for tally, (mine, other, cells) in zip(TALLIES, row["pairs"], strict=True)
        if cells
    ]


def _cause() -> str:
    """SQL for the cause of a difference between states `a` (live) and `b`."""
    clocks = ("record_time", "record_status", "progress_time", "progress_status")
    said = " OR ".join(
        (*(f"a.{name} != b.{name}" for name in _SAID), f"bitAnd(bitXor(a.facts, b.facts), {_WIRE}) != 0")
    )
    register = f"a.system != b.system OR bitAnd(bitXor(a.facts, b.facts), {RESULT_REQUIRED}) != 0"
    lateness = f"bitAnd(bitXor(a.mask, b.mask), {0xFFFFFFFF & ~_TOLD_LATE}) = 0"
    conditions: tuple[tuple[str, Cause], ...] = (
        ("NOT a.known OR NOT b.known", "unknown-dossier"),
        (" OR ".join(f"a.{name} != b.{name}" for name in clocks), "missing-log"),
        (f"({said}) AND (a_said OR b_said)", "late-lost"),
        (said, "altered-record"),
        (register, "other-register"),
        (lateness, "other-times"),
    )
    return f"multiIf({', '.join(f'{when}, {cause!r}' for when, cause in conditions)}, 'other-definition')"


async def _dossiers(
    live: Database, ours: _Side, theirs: _Side, those: str
) -> tuple[dict[Cause, int], list[Sample]]:
    def side(of: _Side) -> str:
        return f"SELECT *, true AS known FROM ({of.dossiers(those)})"

    record = f"number, {{0}}.record_time, {{0}}.record_status, {', '.join(f'{{0}}.{name}' for name in _SAID)}"
    key = f"unit, cohort, {record}, bitAnd({{0}}.facts, {_WIRE})"
    query = (
        f"SELECT toString(unit) AS unit_code, cohort, number, {_cause()} AS cause, "
        + ", ".join(f"{which}.{name} AS {which}_{name}" for which in "ab" for name in ("known", *_SHOWN))
        + f", ({key.format('a')}) IN ({theirs.said(those)}) AS a_said"
        + f", ({key.format('b')}) IN ({ours.said(those)}) AS b_said"
        + f" FROM ({side(ours)}) AS a FULL OUTER JOIN ({side(theirs)}) AS b USING (unit, cohort, number) "
        + f"WHERE NOT a.known OR NOT b.known OR ({', '.join(f'a.{n}' for n in _STATE)}) != "
        + f"({', '.join(f'b.{n}' for n in _STATE)})"
    )
    sampled = await live.rows(
        f"SELECT *, count() OVER (PARTITION BY cause) AS found FROM ({query}) "
        f"ORDER BY cause, unit_code, cohort, number LIMIT {SAMPLES} BY cause SETTINGS {FINAL}"
    )
    causes: dict[Cause, int] = {row["cause"]: int(row["found"]) for row in sampled}
    return causes, [_sample(row) for row in sampled]


def _sample(row: Mapping[str, Any]) -> Sample:
    def known(which: str) -> dict[str, Any] | None:
        if not row[f"{which}_known"]:
            return None
        return dict(_stated({name: row[f"{which}_{name}"] for name in _SHOWN}))

    return Sample(row["number"], row["unit_code"], row["cohort"], row["cause"], known("a"), known("b"))


def _stated(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A state in words: times local, the mask as the tallies it adds to."""
    for name, value in state.items():
        match name:
            case "mask":
                yield "counts", [tally for bit, tally in enumerate(TALLIES) if value >> bit & 1]
            case "system":
                yield name, SYSTEMS[value]
            case "facts":
                pass
            case _ if hasattr(value, "isoformat"):
                yield name, value.isoformat() if value.timestamp() else None
            case _:
                yield name, value


def _sort(
    cohorts: dict[str, int], differ: Sequence[Mapping[str, Any]], differences: Sequence[Difference]
) -> None:
    """Count the cohorts that differ by whether the rehearsal has less, more, or both."""
    signs: dict[tuple[str, int], set[bool]] = {}
    for one in differences:
        # A tally that only stands on other days, or in another system, is less there and more here.
        more = {one.rehearsed > one.live} if one.rehearsed != one.live else {True, False}
        signs.setdefault((one.unit, one.month), set()).update(more)
    for row in differ:
        found = signs.get((row["unit_code"], row["cohort"]))
        if found is None:
            cohorts["dossiers"] += 1
        else:
            cohorts["both" if len(found) > 1 else "surplus" if True in found else "deficit"] += 1
