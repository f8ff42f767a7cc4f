"""How one planned dossier travels: its records as its unit's system sends them, rarely once, rarely in order.

What happens on the way is what happens to real dossiers: re-sent duplicates, updates before inserts, progress
rows before the dossier, whole months sent at their end, empty due dates, a result link added weeks after the
result or lost again, a result link that is one of the input papers, a second number for the same dossier,
re-opened and withdrawn ones, wrong years and clocks seven hours off.

Promise: none of it changes how the dossier counts in the end, which the plan has fixed. By the fold's two
clocks the planned record is the last one, and what would tie with it is received before it.

Times here are local seconds since 1970-01-01 local.
"""

from datetime import date, timedelta
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from producers.scenario_plan import E_RESULT, EDGE, NEVER, REQUIRED, Source
from producers.scenario_records import DAY, HOUR, Dossier, Record, Records, date_text, wire
from rates.register import Procedure, Register
from rates.sheets import EPOCH, day_number
from rates.tallies import SYSTEMS

INSERT, UPDATE, PROGRESS = range(3)

_END_2022: Final = day_number(date(2022, 12, 31)) * DAY
_END_2023: Final = day_number(date(2023, 10, 15)) * DAY + 17 * HOUR
_LAST_ARRIVAL: Final = day_number(date(2023, 10, 20)) * DAY
_LIMIT_DAYS: Final = (3, 10, 3, 3, 30, 25, 15)  # in the order of SYSTEMS
_OF_THE_DOSSIER: Final = (
    "MaTTHC",
    "NgayNopHoSo",
    "ChuHoSo",
    "SoGiayToChuHoSo",
    "DinhDanhCHS",
    "SoDienThoai",
    "Email",
    "TrichYeuHoSo",
)
_OTHER: Final = SYSTEMS.index("other")
_NO_BULK: Final = 21  # months since January 2022: from October 2023 on nothing waits for the month's end


class Sent(NamedTuple):
    """A record, when it is received, by whom it is sent, and in what kind of call."""

    at: int
    sender: str
    kind: int
    record: Record


class Systems:
    """When the systems of the bodies send: by slots, some of them now and then a whole month at its end."""

    def __init__(self, random: Random, bodies: int) -> None:
        self._slots = [
            (period, int(random.random() * period))
            for period in random.choices((HOUR, 4 * HOUR, DAY), (1, 3, 5), k=bodies)
        ]
        self._late = {
            (body, month) for body in range(bodies) for month in range(_NO_BULK) if random.random() < 0.1
        }

    def received(self, body: int, time: int) -> int:
        """When something that happened at a time is received: later, within a day or at the month's end."""
        month, last_day = _month(time // DAY)
        at_the_end = last_day * DAY + 20 * HOUR + body * 30
        if (body, month) in self._late and time < at_the_end:
            return at_the_end
        period, phase = self._slots[body]
        return (time - phase) // period * period + period + phase


@lru_cache(maxsize=4096)
def _month(day: int) -> tuple[int, int]:
    """The month of a day, in months since January 2022, and its last day."""
    found = EPOCH + timedelta(days=day)
    following = (found.replace(day=1) + timedelta(days=32)).replace(day=1)
    return (found.year - 2022) * 12 + found.month - 1, day_number(following) - 1


class _Outbox:
    """What the system of one unit sends about one dossier, not before it is known (`floor`)."""

    __slots__ = ("_chance", "_floor", "_source", "_systems", "sent")

    def __init__(self, random: Random, systems: Systems, source: Source, floor: int) -> None:
        self._chance = random.random
        self._systems = systems
        self._source = source
        self._floor = floor
        self.sent: list[Sent] = []

    def slot(self, time: int) -> int:
        return self._systems.received(self._source.body, max(time, self._floor))

    def send(self, at: int, kind: int, record: Record, *, again: float = 0.06) -> None:
        """Send a record at a slot; by chance again, the same, within some weeks."""
        self.sent.append(Sent(at, self._source.sender, kind, record))
        while self._chance() < again:
            later = self.slot(at + int(self._chance() ** 3 * 20 * DAY))
            self.sent.append(Sent(later, self._source.sender, max(kind, UPDATE), record))


class Dossiers:
    """Makes the records of dossiers, asked for in order of their days of receipt."""

    def __init__(
        self, random: Random, sources: list[Source], bodies: tuple[str, ...], register: Register
    ) -> None:
        self._random = random
        self._chance = random.random
        self._sources = sources
        self._records = Records(random, bodies)
        self._systems = Systems(random, len(bodies))
        self._required = [p for p in register.procedures.values() if p.result_required]
        self._unrequired = [p for p in register.procedures.values() if not p.result_required]
        self._day = 0
        self._sequence: dict[str, int] = {}
        self._odd_numbers = 0
        self._latest: dict[str, Dossier] = {}

    def sent(self, day: int, source: int, bits: int) -> list[Sent]:
        """Everything that is ever sent about one planned dossier, all of it received on its day or later."""
        dossier = self._dossier(day, self._sources[source], bits)
        out = _Outbox(self._random, self._systems, dossier.source, day * DAY)
        if bits & NEVER:
            self._never(dossier, out)
        else:
            self._journey(dossier, out, _END_2022 if day < _END_2022 // DAY else _END_2023)
        return [each for each in out.sent if each.at <= _LAST_ARRIVAL]

    def _dossier(self, day: int, source: Source, bits: int) -> Dossier:
        chance = self._chance
        first = self._latest.get(source.unit)
        if first is not None and chance() < 0.02 and self._may_repeat(first, day, bits):
            # The system tries again under a random number: two numbers, one dossier, and both count.
            received, procedure, again = first.received, first.procedure, first.common
        else:
            received, procedure, again = self._time(day, bits), self._procedure(bits), None
        number = self._number(source, received, odd=again is not None or chance() < 0.001)
        papers = [f"tep/{number}/{k}.pdf" for k in range(1 + int(chance() * 3))]
        due_text = self._due(procedure, received)
        common = self._records.common(number, source, bits, procedure, received, papers)
        if again is not None:
            common |= {name: again[name] for name in _OF_THE_DOSSIER if name in again}
        received_text = wire(received)
        if received % DAY == 0 and chance() < 0.5:
            received_text = received_text[:8]
        dossier = Dossier(number, source, bits, received, procedure, received_text, due_text, papers, common)
        self._latest[source.unit] = dossier
        return dossier

    def _may_repeat(self, first: Dossier, day: int, bits: int) -> bool:
        special = (first.bits | bits) & (NEVER | EDGE)
        same = (first.bits ^ bits) & REQUIRED == 0
        # Both on the same side of every period's edge: within one calendar month there is none.
        return not special and same and _month(first.received // DAY)[1] == _month(day)[1]

    def _time(self, day: int, bits: int) -> int:
        if bits & EDGE:
            starts = date_text(day)[4:] in ("0101", "1001")
            return day * DAY if starts else day * DAY + DAY - 1
        draw = self._chance()
        if draw < 0.004:
            return day * DAY
        opening, closing = (27_000, 61_200) if draw < 0.93 else (61_200, 82_800)
        return day * DAY + opening + int(self._chance() * (closing - opening))

    def _procedure(self, bits: int) -> Procedure | None:
        if bits & REQUIRED:
            # A procedure that the register does not know requires a result.
            return self._random.choice(self._required) if self._chance() < 0.97 else None
        return self._random.choice(self._unrequired)

    def _number(self, source: Source, received: int, *, odd: bool) -> str:
        day = received // DAY
        stamp = date_text(day)[2:]
        if odd:
            self._odd_numbers += 1
            tail = f"{50_000 + self._odd_numbers}"
            return (
                f"{source.unit}-{stamp}-{tail}" if self._odd_numbers % 4 else f"{source.unit}-239902-{tail}"
            )
        if day != self._day:
            self._day = day
            self._sequence.clear()
        # Gaps: some numbers are given and never sent.
        last = self._sequence.get(source.unit, int(self._chance() * 20))
        self._sequence[source.unit] = last = last + (1 if self._chance() < 0.95 else 2)
        return f"{source.unit}-{stamp}-{last:04}"

    def _due(self, procedure: Procedure | None, received: int) -> str:
        draw = self._chance()
        if draw < 0.04:
            return ""
        due = received // DAY + _limit(procedure)
        if draw < 0.042:
            return f"203{date_text(due)[3:]}170000"
        return date_text(due) + ("000000" if draw < 0.4 else "170000")

    def _finish(self, dossier: Dossier, horizon: int) -> tuple[int, int, int]:
        """The last status, and when it ended and was returned; 0 where it did not."""
        chance = self._chance
        received = dossier.received
        taken = 600 + int(_limit(dossier.procedure) * DAY * 1.25 * chance())
        draw = chance()
        if dossier.bits & E_RESULT:
            taken = min(taken, int((horizon - received) * 0.9))
            status = 10 if draw < 0.84 else 9
        else:
            status = 0 if draw < 0.12 else 7 if draw < 0.15 else 8 if draw < 0.17 else 9 if draw < 0.3 else 10
        if status == 0 or received + taken >= horizon:
            return (2, 4, 5, 6)[int(chance() * 4)], 0, 0
        ended = received + taken
        if status != 10:
            return status, ended, 0
        return 10, ended, min(ended + 60 + int(chance() * 2 * DAY), horizon)

    def _journey(self, dossier: Dossier, out: _Outbox, horizon: int) -> None:
        """From receipt to the last record; only the last one decides."""
        chance, records, received = self._chance, self._records, dossier.received
        status, ended, returned = self._finish(dossier, horizon)
        inserted = out.slot(received)
        draw = chance()
        if draw < 0.04:  # the progress row overtakes its dossier
            out.send(inserted, PROGRESS, records.progress(dossier, 2, received + 60))
            inserted = out.slot(inserted + 2 * HOUR)
        elif draw < 0.14:
            middle = received + (ended - received) // 2 if ended else received + HOUR
            out.send(out.slot(middle), PROGRESS, records.progress(dossier, 4, middle))
        if chance() < 0.06:
            out.send(out.slot(received - 120), INSERT, records.full(dossier, 1, received=""))
        if ended and chance() < 0.04:  # the update comes before the insert
            inserted = out.slot(out.slot(returned or ended) + int(chance() * DAY))
        out.send(inserted, INSERT, records.full(dossier, 2, received=self._mistaken(dossier, ended)))
        if ended:
            self._on_the_way(dossier, ended, out)
            self._close(dossier, (status, ended, returned), horizon, out)
        elif status != 2:
            time = min(received + HOUR + int(chance() * 3 * DAY), horizon)
            rounds = [{"HoSoBoSungId": "1", "NgayBoSung": wire(time)}] if status == 5 else None
            out.send(out.slot(max(time, inserted)), UPDATE, records.full(dossier, status, rounds=rounds))

    def _mistaken(self, dossier: Dossier, ended: int) -> str | None:
        """A wrong time of receipt in a first record that a later one corrects; mostly None."""
        draw = self._chance()
        if draw > 0.02 or dossier.bits & EDGE or ended < dossier.received + 8 * HOUR:
            return None
        if draw < 0.003:
            return _buddhist(dossier.received_text)
        if draw < 0.006:
            return ("2003", "2013", "2032")[int(self._chance() * 3)] + dossier.received_text[4:]
        return wire(dossier.received + 7 * HOUR)

    def _on_the_way(self, dossier: Dossier, ended: int, out: _Outbox) -> None:
        records, draw = self._records, self._chance()
        received, taken = dossier.received, ended - dossier.received
        if draw < 0.08:
            out.send(out.slot(received + taken // 3), UPDATE, records.full(dossier, 4))
        elif draw < 0.13:
            asked, given = received + taken // 4, received + taken // 2
            round_ = {"HoSoBoSungId": "1", "NgayBoSung": wire(asked), "NgayHenTraTruoc": dossier.due_text}
            out.send(out.slot(asked), UPDATE, records.full(dossier, 5, rounds=[round_]))
            answered = {**round_, "NgayTiepNhanBoSung": wire(given)}
            out.send(out.slot(given), UPDATE, records.full(dossier, 4, rounds=[answered]))

    def _close(self, dossier: Dossier, end: tuple[int, int, int], horizon: int, out: _Outbox) -> None:
        chance, records = self._chance, self._records
        status, ended, returned = end
        result = bool(dossier.bits & E_RESULT)
        ended_text, returned_text = wire(ended), wire(returned) if returned else ""
        draw = chance()
        if draw < 0.06:  # dates without times
            zeros = "" if draw < 0.02 else "000000"
            ended_text = ended_text[:8] + zeros
            returned_text = returned_text[:8] + zeros if returned else ""
        elif draw < 0.08:
            ended_text = wire(ended + 7 * HOUR)
        if status == 10 and chance() < 0.25:
            # A draft's link is gone again when the result is returned.
            links = records.links(dossier) if not result and chance() < 0.1 else records.no_links()
            slip = chance() < 0.05 and not dossier.bits & EDGE
            written = _buddhist(ended_text) if slip else ended_text
            out.send(out.slot(ended), UPDATE, records.full(dossier, 9, ended=written, results=links))
        last = returned or ended
        at = out.slot(last)
        if result and status == 10 and last + 8 * DAY < horizon and chance() < 0.2:
            # The link comes weeks later at the same status and time. That is a tie, and the later arrival
            # stands: so what has no link is sent once, and before.
            bare = records.full(dossier, 10, ended=ended_text, returned=returned_text)
            out.send(at, UPDATE, bare, again=0)
            at = max(out.slot(min(last + int((7 + 28 * chance()) * DAY), horizon)), at + HOUR)
        results = records.links(dossier) if result else records.no_links()
        final = records.full(dossier, status, ended=ended_text, returned=returned_text, results=results)
        out.send(at, UPDATE, final)
        if status in (9, 10) and chance() < 0.01:  # opened again
            opened = last + 8 * HOUR + int((1 + chance()) * DAY)
            if opened < horizon:
                out.send(out.slot(opened), PROGRESS, records.progress(dossier, 4, opened))

    def _never(self, dossier: Dossier, out: _Outbox) -> None:
        """A dossier that is never received, or on a day of another year, whatever else its records claim."""
        records, received = self._records, dossier.received
        at = out.slot(received)
        later = out.slot(at + int(self._chance() * 5 * DAY))
        links = records.links(dossier)
        refused = records.full(dossier, 3, refused=wire(received + HOUR), results=links)
        match int(self._chance() * 9):
            case 0:
                out.send(at, INSERT, records.full(dossier, 1))
            case 1:
                out.send(later, INSERT, records.full(dossier, 1, received=""))
                out.send(at, UPDATE, refused)
            case 2:
                out.send(at, INSERT, records.full(dossier, 2))
                out.send(later, UPDATE, refused)
            case 3:
                out.send(at, PROGRESS, records.progress(dossier, 4, received))
            case 4:
                out.send(later, INSERT, records.full(dossier, 4))
                out.send(at, PROGRESS, records.progress(dossier, 3, received + 60))
            case kind:
                text = dossier.received_text
                wrong = ("", _buddhist(text), "2032" + text[4:], "2013" + text[4:])[kind - 5]
                record = records.full(dossier, 9, received=wrong, ended=wire(received + 60), results=links)
                out.send(at, INSERT, record)


def _limit(procedure: Procedure | None) -> int:
    """How many days a procedure may take."""
    system = procedure.system if procedure is not None else None
    return _LIMIT_DAYS[_OTHER if system is None else system]


def _buddhist(text: str) -> str:
    """The same time with its year counted from the Buddha."""
    return f"{int(text[:4]) + 543}{text[4:]}"
