"""Agreement and correlation of items that count more or less often.

Every function takes a matrix of weights, a row for each draw of a bootstrap and a column for each item (or for each
cluster, with the sums over its items), and returns one value for each row; NaN where it is undefined. A row of ones
gives the ordinary statistic, and a whole number stands for that many copies. Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from escl.core.dimension import LABELS
from escl.stats.bootstrap import Floats

Ints = npt.NDArray[np.int_]

_K = len(LABELS)
_LARGE = 1 << 25
_APART = np.abs(np.subtract.outer(np.arange(_K), np.arange(_K)))


def mean(values: Floats, weights: Floats) -> Floats:
    """Return the weighted mean of `values`."""
    return _ratio(_sums(weights, values[:, None])[:, 0], weights.sum(axis=1))


def label_pairs(one: Ints, other: Ints) -> Floats:
    """Return the table of each item that has two labels, flat: items x 25."""
    found = np.zeros((one.size, _K * _K))
    found[np.arange(one.size), one * _K + other] = 1
    return found


def share_within(distance: int, pairs: Floats, weights: Floats) -> Floats:
    """Return the share of pairs whose labels are at most `distance` apart."""
    tables = _sums(weights, pairs)
    return _ratio(tables @ _within(distance).ravel(), tables.sum(axis=1))


def best_constant(distance: int, pairs: Floats, weights: Floats) -> Floats:
    """Return the largest share of the second labels that are at most `distance` from one and the same answer.

    With distance 0 this is ZeroR, the share of the commonest label (Witten and Frank, "Data Mining", 2005, 4.1).
    """
    labels = (_sums(weights, pairs)).reshape(-1, _K, _K).sum(axis=1)
    return _ratio((labels @ _within(distance)).max(axis=1), labels.sum(axis=1))


def kappa(pairs: Floats, weights: Floats) -> Floats:
    """Return Cohen's kappa with quadratic weights (Cohen, Psychological Bulletin 70, 1968)."""
    tables = (_sums(weights, pairs)).reshape(-1, _K, _K)
    observed = (tables * _APART**2).sum(axis=(1, 2))
    first, second = tables.sum(axis=2), tables.sum(axis=1)
    expected = ((first @ (_APART**2.0)) * second).sum(axis=1)
    return 1 - _ratio(observed * tables.sum(axis=(1, 2)), expected)


def coincidences(units: Sequence[Sequence[int]]) -> Floats:
    """Return the coincidence matrix of each unit, flat: units x 25.

    A unit of m labels puts 1 / (m - 1) on each ordered pair of them; a unit of fewer than two labels puts nothing.
    """
    found = np.zeros((len(units), _K, _K))
    for at, labels in enumerate(units):
        if len(labels) > 1:
            counts = np.bincount(labels, minlength=_K).astype(float)
            found[at] = (np.outer(counts, counts) - np.diag(counts)) / (len(labels) - 1)
    return found.reshape(len(units), _K * _K)


def alpha(units: Floats, weights: Floats) -> Floats:
    """Return Krippendorff's alpha with the ordinal metric, from the coincidences of weighted units.

    1 - (n - 1) sum(o d) / sum(n_c n_k d), where d(c, k) is the squared distance between the mid-ranks of c and k:
    (sum of n_g for g from c to k, less (n_c + n_k) / 2) squared (Krippendorff, "Computing Krippendorff's
    Alpha-Reliability", 2011, section E).
    """
    table = (_sums(weights, units)).reshape(-1, _K, _K)
    counts = table.sum(axis=2)
    middle = np.cumsum(counts, axis=1) - counts / 2
    distance = (middle[:, :, None] - middle[:, None, :]) ** 2
    expected = (counts[:, :, None] * counts[:, None, :] * distance).sum(axis=(1, 2))
    observed = (table * distance).sum(axis=(1, 2))
    return 1 - _ratio((counts.sum(axis=1) - 1) * observed, expected)


def pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return the product-moment correlation (Pearson, Proceedings of the Royal Society 58, 1895)."""
    # Centred first, so that no digits are lost to a large mean; the correlation does not change.
    every = np.ones_like(weights)
    return _correlation(every * (x - x.mean()), every * (y - y.mean()), weights)


def spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return the correlation of mid-ranks (Spearman, American Journal of Psychology 15, 1904)."""
    return _correlation(_mid_ranks(x, weights), _mid_ranks(y, weights), weights)


def spearman_within(x: Floats, y: Floats, groups: Ints, weights: Floats) -> Floats:
    """Return the correlation of mid-ranks taken within each group, as shares of its weight and less their mean."""
    ranks = np.zeros((2, *weights.shape))
    for group in np.unique(groups):
        own = groups == group
        total = weights[:, own].sum(axis=1, keepdims=True)
        for at, values in enumerate((x, y)):
            found = _mid_ranks(values[own], weights[:, own])
            middle = (weights[:, own] * found).sum(axis=1, keepdims=True)
            ranks[at][:, own] = np.divide(found - middle / np.maximum(total, 1), np.maximum(total, 1))
    return _correlation(ranks[0], ranks[1], weights)


def orders(x: Floats, y: Floats, cards: Ints) -> Floats:
    """Return for each two cards the sums over their items of what `kendall` needs: 3 x cards x cards."""
    one, other = np.sign(np.subtract.outer(x, x)), np.sign(np.subtract.outer(y, y))
    member = np.zeros((cards.size, int(cards.max()) + 1))
    member[np.arange(cards.size), cards] = 1
    return np.stack([_sums(_sums(member.T, sign), member) for sign in (one * other, np.abs(one), np.abs(other))])


def kendall(ordered: Floats, weights: Floats) -> Floats:
    """Return tau-b (Kendall, "The treatment of ties in ranking problems", Biometrika 33, 1945) of weighted cards.

    Copies of one item are tied with each other in both, as are copies of a card's.
    """
    same, one, other = (((_sums(weights, sums)) * weights).sum(axis=1) for sums in ordered)
    return _ratio(same, np.sqrt(one * other))


def _correlation(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return the weighted correlation of rows of `x` with rows of `y`."""
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    products = ((weights * a * b).sum(axis=1) for a, b in ((x, y), (x, x), (y, y)))
    covariance, first, second = products
    # What is left of a spread of nothing but rounding.
    first, second = (np.where(spread > 1e-18 * total[:, 0], spread, 0.0) for spread in (first, second))
    return np.clip(_ratio(covariance, np.sqrt(first * second)), -1.0, 1.0)


def _mid_ranks(values: Floats, weights: Floats) -> Floats:
    """Return the rank of each item in each row; equal values share the mean of their ranks."""
    _, place, sizes = np.unique(values, return_inverse=True, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    counts = np.add.reduceat(weights[:, np.argsort(values, kind="stable")], starts, axis=1)
    middle: Floats = (np.cumsum(counts, axis=1) - (counts - 1) / 2)[:, place]
    return middle


def _within(distance: int) -> Floats:
    return (distance >= _APART).astype(float)


def _sums(weights: Floats, items: Floats) -> Floats:
    """Return weights @ items. Small products are kept from the threads of BLAS, which wait for each other longer."""
    if weights.size * items.shape[1] > _LARGE:
        return np.asarray(weights @ items)
    return np.asarray(np.einsum("ri,ik->rk", weights, items))


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, NaN where below is 0."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))
