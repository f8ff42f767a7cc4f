"""The states of offices, judged once for as long as what they are judged by stays the same."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, TypeAlias

from dashboards.fresh import activities, offices, quiet
from dashboards.page.frames import Rows
from dashboards.panels import ACTIVITY, RHYTHM, Panel
from rates.calendar import Calendar
from rates.freshness import Activity, Office, Pipe
from rates.register import Register

Ask: TypeAlias = Callable[[Panel, Mapping[str, object]], Awaitable[Rows]]
_KEPT: Final = 16


class Offices:
    """Knows the calendar, and what it judged last."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._known: OrderedDict[int, tuple[Rows, dict[str, Activity]]] = OrderedDict()
        self._judged: OrderedDict[tuple[object, ...], tuple[tuple[object, ...], dict[str, Office]]] = (
            OrderedDict()
        )

    async def states(
        self, ask: Ask, through: Pipe, register: Register, codes: Collection[str] | None = None
    ) -> dict[str, Office]:
        """The states of these units, or of all; those that nobody ever heard of are not among them."""
        rows = await ask(ACTIVITY, {})
        known = self._read(rows)
        if codes is not None:
            known = {code: known[code] for code in codes if code in known}
        units = quiet(known, through, self._calendar)
        rhythms = await ask(RHYTHM, {"units": units}) if units else []
        if codes is not None:
            return offices(known, rhythms, through, register, self._calendar)
        # By identity: the same answers, the same judgement. They are kept beside it, so that none is reused.
        grounds = rows, rhythms, register
        key = (*map(id, grounds), through.state) if units else (id(rows), id(register), through.state)
        held = self._judged.get(key)
        if held is None:
            held = grounds, offices(known, rhythms, through, register, self._calendar)
            self._judged[key] = held
            if len(self._judged) > _KEPT:
                self._judged.popitem(last=False)
        return held[1]

    def _read(self, rows: Rows) -> dict[str, Activity]:
        held = self._known.get(id(rows))
        if held is None:
            held = self._known[id(rows)] = rows, activities(rows)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return held[1]
