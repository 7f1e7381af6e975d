"""Is a mean shift small enough to count as none? A verdict, or how many cards would give one.

Knows no scorer and no dimension.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec

from escl.core.counted import counted
from escl.stats.cluster import ClusteredMean
from escl.stats.power import cards_for

Verdict = Literal["equivalent", "different", "cannot tell"]

FEW_CARDS: Final = 10
"""Below this no verdict is given: with so few cards Student's t hangs on how the values are distributed."""


class Equivalence(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict about a shift against a margin.

    Attributes:
        margin: In the unit of the shift.
        verdict: "equivalent": the 95 % interval lies within the margin on both sides. "different": it lies outside.
        reason: In words.
        cards_needed: With how many cards a verdict could be expected if the shift is what it seems; None when there is
            a verdict, or no such number.
    """

    margin: float
    verdict: Verdict
    reason: str
    cards_needed: int | None = None


def equivalence(shift: ClusteredMean, *, margin: float, n_one_sided: int = 0) -> Equivalence:
    """Return the verdict about `shift`.

    The two one-sided tests of Schuirmann (Journal of Pharmacokinetics and Biopharmaceutics 15, 1987), each at 2.5 %:
    equivalent when the 95 % interval lies within the margin.

    Args:
        shift: With its interval.
        margin: What counts as no shift, above 0.
        n_one_sided: Items that only one of the two could judge; what is missing for one alone may hide a shift.

    Raises:
        ValueError: The margin is no margin.
    """
    if not 0 < margin < math.inf:
        raise ValueError("a margin is a finite number above 0")

    def tell(verdict: Verdict, reason: str, cards_needed: int | None = None) -> Equivalence:
        return Equivalence(margin=margin, verdict=verdict, reason=reason, cards_needed=cards_needed)

    if shift.mean is None:
        return tell("cannot tell", "no dialogue has a label of both")
    if n_one_sided:
        return tell(
            "cannot tell", f"{counted(n_one_sided, 'dialogue has', 'dialogues have')} a label of one scorer only"
        )
    if shift.low is None or shift.high is None or shift.n_clusters < FEW_CARDS:
        count = counted(shift.n_clusters, "card is", "cards are")
        needed = max(FEW_CARDS, cards_needed(shift, margin=margin) or FEW_CARDS)
        return tell("cannot tell", f"{count} too few", needed)
    if -margin <= shift.low and shift.high <= margin:
        return tell("equivalent", f"the interval lies within ±{margin:g}")
    if shift.low > margin or shift.high < -margin:
        return tell("different", f"the interval lies outside ±{margin:g}")
    needed_now = cards_needed(shift, margin=margin)
    if needed_now is None:
        return tell("cannot tell", f"the shift is about as large as the margin of {margin:g}")
    # The count asks for a good chance; who came close without luck is told to get more than there are.
    return tell("cannot tell", "the interval is too wide", max(needed_now, shift.n_clusters + 1))


def cards_needed(shift: ClusteredMean, *, margin: float) -> int | None:
    """Return how many cards give a verdict with probability `POWER`, if the shift is what it seems.

    As many as show the distance of the shift from the margin, for one end of the interval decides. None without an
    interval, or when no number of cards that is any advice does.
    """
    if shift.mean is None or shift.error is None:
        return None
    return cards_for(abs(margin - abs(shift.mean)), shift.error * math.sqrt(shift.n_clusters))
