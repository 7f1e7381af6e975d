"""The mean of values that come in clusters, and how sure it is.

Repeats of one role card are not independent, so cards, not dialogues, are the sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class ClusteredMean(msgspec.Struct, frozen=True, kw_only=True):
    """A mean and its 95 % interval.

    Attributes:
        mean: None when there are no values.
        low: Lower end of the interval; None when it cannot be computed, and `reason` says why.
        n: Values.
        n_clusters: Clusters they come in.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_clusters: int
    reason: str | None = None


def clustered_mean(
    values: Sequence[float], clusters: Sequence[str], *, lowest: float = -math.inf, highest: float = math.inf
) -> ClusteredMean:
    """Return the mean of `values` with a 95 % interval that allows for equal values within a cluster.

    The standard error is the cluster-robust one of a mean (Miller, "Adding Error Bars to Evals", arXiv 2411.00640,
    section 2.2) times sqrt(G / (G - 1)) for few clusters, and the interval is Student's t with G - 1 degrees of
    freedom, where G is the number of clusters. With one value in each cluster this is the ordinary t interval.

    Args:
        values: n finite numbers.
        clusters: The cluster of each.
        lowest: No value can lie below; the interval is cut there, which takes no coverage from it.
        highest: No value can lie above.

    Raises:
        ValueError: The lengths differ.
    """
    if len(values) != len(clusters):
        raise ValueError("every value needs its cluster")
    if not values:
        return ClusteredMean(mean=None, low=None, high=None, n=0, n_clusters=0, reason="no values")
    mean = math.fsum(values) / len(values)
    residuals: dict[str, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        residuals[cluster] = residuals.get(cluster, 0.0) + value - mean
    count = len(residuals)
    if count < 2:
        return ClusteredMean(mean=mean, low=None, high=None, n=len(values), n_clusters=1, reason="one card")
    # Deferred: scipy takes a noticeable part of a second to import.
    from scipy.stats import t

    error = math.sqrt(count / (count - 1) * math.fsum(r * r for r in residuals.values())) / len(values)
    half = float(t.ppf(0.975, count - 1)) * error
    low, high = max(mean - half, lowest), min(mean + half, highest)
    return ClusteredMean(mean=mean, low=low, high=high, n=len(values), n_clusters=count)
