"""What each address answers: which panels it asks, and what it shows of them.

An answer costs at most eight queries: the freshness; what the page is made of, asked for at the same time;
and the rhythm of the units that are quiet, where there are any.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import structlog
from aiohttp import web

from dashboards.fresh import pipe_of
from dashboards.page import pipeline, shown, states
from dashboards.page.asked import (
    DOSSIERS_A_PAGE,
    Asked,
    Lang,
    NotYours,
    Refused,
    asked,
    body_code,
    language,
    unit_code,
)
from dashboards.page.frames import Frames, Freshness, Rows
from dashboards.page.offices import Offices
from dashboards.page.render import Templates, tag
from dashboards.page.words import LANG_NAMES, WORDS, count, day, decimal, iso, moment, say
from dashboards.panels import BODIES, DOSSIERS, PANELS, RATES, REJECTIONS, UNITS, Panel, panel
from dashboards.reading import Reader
from dashboards.scoreboard import LAST, PARAMETERS, SOURCES, Figure, figures
from rates.calendar import Calendar
from rates.definitions import FORMS, Definition
from rates.failures import Fatal, Retry
from rates.freshness import Office, Pipe
from rates.register import BODY_LEVELS, Register, RegisterError
from rates.sheets import day_number
from rates.wire import day_of

log = structlog.get_logger("page")

_REQUIRED: Final = {UNITS.id: "body", DOSSIERS.id: "unit"}

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
    ) -> None:
        self._reader = reader
        self._register = register
        self._clock = clock
        self._definitions = tuple(definitions)
        self._load = load
        self._canary_seconds = canary_seconds
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
        offices, (rates, bodies, rejected, by_body, by_unit) = await asyncio.gather(
            self._states(question, fresh),
            asyncio.gather(
                self._rows(RATES, question, period, fresh),
                self._rows(BODIES, question, period, fresh),
                self._rows(REJECTIONS, question, {}, fresh),
                *(self._rows(source, question, PARAMETERS, fresh) for source in SOURCES),
            ),
        )
        reasons, rejected_total = shown.rejections(rejected, question.lang)
        return self._html(
            request,
            "overview.html",
            question,
            fresh,
            figures=self._recomputed(by_body, by_unit),
            all_in=fresh.complete_to is not None and day_of(fresh.complete_to) > _since_1970(LAST),
            national=shown.definitions(rates, self._definitions, question.lang),
            groups=shown.groups(bodies, self._register, self._today(question, fresh), question),
            reasons=reasons,
            rejected_total=rejected_total,
            states=self._by_body(offices, fresh, question.lang),
        )

    async def body(self, request: web.Request) -> web.StreamResponse:
        """A ministry or province under every definition, and the units behind it under one."""
        code = body_code(request.match_info["code"])
        question = self._asked(request)
        self._permit(question, body=code)
        fresh = await self._fresh()
        given = {**question.period(), "body": code}
        rates, units = await asyncio.gather(
            self._rows(RATES, question, given, fresh),
            self._rows(UNITS, question, given, fresh),
        )
        offices = await self._states(question, fresh, [row["code"] for row in units])
        today, lang = self._today(question, fresh), question.lang
        return self._html(
            request,
            "body.html",
            question,
            fresh,
            code=code,
            name=say(self._register.name(code, today), question.lang),
            level=self._level(code),
            rates=shown.definitions(rates, self._definitions, question.lang),
            units=shown.units(units, self._register, today, question),
            states={row["code"]: states.office(offices.get(row["code"]), lang) for row in units},
            body_state=states.body(offices.values(), self._pipe(fresh), lang),
        )

    async def unit(self, request: web.Request) -> web.StreamResponse:
        """A unit under every definition, and the dossiers behind one of its numbers."""
        code = unit_code(request.match_info["code"])
        question = self._asked(request)
        self._permit(question, unit=code)
        fresh = await self._fresh()
        given = {**question.period(), "unit": code}
        offices, rates, dossiers = await asyncio.gather(
            self._states(question, fresh, [code]),
            self._rows(RATES, question, given, fresh),
            self._rows(DOSSIERS, question, {**given, **_slice(question)}, fresh),
        )
        today = self._today(question, fresh)
        lines = shown.definitions(rates, self._definitions, question.lang)
        chosen = next(line for line in lines if line.code == question.definition.id)
        numerator, denominator = (chosen.clean if question.form == "clean" else chosen.reported).whole
        body = question.only or self._register.body(code, today)
        matching = denominator - numerator if question.missing else denominator
        return self._html(
            request,
            "unit.html",
            question,
            fresh,
            code=code,
            name=say(self._register.name(code, today), question.lang),
            state=states.office(offices.get(code), question.lang),
            body=body,
            body_name=say(self._register.name(body, today), question.lang),
            rates=lines,
            dossiers=shown.dossiers(dossiers, self._register, question.lang),
            totals={
                "all": count(denominator, question.lang),
                "missing": count(denominator - numerator, question.lang),
            },
            pages=max(1, -(-matching // DOSSIERS_A_PAGE)),
        )

    async def pipeline(self, request: web.Request) -> web.StreamResponse:
        """How the monitor itself fares; of units it holds counts alone, within a reader's limit."""
        question = self._asked(request)
        fresh = await self._fresh()
        found = await asyncio.gather(*(self._rows(one, question, {}, fresh) for one in pipeline.PANELS))
        context = pipeline.context(found, self._clock(), question.lang)
        return self._html(request, "pipeline.html", question, fresh, **context)

    async def panels(self, request: web.Request) -> web.Response:
        """Which panels there are for this reader, and what each is asked with."""
        rows = [_described(one) for one in PANELS if one.limitable or not request[ONLY]]
        return web.json_response({"rows": rows})

    async def panel(self, request: web.Request) -> web.Response:
        """One panel's answer as a frame."""
        try:
            chosen = panel(request.match_info["id"])
        except LookupError:
            raise Refused("panel", request.match_info["id"], "choose", [p.id for p in PANELS]) from None
        question = self._asked(request)
        given: dict[str, object] = {**question.period(), **_slice(question)}
        if chosen in SOURCES:
            given |= PARAMETERS
        for name, checked in (("body", body_code), ("unit", unit_code)):
            if code := request.query.get(name, ""):
                given[name] = checked(code)
            elif _REQUIRED.get(chosen.id) == name:
                raise Refused(name, "", "required")
        self._permit(question, str(given.get("body", "")), str(given.get("unit", "")))
        fresh = await self._fresh()
        rows = await self._rows(chosen, question, given, fresh)
        through = self._pipe(fresh)
        return web.json_response(
            {
                **_described(chosen),
                "definition": question.definition.id,
                "form": question.form,
                "complete_to": iso(fresh.complete_to),
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
        text = chosen.text(question.definition, question.form, self._definitions)
        return await self._frames.rows(chosen, text, given, fresh)

    def _pipe(self, fresh: Freshness) -> Pipe:
        return pipe_of(fresh.row, canary_seconds=self._canary_seconds, now=self._clock(), moving=fresh.moving)

    async def _states(
        self, question: Asked, fresh: Freshness, codes: Sequence[str] | None = None
    ) -> dict[str, Office]:
        async def ask(chosen: Panel, given: Mapping[str, object]) -> Rows:
            return await self._rows(chosen, question, given, fresh)

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
        return asked(request.query, lang, self._definitions, request[ONLY])

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
        reached = day_of(fresh.complete_to or self._clock())
        return min(reached, _since_1970(question.last)) if question.last else reached

    def _level(self, code: str) -> str:
        return next((level for level in BODY_LEVELS if code in self._register.bodies(None, level)), "other")

    def _html(
        self,
        request: web.Request,
        template: str,
        question: Asked,
        fresh: Freshness | None,
        *,
        status: int = 200,
        **context: Any,
    ) -> web.Response:
        lang: Lang = question.lang
        through = self._pipe(fresh) if fresh else None
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
                "fresh": fresh,
                "pipe": states.pipe(through, lang) if through else None,
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
