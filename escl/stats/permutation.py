"""How often chance alone would give a paired difference this large, and what testing several dimensions costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import numpy as np

EXACT_TO: Final = 18
"""Up to this many cards every one of the 2^n sign patterns is counted."""
DRAWS: Final = 9999
SEED: Final = 20240622
_CELLS: Final = 1_000_000

Key = TypeVar("Key")


def sign_flip_p(differences: Sequence[float], *, seed: int = SEED) -> float | None:
    """Return the two-sided p of the mean of paired differences under random signs; None without any.

    If it makes no difference which supporter is which, every difference is as likely with the other sign (Fisher,
    "The Design of Experiments", 1935, section 21; Edgington and Onghena, "Randomization Tests", 2007). Exact up to
    `EXACT_TO` cards; with more, `DRAWS` random patterns are drawn and the observed one counted with them, so that p
    is never 0 (Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010).
    """
    if not differences:
        return None
    values = np.asarray(differences, float)
    # Sums that are equal but for rounding count as equal.
    observed = abs(math.fsum(differences)) - 1e-9 * float(np.abs(values).sum())
    if len(values) <= EXACT_TO:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return float((np.abs(sums) >= observed).mean())
    rng = np.random.default_rng(seed)
    as_large, left = 0, DRAWS
    while left:
        rows = min(left, max(1, _CELLS // len(values)))
        signs = rng.integers(0, 2, size=(rows, len(values)), dtype=np.int8).astype(np.float64)
        as_large += int((np.abs((2 * signs - 1) @ values) >= observed).sum())
        left -= rows
    return (as_large + 1) / (DRAWS + 1)


def smallest_p(n: int) -> float:
    """Return the smallest p that `sign_flip_p` can give with `n` differences: only all signs alike are as extreme."""
    return 2.0 ** (1 - n) if n <= EXACT_TO else 1 / (DRAWS + 1)


def holm(p_values: Mapping[Key, float | None]) -> dict[Key, float | None]:
    """Return the p values adjusted for being several, so that any false alarm has at most the stated probability.

    Holm's step-down procedure (Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
    of Statistics 6, 1979). What has no p stays None and is not counted.
    """
    known = sorted(((p, key) for key, p in p_values.items() if p is not None), key=lambda pair: pair[0])
    adjusted: dict[Key, float | None] = dict.fromkeys(p_values)
    largest = 0.0
    for at, (p, key) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - at)))
        adjusted[key] = largest
    return adjusted
