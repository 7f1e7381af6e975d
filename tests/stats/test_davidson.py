"""The strengths are the posterior's maximum: found by another optimizer, and by evalica where the models meet."""

from __future__ import annotations

import math

import evalica
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from escl.stats.davidson import fit, probabilities

Floats = npt.NDArray[np.float64]


def minus_log_posterior(place: Floats, wins: Floats, ties: Floats, prior: float) -> float:
    """Return it written out, comparison by comparison."""
    *strengths, tie = place
    total = 0.0

    def log_odds(d: float) -> tuple[float, float, float]:
        normal = float(np.logaddexp.reduce([d / 2, tie, -d / 2]))
        return d / 2 - normal, tie - normal, -d / 2 - normal

    for i, one in enumerate(strengths):
        total += prior * sum(log_odds(one)) / 3
        for j, other in enumerate(strengths):
            won, tied, _ = log_odds(one - other)
            total += wins[i, j] * won + (ties[i, j] * tied if i < j else 0.0)
    return -total


def results(seed: int, n: int = 4) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    wins = rng.integers(0, 12, (n, n)).astype(float)
    ties = rng.integers(0, 6, (n, n)).astype(float)
    np.fill_diagonal(wins, 0)
    return wins, np.triu(ties, 1) + np.triu(ties, 1).T


@pytest.mark.parametrize("seed", range(4))
def test_another_optimizer_finds_the_same_maximum(seed: int) -> None:
    wins, ties = results(seed)
    found = fit(wins[None], ties[None])
    other = minimize(minus_log_posterior, np.zeros(5), args=(wins, ties, 1.0), method="BFGS", options={"gtol": 1e-7})
    assert np.allclose([*found.strengths[0], found.tie[0]], other.x, atol=1e-4)


def test_the_information_is_the_curvature_at_the_maximum() -> None:
    wins, ties = results(7)
    found = fit(wins[None], ties[None])
    place = np.array([*found.strengths[0], found.tie[0]])
    step = 1e-3
    for at in range(5):
        move = np.eye(5)[at] * step
        values = [minus_log_posterior(place + k * move, wins, ties, 1.0) for k in (-1, 0, 1)]
        assert found.information[0, at, at] == pytest.approx(
            (values[0] - 2 * values[1] + values[2]) / step**2, rel=1e-3
        )


def test_without_ties_and_prior_it_is_bradley_terry_as_evalica_has_it() -> None:
    wins, _ = results(3)
    wins += 1 - np.eye(4)
    met = [(f"m{i}", f"m{j}") for i in range(4) for j in range(4) for _ in range(int(wins[i, j]))]
    theirs = evalica.bradley_terry(
        [one for one, _ in met], [other for _, other in met], [evalica.Winner.X] * len(met), tolerance=1e-12, limit=9999
    ).scores
    ours = fit(wins[None], np.zeros((1, 4, 4)), prior=1e-7).strengths[0]
    theirs_log = np.log([theirs[f"m{i}"] for i in range(4)])
    assert np.allclose(ours - ours.mean(), theirs_log - theirs_log.mean(), atol=1e-4)


@given(arrays(float, (3, 3), elements=st.integers(0, 1000)), arrays(float, (3, 3), elements=st.integers(0, 1000)))
@settings(max_examples=40, deadline=None)
def test_every_set_of_results_has_finite_strengths_that_do_not_depend_on_the_order(wins: Floats, ties: Floats) -> None:
    ties = np.triu(ties, 1) + np.triu(ties, 1).T
    np.fill_diagonal(wins, 0)
    turned = np.array([2, 0, 1])
    one = fit(wins[None], ties[None])
    other = fit(wins[np.ix_(turned, turned)][None], ties[np.ix_(turned, turned)][None])
    assert np.isfinite(one.strengths).all()
    assert np.isfinite(one.tie).all()
    assert np.allclose(one.strengths[0][turned], other.strengths[0], atol=1e-6)


def test_turned_results_turn_the_strengths() -> None:
    wins, ties = results(5)
    found, turned = fit(wins[None], ties[None]), fit(wins.T[None], ties[None])
    assert np.allclose(found.strengths, -turned.strengths, atol=1e-8)


def test_odds_are_those_of_the_model_even_far_apart() -> None:
    won, tied, lost = probabilities(np.array([1400.0]), np.array(-3.0))
    assert (won[0], tied[0], lost[0]) == pytest.approx((1, 0, 0))
    won, tied, lost = probabilities(np.array([1.0]), np.array(0.3))
    assert won / lost == pytest.approx(math.e)
    assert tied / math.sqrt(won[0] * lost[0]) == pytest.approx(math.exp(0.3))
