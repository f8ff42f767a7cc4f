"""Questions that the command line asks of the database: rates, the dossiers behind them, how far data go.

Rates are sums over the `rates_*` views, so counts are pooled and no ratio is ever averaged.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from rates.definitions import FORMS, Definition, Form
from rates.known import as_known
from rates.tallies import BASES, BIT, SYSTEMS
from sinks.client import Database
from sinks.migrate import body, named

T = TypeVar("T")

GROUPS: Final = ("unit", "body", "day", "month", "system")


class Period(NamedTuple):
    """Days `YYYY-MM-DD`, inclusive at both ends; "" for no limit."""

    first: str = ""
    last: str = ""


class Scope(NamedTuple):
    """Whose dossiers; "" for all."""

    unit: str = ""
    body: str = ""


_FIRST: Final = "1970-01-01"
_LAST: Final = "2149-06-06"
"""The days that a Date holds."""
ALWAYS: Final = Period()
EVERYWHERE: Final = Scope()


async def rates(
    database: Database,
    definitions: Sequence[Definition],
    forms: Sequence[Form] = FORMS,
    by: Sequence[str] = (),
    period: Period = ALWAYS,
    scope: Scope = EVERYWHERE,
    known: int | None = None,
) -> list[dict[str, Any]]:
    """Rates as `motcua rates --json` lists them: numerator, denominator, and their ratio or None for 0/0.

    One row for each group in which either count is above 0; without `by`, one row in any case. `known`: as
    they were known before that moment, seconds since 1970 UTC.
    """
    rows: list[dict[str, Any]] = []
    for definition in definitions:
        source, within = _source(definition, {*by}, period, scope)
        if known is not None:
            if source == definition.view:
                source = _counted(definition, "unit, body, system, day, month", "counts", "basis_index")
            source = as_known(source)
        keys = "".join(f"{_GROUP.get(group, group)} AS g_{group}, " for group in by)
        grouped = "GROUP BY " + ", ".join(f"g_{group}" for group in by) if by else ""
        found = await database.rows(
            f"SELECT {keys}sum(numerator_reported) AS reported, sum(numerator_clean) AS clean, "
            f"sum(denominator) AS total FROM {source} WHERE {within} AND {_of(scope)} {grouped}",
            {
                "first": period.first or _FIRST,
                "last": period.last or _LAST,
                "known": known or 0,
                **scope._asdict(),
            },
        )
        for row in found:
            for form in forms:
                numerator, denominator = int(row[form]), int(row["total"])
                if by and not numerator and not denominator:
                    continue
                rows.append(
                    {
                        "definition": definition.id,
                        "form": form,
                        "basis": definition.basis,
                        **{group: row[f"g_{group}"] for group in by},
                        "numerator": numerator,
                        "denominator": denominator,
                        "rate": numerator / denominator if denominator else None,
                    }
                )
    rows.sort(key=lambda row: (row["definition"], row["form"], *(row[group] for group in by)))
    return rows


def _source(definition: Definition, by: set[str], period: Period, scope: Scope) -> tuple[str, str]:
    """Where a definition's counts are read, and what keeps them to the period: sums where there are any."""
    sums = kept = ""
    if "unit" not in by and not scope.unit:
        sums = "body_sums"
        kept = f"body, {named(SYSTEMS, 's.system')} AS system, day, formatDateTime(day, '%Y-%m') AS month"
    elif by <= {"unit", "body"} and not scope.unit:
        sums, kept = "unit_sums", "unit, body"
    if not sums:
        return definition.view, _within("day", period)
    return _counted(definition, kept, f"{sums}(first = {{first:Date}}, last = {{last:Date}}) AS s"), "true"


def _counted(definition: Definition, kept: str, source: str, basis: str = "basis") -> str:
    """SQL for a definition's counts, with the columns that are kept."""
    reported, clean = definition.numerator
    return (
        f"(SELECT {kept}, {reported} AS numerator_reported, {clean} AS numerator_clean, "
        f"{definition.denominator} AS denominator FROM {source} "
        f"WHERE {basis} = {BASES.index(definition.basis)})"
    )


async def steady(database: Database, question: Callable[[], Awaitable[T]]) -> T:
    """The answer to a question of several queries, asked again if a swap came in between."""
    live = (
        "SELECT arraySort(groupArray(toString(uuid))) FROM system.tables "
        "WHERE database = {name:String} AND name IN ('history', 'tallies')"
    )
    while True:
        before = await database.value(live, {"name": database.name})
        answer = await question()
        if before == await database.value(live, {"name": database.name}):
            return answer


async def complete_to(database: Database) -> int | None:
    """Up to when the figures are complete: the minimum over partitions, seconds since 1970 UTC."""
    found = await database.rows(
        "SELECT toUInt32(min(complete_to)) AS complete, count() AS partitions FROM freshness"
    )
    return int(found[0]["complete"]) if found[0]["partitions"] else None


async def reached(database: Database) -> dict[int, int]:
    """The version that each partition is durable to."""
    rows = await database.rows("SELECT partition, version FROM progress FINAL")
    return {row["partition"]: row["version"] for row in rows}


async def dossiers(
    database: Database,
    definition: Definition | None,
    form: Form = "reported",
    scope: Scope = EVERYWHERE,
    period: Period = ALWAYS,
    *,
    missing: bool = False,
    limit: int = 0,
) -> list[dict[str, Any]]:
    """The dossiers in a rate's denominator, each with whether it `counts` in the numerator.

    `missing`: those in the denominator alone. Without a definition, every received dossier. `limit` 0: all.
    """
    basis = definition.basis if definition else BASES[0]
    denominator = BIT[definition.denominator if definition else "received"]
    numerator = BIT[definition.tally(form) if definition else "received"]
    day = f"{basis}_day"
    conditions = [f"bitTest(mask, {denominator})", f"{day} > toDate(0)", _within(day, period)]
    if scope.unit:
        conditions.append("unit = {unit:String}")
    if scope.body:
        conditions.append(f"{body(day)} = {{body:String}}")
    if missing:
        conditions.append(f"NOT bitTest(mask, {numerator})")
    found = await database.rows(
        f"SELECT number, toString(unit) AS unit_code, {body(day)} AS body_code, "
        f"{named(SYSTEMS, 'd.system')} AS system_name, toString(procedure) AS procedure_code, "
        f"toString(sector) AS sector_code, status, {_time('received')}, {_time('completed')}, "
        f"{_time('due')}, toString({day}) AS counted_day, bitTest(mask, {numerator}) AS counts "
        f"FROM dossiers AS d FINAL WHERE {' AND '.join(conditions)} ORDER BY {day}, number "
        f"{f'LIMIT {limit:d}' if limit else ''} SETTINGS do_not_merge_across_partitions_select_final = 1",
        {**period._asdict(), **scope._asdict()},
    )
    return [
        {
            "number": row["number"],
            "unit": row["unit_code"],
            "body": row["body_code"],
            "system": row["system_name"],
            "procedure": row["procedure_code"],
            "sector": row["sector_code"],
            "status": row["status"],
            "received": row["received_text"] or None,
            "completed": row["completed_text"] or None,
            "due": row["due_text"] or None,
            "day": row["counted_day"],
            "counts": bool(row["counts"]),
        }
        for row in found
    ]


def _time(column: str) -> str:
    shown = f"formatDateTime(d.{column}, '%Y-%m-%dT%H:%i:%S+07:00', 'Asia/Ho_Chi_Minh')"
    return f"if(toUInt32(d.{column}) = 0, '', {shown}) AS {column}_text"


def _of(scope: Scope) -> str:
    unit = "unit = {unit:String}" if scope.unit else "true"
    return unit + (" AND body = {body:String}" if scope.body else "")


_GROUP: Final = {"unit": "toString(unit)", "day": "toString(day)"}


def _within(day: str, period: Period) -> str:
    first = f"{day} >= {{first:Date}}" if period.first else "true"
    last = f"{day} <= {{last:Date}}" if period.last else "true"
    return f"{first} AND {last}"
