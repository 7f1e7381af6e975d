"""How the labels of one cell are spread: whether there is anything in them to tell supporters apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

SATURATED: Final = 0.95
"""From this share of one label on, the labels hardly separate anything."""


class LabelSpread(msgspec.Struct, frozen=True, kw_only=True):
    """How the labels 0 to 4 are spread.

    Attributes:
        entropy_bits: 0 when there is one label only, log2(5) = 2.32 when all five are equally common.
        modal_share: The share of the commonest label.
        saturated: Whether that share is `SATURATED` or more.
    """

    entropy_bits: float
    modal_share: float
    saturated: bool


def label_spread(counts: Sequence[int]) -> LabelSpread | None:
    """Return how labels with these counts are spread, None without any.

    The entropy is -sum p log2 p of the observed shares (Shannon, "A Mathematical Theory of Communication", Bell System
    Technical Journal 27, 1948), without correction for few labels, which makes it a little too small.
    """
    n = sum(counts)
    if n == 0:
        return None
    shares = [count / n for count in counts if count]
    modal = max(shares)
    # Adding 0.0 turns -0.0 into 0.0.
    entropy = -math.fsum(share * math.log2(share) for share in shares) + 0.0
    return LabelSpread(entropy_bits=entropy, modal_share=modal, saturated=modal >= SATURATED)


def stuck_label(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return the label that either supporter gets so often that the labels cannot tell the two apart, else None.

    Args:
        one: The labels of one supporter's dialogues.
        other: Those of the other.
    """
    found = set()
    for labels in (one, other):
        counts = Counter(labels)
        spread = label_spread(list(counts.values()))
        if spread is None or not spread.saturated:
            return None
        found.add(counts.most_common(1)[0][0])
    return found.pop() if len(found) == 1 else None
