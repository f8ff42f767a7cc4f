"""A store of verdicts in memory."""

from collections.abc import Collection, Mapping, Sequence

from rates.effects import Moment
from rates.freshness import Office, Pipe
from rates.register import Register
from rates.verdicts import NOT_ARRIVED, Arrived, Counted, Counts, Held, Key, Ruling, State

MONDAY = 1_678_672_800  # 2023-03-13 09:00 local


class Memory:
    """A store of verdicts of which a test sets the moment."""

    def __init__(self) -> None:
        self.now = Moment(MONDAY, 12, 12, 0, MONDAY - 60, fresh=True, stamp="1")
        # It would turn at once: there is nothing to judge it by.
        firing = State("firing", "warn", MONDAY - 900_000, 0)
        self.held = {Key("R1", "province", "H18"): Held(firing, 1, 100, 0)}
        self.saved: list[tuple[Sequence[Ruling], int, bool]] = []

    async def moment(self) -> Moment:
        return self.now

    async def register(self) -> Register:
        return Register.shipped()

    async def counted(self, first: int, last: int, tallies: Collection[str]) -> Sequence[Counted]:
        return []

    async def systems(
        self, codes: Collection[str], first: int, last: int, tallies: Collection[str]
    ) -> Mapping[str, Mapping[str, Counts]]:
        return {}

    async def offices(self, register: Register, through: Pipe) -> Mapping[str, Office]:
        return {}

    async def arrived(self, at: int) -> Arrived:
        return NOT_ARRIVED

    async def states(self) -> Mapping[Key, Held]:
        return dict(self.held)

    async def save(self, rulings: Sequence[Ruling], at: int, *, fresh: bool) -> None:
        self.saved.append((rulings, at, fresh))
        for one in rulings:
            self.held[one.key] = Held(one.after, one.reading.numerator, one.reading.denominator, at)
