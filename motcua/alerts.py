"""`motcua alerts`: which rules fire for whom, why, and what is silenced."""

import getpass
import tomllib
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from motcua import clock
from motcua.access import limited
from motcua.cli import Json, app, ask, console, day, days, reading, say, settings, show, table, wrong
from rates.alerts import REQUIRED, RESULT, RULES, Level, Rule, RulesError, altered, rule
from rates.sheets import EPOCH, day_number
from rates.wire import BODY, DAY, LOCAL, UNIT, day_of

SETTLING: Final = 21
"""Days before the first evening of a backtest, so that what was going on by then is known."""
STATES: Final = ("ok", "pending", "firing", "too_few", "stale")

alerts = typer.Typer(
    invoke_without_command=True,
    help="Which rules fire for which unit or body, why, and what is silenced.",
)
app.add_typer(alerts, name="alerts")

RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="R1, R2, …")]
SubjectArgument = Annotated[str, typer.Argument(metavar="SUBJECT", help="A unit, province or ministry.")]


@alerts.callback()
@reading
def list_(
    context: typer.Context,
    state: Annotated[str, typer.Option(metavar="STATE", help=f"One of {', '.join(STATES)}.")] = "",
    body: Annotated[str, typer.Option(metavar="CODE")] = "",
    rule_id: Annotated[str, typer.Option("--rule", metavar="RULE")] = "",
    as_json: Json = False,
) -> None:
    """Alerts that are pending or fire; with --state, those in that state."""
    if context.invoked_subcommand:
        return
    from sinks.alerts import Asked, evaluated, failing, now

    if state and state not in STATES:
        raise wrong(f"--state takes one of {', '.join(STATES)}, not {state!r}")
    if body and not BODY.fullmatch(body):
        raise wrong(f"--body takes a code such as H18, not {body!r}")
    if rule_id:
        _rule(rule_id)
    asked = Asked(state=state, body=limited(settings(), body), rule=rule_id)

    async def question(database: Any) -> tuple[int | None, list[dict[str, Any]], list[dict[str, Any]]]:
        return await evaluated(database), await now(database, asked), await failing(database, asked.body)

    at, rows, failed = ask(question)
    complete_to = clock.iso(at) if at else None
    rows = [_timed(row) for row in rows]
    failed = [_timed(row) for row in failed]
    if as_json:
        show({"complete_to": complete_to, "rows": rows, "failing": failed})
        return
    listed = table(*_LISTED, caption=f"{len(rows):,} alerts, evaluated complete to {complete_to or '–'}")
    for row in rows:
        listed.add_row(*(_text(row[name]) for name in _LISTED))
    console().print(listed)
    for one in failed:
        say(f"{one['channel']} could not be told of {one['body']}, {one['tries']} times: {one['failing']}")


@alerts.command()
@reading
def backtest(
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="First evening.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last evening.")] = "",
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", metavar="FILE", help="TOML with other numbers: [R1] threshold = 0.6 …"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Which alerts would have fired and ended, by what was known on each evening; two FILEs side by side."""
    begin, end = days(first, last)
    if not begin or not end:
        raise wrong("name the evenings with --from and --to")
    if len(rules or ()) > 2:
        raise wrong("--rules takes two files at most, to be held against each other")
    sets = [(path.name, _altered(path)) for path in rules or ()] or [("shipped", RULES)]
    only = limited(settings())

    async def question(database: Any) -> tuple[int, list[dict[str, Any]]]:
        return await backtested(database, begin, end, sets, only)

    evenings, rows = ask(question)
    if as_json:
        names = [name for name, _ in sets]
        show({"from": begin, "to": end, "rules": names, "evenings": evenings, "rows": rows})
        return
    _compared(rows, [name for name, _ in sets], evenings)


def _altered(path: Path) -> tuple[Rule, ...]:
    try:
        with path.open("rb") as file:
            return altered(tomllib.load(file))
    except OSError as error:
        raise wrong(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, RulesError, AttributeError) as error:
        raise wrong(f"{path}: {error}. A rule is changed as in: [R1] threshold = 0.6") from None


async def backtested(
    database: Any, first: str, last: str, sets: list[tuple[str, tuple[Rule, ...]]], only: str
) -> tuple[int, list[dict[str, Any]]]:
    """On how many evenings something was known, and what would have been logged, as rows of `--json`."""
    from rates.calendar import Calendar
    from sinks import reference
    from sinks.past import Course, Past
    from streams.verdicts import Judge

    calendar, register = Calendar.shipped(), await reference.load(database)
    begin, end = (day_number(date.fromisoformat(text)) for text in (first, last))
    # What was going on already on the first evening is no news of it.
    settled = begin - SETTLING
    tallies = {name for _, chosen in sets for one in chosen for name in (*one.tallies, *(one.parts or ()))}
    past = Past(database, register, calendar, settled, end, {*tallies, RESULT, REQUIRED})
    await past.load()
    courses = [(name, Course(past), chosen) for name, chosen in sets]
    judges = [
        (course, Judge(course, calendar, lambda course=course: course.at, 0, chosen))  # type: ignore[misc]
        for _, course, chosen in courses
    ]
    evenings = 0
    for evening in sorted(past.days):
        if not settled <= evening <= end:
            continue
        past.advance(evening)
        evenings += evening >= begin
        for course, judge in judges:
            course.at = (evening + 1) * DAY - LOCAL - 1
            await judge.judge()
    found = [
        {
            "rules": name,
            "rule": one.key.rule,
            "level": one.key.level,
            "subject": one.key.subject,
            "body": one.body,
            "at": clock.iso(at),
            "before": one.before.status,
            "state": one.after.status,
            "severity": one.after.severity,
            "value": one.reading.value,
            "threshold": one.reading.threshold,
            "numerator": one.reading.numerator,
            "denominator": one.reading.denominator,
            "reason_vi": one.reason_vi,
            "reason_en": one.reason_en,
        }
        for name, course, _ in courses
        for at, one in course.told
        if day_of(at) >= begin and only in ("", one.body)
    ]
    found.sort(key=lambda row: (row["at"], row["rules"], row["rule"], row["level"], row["subject"]))
    return evenings, found


def _compared(rows: list[dict[str, Any]], names: list[str], evenings: int) -> None:
    """What would have fired, and how the sets of rules differ in it."""
    fired: dict[str, set[tuple[str, str]]] = {
        name: {
            (row["rule"], row["subject"]) for row in rows if row["rules"] == name and row["state"] == "firing"
        }
        for name in names
    }
    counted = table("rule", *names, caption=f"subjects with an alert that fired, on {evenings:,} evenings")
    for one in RULES:
        counts = [sum(rule_id == one.id for rule_id, _ in fired[name]) for name in names]
        if any(counts):
            counted.add_row(f"{one.id} {one.name_en}", *(f"{count:,}" for count in counts))
    console().print(counted)
    which = ("at", *(("rules",) if len(names) > 1 else ()), *_FIRED)
    listed = table(*which)
    for row in rows:
        # Of two sets of rules only what they do not have in common.
        if len(names) == 1 or not all((row["rule"], row["subject"]) in fired[name] for name in names):
            listed.add_row(*(row[name] for name in which))
    console().print(listed)


_FIRED: Final = ("rule", "subject", "state", "severity", "reason_en")
_LISTED: Final = ("rule", "state", "severity", "subject", "body", "since", "silenced_until", "reason_en")


@alerts.command()
@reading
def explain(rule_id: RuleArgument, subject: SubjectArgument, as_json: Json = False) -> None:
    """Why an alert fires or does not: the figures now, the units and systems behind them, its history."""
    from rates.calendar import Calendar
    from rates.verdicts import Key, reasons
    from sinks import alerts as stored
    from streams.verdicts import Judge

    found = _rule(rule_id)
    if not UNIT.fullmatch(subject) and not BODY.fullmatch(subject):
        raise wrong(f"{subject!r} is no code of a unit, a province or a ministry")

    async def question(database: Any) -> dict[str, Any]:
        rows = await stored.now(database, stored.Asked(rule=rule_id, subject=subject), quiet=True)
        if not rows:
            raise wrong(
                f"rule {rule_id} is not about {subject}, or the register does not know it on that day"
            )
        row = rows[0]
        limited(settings(), row["body"])
        silences = await stored.silences(database, rule_id, subject, row["body"])
        at = await stored.evaluated(database)
        history = [_timed(one) for one in await stored.history(database, rule_id, subject)]
        answer = {
            "complete_to": clock.iso(at) if at else None,
            **_described(found),
            **_timed(row),
            "silences": [
                {
                    "rule": one["of_rule"],
                    "subject": one["of_subject"],
                    "until": clock.iso(one["ends"]),
                    "reason": one["reason"],
                    "by": one["by"],
                }
                for one in silences
            ],
            "now": None,
            "parts": [],
            "rows": history,
        }
        if at:
            calendar = Calendar.shipped()
            judge = Judge(stored.Alerts(database, calendar), calendar, clock.now, 0)
            level: Level = row["level"]
            said = await judge.explain(Key(rule_id, level, subject), at)
            if said is not None:
                of, reading, parts = said
                vi, en = reasons(found, reading, parts)
                answer["now"] = {
                    "zone": reading.zone,
                    "value": reading.value,
                    "threshold": reading.threshold,
                    "numerator": reading.numerator,
                    "denominator": reading.denominator,
                    "median": reading.median,
                    "reason_vi": vi,
                    "reason_en": en,
                    "target": of.target
                    and {
                        "target": of.target.target,
                        "valid_to": str(EPOCH + timedelta(days=of.target.valid_to)),
                        "source": of.target.source,
                        "confirmed": of.target.confirmed,
                    },
                }
                answer["parts"] = [part._asdict() for part in parts]
        return answer

    answer = ask(question)
    if as_json:
        show(answer)
        return
    listed = table("what", "value", title=f"{rule_id} {found.name_en}: {subject}")
    for name in _DESCRIBED:
        listed.add_row(name, _text(answer[name]))
    for one in answer["silences"]:
        listed.add_row("silence", f"{one['rule']} {one['subject']} until {one['until']}, {_why(one)}")
    for name, value in (answer["now"] or {}).items():
        listed.add_row(f"now: {name}", _text(value))
    console().print(listed)
    if answer["parts"]:
        behind = table("kind", "code", "numerator", "denominator", "points", title="what explains the gap")
        for part in answer["parts"][:20]:
            points = f"{100 * part['contribution']:.2f}"
            behind.add_row(
                part["kind"], part["code"], f"{part['numerator']:,}", f"{part['denominator']:,}", points
            )
        console().print(behind)
    if answer["rows"]:
        past = table(*_PAST, title="history")
        for row in answer["rows"]:
            past.add_row(*(_text(row[name]) for name in _PAST))
        console().print(past)


_DESCRIBED: Final = (
    "state", "severity", "since", "silenced_until", "reason_vi", "reason_en", "source", "runbook",
)  # fmt: skip
_PAST: Final = ("complete_to", "before", "state", "severity", "reason_en")


@alerts.command()
def silence(
    rule_id: RuleArgument,
    subject: SubjectArgument,
    until: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Last day, inclusive.")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; whoever looks will read it.")] = "",
    by: Annotated[str, typer.Option(metavar="NAME", help="Who silences; you, by default.")] = "",
    end: Annotated[bool, typer.Option("--end", help="End the silence now.")] = False,
    as_json: Json = False,
) -> None:
    """Tell nobody of an alert until a day. RULE or SUBJECT `*` is all of them, `H18.*` the units of H18.

    The alert goes on and is shown with its silence; only notices stay away.
    """
    from sinks import alerts as stored

    if rule_id != stored.ALL:
        _rule(rule_id)
    code = subject.removesuffix(f".{stored.ALL}")
    if subject != stored.ALL and not UNIT.fullmatch(code) and not BODY.fullmatch(code):
        raise wrong(f"{subject!r} is no code of a unit, a province or a ministry")
    if settings().body:
        limited(settings(), code.split(".")[0] if code[:1] in "HG" else code.rsplit(".", 1)[-1])
    if end == bool(until):
        raise wrong("name the last day with --until, or end a silence with --end")
    if until and not reason.strip():
        raise wrong("--reason is missing: whoever finds the silence must know why")
    last = day(until, "--until")
    at = clock.now()
    ends = _midnight(last) if last else 0
    if last and ends <= at:
        raise wrong(f"--until {last} has passed")

    who = by or getpass.getuser()

    async def question(database: Any) -> None:
        await stored.silence(
            database, rule=rule_id, subject=subject, until=ends, reason=reason, by=who, now=clock.millis()
        )

    ask(question)
    row = {
        "rule": rule_id,
        "subject": subject,
        "until": clock.iso(ends) if ends else None,
        "reason": reason,
        "by": who,
    }
    if as_json:
        show({"rows": [row]})
    else:
        told = "its silence ended" if end else f"silenced until {row['until']} by {who}"
        say(f"{rule_id} {subject}: {told}")


def _rule(identifier: str) -> Rule:
    try:
        return rule(identifier)
    except LookupError as error:
        raise wrong(str(error)) from None


def _described(of: Rule) -> dict[str, Any]:
    return {
        "name_vi": of.name_vi,
        "name_en": of.name_en,
        "hold": of.hold,
        "recover": of.recover,
        "minimum": of.minimum,
        "source": of.source,
        "runbook": of.anchor,
    }


def _why(one: dict[str, str]) -> str:
    return f"{one['reason']} ({one['by']})"


def _midnight(last: str) -> int:
    """The instant at which a day ends."""
    after = date.fromisoformat(last) + timedelta(days=1)
    return int(datetime.combine(after, time(), clock.LOCAL).timestamp())


_TIMES: Final = ("since", "complete_to", "silenced_until", "told_at")


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (clock.iso(value) if value else None) if name in _TIMES else value
        for name, value in row.items()
    }


def _text(value: object) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.4f}"
        case dict():
            return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
        case _:
            return str(value)
