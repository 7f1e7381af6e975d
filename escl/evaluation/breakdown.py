"""A run's scores by what its cards are about and where they come from.

Owns how dialogues are divided. The means are those of `escl.stats`; a slice is a description, not a test.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from escl.core.dimension import Dimension, Language
from escl.core.division import Division, part_of
from escl.evaluation.results import Adjust, chosen_judging, scored_of
from escl.stats.cluster import ClusteredMean
from escl.stats.summary import Scored, average_score, summarize
from escl.store.run import RunStore


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """One supporter on one part of the cards.

    Attributes:
        value: What these cards have in common; None for all cards.
        n_cards: Cards asked for.
        scores: Expected label on the 0-100 scale, by dimension.
        average: The mean of the seven dimensions; dialogues that lack one are not in it.
    """

    supporter: str
    language: Language
    crisis: bool
    value: str | None
    n_cards: int
    scores: dict[Dimension, ClusteredMean]
    average: ClusteredMean


def slices_of(
    store: RunStore, division: Division, *, judging_id: int | None = None, adjust: Adjust | None = None
) -> list[Slice]:
    """Return a slice for all cards and for each part of them, by language and supporter, crisis cards apart.

    Raises:
        StorageError: The run has no judging of that id.
    """
    judging_id, _ = chosen_judging(store, judging_id)
    if judging_id is None:
        return []
    cards = store.cards()
    groups: dict[tuple[bool, Language, str], list[Scored]] = {}
    for item in (adjust or list)(scored_of(store, judging_id)):
        groups.setdefault((item.crisis, item.language, item.supporter), []).append(item)
    found = []
    for key in sorted(groups, key=lambda key: (key[0], list(Language).index(key[1]))):
        items = groups[key]
        parts: dict[str, list[Scored]] = {}
        for item in items:
            card = cards.get(item.cluster)
            value = "unknown" if card is None else part_of(card, division)
            parts.setdefault(value, []).append(item)
        found += [_slice(items, None), *(_slice(parts[value], value) for value in sorted(parts))]
    return found


def _slice(items: Sequence[Scored], value: str | None) -> Slice:
    first = items[0]
    return Slice(
        supporter=first.supporter,
        language=first.language,
        crisis=first.crisis,
        value=value,
        n_cards=len({item.cluster for item in items}),
        scores={cell.dimension: cell.score for cell in summarize(items)},
        average=average_score(items),
    )
