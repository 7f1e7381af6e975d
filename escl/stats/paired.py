"""Is one supporter better than another? Differences card by card, with a verdict in words.

Knows no run: what is paired comes as values by card. The unit is points on the 0-100 scale.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from escl.core.message import Message
from escl.stats.cluster import ALIKE, ClusteredMean, clustered_mean, without_width
from escl.stats.equivalence import FEW_CARDS, cards_needed, equivalence
from escl.stats.permutation import holm, sign_flip_p, smallest_p
from escl.stats.points import NONE_SHOWN, alike_said, stuck_said
from escl.stats.power import cards_for, detectable
from escl.stats.proportion import unseen

Verdict = Literal["better", "worse", "equivalent", "cannot tell"]

SIGNIFICANT: Final = 0.05

_ROUNDING: Final = 1e-7
"""A deviation up to this, a billionth of the scale, comes of rounding."""

_MISSING: Final = {True: "no value of the second", False: "no value of the first"}
"""By whether the first has a value."""


class PairedValues(msgspec.Struct, frozen=True, kw_only=True):
    """What two supporters got on the same cards in one dimension, 0-100.

    Attributes:
        differences: Mean of the first minus mean of the second over the repeats, by card.
        left_out: Number of cards without a difference, by reason.
        n_one_sided: How many of those only one of the two has a value for.
        stuck: The label that the scorer gives both on nearly every dialogue, one for each dimension in the values;
            empty where it moves in one of them.
    """

    differences: dict[str, float]
    left_out: dict[str, int] = {}
    n_one_sided: int = 0
    stuck: tuple[int, ...] = ()


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How the first supporter compares with the second in one dimension.

    Attributes:
        difference: Mean paired difference in points of 100, with its 95 % interval; without where all cards are alike.
        n_cards: Cards in it.
        left_out: Cards not in it, by reason.
        p: Of the sign-flip permutation test; None without cards.
        p_holm: The same, adjusted for the dimensions it was tested with.
        effect: Hedges' g of the paired differences; None where it is undefined.
        deviation: Standard deviation of the differences over cards.
        detectable: The difference that this many cards show with probability 0.8; None below two cards, or when all
            are alike.
        verdict: About the first supporter.
        reason: The verdict's, in words; a `Message` as `compare` makes it.
        cards_needed: With how many cards a verdict could be expected if the difference is what it seems.
        n_differing: Cards on which the two differ by `NONE_SHOWN` or more.
        unseen: The share of cards that may still differ where all are alike; None where they are not.
        stuck: As `PairedValues` has it. There being alike is no evidence.
    """

    difference: ClusteredMean
    n_cards: int
    left_out: dict[str, int]
    p: float | None
    p_holm: float | None
    effect: float | None
    deviation: float | None
    detectable: float | None
    verdict: Verdict
    reason: str
    cards_needed: int | None = None
    n_differing: int = 0
    unseen: float | None = None
    stuck: tuple[int, ...] = ()

    @property
    def rests_on_few(self) -> bool:
        """Whether the interval comes from a few cards that differ among others that do not."""
        return self.difference.low is not None and self.n_differing < FEW_CARDS <= self.n_cards


def pair_up(first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]]) -> PairedValues:
    """Return the differences of two supporters' values by card; a card's repeats are averaged first.

    A card that one of them was asked for in vain is one-sided; one that it was never asked for is not, for that says
    nothing about it.

    Args:
        first: Values (0-100) by card; an empty list for a card that was asked for and gave none.
        second: The same of the other supporter.
    """
    differences: dict[str, float] = {}
    left_out: Counter[str] = Counter()
    for card in [*first, *(card for card in second if card not in first)]:
        one, other = first.get(card), second.get(card)
        if one and other:
            differences[card] = math.fsum(one) / len(one) - math.fsum(other) / len(other)
        elif one is None or other is None:
            left_out[f"not played with the {'first' if one is None else 'second'}"] += 1
        elif not one and not other:
            left_out["no value of either"] += 1
        else:
            left_out[_MISSING[bool(one)]] += 1
    one_sided = sum(left_out[reason] for reason in _MISSING.values())
    return PairedValues(differences=differences, left_out=dict(left_out), n_one_sided=one_sided)


def pooled(parts: Mapping[str, PairedValues]) -> PairedValues:
    """Return the parts as one sample in which each card counts the same; cards are named "part/card"."""
    left_out: Counter[str] = Counter()
    for paired in parts.values():
        left_out.update(paired.left_out)
    return PairedValues(
        differences={f"{name}/{card}": d for name, paired in parts.items() for card, d in paired.differences.items()},
        left_out=dict(left_out),
        n_one_sided=sum(paired.n_one_sided for paired in parts.values()),
    )


def compare(values: Mapping[str, PairedValues], *, margin: float) -> dict[str, Comparison]:
    """Return a comparison for each dimension, with p adjusted for testing them all.

    Args:
        values: By dimension.
        margin: How many points of 100 count as no difference.
    """
    p_values = {name: sign_flip_p(list(paired.differences.values())) for name, paired in values.items()}
    adjusted = holm(p_values)
    return {
        name: _comparison(paired, p=p_values[name], p_holm=adjusted[name], tests=len(values), margin=margin)
        for name, paired in values.items()
    }


def hedges_g(differences: Sequence[float]) -> float | None:
    """Return the effect size of paired differences: their mean over their standard deviation, less its small bias.

    d_z of Cohen ("Statistical Power Analysis for the Behavioral Sciences", 1988, section 2.3.5) times Hedges' exact
    correction gamma(m/2) / (sqrt(m/2) gamma((m-1)/2)), m = n - 1 (Hedges, Journal of Educational Statistics 6, 1981).
    None below three cards (the correction has no value there), or without any spread.
    """
    n = len(differences)
    deviation = standard_deviation(differences)
    # Differences that are equal on paper may differ in the last digit.
    if n < 3 or deviation is None or deviation <= _ROUNDING:
        return None
    m = n - 1
    correction = math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)
    return math.fsum(differences) / n / deviation * correction


def standard_deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation, None below two values."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _comparison(
    paired: PairedValues, *, p: float | None, p_holm: float | None, tests: int, margin: float
) -> Comparison:
    cards, differences = list(paired.differences), list(paired.differences.values())
    found = clustered_mean(differences, cards, lowest=-100, highest=100)
    deviation = standard_deviation(differences)
    verdict, reason = _verdict(found, paired, p_holm=p_holm, tests=tests, margin=margin)
    shown = without_width(found)
    alike = shown.reason == ALIKE
    is_open = verdict == "cannot tell" and not paired.stuck
    return Comparison(
        difference=shown,
        n_cards=len(cards),
        left_out=paired.left_out,
        p=p,
        p_holm=p_holm,
        effect=hedges_g(differences),
        deviation=deviation,
        detectable=None if deviation is None or alike else detectable(len(cards), deviation),
        verdict=verdict,
        reason=reason,
        cards_needed=_would_decide(found, margin=margin) if is_open else None,
        n_differing=sum(abs(value) >= NONE_SHOWN for value in differences),
        unseen=unseen(len(cards)) if alike else None,
        stuck=paired.stuck,
    )


def _verdict(
    found: ClusteredMean, paired: PairedValues, *, p_holm: float | None, tests: int, margin: float
) -> tuple[Verdict, Message]:
    """Return the verdict and why: better or worse by the adjusted p, equivalent by the interval.

    With two cards or more a small p without the interval clear of 0 is no verdict either: both must say it. Where the
    scorer does not move, that the two are alike is no evidence of it.
    """
    same = equivalence(found, margin=margin, n_one_sided=paired.n_one_sided)
    if found.mean is None or found.low is None or found.high is None:
        return "cannot tell", Message("compared.no-card" if found.mean is None else "compared.one-card")
    is_clear = found.low > 0 or found.high < 0
    if p_holm is not None and p_holm <= SIGNIFICANT and is_clear:
        key = "compared.p-small" if same.verdict == "equivalent" else "compared.p"
        return ("better" if found.mean > 0 else "worse"), Message(key, {"p": p_holm, "margin": margin})
    if paired.stuck:
        return "cannot tell", stuck_said(paired.stuck)
    if same.verdict == "equivalent":
        alike = without_width(found).reason == ALIKE
        within = Message("compared.within", {"margin": margin})
        return "equivalent", alike_said(found.mean, unseen(found.n_clusters)) if alike else within
    n = len(paired.differences)
    if smallest_p(n) * tests > SIGNIFICANT:
        return "cannot tell", Message("compared.few-cards", {"n": n, "p": SIGNIFICANT})
    if paired.n_one_sided and not is_clear:
        return "cannot tell", Message("compared.one-sided", {"n": paired.n_one_sided})
    if is_clear and p_holm is not None:
        return "cannot tell", Message("compared.p", {"p": p_holm})
    return "cannot tell", Message("compared.open", {"margin": margin})


def _would_decide(found: ClusteredMean, *, margin: float) -> int | None:
    """Return how many cards would show either that there is a difference or that it is within the margin."""
    if found.mean is None or found.error is None:
        return None
    to_differ = cards_for(abs(found.mean), found.error * math.sqrt(found.n_clusters))
    to_equal = cards_needed(found, margin=margin) if abs(found.mean) < margin else None
    needed = [n for n in (to_differ, to_equal) if n is not None]
    # Who came close without luck is told to get more than there are.
    return max(min(needed), found.n_clusters + 1) if needed else None
