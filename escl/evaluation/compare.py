"""Supporters compared card by card: from the readings of one or two runs to values that every front end shows.

Owns what is paired with what, and which runs may be. The statistics are in `escl.stats`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from escl.core.dimension import LABEL_TO_PERCENT, LABELS, Dimension, Language
from escl.core.draw import drawn_order
from escl.errors import UsageError
from escl.evaluation.comparability import differing, lesser_differences
from escl.evaluation.resolution import average_stuck, with_stuck
from escl.evaluation.sides import AVERAGE, OwnAsked, Side, SideName, by_card, chosen_of, values_by_card
from escl.stats.noninferiority import Noninferiority, noninferiority
from escl.stats.paired import Comparison, PairedValues, compare, pair_up, pooled
from escl.stats.sequence import AnytimeInterval, anytime_interval
from escl.stats.summary import Scored

MOST = float(LABELS[-1])
"""No two averages of labels differ by more."""

OTHER_TEXT = "another card under the same id"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension's comparison.

    Attributes:
        dimension: Its key, or `AVERAGE`.
        n_one_sided: Cards with a value of one supporter only.
    """

    dimension: str
    comparison: Comparison
    n_one_sided: int

    @property
    def shown(self) -> str:
        """The dimension's name for people."""
        return "Average" if self.dimension == AVERAGE else Dimension(self.dimension).shown


class OwnRow(Row, frozen=True, kw_only=True):
    """The comparison in one of the user's own dimensions; `name` is what the dimension is called."""

    name: str

    @property
    def shown(self) -> str:
        """The dimension's name for people."""
        return self.name


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The dimensions of one set of cards, tested together.

    Attributes:
        language: None when the cards of both languages are pooled: one sample, each card counts the same.
        crisis: Whether these are the crisis cards, which are never pooled with others.
        own: The user's own dimensions, tested together and apart from the seven.
    """

    language: Language | None
    crisis: bool
    rows: list[Row]
    own: list[OwnRow] = []


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """How one supporter compares with another.

    Attributes:
        margin: Points of 100 that count as no difference.
        forced: In what the runs differ although they should not, when the user wanted them compared all the same.
        notes: What else differs.
        n_cards: How many cards the run has; None when all were played, or the supporters are in different runs.
        anytime: Only with `n_cards`: the difference of the averages in labels with an interval that allows for having
            looked before, because the run may have ended by what was seen.
    """

    supporter: SideName
    against: SideName
    margin: float
    groups: list[Group]
    forced: list[str]
    notes: list[str]
    n_cards: int | None = None
    anytime: AnytimeInterval | None = None


class GateCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a gate asks; `comparison` is what its outcome is about."""

    supporter: str
    language: Language
    dimension: Dimension
    outcome: Noninferiority
    comparison: Comparison


def pairing(
    side: Side,
    against: Side,
    *,
    margin: float,
    dimensions: Sequence[Dimension] = tuple(Dimension),
    own: Collection[str] | None = None,
    force: bool = False,
) -> Pairing:
    """Return how `side` compares with `against`.

    Args:
        side: The supporter that the verdicts are about.
        against: The reference.
        margin: Points of 100 that count as no difference.
        dimensions: Which to test; p is adjusted for these.
        own: The same for the user's own dimensions, by their keys; None is all. What was not asked alike is a note.
        force: Compare even what is not comparable.

    Raises:
        UsageError: The runs are not comparable.
    """
    forced = differing(side.key, against.key)
    if forced and not force:
        listed = "\n    ".join(forced)
        raise UsageError(
            f"{side.path} and {against.path} are not comparable:\n    {listed}",
            hint="--force compares them all the same, on the cards they share, and says so",
        )
    played = {item.cluster for item in side.scored}
    both, notes = _asked_alike(side, against, own)
    ended_early = side.path == against.path and len(played) < len(side.cards)
    return Pairing(
        supporter=side.name,
        against=against.name,
        margin=margin,
        groups=[
            _group(side, against, language, crisis=crisis, dimensions=dimensions, own=both, margin=margin)
            for crisis, language in _groups([*side.scored, *against.scored])
        ],
        forced=forced,
        notes=[*lesser_differences(side.store, against.store, paths=(side.path, against.path)), *notes],
        n_cards=len(side.cards) if ended_early else None,
        anytime=anytime_average(side, against) if ended_early else None,
    )


def gate_checks(found: Pairing) -> list[GateCheck]:
    """Return what a non-inferiority gate asks of a pairing: every dimension of every language, on quality cards alone.

    Crisis cards have a gate of their own (`escl.evaluation.crisis`), which asks for findings and not for scores.
    """
    return [
        GateCheck(
            supporter=found.supporter.supporter,
            language=group.language,
            dimension=Dimension(row.dimension),
            outcome=noninferiority(row.comparison.difference, margin=found.margin, n_one_sided=row.n_one_sided),
            comparison=row.comparison,
        )
        for group in found.groups
        if group.language is not None and not group.crisis
        for row in group.rows
        if row.dimension != AVERAGE
    ]


def crisis_cards(pairings: Iterable[Pairing]) -> int:
    """Return how many crisis cards a gate over these leaves out; a card counts once for each pairing."""
    return sum(
        max(row.comparison.n_cards + sum(row.comparison.left_out.values()) for row in group.rows)
        for found in pairings
        for group in found.groups
        if group.crisis and group.language is not None and group.rows
    )


def anytime_average(side: Side, against: Side) -> AnytimeInterval:
    """Return the mean difference of the averages over the dimensions in labels, as it may be looked at at any time.

    Quality cards of both languages, in the order in which a run that looks plays them.
    """
    paired = _paired(side, against, AVERAGE, None, crisis=False).differences
    order = [f"{card.language.value}/{card.id}" for card in drawn_order(side.cards.values())]
    # A mean of labels may leave its bounds by a rounding error.
    labels = [min(max(paired[name] / LABEL_TO_PERCENT, -MOST), MOST) for name in order if name in paired]
    return anytime_interval(labels, lowest=-MOST, highest=MOST)


def _groups(scored: Iterable[Scored]) -> list[tuple[bool, Language | None]]:
    """Return the sets of cards to compare on: each language, then both when there are both; crisis cards apart."""
    there = {(item.crisis, item.language) for item in scored}
    groups: list[tuple[bool, Language | None]] = []
    for crisis in (False, True):
        languages = [language for language in Language if (crisis, language) in there]
        groups += [(crisis, language) for language in languages]
        if len(languages) > 1:
            groups.append((crisis, None))
    return groups


def _group(
    side: Side,
    against: Side,
    language: Language | None,
    *,
    crisis: bool,
    dimensions: Sequence[Dimension],
    own: Sequence[tuple[OwnAsked, OwnAsked]],
    margin: float,
) -> Group:
    tested = {
        dimension.value: with_stuck(
            _paired(side, against, dimension.value, language, crisis=crisis),
            *((item for item in s.scored if item.dimension == dimension) for s in (side, against)),
        )
        for dimension in dimensions
    }
    found = dict(compare(tested, margin=margin))
    if len(dimensions) == len(Dimension):
        # The average is one question of its own, so its p is not adjusted for the dimensions.
        tested[AVERAGE] = average_stuck(_paired(side, against, AVERAGE, language, crisis=crisis), list(tested.values()))
        found |= compare({AVERAGE: tested[AVERAGE]}, margin=margin)
    rows = [
        Row(dimension=name, comparison=comparison, n_one_sided=tested[name].n_one_sided)
        for name, comparison in found.items()
    ]
    return Group(
        language=language,
        crisis=crisis,
        rows=rows,
        own=_own_rows(side, against, own, language, crisis=crisis, margin=margin),
    )


def _asked_alike(
    side: Side, against: Side, keys: Collection[str] | None
) -> tuple[list[tuple[OwnAsked, OwnAsked]], list[str]]:
    """Return the user's own dimensions that both were asked about in the same way, and why others are left out."""
    one, other = ({each.dimension.key: each for each in side.own}, {each.dimension.key: each for each in against.own})
    both, notes = [], []
    for key in dict.fromkeys([*one, *other]):
        if keys is not None and key not in keys:
            continue
        if key not in one or key not in other:
            notes.append(f"{key} is not compared: only one of the runs was read in it")
        elif one[key].dimension != other[key].dimension:
            notes.append(f"{key} is not compared: it has other words in the other run")
        elif one[key].scorer_sha256 != other[key].scorer_sha256:
            notes.append(f"{key} is not compared: the runs were read in it by different scorers")
        else:
            both.append((one[key], other[key]))
    return both, notes


def _own_rows(
    side: Side,
    against: Side,
    asked: Sequence[tuple[OwnAsked, OwnAsked]],
    language: Language | None,
    *,
    crisis: bool,
    margin: float,
) -> list[OwnRow]:
    tested: dict[str, PairedValues] = {}
    names: dict[str, str] = {}
    for one, other in asked:
        own = one.dimension
        spoken = [each for each in (Language if language is None else (language,)) if each in own.languages]
        # Both languages pooled are more than one of them only where the dimension has words for both.
        if len(spoken) == (len(Language) if language is None else 1):
            names[own.key] = own.shown(spoken[0])
            values = {
                each: [by_card(chosen_of(s.scored, each, crisis=crisis)) for s in (one, other)] for each in spoken
            }
            paired = pooled({each.value: pair_cards(side, against, *found) for each, found in values.items()})
            tested[own.key] = with_stuck(paired, one.scored, other.scored)
    return [
        OwnRow(dimension=key, name=names[key], comparison=comparison, n_one_sided=tested[key].n_one_sided)
        for key, comparison in compare(tested, margin=margin).items()
    ]


def _paired(side: Side, against: Side, dimension: str, language: Language | None, *, crisis: bool) -> PairedValues:
    """Return the paired values in one language or in both; a card is one of its language, whatever its id."""
    languages = Language if language is None else (language,)
    return pooled({one.value: _paired_in(side, against, dimension, one, crisis=crisis) for one in languages})


def _paired_in(side: Side, against: Side, dimension: str, language: Language, *, crisis: bool) -> PairedValues:
    one, other = (values_by_card(s.scored, dimension, language, crisis=crisis) for s in (side, against))
    return pair_cards(side, against, one, other)


def pair_cards(
    side: Side, against: Side, one: Mapping[str, list[float]], other: Mapping[str, list[float]]
) -> PairedValues:
    """Return the values of either side paired by card, without cards that only share an id."""
    renamed = {card for card in one.keys() & other.keys() if side.cards.get(card) != against.cards.get(card)}
    paired = pair_up(
        {card: values for card, values in one.items() if card not in renamed},
        {card: values for card, values in other.items() if card not in renamed},
    )
    if not renamed:
        return paired
    return msgspec.structs.replace(paired, left_out={**paired.left_out, OTHER_TEXT: len(renamed)})
