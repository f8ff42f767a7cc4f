"""Evaluates the alert rules whenever data have come further: by the worker that reads partition 0, alone.

Each time everything is read anew, figures and states, so a worker that takes over goes on where another
stopped, and one that was stalled writes rows that lose. While data are not complete to the present, as the
freshness of the pipe has it, nothing is evaluated: every alert stays as it is, and that is said.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import structlog
from msgspec.structs import replace

from rates.alerts import REQUIRED, RESULT, RULES, WINDOW, YEAR, Figures, Reading, Rule
from rates.calendar import Calendar
from rates.effects import Moment
from rates.failures import Fatal, Retry
from rates.freshness import Office, Pipe, pipe
from rates.register import Register
from rates.verdicts import (
    OK,
    Arrived,
    Counted,
    Counts,
    Held,
    Key,
    Part,
    Ruling,
    State,
    Turn,
    evaluate,
    explain,
    standing,
)
from rates.verdicts import reasons as why
from rates.wire import day_of

if TYPE_CHECKING:
    from streams.intake import App  # commands that only explain do without Faust

log = structlog.get_logger(__name__)

OWNER: Final = 0
"""The partition whose reader evaluates."""
EVERY_SECONDS: Final = 30.0
"""How often it looks whether data have come further."""
WAITING: Final = 1_000
"""So many messages may wait in Kafka: with more of them, history is being published or caught up with."""
REST: Final = 20
"""How many times as long as an evaluation took it rests after it, at least."""
_LINES: Final = 20
REFRESH_SECONDS: Final = 3600
"""How long an alert that stands keeps figures that have moved since."""


class VerdictStore(Protocol):
    """Where figures come from and verdicts go. Each call raises `Retry` or `Fatal`."""

    async def moment(self) -> Moment: ...

    async def register(self) -> Register: ...

    async def counted(self, first: int, last: int, tallies: Collection[str]) -> Sequence[Counted]: ...

    async def systems(
        self, codes: Collection[str], first: int, last: int, tallies: Collection[str]
    ) -> Mapping[str, Mapping[str, Counts]]: ...

    async def offices(self, register: Register, through: Pipe) -> Mapping[str, Office]: ...

    async def arrived(self, at: int) -> Arrived: ...

    async def states(self) -> Mapping[Key, Held]: ...

    async def save(self, rulings: Sequence[Ruling], at: int, *, fresh: bool) -> None: ...


class Judge:
    """Evaluates the rules over one store. `now` in seconds since 1970 UTC; `counts`: of evaluations."""

    def __init__(
        self,
        store: VerdictStore,
        calendar: Calendar,
        now: Callable[[], int],
        canary_seconds: float,
        rules: Sequence[Rule] = RULES,
        counts: MutableMapping[str, int] | None = None,
    ) -> None:
        self._store = store
        self._calendar = calendar
        self._now = now
        self._canary_seconds = canary_seconds
        self._rules = rules
        self._counts = Counter[str]() if counts is None else counts
        self._settled: tuple[str, int] | None = None
        self._tallies = {name for rule in rules for name in rule.tallies}

    async def judge(self) -> int | None:
        """Evaluate once if data have come further; how many alerts turned, None if nothing was evaluated."""
        moment = await self._store.moment()
        at = moment.complete_to
        if not at:
            return None
        if not self._current(moment):
            if moment.evaluated and moment.fresh:
                await self._store.save([], moment.evaluated, fresh=False)
            return None
        if at <= moment.evaluated:
            return None
        # Time alone turns an alert from one day to the next, and what turned is read a second time.
        settled = (moment.stamp, day_of(at))
        if settled == self._settled:
            await self._store.save([], at, fresh=True)
            return None
        turned = await self._evaluated(at)
        self._settled = None if turned else settled
        return turned

    def _current(self, moment: Moment) -> bool:
        through = self._pipe(moment)
        if moment.waiting > WAITING:
            return False
        # Without canaries a quiet world and a pipe that is behind look alike: then data tell the time.
        return through.state == "fresh" or through.why == "no_canaries"

    def _pipe(self, moment: Moment) -> Pipe:
        return pipe(
            complete_to=moment.complete_to or None,
            heard=moment.heard,
            expected=moment.expected,
            canary_seconds=self._canary_seconds,
            now=self._now(),
        )

    async def explain(self, key: Key, at: int) -> tuple[Figures, Reading, list[Part]] | None:
        """What a rule reads of a subject at a moment, and the parts behind it; None of no such subject."""
        rule = next((rule for rule in self._rules if rule.id == key.rule), None)
        seen = await self._seen(at)
        subjects = await asyncio.to_thread(seen.standing)
        of = next((of for of in subjects if (of.level, of.subject) == (key.level, key.subject)), None)
        if rule is None or of is None:
            return None
        turn = Turn(rule, key, OK, State("firing"), rule.read(rule, of), of)
        parts = await self._parts([turn], seen)
        return of, turn.reading, parts.get(key, [])

    async def _seen(self, at: int) -> "_Seen":
        day = day_of(at)
        register = await self._store.register()
        first = day - WINDOW + 1
        rates = (RESULT, REQUIRED)
        current = Pipe(state="fresh", why="in_time", complete_to=at, heard=1, expected=1)
        return _Seen(
            day,
            register,
            await self._store.counted(first, day, self._tallies),
            await self._store.counted(first - WINDOW, first - 1, rates),
            await self._store.counted(first - YEAR, day - YEAR, rates),
            await self._store.offices(register, current),
            await self._store.arrived(at),
        )

    async def _evaluated(self, at: int) -> int:
        seen = await self._seen(at)
        held = await self._store.states()
        states = {key: one.state for key, one in held.items()}

        def judged() -> tuple[list[Turn], list[Turn]]:
            subjects = seen.standing()
            turns = evaluate(subjects, states, at, self._calendar, self._rules)
            return turns, self._moved(subjects, held, at, {turn.key for turn in turns})

        # Beside the folding: ten thousand units take a part of a second.
        turns, moved = await asyncio.to_thread(judged)
        rulings = await self._rulings(turns + moved, seen)
        await self._store.save(rulings, at, fresh=True)
        self._counts["evaluations"] += 1
        _log([one for one in rulings if one.tells and "firing" in (one.before.status, one.after.status)])
        return len(turns)

    def _moved(
        self, subjects: Sequence[Figures], held: Mapping[Key, Held], at: int, turned: set[Key]
    ) -> list[Turn]:
        """Alerts that stand, whose figures have moved since they were written."""
        found = []
        by_code = {(of.level, of.subject): of for of in subjects}
        rules = {rule.id: rule for rule in self._rules}
        for key, one in held.items():
            of, rule = by_code.get((key.level, key.subject)), rules.get(key.rule)
            stands = one.state.status in ("pending", "firing") and key not in turned
            if of is None or rule is None or not stands or at - one.at < REFRESH_SECONDS:
                continue
            reading = rule.read(rule, of)
            if (reading.numerator, reading.denominator) != (one.numerator, one.denominator):
                found.append(Turn(rule, key, one.state, one.state, reading, of))
        return found

    async def _rulings(self, turns: Sequence[Turn], seen: "_Seen") -> list[Ruling]:
        parts = await self._parts(turns, seen)
        return [
            Ruling(
                turn.key,
                turn.of.body if turn.of else seen.register.body(turn.key.subject, seen.day),
                turn.before,
                turn.after,
                turn.reading,
                *why(turn.rule, _said(turn), parts.get(turn.key, ()), seen.name),
                tells=turn.tells,
            )
            for turn in turns
        ]

    async def _parts(self, turns: Sequence[Turn], seen: "_Seen") -> dict[Key, list[Part]]:
        """What explains the gap of those that are pending or firing: units of a body, and systems."""
        explained = [
            turn
            for turn in turns
            if turn.rule.parts and turn.of and turn.after.status in ("pending", "firing")
        ]
        if not explained:
            return {}
        tallies = {name for turn in explained for name in turn.rule.parts or ()}
        codes = {turn.key.subject for turn in explained}
        systems = await self._store.systems(codes, seen.day - WINDOW + 1, seen.day, tallies)
        units: dict[str, dict[str, Counts]] = {}
        for unit, body, counts in seen.now:
            units.setdefault(body, {})[unit] = counts
        found = {}
        for turn in explained:
            code = turn.key.subject
            theirs = units.get(code, {}) if turn.key.level != "unit" else {}
            found[turn.key] = explain(turn.rule, turn.reading, "unit", theirs)
            found[turn.key] += explain(turn.rule, turn.reading, "system", systems.get(code, {}))
        return found


def _log(rulings: Sequence[Ruling]) -> None:
    for one in rulings[:_LINES]:
        key, state = one.key, one.after
        log.info("alert", rule=key.rule, subject=key.subject, state=state.status, severity=state.severity)
    if len(rulings) > _LINES:
        log.info("more alerts fired or ended", count=len(rulings) - _LINES)


def _said(turn: Turn) -> Reading:
    """What is said of a turn: that nothing is the matter where it ends an alert."""
    over = turn.after.status == "ok" and turn.reading.zone == "between"
    return replace(turn.reading, zone="good") if over else turn.reading


class _Seen(NamedTuple):
    """What an evaluation reads."""

    day: int
    register: Register
    now: Sequence[Counted]
    before: Sequence[Counted]
    year: Sequence[Counted]
    offices: Mapping[str, Office]
    arrived: Arrived

    def standing(self) -> list[Figures]:
        return standing(self.register, self.day, self.now, self.before, self.year, self.offices, self.arrived)

    def name(self, code: str) -> tuple[str, str]:
        return self.register.name(code, self.day)


async def run(app: "App", judge: Judge, tell: Callable[[], Awaitable[None]]) -> None:
    """Evaluate while the app reads the owner's partition, until it stops; `tell` whoever is to be told."""
    from streams.vitals import lag

    loop = asyncio.get_running_loop()
    while not app.should_stop:
        began = loop.time()
        if OWNER in app.buffer.durable and not app.rebalancing:
            try:
                if sum(lag(app).values()) <= WAITING:
                    await judge.judge()
                await tell()
            except Retry as away:
                log.debug("the alerts wait", reason=str(away))
            except Fatal as error:
                # What is wrong with alerts must not stop what counts.
                log.error("alerts were not evaluated", reason=str(error))
        await app.sleep(max(EVERY_SECONDS, REST * (loop.time() - began)))
