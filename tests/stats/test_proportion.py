"""A share has an interval also where every card came out the same."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from escl.stats.proportion import proportion

CARDS = [f"c{at}" for at in range(30)]


@pytest.mark.parametrize("n", [2, 4, 30])
def test_a_clean_sweep_has_the_exact_interval_and_no_error(n: int) -> None:
    found = proportion([1.0] * n, CARDS[:n])
    exact = binomtest(n, n).proportion_ci(0.95, method="exact")
    assert (found.mean, found.high, found.error) == (1, 1, None)
    assert found.low == pytest.approx(exact.low)
    assert (found.method, found.reason) == ("clopper-pearson", "every card came out the same")


def test_a_rate_and_its_complement_are_mirrored() -> None:
    wins = [1.0, 0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 1.0]
    for scores in (wins, [0.0] * 8, [0.5] * 8):
        found, turned = proportion(scores, CARDS[:8]), proportion([1 - s for s in scores], CARDS[:8])
        assert found.mean is not None
        assert found.low is not None
        assert turned.mean == pytest.approx(1 - found.mean)
        assert turned.high == pytest.approx(1 - found.low)


def test_repeats_of_one_card_do_not_count_as_more_cards() -> None:
    once, thrice = proportion([1.0] * 5, CARDS[:5]), proportion([1.0] * 15, CARDS[:5] * 3)
    assert thrice.low == once.low
    assert proportion([1.0], CARDS[:1]).low is None
