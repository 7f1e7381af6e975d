"""Bradley-Terry with ties, Davidson's model: strengths from counts of wins and ties, and what they leave open.

With strengths s_i (natural logarithms) and a tendency to tie t_ij, the one beats the other : tie : loses as
exp(d/2) : exp(t_ij) : exp(-d/2), where d is the difference of the strengths (Davidson, "On extending the Bradley-Terry
model to accommodate ties in paired comparison experiments", JASA 65, 1970; exp(t) is his nu).

Davidson has one tendency for all. Two supporters that are both at the bottom of what a judge can see tie always, and
others never; one tendency then takes the ties of the ones for a sign that the others are worlds apart (ten wins of ten
became 2000 points). So t_ij = t + u_ij, where u_ij is normal with mean 0 and standard deviation `TIE_SPREAD`.

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
TIE_SPREAD: Final = 2.0
"""How much the tendency to tie differs between pairs: one standard deviation is odds of exp(2), about 7."""

_MAX_STEPS: Final = 200
_Z95: Final = 1.959964
_FARTHEST: Final = 8.0
_BISECTIONS: Final = 30
_LONGEST_STEP: Final = 2.0
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The most probable strengths of each set.

    Attributes:
        strengths: [sets, competitors], natural logarithms; their mean is near 0, held there by the prior alone.
        tie: [sets], the common tendency to tie.
        own_tie: [sets, competitors, competitors], by how much that of a pair differs from it; symmetric.
        information: [sets, competitors + 1, competitors + 1]: minus the second derivatives by the strengths and, last,
            the common tendency, once the pairs' own tendencies are integrated out.
    """

    strengths: Floats
    tie: Floats
    own_tie: Floats
    information: Floats


def fit(wins: Floats, ties: Floats, *, prior: float = PRIOR) -> Fit:
    """Return the most probable strengths for sets of results.

    Raises:
        ValueError: The arrays' shapes differ, or Newton's method does not end, which needs numbers that are not finite.
    """
    if wins.shape != ties.shape or wins.ndim != 3 or wins.shape[1] != wins.shape[2]:
        raise ValueError("wins and ties must have the same shape [sets, competitors, competitors]")
    n_sets, n, _ = wins.shape
    place, own_tie = np.zeros((n_sets, n + 1)), np.zeros_like(wins)
    for _ in range(_MAX_STEPS):
        slopes = _slopes(place, own_tie, wins, ties, prior)
        step = np.linalg.solve(slopes.information, slopes.gradient[..., None])[..., 0]
        own_step = slopes.own_step(step)
        longest = np.maximum(np.abs(step).max(axis=1), np.abs(own_step).max(axis=(1, 2)))
        if float(longest.max(initial=0.0)) < _TOLERANCE:
            return Fit(strengths=place[:, :n], tie=place[:, n], own_tie=own_tie, information=slopes.information)
        # A full Newton step may overshoot from far away; a bounded one still climbs a concave hill.
        share = np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        place += step * share[:, None]
        own_tie += own_step * share[:, None, None]
    raise ValueError("the strengths do not settle; are all counts finite?")


def reach(best: Fit, wins: Floats, ties: Floats, steps: Floats, *, prior: float = PRIOR) -> Floats:
    """Return by how much to multiply each step from the maximum to come to where one standard deviation should end.

    That is where a multiple of it, 1.96 times, has lost as much log posterior as a normal distribution has lost there
    (the profile likelihood interval; Venzon and Moolgavkar, Applied Statistics 37, 1988). After a sweep it is near on
    the side of the losers and far on the other.

    Args:
        best: Of one set.
        wins: [competitors, competitors] of that set.
        ties: The same.
        steps: [steps, competitors + 1], of the strengths and the common tendency to tie.
        prior: As it was fitted.
    """
    centre = np.concatenate([best.strengths[0], best.tie])
    highest = _log_posterior(centre[None], wins, ties, prior)[0]
    low, high = np.zeros(len(steps)), np.full(len(steps), _FARTHEST)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        lost = highest - _log_posterior(centre + _Z95 * middle[:, None] * steps, wins, ties, prior)
        low, high = np.where(lost < _Z95**2 / 2, middle, low), np.where(lost < _Z95**2 / 2, high, middle)
    found: Floats = (low + high) / 2
    return found


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slopes:
    """First derivatives and minus the second ones, with the pairs' own tendencies eliminated (Schur's complement).

    Attributes:
        own_gradient: By each pair's own tendency; `with_difference` and `with_tie` are its mixed second derivatives,
            `own` its second one, all [sets, competitors, competitors].
    """

    gradient: Floats
    information: Floats
    own_gradient: Floats
    with_difference: Floats
    with_tie: Floats
    own: Floats

    def own_step(self, step: npt.NDArray[np.floating]) -> Floats:
        """Return Newton's step of the pairs' own tendencies, given that of the others."""
        n = self.own.shape[1]
        apart = step[:, :n, None] - step[:, None, :n]
        moved: Floats = (
            self.own_gradient - self.with_difference * apart - self.with_tie * step[:, n, None, None]
        ) / self.own
        return moved


def _slopes(place: Floats, own_tie: Floats, wins: Floats, ties: Floats, prior: float) -> _Slopes:
    n = wins.shape[1]
    strengths, tie = place[:, :n], place[:, n]
    meetings = wins + wins.transpose(0, 2, 1) + ties
    difference = strengths[:, :, None] - strengths[:, None, :]
    pair_tie = tie[:, None, None] + own_tie
    won, tied, lost = probabilities(difference, pair_tie)
    on_difference, on_both, on_tie = (meetings * part for part in one_comparison(difference, pair_tie))
    # The pair's own tendency, held by its prior, takes its part of what the comparisons tell.
    more_ties = ties - meetings * tied
    own = on_tie + 1 / TIE_SPREAD**2
    own_gradient = more_ties - own_tie / TIE_SPREAD**2
    by_difference = (wins - wins.transpose(0, 2, 1) - meetings * (won - lost)) / 2 - on_both / own * own_gradient
    by_tie = more_ties - on_tie / own * own_gradient
    difference_left = on_difference - on_both**2 / own
    both_left, tie_left = on_both - on_both * on_tie / own, on_tie - on_tie**2 / own
    # The imaginary opponent, of strength 0.
    its_won, its_tied, its_lost = probabilities(strengths, tie[:, None])
    its_on_difference, its_on_both, its_on_tie = one_comparison(strengths, tie[:, None])

    gradient = np.empty_like(place)
    gradient[:, :n] = by_difference.sum(axis=2) - prior * (its_won - its_lost) / 2
    # Every meeting stands twice in the matrix, as i with j and as j with i.
    gradient[:, n] = by_tie.sum(axis=(1, 2)) / 2 + prior * (1 / 3 - its_tied).sum(axis=1)
    information = np.zeros((place.shape[0], n + 1, n + 1))
    information[:, :n, :n] = -difference_left
    diagonal = np.arange(n)
    information[:, diagonal, diagonal] += difference_left.sum(axis=2) + prior * its_on_difference
    information[:, :n, n] = information[:, n, :n] = both_left.sum(axis=2) + prior * its_on_both
    information[:, n, n] = tie_left.sum(axis=(1, 2)) / 2 + prior * its_on_tie.sum(axis=1)
    return _Slopes(
        gradient=gradient,
        information=information,
        own_gradient=own_gradient,
        with_difference=on_both,
        with_tie=on_tie,
        own=own,
    )


def _log_posterior(places: Floats, wins: Floats, ties: Floats, prior: float) -> Floats:
    """Return the log posterior at each of the places, [places, competitors + 1], the pairs' own ties at their best."""
    n = wins.shape[0]
    strengths, tie = places[:, :n], places[:, n]
    difference = strengths[:, :, None] - strengths[:, None, :]
    meetings = wins + wins.T + ties
    own_tie = np.zeros_like(difference)
    for _ in range(_MAX_STEPS):
        _, tied, _ = probabilities(difference, tie[:, None, None] + own_tie)
        step = (ties - meetings * tied - own_tie / TIE_SPREAD**2) / (meetings * tied * (1 - tied) + 1 / TIE_SPREAD**2)
        own_tie += np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if float(np.abs(step).max(initial=0.0)) < _TOLERANCE:
            break
    pair_tie = tie[:, None, None] + own_tie
    said = wins * difference / 2 + ties * pair_tie / 2 - own_tie**2 / (4 * TIE_SPREAD**2)
    both = (said - meetings / 2 * _log_total(difference, pair_tie)).sum(axis=(1, 2))
    alone: Floats = (tie[:, None] / 3 - _log_total(strengths, tie[:, None])).sum(axis=1)
    total: Floats = both + prior * alone
    return total


def _log_total(difference: Floats, tie: Floats) -> Floats:
    total: Floats = np.logaddexp(np.logaddexp(difference / 2, -difference / 2), tie)
    return total
