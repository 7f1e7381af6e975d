"""What a run's readings say about each supporter, per language and dimension.

Every mean carries how many dialogues it is made of, how many were asked for, and why the others are missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from escl.core.dimension import LABEL_TO_PERCENT, Dimension, Language
from escl.stats.cluster import ClusteredMean, clustered_mean, scaled
from escl.stats.labels import LabelSpread, label_spread
from escl.stats.variance import Variances, variances


# Of numbers and texts only, in hundreds of thousands: the cycle collector would look through them again and again.
class ScoredDialogue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One dialogue in one respect, read or not.

    Attributes:
        cluster: The card.
        crisis: Whether the card is a crisis card; those never enter a quality mean.
        expected: Mean label (0-4) under the scorer's probabilities; None when missing.
        label: The scorer's label; None when missing.
        missing: Why there is no label, in a few words; None when there is one.
        repeat: Which dialogue on the card, 0 for the first.
        upstream_label: What ESC-Eval's score.py makes of the same reply, -1 included; None without a reply.
    """

    supporter: str
    language: Language
    cluster: str
    crisis: bool
    expected: float | None
    label: int | None
    missing: str | None
    upstream_label: int | None = None
    repeat: int = 0


class Scored(ScoredDialogue, frozen=True, kw_only=True, gc=False):
    """One of the seven dimensions of one dialogue, read or not."""

    dimension: Dimension


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """One supporter in one respect and language.

    Attributes:
        score: Expected label on the 0-100 scale, interval clustered by card.
        label_score: Mean of the argmax labels on the 0-100 scale, as upstream reports; None without labels.
        n_used: Dialogues in the means.
        n_asked: Dialogues planned.
        failed: Number of dialogues left out, by reason.
        label_counts: How often each label 0..4 was given.
        upstream_counts: How often ESC-Eval's score.py would have found each label in the same replies, by label; -1 is
            its sign for none.
        upstream_score: Mean of those labels on the 0-100 scale, without the -1; None without labels.
        expected_0_4: The same as `score` on the scale of the labels.
        label_0_4: Mean of the argmax labels, interval clustered by card.
        spread: How the argmax labels are spread; None without any.
        variances: Of the score between cards and between repeats on one card, in squared points.
    """

    supporter: str
    language: Language
    crisis: bool
    score: ClusteredMean
    label_score: float | None
    n_used: int
    n_asked: int
    failed: dict[str, int]
    label_counts: tuple[int, int, int, int, int]
    upstream_counts: dict[int, int] = {}
    upstream_score: float | None = None
    expected_0_4: ClusteredMean | None = None
    label_0_4: ClusteredMean | None = None
    spread: LabelSpread | None = None
    variances: Variances | None = None


class Cell(Tally, frozen=True, kw_only=True):
    """One supporter in one of the seven dimensions and one language."""

    dimension: Dimension


def summarize(scored: Iterable[Scored]) -> list[Cell]:
    """Return a cell for each supporter, language and dimension that was asked for, crisis cards apart."""
    groups: dict[tuple[bool, Language, str, Dimension], list[Scored]] = {}
    for item in scored:
        groups.setdefault((item.crisis, item.language, item.supporter, item.dimension), []).append(item)
    return [
        Cell(dimension=dimension, **msgspec.structs.asdict(_tally(items)))
        for (_, _, _, dimension), items in groups.items()
    ]


def tally(scored: Iterable[ScoredDialogue]) -> list[Tally]:
    """Return one dimension's numbers for each supporter and language that was asked for, crisis cards apart."""
    groups: dict[tuple[bool, Language, str], list[ScoredDialogue]] = {}
    for item in scored:
        groups.setdefault((item.crisis, item.language, item.supporter), []).append(item)
    return [_tally(items) for items in groups.values()]


class Average(msgspec.Struct, frozen=True, kw_only=True):
    """One supporter's average of the seven dimensions, in one language.

    Attributes:
        crisis: Whether this is about crisis cards, whose scores are in no other number.
        score: Mean on the 0-100 scale; dialogues that lack a dimension are not in it.
    """

    supporter: str
    language: Language
    crisis: bool
    score: ClusteredMean


def average_scores(scored: Iterable[Scored]) -> list[Average]:
    """Return the average for each supporter and language, crisis cards apart and last."""
    groups: dict[tuple[bool, Language, str], list[Scored]] = {}
    for item in scored:
        groups.setdefault((item.crisis, item.language, item.supporter), []).append(item)
    return [
        Average(supporter=supporter, language=language, crisis=crisis, score=average_score(groups[key]))
        for key in sorted(groups, key=lambda key: (key[0], list(Language).index(key[1])))
        for crisis, language, supporter in [key]
    ]


def average_score(scored: Iterable[Scored]) -> ClusteredMean:
    """Return the mean over dialogues of the average of the seven dimensions, on the 0-100 scale.

    Args:
        scored: Of one supporter.
    """
    known = [(mean * LABEL_TO_PERCENT, card) for (card, _), mean in averages(scored).items() if mean is not None]
    return clustered_mean([value for value, _ in known], [card for _, card in known], lowest=0, highest=100)


def averages(scored: Iterable[Scored]) -> dict[tuple[str, int], float | None]:
    """Return the mean expected label (0-4) over the seven dimensions of each dialogue, by card and repeat.

    None where a dimension is missing: a mean over the others would be of something else.

    Args:
        scored: Of one supporter.
    """
    dialogues: dict[tuple[str, int], list[float | None]] = {}
    for item in scored:
        dialogues.setdefault((item.cluster, item.repeat), []).append(item.expected)
    return {
        key: sum(known) / len(known) if len(known := [v for v in values if v is not None]) == len(Dimension) else None
        for key, values in dialogues.items()
    }


def _tally(items: Sequence[ScoredDialogue]) -> Tally:
    used = [(item.expected, item.label, item.cluster) for item in items]
    complete = [
        (expected, label, cluster) for expected, label, cluster in used if expected is not None and label is not None
    ]
    labels = Counter(label for _, label, _ in complete)
    upstream = Counter(item.upstream_label for item in items if item.upstream_label is not None)
    found = [label for label in upstream.elements() if label >= 0]
    first = items[0]
    values, cards = [expected * LABEL_TO_PERCENT for expected, _, _ in complete], [card for _, _, card in complete]
    score = clustered_mean(values, cards, lowest=0, highest=100)
    counts = (labels[0], labels[1], labels[2], labels[3], labels[4])
    return Tally(
        supporter=first.supporter,
        language=first.language,
        crisis=first.crisis,
        score=score,
        label_score=(sum(label for _, label, _ in complete) * LABEL_TO_PERCENT / len(complete) if complete else None),
        n_used=len(complete),
        n_asked=len(items),
        failed=dict(Counter(item.missing or "no reading" for item in items if item.label is None)),
        label_counts=counts,
        upstream_counts=dict(sorted(upstream.items())),
        upstream_score=sum(found) * LABEL_TO_PERCENT / len(found) if found else None,
        expected_0_4=scaled(score, 1 / LABEL_TO_PERCENT),
        label_0_4=_label_mean([label for _, label, _ in complete], cards),
        spread=label_spread(counts),
        variances=variances(values, cards),
    )


def _label_mean(labels: Sequence[int], cards: Sequence[str]) -> ClusteredMean:
    """Return the mean label; where all are the same one, no interval: it would have no width and mean nothing."""
    found = clustered_mean([float(label) for label in labels], cards, lowest=0, highest=4)
    if len(set(labels)) != 1 or found.low is None:
        return found
    return msgspec.structs.replace(
        found, low=None, high=None, error=None, method=None, reason=f"every label is {labels[0]}"
    )
