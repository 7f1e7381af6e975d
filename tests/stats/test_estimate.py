"""An estimate has an interval where cards can vary and are enough, and says why where it has none."""

from __future__ import annotations

from functools import partial

import numpy as np

from escl.stats import weighted
from escl.stats.bootstrap import Floats
from escl.stats.estimate import MIN_CARDS, Clusters, estimate

RNG_SEED = 5


def rated(rng: np.random.Generator, cards: int) -> Floats:
    """Return the tables of three ratings of each card; those of one card share how far the two are apart."""
    first = rng.integers(0, 5, size=(cards, 3))
    apart = rng.choice([-1, 0, 0, 1], size=(cards, 1)) + rng.choice([-1, 0, 0, 0, 1], size=(cards, 3))
    tables = weighted.label_pairs(first.ravel(), np.clip(first + apart, 0, 4).ravel())
    return np.asarray(Clusters([str(card) for card in np.repeat(np.arange(cards), 3)]).sums(tables))


# The other statistics take ten times as long: `python -m benchmarks.validation_coverage` has them.
def test_in_2000_runs_the_interval_of_kappa_covers_it() -> None:
    rng = np.random.default_rng(RNG_SEED)
    (truth,) = weighted.kappa(rated(rng, 200_000), np.ones((1, 200_000)))
    covered = 0
    for _ in range(2000):
        found = estimate(partial(weighted.kappa, rated(rng, 20)), 20, undefined="")
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / 2000 <= 0.97


def test_a_share_that_never_varies_has_an_interval_with_a_width() -> None:
    tables = weighted.label_pairs(np.full(20, 2), np.full(20, 2))
    found = estimate(partial(weighted.share_within, 0, tables), 20, undefined="", is_share=True)
    assert found.value == found.high == 1
    assert found.low is not None
    assert 0.8 < found.low < 0.9


def test_few_cards_give_a_value_without_an_interval() -> None:
    tables = rated(np.random.default_rng(RNG_SEED), MIN_CARDS - 1)
    found = estimate(partial(weighted.kappa, tables), MIN_CARDS - 1, undefined="")
    assert found.value is not None
    assert (found.low, found.reason) == (None, "fewer than 10 cards give no interval")


def test_what_is_undefined_has_neither_value_nor_interval() -> None:
    tables = weighted.label_pairs(np.full(20, 3), np.full(20, 3))
    assert estimate(partial(weighted.kappa, tables), 20, undefined="no spread").reason == "no spread"
    assert estimate(partial(weighted.kappa, tables), 0, undefined="nothing").value is None


def test_a_statistic_that_many_draws_leave_undefined_has_no_interval() -> None:
    labels = np.array([0] * 19 + [4])
    found = estimate(partial(weighted.kappa, weighted.label_pairs(labels, labels)), 20, undefined="")
    assert (found.value, found.low) == (1, None)
