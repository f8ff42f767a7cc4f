"""Commands that answer: rates, the dossiers behind them, the scoreboard, settings, what is there."""

from typing import Annotated, Any, Final

import typer

from motcua import clock
from motcua.access import limited, unlimited
from motcua.cli import Json, app, ask, console, day, days, given, reading, settings, show, table, wrong
from motcua.settings import origins
from rates.definitions import DEFINITIONS, FORMS, Definition, Form, definition
from rates.tallies import BIT
from rates.wire import BODY, UNIT, unit_of

_FORMS: Final[dict[str, tuple[Form, ...]]] = {"reported": ("reported",), "clean": ("clean",), "both": FORMS}

From = Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="First day, inclusive.")]
To = Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last day, inclusive.")]
Id = Annotated[str, typer.Option("--definition", metavar="ID", help="ER-766-DOC, …")]


@app.command()
@reading
def rates(
    definition_id: Id = "",
    form: Annotated[str, typer.Option(help="reported, clean or both.")] = "reported",
    by: Annotated[str, typer.Option(metavar="unit,body,day,month,system")] = "",
    first: From = "",
    last: To = "",
    as_of: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="As known at the end of that day.")] = "",
    as_json: Json = False,
) -> None:
    """Electronic-result rates, with numerator and denominator."""
    from sinks import reads

    wanted = (definition_of(definition_id),) if definition_id else DEFINITIONS
    forms = _form(form)
    groups = tuple(group for group in by.split(",") if group)
    for group in groups:
        if group not in reads.GROUPS or groups.count(group) > 1:
            msg = f"--by takes each of {','.join(reads.GROUPS)} at most once, not {by!r}"
            raise wrong(msg)
    period = reads.Period(*days(first, last))
    scope = reads.Scope(body=limited(settings()))

    known = clock.end_of(day(as_of, "--as-of")) if as_of else None

    async def question(database: Any) -> tuple[int | None, list[dict[str, Any]]]:
        complete = await reads.complete_to(database)
        if complete is not None and known is not None:
            complete = min(complete, known - 1)
        return complete, await reads.steady(
            database, lambda: reads.rates(database, wanted, forms, groups, period, scope, known)
        )

    complete, rows = ask(question)
    complete_to = clock.iso(complete) if complete is not None else None
    if as_json:
        show({"complete_to": complete_to, "rows": rows})
        return
    _print(rows, f"complete to {complete_to or '–'}")


@app.command()
@reading
def dossiers(
    unit: Annotated[str, typer.Option(metavar="CODE")] = "",
    body: Annotated[str, typer.Option(metavar="CODE")] = "",
    first: From = "",
    last: To = "",
    definition_id: Id = "",
    form: Annotated[str, typer.Option(help="reported or clean.")] = "reported",
    missing: Annotated[bool, typer.Option(help="Those in the denominator alone.")] = False,
    number: Annotated[str, typer.Option(metavar="NUMBER", help="One dossier: its accepted versions.")] = "",
    as_json: Json = False,
) -> None:
    """The dossiers behind a number: those in the denominator, each with whether it `counts` above.

    With --number, one dossier instead: what it was after each accepted event, and when that was learnt.
    """
    from sinks import reads

    if number:
        if unit or body or first or last or definition_id or missing or form != "reported":
            raise wrong("--number is about one dossier: leave the other options out")
        _versions(number, as_json)
        return
    if missing and not definition_id:
        raise wrong("--missing needs a --definition: what is missing depends on it")
    forms = _form(form)
    if len(forms) != 1:
        raise wrong("--form takes reported or clean here")
    found = definition_of(definition_id) if definition_id else None
    for option, code, pattern in (("--unit", unit, UNIT), ("--body", body, BODY)):
        if code and not pattern.fullmatch(code):
            msg = f"{option} takes a code such as {'H18.21' if pattern is UNIT else 'H18'}, not {code!r}"
            raise wrong(msg)
    scope = reads.Scope(unit, limited(settings(), body))
    period = reads.Period(*days(first, last))

    async def question(database: Any) -> list[dict[str, Any]]:
        return await reads.dossiers(database, found, forms[0], scope, period, missing=missing)

    rows = ask(question)
    if as_json:
        show({"rows": rows})
        return
    _print(rows, f"{len(rows)} dossiers")


@app.command()
@reading
def scoreboard(as_json: Json = False) -> None:
    """The figures of the October 2023 report, published and recomputed; exit 1 if one differs."""
    import msgspec

    from dashboards.scoreboard import scoreboard as figures_of
    from sinks import reference

    unlimited(settings(), "the report is about the whole country")

    async def question(database: Any) -> list[Any]:
        return await figures_of(database, await reference.load(database))

    figures = ask(question)
    if as_json:
        show({"rows": [msgspec.to_builtins(figure) for figure in figures]})
    else:
        listed = table(title="October 2023 report, ER-766-DOC as reported")
        for column in ("figure", "published", "recomputed", "numerator", "denominator", "agrees"):
            listed.add_column(column, justify="left" if column == "figure" else "right")
        for figure in figures:
            listed.add_row(
                f"{figure.label_en}",
                figure.published,
                figure.recomputed,
                f"{figure.numerator:,}",
                f"{figure.denominator:,}",
                "yes" if figure.agrees else "NO",
            )
        console().print(listed)
    if not all(figure.agrees for figure in figures):
        raise typer.Exit(1)


@app.command()
@reading
def config(as_json: Json = False) -> None:
    """Every setting with its value and where that came from."""
    settings()
    rows = origins(given)
    if as_json:
        show({"rows": [dict(zip(("name", "value", "origin", "meaning"), row, strict=True)) for row in rows]})
        return
    listed = table("setting", "value", "origin", "meaning")
    for row in rows:
        listed.add_row(*row)
    console().print(listed)


def _versions(number: str, as_json: bool) -> None:
    from sinks import history

    if unit_of(number) is None:
        msg = f"--number takes a number such as H18.21-231002-0147, not {number!r}"
        raise wrong(msg)
    scope = limited(settings())

    async def question(database: Any) -> list[dict[str, Any]]:
        return await history.versions(database, number, scope)

    rows = [_version(row) for row in ask(question)]
    if as_json:
        show({"rows": rows})
        return
    _print(
        [{**row, "tallies": " ".join(row["tallies"])} for row in rows], f"{len(rows)} versions of {number}"
    )


def _version(row: dict[str, Any]) -> dict[str, Any]:
    def at(name: str) -> str | None:
        return clock.iso(row[f"{name}_time"]) if row[f"{name}_time"] else None

    return {
        "learnt": at("learnt"),
        "kind": row["kind"],
        "status": row["status"],
        "record_status": row["record_status"],
        "recorded": at("record"),
        "progress_status": row["progress_status"],
        "progressed": at("progress"),
        "received": at("received"),
        "completed": at("completed"),
        "due": at("due"),
        "system": row["system"],
        "procedure": row["procedure_code"],
        "sector": row["sector_code"],
        "tallies": [name for name, bit in BIT.items() if row["mask"] >> bit & 1],
    }


def definition_of(identifier: str) -> Definition:
    """The definition of an id; wrong use where there is none."""
    try:
        return definition(identifier)
    except LookupError as error:
        raise wrong(str(error)) from None


def _form(form: str) -> tuple[Form, ...]:
    if form not in _FORMS:
        msg = f"--form takes reported, clean or both, not {form!r}"
        raise wrong(msg)
    return _FORMS[form]


def _print(rows: list[dict[str, Any]], caption: str) -> None:
    listed = table(caption=caption)
    for name in rows[0] if rows else ("nothing yet",):
        numeric = name in ("numerator", "denominator", "rate", "status")
        listed.add_column(name, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in rows:
        listed.add_row(*(_shown(name, value) for name, value in row.items()))
    console().print(listed)


def _shown(name: str, value: object) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{100 * value:.2f} %"
        case bool():
            return "yes" if value else "no"
        case int() if name in ("numerator", "denominator"):
            return f"{value:,}"
        case _:
            return str(value)
