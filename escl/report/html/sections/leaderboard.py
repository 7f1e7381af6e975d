"""Every supporter's score in every dimension, best average first, on quality cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.report.html.section import Section
from escl.report.html.shown import average
from escl.report.html.subject import CardGroup, Entrant, Subject
from escl.report.html.words import Words
from escl.stats.cluster import ClusteredMean
from escl.stats.summary import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One supporter."""

    entrant: Entrant
    average: ClusteredMean
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One set of cards."""

    group: CardGroup
    lines: Sequence[Line]


def _build(subject: Subject, words: Words) -> list[Board] | None:
    return [_board(subject, group) for group in subject.groups] or None


def _board(subject: Subject, group: CardGroup) -> Board:
    lines = [
        Line(
            entrant=entrant,
            average=average(item for item in entrant.scored if group.holds(item)),
            cells=entrant.cells(group),
        )
        for entrant in subject.entrants
        if entrant.cells(group)
    ]
    # Who has no average comes last.
    return Board(
        group=group, lines=sorted(lines, key=lambda line: -1.0 if (m := line.average.mean) is None else m, reverse=True)
    )


LEADERBOARD = Section(key="leaderboard", build=_build)
