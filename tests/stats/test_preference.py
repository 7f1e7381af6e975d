"""Agreement about pairs is what ToolEval's definitions give, restated here with plain lists and numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from escl.core.ratings_file import Choice
from escl.stats.preference import JudgedPair, agreement_score, pair_correlation, preference_agreement

CHOICES: tuple[Choice, ...] = ("a", "b", "tie")
VOTES = st.lists(st.sampled_from(CHOICES), min_size=1, max_size=5)
PAIRS = st.lists(st.tuples(VOTES, VOTES), min_size=1, max_size=8)


def tooleval(votes: Sequence[Choice], reference: Sequence[Choice]) -> float:
    """Return the score as ToolEval's loop over the commonest votes makes it."""
    counted = [np.bincount([CHOICES.index(vote) for vote in each], minlength=3) for each in (votes, reference)]
    one, other = (np.flatnonzero(counts == counts.max()).tolist() for counts in counted)
    unit = 1 / len(one) / len(other)
    return float(sum(unit for vote in one if vote in other))


def judged(rows: Sequence[tuple[Sequence[Choice], Sequence[Choice]]]) -> list[JudgedPair]:
    return [JudgedPair(cluster=f"c{at}", people=tuple(p), judge=tuple(j)) for at, (p, j) in enumerate(rows)]


@given(VOTES, VOTES)
def test_the_score_of_two_lists_is_tooleval_s_and_has_no_direction(votes: list[Choice], other: list[Choice]) -> None:
    assert agreement_score(votes, other) == pytest.approx(tooleval(votes, other))
    assert agreement_score(votes, other) == agreement_score(other, votes)


@given(PAIRS)
def test_agreement_bias_and_variance_are_means_over_pairs(rows: list[tuple[list[Choice], list[Choice]]]) -> None:
    found = preference_agreement(judged(rows))
    scores = [[tooleval([vote], people) for vote in judge] for people, judge in rows]
    assert found.agreement.value == pytest.approx(np.mean([np.mean(each) for each in scores]))
    assert found.bias.value == pytest.approx(np.mean([1 - tooleval(people, judge) for people, judge in rows]))
    again = [np.var(each) for each in scores if len(each) > 1]
    assert found.variance == (pytest.approx(np.mean(again)) if again else None)


@given(PAIRS)
def test_people_are_compared_with_the_others_among_them(rows: list[tuple[list[Choice], list[Choice]]]) -> None:
    found = preference_agreement(judged(rows))
    several = [people for people, _ in rows if len(people) > 1]
    alone = [[tooleval([p[at]], p[:at] + p[at + 1 :]) for at in range(len(p))] for p in several]
    if not several:
        assert found.human_agreement.reason == "no pair was judged by two people"
        assert found.human_variance is None
        return
    assert found.human_agreement.value == pytest.approx(np.mean([np.mean(each) for each in alone]))
    assert found.human_variance == pytest.approx(np.mean([np.var(each) for each in alone]))


def test_the_correlation_of_a_pair_is_pearson_s_of_the_lists() -> None:
    found = pair_correlation(("a", "a", "b", "tie"), ("a", "b", "b", "a"))
    assert found == pytest.approx(pearsonr([0, 0, 1, 0.5], [0, 1, 1, 0]).statistic)


def test_where_a_list_never_varies_the_expected_match_stands_for_the_random_one() -> None:
    assert pair_correlation(("a", "a"), ("a", "b")) == 0.5
    assert pair_correlation(("a", "b"), ("a", "b", "b")) is None


def test_the_correlation_of_shares_does_not_hang_on_which_side_is_called_a() -> None:
    rng = np.random.default_rng(4)
    swap: dict[Choice, Choice] = {"a": "b", "b": "a", "tie": "tie"}

    def drawn(n: int) -> list[Choice]:
        return [CHOICES[at] for at in rng.integers(0, 3, size=n)]

    rows = [(drawn(3), drawn(2)) for _ in range(20)]
    turned = [
        ([swap[v] for v in people], [swap[v] for v in judge]) if at % 2 else (people, judge)
        for at, (people, judge) in enumerate(rows)
    ]
    one, other = preference_agreement(judged(rows)), preference_agreement(judged(turned))
    assert one.share_correlation.value == pytest.approx(other.share_correlation.value)
    assert one.share_correlation.low == pytest.approx(other.share_correlation.low)


def test_a_judge_that_always_says_a_is_no_better_than_the_constant() -> None:
    rows: list[tuple[list[Choice], list[Choice]]] = [(["a"] if at % 3 else ["b"], ["a"]) for at in range(30)]
    found = preference_agreement(judged(rows))
    assert found.agreement.value == found.constant.value == pytest.approx(2 / 3)


def test_pairs_without_the_judge_s_vote_are_counted_with_their_reason() -> None:
    found = preference_agreement([JudgedPair(cluster="c", people=("a",), judge=(), missing="not judged")])
    assert (found.n_asked, found.n_used, found.failed) == (1, 0, {"not judged": 1})
    assert found.agreement.value is None
