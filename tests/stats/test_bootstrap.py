"""The cluster bootstrap is scipy's BCa, covers what it says, and draws whole cards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from escl.stats.bootstrap import bootstrap_interval
from escl.stats.cluster import BOOTSTRAP_FROM, BOOTSTRAP_TO, clustered_mean


@pytest.mark.parametrize("skewed", [False, True])
def test_it_is_the_interval_that_scipy_computes(skewed: bool) -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 4, 60)
    sums = np.array([(rng.exponential(10, n) if skewed else rng.normal(50, 10, n)).sum() for n in sizes])

    def ratio(sums: Any, sizes: Any, axis: int = -1) -> Any:  # noqa: ANN401 - as scipy calls it
        return sums.sum(axis=axis) / sizes.sum(axis=axis)

    theirs = stats.bootstrap(
        (sums, sizes), ratio, paired=True, method="BCa", n_resamples=20_000, random_state=1
    ).confidence_interval
    ours = bootstrap_interval(sums.tolist(), sizes.tolist())
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.04 * width)


@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_a_nominal_95_percent_interval_covers_93_to_97_percent(kind: str) -> None:
    rng = np.random.default_rng(4)
    runs, cards, repeats, hit = 2000, BOOTSTRAP_FROM, 2, 0
    of_card = rng.normal(0, 1, (runs, cards)) if kind == "normal" else rng.gamma(4, 0.5, (runs, cards)) - 2
    sums = repeats * of_card + rng.normal(0, 0.5, (runs, cards, repeats)).sum(axis=2)
    for row in sums:
        low, high = bootstrap_interval(row.tolist(), [repeats] * cards)
        hit += low <= 0 <= high
    assert 0.93 <= hit / runs <= 0.97


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 100), min_size=BOOTSTRAP_FROM, max_size=60))
def test_it_holds_the_mean_and_never_leaves_the_values(values: list[float]) -> None:
    low, high = bootstrap_interval(values, [1] * len(values))
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    found = clustered_mean(values, [str(at) for at in range(len(values))])
    assert found.method == "bootstrap"
    assert (found.low, found.high) == (low, high)


def test_the_same_values_give_the_same_interval() -> None:
    values = [float(at * at % 17) for at in range(50)]
    assert bootstrap_interval(values, [1] * 50) == bootstrap_interval(values, [1] * 50)


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
