"""Automatic text metrics of a run's supporters, and how they go with labels: the comparison that the paper makes.

Crisis cards stay out. Metrics count words; that they go with labels, or do not, is what this shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

import msgspec
import numpy as np

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.ratings_file import Rating
from escl.core.strict import quoted
from escl.errors import RatingsError
from escl.evaluation.dialogue_names import Names, Place, dialogue_code
from escl.evaluation.results import chosen_judging
from escl.stats import weighted
from escl.stats.estimate import Clusters, Estimate, estimate
from escl.store.records import DialogueRow
from escl.store.run import RunStore
from escl.text.diversity import distinct
from escl.text.overlap import bleu, need_metrics, rouge_l
from escl.text.words import units

References = Mapping[str, Sequence[Turn]]
"""A reference dialogue for each card, turn by turn from the greeting on."""

NO_REFERENCE: Final = "no reference was given for its card"


class DialogueMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The supporter's turns of one dialogue, without the greeting.

    Attributes:
        units: Words, or Han characters, for each turn; None without a turn.
        distinct_1: Different words of all words (0-1).
        distinct_2: The same of pairs of neighbours.
        bleu: Of all its turns, 0 to 100, each beside the reference's turn at the same place; None without a reference.
        rouge_l: Mean F measure over those turns (0-1).
    """

    dialogue: int
    card: str
    units: float | None
    distinct_1: float | None
    distinct_2: float | None
    bleu: float | None
    rouge_l: float | None


class SupporterMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """One supporter in one language, over all turns of its complete dialogues.

    Attributes:
        n_turns: Its turns.
        units: Words, or Han characters, for each turn.
        n_referenced: Dialogues with a reference.
    """

    supporter: str
    language: Language
    n_dialogues: int
    n_turns: int
    units: float | None
    distinct_1: float | None
    distinct_2: float | None
    bleu: float | None
    rouge_l: float | None
    n_referenced: int
    dialogues: list[DialogueMetrics]


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """Spearman's correlation of a metric with labels over the dialogues of one language.

    Attributes:
        n: Dialogues that have both.
        spearman: Of ranks within each supporter, so that a difference between supporters is no part of it.
    """

    language: Language
    metric: str
    dimension: Dimension
    n: int
    spearman: Estimate


class TextMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of a run.

    Attributes:
        labels: Whose labels the correlations are with: a scorer's name, or "people"; None when there are none.
        n_unknown: Dialogues named in the ratings that the run does not hold.
    """

    supporters: list[SupporterMetrics]
    labels: str | None
    correlations: list[Correlation]
    n_unknown: int = 0


METRICS: Final[dict[str, Callable[[DialogueMetrics], float | None]]] = {
    "length": lambda one: one.units,
    "distinct-1": lambda one: one.distinct_1,
    "distinct-2": lambda one: one.distinct_2,
    "BLEU": lambda one: one.bleu,
    "ROUGE-L": lambda one: one.rouge_l,
}
"""The metrics that are set beside labels, by their name for people."""

_Labels = Mapping[tuple[int, Dimension], float]


def text_metrics(
    store: RunStore,
    *,
    references: References | None = None,
    ratings: Sequence[Rating] | None = None,
    path: Path = Path("run.db"),
    judging_id: int | None = None,
) -> TextMetrics:
    """Return the metrics of a run's quality dialogues, and how they go with labels.

    Args:
        store: The run.
        references: By card; None leaves BLEU and ROUGE-L out.
        ratings: Labels of people; without them the scorer's expected labels are taken.
        path: Of the run, by whose name ratings may call it.
        judging_id: Whose labels, by default those asked for last.

    Raises:
        UsageError: References were given, and the packages for them are not installed.
        RatingsError: A name in the ratings means several dialogues, or none of them means any.
    """
    if references is not None:
        need_metrics()
    crisis = {card.id for card in store.cards().values() if card.crisis is not None}
    rows = [row for row in store.dialogues() if row.state == "complete" and row.card_id not in crisis]
    groups: dict[tuple[str, Language], list[DialogueRow]] = {}
    for row in rows:
        groups.setdefault((row.supporter, row.language), []).append(row)
    supporters = [
        _supporter(name, language, [(row, store.turns(row.id)) for row in own], references or {})
        for (name, language), own in groups.items()
    ]
    n_unknown = 0
    if ratings is None:
        chosen, by = chosen_judging(store, judging_id)
        labels = {} if chosen is None else _of_scorer(store, chosen)
    else:
        labels, n_unknown = _of_people(store, path, ratings)
        by = "people"
    return TextMetrics(
        supporters=supporters,
        labels=by,
        correlations=list(_correlations(supporters, labels)) if labels else [],
        n_unknown=n_unknown,
    )


def _supporter(
    name: str, language: Language, dialogues: Sequence[tuple[DialogueRow, list[Turn]]], references: References
) -> SupporterMetrics:
    each, said, pairs = [], [], []
    for row, turns in dialogues:
        own = _own(turns)
        beside = _pairs(own, references.get(row.card_id, ()))
        each.append(_dialogue(row, own, beside))
        said += own
        pairs += beside
    overlaps = [one.rouge_l for one in each if one.rouge_l is not None]
    return SupporterMetrics(
        supporter=name,
        language=language,
        n_dialogues=len(each),
        n_turns=len(said),
        units=_mean_units(said),
        distinct_1=distinct(said, 1),
        distinct_2=distinct(said, 2),
        bleu=_bleu(pairs, language),
        rouge_l=fmean(overlaps) if overlaps else None,
        n_referenced=len(overlaps),
        dialogues=each,
    )


def _dialogue(row: DialogueRow, own: Sequence[str], beside: Sequence[tuple[str, str]]) -> DialogueMetrics:
    return DialogueMetrics(
        dialogue=row.id,
        card=row.card_id,
        units=_mean_units(own),
        distinct_1=distinct(own, 1),
        distinct_2=distinct(own, 2),
        bleu=_bleu(beside, row.language),
        rouge_l=fmean(rouge_l(text, reference) for text, reference in beside) if beside else None,
    )


def _own(turns: Sequence[Turn]) -> list[str]:
    """Return what the supporter said itself, which the greeting is not."""
    return [turn.text for turn in turns[1:] if turn.speaker is Speaker.SUPPORTER]


def _pairs(own: Sequence[str], reference: Sequence[Turn]) -> list[tuple[str, str]]:
    return list(zip(own, _own(reference), strict=False))


def _bleu(pairs: Sequence[tuple[str, str]], language: Language) -> float | None:
    return bleu([text for text, _ in pairs], [reference for _, reference in pairs], language)


def _mean_units(texts: Sequence[str]) -> float | None:
    return fmean(len(units(text)) for text in texts) if texts else None


def _of_scorer(store: RunStore, judging_id: int) -> _Labels:
    return {
        (reading.dialogue_id, reading.dimension): expected
        for reading in store.readings(judging_id)
        if (expected := reading.expected) is not None
    }


def _of_people(store: RunStore, path: Path, ratings: Sequence[Rating]) -> tuple[_Labels, int]:
    """Return the mean of the raters' first labels, and how many dialogues were named that the run does not hold."""
    names = Names()
    for row in store.dialogues():
        names.add(path, Place(run=0, row=row), code=dialogue_code(row, store.turns(row.id)))
    given: dict[tuple[int, Dimension], list[int]] = {}
    unknown = set()
    for rating in ratings:
        place = names.find(rating.dialogue)
        if place is None:
            unknown.add(rating.dialogue)
        elif rating.turn == 1:
            given.setdefault((place.row.id, rating.dimension), []).append(rating.label)
    if unknown and not given:
        first = min(unknown)
        raise RatingsError(
            f"the run has none of the rated dialogues, such as {quoted(first)}", hint=names.closest(first)
        )
    return {key: fmean(labels) for key, labels in given.items()}, len(unknown)


def _correlations(supporters: Sequence[SupporterMetrics], labels: _Labels) -> Iterable[Correlation]:
    for language in Language:
        own = [each for each in supporters if each.language is language]
        dialogues = [(at, one) for at, each in enumerate(own) for one in each.dialogues]
        for name, metric in METRICS.items():
            known = [(at, one, value) for at, one in dialogues if (value := metric(one)) is not None]
            for dimension in Dimension:
                pairs = [
                    (at, one.card, value, labels[one.dialogue, dimension])
                    for at, one, value in known
                    if (one.dialogue, dimension) in labels
                ]
                if pairs:
                    found = _spearman(pairs)
                    yield Correlation(language=language, metric=name, dimension=dimension, n=len(pairs), spearman=found)


def _spearman(pairs: Sequence[tuple[int, str, float, float]]) -> Estimate:
    """Return the correlation within supporters, the first of each four, with its interval over cards."""
    clusters = Clusters([card for _, card, _, _ in pairs])
    x, y = np.array([a for _, _, a, _ in pairs]), np.array([b for _, _, _, b in pairs])
    supporters = np.array([at for at, _, _, _ in pairs], dtype=np.int_)
    return estimate(
        lambda of_cards: weighted.spearman_within(x, y, supporters, clusters.weights(of_cards)),
        clusters.n,
        undefined="one of the two never varies",
    )
