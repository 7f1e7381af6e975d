"""Detectable differences and card counts agree with statsmodels and with each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from escl.stats.power import MAX_CARDS, cards_for, detectable, paired_deviation


@pytest.mark.parametrize("n", [5, 10, 20, 50, 100, 331])
@pytest.mark.parametrize("power", [0.8, 0.9])
def test_the_detectable_difference_is_that_of_the_noncentral_t(n: int, power: float) -> None:
    exact = TTestPower().solve_power(nobs=n, alpha=0.05, power=power, alternative="two-sided")
    assert detectable(n, 2.0, power=power) == pytest.approx(2 * exact, rel=0.03)


@pytest.mark.parametrize("effect", [0.2, 0.5, 0.8])
def test_the_card_count_is_that_of_the_noncentral_t(effect: float) -> None:
    exact = TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8, alternative="two-sided")
    assert cards_for(effect, 1.0) == pytest.approx(np.ceil(exact), abs=1)


@settings(deadline=None)
@given(st.floats(0.05, 4), st.floats(0.05, 4))
def test_one_card_less_could_not_see_the_difference(difference: float, deviation: float) -> None:
    n = cards_for(difference, deviation)
    assert n is not None
    seen, seen_with_less = detectable(n, deviation), detectable(n - 1, deviation)
    assert seen is not None
    assert seen <= difference * (1 + 1e-9)
    assert seen_with_less is None or seen_with_less > difference


def test_a_simulated_difference_is_found_as_often_as_promised() -> None:
    size = detectable(20, 1.0)
    assert size is not None
    drawn = np.random.default_rng(1).normal(size, 1, (4000, 20))
    assert np.mean(np.asarray(stats.ttest_1samp(drawn, 0, axis=1).pvalue) < 0.05) == pytest.approx(0.8, abs=0.02)


def test_a_difference_of_two_correlated_scores_spreads_as_stated() -> None:
    covariance = 0.64 * np.array([[1, 0.5], [0.5, 1]])
    drawn = np.random.default_rng(2).multivariate_normal([0, 0], covariance, 200_000)
    assert (drawn[:, 0] - drawn[:, 1]).std() == pytest.approx(paired_deviation(0.8, 0.5), rel=0.01)


def test_what_no_number_of_cards_shows_has_no_number() -> None:
    assert cards_for(0, 1) is None
    assert cards_for(1e-6, 1) is None
    assert detectable(1, 1) is None
    assert cards_for(1, 1) is not None
    assert MAX_CARDS > 331
