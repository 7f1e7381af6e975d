"""Means carry their uncertainty and what they leave out; cards, not dialogues, are the sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from escl.core.dimension import Dimension, Language
from escl.stats.cluster import clustered_mean
from escl.stats.summary import Scored, summarize

VALUES = st.lists(st.floats(0, 100), min_size=2, max_size=30)


@given(VALUES)
def test_with_one_value_in_each_cluster_it_is_the_t_interval(values: list[float]) -> None:
    found = clustered_mean(values, [str(at) for at in range(len(values))])
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * half, abs=1e-9)


@given(VALUES, st.integers(2, 4))
def test_repeating_every_value_in_its_cluster_adds_no_certainty(values: list[float], times: int) -> None:
    clusters = [str(at) for at in range(len(values))]
    once = clustered_mean(values, clusters)
    repeated = clustered_mean(values * times, clusters * times)
    assert repeated.low == pytest.approx(once.low, abs=1e-9)
    assert repeated.high == pytest.approx(once.high, abs=1e-9)


def test_a_nominal_95_percent_interval_covers_about_95_percent() -> None:
    rng = np.random.default_rng(1)
    runs, cards, repeats, hit = 2000, 12, 3, 0
    clusters = [str(card) for card in range(cards) for _ in range(repeats)]
    for _ in range(runs):
        values = (rng.normal(50, 10, cards)[:, None] + rng.normal(0, 5, (cards, repeats))).ravel()
        found = clustered_mean(values.tolist(), clusters)
        assert found.low is not None
        assert found.high is not None
        hit += found.low <= 50 <= found.high
    assert 0.93 <= hit / runs <= 0.97


def test_no_interval_leaves_the_scale() -> None:
    found = clustered_mean([0.0, 0.0, 90.0], ["a", "b", "c"], lowest=0, highest=100)
    assert (found.low, found.high) == (0, 100)


def test_what_cannot_be_computed_is_none_with_a_reason() -> None:
    assert clustered_mean([], []).mean is None
    assert clustered_mean([], []).reason == "no values"
    one = clustered_mean([3.0, 4.0], ["a", "a"])
    assert (one.mean, one.low, one.high, one.reason) == (3.5, None, None, "one card")


def scored(card: str, label: int | None, *, expected: float | None = None, crisis: bool = False) -> Scored:
    return Scored(
        supporter="s",
        language=Language.ENGLISH,
        dimension=Dimension.EMPATHY,
        cluster=card,
        crisis=crisis,
        expected=expected if label is not None else None,
        label=label,
        missing=None if label is not None else "reply without a label",
    )


def test_a_cell_counts_used_asked_and_failed_by_reason() -> None:
    (cell,) = summarize([scored("a", 3, expected=2.6), scored("b", 4, expected=3.8), scored("c", None)])
    assert (cell.n_used, cell.n_asked, cell.failed) == (2, 3, {"reply without a label": 1})
    assert cell.label_counts == (0, 0, 0, 1, 1)
    assert cell.score.mean is not None
    assert math.isclose(cell.score.mean, (2.6 + 3.8) / 2 * 25)
    assert cell.label_score == 3.5 * 25


def test_a_dialogue_without_a_label_never_enters_a_mean() -> None:
    (cell,) = summarize([scored("a", None), scored("b", None)])
    assert cell.score.mean is None
    assert cell.label_score is None


def test_crisis_cards_are_never_in_a_quality_cell() -> None:
    cells = summarize([scored("a", 4, expected=4.0), scored("b", 0, expected=0.0, crisis=True)])
    assert [(cell.crisis, cell.n_asked, cell.label_counts[4]) for cell in cells] == [(False, 1, 1), (True, 1, 0)]
