"""Role cards: who the seeker is, and which cards a run uses. Knows no file format, no prompt and no model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from escl.core.dimension import Language
from escl.errors import UsageError


class Category(StrEnum):
    """What part of life a card's problem belongs to: the first level of ESC-Eval's taxonomy."""

    FAMILY = "family"
    STUDY_WORK = "study-work"
    SOCIETY = "society"

    @property
    def shown(self) -> str:
        """The name for people."""
        return {"family": "Family life", "study-work": "Work and study", "society": "Society and other"}[self.value]


class CrisisKind(StrEnum):
    """The danger a crisis card is about."""

    SELF_HARM = "self-harm"
    VIOLENCE = "violence"
    ACUTE_RISK = "acute-risk"


class RoleCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One seeker to play.

    Attributes:
        id: Unique in a run.
        language: What the seeker speaks.
        text: What the seeker reads: four labelled lines (age, gender, occupation, problem).
        category: First level of the taxonomy.
        subcategory: Second level; None when the source does not give one.
        source: The collection the card comes from.
        crisis: The danger, for a crisis card; None for a quality card.
        severity: How bad it is in a word of the card's author; None where nothing is said. Then it is not in the card's
            hash either, so that cards without one keep theirs.
    """

    id: str
    language: Language
    text: str
    category: Category
    subcategory: str | None
    source: str
    crisis: CrisisKind | None
    severity: str | None = None

    @property
    def problem(self) -> str:
        """What follows the last label of the text; the whole text when it has not the four labelled lines."""
        found = _SHAPES[self.language].fullmatch(self.text)
        return found["problem"] if found else self.text

    @property
    def has_four_lines(self) -> bool:
        """Whether the text is the four labelled lines."""
        return _SHAPES[self.language].fullmatch(self.text) is not None


LABELS: Final = {
    Language.ENGLISH: ("Age: ", "Gender: ", "Occupation: ", "Problem: "),
    Language.CHINESE: ("年龄：", "性别：", "职业：", "问题："),
}
"""How the four lines of a card's text begin, as in ESC-Eval's cards."""

# Some published cards part the four lines with empty ones.
_SHAPES: Final = {
    language: re.compile("{}.+\\n+{}.+\\n+{}.+\\n+{}(?P<problem>.+)".format(*labels))
    for language, labels in LABELS.items()
}


def card_text(language: Language, *, age: str, gender: str, occupation: str, problem: str) -> str:
    """Return the four labelled lines that a seeker reads."""
    words = (age, gender, occupation, problem)
    return "\n".join(label + word for label, word in zip(LABELS[language], words, strict=True))


def select_cards(
    cards: Iterable[RoleCard],
    *,
    language: Language | None = None,
    category: Category | None = None,
    source: str | None = None,
    crisis: bool = False,
    limit: int | None = None,
) -> list[RoleCard]:
    """Return the cards that match every filter given, in their order: the first `limit` of them.

    A selection holds quality cards only, or with `crisis` crisis cards only, so that no mean mixes the two.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"a limit of {limit} cards selects nothing; give 1 or more")
    chosen = [
        card
        for card in cards
        if (card.crisis is not None) == crisis
        and language in (None, card.language)
        and category in (None, card.category)
        and source in (None, card.source)
    ]
    return chosen[:limit]


def cards_sha256(cards: Iterable[RoleCard]) -> str:
    """Return a hash of what the cards say, 64 hex digits. It depends on no file layout and on no order."""
    ordered = sorted(cards, key=lambda card: card.id)
    return hashlib.sha256(msgspec.json.encode(ordered)).hexdigest()
