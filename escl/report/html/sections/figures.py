"""Scores as pictures: a radar for the shape, a forest for the intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.core.dimension import Dimension
from escl.report.html.section import Section
from escl.report.html.subject import CardGroup, Entrant, Subject
from escl.report.html.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One set of cards.

    Attributes:
        radar: SVG; None where a supporter has no mean.
        forest: SVG.
        in_radar: Who is in the radar; more would not be told apart.
    """

    group: CardGroup
    entrants: Sequence[Entrant]
    in_radar: Sequence[Entrant]
    radar: str | None
    forest: str


def _build(subject: Subject, words: Words) -> list[Figures] | None:
    return [_figures(subject, group, words) for group in subject.groups] or None


def _figures(subject: Subject, group: CardGroup, words: Words) -> Figures:
    # Deferred: matplotlib takes a second to import.
    from escl.report.html.draw import MOST_IN_RADAR, Drawn, draw_forest, draw_radar

    entrants = [entrant for entrant in subject.entrants if entrant.cells(group)]
    drawn = [
        Drawn(number=entrant.number, scores={cell.dimension: cell.score for cell in entrant.cells(group)})
        for entrant in entrants
    ]
    names = {dimension: words.known("dimensions", dimension.value) for dimension in Dimension}
    whole = [one for one in drawn if all(score.mean is not None for score in one.scores.values())][:MOST_IN_RADAR]
    shown = {one.number for one in whole}
    return Figures(
        group=group,
        entrants=entrants,
        in_radar=[entrant for entrant in entrants if entrant.number in shown],
        radar=None if not whole else draw_radar(whole, names, prefix=f"radar-{group.key}"),
        forest=draw_forest(drawn, names, prefix=f"forest-{group.key}"),
    )


FIGURES = Section(key="figures", build=_build)
