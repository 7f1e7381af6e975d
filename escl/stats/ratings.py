"""Ratings from pairwise comparisons: Bradley-Terry with ties on the scale of Elo, how sure it is, and Elo itself.

Knows names, scores and cards; no judge and no file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from escl.stats.davidson import Fit, fit, reach
from escl.stats.draws import SEED, card_weights, widened

Floats = npt.NDArray[np.float64]

MEAN_RATING: Final = 1000.0
"""Of all supporters that are rated together."""
POINTS: Final = 400 / math.log(10)
"""Elo's scale: 400 points for odds of 10 to 1."""

ELO_K: Final = 32.0
ELO_ORDERS: Final = 400

_LOT: Final = 1e-6


class Meeting(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison.

    Attributes:
        score: Of the one: 1 won, 0 lost, 0.5 tied.
    """

    card: str
    one: str
    other: str
    score: float


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """One supporter among those it was compared with.

    Attributes:
        n: Comparisons.
        rating: Of Bradley-Terry with ties, in Elo's points; the mean over all supporters is 1000.
        low: Lower end of the 95 % interval; None when it cannot be computed, and `reason` says why.
        elo: Elo's own rating, the mean over many orders of the comparisons.
        ranks: Probability of each rank, the first rank first; empty without an interval.
    """

    supporter: str
    n: int
    wins: int
    ties: int
    losses: int
    rating: float
    low: float | None
    high: float | None
    elo: float
    ranks: tuple[float, ...] = ()
    reason: str | None = None


def rate(meetings: Sequence[Meeting], supporters: Sequence[str], *, seed: int = SEED) -> list[Rating]:
    """Return a rating for each supporter, in the given order.

    Intervals and ranks come from drawing cards again (`escl.stats.draws`), each draw fitted anew with the same prior
    (`escl.stats.davidson`); the interval is from the 2.5th to the 97.5th percentile.

    Raises:
        ValueError: A meeting of someone who is not among the supporters, or with itself.
    """
    wins, ties, cards = counts(meetings, supporters)
    best = fit(wins.sum(axis=0)[None], ties.sum(axis=0)[None])
    found = _points(best.strengths)[0]
    elo = elo_ratings(meetings, supporters, seed=seed)
    draws = None if len(cards) < 2 else _draws(wins, ties, best, seed=seed)
    return [_rating(at, name, meetings, found=found, elo=elo, draws=draws) for at, name in enumerate(supporters)]


def counts(meetings: Sequence[Meeting], supporters: Sequence[str]) -> tuple[Floats, Floats, list[str]]:
    """Return wins and ties, each [cards, supporters, supporters] as `escl.stats.davidson` has them, and the cards."""
    place = {name: at for at, name in enumerate(supporters)}
    cards = list(dict.fromkeys(meeting.card for meeting in meetings))
    row = {card: at for at, card in enumerate(cards)}
    wins = np.zeros((len(cards), len(place), len(place)))
    ties = np.zeros_like(wins)
    for meeting in meetings:
        if meeting.one == meeting.other or not {meeting.one, meeting.other} <= place.keys():
            raise ValueError(f"{meeting.one} against {meeting.other} is no meeting of two of the supporters")
        one, other, card = place[meeting.one], place[meeting.other], row[meeting.card]
        if meeting.score == 0.5:
            ties[card, one, other] += 1
            ties[card, other, one] += 1
        elif meeting.score > 0.5:
            wins[card, one, other] += 1
        else:
            wins[card, other, one] += 1
    return wins, ties, cards


def elo_ratings(
    meetings: Sequence[Meeting],
    supporters: Sequence[str],
    *,
    k: float = ELO_K,
    n_orders: int = ELO_ORDERS,
    seed: int = SEED,
) -> Floats:
    """Return Elo ratings, the mean over random orders of the meetings; with one order, the given one.

    From 1000 on, each meeting moves both by k times the score less the expected score, which for a lead of d points is
    1 / (1 + 10^(-d/400)) (Elo, "The Rating of Chessplayers", 1978). The order matters to the result, so many are
    averaged.
    """
    place = {name: at for at, name in enumerate(supporters)}
    one = np.array([place[meeting.one] for meeting in meetings], dtype=np.int64)
    other = np.array([place[meeting.other] for meeting in meetings], dtype=np.int64)
    score = np.array([meeting.score for meeting in meetings], dtype=np.float64)
    rng = np.random.default_rng([seed, 2])
    order = np.tile(np.arange(len(meetings)), (n_orders, 1))
    if n_orders > 1:
        order = rng.permuted(order, axis=1)
    ratings = np.full((n_orders, len(place)), MEAN_RATING)
    rows = np.arange(n_orders)
    for at in order.T:
        a, b = one[at], other[at]
        expected = 1 / (1 + 10 ** ((ratings[rows, b] - ratings[rows, a]) / 400))
        change = k * (score[at] - expected)
        ratings[rows, a] += change
        ratings[rows, b] -= change
    mean: Floats = ratings.mean(axis=0)
    return mean


def _draws(wins: Floats, ties: Floats, best: Fit, *, seed: int) -> Floats:
    """Return draws of all ratings, [draws, supporters]."""
    n_cards, n, _ = wins.shape
    weights = card_weights(n_cards, seed=seed)
    drawn_wins = (weights @ wins.reshape(n_cards, -1)).reshape(-1, n, n)
    drawn_ties = (weights @ ties.reshape(n_cards, -1)).reshape(-1, n, n)
    drawn = fit(drawn_wins, drawn_ties)
    places = np.concatenate([drawn.strengths, drawn.tie[:, None]], axis=1)
    goes = partial(reach, best, wins.sum(axis=0), ties.sum(axis=0))
    places = widened(places, np.linalg.inv(best.information[0]), reach=goes, seed=seed)
    # Equal draws share their ranks by lot.
    lot = np.random.default_rng([seed, 3]).standard_normal((len(places), n)) * _LOT
    return _points(places[:, :n]) + lot


def _points(strengths: Floats) -> Floats:
    points: Floats = MEAN_RATING + POINTS * (strengths - strengths.mean(axis=1, keepdims=True))
    return points


def _rating(
    at: int, name: str, meetings: Sequence[Meeting], *, found: Floats, elo: Floats, draws: Floats | None
) -> Rating:
    scores = [m.score if m.one == name else 1 - m.score for m in meetings if name in (m.one, m.other)]
    low = high = None
    ranks: tuple[float, ...] = ()
    if draws is not None:
        low, high = (float(end) for end in np.percentile(draws[:, at], (2.5, 97.5)))
        better = (draws > draws[:, [at]]).sum(axis=1)
        ranks = tuple(float((better == rank).mean()) for rank in range(len(found)))
    return Rating(
        supporter=name,
        n=len(scores),
        wins=sum(score > 0.5 for score in scores),
        ties=sum(score == 0.5 for score in scores),
        losses=sum(score < 0.5 for score in scores),
        rating=float(found[at]),
        low=low,
        high=high,
        elo=float(elo[at]),
        ranks=ranks,
        reason="one card" if draws is None else None,
    )
