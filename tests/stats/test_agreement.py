"""Agreement statistics are those of the literature, and say so where they are undefined."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest, entropy

from escl.stats.agreement import (
    Agreement,
    Pair,
    Rated,
    agreement,
    jensen_shannon_bits,
    kullback_leibler_bits,
    quadratic_weighted_kappa,
    wilson_interval,
)

LABEL = st.integers(0, 4)
LABEL_PAIRS = st.lists(st.tuples(LABEL, LABEL), min_size=1, max_size=40)
MASSES = st.lists(st.floats(1e-12, 1), min_size=6, max_size=6)
Masses = tuple[float, float, float, float, float, float]


def rated(label: int, masses: Sequence[float] | None = None) -> Rated:
    """Return a reading; without masses it is all but sure of its label."""
    p = masses or [0.95 if at == label else 0.01 for at in range(6)]
    return Rated(label=label, masses=(p[0], p[1], p[2], p[3], p[4], p[5]))


def pairs_of(labels: Sequence[tuple[int, int]]) -> list[Pair]:
    return [Pair(cluster=f"c{at}", scorer=rated(a), against=rated(b)) for at, (a, b) in enumerate(labels)]


def compared(labels: Sequence[tuple[int, int]], *, margin: float = 1.0) -> Agreement:
    return agreement(pairs_of(labels), margin=margin)


@given(LABEL_PAIRS)
def test_kappa_with_quadratic_weights_is_the_concordance_coefficient(labels: list[tuple[int, int]]) -> None:
    """The identity of Lin (Biometrics 45, 1989), with moments in which n divides: an independent formula."""
    one, other = np.array(labels, dtype=float).T
    found, reason = quadratic_weighted_kappa([a for a, _ in labels], [b for _, b in labels])
    spread = one.var() + other.var() + (one.mean() - other.mean()) ** 2
    if spread == 0:
        assert found is None
        assert reason == f"both give every dialogue the label {labels[0][0]}"
    else:
        covariance = ((one - one.mean()) * (other - other.mean())).mean()
        assert found == pytest.approx(2 * covariance / spread, abs=1e-9)
        assert reason is None


@given(LABEL_PAIRS)
def test_kappa_is_symmetric_at_most_one_and_one_only_for_equal_labels(labels: list[tuple[int, int]]) -> None:
    one, other = [a for a, _ in labels], [b for _, b in labels]
    found, back = quadratic_weighted_kappa(one, other)[0], quadratic_weighted_kappa(other, one)[0]
    assert found == back
    if found is not None:
        assert -1 <= found <= 1
        assert (found == 1) is (one == other)


@given(MASSES, MASSES)
def test_divergences_are_scipys(p: list[float], q: list[float]) -> None:
    assert jensen_shannon_bits(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-9)
    assert kullback_leibler_bits(p, q) == pytest.approx(entropy(p, q, base=2), rel=1e-6, abs=1e-9)


@given(MASSES, MASSES)
def test_divergence_is_symmetric_bounded_and_zero_for_itself(p: list[float], q: list[float]) -> None:
    assert 0 <= jensen_shannon_bits(p, q) <= 1
    assert jensen_shannon_bits(p, q) == pytest.approx(jensen_shannon_bits(q, p), abs=1e-12)
    assert jensen_shannon_bits(p, p) == 0
    assert kullback_leibler_bits(p, p) == 0


def test_disjoint_distributions_are_one_bit_apart_and_without_a_kullback_leibler_divergence() -> None:
    assert jensen_shannon_bits([1, 0], [0, 1]) == 1
    assert math.isinf(kullback_leibler_bits([1, 0], [0, 1]))
    certain = agreement([Pair(cluster="a", scorer=rated(0, [1, 0, 0, 0, 0, 0]), against=rated(1))], margin=1)
    assert certain.kl_bits is None
    assert certain.kl_reason is not None
    assert certain.kl_reason.startswith("infinite in 1 of 1")
    assert certain.js_bits is not None


@given(st.integers(0, 50), st.integers(1, 50))
def test_the_interval_of_a_share_is_wilsons(hits: int, n: int) -> None:
    hits = min(hits, n)
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson_interval(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(LABEL_PAIRS)
def test_shares_and_flips_fit_together(labels: list[tuple[int, int]]) -> None:
    found = compared(labels)
    assert found.exact is not None
    assert found.within_one is not None
    assert found.flips is not None
    assert found.exact <= found.within_one
    assert found.flips.share == pytest.approx(1 - found.exact)
    assert found.flips.raised + found.flips.lowered == sum(a != b for a, b in labels)
    assert found.flips.low - 1e-12 <= found.flips.share <= found.flips.high + 1e-12
    assert found.flips.high > found.flips.low


@given(LABEL_PAIRS)
def test_exchanging_the_two_turns_the_shift_and_nothing_else(labels: list[tuple[int, int]]) -> None:
    found, back = compared(labels), compared([(b, a) for a, b in labels])
    assert found.shift.mean == pytest.approx(-(back.shift.mean or 0.0), abs=1e-9)
    assert (found.exact, found.within_one, found.kappa) == (back.exact, back.within_one, back.kappa)
    assert found.js_bits == pytest.approx(back.js_bits, abs=1e-12)


@given(LABEL_PAIRS)
def test_a_scorer_agrees_wholly_with_itself(labels: list[tuple[int, int]]) -> None:
    found = compared([(a, a) for a, _ in labels])
    assert (found.exact, found.within_one, found.js_bits, found.kl_bits) == (1, 1, 0, 0)
    assert (found.shift.mean, found.kappa) in ((0, 1), (0, None))


def test_the_shift_is_in_points_of_a_hundred_and_by_the_expected_label() -> None:
    found = agreement(
        [
            Pair(cluster="a", scorer=rated(3, [0, 0, 0, 0.5, 0.5, 0]), against=rated(3, [0, 0, 0, 1, 0, 0])),
            Pair(cluster="b", scorer=rated(3, [0, 0, 0, 0.4, 0.2, 0.4]), against=rated(3, [0, 0, 0, 1, 0, 0])),
        ],
        margin=1,
    )
    assert found.exact == 1
    assert found.shift.mean == pytest.approx(25 * (1 / 2 + 1 / 3) / 2)


def test_repeats_of_a_card_are_no_further_cards() -> None:
    pairs = pairs_of([(3, 3), (3, 2), (4, 4), (2, 2)])
    once, twice = agreement(pairs, margin=1), agreement([*pairs, *pairs], margin=1)
    assert twice.n_used == 2 * once.n_used
    assert twice.shift.low == pytest.approx(once.shift.low)
    assert once.flips is not None
    assert twice.flips is not None
    assert (twice.flips.low, twice.flips.high) == pytest.approx((once.flips.low, once.flips.high))


def test_one_label_for_nearly_all_is_called_saturated() -> None:
    found = compared([(3, 3)] * 19 + [(3, 2)])
    assert found.saturated is True
    assert found.exact == 0.95
    assert found.by_chance == pytest.approx(0.95)
    assert found.kappa == 0
    assert compared([(3, 3)] * 5 + [(2, 2)] * 5).saturated is False


def test_what_is_missing_is_counted_by_reason_and_never_compared() -> None:
    pairs = [
        *pairs_of([(3, 3)]),
        Pair(cluster="x", scorer=None, against=rated(2), missing="scorer: reply without a label"),
        Pair(cluster="y", scorer=None, against=None, missing="both: ContextOverflowError"),
    ]
    found = agreement(pairs, margin=1)
    assert (found.n_asked, found.n_used, found.n_one_sided) == (3, 1, 1)
    assert found.failed == {"scorer: reply without a label": 1, "both: ContextOverflowError": 1}
    assert found.equivalence.verdict == "cannot tell"


def test_without_a_pair_every_statistic_is_none_with_a_reason() -> None:
    found = agreement([Pair(cluster="x", scorer=None, against=None, missing="m")], margin=1)
    numbers = (found.exact, found.within_one, found.by_chance, found.kappa, found.flips, found.js_bits, found.kl_bits)
    assert numbers == (None,) * 7
    assert (found.shift.mean, found.modal_share, found.saturated) == (None, None, None)
    assert None not in (found.reason, found.kappa_reason, found.kl_reason, found.shift.reason)
