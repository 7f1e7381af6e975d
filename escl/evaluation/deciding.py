"""The cards on which two supporters differ most. Owns their order; what is compared with what is in `compare`."""

from __future__ import annotations

import math

import msgspec

from escl.core.dimension import Language
from escl.evaluation.compare import pair_cards
from escl.evaluation.sides import Side, by_card, chosen_of, values_by_card


class CardDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One card on which both have a value.

    Attributes:
        first: Of the one supporter, 0-100, the mean over repeats.
        second: Of the other.
        difference: First minus second.
    """

    card: str
    language: Language
    first: float
    second: float
    difference: float


def deciding_cards(
    side: Side, against: Side, dimension: str, language: Language | None, *, crisis: bool
) -> list[CardDifference]:
    """Return the cards in a comparison (of one language, or of both) with the largest differences first."""
    found = []
    for one in Language if language is None else (language,):
        values, others = (_values(s, dimension, one, crisis=crisis) for s in (side, against))
        paired = pair_cards(side, against, values, others)
        found += [
            CardDifference(
                card=card,
                language=one,
                first=math.fsum(values[card]) / len(values[card]),
                second=math.fsum(others[card]) / len(others[card]),
                difference=difference,
            )
            for card, difference in paired.differences.items()
        ]
    return sorted(found, key=lambda each: -abs(each.difference))


def _values(side: Side, dimension: str, language: Language, *, crisis: bool) -> dict[str, list[float]]:
    """Return the values by card in one of the seven dimensions, their average, or a dimension of the user's own."""
    own = next((each for each in side.own if each.dimension.key == dimension), None)
    if own is not None:
        return by_card(chosen_of(own.scored, language, crisis=crisis))
    return values_by_card(side.scored, dimension, language, crisis=crisis)
