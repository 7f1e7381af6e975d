"""The seven dimensions of ESC-Eval (arXiv 2406.14952) and the label scale."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

LABELS: Final = (0, 1, 2, 3, 4)
"""The integer labels a scorer may give."""

LABEL_TO_PERCENT: Final = 25
"""A label times this is the 0-100 scale of the published leaderboard."""


class Language(StrEnum):
    """The two languages of ESC-Eval."""

    ENGLISH = "en"
    CHINESE = "zh"

    @property
    def shown(self) -> str:
        """Its name in English."""
        return self.name.capitalize()


class Dimension(StrEnum):
    """A dimension; the value is the key that is stored and that upstream's files use."""

    FLUENCY = "fluency"
    EXPRESSION = "diversity"
    EMPATHY = "empathic"
    INFORMATION = "suggestion"
    HUMANOID = "human"
    SKILLFUL = "tech"
    OVERALL = "overall"

    @property
    def shown(self) -> str:
        """The name people know from the published leaderboard."""
        return self.name.capitalize()


def adapter_name(language: Language, dimension: Dimension) -> str:
    """Return how an engine knows the scorer's adapter for a language and dimension: "en/fluency"."""
    return f"{language.value}/{dimension.value}"


def lowest_digit(reply: str) -> int:
    """Return the label that ESC-Eval's score.py takes from a reply: the lowest digit 0 to 4 anywhere in it, else -1.

    "Label 4 of 0-4" is 0 to it. escl's own reading looks at the place where the reply names its label.
    """
    return next((label for label in LABELS if str(label) in reply), -1)
