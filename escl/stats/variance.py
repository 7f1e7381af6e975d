"""What the spread of repeated dialogues comes from: other cards, or other luck on the same card."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Variances(msgspec.Struct, frozen=True, kw_only=True):
    """Between-card and within-card variance, in the squared unit of the values.

    Attributes:
        between: Of the cards' true means; 0 when the cards differ no more than repeats do. None without an estimate.
        within: Of repeats of one card.
        reason: Why there is none.
    """

    between: float | None
    within: float | None
    reason: str | None = None


def variances(values: Sequence[float], clusters: Sequence[str]) -> Variances:
    """Return the variance components of values that come in clusters.

    The analysis-of-variance estimates of the one-way random model with unequal sizes (Searle, Casella and McCulloch,
    "Variance Components", 1992, section 3.6): within = MSW, between = (MSB - MSW) / n0 with
    n0 = (N - sum n_i^2 / N) / (G - 1), cut at 0. More cards lower the error by both; more repeats only by `within`.

    Raises:
        ValueError: The lengths differ.
    """
    groups: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    n, count = len(values), len(groups)
    if count < 2:
        return Variances(between=None, within=None, reason="one card" if count else "no values")
    if n == count:
        return Variances(between=None, within=None, reason="no repeats")
    grand = math.fsum(values) / n
    means = {cluster: math.fsum(inside) / len(inside) for cluster, inside in groups.items()}
    among = math.fsum(len(inside) * (means[cluster] - grand) ** 2 for cluster, inside in groups.items()) / (count - 1)
    inside_cards = math.fsum((v - means[c]) ** 2 for v, c in zip(values, clusters, strict=True))
    within = inside_cards / (n - count)
    size = (n - sum(len(inside) ** 2 for inside in groups.values()) / n) / (count - 1)
    return Variances(between=max(0.0, (among - within) / size), within=within)
