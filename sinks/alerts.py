"""Alerts in the database: the figures that rules read, where each alert stands, and how it came to that.

Nothing is judged here: `rates.alerts` and `rates.verdicts` do that, `streams.verdicts` asks for both. Figures
of all units come in a few queries, one for each period; what is written are changes alone.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from rates.alerts import LEVELS, RULES
from rates.calendar import Calendar
from rates.effects import Moment
from rates.freshness import WINDOW, Activity, Office, Pipe, office
from rates.register import Register
from rates.sheets import EPOCH
from rates.tallies import BASES, BIT, SYSTEMS, TALLIES
from rates.verdicts import Arrived, Counted, Counts, Held, Key, Ruling, State, arrived
from rates.wire import day_of
from sinks import reference
from sinks.client import Database, floats, strings, uints

_RECEIVED: Final = BASES.index("received")
# A part is never changed, so the names of all parts are the content of their tables.
_STAMP: Final = (
    "SELECT concat(toString(sum(sipHash64(table, name))), ' ', toString((SELECT count() FROM register_log))) "
    "FROM system.parts WHERE database = currentDatabase() AND table IN ('tallies', 'heard') AND active"
)
ALL: Final = "*"
"""Matches every rule, or every subject."""


def views(body: str) -> Iterator[str]:
    """`alerts_now`: every rule and registered subject, always; `alert_history`: what was logged; `arrivals`
    of (first = day, until = seconds): accepted events by unit and day of learning, `old` with a status of
    more than seven days before.

    `body`: SQL for the body of `unit` on `day`. Subjects are those of the register on the day of the last
    evaluation; before the first one, those without an end.
    """
    rules = ", ".join(f"('{rule.id}', '{rule.severity}', {list(rule.levels)!r})" for rule in RULES)
    run = (
        "(SELECT (argMax(complete_to, version) AS at, argMax(fresh, version), "
        "if(count() = 0, '', toString(toDate(at)))) FROM alert_runs)"
    )
    silences = (
        "(SELECT groupArray((toString(rule), subject, until)) FROM alert_silences FINAL "
        "WHERE toUInt32(until) > (SELECT max(toUInt32(complete_to)) FROM alert_runs))"
    )
    of_day = (
        "(run.3 = '' AND valid_to = '' OR run.3 != '' AND valid_from <= run.3 "
        "AND (valid_to = '' OR valid_to >= run.3))"
    )
    yield (
        f"CREATE OR REPLACE VIEW arrivals AS SELECT unit, {body} AS body, day, events, old FROM ("
        "SELECT unit, toDate(learnt) AS day, count() AS events, "
        f"countIf(bitTest(mask, {BIT['backdated']})) AS old FROM history FINAL "
        "WHERE learnt >= toDateTime({first:Date}, 'Asia/Ho_Chi_Minh') "
        "AND learnt < toDateTime({until:UInt32}) GROUP BY unit, day) "
        "SETTINGS do_not_merge_across_partitions_select_final = 1"
    )
    matches = (
        f"silence -> (silence.1 IN ('{ALL}', a.rule)) AND "
        f"(silence.2 IN ('{ALL}', a.subject) OR a.level = 'unit' AND silence.2 = concat(a.body, '.{ALL}'))"
    )
    ends = f"arrayMap(one -> one.3, arrayFilter({matches}, silences))"
    yield (
        f"CREATE OR REPLACE VIEW alerts_now AS WITH {run} AS run, {silences} AS silences SELECT "
        "a.rule AS rule, a.level AS level, a.subject AS subject, a.body AS body, "
        "multiIf(s.status IN ('pending', 'firing'), toString(s.status), run.3 != '' AND run.2 = 0, "
        "'stale', s.status = '', 'ok', toString(s.status)) AS state, "
        "if(s.status = '', a.severity, toString(s.severity)) AS severity, s.since AS since, "
        "s.value AS value, s.threshold AS threshold, s.numerator AS numerator, s.denominator AS denominator, "
        "s.reason_vi AS reason_vi, s.reason_en AS reason_en, "
        "if(s.status IN ('pending', 'firing'), toDateTime(s.version, 'Asia/Ho_Chi_Minh'), "
        "run.1) AS complete_to, "
        f"if(empty({ends}), NULL, arrayMax({ends})) AS silenced_until "
        "FROM (SELECT r.1 AS rule, r.2 AS severity, level, subject, body FROM ("
        f"SELECT code AS subject, code AS body, toString(level) AS level, run FROM units "
        f"WHERE level IN ('ministry', 'province') AND {of_day} "
        f"UNION ALL SELECT unit AS subject, {body} AS body, 'unit' AS level, run FROM ("
        "SELECT code AS unit, assumeNotNull(if(run.3 = '', toDate('2149-06-06'), toDate(run.1))) AS day, run "
        f"FROM units WHERE one_stop = '1' AND level NOT IN ('ministry', 'province') AND {of_day})) AS u "
        f"ARRAY JOIN [{rules}] AS r WHERE has(r.3, u.level)) AS a "
        "LEFT JOIN (SELECT * FROM alert_state FINAL) AS s "
        "ON a.rule = s.rule AND a.level = s.level AND a.subject = s.subject"
    )
    yield (
        "CREATE OR REPLACE VIEW alert_history AS SELECT toString(rule) AS rule, toString(level) AS level, "
        "subject, toString(body) AS body, toDateTime(version, 'Asia/Ho_Chi_Minh') AS complete_to, "
        "toString(before) AS before, toString(status) AS state, toString(severity) AS severity, "
        "value, threshold, median, numerator, denominator, reason_vi, reason_en FROM alert_log FINAL"
    )


class Alerts:
    """The alerts of one database; to `streams.verdicts` its store."""

    def __init__(self, database: Database, calendar: Calendar) -> None:
        self._database = database
        self._calendar = calendar
        self._register: tuple[int, Register] | None = None

    async def register(self) -> Register:
        """The register that is loaded, read anew once another is."""
        loads = await reference.loads(self._database)
        if self._register is None or self._register[0] != loads:
            self._register = loads, await reference.load(self._database)
        return self._register[1]

    async def moment(self) -> Moment:
        """How far data go now, and how far they did at the last evaluation."""
        (pipe,) = await self._database.rows("SELECT complete, heard, expected, lag FROM pipe")
        rows = await self._database.rows(
            "SELECT toUInt32(complete_to) AS complete_to, fresh FROM alert_runs FINAL"
        )
        stamp = await self._database.value(_STAMP)
        before = rows[0] if rows else {"complete_to": 0, "fresh": 1}
        return Moment(
            int(pipe["complete"]),
            int(pipe["heard"]),
            int(pipe["expected"]),
            int(pipe["lag"] or 0),
            int(before["complete_to"]),
            bool(before["fresh"]),
            str(stamp),
        )

    async def counted(self, first: int, last: int, tallies: Collection[str]) -> list[Counted]:
        """Each unit's tallies by the day of receipt, of days since 1970, both inclusive."""
        names = [name for name in TALLIES if name in tallies]
        columns = ", ".join(f"toUInt64({name}) AS {name}" for name in names)
        table = await self._database.arrow(
            f"SELECT toString(unit) AS unit, body, {columns} "
            "FROM unit_sums(first = {first:Date}, last = {last:Date}) "
            f"WHERE basis = {_RECEIVED}",
            {"first": _day(first), "last": _day(last)},
        )
        units, bodies, *counts = (column.to_pylist() for column in table.columns)
        return [
            Counted(unit, body, dict(zip(names, values, strict=True)))
            for unit, body, *values in zip(units, bodies, *counts, strict=True)
        ]

    async def systems(
        self, codes: Collection[str], first: int, last: int, tallies: Collection[str]
    ) -> dict[str, dict[str, Counts]]:
        """The tallies of these bodies and units by system, as `counted` takes days."""
        names = [name for name in TALLIES if name in tallies]
        sums = ", ".join(f"toUInt64(sum(c.{name})) AS {name}" for name in names)
        wanted = _these(codes)
        rows = await self._database.rows(
            f"SELECT body AS code, system, {sums} "
            "FROM body_sums(first = {first:Date}, last = {last:Date}) AS c "
            f"WHERE basis = {_RECEIVED} AND body IN {wanted} GROUP BY code, system "
            f"UNION ALL SELECT toString(c.unit) AS code, c.system AS system, {sums} FROM tallies AS c FINAL "
            f"WHERE basis = {_RECEIVED} AND day BETWEEN {{first:Date}} AND {{last:Date}} "
            f"AND unit IN {wanted} GROUP BY code, system "
            "SETTINGS do_not_merge_across_partitions_select_final = 1",
            {"first": _day(first), "last": _day(last)},
        )
        found: dict[str, dict[str, Counts]] = {}
        for row in rows:
            of = found.setdefault(row["code"], {})
            of[SYSTEMS[row["system"]]] = {name: int(row[name]) for name in names}
        return found

    async def offices(self, register: Register, through: Pipe) -> dict[str, Office]:
        """How each unit is heard of, at the moment that data are complete to."""
        complete = through.complete_to or 0
        rows = await self._database.rows(
            "SELECT toString(unit) AS code, toUInt16(min(day)) AS first, toUInt32(max(last)) AS latest "
            "FROM heard GROUP BY unit"
        )
        known = {row["code"]: Activity(row["latest"], row["first"], complete) for row in rows}
        quiet = [code for code, one in known.items() if one.silent_days(self._calendar)]
        for code, days, accepted in await self._rhythms(quiet):
            one = known[code]
            known[code] = Activity(one.last, one.first, complete, accepted, days)
        return {
            code: office(through, one, self._calendar, exists_until=register.ends(code))
            for code, one in known.items()
        }

    async def _rhythms(self, codes: Sequence[str]) -> list[tuple[str, int, int]]:
        """On which of the days before it was last heard of each unit was heard, and what it received then."""
        if not codes:
            return []
        wanted = f"unit IN {_these(codes)}"
        ended = f"SELECT unit, min(day) AS began, max(last) AS ended FROM heard WHERE {wanted} GROUP BY unit"
        since = f"(SELECT toDate(greatest(toInt32(toDate(min(ended))) - {WINDOW}, 0)) FROM ({ended}))"
        rows = await self._database.rows(
            "SELECT toString(h.unit) AS code, groupBitOr(if(h.heard, bitShiftLeft(toUInt32(1), "
            "greatest(toDate(e.ended) - h.day, 0)), 0)) AS days, "
            "sumIf(h.received, h.day >= e.began AND h.day < toDate(e.ended)) AS accepted FROM ("
            f"SELECT unit, day, true AS heard, toUInt32(0) AS received FROM heard WHERE {wanted} "
            f"AND day >= {since} UNION ALL SELECT unit, day, false AS heard, received FROM tallies FINAL "
            f"WHERE basis = {_RECEIVED} AND {wanted} AND day >= {since}) AS h "
            f"INNER JOIN ({ended}) AS e ON e.unit = h.unit "
            f"WHERE h.day >= toDate(e.ended) - {WINDOW} GROUP BY code "
            "SETTINGS do_not_merge_across_partitions_select_final = 1"
        )
        return [(row["code"], int(row["days"]), int(row["accepted"])) for row in rows]

    async def arrived(self, at: int) -> Arrived:
        """What units and bodies sent lately, by the days on which it was learnt before `at`."""
        day = day_of(at)
        table = await self._database.arrow(
            "SELECT toString(unit) AS unit, body, toUInt16(day) AS day, toUInt64(events) AS events, "
            f"toUInt64(old) AS old FROM arrivals(first = {{first:Date}}, until = {at + 1:d})",
            {"first": _day(day - WINDOW)},
        )
        return arrived(zip(*(column.to_pylist() for column in table.columns), strict=True), day)

    async def states(self) -> dict[Key, Held]:
        """What is stored of each rule and subject that has ever been anything but *ok*."""
        table = await self._database.arrow(
            "SELECT toString(rule), toString(level), subject, toString(status), toString(severity), "
            "toUInt32(since), toUInt32(turning), numerator, denominator, version FROM alert_state FINAL "
            "WHERE status != 'ok'"
        )
        return {
            Key(rule, level, subject): Held(State(status, severity, since, turning), above, below, version)
            for rule, level, subject, status, severity, since, turning, above, below, version in zip(
                *(column.to_pylist() for column in table.columns), strict=True
            )
        }

    async def save(self, rulings: Sequence[Ruling], at: int, *, fresh: bool) -> None:
        """Keep an evaluation: the history first, then where alerts stand, then that it was made."""
        told = [ruling for ruling in rulings if ruling.tells]
        if told:
            await self._database.insert("alert_log", _logged(told, at))
        if rulings:
            await self._database.insert("alert_state", _stated(rulings, at))
        await self._database.insert(
            "alert_runs",
            {
                "one": uints([1], 8),
                "version": uints([at << 1 | (not fresh)], 64),
                "complete_to": uints([at], 32),
                "fresh": uints([int(fresh)], 8),
            },
        )


def _these(codes: Collection[str]) -> str:
    """SQL for these units and bodies. In the query's text: no address holds all of them as a parameter."""
    # Digits, dots, G or H (`rates.wire`), so they need no quoting.
    return f"(SELECT arrayJoin(splitByChar(',', '{','.join(sorted(codes))}')))"


def _stated(rulings: Sequence[Ruling], at: int) -> dict[str, Any]:
    return {
        **_keys(rulings, at),
        "status": strings([one.after.status for one in rulings]),
        "severity": strings([one.after.severity for one in rulings]),
        "since": uints([one.after.since for one in rulings], 32),
        "turning": uints([one.after.turning for one in rulings], 32),
        **_figures(rulings),
    }


def _logged(rulings: Sequence[Ruling], at: int) -> dict[str, Any]:
    return {
        **_keys(rulings, at),
        "body": strings([one.body for one in rulings]),
        "before": strings([one.before.status for one in rulings]),
        "status": strings([one.after.status for one in rulings]),
        "severity": strings([one.after.severity for one in rulings]),
        "median": floats([one.reading.median for one in rulings]),
        **_figures(rulings),
    }


def _keys(rulings: Sequence[Ruling], at: int) -> dict[str, Any]:
    return {
        "rule": strings([one.key.rule for one in rulings]),
        "level": strings([one.key.level for one in rulings]),
        "subject": strings([one.key.subject for one in rulings]),
        "version": uints([at] * len(rulings), 64),
    }


def _figures(rulings: Sequence[Ruling]) -> dict[str, Any]:
    return {
        "value": floats([one.reading.value for one in rulings]),
        "threshold": floats([one.reading.threshold for one in rulings]),
        "numerator": uints([one.reading.numerator for one in rulings], 64),
        "denominator": uints([one.reading.denominator for one in rulings], 64),
        "reason_vi": strings([one.reason_vi for one in rulings]),
        "reason_en": strings([one.reason_en for one in rulings]),
    }


def _day(day: int) -> str:
    return (EPOCH + timedelta(days=max(day, 0))).isoformat()


class Asked(NamedTuple):
    """Which alerts; "" for all."""

    state: str = ""
    body: str = ""
    rule: str = ""
    subject: str = ""
    level: str = ""


async def now(database: Database, asked: Asked, *, quiet: bool = False) -> list[dict[str, Any]]:
    """Rows of `alerts_now`; without a state only what is not *ok*, unless `quiet`."""
    conditions = [f"{name} = {{{name}:String}}" for name, value in asked._asdict().items() if value] or [
        "true"
    ]
    if not asked.state and not quiet:
        conditions.append("state NOT IN ('ok', 'too_few', 'stale')")
    return await database.rows(
        "SELECT rule, level, subject, body, state, severity, toUInt32(since) AS since, value, threshold, "
        "numerator, denominator, reason_vi, reason_en, toUInt32(complete_to) AS complete_to, "
        "toUInt32(ifNull(silenced_until, toDateTime(0))) AS silenced_until FROM alerts_now "
        f"WHERE {' AND '.join(conditions)} ORDER BY state = 'firing' DESC, "
        f"indexOf(['critical', 'warn', 'inspect', 'info'], severity), body, indexOf({list(LEVELS)}, level), "
        "subject, length(rule), rule",
        asked._asdict(),
    )


async def evaluated(database: Database) -> int | None:
    """The moment of the last evaluation, seconds since 1970 UTC; None before the first."""
    found = await database.rows("SELECT toUInt32(complete_to) AS complete_to FROM alert_runs FINAL")
    return int(found[0]["complete_to"]) if found else None


async def history(database: Database, rule: str, subject: str, limit: int = 50) -> list[dict[str, Any]]:
    """What was logged of a rule and a subject, the newest first."""
    return await database.rows(
        "SELECT toUInt32(complete_to) AS complete_to, before, state, severity, value, threshold, median, "
        "numerator, denominator, reason_vi, reason_en FROM alert_history "
        "WHERE rule = {rule:String} AND subject = {subject:String} "
        f"ORDER BY complete_to DESC LIMIT {limit:d}",
        {"rule": rule, "subject": subject},
    )


async def silence(
    database: Database, *, rule: str, subject: str, until: int, reason: str, by: str, now: int
) -> None:
    """Silence what matches until an instant; one that has passed ends a silence."""
    await database.insert(
        "alert_silences",
        {
            "rule": strings([rule]),
            "subject": strings([subject]),
            "version": uints([now], 64),
            "until": uints([until], 32),
            "reason": strings([reason]),
            "by": strings([by]),
        },
    )


async def silences(database: Database, rule: str, subject: str, body: str) -> list[dict[str, Any]]:
    """The silences that match a rule and a subject at the last evaluation, and why they are there."""
    return await database.rows(
        "SELECT toString(rule) AS of_rule, subject AS of_subject, toUInt32(until) AS ends, reason, by "
        "FROM alert_silences FINAL "
        "WHERE toUInt32(until) > (SELECT max(toUInt32(complete_to)) FROM alert_runs) "
        f"AND rule IN ({{rule:String}}, '{ALL}') AND (subject IN ({{subject:String}}, '{ALL}') "
        f"OR {{subject:String}} != {{body:String}} AND subject = concat({{body:String}}, '.{ALL}')) "
        "ORDER BY ends DESC",
        {"rule": rule, "subject": subject, "body": body},
    )


async def failing(database: Database, body: str = "") -> list[dict[str, Any]]:
    """The ways out that could not be told of a body's alerts, and why."""
    return await database.rows(
        "SELECT toString(channel) AS channel, toString(body) AS body, tries, failing, "
        "toUInt32(told_at) AS told_at FROM alert_notices FINAL "
        "WHERE failing != '' AND ({body:String} = '' OR body = {body:String}) ORDER BY channel, body",
        {"body": body},
    )


class ToldNotice(NamedTuple):
    """What a channel was told of a body: `told` as whoever told wrote it; `tries` that failed since."""

    told: str
    told_at: int
    tries: int
    failing: str


async def told(database: Database) -> dict[tuple[str, str], ToldNotice]:
    """What each channel was told last of each body."""
    rows = await database.rows(
        "SELECT toString(channel) AS way, toString(body) AS code, told, toUInt32(told_at) AS at, tries, "
        "failing FROM alert_notices FINAL"
    )
    return {
        (row["way"], row["code"]): ToldNotice(row["told"], row["at"], row["tries"], row["failing"])
        for row in rows
    }


async def save_told(
    database: Database, channel: str, body: str, text: str, told_at: int, tries: int, failing: str
) -> None:
    """Keep what a channel was told of a body, or that it could not be."""
    version = int(await database.value("SELECT toUnixTimestamp64Milli(now64(3))"))
    await database.insert(
        "alert_notices",
        {
            "channel": strings([channel]),
            "body": strings([body]),
            "version": uints([version], 64),
            "told": strings([text]),
            "told_at": uints([told_at], 32),
            "tries": uints([tries], 32),
            "failing": strings([failing]),
        },
    )
