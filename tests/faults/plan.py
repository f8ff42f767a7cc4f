"""What goes wrong, and when: a list of faults, drawn from a seed.

A moment is a share of the load that is durable, never a time of day, so that the same seed plays the same
faults at the same places of the load on any machine. Drawing is pure; what a fault does is `faults.py`.
"""

import random
from collections.abc import Mapping
from typing import Final, NamedTuple

PLANS: Final = {
    "default": "all faults that are asked for, mixed, some of them one on top of another",
    "refusals": "only what lies between worker and engine: slow answers, cut connections, refusals",
    "sequence": "worker 1, worker 2, engine and broker killed 2.5 s apart, several times",
    "anew": "the topic is deleted and made anew under load, migrated, and the load sent again",
    "partitions": "the topic gets more partitions: refused; then it is made anew and the load sent again",
    "overload": "twice the load that one worker can take, then none: it must catch up in bounded memory",
}

FIRST, LAST = 0.03, 0.92
"""Between these shares of the load everything happens: it begins and ends in peace."""

REFUSALS: Final = (164, 242, 241, 252, 243)
_WIRE: Final = ("slow", "cut_before", "cut_during", "cut_after", "cut_answer", *map(str, REFUSALS))
_TABLES: Final = ("dossiers", "tallies", "dead_letters", "progress", "SELECT")


class Fault(NamedTuple):
    """One thing that goes wrong.

    `how` is its variant, `who` picks its victim (modulo those there are), `wait` are the seconds from its
    moment until it strikes, `lasts` those until what is down is started again, or the disturbance ends.
    `alone`: the next one waits until this one is over, and its recovery is measured.
    """

    at: float
    kind: str
    how: str
    who: int
    wait: float
    lasts: float
    alone: bool


def draw(seed: int, counts: Mapping[str, int]) -> list[Fault]:
    """So many faults of each kind, in the order of their moments."""
    rng = random.Random(seed)
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    step = (LAST - FIRST) / max(1, len(kinds))
    singles = _every(rng, kinds, "kill", 8)
    return [
        _drawn(rng, FIRST + step * (place + rng.random() * 0.5), kind, single=place in singles)
        for place, kind in enumerate(kinds)
    ]


def _every(rng: random.Random, kinds: list[str], kind: str, nth: int) -> set[int]:
    """The places of about every nth of a kind, of one at least where there are three."""
    places = [place for place, each in enumerate(kinds) if each == kind]
    return set(rng.sample(places, max(len(places) // nth, len(places) >= 3)))


def _drawn(rng: random.Random, at: float, kind: str, *, single: bool) -> Fault:
    wait, lasts, alone = rng.uniform(0, 1.5), rng.uniform(0.2, 6), rng.random() < 0.75
    match kind:
        case "kill" if single:
            # The last one that is left, started again at once.
            how, lasts, alone = "single", 0.0, True
        case "kill":
            how = rng.choice(("any", "any", "before tallies", "after tallies", "after progress"))
        case "rebalance":
            how = rng.choice(("SIGTERM", "SIGKILL"))
        case "stall":
            how, lasts = rng.choice(("any", "before dossiers", "before tallies")), rng.uniform(7.5, 10)
        case "wire":
            how = f"{rng.choice(_WIRE)} {rng.choice(_TABLES)}"
        case "clock":
            how = str(rng.choice((-1, 1)) * rng.randrange(3_600, 48 * 3_600))
        case _:
            how = "SIGKILL"
    return Fault(at, kind, how, rng.randrange(1 << 16), round(wait, 2), round(lasts, 2), alone)
