"""What each address answers: which panels it asks, and what it shows of them.

An answer costs at most thirteen queries: the freshness; what the page is made of, asked for at the same time;
and the rhythm of the units that are quiet, where there are any.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from dashboards.boards import BOARDS
from dashboards.figures import half_up
from dashboards.fresh import pipe_of
from dashboards.page import alarms, charts, connected, inspected, past, pipeline, shown, standing, states
from dashboards.page.asked import (
    DOSSIERS_A_PAGE,
    Asked,
    Lang,
    NotYours,
    Refused,
    asked,
    body_code,
    dossier_number,
    language,
    unit_code,
)
from dashboards.page.frames import Frames, Freshness, Rows
from dashboards.page.offices import Offices
from dashboards.page.render import Templates, tag
from dashboards.page.sheets import MOST_ROWS, sheet
from dashboards.page.texts import text_of
from dashboards.page.words import LANG_NAMES, SYSTEM_NAMES, WORDS, count, day, decimal, iso, moment, say
from dashboards.panels import (
    ALERTS,
    BACKLOG,
    BODIES,
    BY_SYSTEM,
    CONNECTIONS,
    DOSSIER,
    DOSSIERS,
    EVIDENCE,
    EVIDENCE_DOSSIERS,
    INSPECTION,
    PANELS,
    RATES,
    REJECTIONS,
    RESTATEMENT,
    RESTATEMENT_UNITS,
    SYSTEM_BODIES,
    TREND,
    UNITS,
    Panel,
    panel,
)
from dashboards.reading import Reader
from dashboards.scoreboard import LAST, PARAMETERS, SOURCES, Figure, figures
from rates.calendar import Calendar
from rates.definitions import FORMS, Definition
from rates.failures import Fatal, Retry
from rates.freshness import Office, Pipe
from rates.register import BODY_LEVELS, Register, RegisterError
from rates.sheets import EPOCH, day_number
from rates.tallies import SYSTEMS
from rates.targets import Target
from rates.wire import day_of, unit_of

log = structlog.get_logger("page")

_REQUIRED: Final = {UNITS.id: "body", DOSSIERS.id: "unit", EVIDENCE_DOSSIERS.id: "unit", DOSSIER.id: "number"}

ADDRESSES: Final[Mapping[str, str]] = {
    "overview": "/",
    "systems": "/systems",
    "connections": "/connections",
    "inspection": "/inspection",
    "alerts": "/alerts",
    "pipeline": "/pipeline",
}
"""Where the boards are that need no code; those of a province and of a unit are under their codes."""
_ALERTS_SHOWN: Final = 500
_SIGNS_READ: Final = 2_000

ONLY: Final = web.RequestKey("only", str)
"""The one body that the reader of a request may read, "" for all: the door puts it there."""


class Site:
    """The page's addresses over one reader and one register."""

    def __init__(
        self,
        reader: Reader,
        register: Register,
        *,
        clock: Callable[[], int],
        definitions: Sequence[Definition],
        load: Callable[[], Awaitable[Register]] | None,
        canary_seconds: float,
        rehearsed: str = "",
    ) -> None:
        self._reader = reader
        self._register = register
        self._clock = clock
        self._definitions = tuple(definitions)
        self._load = load
        self._canary_seconds = canary_seconds
        self._rehearsed = rehearsed
        self._offices = Offices(Calendar.shipped())
        self._templates = Templates()
        self._frames: Frames
        self._state = ""
        self._register_due = True
        self._loading = asyncio.Lock()
        self._figures: tuple[Rows, Rows, list[Figure]] | None = None

    def open(self, now: Callable[[], float]) -> None:
        """Begin to answer; `now` measures how long an answer is held."""
        self._frames = Frames(self._reader, now)

    async def close(self) -> None:
        await self._frames.close()

    async def overview(self, request: web.Request) -> web.StreamResponse:
        """The report's figures, the country under every definition, bodies under one, what was rejected.

        Who is limited to one body has that body for an overview: the country is not theirs to see.
        """
        question = self._asked(request)
        if question.only:
            where = f"/body/{question.only}{question.query()}"
            return web.Response(status=302, headers={"Location": where})
        fresh = await self._fresh()
        period = question.period()
        (
            offices,
            (rates, rates_before, bodies, bodies_before, trend, backlog, rejected),
            sources,
        ) = await asyncio.gather(
            self._states(question, fresh),
            asyncio.gather(
                self._rows(RATES, question, period, fresh),
                self._before(RATES, question, {}, fresh),
                self._rows(BODIES, question, period, fresh),
                self._before(BODIES, question, {}, fresh),
                self._trend(question, {}, fresh),
                self._rows(BACKLOG, question, {}, fresh),
                self._rows(REJECTIONS, question, {}, fresh),
            ),
            asyncio.gather(*(self._rows(source, question, PARAMETERS, fresh) for source in SOURCES)),
        )
        lang, today = question.lang, self._today(question, fresh)
        reasons, rejected_total = shown.rejections(rejected, lang)
        national = shown.definitions(rates, self._definitions, question, rates_before)
        groups = shown.groups(
            bodies, self._register, today, question, self._weigh(question, today, bodies_before)
        )
        provinces = next((one.lines for one in groups if one.key == "province"), ())
        return self._html(
            request,
            "overview.html",
            question,
            fresh,
            figures=self._recomputed(*sources),
            all_in=fresh.complete_to is not None and self._reached(question, fresh) > _since_1970(LAST),
            national=national,
            headline=_headline(national, groups, question),
            groups=groups,
            trend=charts.trend(trend, question.first, None, question.form, lang),
            funnel=charts.funnel(provinces, question.form, lang),
            tiles=charts.tiles(provinces, question.form, lang, say(WORDS["too_few"], lang)),
            ages=shown.ages(backlog, lang),
            reasons=reasons,
            rejected_total=rejected_total,
            states=None if question.known else self._by_body(offices, fresh, lang),
        )

    async def body(self, request: web.Request) -> web.StreamResponse:
        """A ministry or province under every definition, and the units behind it under one."""
        code = body_code(request.match_info["code"])
        question = self._asked(request)
        self._permit(question, body=code)
        fresh = await self._fresh()
        own: dict[str, object] = {"body": code}
        given = {**question.period(), **own}
        (
            (rates, rates_before, units, units_before, systems, systems_before, trend, backlog),
            restated,
        ) = await asyncio.gather(
            asyncio.gather(
                self._rows(RATES, question, given, fresh),
                self._before(RATES, question, own, fresh),
                self._rows(UNITS, question, given, fresh),
                self._before(UNITS, question, own, fresh),
                self._rows(BY_SYSTEM, question, given, fresh),
                self._before(BY_SYSTEM, question, own, fresh),
                self._trend(question, own, fresh),
                self._rows(BACKLOG, question, own, fresh),
            ),
            self._restated(RESTATEMENT_UNITS, question, own, fresh),
        )
        offices = await self._states(question, fresh, [row["code"] for row in units])
        today, lang = self._today(question, fresh), question.lang
        target = standing.targets(self._register, today)(code)
        lines = shown.units(
            units, self._register, today, question, self._weigh(question, today, units_before)
        )
        return self._html(
            request,
            "body.html",
            question,
            fresh,
            code=code,
            name=say(self._register.name(code, today), question.lang),
            level=self._level(code),
            rates=shown.definitions(rates, self._definitions, question, rates_before, target),
            units=lines,
            systems=_systems(systems, systems_before, question),
            trend=charts.trend(trend, question.first, _share(target), question.form, lang),
            funnel=charts.funnel(lines, question.form, lang),
            ages=shown.ages(backlog, lang),
            restated=restated,
            states=None
            if question.known
            else {row["code"]: states.office(offices.get(row["code"]), lang) for row in units},
            body_state=None if question.known else states.body(offices.values(), self._pipe(fresh), lang),
        )

    async def unit(self, request: web.Request) -> web.StreamResponse:
        """A unit under every definition, and the dossiers behind one of its numbers."""
        code = unit_code(request.match_info["code"])
        question = self._asked(request)
        self._permit(question, unit=code)
        fresh = await self._fresh()
        today, lang = self._today(question, fresh), question.lang
        body = question.only or self._register.body(code, today)
        own: dict[str, object] = {"unit": code}
        given = {**question.period(), **own}
        offices, (rates, before, dossiers, peers, trend, backlog), restated = await asyncio.gather(
            self._states(question, fresh, [code]),
            asyncio.gather(
                self._rows(RATES, question, given, fresh),
                self._before(RATES, question, own, fresh),
                self._rows(DOSSIERS, question, {**given, **_slice(question)}, fresh),
                self._rows(UNITS, question, {**question.period(), "body": body}, fresh),
                self._trend(question, own, fresh),
                self._rows(BACKLOG, question, own, fresh),
            ),
            self._restated(RESTATEMENT_UNITS, question, own, fresh),
        )
        target = standing.targets(self._register, today)(code)
        lines = shown.definitions(rates, self._definitions, question, before, target)
        chosen = next(line for line in lines if line.code == question.definition.id)
        numerator, denominator = chosen.chosen(question.form).whole
        matching = denominator - numerator if question.missing else denominator
        return self._html(
            request,
            "unit.html",
            question,
            fresh,
            code=code,
            name=say(self._register.name(code, today), lang),
            restated=restated,
            state=None if question.known else states.office(offices.get(code), lang),
            body=body,
            body_name=say(self._register.name(body, today), lang),
            rates=lines,
            peers=self._peers(code, peers, today, question),
            trend=charts.trend(trend, question.first, _share(target), question.form, lang),
            ages=shown.ages(backlog, lang),
            dossiers=shown.dossiers(dossiers, self._register, lang),
            totals={
                "all": count(denominator, lang),
                "missing": count(denominator - numerator, lang),
            },
            pages=max(1, -(-matching // DOSSIERS_A_PAGE)),
        )

    async def systems(self, request: web.Request) -> web.StreamResponse:
        """The specialised systems, and the bodies within one of them."""
        question = self._asked(request)
        fresh = await self._fresh()
        own: dict[str, object] = {"system": question.system}
        systems, before, bodies, bodies_before = await asyncio.gather(
            self._rows(BY_SYSTEM, question, question.period(), fresh),
            self._before(BY_SYSTEM, question, {}, fresh),
            self._rows(SYSTEM_BODIES, question, {**question.period(), **own}, fresh),
            self._before(SYSTEM_BODIES, question, own, fresh),
        )
        today, lang = self._today(question, fresh), question.lang
        weigh = self._weigh(question, today, bodies_before)
        groups = shown.groups(bodies, self._register, today, question, weigh)
        return self._html(
            request,
            "systems.html",
            question,
            fresh,
            systems=_systems(systems, before, question),
            chosen=say(SYSTEM_NAMES[question.system], lang) if question.system else "",
            groups=[_limited(group, question.only) for group in groups],
        )

    async def connections(self, request: web.Request) -> web.StreamResponse:
        """Who uses the population database and the specialised systems, by what has come."""
        question = self._asked(request)
        fresh = await self._fresh()
        rows = await self._rows(CONNECTIONS, question, question.period(), fresh)
        context = connected.context(rows, self._register, self._today(question, fresh), question)
        return self._html(request, "connections.html", question, fresh, **context)

    async def inspection(self, request: web.Request) -> web.StreamResponse:
        """Units by the evidence in their own dossiers."""
        question = self._asked(request)
        fresh = await self._fresh()
        rows, signs, restated = await asyncio.gather(
            self._rows(INSPECTION, question, {**question.period(), **_slice(question)}, fresh),
            self._signs(question, fresh),
            self._restated(RESTATEMENT, question, {}, fresh),
        )
        today, lang = self._today(question, fresh), question.lang
        found, every = inspected.context(rows, self._register, today, question)
        return self._html(
            request,
            "inspection.html",
            question,
            fresh,
            p=lambda key: say(inspected.WORDS[key], lang),
            found=found,
            every=count(every, lang),
            pages=max(1, -(-every // DOSSIERS_A_PAGE)),
            signs=signs,
            restated=restated,
            unseen=inspected.unseen(lang),
        )

    async def _restated(
        self, chosen: Panel, question: Asked, own: Mapping[str, object], fresh: Freshness
    ) -> tuple[list[past.Restated], str]:
        given = {**question.period(), **own, "limit": past.SHOWN, "offset": 0}
        rows = await self._rows(chosen, question, given, fresh)
        return past.restated(rows, self._register, self._today(question, fresh), question)

    async def _signs(self, question: Asked, fresh: Freshness) -> list[inspected.Sign]:
        given = {**question.period(), "limit": _SIGNS_READ, "offset": 0}
        rows = await self._rows(EVIDENCE, question, given, fresh)
        return inspected.signs(rows, self._register, self._today(question, fresh), question)

    async def evidence(self, request: web.Request) -> web.StreamResponse:
        """The dossiers of one unit that are one kind of evidence."""
        question = self._asked(request)
        code = unit_code(request.match_info["code"])
        self._permit(question, unit=code)
        detector = inspected.detector(request.match_info["detector"])
        if detector is None:
            raise web.HTTPNotFound
        fresh = await self._fresh()
        given = {**question.period(), **_slice(question), "unit": code, "detector": detector.id}
        rows = await self._rows(EVIDENCE_DOSSIERS, question, given, fresh)
        today, lang = self._today(question, fresh), question.lang
        return self._html(
            request,
            "evidence.html",
            question,
            fresh,
            p=lambda key: say(inspected.WORDS[key], lang),
            code=code,
            name=say(self._register.name(code, today), lang),
            title=say((detector.title_vi, detector.title_en), lang),
            what=say((detector.of_dossier_vi, detector.of_dossier_en), lang),
            dossiers=shown.dossiers(rows, self._register, lang),
            more=len(rows) == DOSSIERS_A_PAGE,
        )

    async def dossier(self, request: web.Request) -> web.StreamResponse:
        """One dossier as it is, and its accepted versions, each with when it was learnt."""
        number = dossier_number(request.match_info["number"])
        question = self._asked(request)
        unit = unit_of(number) or ""
        self._permit(question, unit=unit)
        fresh = await self._fresh()
        rows = await self._rows(DOSSIER, question, {"number": number}, fresh)
        if not rows:
            return self.problem(request, 404, "no_dossier_title", "no_dossier")
        today, lang = self._today(question, fresh), question.lang
        body = question.only or self._register.body(unit, today)
        return self._html(
            request,
            "dossier.html",
            question,
            fresh,
            number=number,
            code=unit,
            name=say(self._register.name(unit, today), lang),
            body=body,
            body_name=say(self._register.name(body, today), lang),
            versions=past.versions(rows, self._register, lang),
        )

    async def alerts(self, request: web.Request) -> web.StreamResponse:
        """What is wrong now, and with whom."""
        question = self._asked(request)
        fresh = await self._fresh()
        given = {**_slice(question), "limit": _ALERTS_SHOWN, "offset": 0}
        rows = await self._rows(ALERTS, question, given, fresh)
        today, lang = self._today(question, fresh), question.lang
        return self._html(
            request,
            "alerts.html",
            question,
            fresh,
            of_now=True,
            p=lambda key: say(alarms.WORDS[key], lang),
            found=alarms.alarms(rows, self._register, today, question),
        )

    async def definitions(self, request: web.Request) -> web.StreamResponse:
        """What each rate counts, by which text, and what it is held against."""
        question = self._asked(request)
        return self._html(
            request,
            "definitions.html",
            question,
            None,
            date_of=lambda given: day(_date(given).isoformat(), question.lang),
            share=lambda given: decimal(f"{100 * given:.0f} %", question.lang),
            texts={one.id: text_of(one) for one in self._definitions},
            targets=[one for one in self._register.targets if one.indicator == standing.INDICATOR],
        )

    async def pipeline(self, request: web.Request) -> web.StreamResponse:
        """How the monitor itself fares; of units it holds counts alone, within a reader's limit."""
        question = self._asked(request)
        fresh = await self._fresh()
        found = await asyncio.gather(*(self._rows(one, question, {}, fresh) for one in pipeline.PANELS))
        context = pipeline.context(found, self._clock(), question.lang)
        return self._html(request, "pipeline.html", question, fresh, of_now=True, **context)

    async def sheet(self, request: web.Request) -> web.Response:
        """One panel's answer as CSV."""
        chosen, question, given = self._wanted(request)
        given |= {"limit": MOST_ROWS, "offset": 0}
        fresh = await self._fresh()
        rows = await self._rows(chosen, question, given, fresh)
        text = sheet(chosen, rows, self._register, self._today(question, fresh), question.lang)
        whom = next((str(given[one]) for one in ("number", "unit", "body") if given.get(one)), "vn")
        known = (f"known-{question.known}",) if question.known and chosen.kept else ()
        name = "-".join(("motcua", chosen.id, whom, question.definition.id, *known))
        answer = web.Response(
            text=text,
            content_type="text/csv",
            headers={
                "Content-Disposition": f'attachment; filename="{name}.csv"',
                "Cache-Control": "no-cache",
            },
        )
        answer.enable_compression()
        return answer

    async def panels(self, request: web.Request) -> web.Response:
        """Which panels there are for this reader, and what each is asked with."""
        rows = [_described(one) for one in PANELS if one.limitable or not request[ONLY]]
        return web.json_response({"rows": rows})

    async def panel(self, request: web.Request) -> web.Response:
        """One panel's answer as a frame."""
        chosen, question, given = self._wanted(request)
        fresh = await self._fresh()
        rows = await self._rows(chosen, question, given, fresh)
        through = self._pipe(fresh)
        known = question.known if chosen.kept else ""
        complete_to = fresh.complete_to
        if known and complete_to:
            complete_to = min(complete_to, question.known_until - 1)
        return web.json_response(
            {
                **_described(chosen),
                "definition": question.definition.id,
                "form": question.form,
                "known": known or None,
                "complete_to": iso(complete_to),
                "freshness": {
                    "state": through.state,
                    "complete_to": iso(through.complete_to),
                    "delay_ms": through.delay,
                },
                "frames": [chosen.frame(rows)],
            }
        )

    async def live(self, _: web.Request) -> web.Response:
        """Alive: the database may be away for as long as it likes."""
        return web.json_response({"live": True})

    async def ready(self, _: web.Request) -> web.Response:
        """Ready once the database answers."""
        try:
            await self._fresh()
        except (Retry, Fatal) as error:
            self.failed(error)
            return web.json_response({"ready": False, "why": f"database {self._state}"}, status=503)
        return web.json_response({"ready": True})

    async def health(self, _: web.Request) -> web.Response:
        """Alive; and whether the database is there: `ok`, `away` or `not_ready`."""
        try:
            fresh = await self._fresh()
        except (Retry, Fatal) as error:
            self.failed(error)
            return web.json_response({"page": "ok", "database": self._state, "complete_to": None})
        return web.json_response({"page": "ok", "database": "ok", "complete_to": iso(fresh.complete_to)})

    def failed(self, error: Retry | Fatal) -> None:
        """Note that the database did not answer; said once in the log, not at every look."""
        self._register_due = True
        state = "away" if isinstance(error, Retry) else "not_ready"
        if state != self._state:
            log.warning("no answer from the database", state=state, reason=str(error))
        self._state = state

    def problem(
        self, request: web.Request, status: int, title: str, *said: str, refused: Refused | None = None
    ) -> web.Response:
        """A page that says what is the matter, in the reader's language and then in the other."""
        lang = language(request.query, request.headers.get("Accept-Language", ""))
        try:
            question = self._asked(request)
        except Refused:
            question = Asked(lang=lang, definition=self._definitions[0], only=request[ONLY])
        return self._html(
            request,
            "problem.html",
            question,
            None,
            status=status,
            title=title,
            said=said,
            refused=refused,
            lasting=status < 500,
        )

    async def _fresh(self) -> Freshness:
        fresh = await self._frames.freshness()
        if self._load is not None and self._register_due:
            async with self._loading:
                if self._register_due:
                    await self._take_register(self._load)
        if self._state not in ("", "ok"):
            log.info("the database answers")
        self._state = "ok"
        return fresh

    async def _take_register(self, load: Callable[[], Awaitable[Register]]) -> None:
        try:
            self._register = await load()
        except RegisterError as error:
            # Migrated, and not filled yet: names come from the register at hand until it is.
            log.warning("no register in the database yet", reason=str(error))
            return
        self._register_due = False
        self._figures = None

    async def _rows(
        self, chosen: Panel, question: Asked, given: Mapping[str, object], fresh: Freshness
    ) -> Rows:
        # The one place where a reader's limit enters a query; what cannot be limited is not asked at all.
        if question.only and not chosen.limitable:
            raise NotYours(chosen.id)
        given = {**given, "only": question.only}
        if question.known and chosen.kept:
            # What was known by a day that is over, as far as data go, changes no more.
            steady = chosen.steady or question.known_until <= (fresh.complete_to or 0)
            chosen = msgspec.structs.replace(chosen.as_known(), steady=steady)
            given["known"] = question.known_until
        text = chosen.text(question.definition, question.form, self._definitions)
        return await self._frames.rows(chosen, text, given, fresh)

    def _wanted(self, request: web.Request) -> tuple[Panel, Asked, dict[str, object]]:
        """The panel of an address with what it is asked, checked; else Refused or NotYours."""
        try:
            chosen = panel(request.match_info["id"])
        except LookupError:
            raise Refused("panel", request.match_info["id"], "choose", [p.id for p in PANELS]) from None
        question = self._asked(request)
        given: dict[str, object] = {**question.period(), **_slice(question), "system": question.system}
        given["detector"] = request.query.get("detector", "")
        if chosen in SOURCES:
            given |= PARAMETERS
        for name, checked in (("body", body_code), ("unit", unit_code), ("number", dossier_number)):
            if code := request.query.get(name, ""):
                given[name] = checked(code)
            elif _REQUIRED.get(chosen.id) == name:
                raise Refused(name, "", "required")
        self._permit(question, str(given.get("body", "")), str(given.get("unit", "")))
        self._permit(question, unit=unit_of(str(given.get("number", ""))) or "")
        return chosen, question, given

    async def _before(
        self, chosen: Panel, question: Asked, given: Mapping[str, object], fresh: Freshness
    ) -> Rows:
        """The same of the same days a year before; empty where there is no year before to speak of."""
        period = question.year_before(_date(self._reached(question, fresh)))
        return [] if period is None else await self._rows(chosen, question, {**given, **period}, fresh)

    async def _trend(self, question: Asked, given: Mapping[str, object], fresh: Freshness) -> Rows:
        """The months of the period, and those of the year before it."""
        period = question.period()
        before = question.year_before(_date(self._reached(question, fresh)))
        if before is not None:
            period["first"] = before["first"]
        return await self._rows(TREND, question, {**period, **given}, fresh)

    def _weigh(self, question: Asked, today: int, before: Rows) -> shown.Weigh:
        earlier = standing.by_code(before, question.form)
        target = standing.targets(self._register, today)

        def weigh(code: str) -> tuple[standing.Counts | None, Target | None]:
            return earlier.get(code), target(code)

        return weigh

    def _peers(self, code: str, rows: Rows, today: int, question: Asked) -> dict[str, Any] | None:
        """Where a unit stands among the units of its level in its body; None where there are too few."""
        level = shown.level(self._register, code, today)
        lines = [
            one
            for one in shown.units(rows, self._register, today, question)
            if shown.level(self._register, one.code, today) == level
        ]
        found = standing.quartiles(one.chosen(question.form).whole for one in lines)
        if found is None:
            return None
        own = next((one for one in lines if one.code == code), None)
        ranked = sum(one.standing.rank > 0 for one in lines)
        low, middle, high = (decimal(f"{half_up(one * 100, 1)} %", question.lang) for one in found)
        return {
            "low": low,
            "median": middle,
            "high": high,
            "standing": own.standing if own else None,
            "ranked": count(ranked, question.lang),
        }

    def _reached(self, question: Asked, fresh: Freshness | None) -> int:
        """The day that what is shown goes to: as far as data go, or as it was known."""
        reached = day_of((fresh and fresh.complete_to) or self._clock())
        return min(reached, _since_1970(question.known)) if question.known else reached

    def _pipe(self, fresh: Freshness) -> Pipe:
        return pipe_of(fresh.row, canary_seconds=self._canary_seconds, now=self._clock(), moving=fresh.moving)

    async def _states(
        self, question: Asked, fresh: Freshness, codes: Sequence[str] | None = None
    ) -> dict[str, Office]:
        async def ask(chosen: Panel, given: Mapping[str, object]) -> Rows:
            return await self._rows(chosen, question, given, fresh)

        # They are told of now, or not at all.
        if question.known:
            return {}
        return await self._offices.states(ask, self._pipe(fresh), self._register, codes)

    def _by_body(self, offices: Mapping[str, Office], fresh: Freshness, lang: Lang) -> dict[str, states.Said]:
        """What is said of each body's offices, by the body that they belong to as far as data go."""
        today = day_of(fresh.complete_to or self._clock())
        found = defaultdict[str, list[Office]](list)
        for code, office in offices.items():
            found[self._register.body(code, today)].append(office)
        through = self._pipe(fresh)
        known = {*found, *self._register.bodies()}
        return {body: states.body(found.get(body, ()), through, lang) for body in known}

    def _recomputed(self, by_body: Rows, by_unit: Rows) -> list[Figure]:
        # The figures go through every registered unit, so they are made once for one pair of answers.
        held = self._figures
        if held is None or held[0] is not by_body or held[1] is not by_unit:
            held = by_body, by_unit, figures(by_body, by_unit, self._register)
            self._figures = held
        return held[2]

    def _asked(self, request: web.Request) -> Asked:
        lang = language(request.query, request.headers.get("Accept-Language", ""))
        today = _date(day_of(self._clock())).isoformat()
        return asked(request.query, lang, self._definitions, today, request[ONLY])

    def _permit(self, question: Asked, body: str = "", unit: str = "") -> None:
        """Raise `NotYours` where the answer could only be empty: a 0 that is none would be read as one."""
        only = question.only
        if not only:
            return
        if body and body != only:
            raise NotYours(body)
        if unit and all(body != only for _, _, body in self._register.body_eras(unit)):
            raise NotYours(unit)

    def _today(self, question: Asked, fresh: Freshness) -> int:
        """The day that names are as of: the period's last, as far as data go, else the present one."""
        reached = self._reached(question, fresh)
        return min(reached, _since_1970(question.last)) if question.last else reached

    def _level(self, code: str) -> str:
        return next((level for level in BODY_LEVELS if code in self._register.bodies(None, level)), "other")

    def _boards(self, lang: Lang, path: str) -> list[tuple[str, str, bool]]:
        """The boards that have an address of their own: address, title, and whether it is this one."""
        return [
            (where, say((one.title_vi, one.title_en), lang), path == where)
            for one in BOARDS
            if (where := ADDRESSES.get(one.id))
        ]

    def _html(
        self,
        request: web.Request,
        template: str,
        question: Asked,
        fresh: Freshness | None,
        *,
        status: int = 200,
        of_now: bool = False,
        **context: Any,
    ) -> web.Response:
        lang: Lang = question.lang
        through = self._pipe(fresh) if fresh else None
        now = states.pipe(through, lang) if through else None
        text = self._templates.html(
            template,
            {
                "asked": question,
                "lang": lang,
                "langs": LANG_NAMES,
                "path": request.path,
                "live": request.query.get("part") == "live",
                "definitions": self._definitions,
                "forms": FORMS,
                "t": lambda key: say(WORDS[key], lang),
                "both": lambda key: WORDS[key] if lang == "vi" else WORDS[key][::-1],
                "decimal": lambda given: decimal(given, lang),
                "count": lambda given: count(given, lang),
                "day": lambda given: day(given, lang),
                "question": lambda identifier: _question(identifier, lang),
                "boards": self._boards(lang, request.path),
                "quick": _quick(_date(self._reached(question, fresh))),
                "latest": _date(day_of(self._clock())).isoformat(),
                "fresh": fresh,
                "rehearsed": self._rehearsed,
                # Beside a figure: of what it is told. `now`: of the pipe itself.
                "pipe": states.known(day(question.known, lang), lang)
                if question.known and not of_now
                else now,
                "now": now,
                "of_now": of_now,
                "unheard": states.office(None, lang),
                "delay": states.delay(through, lang) if through else "",
                "complete_to": moment(fresh.complete_to, lang) if fresh else "",
                "age": states.age(through, self._clock(), lang) if through else "",
                **context,
            },
        )
        headers = {
            "ETag": tag(text),
            "Cache-Control": "no-cache",
            "Vary": "Accept-Language, Accept-Encoding",
        }
        if status == 200 and request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        answer = web.Response(text=text, status=status, content_type="text/html", headers=headers)
        answer.enable_compression()
        return answer


def _slice(question: Asked) -> dict[str, object]:
    return {
        "missing": int(question.missing),
        "limit": DOSSIERS_A_PAGE,
        "offset": (question.page - 1) * DOSSIERS_A_PAGE,
    }


def _headline(
    national: Sequence[shown.Line], groups: Sequence[shown.Group], question: Asked
) -> list[shown.Line]:
    """The rate asked for, of the country and of each kind of body."""
    whole = next(one for one in national if one.code == question.definition.id)
    kinds = [one.pooled for one in groups if one.key in BODY_LEVELS]
    return [msgspec.structs.replace(whole, code="national"), *kinds]


def _systems(rows: Rows, before: Rows, question: Asked) -> list[shown.Line]:
    """A line for each system, in their order; against the year before, and against no target."""
    counts = {row["code"]: tuple(int(row[name]) for name in ("reported", "clean", "total")) for row in rows}
    earlier = standing.by_code(before, question.form)
    lines = [
        shown.line(code, say(SYSTEM_NAMES[code], question.lang), counts.get(code, (0, 0, 0)), question.lang)
        for code in SYSTEMS
    ]
    return shown.ranked(lines, question, lambda code: (earlier.get(code), None))


def _limited(group: shown.Group, only: str) -> shown.Group:
    """A group with the one body that its reader may see, who would else read zeros that are none."""
    if not only:
        return group
    lines = tuple(one for one in group.lines if one.code == only)
    return msgspec.structs.replace(group, lines=lines, heard=min(group.heard, len(lines)))


def _share(target: Target | None) -> float | None:
    return None if target is None else target.target


def _quick(reached: date) -> list[tuple[str, str, str]]:
    """Periods to choose at once: the key of their words, first and last day."""
    year = timedelta(days=364)
    return [
        ("all_time", "", ""),
        ("report_period", "2023-01-01", "2023-09-30"),
        ("year_to_date", reached.replace(month=1, day=1).isoformat(), reached.isoformat()),
        ("last_year", (reached - year).isoformat(), reached.isoformat()),
    ]


def _date(day_since_1970: int) -> date:
    return EPOCH + timedelta(days=day_since_1970)


def _since_1970(text: str) -> int:
    return day_number(date.fromisoformat(text))


def _question(identifier: str, lang: Lang) -> str:
    one = panel(identifier)
    return say((one.question_vi, one.question_en), lang)


def _described(one: Panel) -> dict[str, object]:
    return {
        "panel": one.id,
        "question": {"vi": one.question_vi, "en": one.question_en},
        "shape": one.shape,
        "parameters": list(one.parameters),
        "drill": one.drill,
    }
