"""Metrics of a run: the supporter's own words only, crisis cards left out, correlations with labels that exist."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from escl.core.card import CrisisKind
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension
from escl.core.ratings_file import Rating
from escl.errors import RatingsError
from escl.evaluation.text_metrics import METRICS, TextMetrics, text_metrics
from escl.stats import weighted
from escl.store.records import TurnRow
from escl.store.run import RunStore
from tests.runs import CARD, begin, card

SAID = ("I hear you", "I hear you and I am here", "tell me more about the night", "no no no")


def turns(reply: str) -> list[Turn]:
    said = [("A greeting that is not its own", Speaker.SUPPORTER), ("I am tired.", Speaker.SEEKER)]
    return [Turn(speaker=who, text=text) for text, who in [*said, (reply, Speaker.SUPPORTER)]]


def spoken(path: Path) -> RunStore:
    """Return an open run with one dialogue for each reply, and one on a crisis card."""
    store = begin(path)
    cards = [*(card(f"k{at}") for at in range(len(SAID))), card("danger", crisis=CrisisKind.VIOLENCE)]
    store.add_cards(cards)
    store.plan_dialogues((one.id, CARD.language, "supporter", 0) for one in cards)
    for dialogue, reply in zip(store.dialogues()[1:], [*SAID, "crisis words"], strict=True):
        store.set_state(dialogue.id, "speaking")
        for at, turn in enumerate(turns(reply)):
            store.add_turn(dialogue.id, at, TurnRow(turn=turn), last=at == 2)
    return store


def rated(labels: dict[str, int]) -> list[Rating]:
    return [
        Rating(line=at, dialogue=f"{name}/supporter", dimension=Dimension.OVERALL, rater="A", label=label)
        for at, (name, label) in enumerate(labels.items())
    ]


def test_only_the_supporters_own_words_on_quality_cards_count(tmp_path: Path) -> None:
    (one,) = text_metrics(spoken(tmp_path / "run.db")).supporters
    assert (one.n_dialogues, one.n_turns) == (4, 4)
    assert one.units == (3 + 7 + 6 + 3) / 4
    assert one.distinct_1 == 13 / 19


def test_metrics_go_with_peoples_labels_as_scipy_says(tmp_path: Path) -> None:
    labels = {"k0": 1, "k1": 4, "k2": 3, "k3": 0}
    found = text_metrics(spoken(tmp_path / "run.db"), ratings=rated(labels))
    (one,) = found.supporters
    assert found.labels == "people"
    for row in found.correlations:
        pairs = [(value, labels[d.card]) for d in one.dialogues if (value := METRICS[row.metric](d)) is not None]
        assert row.dimension is Dimension.OVERALL
        assert row.n == len(pairs)
        assert row.spearman.value == pytest.approx(spearmanr([x for x, _ in pairs], [y for _, y in pairs]).statistic)
    assert {row.metric for row in found.correlations} == {"length", "distinct-1", "distinct-2"}


def test_a_reference_is_set_beside_the_turn_at_the_same_place(tmp_path: Path) -> None:
    found = text_metrics(spoken(tmp_path / "run.db"), references={"k1": turns(SAID[1]), "k2": turns("a b c d e f")})
    (one,) = found.supporters
    assert one.n_referenced == 2
    assert [(d.rouge_l, d.bleu is None) for d in one.dialogues] == [
        (None, True),
        (1.0, False),
        (0.0, False),
        (None, True),
    ]


def test_without_references_neither_package_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sacrebleu", "rouge_score"):
        monkeypatch.setitem(sys.modules, name, None)
    found: TextMetrics = text_metrics(spoken(tmp_path / "run.db"))
    assert found.supporters[0].bleu is None


def test_unknown_dialogues_are_counted_and_ratings_of_another_run_refused(tmp_path: Path) -> None:
    store = spoken(tmp_path / "run.db")
    found = text_metrics(store, ratings=rated({"k0": 1, "k1": 4, "elsewhere": 2}))
    assert found.n_unknown == 1
    with pytest.raises(RatingsError, match="elsewhere"):
        text_metrics(store, ratings=rated({"elsewhere": 2}))


def test_without_labels_nothing_is_correlated(tmp_path: Path) -> None:
    found = text_metrics(spoken(tmp_path / "run.db"))
    assert (found.labels, found.correlations) == (None, [])


def test_a_difference_between_supporters_is_no_correlation_within_them() -> None:
    x, y = np.array([1.0, 2, 3, 11, 12, 13]), np.array([3.0, 2, 1, 13, 12, 11])
    once = np.ones((1, 6))
    assert weighted.spearman(x, y, once)[0] > 0
    assert weighted.spearman_within(x, y, np.array([0, 0, 0, 1, 1, 1]), once)[0] == pytest.approx(-1)
    assert weighted.spearman_within(x, y, np.zeros(6, dtype=int), once) == pytest.approx(weighted.spearman(x, y, once))
