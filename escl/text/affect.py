"""The mood of a seeker's turns by a small lexicon of ours, and how it drifts over a dialogue.

It counts words; it does not understand. A single turn's score means little, the drift of many dialogues a little more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from escl.core.dimension import Language
from escl.text.words import plain, units

_BEFORE: Final = 3
"""Units in front of a word among which a negation turns it round."""


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lexicon of one language."""

    low: tuple[str, ...]
    high: tuple[str, ...]
    negations: tuple[str, ...]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How the mood of one speaker goes over a dialogue, -1 (only low words) to 1 (only high words).

    Attributes:
        scores: Of each turn; None where it has no word of the lexicon.
        slope: Change for each turn, by least squares over the turns that have a score; None below three.
        reason: Why there is no slope.
    """

    scores: tuple[float | None, ...]
    slope: float | None
    reason: str | None = None


@cache
def lexicon() -> dict[Language, Words]:
    """Return the lexicon that ships with escl."""
    content = resources.files("escl.text").joinpath("lexicons/affect.toml").read_bytes()
    return msgspec.toml.decode(content, type=dict[Language, Words])


def mood(text: str, language: Language) -> float | None:
    """Return (high - low) / (high + low) over the lexicon's words in a turn; None when it has none.

    The ratio is the polarity of Godbole, Srinivasaiah and Skiena, "Large-Scale Sentiment Analysis for News and Blogs",
    ICWSM 2007.
    """
    high, low = _counts_chinese(text) if language is Language.CHINESE else _counts_english(text)
    return (high - low) / (high + low) if high + low else None


def drift(turns: Sequence[str], language: Language) -> Drift:
    """Return the mood of each turn and its trend."""
    scores = tuple(mood(turn, language) for turn in turns)
    points = [(float(at), score) for at, score in enumerate(scores) if score is not None]
    if len(points) < 3:
        return Drift(scores=scores, slope=None, reason="fewer than three turns have a word of the lexicon")
    middle = sum(at for at, _ in points) / len(points)
    spread = sum((at - middle) ** 2 for at, _ in points)
    return Drift(scores=scores, slope=sum((at - middle) * score for at, score in points) / spread)


def _counts_english(text: str) -> tuple[int, int]:
    """Return how many high and how many low words a text has; a negation shortly before turns one round."""
    high, low, negations = _sets(Language.ENGLISH)
    found = units(text)
    n_high = n_low = 0
    for at, unit in enumerate(found):
        if unit not in high and unit not in low:
            continue
        is_turned = not negations.isdisjoint(found[max(0, at - _BEFORE) : at])
        if (unit in high) is not is_turned:
            n_high += 1
        else:
            n_low += 1
    return n_high, n_low


def _counts_chinese(text: str) -> tuple[int, int]:
    high, _, _ = _sets(Language.CHINESE)
    n_high = n_low = 0
    for found in _chinese_words().finditer(plain(text)):
        if (found["word"] in high) is (found["turned"] is None):
            n_high += 1
        else:
            n_low += 1
    return n_high, n_low


@cache
def _sets(language: Language) -> tuple[Set[str], Set[str], Set[str]]:
    words = lexicon()[language]
    return frozenset(words.high), frozenset(words.low), frozenset(words.negations)


@cache
def _chinese_words() -> re.Pattern[str]:
    words = lexicon()[Language.CHINESE]

    def either(parts: Sequence[str]) -> str:
        return "|".join(map(re.escape, sorted(parts, key=len, reverse=True)))

    # A degree word may stand between: "not very happy".
    turned = f"(?:{either(words.negations)})[很太怎么那是觉得到有]{{0,2}}"
    return re.compile(f"(?P<turned>{turned})?(?P<word>{either((*words.high, *words.low))})")
