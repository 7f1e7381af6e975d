"""What a rater is asked, in which order: dialogues without a word of whose they are.

The order is drawn from the rater's name, so that no two raters begin with the same and a rater goes on where they were.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from escl.core.dialogue import Turn
from escl.core.dimension import Dimension, Language
from escl.core.wording import Rubric
from escl.errors import UsageError
from escl.evaluation.dialogue_names import dialogue_code
from escl.store.database import Database
from escl.store.run import RunStore

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDialogue:
    """A dialogue as a rater sees it.

    Attributes:
        code: What it is called in the file.
        rubrics: Of the run's protocol, in the dialogue's language.
    """

    code: str
    card: str
    language: Language
    turns: Sequence[Turn]
    rubrics: dict[Dimension, Rubric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two dialogues on one card, in the order in which they are shown."""

    first: ShownDialogue
    second: ShownDialogue


def dialogues_to_rate(paths: Sequence[Path], *, rater: str, limit: int | None = None) -> list[ShownDialogue]:
    """Return the complete dialogues of some runs in the rater's order, the first `limit` of them.

    Raises:
        StorageError: A file is no run.
        UsageError: No dialogue is complete.
    """
    found = {shown.code: shown for _, shown in _complete(paths)}
    ordered = sorted(found.values(), key=lambda shown: _drawn(rater, shown.code))
    return _some(ordered, limit, "dialogue is complete")


def pairs_to_judge(paths: Sequence[Path], *, rater: str, limit: int | None = None) -> list[Pair]:
    """Return every pair of dialogues of two supporters on one card and repeat, in the rater's order.

    Which of the two comes first is drawn too.

    Raises:
        StorageError: A file is no run.
        UsageError: No card has two.
    """
    by_card: dict[tuple[str, int], dict[str, ShownDialogue]] = {}
    for (card, repeat, supporter), shown in _complete(paths):
        by_card.setdefault((card, repeat), {})[supporter] = shown
    pairs = [
        _in_drawn_order(rater, one, other)
        for of_card in by_card.values()
        for one, other in itertools.combinations(of_card.values(), 2)
    ]
    ordered = sorted(pairs, key=lambda pair: _drawn(rater, *sorted((pair.first.code, pair.second.code))))
    return _some(ordered, limit, "card has complete dialogues of two supporters")


def _complete(paths: Iterable[Path]) -> Iterator[tuple[tuple[str, int, str], ShownDialogue]]:
    for path in paths:
        with Database.reader(path) as database:
            store = RunStore.read(database)
            protocol = store.protocol
            for row in store.dialogues():
                if row.state == "complete":
                    turns = store.turns(row.id)
                    shown = ShownDialogue(
                        code=dialogue_code(row, turns),
                        card=row.card_id,
                        language=row.language,
                        turns=turns,
                        rubrics=protocol.wording(row.language).rubrics,
                    )
                    yield (row.card_id, row.repeat, row.supporter), shown


def _in_drawn_order(rater: str, one: ShownDialogue, other: ShownDialogue) -> Pair:
    first, second = sorted((one, other), key=lambda shown: _drawn(rater, shown.card, shown.code))
    return Pair(first=first, second=second)


def _drawn(*words: str) -> bytes:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest()


def _some(items: list[_Item], limit: int | None, wanted: str) -> list[_Item]:
    if not items:
        raise UsageError(f"no {wanted} in these runs", hint="`escl run` with the same settings finishes a run")
    return items[:limit]
