"""How far an estimate from several cards could be off.

Cards are drawn again, and never is less shown than the fitted model itself leaves open. Numbers only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS: Final = 2000
SEED: Final = 20260311
"""Of the draws, so that the same comparisons always show the same intervals."""


def card_weights(n_cards: int, *, n_draws: int = DRAWS, seed: int = SEED) -> Floats:
    """Return how often each card is drawn, [draws, cards]: whole cards with replacement, as many as there are.

    The cluster bootstrap (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8).
    """
    rng = np.random.default_rng([seed, 0])
    return rng.multinomial(n_cards, np.full(n_cards, 1 / n_cards), size=n_draws).astype(np.float64)


def widened(
    draws: Floats, covariance: Floats, *, reach: Callable[[Floats], Floats] | None = None, seed: int = SEED
) -> Floats:
    """Return the draws with noise added in every direction in which they vary less than `covariance` says.

    Drawing cards again shows nothing where every card came out the same: after a clean sweep all draws are alike,
    although a few more cards might have told otherwise. What the fitted model itself leaves open, the inverse of its
    information, is the least that is shown.

    Args:
        draws: [draws, values] of the bootstrap.
        covariance: [values, values] of the model's own posterior, as its curvature at the maximum gives it.
        reach: How far the posterior goes on each side, for a posterior that is lopsided: given standard deviations as
            steps from the maximum, [steps, values], by how much each is to be multiplied. None: it is normal.
        seed: Of the noise.
    """
    found = np.atleast_2d(np.cov(draws, rowvar=False))
    lengths, directions = np.linalg.eigh((covariance - found + (covariance - found).T) / 2)
    missing = (directions * np.sqrt(np.maximum(lengths, 0.0))).T
    up, down = (np.ones(len(missing)),) * 2 if reach is None else (reach(missing), reach(-missing))
    noise = np.random.default_rng([seed, 1]).standard_normal(draws.shape)
    widened_draws: Floats = draws + (noise * np.where(noise > 0, up, down)) @ missing
    return widened_draws
