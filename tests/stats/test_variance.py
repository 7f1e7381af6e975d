"""Variance components are those of a mixed model, and find what was put in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.regression.mixed_linear_model import MixedLM

from escl.stats.variance import variances


def drawn(seed: int, *, cards: int, repeats: int, between: float, within: float) -> tuple[list[float], list[str]]:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, between, cards)[:, None] + rng.normal(0, within, (cards, repeats))
    return values.ravel().tolist(), [str(card) for card in range(cards) for _ in range(repeats)]


def test_with_equal_sizes_they_are_those_of_restricted_maximum_likelihood() -> None:
    values, cards = drawn(1, cards=40, repeats=3, between=8, within=5)
    frame = pd.DataFrame({"value": values, "card": cards})
    fitted = MixedLM.from_formula("value ~ 1", frame, groups="card").fit(reml=True)
    found = variances(values, cards)
    assert found.within == pytest.approx(float(fitted.scale), rel=1e-3)
    assert found.between == pytest.approx(float(fitted.cov_re.iloc[0, 0]), rel=1e-3)


def test_on_average_they_are_what_was_put_in_with_unequal_sizes_too() -> None:
    rng = np.random.default_rng(2)
    found = []
    for seed in range(300):
        values, cards = drawn(seed, cards=20, repeats=4, between=3, within=2)
        kept = rng.random(len(values)) < 0.7
        found.append(variances(np.array(values)[kept].tolist(), np.array(cards)[kept].tolist()))
    assert np.mean([one.within for one in found if one.within is not None]) == pytest.approx(4, rel=0.05)
    assert np.mean([one.between for one in found if one.between is not None]) == pytest.approx(9, rel=0.08)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=20))
def test_repeats_that_are_equal_leave_nothing_within(values: list[float]) -> None:
    found = variances(values * 2, [str(at) for at in range(len(values))] * 2)
    assert found.within == pytest.approx(0, abs=1e-9)
    assert found.between == pytest.approx(np.var(values, ddof=1), abs=1e-6)


@pytest.mark.parametrize(("cards", "reason"), [([], "no values"), (["a", "a"], "one card"), (["a", "b"], "no repeats")])
def test_what_cannot_be_told_is_none_with_a_reason(cards: list[str], reason: str) -> None:
    found = variances([1.0] * len(cards), cards)
    assert (found.between, found.within, found.reason) == (None, None, reason)
