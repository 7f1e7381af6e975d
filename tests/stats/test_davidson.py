"""The strengths are the posterior's maximum: found by another optimizer, and by evalica where the models meet."""

from __future__ import annotations

import itertools
import math

import evalica
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from escl.stats.davidson import TIE_SPREAD, fit, probabilities, reach

Floats = npt.NDArray[np.float64]


def minus_log_posterior(place: Floats, wins: Floats, ties: Floats, prior: float) -> float:
    """Return it written out, comparison by comparison."""
    n = len(wins)
    strengths, tie, own_ties = place[:n], place[n], iter(place[n + 1 :])
    total = 0.0

    def log_odds(d: float, tie: float) -> tuple[float, float, float]:
        normal = float(np.logaddexp.reduce([d / 2, tie, -d / 2]))
        return d / 2 - normal, tie - normal, -d / 2 - normal

    for i, one in enumerate(strengths):
        total += prior * sum(log_odds(one, tie)) / 3
        for j in range(i + 1, n):
            own = next(own_ties)
            won, tied, lost = log_odds(one - strengths[j], tie + own)
            total += wins[i, j] * won + ties[i, j] * tied + wins[j, i] * lost - own**2 / (2 * TIE_SPREAD**2)
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
    other = minimize(minus_log_posterior, np.zeros(11), args=(wins, ties, 1.0), method="BFGS", options={"gtol": 1e-7})
    own = found.own_tie[0][np.triu_indices(4, 1)]
    assert np.allclose([*found.strengths[0], found.tie[0], *own], other.x, atol=1e-4)


def test_the_information_is_the_curvature_of_what_is_left_when_the_pairs_ties_are_at_their_best() -> None:
    wins, ties = results(7)
    found = fit(wins[None], ties[None])
    whole = np.array([*found.strengths[0], found.tie[0], *found.own_tie[0][np.triu_indices(4, 1)]])
    step, size = 1e-3, len(whole)
    hessian = np.empty((size, size))
    for i, j in itertools.product(range(size), repeat=2):
        a, b = np.eye(size)[i] * step, np.eye(size)[j] * step
        corners = [
            minus_log_posterior(whole + p * a + q * b, wins, ties, 1.0) for p, q in ((1, 1), (1, -1), (-1, 1), (-1, -1))
        ]
        hessian[i, j] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * step**2)
    covariance = np.linalg.inv(hessian)[:5, :5]
    assert np.allclose(np.linalg.inv(found.information[0]), covariance, rtol=1e-3, atol=1e-5)


def test_ties_at_the_bottom_do_not_drive_the_top_away() -> None:
    wins, ties = np.zeros((3, 3)), np.zeros((3, 3))
    wins[0, 1] = wins[0, 2] = 10
    ties[1, 2] = ties[2, 1] = 10
    without = fit(wins[None], np.zeros((1, 3, 3))).strengths[0]
    with_ties = fit(wins[None], ties[None]).strengths[0]
    assert with_ties[0] - with_ties[1] < 1.5 * (without[0] - without[1])


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


def test_after_a_sweep_the_posterior_is_near_on_the_losing_side_and_far_on_the_other() -> None:
    wins, ties = np.array([[0.0, 12.0], [0.0, 0.0]]), np.zeros((2, 2))
    best = fit(wins[None], ties[None])
    error = np.sqrt(np.linalg.inv(best.information[0])[0, 0])
    steps = np.array([[error, -error, 0.0], [-error, error, 0.0]])
    up, down = reach(best, wins, ties, steps)
    assert 1.5 * down < up
    place = np.array([*best.strengths[0], best.tie[0], best.own_tie[0, 0, 1]])

    def lost(factor: float, step: Floats) -> float:
        at = place + 1.959964 * factor * np.array([*step, 0.0])
        moved = [minus_log_posterior(np.array([*at[:3], own]), wins, ties, 1.0) for own in np.linspace(-6, 6, 4001)]
        return min(moved) - minus_log_posterior(place, wins, ties, 1.0)

    assert lost(up, steps[0]) == pytest.approx(1.9207, abs=2e-3)
    assert lost(down, steps[1]) == pytest.approx(1.9207, abs=2e-3)


def test_with_many_even_results_the_posterior_is_normal() -> None:
    wins, ties = np.full((2, 2), 400.0) * (1 - np.eye(2)), np.full((2, 2), 300.0) * (1 - np.eye(2))
    best = fit(wins[None], ties[None])
    error = np.sqrt(np.linalg.inv(best.information[0])[0, 0])
    steps = np.array([[error, -error, 0.0], [-error, error, 0.0]])
    # The two lean on each other, so such a step is longer than one standard deviation of their difference.
    up, down = reach(best, wins, ties, steps)
    assert up == pytest.approx(down, rel=1e-3)
