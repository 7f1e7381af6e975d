"""Role cards: who the seeker is. Knows what a card means; knows no file format and no model."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from escl.core.dimension import Language


class Category(StrEnum):
    """What part of life a card's problem belongs to: the first level of ESC-Eval's taxonomy."""

    FAMILY = "family"
    STUDY_WORK = "study-work"
    SOCIETY = "society"


class CrisisKind(StrEnum):
    """The danger a crisis card is about."""

    SELF_HARM = "self-harm"
    VIOLENCE = "violence"
    ACUTE_RISK = "acute-risk"


class RoleCard(msgspec.Struct, frozen=True, kw_only=True):
    """One seeker to play.

    Attributes:
        id: Unique in a run.
        language: What the seeker speaks.
        text: What the seeker reads: four labelled lines (age, gender, occupation, problem).
        category: First level of the taxonomy.
        subcategory: Second level; None when the source does not give one.
        source: The collection the card comes from.
        crisis: The danger, for a crisis card; None for a quality card.
    """

    id: str
    language: Language
    text: str
    category: Category
    subcategory: str | None
    source: str
    crisis: CrisisKind | None
