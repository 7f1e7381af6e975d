"""Is a supporter at most a margin worse than the one it shall replace? Pass, or the reason why not. Knows no run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from escl.core.counted import counted
from escl.stats.cluster import ALIKE, ClusteredMean
from escl.stats.equivalence import FEW_CARDS
from escl.stats.points import ends_said, signed


class Noninferiority(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it is shown that a mean is not worse by the margin or more.

    Attributes:
        passed: Whether it is shown.
        is_worse: Whether the opposite is shown: worse by more than the margin.
        reason: In words, with the difference and its interval in points.
    """

    passed: bool
    is_worse: bool
    reason: str


def noninferiority(difference: ClusteredMean, *, margin: float, n_one_sided: int = 0) -> Noninferiority:
    """Return whether `difference` (new minus old) is shown to lie above minus the margin.

    The lower end of the two-sided 95 % interval, a one-sided test at 2.5 % (D'Agostino, Massaro and Sullivan,
    "Non-inferiority trials: design concepts and issues", Statistics in Medicine 22, 2003). What cannot be told is not
    shown. Cards that only one of the two has a value for leave it open: the hard ones may be those. Where all cards
    came out alike there is no interval; their difference decides, so that what changes nothing passes.

    Args:
        difference: With its interval.
        margin: Above 0, in the unit of the difference.
        n_one_sided: Cards with a value of one supporter only.

    Raises:
        ValueError: The margin is no margin.
    """
    if not 0 < margin < math.inf:
        raise ValueError("a margin is a finite number above 0")
    low, high = difference.low, difference.high
    if difference.reason == ALIKE and difference.mean is not None:
        low = high = difference.mean
        ends = "on every card"
    elif low is not None and high is not None:
        ends = ends_said(low, high)
    if difference.mean is None or low is None or high is None:
        return Noninferiority(passed=False, is_worse=False, reason=f"cannot tell: {difference.reason}")
    found = f"{signed(difference.mean)} ({ends})"
    if high < -margin:
        return Noninferiority(passed=False, is_worse=True, reason=f"worse by more than {margin:g} points: {found}")
    if difference.n_clusters < FEW_CARDS:
        return Noninferiority(
            passed=False,
            is_worse=False,
            reason=f"cannot tell: {counted(difference.n_clusters, 'card is', 'cards are')} too few",
        )
    if n_one_sided:
        return Noninferiority(
            passed=False,
            is_worse=False,
            reason=f"cannot tell: {counted(n_one_sided, 'card has', 'cards have')} a value of one supporter only",
        )
    if low > -margin:
        return Noninferiority(passed=True, is_worse=False, reason=f"not worse by {margin:g} points: {found}")
    return Noninferiority(passed=False, is_worse=False, reason=f"may be worse by {margin:g} points: {found}")


def all_shown(found: Sequence[Noninferiority]) -> bool:
    """Return whether every one is shown, and there is one.

    That all must pass needs no correction for several tests (Berger, "Multiparameter hypothesis testing and acceptance
    sampling", Technometrics 24, 1982).
    """
    return bool(found) and all(one.passed for one in found)
