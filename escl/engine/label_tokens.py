"""Where a reply names a label, and how probable each label was there.

Knows the vocabulary and rows of logits; nothing of contexts, batches or requests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from escl.core.dimension import LABELS
from escl.engine.vocabulary import Vocabulary

_ENDS_IN_NUMBER: Final = re.compile(rb"\d\.?\Z")
_GOES_ON_AS_NUMBER: Final = re.compile(rb"\.?\d")

Row = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Odds:
    """The distribution where a reply names a label."""

    label: int
    probabilities: list[float]
    off_label_mass: float


class LabelTokens:
    """Which tokens are a single label digit, by the white space in front of it."""

    def __init__(self, vocabulary: Vocabulary, n_vocab: int) -> None:
        """Look every token of the vocabulary over once."""
        self._label: dict[int, tuple[int, bytes]] = {}
        self._ids: dict[bytes, dict[int, list[int]]] = {}
        digits = {str(label).encode(): label for label in LABELS}
        for token in range(n_vocab):
            text = vocabulary.piece(token)
            label = digits.get(text.strip())
            if label is not None:
                space = text[: len(text) - len(text.lstrip())]
                self._label[token] = label, space
                self._ids.setdefault(space, {}).setdefault(label, []).append(token)

    def odds(self, row: Row, token: int) -> Odds | None:
        """Return the distribution over the labels in a row of logits where `token` was chosen; None unless a label."""
        if token not in self._label:
            return None
        label, space = self._label[token]
        weights = np.exp(row.astype(np.float64) - float(row[token]))
        total = float(weights.sum())
        ids = self._ids[space]
        probabilities = [float(weights[ids.get(each, [])].sum()) / total for each in LABELS]
        return Odds(label, probabilities, max(0.0, 1.0 - sum(probabilities)))


def find_label(pieces: Sequence[bytes], candidates: Sequence[int]) -> int | None:
    """Return the first of `candidates` (indexes of single-digit pieces) that is no part of a longer number, or None."""
    text = b"".join(pieces)
    for index in candidates:
        start = sum(map(len, pieces[:index]))
        digit = start + len(pieces[index]) - len(pieces[index].lstrip())
        before, after = text[:digit], text[digit + 1 :]
        if not _ENDS_IN_NUMBER.search(before) and not _GOES_ON_AS_NUMBER.match(after):
            return index
    return None
