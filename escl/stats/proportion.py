"""Shares and win rates over cards, honest also where every card came out the same. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from escl.stats.cluster import ClusteredMean, clustered_mean


def proportion(values: Sequence[float], cards: Sequence[str]) -> ClusteredMean:
    """Return the mean of values from 0 to 1, with its standard error and 95 % interval, clustered by card.

    A win rate is one: 1 won, 0.5 tied, 0 lost.

    Where every card came out the same, there is no standard error. The interval then reaches as far as it may if the
    cards that were not seen came out as differently as possible.
    """
    found = clustered_mean(values, cards, lowest=0, highest=1)
    if found.mean is None or found.low is None or found.low != found.high:
        return found
    rest = unseen(found.n_clusters)
    down, up = rest * found.mean, rest * (1 - found.mean)
    return msgspec.structs.replace(
        found,
        low=found.mean - down,
        high=found.mean + up,
        error=None,
        method="clopper-pearson",
        reason="every card came out the same",
    )


def unseen(n_cards: int) -> float:
    """Return the share of cards that may still come out otherwise when `n_cards` (1 or more) came out alike.

    The probability that one differs is below 1 - 0.025^(1/n) at the 97.5 % level (Clopper and Pearson, Biometrika 26,
    1934).
    """
    return float(1 - 0.025 ** (1 / n_cards))
