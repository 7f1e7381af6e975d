"""Weighted agreement and correlation are the ordinary ones of items repeated as often as their weights say."""

from __future__ import annotations

from collections.abc import Sequence

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from escl.stats import weighted
from escl.stats.bootstrap import Floats

LABEL = st.integers(0, 4)
RATED = st.lists(st.tuples(LABEL, LABEL, st.integers(0, 3)), min_size=1, max_size=25)
MEASURED = st.lists(st.tuples(st.floats(-5, 5).map(lambda x: round(x, 1)), LABEL, st.integers(0, 3)), min_size=2)
UNITS = st.lists(st.lists(LABEL, min_size=1, max_size=4), min_size=1, max_size=12)


def once(values: Floats) -> float:
    (value,) = values
    return float(value)


def tables(rows: Sequence[tuple[int, int, int]]) -> tuple[Floats, Floats]:
    """Return the rows' two labels as tables, and their weights as one draw."""
    one, other, weights = np.array(rows).T
    return weighted.label_pairs(one, other), weights[None].astype(float)


def repeated(rows: Sequence[tuple[float, float, int]]) -> tuple[Floats, Floats]:
    """Return the two values of each row as often as its weight says."""
    both = [(a, b) for a, b, times in rows for _ in range(times)]
    one, other = np.array(both, dtype=float).reshape(-1, 2).T
    return one, other


@given(RATED, st.integers(0, 2))
def test_shares_are_those_of_repeated_items(rows: list[tuple[int, int, int]], distance: int) -> None:
    one, other = repeated(rows)
    pairs, weights = tables(rows)
    if not one.size:
        assert np.isnan(once(weighted.share_within(distance, pairs, weights)))
        return
    assert once(weighted.share_within(distance, pairs, weights)) == pytest.approx(
        (np.abs(one - other) <= distance).mean()
    )
    best = max((np.abs(other - answer) <= distance).mean() for answer in range(5))
    assert once(weighted.best_constant(distance, pairs, weights)) == pytest.approx(best)


@given(RATED)
def test_kappa_is_that_of_statsmodels(rows: list[tuple[int, int, int]]) -> None:
    pairs, weights = tables(rows)
    table = (weights @ pairs).reshape(5, 5)
    found = once(weighted.kappa(pairs, weights))
    with np.errstate(all="ignore"):
        expected = cohens_kappa(table, wt="quadratic", return_results=False) if table.sum() else np.nan
    assert found == pytest.approx(expected, nan_ok=True)


@given(UNITS)
def test_alpha_is_that_of_the_krippendorff_package(units: list[list[int]]) -> None:
    labels = {label for unit in units if len(unit) > 1 for label in unit}
    found = once(weighted.alpha(weighted.coincidences(units), np.ones((1, len(units)))))
    if len(labels) < 2:
        assert np.isnan(found)
        return
    counts = [np.bincount(unit, minlength=5) for unit in units if len(unit) > 1]
    assert found == pytest.approx(krippendorff.alpha(value_counts=np.array(counts), level_of_measurement="ordinal"))


@given(UNITS, st.data())
def test_alpha_of_a_weight_is_that_of_copies(units: list[list[int]], data: st.DataObject) -> None:
    times = data.draw(arrays(np.int_, len(units), elements=st.integers(0, 3)))
    copies = [unit for unit, n in zip(units, times, strict=True) for _ in range(n)]
    found = once(weighted.alpha(weighted.coincidences(units), times[None].astype(float)))
    expected = once(weighted.alpha(weighted.coincidences(copies), np.ones((1, len(copies)))))
    assert found == pytest.approx(expected, nan_ok=True)


@given(MEASURED)
def test_correlations_are_those_of_scipy(rows: list[tuple[float, int, int]]) -> None:
    x, y, weights = np.array(rows, dtype=float).T
    one, other = repeated(rows)
    found = {
        "pearson": once(weighted.pearson(x, y, weights[None])) if weights.any() else np.nan,
        "spearman": once(weighted.spearman(x, y, weights[None])) if weights.any() else np.nan,
        "kendall": once(weighted.kendall(weighted.orders(x, y, np.arange(x.size)), weights[None])),
    }
    if one.size < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        assert all(np.isnan(value) for value in found.values())
        return
    assert found["pearson"] == pytest.approx(stats.pearsonr(one, other).statistic, abs=1e-9)
    assert found["spearman"] == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-9)
    assert found["kendall"] == pytest.approx(stats.kendalltau(one, other).statistic, abs=1e-9)


@given(MEASURED)
def test_tau_of_cards_is_that_of_their_items(rows: list[tuple[float, int, int]]) -> None:
    x, y, _ = np.array(rows, dtype=float).T
    cards = np.arange(x.size) % 3
    apart = weighted.kendall(weighted.orders(x, y, np.arange(x.size)), np.ones((1, x.size)))
    together = weighted.kendall(weighted.orders(x, y, cards), np.ones((1, int(cards.max()) + 1)))
    assert once(together) == pytest.approx(once(apart), nan_ok=True)


def test_each_row_of_weights_is_a_draw_of_its_own() -> None:
    pairs = weighted.label_pairs(np.array([0, 4]), np.array([0, 3]))
    assert weighted.share_within(0, pairs, np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 3.0]])).tolist() == [1.0, 0.0, 0.25]
