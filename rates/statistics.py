"""What a share that was counted says of the share behind it, and where one stands among its peers.

A small office is not behind because one of its three dossiers is: a share is held against a threshold by the
end of its confidence interval, and against its peers by their median, itself left out.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Final, NamedTuple

Z: Final = 1.959964
"""The normal quantile of a two-sided interval of 95 %."""


class Interval(NamedTuple):
    """Shares from 0 to 1."""

    lower: float
    upper: float


def wilson(numerator: int, denominator: int, z: float = Z) -> Interval:
    """Wilson's score interval of `numerator` of `denominator`; of 0 of 0 it is everything.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927). It stays within 0 and 1 and holds for few and for extremes.
    """
    if denominator <= 0:
        return Interval(0.0, 1.0)
    share = numerator / denominator
    weight = z * z / denominator
    middle = share + weight / 2
    half = z * sqrt((share * (1 - share) + weight / 4) / denominator)
    # Rounding may not put the share itself outside.
    lower = max(0.0, min(share, (middle - half) / (1 + weight)))
    return Interval(lower, min(1.0, max(share, (middle + half) / (1 + weight))))


def fall(before: tuple[int, int], now: tuple[int, int]) -> Interval:
    """The interval of 95 % of how far a share fell, from one (numerator, denominator) to another.

    R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17 (1998), method 10: Wilson's intervals of both, combined.
    """
    was, held = wilson(*before), wilson(*now)
    share = before[0] / before[1] if before[1] else 0.0
    left = now[0] / now[1] if now[1] else 0.0
    return Interval(
        share - left - sqrt((share - was.lower) ** 2 + (held.upper - left) ** 2),
        share - left + sqrt((was.upper - share) ** 2 + (left - held.lower) ** 2),
    )


def median(ranked: Sequence[float]) -> float | None:
    """The median of numbers in rising order; None of none."""
    if not ranked:
        return None
    half = len(ranked) // 2
    return ranked[half] if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2


class Peers:
    """Shares of those of one kind, for one of them to be held against the others."""

    __slots__ = ("_median", "_ranked")

    def __init__(self, shares: Iterable[float]) -> None:
        self._ranked = sorted(shares)
        self._median = median(self._ranked)

    def others(self, own: float | None) -> int:
        """How many there are besides one whose share is `own`; None for one that is not among them."""
        return len(self._ranked) - (own is not None)

    def median(self, own: float | None) -> float | None:
        """The median of the others."""
        if own is None:
            return self._median
        at = bisect_left(self._ranked, own)
        left = len(self._ranked) - 1
        if left < 1:
            return None

        def other(index: int) -> float:
            return self._ranked[index + (index >= at)]

        half = left // 2
        return other(half) if left % 2 else (other(half - 1) + other(half)) / 2

    def quantile(self, share: float) -> float | None:
        """The number that at least so large a share of all does not exceed (nearest rank); None of none."""
        if not self._ranked:
            return None
        return self._ranked[max(0, min(len(self._ranked) - 1, round(share * len(self._ranked)) - 1))]
