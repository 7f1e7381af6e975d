"""How large a difference so many cards can show, and how many cards a difference needs."""

from __future__ import annotations

import math
from typing import Final

POWER: Final = 0.8
"""How likely a difference should be found, where nothing else is said."""
MAX_CARDS: Final = 100_000
"""More than this is no advice."""
ASSUMED_DEVIATION: Final = 0.8
"""Standard deviation of a supporter's expected label over cards, where there is no pilot run: an assumption."""
ASSUMED_CORRELATION: Final = 0.5
"""Correlation of two supporters' labels on the same cards, where there is no pilot run: an assumption."""


def paired_deviation(deviation: float, correlation: float) -> float:
    """Return the standard deviation of the paired difference of two supporters that spread alike.

    sd sqrt(2 (1 - rho)): the variance of a difference (Miller, arXiv 2411.00640, section 4.2).
    """
    return deviation * math.sqrt(2 * (1 - correlation))


def detectable(n: int, deviation: float, *, power: float = POWER) -> float | None:
    """Return the smallest mean difference that `n` cards show with this probability; None below two cards.

    (t(0.975, n-1) + t(power, n-1)) sd / sqrt(n), two-sided at 5 % (Bloom, "Minimum detectable effects", Evaluation
    Review 19, 1995; Julious, Statistics in Medicine 23, 2004). It comes within about 3 % of the exact noncentral t from
    5 cards on.

    Args:
        n: Cards.
        deviation: Standard deviation of the paired differences over cards.
        power: Between 0.5 and 1.
    """
    return None if n < 2 else _multiplier(n, power) * deviation / math.sqrt(n)


def assumed_sight(n: int) -> float | None:
    """Return the difference in labels that `n` cards show where nothing was piloted; None below two cards."""
    return detectable(n, paired_deviation(ASSUMED_DEVIATION, ASSUMED_CORRELATION))


def cards_for(difference: float, deviation: float, *, power: float = POWER) -> int | None:
    """Return the least number of cards for which `detectable` is `difference` or less; None above `MAX_CARDS`."""

    def is_enough(n: int) -> bool:
        return _multiplier(n, power) * deviation <= difference * math.sqrt(n)

    if difference <= 0 or not is_enough(MAX_CARDS):
        return None
    low, high = 1, MAX_CARDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _multiplier(n: int, power: float) -> float:
    # Deferred: scipy takes a noticeable part of a second to import.
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.975) + stdtrit(n - 1, power))
