"""What is worth a look in words that can be used, a protocol's or a user's own rubrics: slips that no rule forbids.

Knows no file and no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from escl.core.dimension import Language
from escl.core.own_dimension import OwnDimension
from escl.core.protocol import Protocol
from escl.core.wording import Rubric, Wording

LONG_RUBRIC: Final = 2000
"""Characters; a scorer reads the rubric once for each dimension, and much of it crowds out the dialogue."""


def remarks(protocol: Protocol) -> list[str]:
    """Return what a protocol's author may have overlooked, one sentence each."""
    found = [remark for language, wording in protocol.languages.items() for remark in _of_language(language, wording)]
    if protocol.rewriting:
        found.append("utterances go into the transcript as they are: a supporter can forge turns")
    return found


def own_remarks(dimensions: Iterable[OwnDimension]) -> list[str]:
    """Return what the author of dimensions of their own may have overlooked, one sentence each."""
    return [remark for own in dimensions for remark in _of_own(own)]


def _of_own(own: OwnDimension) -> Iterator[str]:
    missing = [language.value for language in Language if language not in own.languages]
    if missing:
        yield f"{own.key} has no words for {missing[0]}: dialogues in it are not asked about"
    for language, rubric in own.languages.items():
        yield from _of_rubric(rubric, f"[{language.value}] {own.key}")


def _of_language(language: Language, wording: Wording) -> Iterator[str]:
    where = f"[{language.value}]"
    names = Counter(rubric.name for rubric in wording.rubrics.values())
    yield from (f"{where} {n} dimensions are called {name!r} in the question" for name, n in names.items() if n > 1)
    if wording.seeker_label == wording.supporter_label:
        yield f"{where} seeker and supporter have the same label in the transcript"
    for dimension, rubric in wording.rubrics.items():
        yield from _of_rubric(rubric, f"{where} rubric {dimension.value}")


def _of_rubric(rubric: Rubric, at: str) -> Iterator[str]:
    if rubric.levels is None:
        yield f"{at} has no levels, so its definition must anchor the labels 0 to 4"
    elif len(set(rubric.levels)) < len(rubric.levels):
        yield f"{at} has the same words for two labels"
    if len(rubric.text) > LONG_RUBRIC:
        yield f"{at} has {len(rubric.text)} characters"
