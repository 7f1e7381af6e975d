"""How many cards a comparison needs: planned from a pilot run's spread, or from stated assumptions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from escl.core.dimension import LABEL_TO_PERCENT, Dimension, Language
from escl.evaluation.compare import Pairing
from escl.evaluation.sides import AVERAGE, Side, values_by_card
from escl.stats.paired import standard_deviation
from escl.stats.power import cards_for, detectable, paired_deviation


class PowerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension's plan, in labels (0-4).

    Attributes:
        dimension: Its key or "average"; None where one assumption stands for all.
        language: None for both together, or for any.
        deviation: Standard deviation of the paired differences over cards; None where the pilot does not say.
        detectable: The difference found with the wanted probability, by number of cards.
        cards_needed: The number of cards for it, by difference; None where it is beyond any advice.
    """

    dimension: str | None
    language: Language | None
    deviation: float | None
    detectable: dict[int, float | None]
    cards_needed: dict[float, int | None]

    @property
    def shown(self) -> str:
        """The dimension's name for people."""
        if self.dimension is None:
            return "Assumed"
        return "Average" if self.dimension == AVERAGE else Dimension(self.dimension).shown


class PowerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan of how many cards to use.

    Attributes:
        basis: Where the spread comes from, in words.
        power: With what probability a difference is to be found.
    """

    basis: str
    power: float
    lines: list[PowerLine]


def plan_from_pairing(found: Pairing, *, cards: Sequence[int], differences: Sequence[float], power: float) -> PowerPlan:
    """Return the plan from the spread of the differences of two supporters, quality cards only."""
    lines = [
        _line(
            row.comparison.deviation, row.dimension, group.language, cards=cards, differences=differences, power=power
        )
        for group in found.groups
        if not group.crisis
        for row in group.rows
    ]
    basis = f"the differences of {found.supporter.supporter} and {found.against.supporter} in the pilot run"
    return PowerPlan(basis=basis, power=power, lines=lines)


def plan_from_one(
    side: Side, *, correlation: float, cards: Sequence[int], differences: Sequence[float], power: float
) -> PowerPlan:
    """Return the plan from the spread of one supporter's scores, and an assumed correlation with another's."""
    languages = [language for language in Language if any(item.language is language for item in side.scored)]
    lines = [
        _line(
            _spread_over_cards(side, dimension, language, correlation=correlation),
            dimension,
            language,
            cards=cards,
            differences=differences,
            power=power,
        )
        for language in languages
        for dimension in (*(one.value for one in Dimension), AVERAGE)
    ]
    basis = f"the scores of {side.supporter} in the pilot run, an assumed correlation of {correlation:g} with another"
    return PowerPlan(basis=basis, power=power, lines=lines)


def plan_from_assumptions(
    *, deviation: float, correlation: float, cards: Sequence[int], differences: Sequence[float], power: float
) -> PowerPlan:
    """Return the plan from an assumed standard deviation (labels) of each supporter and their correlation."""
    spread = paired_deviation(deviation, correlation) * LABEL_TO_PERCENT
    line = _line(spread, None, None, cards=cards, differences=differences, power=power)
    basis = f"assumptions, not data: SD {deviation:g} of a supporter's labels, correlation {correlation:g} of two"
    return PowerPlan(basis=basis, power=power, lines=[line])


def _spread_over_cards(side: Side, dimension: str, language: Language, *, correlation: float) -> float | None:
    """Return what the paired differences would spread, in points, if another supporter spread as this one does."""
    by_card = values_by_card(side.scored, dimension, language, crisis=False)
    means = [sum(values) / len(values) for values in by_card.values() if values]
    deviation = standard_deviation(means)
    return None if deviation is None else paired_deviation(deviation, correlation)


def _line(
    deviation: float | None,
    dimension: str | None,
    language: Language | None,
    *,
    cards: Sequence[int],
    differences: Sequence[float],
    power: float,
) -> PowerLine:
    spread = None if deviation is None else deviation / LABEL_TO_PERCENT
    return PowerLine(
        dimension=dimension,
        language=language,
        deviation=spread,
        detectable={n: None if spread is None else detectable(n, spread, power=power) for n in cards},
        cards_needed={
            wanted: None if spread is None else cards_for(wanted, spread, power=power) for wanted in differences
        },
    )
