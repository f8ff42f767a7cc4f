"""Ratios as they are printed: exact fractions, rounded half up, and nothing at all for 0/0.

Half up reproduces every published figure of the field; binary floats do not (0.285 is not 0.29 to them).
"""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction


def ratio(numerator: int, denominator: int) -> Fraction | None:
    """Numerator / denominator; None for 0/0."""
    return Fraction(numerator, denominator) if denominator else None


def half_up(value: Fraction, digits: int) -> str:
    """A number to so many decimals, halves away from zero."""
    scaled = value * 10**digits
    doubled = abs(scaled) * 2 + 1
    whole = doubled.numerator // (doubled.denominator * 2)
    rounded = Decimal(-whole if value < 0 else whole).scaleb(-digits)
    return str(rounded.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def percent(numerator: int, denominator: int, digits: int = 2) -> str | None:
    """A ratio as a percentage to so many decimals, without the sign; None for 0/0."""
    found = ratio(numerator, denominator)
    return None if found is None else half_up(found * 100, digits)
