"""The anytime interval may be looked at after every card and is still right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escl.stats.sequence import CAP, GRID, anytime_interval, kept_means

VALUES = st.lists(st.floats(-4, 4), min_size=1, max_size=25)


def log_capital(values: list[float], mean: float, *, up: bool) -> list[float]:
    """Return a gambler's log capital after each value, worked out one bet at a time."""
    capital, said, seen, spread = 0.0, [], 0.5, 0.25
    variance = 0.25
    for t, value in enumerate(values, start=1):
        bet = math.sqrt(2 * math.log(2 / 0.05) / (variance * t * math.log(1 + t)))
        bet = min(bet, CAP / mean) if up else -min(bet, CAP / (1 - mean))
        capital += math.log(1 + bet * (value - mean))
        said.append(capital)
        seen += value
        spread += (value - seen / (t + 1)) ** 2
        variance = spread / (t + 1)
    return said


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_a_candidate_is_out_as_soon_as_a_gambler_is_rich(values: list[float], mean: float) -> None:
    rich = max(max(log_capital(values, mean, up=up)) for up in (True, False))
    kept = kept_means(np.array([values]), level=0.95, grid=np.array([mean]))
    if abs(rich - math.log(40)) > 1e-9:
        assert bool(kept[0, 0]) is (rich < math.log(40))


@pytest.mark.parametrize("kind", ["nearly equal", "wide", "two values", "lopsided"])
def test_under_the_null_at_most_5_percent_of_2000_runs_ever_exclude_it(kind: str) -> None:
    rng = np.random.default_rng(1)
    shape = (2000, 200)
    drawn = {
        "nearly equal": np.clip(rng.normal(0, 0.3, shape), -4, 4),
        "wide": rng.uniform(-4, 4, shape),
        "two values": rng.choice([-4.0, 4.0], shape),
        # Mean 0, and mostly a little above it: -4 once in 21, 0.2 otherwise.
        "lopsided": np.where(rng.random(shape) < 1 / 21, -4.0, 0.2),
    }[kind]
    kept = kept_means((drawn + 4) / 8, level=0.95, grid=np.array([0.5]))
    assert (~kept).mean() <= 0.05


def test_a_real_difference_ends_it_with_fewer_cards_the_larger_it_is() -> None:
    rng = np.random.default_rng(2)
    shares = []
    for difference in (0.2, 0.6, 1.2):
        values = np.clip(rng.normal(difference, 0.6, (200, 40)), -4, 4)
        shares.append((~kept_means((values + 4) / 8, level=0.95, grid=np.array([0.5]))).mean())
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] == 1


@settings(deadline=None, max_examples=30)
@given(VALUES, VALUES)
def test_more_cards_never_widen_it(first: list[float], more: list[float]) -> None:
    before = anytime_interval(first, lowest=-4, highest=4)
    after = anytime_interval([*first, *more], lowest=-4, highest=4)
    if before.low < after.high and after.low < before.high:
        assert before.low - 1e-9 <= after.low <= after.high <= before.high + 1e-9


@settings(deadline=None, max_examples=30)
@given(VALUES)
def test_turned_round_it_is_the_mirror_image(values: list[float]) -> None:
    one = anytime_interval(values, lowest=-4, highest=4)
    other = anytime_interval([-value for value in values], lowest=-4, highest=4)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=2 * 8 / (GRID - 1))


def test_nothing_seen_is_nothing_known_and_what_lies_outside_is_refused() -> None:
    assert anytime_interval([], lowest=-4, highest=4).low == -4
    with pytest.raises(ValueError, match="outside"):
        anytime_interval([5.0], lowest=-4, highest=4)
