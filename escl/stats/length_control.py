"""How often a supporter would beat a reference if both said equally much; ties count half.

Knows scores, lengths and cards; no judge and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from escl.stats.draws import SEED, card_weights, widened

Floats = npt.NDArray[np.float64]

_PRIOR_PLACES: Final = (-1.0, 0.0, 1.0)
_PRIOR_WEIGHT: Final = 1 / 3
_MAX_STEPS: Final = 100
_LONGEST_STEP: Final = 2.0


class LengthControlled(msgspec.Struct, frozen=True, kw_only=True):
    """A win rate at equal length.

    Attributes:
        rate: From 0 to 1; None when it cannot be computed, and `reason` says why.
        slope: By how much the log odds of winning rise with the length, in units of `tanh`; None with the rate.
        extrapolated: Whether all dialogues of one side are the longer ones, so that no pair had near equal length on
            both sides of it.
    """

    rate: float | None
    low: float | None = None
    high: float | None = None
    slope: float | None = None
    extrapolated: bool = False
    reason: str | None = None


def length_controlled(
    scores: Sequence[float], longer_by: Sequence[float], cards: Sequence[str], *, seed: int = SEED
) -> LengthControlled:
    """Return the win rate that is expected at equal length.

    A logistic regression of the score on tanh(difference of lengths / its standard deviation), read off at a difference
    of 0 (Dubois et al., "Length-Controlled AlpacaEval", arXiv 2404.04475, section 3; without their term for a prompt's
    difficulty, which needs many models). Prior: one imaginary tie, a third of it at each of -1, 0 and 1 on the tanh
    scale, so that a clean sweep has a finite answer. Interval: cards drawn again, `escl.stats.draws`.

    Args:
        scores: Of the one in each comparison: 1, 0.5 or 0.
        longer_by: By how much the one's dialogue was the longer.
        cards: The card of each.
        seed: Of the draws.
    """
    if not scores:
        return LengthControlled(rate=None, reason="no values")
    lengths = np.asarray(longer_by, float)
    spread = float(lengths.std())
    if spread == 0 and lengths[0] != 0:
        return LengthControlled(rate=None, reason="the lengths always differ by the same")
    steepness = np.tanh(lengths / spread) if spread > 0 else np.zeros_like(lengths)
    won = np.asarray(scores, float)
    best, information = _fit(np.ones((1, len(won))), won, steepness)
    names = list(dict.fromkeys(cards))
    low = high = None
    if len(names) > 1:
        of_card = np.array([names.index(card) for card in cards])
        weights = card_weights(len(names), seed=seed)[:, of_card]
        drawn = widened(_fit(weights, won, steepness)[0], np.linalg.inv(information[0]), seed=seed)
        low, high = (float(end) for end in np.percentile(_logistic(drawn[:, 0]), (2.5, 97.5)))
    return LengthControlled(
        rate=float(_logistic(best[0, 0])),
        low=low,
        high=high,
        slope=float(best[0, 1]),
        extrapolated=bool(lengths.min() > 0 or lengths.max() < 0),
        reason="one card" if low is None else None,
    )


def _fit(weights: Floats, scores: Floats, steepness: Floats) -> tuple[Floats, Floats]:
    """Return intercept and slope for each set of weights, [sets, 2], and the information, [sets, 2, 2]."""
    places = np.concatenate([steepness, _PRIOR_PLACES])
    won = np.concatenate([scores, np.full(len(_PRIOR_PLACES), 0.5)])
    prior = np.full((weights.shape[0], len(_PRIOR_PLACES)), _PRIOR_WEIGHT)
    weights = np.concatenate([weights, prior], axis=1)
    design = np.stack([np.ones_like(places), places])
    found = np.zeros((weights.shape[0], 2))
    for _ in range(_MAX_STEPS):
        expected = _logistic(found @ design)
        gradient = (weights * (won - expected)) @ design.T
        spread = weights * expected * (1 - expected)
        information: Floats = np.einsum("bn,in,jn->bij", spread, design, design)
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        longest = np.abs(step).max(axis=1)
        found += step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))[:, None]
        if float(longest.max()) < 1e-9:
            return found, information
    raise ValueError("the regression does not settle; are all numbers finite?")


def _logistic(x: Floats) -> Floats:
    odds: Floats = 1 / (1 + np.exp(-x))
    return odds
