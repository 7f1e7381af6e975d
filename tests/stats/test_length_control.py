"""The win rate at equal length: what length explains is taken out, what it does not is left."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from escl.stats.length_control import length_controlled

CARDS = [f"c{at}" for at in range(200)]


def test_the_regression_is_the_one_that_another_optimizer_finds() -> None:
    rng = np.random.default_rng(2)
    lengths = rng.normal(20, 50, 60)
    scores = rng.choice((0.0, 0.5, 1.0), 60)
    x, won = np.tanh(lengths / lengths.std()), scores

    def minus_log_posterior(b: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        def lost(y: object, at: object) -> float:
            z = b[0] + b[1] * np.asarray(at)
            return float(np.sum(np.asarray(y) * np.logaddexp(0, -z) + (1 - np.asarray(y)) * np.logaddexp(0, z)))

        return lost(won, x) + lost([0.5] * 3, [-1.0, 0.0, 1.0]) / 3

    best = minimize(minus_log_posterior, np.zeros(2), options={"gtol": 1e-8}).x
    found = length_controlled(list(scores), list(lengths), CARDS[:60])
    assert found.slope == pytest.approx(best[1], abs=1e-4)
    assert found.rate == pytest.approx(1 / (1 + np.exp(-best[0])), abs=1e-4)


def test_wins_that_come_from_length_alone_vanish_at_equal_length() -> None:
    rng = np.random.default_rng(3)
    lengths = rng.normal(100, 100, 200)
    scores = [float(rng.random() < 1 / (1 + np.exp(-3 * np.tanh(x / 100)))) for x in lengths]
    found = length_controlled(scores, list(lengths), CARDS)
    assert sum(scores) / 200 > 0.7
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.5 < found.high
    assert found.slope is not None
    assert found.slope > 1
    assert not found.extrapolated


def test_wins_that_have_nothing_to_do_with_length_stay() -> None:
    rng = np.random.default_rng(4)
    scores = list((rng.random(200) < 0.8).astype(float))
    found = length_controlled(scores, list(rng.normal(0, 100, 200)), CARDS)
    assert found.rate == pytest.approx(sum(scores) / 200, abs=0.03)


def test_turning_scores_and_lengths_turns_the_rate() -> None:
    rng = np.random.default_rng(5)
    lengths, scores = rng.normal(30, 60, 40), rng.choice((0.0, 0.5, 1.0), 40)
    found = length_controlled(list(scores), list(lengths), CARDS[:40])
    turned = length_controlled(list(1 - scores), list(-lengths), CARDS[:40])
    assert found.rate is not None
    assert turned.rate == pytest.approx(1 - found.rate)
    assert turned.slope == pytest.approx(found.slope)


def test_a_sweep_of_ever_longer_dialogues_is_finite_wide_and_marked() -> None:
    found = length_controlled([1.0] * 20, [100.0 + at for at in range(20)], CARDS[:20])
    assert found.rate is not None
    assert found.low is not None
    assert found.high is not None
    assert 0.5 < found.rate < 1
    assert found.high - found.low > 0.2
    assert found.extrapolated


def test_equal_lengths_control_nothing_and_a_constant_difference_cannot_be_controlled() -> None:
    equal = length_controlled([1.0, 0.0, 1.0, 1.0], [0.0] * 4, CARDS[:4])
    assert equal.rate == pytest.approx(0.7, abs=0.05)
    constant = length_controlled([1.0, 0.0, 1.0], [7.0] * 3, CARDS[:3])
    assert (constant.rate, constant.reason) == (None, "the lengths always differ by the same")
