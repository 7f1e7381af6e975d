"""Sign flips are scipy's permutation test, Holm is statsmodels', and the null is rejected as often as it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from escl.stats.permutation import DRAWS, EXACT_TO, holm, sign_flip_p, smallest_p

DIFFERENCES = st.lists(st.integers(-40, 40).map(float), min_size=1, max_size=10)


def mean(values: Any, axis: int = -1) -> Any:  # noqa: ANN401 - as scipy calls it
    return values.mean(axis=axis)


@settings(deadline=None, max_examples=25)
@given(DIFFERENCES.filter(lambda values: len(values) > 1))
def test_few_cards_give_the_exact_p_of_scipy(values: list[float]) -> None:
    theirs = stats.permutation_test((np.array(values),), mean, permutation_type="samples", n_resamples=10_000)
    assert sign_flip_p(values) == pytest.approx(float(theirs.pvalue))


def test_many_cards_give_about_the_p_of_scipy() -> None:
    values = np.random.default_rng(1).normal(0.25, 1, 60)
    theirs = stats.permutation_test(
        (values,), mean, permutation_type="samples", n_resamples=40_000, vectorized=True, random_state=2
    )
    assert sign_flip_p(values.tolist()) == pytest.approx(float(theirs.pvalue), abs=0.01)


@given(DIFFERENCES)
def test_neither_order_nor_direction_matters(values: list[float]) -> None:
    found = sign_flip_p(values)
    assert sign_flip_p(sorted(values)) == found
    assert sign_flip_p([-value for value in values]) == found


@pytest.mark.parametrize("n", [5, EXACT_TO, EXACT_TO + 1])
def test_the_smallest_p_is_reached_when_all_agree(n: int) -> None:
    assert sign_flip_p([1.0] * n) == pytest.approx(smallest_p(n), abs=2 / DRAWS if n > EXACT_TO else 1e-12)


def test_a_true_null_is_rejected_in_no_more_than_5_percent() -> None:
    values = np.random.default_rng(3).exponential(1, (2000, 10)) * np.random.default_rng(4).choice([-1, 1], (2000, 10))
    rejected = np.mean([(sign_flip_p(row) or 1) <= 0.05 for row in values.tolist()])
    assert 0.035 <= rejected <= 0.06


@pytest.mark.parametrize("n", [1, 2, 7, 14])
def test_holm_is_statsmodels(n: int) -> None:
    p_values = (np.random.default_rng(n).random(n) ** 4).tolist()
    _, theirs, _, _ = multipletests(p_values, method="holm")
    assert list(holm(dict(enumerate(p_values))).values()) == pytest.approx(theirs.tolist())


def test_what_was_not_tested_costs_nothing() -> None:
    assert holm({"a": 0.02, "b": None, "c": 0.5}) == {"a": 0.04, "b": None, "c": 0.5}
    assert sign_flip_p([]) is None
