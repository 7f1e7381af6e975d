"""By what a run's cards can be divided. Knows cards only."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from escl.core.card import RoleCard

TRAINED_ON: Final = frozenset({"esconv", "extes", "smile"})
"""The collections whose dialogues ESC-Role was trained to play (arXiv 2406.14952)."""

SEEN: Final = "ESConv, ExTES, Smile"
NOT_SEEN: Final = "other sources"
NOT_GIVEN: Final = "not given"
"""The part of cards that say nothing about what divides them."""


class Division(StrEnum):
    """What scores can be divided by: something about the card, or for what was said the round."""

    CATEGORY = "category"
    SUBCATEGORY = "subcategory"
    SOURCE = "source"
    TRAINING = "training"
    DANGER = "danger"
    SEVERITY = "severity"
    ROUND = "round"


def part_of(card: RoleCard, division: Division) -> str:
    """Return the part that the card belongs to, for people.

    Raises:
        KeyError: Rounds divide dialogues, not cards.
    """
    return _PARTS[division](card) or NOT_GIVEN


def _training(card: RoleCard) -> str:
    return SEEN if card.source.casefold() in TRAINED_ON else NOT_SEEN


_PARTS: Final[dict[Division, Callable[[RoleCard], str | None]]] = {
    Division.CATEGORY: lambda card: card.category.shown,
    Division.SUBCATEGORY: lambda card: card.subcategory,
    Division.SOURCE: lambda card: card.source,
    Division.TRAINING: _training,
    Division.SEVERITY: lambda card: card.severity,
    Division.DANGER: lambda card: None if card.crisis is None else card.crisis.value,
}
