"""The verdict follows from the interval and the margin, and what is undecided says how many cards would decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from escl.stats.cluster import ClusteredMean, clustered_mean
from escl.stats.equivalence import FEW_CARDS, cards_needed, equivalence


def shift(low: float, high: float, *, cards: int = 40) -> ClusteredMean:
    error = (high - low) / 2 / float(t.ppf(0.975, cards - 1))
    return ClusteredMean(mean=(low + high) / 2, low=low, high=high, n=cards, n_clusters=cards, error=error)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.9, 0.9, "equivalent"),
        (0.2, 1.0, "equivalent"),
        (1.1, 2.0, "different"),
        (-3.0, -1.2, "different"),
        (-0.5, 1.5, "cannot tell"),
        (-4.0, 4.0, "cannot tell"),
    ],
)
def test_the_verdict_is_where_the_interval_lies(low: float, high: float, verdict: str) -> None:
    assert equivalence(shift(low, high), margin=1).verdict == verdict


@given(st.floats(-5, 5), st.floats(0, 5), st.floats(0.1, 3), st.floats(1, 3))
def test_a_wider_margin_never_takes_equivalence_back(middle: float, half: float, margin: float, factor: float) -> None:
    narrow = equivalence(shift(middle - half, middle + half), margin=margin).verdict
    wide = equivalence(shift(middle - half, middle + half), margin=margin * factor).verdict
    assert narrow != "equivalent" or wide == "equivalent"
    assert wide != "different" or narrow == "different"


def test_few_cards_give_no_verdict_however_narrow_the_interval() -> None:
    found = equivalence(shift(-0.01, 0.01, cards=FEW_CARDS - 1), margin=1)
    assert (found.verdict, found.cards_needed) == ("cannot tell", FEW_CARDS)
    one = ClusteredMean(mean=0.0, low=None, high=None, n=4, n_clusters=1, reason="one card")
    assert equivalence(one, margin=1).reason == "1 card is too few"


def test_a_dialogue_that_only_one_could_judge_leaves_equivalence_open() -> None:
    assert equivalence(shift(-0.1, 0.1), margin=1, n_one_sided=1).verdict == "cannot tell"


def test_an_undecided_shift_asks_for_more_cards_than_there_are() -> None:
    found = equivalence(shift(-0.5, 1.5), margin=1)
    assert found.cards_needed is not None
    assert found.cards_needed > 40


def test_a_shift_as_large_as_the_margin_is_decided_by_no_number_of_cards() -> None:
    found = equivalence(shift(0.5, 1.5), margin=1)
    assert (found.verdict, found.cards_needed) == ("cannot tell", None)


def test_the_number_of_cards_gives_a_verdict_with_the_promised_power() -> None:
    rng = np.random.default_rng(3)
    seen = shift(-0.4, 1.0, cards=20)
    n = cards_needed(seen, margin=1)
    assert n is not None
    deviation = 0.7 * np.sqrt(20) / 2.093
    clusters, times = [str(at) for at in range(n)], 600
    decided = sum(
        equivalence(clustered_mean(rng.normal(0.3, deviation, n).tolist(), clusters), margin=1).verdict == "equivalent"
        for _ in range(times)
    )
    assert 0.74 <= decided / times <= 0.88


def test_a_shift_at_the_margin_is_called_equivalent_at_most_once_in_forty() -> None:
    rng = np.random.default_rng(5)
    clusters, times = [str(at) for at in range(30)], 600
    wrong = sum(
        equivalence(clustered_mean(rng.normal(1, 1.5, 30).tolist(), clusters), margin=1).verdict == "equivalent"
        for _ in range(times)
    )
    assert wrong / times <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / times)


def test_no_margin_is_refused() -> None:
    for margin in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="margin"):
            equivalence(shift(0, 1), margin=margin)
