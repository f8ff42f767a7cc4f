"""What the October 2023 world comes to: how many dossiers there are, and how each counts in the end.

The published figures are reached by counting, not by luck: for each group of bodies and each year the plan
fixes how many dossiers count in the denominator and exactly as many of them in the numerator, which units
digitise, and which bodies use the population database. How a dossier's records travel (twice, late, out of
order, among junk) is `scenario_dossiers`; it must not change how a dossier counts.

Sources: the meeting of the Prime Minister's working group on administrative procedure reform, October 2023
(24.48 % ministries, 38.94 % localities, 9,200 of 11,956 one-stop units, 15 ministries and 63 localities).
"""

from collections import Counter
from datetime import date
from fractions import Fraction
from math import log
from random import Random
from typing import Final

from msgspec import Struct

from rates.calendar import Calendar
from rates.register import Register
from rates.sheets import day_number

# How a dossier counts in the end, as bits.
REQUIRED: Final = 1
E_RESULT: Final = 2
DIGITISED: Final = 4
POPULATION: Final = 8
NEVER: Final = 16  # never received, or received on an impossible day: counts nowhere in the two periods
EDGE: Final = 32  # received in the first or the last second of its day

YEARS: Final = (2022, 2023)
SMALLEST_SCALE: Final = 0.2  # below, there are fewer dossiers than units that digitise
ONE_STOP_UNITS: Final = 11_956
DIGITISING_UNITS: Final = 9_200
POPULATION_MINISTRIES: Final = 15
MINISTRIES: Final = 22  # the first of `Plan.bodies`; the others are provinces
PROVINCES: Final = 63
DIEN_BIEN: Final = "H18"
DIEN_BIEN_DIGITISED: Final = Fraction(77, 100)  # published: over 75 %

_RATES: Final = {
    ("ministry", 2022): (Fraction(1078, 10_000), 5_000),
    ("ministry", 2023): (Fraction(2448, 10_000), 10_000),
    ("province", 2022): (Fraction(1314, 10_000), 20_000),
    ("province", 2023): (Fraction(3894, 10_000), 50_000),
}
_LEVEL_WEIGHT: Final = {"department": 3.0, "district": 4.0, "commune": 1.0}


class Source(Struct, frozen=True, gc=False):
    """Where dossiers come from: a unit, its body, who sends for it, and what of it is known."""

    unit: str
    body: int
    sender: str
    weight: float
    digitises: bool
    silent: bool


class Figures(Struct):
    """What the plan comes to. Rates: (numerator, denominator) by level of body and year."""

    rates: dict[tuple[str, int], tuple[int, int]]
    digitising_units: int
    population_bodies: dict[str, int]
    dien_bien: tuple[int, int]


class Plan(Struct):
    """`dossiers`: packed day, index of `sources` and bits, in order of days."""

    bodies: tuple[str, ...]
    sources: list[Source]
    dossiers: list[int]
    figures: Figures


def packed(day: int, source: int, bits: int) -> int:
    return day << 24 | source << 8 | bits


def unpacked(dossier: int) -> tuple[int, int, int]:
    return dossier >> 24, dossier >> 8 & 0xFFFF, dossier & 0xFF


def period(year: int) -> tuple[int, int]:
    """The days of a year's first nine months, both ends included."""
    return day_number(date(year, 1, 1)), day_number(date(year, 9, 30))


def fraction_near(rate: Fraction, size: int) -> tuple[int, int]:
    """The numerator and denominator that meet a rate best among denominators from `size` to 2 % above."""

    def error(whole: int) -> Fraction:
        return abs(Fraction(round(rate * whole), whole) - rate)

    whole = min(range(size, size + size // 50 + 100), key=lambda whole: (error(whole), whole))
    return round(rate * whole), whole


def make_plan(rng: Random, scale: float, register: Register) -> Plan:
    """The world of a seed. Raises ValueError where it cannot be made of this register or at this scale."""
    if scale < SMALLEST_SCALE:
        few = f"scale {scale} gives fewer dossiers than the {DIGITISING_UNITS:,} units that digitise"
        msg = f"{few}; take {SMALLEST_SCALE} or more"
        raise ValueError(msg)
    today = day_number(date(2023, 10, 1))
    one_stop = register.one_stop_units(today)
    levels = {level: register.bodies(today, level) for level in ("ministry", "province")}
    found = len(one_stop), len(levels["ministry"]), len(levels["province"])
    if found != (ONE_STOP_UNITS, MINISTRIES, PROVINCES):
        wanted = f"{PROVINCES} provinces, {MINISTRIES} ministries and {ONE_STOP_UNITS:,} one-stop units"
        msg = f"this is a world of {wanted}; take the shipped register"
        raise ValueError(msg)
    bodies = levels["ministry"] + levels["province"]
    sources = _sources(rng, register, one_stop, bodies, today)
    using = frozenset(rng.sample(range(MINISTRIES), POPULATION_MINISTRIES)) | frozenset(
        range(MINISTRIES, len(bodies))
    )
    dossiers: list[int] = []
    rates: dict[tuple[str, int], tuple[int, int]] = {}
    for (level, year), (rate, size) in _RATES.items():
        rates[level, year] = fraction_near(rate, round(size * scale))
        is_ministry = level == "ministry"
        heard = [i for i, source in enumerate(sources) if not source.silent]
        own = [i for i in heard if (sources[i].body < MINISTRIES) == is_ministry]
        dossiers += _group(rng, sources, own, bodies, using, year, *rates[level, year])
    dossiers.sort()
    return Plan(bodies, sources, dossiers, _figures(bodies, sources, dossiers, rates))


def _sources(
    rng: Random, register: Register, one_stop: tuple[str, ...], bodies: tuple[str, ...], day: int
) -> list[Source]:
    place = {body: index for index, body in enumerate(bodies)}
    body_of = [register.body(unit, day) for unit in one_stop]
    # Every centre and every unit of Điện Biên digitises; of the others, chance says which.
    always = [unit[3:] == ".01" or body == DIEN_BIEN for unit, body in zip(one_stop, body_of, strict=True)]
    others = [index for index, certain in enumerate(always) if not certain]
    drawn = set(rng.sample(others, DIGITISING_UNITS - sum(always)))
    rest = [index for index in others if index not in drawn]
    silent = set(rng.sample(rest, len(rest) // 4))
    sources = []
    for index, (unit, body) in enumerate(zip(one_stop, body_of, strict=True)):
        row = register.unit(unit, day)
        level = row.level if row is not None else "commune"
        weight = (6.0 if unit[3:] == ".01" else _LEVEL_WEIGHT[level]) * rng.lognormvariate(0, 0.6)
        draw = rng.random()
        above = unit.rpartition(".")[0]
        sender = unit if draw < 0.1 else above if draw < 0.25 else body
        digitises = always[index] or index in drawn
        sources.append(Source(unit, place[body], sender, weight, digitises, index in silent))
    # Units that the register does not know count all the same, for the body that their code names.
    for body in rng.sample(bodies, 24):
        old = f"000.00.{rng.randrange(10, 90)}.{body}"
        sources.append(Source(old, place[body], rng.choice((old, f"000.00.00.{body}")), 2.0, True, False))
        new = f"{body}.{rng.randrange(970, 1000)}"
        sources.append(Source(new, place[body], body, 1.0, True, False))
    return sources


def _group(
    rng: Random,
    sources: list[Source],
    own: list[int],
    bodies: tuple[str, ...],
    using: frozenset[int],
    year: int,
    numerator: int,
    denominator: int,
) -> list[int]:
    """The dossiers of a level and year: those of the rate, and those that must not count in it."""
    weights = [sources[i].weight for i in own]
    required = _first_ones(bodies, sources, own) if year == 2023 else []
    certain = len(required)
    required += rng.choices(own, weights, k=denominator - certain)
    bits = [REQUIRED | EDGE if k < 8 else REQUIRED for k in range(denominator)]
    for k in _chosen(rng, sources, required, numerator):
        bits[k] |= E_RESULT
    unrequired = rng.choices(own, weights, k=denominator // 9)
    bits += [E_RESULT if rng.random() < 0.2 else 0 for _ in unrequired]
    counted = required + unrequired
    _digitise(rng, sources, counted, bits, year, bodies)
    _use_population_database(rng, sources, counted, bits, using, year)
    # An edge of the period lies at each end: the first four begin it, the next four end it.
    first, last = period(year)
    days = _days(rng, first, last, len(counted))
    days[:8] = [first] * 4 + [last] * 4
    result = [packed(*found) for found in zip(days, counted, bits, strict=True)]

    # What a wrong reading of the period or of the statuses would count: all of it has a result and digitises.
    bait = REQUIRED | E_RESULT | DIGITISED | POPULATION
    for source in rng.choices(own, weights, k=denominator // 400 + 4):
        day, edge = (first - 1, EDGE) if rng.random() < 0.2 else (last + 1, EDGE)
        if rng.random() < 0.5:
            day, edge = last + rng.randrange(2, 7), 0
        allowed = bait if sources[source].body in using else bait & ~POPULATION
        result.append(packed(day, source, allowed | edge))
    never = rng.choices(own, weights, k=denominator // 30)
    result += [
        packed(day, i, bait | NEVER)
        for day, i in zip(_days(rng, first, last, len(never)), never, strict=True)
    ]
    return result


def _first_ones(bodies: tuple[str, ...], sources: list[Source], own: list[int]) -> list[int]:
    """A dossier for each one-stop unit that digitises; half as many again in Điện Biên, for its share."""
    first = [i for i in own if sources[i].digitises and i < ONE_STOP_UNITS]
    extra = [i for i in first if bodies[sources[i].body] == DIEN_BIEN]
    return first + extra[::2]


def _chosen(rng: Random, sources: list[Source], required: list[int], count: int) -> list[int]:
    """Exactly `count` positions, drawn without replacement by the odds of their bodies.

    The weighted draw is that of Efraimidis and Spirakis (2006): the greatest keys log(u) / weight win.
    """
    odds = {body: rng.lognormvariate(0, 0.5) for body in sorted({sources[i].body for i in required})}
    keys = [log(1.0 - rng.random()) / odds[sources[i].body] for i in required]
    return sorted(range(len(required)), key=keys.__getitem__)[-count:]


def _digitise(
    rng: Random,
    sources: list[Source],
    counted: list[int],
    bits: list[int],
    year: int,
    bodies: tuple[str, ...],
) -> None:
    """Digitised: in 2023 the first dossier of each unit that digitises; some of its others; no other."""
    share = [rng.uniform(0.25, 0.65) * (1.0 if year == 2023 else 0.4) for _ in bodies]
    seen: set[int] = set()
    spare: list[int] = []
    dien_bien = digitised = 0
    for k, i in enumerate(counted):
        source = sources[i]
        first = year == 2023 and i not in seen
        seen.add(i)
        if bodies[source.body] == DIEN_BIEN and year == 2023:
            dien_bien += 1
            if not first:
                spare.append(k)
                continue
            digitised += 1
        if source.digitises and (first or rng.random() < share[source.body]):
            bits[k] |= DIGITISED
    for k in rng.sample(spare, round(DIEN_BIEN_DIGITISED * dien_bien) - digitised) if spare else ():
        bits[k] |= DIGITISED


def _use_population_database(
    rng: Random, sources: list[Source], counted: list[int], bits: list[int], using: frozenset[int], year: int
) -> None:
    """Used: in 2023 by the first dossier of each body that uses it; by a third of its others; no other's."""
    seen: set[int] = set()
    for k, i in enumerate(counted):
        body = sources[i].body
        if body in using and (rng.random() < 0.33 or (year == 2023 and body not in seen)):
            bits[k] |= POPULATION
        seen.add(body)


def _days(rng: Random, first: int, last: int, count: int) -> list[int]:
    """Days of receipt: working days, fewer on Saturdays, more towards the end."""
    calendar = Calendar.shipped()
    days = range(first, last + 1)
    weights = [
        (1.0 if calendar.is_working_day(day) else 0.1 if (day + 3) % 7 == 5 else 0.0)
        * (1 + (day - first) / (2 * len(days)))
        for day in days
    ]
    return rng.choices(days, weights, k=count)


def _figures(
    bodies: tuple[str, ...],
    sources: list[Source],
    dossiers: list[int],
    rates: dict[tuple[str, int], tuple[int, int]],
) -> Figures:
    first, last = period(2023)
    digitising: set[int] = set()
    population: set[int] = set()
    dien_bien = Counter[str]()
    for dossier in dossiers:
        day, index, bits = unpacked(dossier)
        if bits & NEVER or not first <= day <= last:
            continue
        body = sources[index].body
        if bits & DIGITISED and index < ONE_STOP_UNITS:
            digitising.add(index)
        if bits & POPULATION:
            population.add(body)
        if bodies[body] == DIEN_BIEN:
            dien_bien["received"] += 1
            dien_bien["digitised"] += bool(bits & DIGITISED)
    return Figures(
        rates,
        len(digitising),
        {
            "ministry": sum(b < MINISTRIES for b in population),
            "province": sum(b >= MINISTRIES for b in population),
        },
        (dien_bien["digitised"], dien_bien["received"]),
    )
