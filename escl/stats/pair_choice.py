"""Which two should meet next, when not all comparisons can be made.

Knows counts of wins and ties between competitors by number; no cards, no names.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from escl.stats.davidson import fit, one_comparison

Floats = npt.NDArray[np.float64]


def next_pairs(wins: Floats, ties: Floats, left: npt.NDArray[np.int64], n: int) -> list[tuple[int, int]]:
    """Return up to n pairs to compare next, the most telling first; a pair may come more than once.

    The rule: of the pairs that are left, the one whose comparison is expected to narrow the joint uncertainty of all
    strengths the most, which is the largest determinant of the information after it (D-optimal; Glickman and Jensen,
    "Adaptive paired comparison design", Journal of Statistical Planning and Inference 127, 2005). Its expected
    information is then counted as if it had been made, and so on. Among equals the first by number.

    Args:
        wins: [competitors, competitors] as `escl.stats.davidson` has them.
        ties: The same.
        left: How many comparisons of each pair i < j are left; only the upper triangle is read.
        n: How many are wanted.
    """
    found = fit(wins[None], ties[None])
    strengths, tie, information = found.strengths[0], found.tie[0], found.information[0].copy()
    size = len(strengths)
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    lead = np.array([strengths[i] - strengths[j] for i, j in pairs])
    own_tie = np.array([found.own_tie[0, i, j] for i, j in pairs])
    tells = np.stack(one_comparison(lead, tie + own_tie), axis=1)
    still = {pair: int(left[pair]) for pair in pairs}
    chosen: list[tuple[int, int]] = []
    while len(chosen) < n and any(still.values()):
        covariance = np.linalg.inv(information)
        gains = [
            _gain(covariance, pair, tell) if still[pair] else -1.0 for pair, tell in zip(pairs, tells, strict=True)
        ]
        # Rounding must not decide between equals.
        at = int(np.flatnonzero(np.asarray(gains) >= max(gains) - 1e-9)[0])
        pair = pairs[at]
        still[pair] -= 1
        chosen.append(pair)
        directions = _directions(size, pair)
        information += directions @ _block(tells[at]) @ directions.T
    return chosen


def _gain(covariance: Floats, pair: tuple[int, int], tell: Floats) -> float:
    """Return by how much the logarithm of the determinant grows: det(H + V A V') = det(H) det(1 + A V' H^-1 V)."""
    directions = _directions(len(covariance) - 1, pair)
    return float(np.linalg.slogdet(np.eye(2) + _block(tell) @ directions.T @ covariance @ directions)[1])


def _directions(size: int, pair: tuple[int, int]) -> Floats:
    """Return what a comparison tells about: the difference of the two, and the tendency to tie, as columns."""
    directions = np.zeros((size + 1, 2))
    directions[pair[0], 0], directions[pair[1], 0], directions[size, 1] = 1.0, -1.0, 1.0
    return directions


def _block(tell: Floats) -> Floats:
    return np.array([[tell[0], tell[1]], [tell[1], tell[2]]])
