"""With few comparisons to spend, they go where they tell most."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from escl.stats.davidson import fit
from escl.stats.pair_choice import next_pairs


def plenty(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.full((n, n), 100)


def test_at_first_everybody_meets_everybody() -> None:
    none = np.zeros((4, 4))
    chosen = next_pairs(none, none, plenty(4), 12)
    assert Counter(chosen) == {(i, j): 2 for i in range(4) for j in range(i + 1, 4)}


def test_a_decided_pair_waits_while_a_close_one_is_asked() -> None:
    wins, ties = np.zeros((3, 3)), np.zeros((3, 3))
    wins[0, 1] = wins[0, 2] = 30
    wins[1, 2] = wins[2, 1] = 15
    assert set(next_pairs(wins, ties, plenty(3), 3)) == {(1, 2)}


def test_what_is_not_left_is_not_chosen_and_the_rest_is() -> None:
    none = np.zeros((3, 3))
    left = np.zeros((3, 3), dtype=np.int64)
    left[0, 2], left[1, 2] = 2, 1
    assert Counter(next_pairs(none, none, left, 10)) == {(0, 2): 2, (1, 2): 1}
    assert next_pairs(none, none, left, 0) == []


def test_chosen_pairs_leave_less_open_than_pairs_in_a_fixed_turn() -> None:
    rng = np.random.default_rng(0)
    strengths = np.array([2.0, 1.6, -1.6, -2.0])
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]

    def played(*, active: bool) -> float:
        wins, ties = np.zeros((4, 4)), np.zeros((4, 4))
        for at in range(60):
            i, j = next_pairs(wins, ties, plenty(4), 1)[0] if active else pairs[at % len(pairs)]
            won = rng.random() < 1 / (1 + np.exp(strengths[j] - strengths[i]))
            wins[(i, j) if won else (j, i)] += 1
        return float(np.linalg.slogdet(fit(wins[None], ties[None]).information[0])[1])

    assert np.mean([played(active=True) for _ in range(12)]) > np.mean([played(active=False) for _ in range(12)])


@pytest.mark.parametrize("n", [1, 5])
def test_the_same_counts_give_the_same_choice(n: int) -> None:
    wins, ties = np.arange(9.0).reshape(3, 3) * (1 - np.eye(3)), np.zeros((3, 3))
    assert next_pairs(wins, ties, plenty(3), n) == next_pairs(wins, ties, plenty(3), n)
