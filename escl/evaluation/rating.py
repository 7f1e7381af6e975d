"""What a rater is asked, in which order: dialogues without a word of whose they are.

The order is drawn from the rater's name, so that no two raters begin with the same and a rater goes on where they were.
Only what dialogues are called is held; their words are read one by one.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from escl.core.dialogue import Turn
from escl.core.dimension import Dimension, Language
from escl.core.own_dimension import OwnDimension
from escl.core.strict import nearest
from escl.core.wording import Rubric
from escl.errors import UsageError
from escl.evaluation.dialogue_names import dialogue_code
from escl.store.run import RunStore

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrated:
    """A complete dialogue that can be shown to a rater.

    Attributes:
        code: What it is called in the file.
        run: Which of the runs it is from.
        dialogue_id: Its row there.
    """

    code: str
    card: str
    language: Language
    run: int
    dialogue_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDialogue:
    """A dialogue as a rater sees it.

    Attributes:
        rubrics: Of the run's protocol, in the dialogue's language.
        own: Of the user's own dimensions that the run was read in, by their keys.
    """

    turns: Sequence[Turn]
    rubrics: dict[Dimension, Rubric]
    own: dict[str, Rubric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two dialogues on one card, in the order in which they are shown."""

    first: Unrated
    second: Unrated


def dialogues_to_rate(runs: Sequence[RunStore], *, rater: str, limit: int | None = None) -> list[Unrated]:
    """Return the complete dialogues of some runs in the rater's order, the first `limit` of them.

    Raises:
        UsageError: No dialogue is complete.
    """
    found = {one.code: one for _, one in _complete(runs)}
    ordered = sorted(found.values(), key=lambda one: _drawn(rater, one.code))
    return _some(ordered, limit, "dialogue is complete")


def pairs_to_judge(runs: Sequence[RunStore], *, rater: str, limit: int | None = None) -> list[Pair]:
    """Return every pair of dialogues of two supporters on one card and repeat, in the rater's order.

    Which of the two comes first is drawn too.

    Raises:
        UsageError: No card has two.
    """
    by_card: dict[tuple[str, int], dict[str, Unrated]] = {}
    for (card, repeat, supporter), one in _complete(runs):
        by_card.setdefault((card, repeat), {})[supporter] = one
    pairs = [
        _in_drawn_order(rater, one, other)
        for of_card in by_card.values()
        for one, other in itertools.combinations(of_card.values(), 2)
    ]
    ordered = sorted(pairs, key=lambda pair: _drawn(rater, *sorted((pair.first.code, pair.second.code))))
    return _some(ordered, limit, "card has complete dialogues of two supporters")


def shown(runs: Sequence[RunStore], one: Unrated) -> ShownDialogue:
    """Return the words of a dialogue, and by what it is rated."""
    run = runs[one.run]
    own = [dimension for _, dimension in run.own_judgings() if one.language in dimension.languages]
    return ShownDialogue(
        turns=run.turns(one.dialogue_id),
        rubrics=run.protocol.wording(one.language).rubrics,
        own={dimension.key: dimension.languages[one.language] for dimension in own},
    )


def own_dimensions(runs: Sequence[RunStore], keys: Sequence[str]) -> list[OwnDimension]:
    """Return the user's own dimensions of these keys, which all of some runs were read in.

    Raises:
        UsageError: A run was not read in one, or in other words than another run.
    """
    found: list[OwnDimension] = []
    for key in keys:
        known = [{own.key: own for _, own in run.own_judgings()} for run in runs]
        if not all(key in each for each in known):
            named = [*Dimension, *dict.fromkeys(name for each in known for name in each)]
            hint = f"there are {', '.join(named)}; `escl score RUN --rubrics FILE` reads a run in one of your own"
            raise UsageError(f"no dimension {key} in all of these runs{nearest(key, named)}", hint=hint)
        if any(each[key] != known[0][key] for each in known):
            raise UsageError(f"the runs were read in {key} with other words", hint="rate them one by one")
        found.append(known[0][key])
    return found


def _complete(runs: Sequence[RunStore]) -> Iterator[tuple[tuple[str, int, str], Unrated]]:
    for number, run in enumerate(runs):
        for row in run.dialogues():
            if row.state == "complete":
                code = dialogue_code(row, run.turns(row.id))
                one = Unrated(code=code, card=row.card_id, language=row.language, run=number, dialogue_id=row.id)
                yield (row.card_id, row.repeat, row.supporter), one


def _in_drawn_order(rater: str, one: Unrated, other: Unrated) -> Pair:
    first, second = sorted((one, other), key=lambda each: _drawn(rater, each.card, each.code))
    return Pair(first=first, second=second)


def _drawn(*words: str) -> bytes:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest()


def _some(items: list[_Item], limit: int | None, wanted: str) -> list[_Item]:
    if not items:
        raise UsageError(f"no {wanted} in these runs", hint="`escl run` with the same settings finishes a run")
    return items[:limit]
