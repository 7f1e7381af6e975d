"""What a run's readings say about each supporter, per language and dimension.

Every mean carries how many dialogues it is made of, how many were asked for, and why the others are missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from escl.core.dimension import LABEL_TO_PERCENT, Dimension, Language
from escl.stats.cluster import ClusteredMean, clustered_mean


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension of one dialogue, read or not.

    Attributes:
        cluster: The card.
        crisis: Whether the card is a crisis card; those never enter a quality mean.
        expected: Mean label (0-4) under the scorer's probabilities; None when missing.
        label: The scorer's label; None when missing.
        missing: Why there is no label, in a few words; None when there is one.
        upstream_label: What ESC-Eval's score.py makes of the same reply, -1 included; None without a reply.
    """

    supporter: str
    language: Language
    dimension: Dimension
    cluster: str
    crisis: bool
    expected: float | None
    label: int | None
    missing: str | None
    upstream_label: int | None = None


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One supporter in one dimension and language.

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
    """

    supporter: str
    language: Language
    dimension: Dimension
    crisis: bool
    score: ClusteredMean
    label_score: float | None
    n_used: int
    n_asked: int
    failed: dict[str, int]
    label_counts: tuple[int, int, int, int, int]
    upstream_counts: dict[int, int] = {}
    upstream_score: float | None = None


def summarize(scored: Iterable[Scored]) -> list[Cell]:
    """Return a cell for each supporter, language and dimension that was asked for, crisis cards apart."""
    groups: dict[tuple[bool, Language, str, Dimension], list[Scored]] = {}
    for item in scored:
        groups.setdefault((item.crisis, item.language, item.supporter, item.dimension), []).append(item)
    return [_cell(items) for items in groups.values()]


def _cell(items: Sequence[Scored]) -> Cell:
    used = [(item.expected, item.label, item.cluster) for item in items]
    complete = [
        (expected, label, cluster) for expected, label, cluster in used if expected is not None and label is not None
    ]
    labels = Counter(label for _, label, _ in complete)
    upstream = Counter(item.upstream_label for item in items if item.upstream_label is not None)
    found = [label for label in upstream.elements() if label >= 0]
    first = items[0]
    return Cell(
        supporter=first.supporter,
        language=first.language,
        dimension=first.dimension,
        crisis=first.crisis,
        score=clustered_mean(
            [expected * LABEL_TO_PERCENT for expected, _, _ in complete],
            [cluster for _, _, cluster in complete],
            lowest=0,
            highest=100,
        ),
        label_score=(sum(label for _, label, _ in complete) * LABEL_TO_PERCENT / len(complete) if complete else None),
        n_used=len(complete),
        n_asked=len(items),
        failed=dict(Counter(item.missing or "no reading" for item in items if item.label is None)),
        label_counts=(labels[0], labels[1], labels[2], labels[3], labels[4]),
        upstream_counts=dict(sorted(upstream.items())),
        upstream_score=sum(found) * LABEL_TO_PERCENT / len(found) if found else None,
    )
