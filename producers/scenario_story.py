"""A spring in six provinces in which something happens to each: what the alert rules are held against.

From 2024-01-08 to 2024-04-26, on working days alone, so Tết passes without a call. Everybody gives electronic
results above the target of 2024, apart from this:

- *slipping*: the second province's rate falls for dossiers of 4 to 22 March, then is as before;
- *gaming*: from 19 February on one unit of the third province sends input papers as results (domain: G2);
- *stale pipe*: from noon of 27 March to the next morning nothing of anybody arrives, then all of it does;
- *silent*: one unit of the fourth province is not heard of from 2 to 10 April.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from heapq import heappop, heappush
from random import Random
from typing import Final

from producers.scenario_dossiers import INSERT, UPDATE, Sent
from producers.scenario_plan import DIGITISED, E_RESULT, POPULATION, REQUIRED, Source
from producers.scenario_records import DAY, HOUR, Dossier, Record, Records, date_text, wire
from rates.calendar import Calendar
from rates.register import Procedure, Register
from rates.sheets import day_number

PROVINCES: Final = 6
UNITS: Final = 5
_A_DAY: Final = 8
_USUAL: Final = 0.97
_SLIPPED: Final = 0.45


def _days(first: str, last: str) -> range:
    return range(day_number(date.fromisoformat(first)), day_number(date.fromisoformat(last)) + 1)


PLAYED: Final = _days("2024-01-08", "2024-04-26")
SLIPPING: Final = _days("2024-03-04", "2024-03-22")
GAMING: Final = _days("2024-02-19", "2024-04-26")
SILENT: Final = _days("2024-04-02", "2024-04-10")
STALE: Final = (_days("2024-03-27", "2024-03-27")[0] * DAY + 12 * HOUR, 19 * HOUR)
"""From when on nothing arrives (local seconds), and for how many seconds."""


def cast(register: Register) -> dict[str, tuple[str, ...]]:
    """The provinces of the story in order, each with its units."""
    found: dict[str, list[str]] = {}
    for unit in sorted(register.one_stop_units(PLAYED[0])):
        body = register.body(unit, PLAYED[0])
        if body.startswith("H"):
            found.setdefault(body, []).append(unit)
    chosen = [body for body in sorted(found) if len(found[body]) >= UNITS][:PROVINCES]
    if len(chosen) < PROVINCES:
        msg = f"the story needs {PROVINCES} provinces of {UNITS} one-stop units; take another register"
        raise ValueError(msg)
    return {body: tuple(found[body][:UNITS]) for body in chosen}


def slipping(register: Register) -> str:
    """The province whose rate falls for three weeks."""
    return tuple(cast(register))[1]


def gaming(register: Register) -> str:
    """The unit that sends input papers as results."""
    return tuple(cast(register).values())[2][0]


def silent(register: Register) -> str:
    """The unit that is not heard of for a week."""
    return tuple(cast(register).values())[3][1]


def story(random: Random, scale: float, register: Register) -> Iterator[Sent]:
    """What is received, in order of time; `scale` multiplies how many dossiers there are."""
    calendar = Calendar.shipped()
    units = [(body, unit) for body, listed in cast(register).items() for unit in listed]
    low, games, quiet = slipping(register), gaming(register), silent(register)
    place = {body: at for at, body in enumerate(cast(register))}
    records = Records(random, tuple(place) + ("",) * 9)
    procedures: list[Procedure] = [one for one in register.procedures.values() if one.result_required]
    numbers = Counter[str]()
    coming: list[tuple[int, int, Sent]] = []

    def sent(at: int, body: str, kind: int, record: Record) -> None:
        begin, lasting = STALE
        heard = begin + lasting if begin <= at < begin + lasting else at
        heappush(coming, (heard, next(order), Sent(heard, body, kind, record)))

    order = iter(range(1 << 40))
    for day in (day for day in PLAYED if calendar.is_working_day(day)):
        working = [after for after in range(day + 1, day + 30) if calendar.is_working_day(after)]
        for body, unit in units:
            if unit == quiet and day in SILENT:
                continue
            for _ in range(max(1, round(_A_DAY * scale))):
                received = day * DAY + 8 * HOUR + int(random.random() * 8 * HOUR)
                numbers[unit] += 1
                number = f"{unit}-{date_text(day)[2:]}-{numbers[unit]:05}"
                gives = random.random() < (_SLIPPED if body == low and day in SLIPPING else _USUAL)
                bits = REQUIRED | E_RESULT * gives
                bits |= sum(bit for bit in (DIGITISED, POPULATION) if random.random() < 0.6)
                source = Source(unit, place[body], body, 1.0, bool(bits & DIGITISED), silent=False)
                procedure = random.choice(procedures)
                papers = [f"tep/{number}/0.pdf"]
                common = records.common(number, source, bits, procedure, received, papers)
                due = wire(working[4] * DAY + 17 * HOUR)
                dossier = Dossier(
                    number, source, bits, received, procedure, wire(received), due, papers, common
                )
                sent(received + 60, body, INSERT, records.full(dossier, 4))
                ended = working[int(random.random() * 3)] * DAY + 9 * HOUR + int(random.random() * 7 * HOUR)
                if ended // DAY not in PLAYED or (unit == quiet and ended // DAY in SILENT):
                    continue
                link = papers[0] if unit == games and day in GAMING else f"ketqua/{number}.pdf"
                results = [{"TenGiayTo": "Kết quả", "DuongDanTepTinKetQua": link}] if gives else []
                done = records.full(dossier, 10, ended=wire(ended), returned=wire(ended), results=results)
                sent(ended + 60, body, UPDATE, done)
        while coming and coming[0][0] < (day + 1) * DAY:
            yield heappop(coming)[-1]
    while coming:
        yield heappop(coming)[-1]
