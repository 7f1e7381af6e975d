"""The scorer's own labels: how they are spread, and whether there is anything in them to tell supporters apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.core.dimension import Dimension
from escl.report.html.section import Section
from escl.report.html.subject import CardGroup, Entrant, Subject
from escl.report.html.words import Words
from escl.stats.summary import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """One set of cards: each dimension with the supporters' cells."""

    group: CardGroup
    rows: Sequence[tuple[Dimension, Sequence[tuple[Entrant, Cell]]]]


def _build(subject: Subject, words: Words) -> list[LabelTable] | None:
    return [_table(subject, group) for group in subject.groups] or None


def _table(subject: Subject, group: CardGroup) -> LabelTable:
    by_key = {
        (cell.dimension, entrant.number): (entrant, cell)
        for entrant in subject.entrants
        for cell in entrant.cells(group)
    }
    return LabelTable(
        group=group,
        rows=[
            (dimension, [by_key[key] for entrant in subject.entrants if (key := (dimension, entrant.number)) in by_key])
            for dimension in Dimension
        ],
    )


LABELS = Section(key="labels", build=_build)
