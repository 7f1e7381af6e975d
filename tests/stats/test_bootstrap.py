"""The cluster bootstrap is scipy's, a little wider; it covers what it says, and draws whole cards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from escl.stats.bootstrap import Floats, bootstrap_interval, statistic_interval
from escl.stats.cluster import BOOTSTRAP_FROM, BOOTSTRAP_TO, clustered_mean


@pytest.mark.parametrize("skewed", [False, True])
def test_it_is_the_interval_that_scipy_computes(skewed: bool) -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 4, 120)
    sums = np.array([(rng.exponential(10, n) if skewed else rng.normal(50, 10, n)).sum() for n in sizes])

    def ratio(sums: Any, sizes: Any, axis: int = -1) -> Any:  # noqa: ANN401 - as scipy calls it
        return sums.sum(axis=axis) / sizes.sum(axis=axis)

    # The level at which the percentile interval of 120 clusters makes up for their number.
    outer = float(stats.norm.cdf(-np.sqrt(120 / 119) * stats.t.ppf(0.975, 119)))
    theirs = stats.bootstrap(
        (sums, sizes),
        ratio,
        paired=True,
        method="percentile",
        confidence_level=1 - 2 * outer,
        n_resamples=20_000,
        random_state=1,
    ).confidence_interval
    ours = bootstrap_interval(sums.tolist(), sizes.tolist())
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.04 * width)


@pytest.mark.parametrize("skewed", [False, True])
def test_of_any_statistic_it_is_the_bca_interval_that_scipy_computes(skewed: bool) -> None:
    rng = np.random.default_rng(6)
    values = rng.exponential(10, 80) if skewed else rng.normal(50, 10, 80)

    def mean_square(weights: Floats) -> Floats:
        found: Floats = weights @ values**2 / weights.sum(axis=1)
        return found

    theirs = stats.bootstrap(
        (values**2,), np.mean, method="BCa", n_resamples=20_000, random_state=1
    ).confidence_interval
    ours = statistic_interval(mean_square, len(values))
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.04 * (theirs.high - theirs.low))


def drawn(kind: str, cards: int) -> Any:  # noqa: ANN401 - an array
    """Return 2,000 runs of scores with mean 0."""
    rng, shape = np.random.default_rng(4), (2000, cards)
    if kind == "normal":
        return rng.normal(0, 10, shape)
    if kind == "skewed":
        return rng.gamma(2, 5, shape) - 10
    # Saturated: nearly all scores are one, a tenth is a label lower.
    return np.where(rng.random(shape) < 0.1, -22.5, 2.5) + rng.normal(0, 1, shape)


@pytest.mark.parametrize("kind", ["normal", "skewed", "saturated"])
@pytest.mark.parametrize("cards", [BOOTSTRAP_FROM - 1, BOOTSTRAP_FROM])
def test_a_nominal_95_percent_interval_covers_93_to_97_percent_on_both_sides_of_the_rule(kind: str, cards: int) -> None:
    names, hit = [str(at) for at in range(cards)], 0
    for row in drawn(kind, cards).tolist():
        found = clustered_mean(row, names)
        assert found.low is not None
        assert found.high is not None
        hit += found.low <= 0 <= found.high
    assert 0.93 <= hit / 2000 <= 0.97


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 100), min_size=BOOTSTRAP_FROM, max_size=120))
def test_it_holds_the_mean_and_never_leaves_the_values(values: list[float]) -> None:
    low, high = bootstrap_interval(values, [1] * len(values))
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    found = clustered_mean(values, [str(at) for at in range(len(values))])
    assert found.method == "bootstrap"
    assert (found.low, found.high) == (low, high)


def test_the_same_values_give_the_same_interval() -> None:
    values = [float(at * at % 17) for at in range(120)]
    assert bootstrap_interval(values, [1] * 120) == bootstrap_interval(values, [1] * 120)


@pytest.mark.parametrize("cards", [BOOTSTRAP_FROM - 1, BOOTSTRAP_TO + 1])
def test_few_and_very_many_cards_get_students_interval(cards: int) -> None:
    found = clustered_mean([float(at % 7) for at in range(cards)], [str(at) for at in range(cards)])
    assert found.method == "t"


def test_where_both_methods_meet_they_say_nearly_the_same() -> None:
    values = np.random.default_rng(5).normal(60, 12, BOOTSTRAP_TO).tolist()
    names = [str(at) for at in range(BOOTSTRAP_TO)]
    found = clustered_mean(values, names)
    assert found.error is not None
    assert found.low == pytest.approx(np.mean(values) - 1.9623 * found.error, abs=0.1 * found.error)
