"""When a run ends, and what is said then: the quick look, and the run that stops when it is sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from escl.cli.output import progress_console
from escl.core.card import RoleCard
from escl.core.card_choice import CardChoice, drawn
from escl.core.dimension import LABEL_TO_PERCENT
from escl.core.printable import printable

if TYPE_CHECKING:
    from escl.evaluation.until_sure import Look
    from escl.store.run import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """When a run ends.

    Attributes:
        margin: In labels; set when the run ends as soon as it is sure. None plays all cards.
        sample: What the sample of cards is called, where one is played and its sight is said.
    """

    margin: float | None = None
    sample: str | None = None


PLAYS_ALL: Final = Ending()


def sampled(cards: Sequence[RoleCard], choice: CardChoice, *, name: str) -> list[RoleCard]:
    """Return the cards of a sample, and say what so many can see."""
    from escl.stats.power import ASSUMED_CORRELATION, ASSUMED_DEVIATION, assumed_sight

    chosen = drawn(cards, choice)
    seen = assumed_sight(len(chosen))
    can = ""
    if seen is not None:
        can = (
            f"; they show a difference of {seen:.1f} labels ({seen * LABEL_TO_PERCENT:.0f} points) or more, if labels"
            f" have SD {ASSUMED_DEVIATION:g} and two supporters correlate {ASSUMED_CORRELATION:g}"
        )
    _say(f"{name}: {len(chosen)} of {len(cards)} cards, spread over languages, categories and sources{can}")
    return chosen


def looked(store: RunStore, path: Path, *, margin: float) -> Look:
    """Return what has been seen so far of a run with two supporters, and say it."""
    from escl.evaluation.sides import sides_of
    from escl.evaluation.until_sure import look

    first, second = sides_of(path, store)
    found = look(second, first, margin=margin)
    _say(found.words)
    return found


def say_ending(ending: Ending, looks: Sequence[Look], store: RunStore, path: Path) -> None:
    """Say at the end what the last look saw, or what a quick look could have seen."""
    if looks:
        _say(looks[-1].words, style="bold")
    if ending.sample is not None:
        for line in _sight(store, path, name=ending.sample):
            _say(line)


def _sight(store: RunStore, path: Path, *, name: str) -> Iterator[str]:
    """Yield what difference of the averages this run could have seen, by the spread that it found."""
    from escl.evaluation.compare import pairing
    from escl.evaluation.sides import AVERAGE, sides_of

    if not store.judgings():
        return
    first, *others = sides_of(path, store)
    for other in others:
        # Both languages together come last.
        *_, group = (group for group in pairing(other, first, margin=1).groups)
        for row in group.rows:
            if row.dimension == AVERAGE and (seen := row.comparison.detectable) is not None:
                yield (
                    f"{name}: {row.comparison.n_cards} cards show a difference of {seen / LABEL_TO_PERCENT:.2f} labels"
                    f" ({seen:.1f} points) between the averages of {other.supporter} and {first.supporter};"
                    " `escl compare` has the verdicts"
                )


def _say(line: str, *, style: str = "") -> None:
    progress_console().print(printable(line), markup=False, soft_wrap=True, style=style)
