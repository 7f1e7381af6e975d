"""Where a scorer does not move: the labels of two supporters are one and the same on nearly every dialogue.

Knows readings and paired values, and no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from escl.stats.equivalence import FEW_CARDS
from escl.stats.labels import stuck_label
from escl.stats.paired import PairedValues
from escl.stats.summary import ScoredDialogue


def with_stuck(paired: PairedValues, one: Iterable[ScoredDialogue], other: Iterable[ScoredDialogue]) -> PairedValues:
    """Return the values with the label that the scorer gives both on nearly every dialogue, if there is one.

    Of the cards that are paired, and from `FEW_CARDS` of them on: fewer come out alike by chance.

    Args:
        paired: In one dimension; cards are named "language/card".
        one: What was read of the one supporter in this dimension.
        other: The same of the other.
    """
    if len(paired.differences) < FEW_CARDS:
        return paired
    label = stuck_label(_labels(paired, one), _labels(paired, other))
    return paired if label is None else msgspec.structs.replace(paired, stuck=(label,))


def average_stuck(paired: PairedValues, dimensions: Sequence[PairedValues]) -> PairedValues:
    """Return the values of the average, which does not move where none of its dimensions does."""
    if not all(each.stuck for each in dimensions):
        return paired
    return msgspec.structs.replace(paired, stuck=tuple(label for each in dimensions for label in each.stuck))


def _labels(paired: PairedValues, scored: Iterable[ScoredDialogue]) -> list[int]:
    return [
        item.label
        for item in scored
        if item.label is not None and f"{item.language.value}/{item.cluster}" in paired.differences
    ]
