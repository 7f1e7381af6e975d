"""From what a judge said in both orders to a verdict on a pair, and how far the judge can be believed.

Knows distributions over the five labels (0 the first is clearly better, 2 equal, 4 the second) and cards as clusters;
no model and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from escl.core.dimension import LABELS
from escl.stats.cluster import ClusteredMean
from escl.stats.proportion import proportion

Distribution = tuple[float, float, float, float, float]
"""Probabilities of the labels 0..4; their sum may be below 1 by what is no label."""

Leaning = Literal["first", "equal", "second"]
Agreement = Literal["agreed", "both equal", "one order", "flipped"]

_HALFWAY: Final = 2.0


class PairVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What both orders together say about two dialogues, from the side of the one.

    Attributes:
        score: 1 the one is better, 0 the other is, 0.5 a tie.
        agreement: "agreed": both orders prefer the same dialogue. "both equal": neither prefers any. "one order": only
            one of them has a preference. "flipped": each prefers another dialogue, so the place decided.
        preference: From 0 (the other, surely and clearly) to 1 (the one): the mean label over both orders.
        first_preferred: How many of the two readings preferred the dialogue that stood first.
        decided: How many of the two had a preference.
    """

    score: float
    agreement: Agreement
    preference: float
    first_preferred: int
    decided: int


class Consistency(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the judge's verdicts was the place.

    Attributes:
        n_pairs: Pairs with a verdict, each read in both orders.
        counts: How many pairs of each `Agreement`.
        flip_rate: Share of pairs whose orders preferred different dialogues.
        first_rate: Share of the readings with a preference that preferred the dialogue that stood first; 0.5 without
            a bias for a place.
    """

    n_pairs: int
    counts: dict[str, int]
    flip_rate: ClusteredMean
    first_rate: ClusteredMean


def leaning(distribution: Distribution) -> Leaning:
    """Return whom one reading prefers: the likeliest of "first" (labels 0, 1), "equal" (2) and "second" (3, 4).

    Where the likeliest is shared, it is "equal".
    """
    first, equal, second = sum(distribution[:2]), distribution[2], sum(distribution[3:])
    if first > max(equal, second):
        return "first"
    return "second" if second > max(equal, first) else "equal"


def pair_verdict(one_first: Distribution, other_first: Distribution) -> PairVerdict | None:
    """Return the verdict on a pair; None when an order gives no label any probability.

    A dialogue wins when it is preferred in both orders; whatever else is a tie (Zheng et al., "Judging LLM-as-a-Judge
    with MT-Bench and Chatbot Arena", arXiv 2306.05685, section 3.4).

    Args:
        one_first: What was read with the one's dialogue in the first place.
        other_first: What was read with the other's there.
    """
    means = [_mean_label(one_first), _mean_label(other_first)]
    if means[0] is None or means[1] is None:
        return None
    straight, turned = leaning(one_first), leaning(other_first)
    decided = (straight != "equal") + (turned != "equal")
    one_wins = straight == "first" and turned == "second"
    other_wins = straight == "second" and turned == "first"
    return PairVerdict(
        score=1.0 if one_wins else 0.0 if other_wins else 0.5,
        agreement=_agreement(decided, is_win=one_wins or other_wins),
        preference=0.5 + (means[1] - means[0]) / (4 * _HALFWAY),
        first_preferred=(straight == "first") + (turned == "first"),
        decided=decided,
    )


def consistency(verdicts: Sequence[PairVerdict], cards: Sequence[str]) -> Consistency:
    """Return how consistent the verdicts are; intervals are clustered by the pairs' cards."""
    by_agreement: dict[str, int] = dict.fromkeys(("agreed", "both equal", "one order", "flipped"), 0)
    for verdict in verdicts:
        by_agreement[verdict.agreement] += 1
    decided = [
        (float(at < verdict.first_preferred), card)
        for verdict, card in zip(verdicts, cards, strict=True)
        for at in range(verdict.decided)
    ]
    flipped = [float(verdict.agreement == "flipped") for verdict in verdicts]
    return Consistency(
        n_pairs=len(verdicts),
        counts=by_agreement,
        flip_rate=proportion(flipped, cards),
        first_rate=proportion([x for x, _ in decided], [card for _, card in decided]),
    )


def _mean_label(distribution: Distribution) -> float | None:
    total = sum(distribution)
    return sum(label * p for label, p in zip(LABELS, distribution, strict=True)) / total if total > 0 else None


def _agreement(decided: int, *, is_win: bool) -> Agreement:
    if is_win:
        return "agreed"
    if decided == 0:
        return "both equal"
    return "one order" if decided == 1 else "flipped"
