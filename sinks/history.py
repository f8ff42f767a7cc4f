"""What was known on a day: sums of the changes that were learnt by its end, and how one dossier came about.

`history` holds what each accepted event added and took away (`rates.effects.ChangeRow`), so what counted at
any moment is one sum over it, and what was restated since is the sum of the rest. Nothing here says how a
dossier counts: masks and days are those that the fold found.

Views that end in `_known` are those of `rates.known`.
"""

from collections.abc import Iterator
from typing import Any, Final

from rates.known import KINDS
from rates.tallies import BASES, BIT, TALLIES
from sinks.client import Database

FINAL: Final = "do_not_merge_across_partitions_select_final = 1"
"""A change and its copies were learnt at the same time, so they are in one partition."""
_BOTH_COMPLETED: Final = (
    "was_completed_day != completed_day AND least(was_completed_day, completed_day) > toDate(0)"
)
_RESULTS: Final = sum(1 << BIT[name] for name in ("e_result", "e_result_clean"))
_TESTS: Final = (
    "was_mask = 0",
    f"bitTest(mask, {BIT['withdrawn']}) AND NOT bitTest(was_mask, {BIT['withdrawn']})",
    f"was_received_day != received_day OR was_due_day != due_day OR ({_BOTH_COMPLETED})",
    f"bitAnd(bitAnd(mask, bitNot(was_mask)), {_RESULTS}) != 0",
    f"bitAnd(bitAnd(was_mask, bitNot(mask)), {_RESULTS}) != 0",
    "bitXor(mask, was_mask) != 0",
)
"""What makes a change one of `KINDS`, in their order; the last of them is what is left."""
_LAZY: Final = "short_circuit_function_evaluation = 'force_enable'"
"""Of most changes it need not be asked of what kind they are: they were learnt in their own month."""


def _kind() -> str:
    tests = ", ".join(f"{when}, {name!r}" for when, name in zip(_TESTS, KINDS, strict=False))
    return f"multiIf({tests}, {KINDS[-1]!r})"


def _late(day: str) -> str:
    """The kind of a change that was learnt after the month of a day that it is about, else ""."""
    was = f"if(was_{day} > toDate(0), was_{day}, {day})"
    first = f"least({was}, if({day} > toDate(0), {day}, was_{day}))"
    return f"if(toStartOfMonth(learnt) > toStartOfMonth({first}), {_kind()}, '')"


SUMS: Final = ", ".join(f"sum(one.4 * bitTest(one.3, {bit})) AS {name}" for bit, name in enumerate(TALLIES))
"""SQL for what changes (`changed`) add up to in every tally."""


def changed(basis: str, columns: str, where: str, table: str = "history") -> str:
    """SQL for what was added (`one.4` = 1) and taken away (-1) on a basis: (system, day, mask, sign)."""
    day = f"{basis}_day"
    return (
        f"SELECT {columns}, arrayJoin([(system, {day}, mask, toInt8(1)), "
        f"(was_system, was_{day}, was_mask, toInt8(-1))]) AS one FROM {table} FINAL "
        f"WHERE {where} AND (mask, system, {day}) != (was_mask, was_system, was_{day})"
    )


def views(body: str, named: dict[str, str]) -> Iterator[str]:
    """The views of what was known. `body`: SQL for the body of `unit` on `day`; `named`: that for the name of
    an index, of `system` and of `basis`, on a column `t`."""
    cells = " UNION ALL ".join(
        f"SELECT unit, toUInt8({at}) AS basis, one.1 AS system, one.2 AS day, {SUMS} FROM ("
        f"{changed(basis, 'unit', 'learnt < toDateTime({known:UInt32})')}) "
        "WHERE one.2 > toDate(0) GROUP BY unit, system, day"
        for at, basis in enumerate(BASES)
    )
    tallies = ", ".join(f"t.{name} AS {name}" for name in TALLIES)
    within = "t.day BETWEEN {first:Date} AND {last:Date}"
    yield f"CREATE OR REPLACE VIEW cells_known AS {cells} SETTINGS {FINAL}"
    known = "cells_known(known = {known:UInt32}) AS t"
    yield (
        f"CREATE OR REPLACE VIEW body_sums_known AS SELECT {body} AS body, t.basis AS basis, "
        f"t.system AS system, t.day AS day, {tallies} FROM {known} WHERE {within}"
    )
    yield (
        f"CREATE OR REPLACE VIEW unit_days_known AS SELECT t.unit AS unit, {body} AS body, t.basis AS basis, "
        f"t.day AS day, {tallies} FROM {known} WHERE {within}"
    )
    summed = ", ".join(f"sum(t.{name}) AS {name}" for name in TALLIES)
    yield (
        "CREATE OR REPLACE VIEW unit_sums_known AS SELECT t.unit AS unit, t.body AS body, t.basis AS basis, "
        f"{summed} FROM unit_days_known(known = {{known:UInt32}}, first = {{first:Date}}, "
        "last = {last:Date}) AS t GROUP BY unit, body, basis"
    )
    yield (
        f"CREATE OR REPLACE VIEW counts_known AS SELECT t.unit AS unit, {body} AS body, "
        f"{named['system']} AS system, {named['basis']} AS basis, t.basis AS basis_index, t.day AS day, "
        f"formatDateTime(t.day, '%Y-%m') AS month, {tallies} FROM {known}"
    )


def _restatements(basis: str, body: str, known: str = "") -> str:
    """SQL for what each month's figures on a basis are made of: what was known at its end, and what came
    later, by kind.

    A month is first published at its end; of one that is not over, as far as data go, there is nothing. Each
    row has a unit, a body, a month (its first day), a `kind` ("" for what was known at the end, else one of
    `KINDS`) and what that adds to every tally. Rows of one month add up to what it says now.
    `known`: SQL for a moment; then nothing that was learnt later is told.
    """
    freshness = f"freshness_known(known = {known})" if known else "freshness"
    published = f"(SELECT toStartOfMonth(toDate(min(complete_to) + 1)) FROM {freshness})"
    within = "BETWEEN {first:Date} AND {last:Date}"
    learnt = f" AND learnt < toDateTime({known})" if known else ""
    changes = (
        f"SELECT unit, one.2 AS day, if(learnt_month <= toStartOfMonth(one.2), '', change) AS kind, {SUMS} "
        "FROM ("
        + changed(
            basis,
            f"unit, toStartOfMonth(learnt) AS learnt_month, {_late(f'{basis}_day')} AS change",
            f"({basis}_day {within} OR was_{basis}_day {within}){learnt}",
        )
        + f") WHERE one.2 > toDate(0) AND one.2 {within} AND one.2 < {published} GROUP BY unit, day, kind"
    )
    tallies = ", ".join(f"t.{name} AS {name}" for name in TALLIES)
    return (
        f"SELECT t.unit AS unit, {body} AS body, toStartOfMonth(t.day) AS month, "
        f"t.kind AS kind, {tallies} FROM ({changes}) AS t SETTINGS {FINAL}, {_LAZY}"
    )


def restatements_views(body: str) -> Iterator[str]:
    """The views `restatements_…` of (first = …, last = …) of each basis, as it stands and as it was known;
    and `unit_homes`: for each unit the bodies that it was ever of, so that a body's units are found without
    the others'. One view for each basis: to read a question about all takes the engine longer than to answer.
    """
    days = "arrayConcat([toDate(1)], (SELECT groupUniqArray(arrayJoin([from_day, "
    days += "toDate(least(toUInt32(to_day) + 1, 65535))])) FROM unit_bodies))"
    yield (
        f"CREATE OR REPLACE VIEW unit_homes AS SELECT DISTINCT unit, {body} AS body FROM ("
        f"SELECT unit, arrayJoin({days}) AS day FROM (SELECT DISTINCT unit FROM history))"
    )
    for basis in BASES:
        view = f"CREATE OR REPLACE VIEW restatements_{basis}"
        yield f"{view} AS {_restatements(basis, body)}"
        yield f"{view}_known AS {_restatements(basis, body, '{known:UInt32}')}"


def dossiers_view(columns: str) -> str:
    """The view of dossiers as known, with the columns of `dossiers_named` (SQL over a row `d`)."""
    kept = ("procedure", "sector", "status", "received", "completed", "due", "system", "mask")
    days = tuple(f"{basis}_day" for basis in BASES)
    latest = ", ".join(f"argMax(h.{name}, (h.version, h.learnt)) AS {name}" for name in (*kept, *days))
    return (
        f"CREATE OR REPLACE VIEW dossiers_named_known AS SELECT {columns} FROM (SELECT unit, cohort, number, "
        f"{latest} FROM history AS h WHERE h.learnt < toDateTime({{known:UInt32}}) "
        "GROUP BY unit, cohort, number) AS d"
    )


def versions_views(columns: str, bodies: str) -> Iterator[str]:
    """The views of a dossier's accepted versions, as they stand and as known: a row for each, and when it was
    learnt. `columns`: SQL over a row `d`; `bodies`: SQL for all bodies that it counts for then.
    """
    told = (
        f"SELECT {columns}, d.version AS version, d.learnt AS learnt_at, {_kind()} AS kind, record_status, "
        f"d.record_time AS record_at, progress_status, d.progress_time AS progress_at, mask, was_mask, "
        f"{bodies} AS bodies FROM history AS d FINAL"
    )
    yield f"CREATE OR REPLACE VIEW dossier_versions AS {told} SETTINGS {FINAL}"
    yield (
        f"CREATE OR REPLACE VIEW dossier_versions_known AS {told} "
        f"WHERE d.learnt < toDateTime({{known:UInt32}}) SETTINGS {FINAL}"
    )


async def versions(database: Database, number: str, body: str = "") -> list[dict[str, Any]]:
    """What a dossier was after each accepted event, the first first; times in seconds since 1970 UTC.

    With a `body`, nothing unless the dossier ever counted for it.
    """
    times = ", ".join(
        f"toUInt32({name}_at) AS {name}_time"
        for name in ("learnt", "record", "progress", "received", "completed", "due")
    )
    return await database.rows(
        f"SELECT version, kind, status, record_status, progress_status, {times}, system, "
        "toString(procedure) AS procedure_code, toString(sector) AS sector_code, mask, was_mask "
        "FROM (SELECT *, max(has(bodies, {body:String})) OVER () AS theirs FROM dossier_versions "
        "WHERE unit = splitByChar('-', {number:String})[1] AND number = {number:String}) "
        "WHERE {body:String} = '' OR theirs ORDER BY version, learnt_at",
        {"number": number, "body": body},
    )
