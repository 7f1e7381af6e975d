"""Saturation and entropy say whether labels can separate anything."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from escl.core.dimension import LABELS, Dimension
from escl.stats.labels import label_spread, stuck_label

COUNTS = st.lists(st.integers(0, 400), min_size=5, max_size=5).filter(any)


@given(COUNTS)
def test_the_entropy_is_scipys(counts: list[int]) -> None:
    found = label_spread(counts)
    assert found is not None
    assert found.entropy_bits == pytest.approx(float(stats.entropy(counts, base=2)), abs=1e-12)
    assert 0 <= found.entropy_bits <= math.log2(5) + 1e-12
    assert found.modal_share == max(counts) / sum(counts)


@pytest.mark.parametrize(
    ("counts", "saturated"), [((0, 0, 0, 19, 1), True), ((0, 0, 0, 18, 2), False), ((12, 0, 0, 0, 0), True)]
)
def test_from_95_percent_of_one_label_on_it_is_saturated(counts: tuple[int, ...], saturated: bool) -> None:
    found = label_spread(counts)
    assert found is not None
    assert found.saturated is saturated


def test_without_labels_there_is_no_spread() -> None:
    assert label_spread([0] * 5) is None


PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data" / "esc-eval" / "score"


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs ESC-Eval's published example scores beside the checkout")
def test_the_published_example_scores_are_saturated_in_most_dimensions() -> None:
    scores = [json.loads(path.read_text()) for path in sorted(PUBLISHED.glob("*.json"))]
    found = {}
    for dimension in Dimension:
        labels = Counter(one[dimension.value] for file in scores for one in file.values())
        found[dimension] = label_spread([labels[label] for label in LABELS])
    saturated = {dimension for dimension, spread in found.items() if spread is not None and spread.saturated}
    always = {Dimension.EXPRESSION, Dimension.EMPATHY, Dimension.INFORMATION, Dimension.SKILLFUL, Dimension.OVERALL}
    assert always <= saturated
    assert Dimension.HUMANOID not in saturated


@pytest.mark.parametrize(
    ("one", "other", "label"),
    [
        ([4] * 20, [4] * 19 + [3], 4),
        ([4] * 20, [4] * 18 + [3] * 2, None),
        ([4] * 20, [1] * 20, None),
        ([4] * 20, [], None),
    ],
)
def test_a_label_is_stuck_only_where_both_get_it_nearly_always(
    one: list[int], other: list[int], label: int | None
) -> None:
    assert stuck_label(one, other) == label
    assert stuck_label(other, one) == label
