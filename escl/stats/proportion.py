"""Shares and win rates over cards, honest also where every card came out the same. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from escl.stats.cluster import ClusteredMean, clustered_mean


def proportion(values: Sequence[float], cards: Sequence[str]) -> ClusteredMean:
    """Return the mean of values from 0 to 1, with its standard error and 95 % interval, clustered by card.

    A win rate is one: 1 won, 0.5 tied, 0 lost.

    Where every card came out the same, there is no standard error. The interval then reaches as far as it may if the
    next card came out as differently as possible: with n cards alike, the probability that one differs is below
    1 - 0.025^(1/n) at the 97.5 % level (Clopper and Pearson, Biometrika 26, 1934).
    """
    found = clustered_mean(values, cards, lowest=0, highest=1)
    if found.mean is None or found.low is None or found.low != found.high:
        return found
    unseen = 1 - 0.025 ** (1 / found.n_clusters)
    down, up = unseen * found.mean, unseen * (1 - found.mean)
    return msgspec.structs.replace(
        found,
        low=found.mean - down,
        high=found.mean + up,
        error=None,
        method=None,
        reason="every card came out the same",
    )
