"""A monotone map from a scorer's expected label to people's, and whether it helps where it was not made.

Plain numbers in and out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from statistics import fmean
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from escl.stats.cluster import ClusteredMean, clustered_mean

MIN_CARDS: Final = 10
"""So many cards make the map, and so many others check it, at least."""

_Label = Annotated[float, Meta(ge=0, le=4)]


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """One dialogue: the scorer's expected label and the mean of people's labels, both 0-4."""

    cluster: str
    expected: float
    people: float


class MonotoneMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Straight lines between knots (expected label, people's label); flat beyond the first and the last.

    Attributes:
        knots: The first numbers rise, the second do not fall.
    """

    knots: Annotated[tuple[tuple[_Label, _Label], ...], Meta(min_length=1, max_length=100_000)]

    def __post_init__(self) -> None:
        for (x, y), (next_x, next_y) in zip(self.knots, self.knots[1:], strict=False):
            if not (x < next_x and y <= next_y):
                raise ValueError("the knots of a map must rise")

    def __call__(self, expected: float) -> float:
        """Return the people's label that an expected label stands for."""
        at = bisect_right(self.knots, expected, key=lambda knot: knot[0])
        if at == 0:
            return self.knots[0][1]
        if at == len(self.knots):
            return self.knots[-1][1]
        (x, y), (next_x, next_y) = self.knots[at - 1 : at + 1]
        return y + (next_y - y) * (expected - x) / (next_x - x)


class Recalibrated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A map and its check.

    Attributes:
        map: None when too few cards could make one.
        n_fit_cards: Cards that made the map.
        n_check_cards: Cards that checked it.
        error_before: Mean squared error against people on the checking cards, in squared labels.
        error_after: The same with the map.
        gain: How much smaller the squared error is with the map, interval clustered by card.
        helps: Whether the interval of the gain lies above 0.
        reason: Why it does not, or in how far it does.
    """

    map: MonotoneMap | None
    n_fit_cards: int
    n_check_cards: int
    error_before: float | None
    error_after: float | None
    gain: ClusteredMean
    helps: bool
    reason: str


def recalibrate(dialogues: Sequence[Matched], *, fit_on: Collection[str]) -> Recalibrated:
    """Return the map that the dialogues on some cards make, checked on the dialogues of all others.

    Args:
        dialogues: Of one language and dimension.
        fit_on: The cards that make the map.
    """
    fit = [each for each in dialogues if each.cluster in fit_on]
    check = [each for each in dialogues if each.cluster not in fit_on]
    n_fit, n_check = (len({each.cluster for each in part}) for part in (fit, check))
    if min(n_fit, n_check) < MIN_CARDS:
        return Recalibrated(
            map=None,
            n_fit_cards=n_fit,
            n_check_cards=n_check,
            error_before=None,
            error_after=None,
            gain=clustered_mean([], []),
            helps=False,
            reason=f"{n_fit} cards to learn from and {n_check} to check on are too few: {MIN_CARDS} of each at least",
        )
    made = monotone_map(fit)
    before = [(each.expected - each.people) ** 2 for each in check]
    after = [(made(each.expected) - each.people) ** 2 for each in check]
    gain = clustered_mean([b - a for b, a in zip(before, after, strict=True)], [each.cluster for each in check])
    helps, reason = _judged(gain, n_levels=len({made(each.expected) for each in check}))
    return Recalibrated(
        map=made,
        n_fit_cards=n_fit,
        n_check_cards=n_check,
        error_before=fmean(before),
        error_after=fmean(after),
        gain=gain,
        helps=helps,
        reason=reason,
    )


def monotone_map(dialogues: Sequence[Matched]) -> MonotoneMap:
    """Return the non-decreasing map with the least squared error.

    Isotonic regression by pooling adjacent violators (Ayer et al., "An empirical distribution function for sampling
    with incomplete information", Annals of Mathematical Statistics 26, 1955), equal expected labels pooled first;
    between its values straight lines (Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass
    probability estimates", KDD 2002, use it so to calibrate).
    """
    # Deferred: scipy takes a noticeable part of a second to import.
    from scipy.optimize import isotonic_regression

    groups: dict[float, list[float]] = {}
    for each in dialogues:
        groups.setdefault(each.expected, []).append(each.people)
    expected = sorted(groups)
    fitted = isotonic_regression(
        [fmean(groups[x]) for x in expected], weights=[float(len(groups[x])) for x in expected]
    ).x.tolist()
    knots = [(x, min(4.0, max(0.0, y))) for x, y in zip(expected, fitted, strict=True)]
    inner = range(1, len(knots) - 1)
    # Within a flat stretch only its ends say anything.
    needless = {at for at in inner if knots[at - 1][1] == knots[at][1] == knots[at + 1][1]}
    return MonotoneMap(knots=tuple(knot for at, knot in enumerate(knots) if at not in needless))


def _judged(gain: ClusteredMean, *, n_levels: int) -> tuple[bool, str]:
    if n_levels < 2:
        return False, "every dialogue would get the same score: the scorer's order says nothing about people's labels"
    if gain.low is None or gain.mean is None:
        return False, "the cards that check it cannot vary"
    if gain.low > 0:
        return True, "the error is smaller on cards that it was not made from"
    if gain.high is not None and gain.high < 0:
        return False, "the error is larger on cards that it was not made from"
    return False, "not shown to make the error smaller on cards that it was not made from"
