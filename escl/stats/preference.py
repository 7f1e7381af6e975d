"""How far a judge's preferences between two dialogues are people's, as ToolEval counts it.

The definitions are those of OpenBMB/ToolBench, toolbench/tooleval/evaluators_comparison.py (commit 9a5ee2e), restated.
There, of several votes the commonest counts, all of them where several are equally common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean, pvariance

import msgspec
import numpy as np

from escl.core.ratings_file import Choice
from escl.stats import weighted
from escl.stats.bootstrap import Floats
from escl.stats.estimate import Clusters, Estimate, estimate

_VALUES: dict[Choice, float] = {"a": 0.0, "tie": 0.5, "b": 1.0}
_NO_PAIRS = "no pair has a vote of people and of the judge"
_NO_TWO = "no pair was judged by two people"


class JudgedPair(msgspec.Struct, frozen=True, kw_only=True):
    """Two dialogues on one card, as people and the judge compared them.

    Attributes:
        cluster: The card.
        people: A vote of each person.
        judge: The judge's: one, or more where it judged again.
        missing: Why the judge has none.
    """

    cluster: str
    people: tuple[Choice, ...]
    judge: tuple[Choice, ...]
    missing: str | None = None


class PreferenceAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs of one language come to.

    Attributes:
        n_asked: Pairs that people judged.
        n_used: Of these, the ones that the judge voted on.
        failed: Pairs left out, by reason.
        human_agreement: Of each person's vote with the votes of the others.
        human_variance: Mean variance over people of how far each disagrees with the others.
        agreement: Of each of the judge's votes with people's.
        constant: What the same vote for every pair reaches at best; which side is "a" is up to the caller.
        bias: One less the agreement of the judge's commonest vote with people's.
        variance: Mean variance over the judge's votes of how far each disagrees with people's; None when it never
            judged again.
        correlation: Of the votes of a pair with the judge's, the mean over pairs; see `pair_correlation`.
        n_uncorrelated: Pairs left out of it: people's votes and the judge's differ in number.
        share_correlation: Over pairs, of the share of people who prefer one and the judge's share; the sides of a pair
            have no order, so each pair counts both ways round.
    """

    n_asked: int
    n_used: int
    n_cards: int
    failed: dict[str, int]
    human_agreement: Estimate
    human_variance: float | None
    agreement: Estimate
    constant: Estimate
    bias: Estimate
    variance: float | None
    correlation: Estimate
    n_uncorrelated: int
    share_correlation: Estimate


def agreement_score(votes: Sequence[Choice], reference: Sequence[Choice]) -> float:
    """Return how far two lists of votes agree: the chance that a commonest vote of each, drawn evenly, is the same."""
    one, other = _commonest(votes), _commonest(reference)
    return len(one & other) / (len(one) * len(other))


def pair_correlation(people: Sequence[Choice], judge: Sequence[Choice]) -> float | None:
    """Return ToolEval's correlation of one pair, None where the lists differ in length.

    Pearson's, of people's list and the judge's as they stand; where one of the two never varies, whether a commonest
    vote of each, drawn at random, is the same. In place of that draw this gives its expectation.
    """
    one, other = (np.array([_VALUES[vote] for vote in votes]) for votes in (people, judge))
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return agreement_score(people, judge)
    return None if one.size != other.size else float(np.corrcoef(one, other)[0, 1])


def preference_agreement(pairs: Sequence[JudgedPair]) -> PreferenceAgreement:
    """Return how far the judge's preferences are people's."""
    used = [pair for pair in pairs if pair.judge]
    by_two = [pair for pair in pairs if len(pair.people) > 1]
    among_people = [
        [agreement_score([vote], _without(pair.people, at)) for at, vote in enumerate(pair.people)] for pair in by_two
    ]
    with_people = [[agreement_score([vote], pair.people) for vote in pair.judge] for pair in used]
    again = [scores for scores in with_people if len(scores) > 1]
    correlations = [(pair, found) for pair in used if (found := pair_correlation(pair.people, pair.judge)) is not None]
    return PreferenceAgreement(
        n_asked=len(pairs),
        n_used=len(used),
        n_cards=len({pair.cluster for pair in used}),
        failed=dict(Counter(pair.missing or "no vote" for pair in pairs if not pair.judge)),
        human_agreement=_mean(by_two, [fmean(scores) for scores in among_people], undefined=_NO_TWO),
        human_variance=fmean(pvariance(scores) for scores in among_people) if among_people else None,
        agreement=_mean(used, [fmean(scores) for scores in with_people]),
        constant=_constant(used),
        bias=_mean(used, [1 - agreement_score(pair.people, pair.judge) for pair in used]),
        variance=fmean(pvariance(scores) for scores in again) if again else None,
        correlation=_mean([pair for pair, _ in correlations], [found for _, found in correlations], is_share=False),
        n_uncorrelated=len(used) - len(correlations),
        share_correlation=_share_correlation(used),
    )


def _commonest(votes: Sequence[Choice]) -> set[Choice]:
    counts = Counter(votes)
    return {vote for vote, n in counts.items() if n == max(counts.values())}


def _without(votes: Sequence[Choice], at: int) -> list[Choice]:
    return [*votes[:at], *votes[at + 1 :]]


def _mean(
    pairs: Sequence[JudgedPair], values: Sequence[float], *, undefined: str = _NO_PAIRS, is_share: bool = True
) -> Estimate:
    return _over(pairs, partial(weighted.mean, np.array(values, dtype=float)), undefined=undefined, is_share=is_share)


def _constant(pairs: Sequence[JudgedPair]) -> Estimate:
    reached = [np.array([agreement_score([vote], pair.people) for pair in pairs], dtype=float) for vote in _VALUES]

    def best(weights: Floats) -> Floats:
        return np.asarray(np.max([weighted.mean(values, weights) for values in reached], axis=0))

    return _over(pairs, best, undefined=_NO_PAIRS, is_share=True)


def _share_correlation(pairs: Sequence[JudgedPair]) -> Estimate:
    people, judge = (
        np.array([2 * fmean(_VALUES[vote] for vote in votes) - 1 for votes in of], dtype=float)
        for of in ([pair.people for pair in pairs], [pair.judge for pair in pairs])
    )

    def both_ways(weights: Floats) -> Floats:
        return weighted.pearson(np.append(people, -people), np.append(judge, -judge), np.hstack([weights, weights]))

    return _over(pairs, both_ways, undefined="one of the two never prefers anything" if pairs else _NO_PAIRS)


def _over(
    pairs: Sequence[JudgedPair], statistic: Callable[[Floats], Floats], *, undefined: str, is_share: bool = False
) -> Estimate:
    clusters = Clusters([pair.cluster for pair in pairs])
    return estimate(
        lambda of_cards: statistic(clusters.weights(of_cards)), clusters.n, undefined=undefined, is_share=is_share
    )
