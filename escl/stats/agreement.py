"""How far two scorers, or two builds of one, say the same about the same dialogues.

Plain numbers in, numbers with their uncertainty out. What each number can and cannot show is in docs/judge-fidelity.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

import msgspec

from escl.core.dimension import LABEL_TO_PERCENT, LABELS
from escl.stats.cluster import ClusteredMean, clustered_mean
from escl.stats.equivalence import Equivalence, equivalence
from escl.stats.labels import SATURATED


class Rated(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer's reading of one dimension of one dialogue.

    Attributes:
        label: Its answer, 0 to 4.
        masses: Probability of the labels 0 to 4, then of everything else; at least one of the labels has some.
    """

    label: int
    masses: tuple[float, float, float, float, float, float]

    @property
    def expected(self) -> float:
        """Return the mean label (0-4) under the probabilities, renormalized over the labels."""
        return sum(label * self.masses[label] for label in LABELS) / sum(self.masses[:-1])


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The same dimension of the same dialogue as both read it.

    Attributes:
        cluster: The role card.
        scorer: None when it gave no label.
        against: The same of the other one.
        missing: Why a reading is not there, in a few words; None when both are.
    """

    cluster: str
    scorer: Rated | None
    against: Rated | None
    missing: str | None = None


class Flips(msgspec.Struct, frozen=True, kw_only=True):
    """How often the label itself is another one.

    Attributes:
        share: Of the pairs.
        low: Lower end of the 95 % interval.
        raised: Pairs in which the scorer's label is the higher one.
        lowered: Pairs in which it is the lower one.
    """

    share: float
    low: float
    high: float
    raised: int
    lowered: int


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs of one language and dimension come to. Without pairs the statistics are None; `reason` says why.

    Attributes:
        n_asked: Dialogues.
        n_used: Of these, the ones that both gave a label.
        n_one_sided: Of the others, the ones that one of the two gave a label.
        failed: Dialogues left out, by reason.
        exact: Share of pairs with the same label.
        within_one: Share of pairs whose labels are at most one apart.
        by_chance: Share with the same label that two independent scorers with these label counts would reach.
        kappa: Quadratic weighted kappa; None where `kappa_reason` says why.
        modal_share: The share of the commonest label of the reference.
        saturated: Whether that share is so high that exact agreement and kappa say little.
        shift: Mean of the scorer's expected label minus the reference's, in points of 100, interval clustered by card.
        js_bits: Mean Jensen-Shannon divergence of the two distributions, 0 to 1 bit.
        kl_bits: Mean Kullback-Leibler divergence of the scorer from the reference; None where `kl_reason` says why.
        equivalence: Whether the shift is within the margin.
    """

    n_asked: int
    n_used: int
    n_one_sided: int
    failed: dict[str, int]
    exact: float | None
    within_one: float | None
    by_chance: float | None
    kappa: float | None
    kappa_reason: str | None
    flips: Flips | None
    modal_share: float | None
    saturated: bool | None
    shift: ClusteredMean
    js_bits: float | None
    kl_bits: float | None
    kl_reason: str | None
    equivalence: Equivalence
    reason: str | None = None


def agreement(pairs: Sequence[Pair], *, margin: float) -> Agreement:
    """Return what the pairs come to.

    Args:
        pairs: Of one language and dimension.
        margin: How many points of 100 the mean may shift and still count as the same.
    """
    both = [(p.cluster, p.scorer, p.against) for p in pairs if p.scorer is not None and p.against is not None]
    clusters = [cluster for cluster, _, _ in both]
    scorer, against = [rated for _, rated, _ in both], [rated for _, _, rated in both]
    labels, reference = [rated.label for rated in scorer], [rated.label for rated in against]
    n_one_sided = sum((p.scorer is None) is not (p.against is None) for p in pairs)
    shift = clustered_mean(
        [(a.expected - b.expected) * LABEL_TO_PERCENT for a, b in zip(scorer, against, strict=True)],
        clusters,
        lowest=-100,
        highest=100,
    )
    modal = max(Counter(reference).values()) / len(reference) if reference else None
    kappa, kappa_reason = quadratic_weighted_kappa(labels, reference)
    kl, kl_reason = _mean_kl(against, scorer)
    return Agreement(
        n_asked=len(pairs),
        n_used=len(both),
        n_one_sided=n_one_sided,
        failed=dict(Counter(p.missing or "no label" for p in pairs if p.scorer is None or p.against is None)),
        exact=_share_within(0, labels, reference),
        within_one=_share_within(1, labels, reference),
        by_chance=_by_chance(labels, reference),
        kappa=kappa,
        kappa_reason=kappa_reason,
        flips=_flips(labels, reference, n_clusters=len(set(clusters))),
        modal_share=modal,
        saturated=None if modal is None else modal >= SATURATED,
        shift=shift,
        js_bits=_mean([jensen_shannon_bits(a.masses, b.masses) for a, b in zip(scorer, against, strict=True)]),
        kl_bits=kl,
        kl_reason=kl_reason,
        equivalence=equivalence(shift, margin=margin, n_one_sided=n_one_sided),
        reason=None if both else "no dialogue has a label of both",
    )


def quadratic_weighted_kappa(one: Sequence[int], other: Sequence[int]) -> tuple[float | None, str | None]:
    """Return Cohen's kappa with quadratic weights, or None and the reason.

    1 - sum(w O) / sum(w E) with w = (i - j)^2, O the observed table and E the one of independent raters with the same
    margins (Cohen, "Weighted kappa", Psychological Bulletin 70, 1968). Undefined where E has no disagreement.
    """
    if not one:
        return None, "no dialogue has a label of both"
    first, second = Counter(one), Counter(other)
    expected = sum(n * m * (i - j) ** 2 for i, n in first.items() for j, m in second.items()) / len(one)
    if expected == 0:
        return None, f"both give every dialogue the label {one[0]}"
    observed = sum((i - j) ** 2 for i, j in zip(one, other, strict=True))
    return 1 - observed / expected, None


def jensen_shannon_bits(p: Sequence[float], q: Sequence[float]) -> float:
    """Return the Jensen-Shannon divergence of two distributions in bits: 0 when they are equal, 1 when disjoint.

    H((p + q) / 2) - (H(p) + H(q)) / 2 (Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on
    Information Theory 37, 1991), written as the mean of two Kullback-Leibler divergences. Both are normalized first.
    """
    p, q = _normalized(p), _normalized(q)
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    # Rounding may leave the last bits on the wrong side of the bounds.
    return min(1.0, max(0.0, (kullback_leibler_bits(p, middle) + kullback_leibler_bits(q, middle)) / 2))


def kullback_leibler_bits(p: Sequence[float], q: Sequence[float]) -> float:
    """Return the divergence of `q` from the reference `p` in bits; infinite where `q` rules out what `p` does not.

    sum p log2(p / q) (Kullback and Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22,
    1951). Both are normalized first.
    """
    p, q = _normalized(p), _normalized(q)
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return math.inf
    # The difference of logarithms, because a / b may overflow.
    return max(0.0, math.fsum(a * (math.log2(a) - math.log2(b)) for a, b in zip(p, q, strict=True) if a > 0))


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share of `n` independent items; even the share 0 has one with a width.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    z = NormalDist().inv_cdf(0.975)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _flips(labels: Sequence[int], reference: Sequence[int], *, n_clusters: int) -> Flips | None:
    """Return the flips; their interval takes all dialogues of a card for one, which is the most cautious reading."""
    if not labels:
        return None
    raised = sum(a > b for a, b in zip(labels, reference, strict=True))
    lowered = sum(a < b for a, b in zip(labels, reference, strict=True))
    share = (raised + lowered) / len(labels)
    low, high = wilson_interval(share, n_clusters)
    return Flips(share=share, low=low, high=high, raised=raised, lowered=lowered)


def _share_within(distance: int, labels: Sequence[int], reference: Sequence[int]) -> float | None:
    return _mean([float(abs(a - b) <= distance) for a, b in zip(labels, reference, strict=True)])


def _by_chance(labels: Sequence[int], reference: Sequence[int]) -> float | None:
    """Return the exact agreement by chance, as in Cohen, "A coefficient of agreement for nominal scales", 1960."""
    if not labels:
        return None
    first, second = Counter(labels), Counter(reference)
    return sum(n * second[label] for label, n in first.items()) / len(labels) ** 2


def _mean_kl(reference: Sequence[Rated], scorer: Sequence[Rated]) -> tuple[float | None, str | None]:
    found = [kullback_leibler_bits(b.masses, a.masses) for b, a in zip(reference, scorer, strict=True)]
    if infinite := sum(math.isinf(value) for value in found):
        return None, f"infinite in {infinite} of {len(found)}: a label that the reference allows has probability 0"
    return _mean(found), None if found else "no dialogue has a label of both"


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _normalized(masses: Sequence[float]) -> list[float]:
    total = math.fsum(masses)
    return [mass / total for mass in masses]
