"""A comparison that ends as soon as it is sure: some cards, scores, a look, some more cards.

Owns the order of cards and looks and what counts as sure. The interval that may be looked at so often is in
`escl.stats.sequence`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from escl.core.card import RoleCard
from escl.core.draw import drawn_order
from escl.evaluation.compare import anytime_average
from escl.evaluation.engines import Engines
from escl.evaluation.observer import RunObserver
from escl.evaluation.run import Simulation, run_scoring, run_simulation
from escl.evaluation.sides import Side
from escl.shelf.manifest import Model
from escl.stats.sequence import AnytimeInterval
from escl.store.run import RunStore

LOOK_EVERY: Final = 10
"""Cards between two looks. Looking more often costs no certainty, but where models take turns in memory, loads."""

Sure = Literal["better", "worse", "equivalent"]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of two supporters at one look.

    Attributes:
        supporter: Whom the verdict is about: the second one.
        against: The first one.
        interval: Of the mean difference of the two averages over the dimensions, in labels (-4 to 4).
        margin: Labels that count as no difference.
        sure: The verdict; None while it is open.
        n_cards: Cards of the run in all.
    """

    supporter: str
    against: str
    interval: AnytimeInterval
    margin: float
    sure: Sure | None
    n_cards: int

    @property
    def words(self) -> str:
        """The look in a sentence."""
        found = self.interval
        so_far = f"after {found.n} of {self.n_cards} cards"
        if found.mean is None:
            return f"{so_far} nothing is known"
        between = f"{found.mean:+.2f} labels, 95 % anytime interval {found.low:+.2f} to {found.high:+.2f}"
        verdict = {"better": "better than", "worse": "worse than", "equivalent": "as good as"}
        if self.sure is None:
            return f"{so_far} not sure whether {self.supporter} differs from {self.against}: {between}"
        return f"sure {so_far}: {self.supporter} is {verdict[self.sure]} {self.against}: {between}"


def look(side: Side, against: Side, *, margin: float) -> Look:
    """Return what has been seen so far of `side` against `against`; within ±`margin` labels they count as equal."""
    found = anytime_average(side, against)
    return Look(
        supporter=side.supporter,
        against=against.supporter,
        interval=found,
        margin=margin,
        sure=_sure(found, margin),
        n_cards=len(side.cards),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run works with.

    Attributes:
        scorer: None simulates only.
    """

    simulation: Simulation
    scorer: Model | None
    store: RunStore
    engines: Engines
    observer: RunObserver
    stop: asyncio.Event

    async def play(self, cards: Sequence[RoleCard]) -> None:
        """Simulate and score what is still to be done on these cards, until the stop."""
        await run_simulation(
            self.simulation, self.store, engines=self.engines, observer=self.observer, stop=self.stop, cards=cards
        )
        if self.scorer is not None and not self.stop.is_set():
            await run_scoring(
                self.scorer,
                self.store,
                engines=self.engines,
                observer=self.observer,
                stop=self.stop,
                own=self.simulation.own,
            )


async def until_sure(
    cards: Iterable[RoleCard],
    *,
    play: Callable[[Sequence[RoleCard]], Awaitable[None]],
    looked: Callable[[], Look],
    stop: asyncio.Event,
) -> list[Look]:
    """Play cards some at a time until a look is sure, no card is left, or the stop; return the looks.

    Args:
        cards: All of them.
        play: Does what is still to be done on the cards given, those of earlier calls among them.
        looked: Looks at what has been played.
        stop: Once set, no more cards are played.
    """
    order = drawn_order(cards)
    looks: list[Look] = []
    for end in range(LOOK_EVERY, len(order) + LOOK_EVERY, LOOK_EVERY):
        await play(order[:end])
        if stop.is_set():
            break
        looks.append(looked())
        if looks[-1].sure is not None:
            break
    return looks


def _sure(found: AnytimeInterval, margin: float) -> Sure | None:
    if found.low > 0:
        return "better"
    if found.high < 0:
        return "worse"
    return "equivalent" if -margin <= found.low and found.high <= margin else None
