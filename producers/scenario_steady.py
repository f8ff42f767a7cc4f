"""A morning at all one-stop shops of a day: dossiers come in at an even pace, many are done before noon.

Nothing goes wrong in it. It is there to be looked at: a page over a living stack moves while it is played.
"""

from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random
from typing import Final

from producers.scenario_dossiers import INSERT, UPDATE, Sent
from producers.scenario_plan import DIGITISED, E_RESULT, POPULATION, REQUIRED, Source
from producers.scenario_records import DAY, HOUR, Dossier, Records, date_text, wire
from rates.register import Procedure, Register

MORNING: Final = 4 * HOUR
_DOSSIERS: Final = 8_000


def steady(random: Random, scale: float, register: Register, start: int) -> Iterator[Sent]:
    """What is received in the four hours from `start` (local seconds), in order of time."""
    day = start // DAY
    bodies = register.bodies(day)
    place = {body: index for index, body in enumerate(bodies)}
    body_of = {unit: register.body(unit, day) for unit in register.one_stop_units(day)}
    units = [unit for unit, body in body_of.items() if body in place]
    if not units:
        msg = f"the register knows no one-stop unit on {date_text(day)}; take another day or register"
        raise ValueError(msg)
    records = Records(random, bodies)
    procedures: list[Procedure | None] = [*register.procedures.values(), None]
    numbers = Counter[str]()
    coming: list[tuple[int, int, Sent]] = []
    count = max(1, round(_DOSSIERS * scale))
    for n in range(count):
        received = start + n * MORNING // count
        while coming and coming[0][0] <= received:
            yield heappop(coming)[-1]
        unit = random.choice(units)
        body = body_of[unit]
        numbers[unit] += 1
        number = f"{unit}-{date_text(day)[2:]}-{numbers[unit]:04}"
        procedure = random.choice(procedures)
        bits = sum(bit for bit in (REQUIRED, E_RESULT, DIGITISED, POPULATION) if random.random() < 0.6)
        source = Source(unit, place[body], body, 1.0, bool(bits & DIGITISED), silent=False)
        papers = [f"tep/{number}/0.pdf"]
        common = records.common(number, source, bits, procedure, received, papers)
        due = wire(received + 3 * DAY)
        dossier = Dossier(number, source, bits, received, procedure, wire(received), due, papers, common)
        yield Sent(received, body, INSERT, records.full(dossier, 2))
        ended = received + 300 + int(random.random() * MORNING)
        if ended < start + MORNING:
            links = records.links(dossier) if bits & E_RESULT else records.no_links()
            done = records.full(dossier, 10, ended=wire(ended), returned=wire(ended), results=links)
            heappush(coming, (ended, n, Sent(ended, body, UPDATE, done)))
    while coming:
        yield heappop(coming)[-1]
