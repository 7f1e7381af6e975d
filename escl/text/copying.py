"""How much of a text is taken from another one, in time that grows with the length of the two."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final

from escl.core.dimension import Language
from escl.text.words import ngrams, units

_ONE_PERSON: Final = frozenset(
    [
        *("i", "me", "my", "mine", "i'm", "he", "him", "his", "he's", "she", "her", "hers", "she's"),
        *("they", "them", "their", "theirs", "我", "他", "她"),
    ]
)
_ONE_VERB: Final = {"am": "be", "is": "be", "are": "be", "was": "be", "were": "be", "has": "have", "does": "do"}
_CONTENT_LETTERS: Final = 4
"""English words of fewer letters hardly say what a text is about."""


def same_person(text_units: Sequence[str]) -> list[str]:
    """Return the units with all persons, and the verb forms that follow them, made one.

    A card says "she has lost her job"; its copy says "I have lost my job".
    """
    return ["@" if unit in _ONE_PERSON else _ONE_VERB.get(unit, unit) for unit in text_units]


def runs(source_units: Sequence[str], n: int) -> Set[tuple[str, ...]]:
    """Return every run of `n` units of a source, to be looked for in other texts."""
    return set(ngrams(source_units, n))


def n_copied(text_units: Sequence[str], source_runs: Set[tuple[str, ...]], n: int) -> int:
    """Return how many of the text's units are in a run of `n` or more that the source has too."""
    covered_to = copied = 0
    for start, run in enumerate(ngrams(text_units, n)):
        if run in source_runs:
            copied += start + n - max(covered_to, start)
            covered_to = start + n
    return copied


def copied_share(text_units: Sequence[str], source_units: Sequence[str], n: int) -> float:
    """Return the share of the text's units (0-1) that `n_copied` counts; 0 for an empty text."""
    return n_copied(text_units, runs(source_units, n), n) / len(text_units) if text_units else 0.0


def content(text: str, language: Language) -> Set[str]:
    """Return what a text is about, roughly: its English words of 4 letters or more, or its pairs of Han characters."""
    found = units(text)
    if language is Language.CHINESE:
        return {"".join(pair) for pair in ngrams(found, 2)}
    return {unit for unit in found if len(unit) >= _CONTENT_LETTERS}


def loop_share(text_units: Sequence[str], n: int) -> float:
    """Return the share of the runs of `n` units that came before in the same text (0-1); 0 without any run."""
    found = list(ngrams(text_units, n))
    return 1 - len(set(found)) / len(found) if found else 0.0
