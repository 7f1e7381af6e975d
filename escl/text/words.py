"""Cuts text of either language into units that can be counted and compared.

A unit is a word, lower-cased, or one Han character: Chinese is compared by characters, because no word list is carried.
Every reader of untrusted text here goes through `plain` first, which bounds it and takes out what no reader sees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

from escl.core.dimension import Language

MAX_CHARS: Final = 20_000
"""How much of one text is looked at. Ten times the longest turn that 512 tokens make."""

_REMEMBERED: Final = 32
"""Texts whose units are kept: the turns of a dialogue, which several checks read one after the other."""

_HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# No alternative can begin where another one goes on, so that matching takes one pass whatever the text.
_UNIT: Final = re.compile(f"[{_HAN}]|[^\\W_{_HAN}]+(?:['’][^\\W_{_HAN}]+)*")
_HAN_CHAR: Final = re.compile(f"[{_HAN}]")
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SENTENCE_END: Final = re.compile(r"[.!?。！？；;\n]+")


@lru_cache(maxsize=_REMEMBERED)
def plain(text: str) -> str:
    """Return the first `MAX_CHARS` characters, compatibility forms folded and invisible characters gone.

    So a word that hides a zero-width space, or is written in full-width letters, is the word again.
    """
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text[:MAX_CHARS]))
    return folded[:MAX_CHARS].replace("’", "'")


def units(text: str) -> list[str]:
    """Return the units of `text` in order: words in lower case, Han characters one by one."""
    return list(_units(text))


@lru_cache(maxsize=_REMEMBERED)
def _units(text: str) -> tuple[str, ...]:
    return tuple(_UNIT.findall(plain(text).lower()))


def sentences(text: str) -> list[str]:
    """Return the sentences of `text` in lower case, without their end marks."""
    return [part for piece in _SENTENCE_END.split(plain(text).lower()) if (part := piece.strip())]


def ngrams(items: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """Yield every run of `n` neighbours; nothing when there are fewer than `n` items."""
    return zip(*(islice(items, start, None) for start in range(n)), strict=False)


def han_share(text: str) -> float | None:
    """Return the share of Han characters among the units of `text` (0-1); None when it has no unit."""
    found = units(text)
    return sum(_HAN_CHAR.match(unit) is not None for unit in found) / len(found) if found else None


def run_length(language: Language, *, words: int, characters: int) -> int:
    """Return how many units make a run in `language`: so many words, or so many Han characters."""
    return words if language is Language.ENGLISH else characters
