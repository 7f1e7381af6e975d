"""Who is better: a run's cells for a choice of cards, as every front end's leaderboard shows them."""

from __future__ import annotations

import msgspec

from escl.core.card import Category
from escl.core.dimension import Language
from escl.evaluation.results import OwnScores, chosen_judging, model_notices, own_scores_of, scored_of
from escl.stats.summary import Cell, summarize
from escl.store.database import Database
from escl.store.run import RunStore


class Leaderboard(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of one choice of cards.

    Attributes:
        scorer: Whose readings these are; None when nothing was scored.
        languages: Those of the run's dialogues.
        has_crisis: Whether the run has crisis cards.
        cells: A cell for each supporter, language and dimension; crisis cards apart.
        own: The user's own dimensions.
        notices: What the models must have said of them, as that they are toys.
    """

    scorer: str | None
    languages: list[Language]
    categories: list[Category]
    has_crisis: bool
    cells: list[Cell]
    own: list[OwnScores] = []
    notices: list[str] = []


class Leaderboards:
    """The leaderboards of one open run; what was worked out is kept until somebody writes to the run's file."""

    def __init__(self) -> None:
        self._known: dict[Category | None, Leaderboard] = {}
        self._version: tuple[Database, int] | None = None

    def of(self, database: Database, *, category: Category | None = None) -> Leaderboard:
        """Return the leaderboard of the run in `database`, as `leaderboard_of` does."""
        # Asked for before the rows are: who writes meanwhile makes what was read old.
        version = (database, database.version())
        if version != self._version:
            self._known, self._version = {}, version
        if category not in self._known:
            self._known[category] = leaderboard_of(RunStore.read(database), category=category)
        return self._known[category]


def leaderboard_of(store: RunStore, *, category: Category | None = None) -> Leaderboard:
    """Return the scores of a run as the judging asked for last read it, over the cards of one category or of all."""
    judging_id, scorer = chosen_judging(store, None)
    cards = store.cards()
    scored = [] if judging_id is None else scored_of(store, judging_id)
    spoken = {one.language for one in (scored if judging_id is not None else store.dialogues())}
    chosen = None if category is None else {card.id for card in cards.values() if card.category is category}
    if chosen is not None:
        scored = [one for one in scored if one.cluster in chosen]
    own = own_scores_of(store, cards=chosen)
    return Leaderboard(
        scorer=scorer,
        languages=[one for one in Language if one in spoken],
        categories=[one for one in Category if any(card.category is one for card in cards.values())],
        has_crisis=any(card.crisis is not None for card in cards.values()),
        cells=summarize(scored),
        own=own,
        notices=model_notices(store, scorer, own),
    )
