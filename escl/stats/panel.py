"""How far several scorers of the same dialogues say the same. Plain labels in, statistics with intervals out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
import numpy as np

from escl.stats import weighted
from escl.stats.bootstrap import Floats
from escl.stats.cluster import ClusteredMean, clustered_mean
from escl.stats.estimate import Clusters, Estimate, estimate


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """What one scorer said of one dimension of one dialogue."""

    label: int
    expected: float


class PanelDialogue(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension of one dialogue.

    Attributes:
        cluster: The card.
        voices: Of the scorers that gave a label, by their number.
    """

    cluster: str
    voices: Mapping[int, Voice]


class PairAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """Two scorers of the panel, over the dialogues that both labelled.

    Attributes:
        one: The number of the first.
        other: The number of the second.
        exact: Share of the same label.
        kappa: With quadratic weights.
        spearman: Of the expected labels.
    """

    one: int
    other: int
    n: int
    exact: Estimate
    kappa: Estimate
    spearman: Estimate


class PanelAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """One dimension in one language.

    Attributes:
        n_asked: Dialogues.
        n_used: Of these, the ones that two scorers or more labelled.
        alpha: Krippendorff's, ordinal, over all scorers; a scorer without a label is left out of that dialogue.
        pairs: Each two of them.
        scores: Mean expected label of each scorer (0-4), over the dialogues that all of them labelled who labelled any.
        modal_shares: The share of each scorer's commonest label, None for one without labels.
    """

    n_asked: int
    n_used: int
    alpha: Estimate
    pairs: tuple[PairAgreement, ...]
    scores: tuple[ClusteredMean, ...]
    modal_shares: tuple[float | None, ...]


_NO_TWO = "no dialogue was labelled by two scorers"


def panel_agreement(dialogues: Sequence[PanelDialogue], *, scorers: int) -> PanelAgreement:
    """Return how far `scorers` scorers agree about one dimension in one language."""
    clusters = Clusters([dialogue.cluster for dialogue in dialogues])
    units = clusters.sums(
        weighted.coincidences([[voice.label for voice in dialogue.voices.values()] for dialogue in dialogues])
    )
    speaking = {at for dialogue in dialogues for at in dialogue.voices}
    by_all = [dialogue for dialogue in dialogues if dialogue.voices.keys() == speaking] if speaking else []
    return PanelAgreement(
        n_asked=len(dialogues),
        n_used=sum(len(dialogue.voices) > 1 for dialogue in dialogues),
        alpha=estimate(
            partial(weighted.alpha, units),
            clusters.n,
            undefined="all give one and the same label throughout" if units.any() else _NO_TWO,
        ),
        pairs=tuple(_pair(dialogues, one, other) for one, other in itertools.combinations(range(scorers), 2)),
        scores=tuple(_score(by_all if at in speaking else [], at) for at in range(scorers)),
        modal_shares=tuple(
            _modal_share([d.voices[at].label for d in dialogues if at in d.voices]) for at in range(scorers)
        ),
    )


def _score(dialogues: Sequence[PanelDialogue], at: int) -> ClusteredMean:
    expected, cards = [d.voices[at].expected for d in dialogues], [d.cluster for d in dialogues]
    return clustered_mean(expected, cards, lowest=0, highest=4)


def _pair(dialogues: Sequence[PanelDialogue], one: int, other: int) -> PairAgreement:
    both = [dialogue for dialogue in dialogues if one in dialogue.voices and other in dialogue.voices]
    clusters = Clusters([dialogue.cluster for dialogue in both])
    first, second = ([dialogue.voices[at] for dialogue in both] for at in (one, other))
    tables = clusters.sums(
        weighted.label_pairs(
            np.array([voice.label for voice in first], dtype=np.int_),
            np.array([voice.label for voice in second], dtype=np.int_),
        )
    )
    x, y = (np.array([voice.expected for voice in of], dtype=float) for of in (first, second))

    def spearman(of_cards: Floats) -> Floats:
        return weighted.spearman(x, y, clusters.weights(of_cards))

    same = "both give one and the same label throughout" if both else _NO_TWO
    never = "one of the two never varies" if both else _NO_TWO
    return PairAgreement(
        one=one,
        other=other,
        n=len(both),
        exact=estimate(partial(weighted.share_within, 0, tables), clusters.n, undefined=_NO_TWO, is_share=True),
        kappa=estimate(partial(weighted.kappa, tables), clusters.n, undefined=same),
        spearman=estimate(spearman, clusters.n, undefined=never),
    )


def _modal_share(labels: Sequence[int]) -> float | None:
    return max(map(labels.count, set(labels))) / len(labels) if labels else None
