"""A statistic with its interval by the bootstrap over cards, or why there is none. Knows numbers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from escl.stats.agreement import wilson_interval
from escl.stats.bootstrap import Floats, Statistic, statistic_interval

MIN_CARDS: Final = 10
"""With fewer cards than this there is too little to draw from, so no interval is given."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statistic and its 95 % interval.

    Attributes:
        value: None where it is undefined; `reason` says why.
        low: Lower end of the interval; None when there is none, and `reason` says why.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


class Clusters:
    """Which card each of some items belongs to.

    Attributes:
        of_item: The number of each item's card.
        n: Cards.
    """

    def __init__(self, cards: Sequence[str]) -> None:
        numbers = {name: at for at, name in enumerate(dict.fromkeys(cards))}
        self.of_item = np.array([numbers[card] for card in cards], dtype=np.int_)
        self.n = len(numbers)

    def weights(self, of_cards: Floats) -> Floats:
        """Return the weights of the items, from a matrix of the weights of the cards."""
        return of_cards[:, self.of_item]

    def sums(self, of_items: Floats) -> Floats:
        """Return the sum of the items' rows for each card."""
        found = np.zeros((self.n, *of_items.shape[1:]))
        np.add.at(found, self.of_item, of_items)
        return found


def estimate(statistic: Statistic, cards: int, *, undefined: str, is_share: bool = False) -> Estimate:
    """Return a statistic of weighted cards with its interval: BCa, whole cards drawn (see `escl.stats.bootstrap`).

    Where a share is the same in every card, the bootstrap has nothing to vary; then it is Wilson's interval with the
    cards for its items.

    Args:
        statistic: Of weighted cards.
        cards: How many there are.
        undefined: Why the statistic has no value, when it has none.
        is_share: Whether it is a share of items.
    """
    if cards == 0:
        return Estimate(value=None, reason=undefined)
    (value,) = (float(found) for found in statistic(np.ones((1, cards))))
    if not math.isfinite(value):
        return Estimate(value=None, reason=undefined)
    if cards < MIN_CARDS:
        return Estimate(value=value, reason=f"fewer than {MIN_CARDS} cards give no interval")
    interval = statistic_interval(statistic, cards)
    if interval is None and is_share and value in (0.0, 1.0):
        interval = wilson_interval(value, cards)
    if interval is None:
        return Estimate(value=value, reason="it cannot be told how it varies over cards")
    return Estimate(value=value, low=interval[0], high=interval[1])
