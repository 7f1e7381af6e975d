"""A recalibration is monotone, is the least-squares one, and is taken only where it helps on other cards."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.stats.recalibration import Matched, MonotoneMap, monotone_map, recalibrate

POINT = st.tuples(st.floats(0, 4).map(lambda x: round(x, 2)), st.integers(0, 4))
POINTS = st.lists(POINT, min_size=1, max_size=25)
RNG_SEED = 11


def matched(points: list[tuple[float, int]]) -> list[Matched]:
    return [Matched(cluster=f"c{at}", expected=x, people=float(y)) for at, (x, y) in enumerate(points)]


def made_up(rng: np.random.Generator, n: int, *, bias: float, noise: float = 0.3) -> list[Matched]:
    """Return dialogues, one for each card, of which the scorer says too much by `bias`."""
    people = rng.integers(0, 5, size=n)
    expected = np.clip(people + bias + rng.normal(0, noise, size=n), 0, 4)
    return [
        Matched(cluster=f"c{at}", expected=float(x), people=float(y))
        for at, (x, y) in enumerate(zip(expected, people, strict=True))
    ]


@given(POINTS)
def test_the_map_is_the_min_max_of_means(points: list[tuple[float, int]]) -> None:
    """Against the min-max formula of isotonic regression (Robertson et al., 1988, theorem 1.4.4): no pooling at all."""
    made = monotone_map(matched(points))
    groups = {x: [y for other, y in points if other == x] for x in sorted({x for x, _ in points})}
    values = [np.array(each, dtype=float) for each in groups.values()]
    for at, x in enumerate(groups):
        best = min(
            max(np.concatenate(values[start : end + 1]).mean() for start in range(at + 1))
            for end in range(at, len(values))
        )
        assert made(x) == pytest.approx(best)


@given(POINTS, st.lists(st.floats(0, 4), min_size=2))
def test_the_map_never_turns_an_order_round_and_stays_on_the_scale(
    points: list[tuple[float, int]], asked: list[float]
) -> None:
    made = monotone_map(matched(points))
    values = [made(x) for x in sorted(asked)]
    assert all(one <= other + 1e-12 for one, other in itertools.pairwise(values))
    assert all(0 <= value <= 4 for value in values)


def test_beyond_the_knots_the_map_is_flat_and_between_them_straight() -> None:
    made = MonotoneMap(knots=((1.0, 0.5), (2.0, 1.5)))
    assert [made(x) for x in (0.0, 1.0, 1.5, 2.0, 4.0)] == [0.5, 0.5, 1.0, 1.5, 1.5]


@pytest.mark.parametrize("knots", ["[]", "[[1,2],[1,3]]", "[[1,2],[2,1]]", "[[1,5]]", "[[-1,2]]"])
def test_a_map_from_a_file_that_does_not_rise_is_refused(knots: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"knots": {knots}}}', type=MonotoneMap)


def test_a_biased_scorer_is_helped_on_other_cards() -> None:
    dialogues = made_up(np.random.default_rng(RNG_SEED), 80, bias=1.0)
    found = recalibrate(dialogues, fit_on={f"c{at}" for at in range(40)})
    assert found.helps
    assert found.error_after is not None
    assert found.error_before is not None
    assert found.error_after < found.error_before / 2
    assert (found.n_fit_cards, found.n_check_cards) == (40, 40)


def test_a_scorer_that_needs_no_map_is_seldom_given_one() -> None:
    rng = np.random.default_rng(RNG_SEED)
    taken = 0
    for _ in range(200):
        truth = rng.uniform(0, 4, size=60)
        noisy = np.clip(truth + rng.normal(0, 0.5, size=60), 0, 4)
        dialogues = [
            Matched(cluster=f"c{at}", expected=float(x), people=float(y))
            for at, (x, y) in enumerate(zip(truth, noisy, strict=True))
        ]
        taken += recalibrate(dialogues, fit_on={f"c{at}" for at in range(30)}).helps
    assert taken / 200 <= 0.05


def test_a_map_that_makes_all_scores_the_same_is_refused_however_small_the_error() -> None:
    dialogues = [Matched(cluster=f"c{at}", expected=(at % 5) / 1.0, people=4.0 - at % 5) for at in range(60)]
    found = recalibrate(dialogues, fit_on={f"c{at}" for at in range(30)})
    assert not found.helps
    assert found.reason.startswith("every dialogue would get the same score")


def test_few_cards_make_no_map() -> None:
    found = recalibrate(made_up(np.random.default_rng(1), 15, bias=1.0), fit_on={f"c{at}" for at in range(10)})
    assert (found.map, found.helps) == (None, False)
    assert "10 cards to learn from and 5 to check on are too few" in found.reason
