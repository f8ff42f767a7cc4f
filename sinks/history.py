"""What was known on a day: sums of the changes that were learnt by its end, and how one dossier came about.

`history` holds what each accepted event added and took away (`rates.effects.ChangeRow`), so what counted at
any moment is one sum over it, and what was restated since is the sum of the rest. Nothing here says how a
dossier counts: masks and days are those that the fold found.

Views end in `_known` and take `known` (seconds since 1970 UTC): what was learnt before it. They have the
columns of the views that they are named after, so a question about today becomes one about that day by
`as_known`.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from rates.definitions import Definition, Form
from rates.tallies import BASES, BIT, SYSTEMS, TALLIES
from sinks.client import Database

FINAL: Final = "do_not_merge_across_partitions_select_final = 1"
"""A change and its copies were learnt at the same time, so they are in one partition."""
_PARAMETRIC: Final = re.compile(r"\b(body_sums|unit_sums|unit_days)\(")
_PLAIN: Final = re.compile(r"\b(FROM )(counts|dossiers_named)\b(?!\()")
_BOTH_COMPLETED: Final = (
    "was_completed_day != completed_day AND least(was_completed_day, completed_day) > toDate(0)"
)
_KINDS: Final = (
    ("learnt_late", "was_mask = 0"),
    ("withdrawn", f"bitTest(mask, {BIT['withdrawn']}) AND NOT bitTest(was_mask, {BIT['withdrawn']})"),
    (
        "day_moved",
        f"was_received_day != received_day OR was_due_day != due_day OR ({_BOTH_COMPLETED})",
    ),
    ("result_added", f"bitTest(mask, {BIT['e_result']}) AND NOT bitTest(was_mask, {BIT['e_result']})"),
    ("result_removed", f"bitTest(was_mask, {BIT['e_result']}) AND NOT bitTest(mask, {BIT['e_result']})"),
    ("status_changed", "bitXor(mask, was_mask) != 0"),
)
KINDS: Final = (*(name for name, _ in _KINDS), "other")
"""By what kind of event a figure moves; the first that fits. `other`: the dossier moved to another system."""


def as_known(sql: str) -> str:
    """A query over views as one over what was known; it takes `{known:UInt32}` beside its parameters."""
    found = _PARAMETRIC.sub(r"\1_known(known = {known:UInt32}, ", sql)
    return _PLAIN.sub(r"\1\2_known(known = {known:UInt32})", found)


def _kind() -> str:
    return f"multiIf({', '.join(f'{when}, {name!r}' for name, when in _KINDS)}, 'other')"


def changed(basis: str, columns: str, where: str) -> str:
    """SQL for what was added (`one.4` = 1) and taken away (-1) on a basis: (system, day, mask, sign)."""
    day = f"{basis}_day"
    return (
        f"SELECT {columns}, arrayJoin([(system, {day}, mask, toInt8(1)), "
        f"(was_system, was_{day}, was_mask, toInt8(-1))]) AS one FROM history FINAL "
        f"WHERE {where} AND (mask, system, {day}) != (was_mask, was_system, was_{day})"
    )


def views(body: str, named: dict[str, str]) -> Iterator[str]:
    """The views. `body`: SQL for the body of `unit` on `day`; `named`: that for the name of an index, of
    `system` and of `basis`, on a column `t`."""
    sums = ", ".join(f"sum(one.4 * bitTest(one.3, {bit})) AS {name}" for bit, name in enumerate(TALLIES))
    cells = " UNION ALL ".join(
        f"SELECT unit, toUInt8({at}) AS basis, one.1 AS system, one.2 AS day, {sums} FROM ("
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


async def versions(database: Database, number: str, unit: str, cohort: int) -> list[dict[str, Any]]:
    """What a dossier was after each accepted event, the first first; times in seconds since 1970 UTC."""
    return await database.rows(
        "SELECT version, toUInt32(learnt) AS learnt_time, status, record_status, "
        "toUInt32(record_time) AS recorded_time, progress_status, toUInt32(progress_time) AS progress_at, "
        "toUInt32(received) AS received_time, toUInt32(completed) AS completed_time, "
        "toUInt32(due) AS due_time, toString(procedure) AS procedure_code, toString(sector) AS sector_code, "
        f"{_named_system('system')} AS system_name, mask, was_mask, {_kind()} AS kind FROM history FINAL "
        "WHERE unit = {unit:String} AND cohort = {cohort:UInt32} AND number = {number:String} "
        f"ORDER BY version, learnt SETTINGS {FINAL}",
        {"unit": unit, "cohort": cohort, "number": number},
    )


def _named_system(index: str) -> str:
    return f"[{', '.join(repr(name) for name in SYSTEMS)}][{index} + 1]"


def restated(definition: Definition, form: Form) -> str:
    """SQL for how far each month's figure moved since its end, by body, unit and kind of event.

    Parameters `first` and `last`, days; of a month that is not over nothing has been published. Columns
    month, body, unit, kind, and what the kind added to numerator and denominator since.
    """
    above, below = BIT[definition.tally(form)], BIT[definition.denominator]
    basis = BASES.index(definition.basis)
    day = BASES[basis]
    return (
        "SELECT formatDateTime(day, '%Y-%m') AS month, unit, day, kind, sum(above) AS above, "
        "sum(below) AS below FROM (SELECT unit, kind, learnt, one.2 AS day, "
        f"one.4 * bitTest(one.3, {above}) AS above, one.4 * bitTest(one.3, {below}) AS below FROM ("
        f"{changed(day, f'unit, learnt, {_kind()} AS kind', 'true')}) "
        "WHERE one.2 > toDate(0) AND one.2 BETWEEN {first:Date} AND {last:Date}) "
        "WHERE learnt >= toDateTime(addMonths(toStartOfMonth(day), 1), 'Asia/Ho_Chi_Minh') "
        "GROUP BY month, unit, day, kind"
    )
