"""The mean of values that come in clusters, and how sure it is.

Repeats of one role card are not independent, so cards, not dialogues, are the sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from escl.stats.bootstrap import bootstrap_interval

Method = Literal["t", "bootstrap", "clopper-pearson"]

BOOTSTRAP_FROM: Final = 100
"""From this many cards on the interval is the cluster bootstrap's, which follows a lopsided distribution; fewer show
too little of it, and there Student's t covers better."""
BOOTSTRAP_TO: Final = 1000
"""Above this both intervals are the same for every practical purpose, and Student's t costs nothing."""


ALIKE: Final = "all cards alike"
"""The reason where a mean has no interval because there is no difference between the cards that it could come from."""


class ClusteredMean(msgspec.Struct, frozen=True, kw_only=True):
    """A mean and its 95 % interval.

    Attributes:
        mean: None when there are no values.
        low: Lower end of the interval; None when it cannot be computed, and `reason` says why.
        n: Values.
        n_clusters: Clusters they come in.
        error: Cluster-robust standard error of the mean; None without an interval.
        method: How the interval was made; None without one.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_clusters: int
    reason: str | None = None
    error: float | None = None
    method: Method | None = None


def clustered_mean(
    values: Sequence[float], clusters: Sequence[str], *, lowest: float = -math.inf, highest: float = math.inf
) -> ClusteredMean:
    """Return the mean of `values` with a 95 % interval that allows for equal values within a cluster.

    The standard error is the cluster-robust one of a mean (Miller, "Adding Error Bars to Evals", arXiv 2411.00640,
    section 2.2) times sqrt(G / (G - 1)) for few clusters. The interval is Student's t with G - 1 degrees of freedom,
    where G is the number of clusters; from `BOOTSTRAP_FROM` to `BOOTSTRAP_TO` clusters it is the bootstrap's over
    clusters. With one value in each of a few clusters this is the ordinary t interval.

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
    of_cluster: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        of_cluster.setdefault(cluster, []).append(value)
    count = len(of_cluster)
    if count < 2:
        return ClusteredMean(mean=mean, low=None, high=None, n=len(values), n_clusters=1, reason="one card")
    sums = [math.fsum(inside) for inside in of_cluster.values()]
    sizes = [len(inside) for inside in of_cluster.values()]
    residuals = (total - size * mean for total, size in zip(sums, sizes, strict=True))
    error = math.sqrt(count / (count - 1) * math.fsum(r * r for r in residuals)) / len(values)
    method: Method = "bootstrap" if BOOTSTRAP_FROM <= count <= BOOTSTRAP_TO else "t"
    low, high = bootstrap_interval(sums, sizes) if method == "bootstrap" else _t_interval(mean, error, count)
    return ClusteredMean(
        mean=mean,
        low=max(low, lowest),
        high=min(high, highest),
        n=len(values),
        n_clusters=count,
        error=error,
        method=method,
    )


def scaled(found: ClusteredMean, factor: float) -> ClusteredMean:
    """Return the same mean in another unit, `factor` (above 0) times as large in numbers."""

    def times(value: float | None) -> float | None:
        return None if value is None else value * factor

    return msgspec.structs.replace(
        found, mean=times(found.mean), low=times(found.low), high=times(found.high), error=times(found.error)
    )


def without_width(found: ClusteredMean) -> ClusteredMean:
    """Return the same; without the interval if it has no width, for that would claim certainty."""
    # Means of repeats that are equal on paper may differ in the last digit.
    if found.low is None or found.high is None or found.high - found.low > 1e-9:
        return found
    return msgspec.structs.replace(found, low=None, high=None, error=None, method=None, reason=ALIKE)


def _t_interval(mean: float, error: float, count: int) -> tuple[float, float]:
    # Deferred: scipy takes a noticeable part of a second to import.
    from scipy.special import stdtrit

    half = float(stdtrit(count - 1, 0.975)) * error
    return mean - half, mean + half
