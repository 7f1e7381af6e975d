"""What came of it, in words, before any table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.core.dimension import Dimension, Language
from escl.evaluation.compare import Group
from escl.evaluation.sides import AVERAGE
from escl.report.html.section import Section
from escl.report.html.shown import average
from escl.report.html.subject import CardGroup, Entrant, Subject
from escl.report.html.words import Words
from escl.stats.cluster import ClusteredMean
from escl.stats.paired import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """One verdict and the dimensions that it holds for."""

    verdict: Verdict
    dimensions: Sequence[Dimension]
    all_of_them: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of one supporter against another on one set of cards.

    Attributes:
        language: None for both pooled.
        cards_needed: The most cards that an open dimension would take to be decided, by its own estimate.
        average: Mean difference of the average over the dimensions; None where it was not compared.
    """

    entrant: Entrant
    against: Entrant
    language: Language | None
    n_cards: int
    rulings: Sequence[Ruling]
    cards_needed: int | None
    average: ClusteredMean | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A supporter's average on one set of cards, and where its labels say nothing."""

    entrant: Entrant
    average: ClusteredMean
    saturated: Sequence[Dimension]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The section."""

    n_dialogues: dict[str, int]
    n_cards: int
    standings: Sequence[tuple[CardGroup, Sequence[Standing]]]
    said: Sequence[Said]
    notices: Sequence[str]
    forced: Sequence[str]
    notes: Sequence[str]
    scorers: Sequence[str]
    protocols: Sequence[str]
    seekers: Sequence[str]

    @property
    def any_saturated(self) -> bool:
        """Whether any supporter's labels say nothing in some dimension."""
        return any(one.saturated for _, standings in self.standings for one in standings)


def _build(subject: Subject, words: Words) -> Summary:
    states = dict.fromkeys(("complete", "failed", "unfinished"), 0)
    for run in subject.runs:
        counted = run.results.n_dialogues
        states["complete"] += counted["complete"]
        states["failed"] += counted["failed"]
        states["unfinished"] += counted["speaking"] + counted["pending"]
    results = [run.results for run in subject.runs]
    return Summary(
        n_dialogues=states,
        n_cards=len({dialogue.card_id for run in subject.runs for dialogue in run.store.dialogues()}),
        standings=[
            (group, [_standing(entrant, group) for entrant in subject.entrants if entrant.cells(group)])
            for group in subject.groups
        ],
        said=[
            _said(one.entrant, one.against, group) for one in subject.compared for group in _told(one.pairing.groups)
        ],
        notices=list(dict.fromkeys(notice for found in results for notice in found.notices)),
        forced=subject.forced,
        notes=list(dict.fromkeys(note for one in subject.compared for note in one.pairing.notes)),
        scorers=list(dict.fromkeys(found.scorer for found in results if found.scorer is not None)),
        protocols=list(dict.fromkeys(found.protocol for found in results)),
        seekers=list(
            dict.fromkeys(model.name for found in results for model in found.models if model.role == "seeker")
        ),
    )


def _told(groups: Sequence[Group]) -> list[Group]:
    """Return the sets of quality cards to tell of: both languages pooled where there are both, for it has the most."""
    quality = [group for group in groups if not group.crisis]
    return [group for group in quality if group.language is None] or quality


def _standing(entrant: Entrant, group: CardGroup) -> Standing:
    return Standing(
        entrant=entrant,
        average=average(item for item in entrant.scored if group.holds(item)),
        saturated=[
            cell.dimension for cell in entrant.cells(group) if cell.spread is not None and cell.spread.saturated
        ],
    )


def _said(entrant: Entrant, against: Entrant, group: Group) -> Said:
    rows = [row for row in group.rows if row.dimension != AVERAGE]
    found: dict[Verdict, list[Dimension]] = {}
    for row in rows:
        found.setdefault(row.comparison.verdict, []).append(Dimension(row.dimension))
    order: tuple[Verdict, ...] = ("better", "worse", "equivalent", "cannot tell")
    return Said(
        entrant=entrant,
        against=against,
        language=group.language,
        n_cards=max((row.comparison.n_cards for row in rows), default=0),
        rulings=[
            Ruling(verdict=verdict, dimensions=found[verdict], all_of_them=len(found[verdict]) == len(rows) > 1)
            for verdict in order
            if verdict in found
        ],
        cards_needed=max((n for row in rows if (n := row.comparison.cards_needed) is not None), default=None),
        average=next((row.comparison.difference for row in group.rows if row.dimension == AVERAGE), None),
    )


SUMMARY = Section(key="summary", build=_build)
