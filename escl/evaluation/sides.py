"""The supporters of a run as they are compared: each with everything that was read of it, and its values by card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from escl.core.card import RoleCard
from escl.core.dimension import LABEL_TO_PERCENT, Language
from escl.core.own_dimension import OwnDimension
from escl.errors import UsageError
from escl.evaluation.comparability import comparability
from escl.evaluation.results import Adjust, chosen_judging, own_scored_of, scored_of
from escl.stats.summary import Scored, ScoredDialogue, averages
from escl.store.run import RunStore

AVERAGE = "average"
"""The mean of the seven dimensions of a dialogue, as the Avg column of the published leaderboard."""

_One = TypeVar("_One", bound=ScoredDialogue)


class SideName(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two supporters and the run that it is in."""

    run: str
    supporter: str
    scorer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAsked:
    """One of the user's own dimensions as it was read of one supporter."""

    dimension: OwnDimension
    scorer_sha256: str
    scored: Sequence[ScoredDialogue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A supporter of a run with everything that was read of it."""

    path: Path
    store: RunStore
    supporter: str
    scorer: str
    key: dict[str, str]
    scored: Sequence[Scored]
    cards: dict[str, RoleCard]
    own: Sequence[OwnAsked] = ()

    @property
    def name(self) -> SideName:
        """The side as results name it."""
        return SideName(run=str(self.path), supporter=self.supporter, scorer=self.scorer)


def sides_of(path: Path, store: RunStore, *, judging_id: int | None = None, adjust: Adjust | None = None) -> list[Side]:
    """Return a side for each supporter of the run in `path`, in the run's order.

    Raises:
        UsageError: Nothing in it was scored.
    """
    judging_id, scorer = chosen_judging(store, judging_id)
    if judging_id is None or scorer is None:
        raise UsageError(
            f"{path}: nothing was scored",
            hint="the command that made it scores its dialogues once they are spoken, unless it says --no-score",
        )
    by_supporter: dict[str, list[Scored]] = {}
    for item in (adjust or list)(scored_of(store, judging_id)):
        by_supporter.setdefault(item.supporter, []).append(item)
    key, cards = comparability(store, judging_id), store.cards()
    own = [
        (dimension, store.judging_settings(number).sha256, own_scored_of(store, number, dimension))
        for number, dimension in store.own_judgings()
    ]
    return [
        Side(
            path=path,
            store=store,
            supporter=name,
            scorer=scorer,
            key=key,
            scored=items,
            cards=cards,
            own=[
                OwnAsked(dimension=each, scorer_sha256=sha256, scored=[one for one in said if one.supporter == name])
                for each, sha256, said in own
            ],
        )
        for name, items in by_supporter.items()
    ]


def values_by_card(
    scored: Iterable[Scored], dimension: str, language: Language, *, crisis: bool
) -> dict[str, list[float]]:
    """Return the values (0-100) in a dimension or `AVERAGE` by card; a card without any keeps an empty list."""
    chosen = chosen_of(scored, language, crisis=crisis)
    if dimension != AVERAGE:
        return by_card(item for item in chosen if item.dimension == dimension)
    return _in_points((card, value) for (card, _), value in averages(chosen).items())


def chosen_of(scored: Iterable[_One], language: Language, *, crisis: bool) -> list[_One]:
    """Return what was read on the cards of one language, crisis cards apart."""
    return [item for item in scored if item.crisis is crisis and item.language is language]


def by_card(scored: Iterable[ScoredDialogue]) -> dict[str, list[float]]:
    """Return the values (0-100) of what was read by card; a card without any keeps an empty list."""
    return _in_points((item.cluster, item.expected) for item in scored)


def _in_points(found: Iterable[tuple[str, float | None]]) -> dict[str, list[float]]:
    by_card: dict[str, list[float]] = {}
    for card, value in found:
        values = by_card.setdefault(card, [])
        if value is not None:
            values.append(value * LABEL_TO_PERCENT)
    return by_card
