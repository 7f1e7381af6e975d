"""Two readings make one verdict, and the place counts for nothing in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.stats.pairwise import Distribution, consistency, leaning, pair_verdict

FIRST: Distribution = (0.6, 0.2, 0.1, 0.05, 0.05)
SECOND: Distribution = (0.05, 0.05, 0.1, 0.2, 0.6)
EQUAL: Distribution = (0.1, 0.1, 0.6, 0.1, 0.1)

distributions = st.tuples(*[st.floats(0, 1, allow_subnormal=False)] * 5).filter(lambda p: sum(p) > 1e-6)


@pytest.mark.parametrize(
    ("one_first", "other_first", "score", "agreement"),
    [
        (FIRST, SECOND, 1.0, "agreed"),
        (SECOND, FIRST, 0.0, "agreed"),
        (EQUAL, EQUAL, 0.5, "both equal"),
        (FIRST, EQUAL, 0.5, "one order"),
        (EQUAL, FIRST, 0.5, "one order"),
        (FIRST, FIRST, 0.5, "flipped"),
        (SECOND, SECOND, 0.5, "flipped"),
    ],
)
def test_a_dialogue_wins_only_when_both_orders_prefer_it(
    one_first: Distribution, other_first: Distribution, score: float, agreement: str
) -> None:
    found = pair_verdict(one_first, other_first)
    assert found is not None
    assert (found.score, found.agreement) == (score, agreement)


def test_neighbouring_labels_for_one_side_count_together() -> None:
    assert leaning((0.3, 0.3, 0.4, 0.0, 0.0)) == "first"
    assert leaning((0.2, 0.2, 0.2, 0.2, 0.2)) == "equal"
    assert leaning((0.25, 0.25, 0.0, 0.25, 0.25)) == "equal"


@given(distributions, distributions)
def test_swapping_the_two_dialogues_turns_the_verdict_over(one: Distribution, other: Distribution) -> None:
    straight, turned = pair_verdict(one, other), pair_verdict(other, one)
    assert straight is not None
    assert turned is not None
    assert straight.score == 1 - turned.score
    assert straight.agreement == turned.agreement
    assert straight.preference == pytest.approx(1 - turned.preference)
    assert 0 <= straight.preference <= 1
    assert straight.first_preferred == turned.first_preferred


def test_a_judge_that_always_takes_the_first_is_seen_through() -> None:
    verdict = pair_verdict(FIRST, FIRST)
    assert verdict is not None
    found = consistency([verdict] * 10, [f"c{at}" for at in range(10)])
    assert found.counts == {"agreed": 0, "both equal": 0, "one order": 0, "flipped": 10}
    assert found.flip_rate.mean == 1
    assert found.first_rate.mean == 1
    assert found.first_rate.low is not None
    assert 0.5 < found.first_rate.low < 1


def test_a_distribution_without_probability_gives_no_verdict() -> None:
    assert pair_verdict((0.0, 0.0, 0.0, 0.0, 0.0), FIRST) is None
