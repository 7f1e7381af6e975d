"""Ratings: finite after a sweep, symmetric, free of order, and their intervals hold what they promise."""

from __future__ import annotations

import random
from collections.abc import Sequence

import evalica
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escl.stats.davidson import probabilities
from escl.stats.ratings import POINTS, Meeting, elo_ratings, rate

NAMES = ["a", "b", "c"]


def met(scores: Sequence[float], one: str = "a", other: str = "b") -> list[Meeting]:
    return [Meeting(card=f"c{at}", one=one, other=other, score=score) for at, score in enumerate(scores)]


def test_a_clean_sweep_gives_a_finite_rating_with_an_open_interval() -> None:
    few, many = rate(met([1.0] * 5), NAMES[:2]), rate(met([1.0] * 50), NAMES[:2])
    for best, worst in (few, many):
        assert best.low is not None
        assert best.high is not None
        assert best.low < best.rating < best.high
        assert best.high - best.low > 100
        assert best.rating - 1000 == pytest.approx(1000 - worst.rating)
        assert 0.9 < best.ranks[0] <= 1
    assert 1000 < few[0].rating < many[0].rating < 1600
    assert few[0].ranks[0] < many[0].ranks[0]


def test_the_intervals_of_a_sweep_allow_for_the_odds_that_exact_binomial_limits_allow() -> None:
    # 20 of 20: the true rate may be as low as 0.025^(1/20) = 0.83, which is odds of 4.9 or 276 points.
    best, worst = rate(met([1.0] * 20), NAMES[:2])
    assert best.low is not None
    assert worst.high is not None
    assert 200 < best.low - worst.high < 276
    assert best.ranks[0] > 0.99


meetings = st.lists(
    st.tuples(
        st.sampled_from([("a", "b"), ("b", "c"), ("a", "c")]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 5)
    ),
    min_size=1,
    max_size=25,
)


@given(meetings, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_ratings_do_not_depend_on_the_order_of_meetings_nor_on_who_is_named_first(
    found: list[tuple[tuple[str, str], float, int]], rng: random.Random
) -> None:
    made = [Meeting(card=f"c{card}", one=one, other=other, score=score) for (one, other), score, card in found]
    turned = [
        Meeting(card=m.card, one=m.other, other=m.one, score=1 - m.score) if rng.random() < 0.5 else m for m in made
    ]
    straight = rate(made, NAMES)
    other = rate(rng.sample(turned, len(turned)), NAMES)
    for one, two in zip(straight, other, strict=True):
        assert one.rating == pytest.approx(two.rating, abs=1e-6)
        assert (one.n, one.wins, one.ties, one.losses) == (two.n, two.wins, two.ties, two.losses)
    assert sum(one.rating for one in straight) == pytest.approx(3000)


def test_ranks_of_each_supporter_and_of_each_place_sum_to_one() -> None:
    found = rate([*met([1, 0.5, 1, 0]), *met([1, 1, 0, 1], "b", "c"), *met([1, 1, 1, 0.5], "a", "c")], NAMES)
    ranks = np.array([one.ranks for one in found])
    assert np.allclose(ranks.sum(axis=0), 1)
    assert np.allclose(ranks.sum(axis=1), 1)


def test_one_order_of_elo_is_evalicas() -> None:
    rng = random.Random(4)
    made = [
        Meeting(card=str(at), one=one, other=other, score=rng.choice((0.0, 0.5, 1.0)))
        for at in range(60)
        for one, other in [rng.sample(NAMES, 2)]
    ]
    winner = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    theirs = evalica.elo(
        [m.one for m in made], [m.other for m in made], [winner[m.score] for m in made], initial=1000, k=32
    ).scores
    assert np.allclose(elo_ratings(made, NAMES, n_orders=1), [theirs[name] for name in NAMES], atol=1e-6)


def test_elo_over_many_orders_hardly_depends_on_the_order_given() -> None:
    made = met([1.0] * 15 + [0.0] * 10 + [0.5] * 5)
    one, other = elo_ratings(made, NAMES[:2]), elo_ratings(made[::-1], NAMES[:2], seed=1)
    assert np.allclose(one, other, atol=3)
    assert one.sum() == pytest.approx(2000)
    # One order of the same meetings says something else.
    assert abs(elo_ratings(made, NAMES[:2], n_orders=1)[0] - one[0]) > 10


def test_a_single_card_has_no_interval() -> None:
    (one, _) = rate(met([1.0]), NAMES[:2])
    assert (one.low, one.high, one.ranks, one.reason) == (None, None, (), "one card")


def test_who_is_unknown_or_meets_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="no meeting of two"):
        rate(met([1.0], "a", "a"), NAMES)
    with pytest.raises(ValueError, match="no meeting of two"):
        rate(met([1.0], "a", "d"), NAMES)


def test_a_95_percent_interval_holds_the_true_rating_in_93_to_98_percent_of_simulations() -> None:
    strengths = (0.8, 0.0, -0.8)
    rng = np.random.default_rng(11)
    pairs = [(0, 1), (0, 2), (1, 2)]
    odds = [
        np.array([p[0] for p in probabilities(np.array([strengths[i] - strengths[j]]), np.array(0.0))])
        for i, j in pairs
    ]
    held = asked = 0
    for _ in range(60):
        made = [
            Meeting(card=f"c{card}", one=NAMES[i], other=NAMES[j], score=float(rng.choice((1.0, 0.5, 0.0), p=p)))
            for card in range(40)
            for (i, j), p in zip(pairs, odds, strict=True)
        ]
        for one, true in zip(rate(made, NAMES), strengths, strict=True):
            assert one.low is not None
            assert one.high is not None
            held += one.low <= 1000 + POINTS * true <= one.high
            asked += 1
    assert 0.93 <= held / asked <= 0.98
