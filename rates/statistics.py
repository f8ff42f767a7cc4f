"""What can be said of a rate that is made of few dossiers."""

from math import sqrt


def wilson(numerator: int, denominator: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson score interval of numerator / denominator, as shares of 1; (0, 1) for 0/0.

    `z` 1.96 is 95 %. Source: E. B. Wilson, Probable inference, the law of succession, and statistical
    inference, Journal of the American Statistical Association 22 (1927).
    """
    if denominator == 0:
        return 0.0, 1.0
    share, spread = numerator / denominator, z * z / denominator
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / denominator + spread / (4 * denominator)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
