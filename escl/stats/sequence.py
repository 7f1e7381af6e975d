"""An interval that stays right however often one looks: the end of a comparison may depend on it.

Knows numbers only. The order of the values must not depend on them: escl takes cards in an order drawn from their ids.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

GRID: Final = 4001
"""Candidate means between the bounds; the interval's ends are moved out to the next one."""
CAP: Final = 0.9
"""No bet risks more than this share of the capital."""

Floats = npt.NDArray[np.float64]


class AnytimeInterval(msgspec.Struct, frozen=True, kw_only=True):
    """A running 95 % interval of a mean after n values.

    Attributes:
        n: Values seen.
        mean: None before the first.
        low: The highest lower end so far.
        high: The lowest upper end so far.
    """

    n: int
    mean: float | None
    low: float
    high: float


def anytime_interval(values: Sequence[float], *, lowest: float, highest: float, level: float = 0.95) -> AnytimeInterval:
    """Return the interval of the mean of bounded values that holds at every n at once with probability `level`.

    The hedged capital process (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
    Journal of the Royal Statistical Society B 86, 2024, section 4.4, theorem 3): for each candidate mean two gamblers
    bet that the truth is higher or lower; a candidate that makes either rich beyond 2 / (1 - level) is out for good.
    Bets are the predictable plug-ins of that section, capped at `CAP`. Values that any n cards may take are allowed,
    equal ones and lopsided ones too; only the bounds must be true.

    Args:
        values: In the order they were seen, within the bounds.
        lowest: No value can lie below.
        highest: No value can lie above.
        level: Of confidence.

    Raises:
        ValueError: A value lies outside the bounds.
    """
    if any(not lowest <= value <= highest for value in values):
        raise ValueError(f"a value lies outside {lowest:g}..{highest:g}")
    unit = (np.asarray(values, float) - lowest) / (highest - lowest)
    kept = kept_means(unit[None, :], level=level)[0]
    # The true mean lies between grid points, so each end goes out by one step.
    step = (highest - lowest) / (GRID - 1)
    inside = np.flatnonzero(kept)
    if len(inside) == 0:
        # Every candidate is out, which happens with probability 1 - level at most; what is left is the mean itself.
        low = high = math.fsum(values) / len(values)
    else:
        low, high = lowest + step * (inside[0] - 1), lowest + step * (inside[-1] + 1)
    return AnytimeInterval(
        n=len(values),
        mean=math.fsum(values) / len(values) if len(values) else None,
        low=max(lowest, float(low)),
        high=min(highest, float(high)),
    )


def kept_means(values: Floats, *, level: float, grid: Floats | None = None) -> npt.NDArray[np.bool_]:
    """Return which candidate means no gambler has ruled out, for each of several sequences side by side.

    Args:
        values: (sequences, n), each within 0..1.
        level: Of confidence.
        grid: The candidates within 0..1; `GRID` evenly spaced ones when None.

    Returns:
        (sequences, candidates).
    """
    candidates = np.linspace(0, 1, GRID) if grid is None else grid
    rich = math.log(2 / (1 - level))
    runs, n = values.shape
    higher = np.zeros((runs, len(candidates)))
    lower = np.zeros_like(higher)
    kept = np.ones(higher.shape, bool)
    bets = _bets(values, level=level)
    with np.errstate(divide="ignore"):
        most_up, most_down = CAP / candidates, CAP / (1 - candidates)
    for at in range(n):
        bet, away = bets[:, at, None], values[:, at, None] - candidates
        higher += np.log1p(np.minimum(bet, most_up) * away)
        lower += np.log1p(-np.minimum(bet, most_down) * away)
        kept &= np.maximum(higher, lower) < rich
    return kept


def _bets(values: Floats, *, level: float) -> Floats:
    """Return each bet before its cap: sqrt(2 log(2 / alpha) / (var_(t-1) t log(1 + t))), from earlier values only."""
    t = np.arange(1, values.shape[1] + 1)
    means = (0.5 + np.cumsum(values, axis=1)) / (t + 1)
    spread = (0.25 + np.cumsum((values - means) ** 2, axis=1)) / (t + 1)
    before = np.concatenate([np.full((len(values), 1), 0.25), spread[:, :-1]], axis=1)
    bets: Floats = np.sqrt(2 * math.log(2 / (1 - level)) / (before * t * np.log1p(t)))
    return bets
