"""Bradley-Terry with ties, Davidson's model: strengths from counts of wins and ties, and what they leave open.

With strengths s_i (natural logarithms) and a tendency to tie t, the one beats the other : tie : loses as
exp(d/2) : exp(t) : exp(-d/2), where d is the difference of the strengths (Davidson, "On extending the Bradley-Terry
model to accommodate ties in paired comparison experiments", JASA 65, 1970; t is the logarithm of his nu).

The prior: everyone has also met an imaginary opponent of strength 0 in `PRIOR` comparisons, of which one third each was
won, tied and lost. This is the conjugate prior (Diaconis and Ylvisaker, "Conjugate priors for exponential families",
Annals of Statistics 7, 1979), and with it every set of results has finite strengths, a clean sweep too. The log
posterior is concave, so Newton's method finds its only maximum.

Everything is done for many sets of results at once. Arrays: wins[b, i, j] how often i beat j in set b, ties[b, i, j]
how often they tied (symmetric). Numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PRIOR: Final = 1.0
"""Imaginary comparisons of each competitor."""

_MAX_STEPS: Final = 200
_LONGEST_STEP: Final = 2.0
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The most probable strengths of each set.

    Attributes:
        strengths: [sets, competitors], natural logarithms; their mean is near 0, held there by the prior alone.
        tie: [sets], the tendency to tie.
        information: [sets, competitors + 1, competitors + 1]: minus the second derivatives, the tendency to tie last.
    """

    strengths: Floats
    tie: Floats
    information: Floats


def fit(wins: Floats, ties: Floats, *, prior: float = PRIOR) -> Fit:
    """Return the most probable strengths for sets of results.

    Raises:
        ValueError: The arrays' shapes differ, or Newton's method does not end, which needs numbers that are not finite.
    """
    if wins.shape != ties.shape or wins.ndim != 3 or wins.shape[1] != wins.shape[2]:
        raise ValueError("wins and ties must have the same shape [sets, competitors, competitors]")
    n_sets, n, _ = wins.shape
    place = np.zeros((n_sets, n + 1))
    for _ in range(_MAX_STEPS):
        gradient, information = _slopes(place, wins, ties, prior)
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        longest = np.abs(step).max(axis=1, initial=0.0)
        # A full Newton step may overshoot from far away; a bounded one still climbs a concave hill.
        place += step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))[:, None]
        if float(longest.max(initial=0.0)) < _TOLERANCE:
            return Fit(strengths=place[:, :n], tie=place[:, n], information=_slopes(place, wins, ties, prior)[1])
    raise ValueError("the strengths do not settle; are all counts finite?")


def probabilities(difference: Floats, tie: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the probabilities that the one wins, ties and loses, by the difference of strengths."""
    highest = np.maximum(np.abs(difference) / 2, tie)
    won = np.exp(difference / 2 - highest)
    lost = np.exp(-difference / 2 - highest)
    tied = np.exp(tie - highest)
    total = won + lost + tied
    return won / total, tied / total, lost / total


def one_comparison(difference: Floats, tie: Floats) -> tuple[Floats, Floats, Floats]:
    """Return what one comparison tells: information on the difference, on it and the tie together, and on the tie."""
    won, tied, lost = probabilities(difference, tie)
    lead = won - lost
    return (won + lost - lead**2) / 4, -tied * lead / 2, tied * (1 - tied)


def _slopes(place: Floats, wins: Floats, ties: Floats, prior: float) -> tuple[Floats, Floats]:
    """Return the first derivatives of the log posterior, and minus the second ones."""
    n = wins.shape[1]
    strengths, tie = place[:, :n], place[:, n]
    meetings = wins + wins.transpose(0, 2, 1) + ties
    difference = strengths[:, :, None] - strengths[:, None, :]
    won, tied, lost = probabilities(difference, tie[:, None, None])
    on_difference, on_both, on_tie = one_comparison(difference, tie[:, None, None])
    # The imaginary opponent, of strength 0.
    own_won, own_tied, own_lost = probabilities(strengths, tie[:, None])
    own_on_difference, own_on_both, own_on_tie = one_comparison(strengths, tie[:, None])

    gradient = np.empty_like(place)
    gradient[:, :n] = ((wins - wins.transpose(0, 2, 1) - meetings * (won - lost)) / 2).sum(axis=2)
    gradient[:, :n] -= prior * (own_won - own_lost) / 2
    # Every meeting stands twice in the matrix, as i with j and as j with i.
    gradient[:, n] = (ties - meetings * tied).sum(axis=(1, 2)) / 2 + prior * (1 / 3 - own_tied).sum(axis=1)

    information = np.zeros((place.shape[0], n + 1, n + 1))
    between = meetings * on_difference
    information[:, :n, :n] = -between
    diagonal = np.arange(n)
    information[:, diagonal, diagonal] += between.sum(axis=2) + prior * own_on_difference
    with_tie = (meetings * on_both).sum(axis=2) + prior * own_on_both
    information[:, :n, n] = information[:, n, :n] = with_tie
    information[:, n, n] = (meetings * on_tie).sum(axis=(1, 2)) / 2 + prior * own_on_tie.sum(axis=1)
    return gradient, information
