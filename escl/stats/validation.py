"""How far a scorer's labels agree with people's, and how far people agree with each other.

Plain labels in, statistics with intervals out. What each can and cannot show is in docs/judge-validation.md.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean, pvariance
from typing import Final, Literal

import msgspec
import numpy as np

from escl.core.dimension import LABEL_TO_PERCENT, LABELS
from escl.stats import weighted
from escl.stats.bootstrap import Floats, Statistic
from escl.stats.cluster import ClusteredMean, clustered_mean
from escl.stats.estimate import Clusters, Estimate, estimate

MAX_FOR_KENDALL: Final = 3000
"""Dialogues; the time that tau takes grows with their square."""

Standing = Literal["better", "worse", "cannot tell"]
"""Of the scorer's labels, beside the best single answer: by the interval of what they gain over it."""
Order = Literal["follows", "opposes", "cannot tell"]
"""Whether the scorer orders dialogues as people do: by the interval of Spearman's correlation."""

_NO_PAIRS: Final = "no dialogue has a label of people and of the scorer"
_NO_TWO: Final = "no dialogue was rated by two people"


class JudgedDialogue(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension of one dialogue, as people and the scorer judged it.

    Attributes:
        cluster: The card.
        supporter: Whose dialogue it is.
        people: Each rater's labels, in the order they were given: one, or more when they rated again.
        label: The scorer's; None when missing.
        expected: Its mean label (0-4) under its probabilities; None when missing.
        missing: Why the scorer's label is not there, in a few words.
        again: The expected labels of the scorer's other judgings of the same dialogue.
    """

    cluster: str
    supporter: str
    people: Mapping[str, Sequence[int]]
    label: int | None
    expected: float | None
    missing: str | None = None
    again: tuple[float, ...] = ()


class Constant(msgspec.Struct, frozen=True, kw_only=True):
    """The best that one and the same answer for every dialogue reaches, chosen with these very ratings in hand.

    Attributes:
        label: The answer.
        share: What it reaches.
        gain: How much more the scorer reaches.
    """

    label: int | None
    share: Estimate
    gain: Estimate


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """How far people agree with each other, over all pairs of raters of the same dialogue.

    Attributes:
        n_pairs: Pairs of ratings.
        alpha: Krippendorff's, of the people alone.
    """

    n_pairs: int
    exact: Estimate
    within_one: Estimate
    kappa: Estimate
    alpha: Estimate


class Repeats(msgspec.Struct, frozen=True, kw_only=True):
    """How far repeated judgements of one dialogue by the same judge vary.

    Attributes:
        n: Dialogues (for people: of each rater) judged more than once.
        variance: Mean variance within them, in squared labels, dividing by the number of judgements.
    """

    n: int
    variance: float | None


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension in one language.

    Each rating of a person is compared with the scorer's label; correlations and alpha are over dialogues.

    Attributes:
        n_asked: Dialogues that people rated.
        n_used: Of these, the ones that the scorer gave a label.
        failed: Dialogues left out, by reason.
        n_ratings: Ratings of people in use; a rater's first of each dialogue.
        raters: How many dialogues each rater rated.
        exact: Share of ratings with the scorer's label: the paper's ACC.
        within_one: Share at most one apart: the paper's ACC_soft.
        kappa: With quadratic weights.
        alpha: Krippendorff's, ordinal, of the people and the scorer as one more rater.
        spearman: Of the scorer's expected label and the mean of people's.
        spearman_within: The same within supporters: of ranks among each one's own dialogues. A scorer that only tells
            supporters apart correlates with people over all dialogues and not within them (Robinson, "Ecological
            correlations and the behavior of individuals", American Sociological Review 15, 1950).
        bias: The scorer's expected label minus people's, in points of 100.
        labels: Whether the scorer's labels say more than one answer for all.
        order: Whether its order of the dialogues is people's.
        modal_share: The share of the scorer's commonest label.
        by_people: Variance within raters.
        by_scorer: Variance of the scorer's expected label.
    """

    n_asked: int
    n_used: int
    n_cards: int
    failed: dict[str, int]
    n_ratings: int
    raters: dict[str, int]
    exact: Estimate
    within_one: Estimate
    constant_exact: Constant
    constant_within_one: Constant
    kappa: Estimate
    alpha: Estimate
    spearman: Estimate
    spearman_within: Estimate
    pearson: Estimate
    kendall: Estimate
    bias: ClusteredMean
    labels: Standing
    order: Order
    modal_share: float | None
    ceiling: Ceiling
    by_people: Repeats
    by_scorer: Repeats


def validate(dialogues: Sequence[JudgedDialogue]) -> Validation:
    """Return how far the scorer agrees with people about one dimension in one language."""
    used = [d for d in dialogues if d.label is not None and d.expected is not None]
    ratings = [(d, label) for d in used for label in _firsts(d)]
    pairs = _Pairs([d.cluster for d, _ in ratings], [d.label or 0 for d, _ in ratings], [label for _, label in ratings])
    counts = Counter(d.label for d in used)
    expected = [d.expected or 0.0 for d in used]
    bias = [(d.expected or 0.0) - label for d, label in ratings]
    constant = pairs.constant(0)
    correlations = _correlations(used, expected, [fmean(_firsts(d)) for d in used])
    return Validation(
        n_asked=len(dialogues),
        n_used=len(used),
        n_cards=len({d.cluster for d in used}),
        failed=dict(Counter(d.missing or "no label" for d in dialogues if d.label is None or d.expected is None)),
        n_ratings=len(ratings),
        raters=dict(sorted(Counter(rater for d in used for rater in d.people).items())),
        exact=pairs.within(0),
        within_one=pairs.within(1),
        constant_exact=constant,
        constant_within_one=pairs.constant(1),
        kappa=pairs.kappa(),
        alpha=_alpha([d.cluster for d in used], [[d.label or 0, *_firsts(d)] for d in used], undefined=_NO_PAIRS),
        **correlations,
        bias=clustered_mean(
            [b * LABEL_TO_PERCENT for b in bias], [d.cluster for d, _ in ratings], lowest=-100, highest=100
        ),
        labels=standing(constant.gain),
        order=_order(correlations["spearman"]),
        modal_share=max(counts.values()) / len(used) if used else None,
        ceiling=_ceiling(dialogues),
        by_people=_repeats([labels for d in dialogues for labels in d.people.values()]),
        by_scorer=_repeats([(d.expected or 0.0, *d.again) for d in used]),
    )


def average_share(dimensions: Sequence[Sequence[JudgedDialogue]], *, within: int) -> Estimate:
    """Return the mean over dimensions of the share of ratings at most `within` from the scorer's label.

    The row "Average" of ESC-Eval's table 4. Dimensions count alike, and a card is drawn in all of them at once.
    """
    rated = [[(d, label) for d in each if d.label is not None for label in _firsts(d)] for each in dimensions]
    numbers = {card: at for at, card in enumerate(dict.fromkeys(d.cluster for each in rated for d, _ in each))}
    tables = []
    for each in rated:
        table = np.zeros((len(numbers), len(LABELS) ** 2))
        one, other = ([d.label or 0 for d, _ in each], [label for _, label in each])
        pairs = weighted.label_pairs(np.array(one, dtype=np.int_), np.array(other, dtype=np.int_))
        np.add.at(table, np.array([numbers[d.cluster] for d, _ in each], dtype=np.int_), pairs)
        tables.append(table)

    def mean_share(weights: Floats) -> Floats:
        return np.asarray(np.mean([weighted.share_within(within, table, weights) for table in tables], axis=0))

    return estimate(mean_share, len(numbers), undefined=_NO_PAIRS, is_share=True)


class _Pairs:
    """Two labels for each of some items of cards."""

    def __init__(self, cards: Sequence[str], one: Sequence[int], other: Sequence[int], *, missing: str = _NO_PAIRS):
        clusters = Clusters(cards)
        table = weighted.label_pairs(np.array(one, dtype=np.int_), np.array(other, dtype=np.int_))
        self._n_cards, self._tables, self._missing = clusters.n, clusters.sums(table), missing
        self._others = Counter(other)

    def within(self, distance: int) -> Estimate:
        return self._estimate(partial(weighted.share_within, distance, self._tables), is_share=True)

    def kappa(self) -> Estimate:
        reason = "both give one and the same label throughout" if self._others else self._missing
        return self._estimate(partial(weighted.kappa, self._tables), undefined=reason)

    def constant(self, distance: int) -> Constant:
        """Return the best single answer in place of the first labels, and what these gain over it."""
        best = partial(weighted.best_constant, distance, self._tables)
        own = partial(weighted.share_within, distance, self._tables)

        def reached(answer: int) -> int:
            return sum(n for label, n in self._others.items() if abs(label - answer) <= distance)

        return Constant(
            label=max(LABELS, key=reached) if self._others else None,
            share=self._estimate(best, is_share=True),
            gain=self._estimate(lambda weights: own(weights) - best(weights)),
        )

    def _estimate(self, statistic: Statistic, *, undefined: str | None = None, is_share: bool = False) -> Estimate:
        return estimate(statistic, self._n_cards, undefined=undefined or self._missing, is_share=is_share)


def standing(gain: Estimate) -> Standing:
    """Return what the interval of a gain over the best single answer says."""
    return ("better", "cannot tell", "worse")[1 - _side(gain)]


def _order(correlation: Estimate) -> Order:
    return ("follows", "cannot tell", "opposes")[1 - _side(correlation)]


def _side(found: Estimate) -> int:
    """Return 1 or -1 for an interval that lies above or below 0, 0 for any other and for none."""
    if found.low is None or found.high is None:
        return 0
    return int(found.low > 0) - int(found.high < 0)


def _firsts(dialogue: JudgedDialogue) -> list[int]:
    return [labels[0] for labels in dialogue.people.values()]


def _alpha(cards: Sequence[str], units: Sequence[Sequence[int]], *, undefined: str) -> Estimate:
    clusters = Clusters(cards)
    found = clusters.sums(weighted.coincidences(units))
    reason = "all give one and the same label throughout" if found.any() else undefined
    return estimate(partial(weighted.alpha, found), clusters.n, undefined=reason)


def _correlations(
    used: Sequence[JudgedDialogue], scorer: Sequence[float], people: Sequence[float]
) -> dict[str, Estimate]:
    cards = [d.cluster for d in used]
    clusters, x, y = Clusters(cards), np.array(scorer, dtype=float), np.array(people, dtype=float)
    names = list(dict.fromkeys(d.supporter for d in used))
    supporters = np.array([names.index(d.supporter) for d in used], dtype=np.int_)

    def of(statistic: Statistic) -> Estimate:
        return estimate(statistic, clusters.n, undefined="one of the two never varies" if cards else _NO_PAIRS)

    tau = Estimate(value=None, reason=f"not computed for more than {MAX_FOR_KENDALL} dialogues")
    if len(cards) <= MAX_FOR_KENDALL:
        tau = of(partial(weighted.kendall, weighted.orders(x, y, clusters.of_item)) if cards else _nothing)
    return {
        "spearman": of(lambda of_cards: weighted.spearman(x, y, clusters.weights(of_cards))),
        "spearman_within": of(lambda of_cards: weighted.spearman_within(x, y, supporters, clusters.weights(of_cards))),
        "pearson": of(lambda of_cards: weighted.pearson(x, y, clusters.weights(of_cards))),
        "kendall": tau,
    }


def _nothing(weights: Floats) -> Floats:
    return np.full(len(weights), np.nan)


def _ceiling(dialogues: Sequence[JudgedDialogue]) -> Ceiling:
    """Return how far people agree; each pair counts in both orders, for neither of the two is the reference."""
    found = [(d.cluster, *pair) for d in dialogues for pair in itertools.permutations(_firsts(d), 2)]
    pairs = _Pairs([c for c, _, _ in found], [a for _, a, _ in found], [b for _, _, b in found], missing=_NO_TWO)
    rated_twice = [d for d in dialogues if len(d.people) > 1]
    return Ceiling(
        n_pairs=len(found) // 2,
        exact=pairs.within(0),
        within_one=pairs.within(1),
        kappa=pairs.kappa(),
        alpha=_alpha([d.cluster for d in rated_twice], [_firsts(d) for d in rated_twice], undefined=_NO_TWO),
    )


def _repeats(judgements: Sequence[Sequence[float]]) -> Repeats:
    several = [values for values in judgements if len(values) > 1]
    return Repeats(n=len(several), variance=fmean(pvariance(values) for values in several) if several else None)
