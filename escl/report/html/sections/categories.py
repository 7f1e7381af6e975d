"""The average of each supporter by what the cards are about, and by whether the seeker was trained on their source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from escl.core.division import Division
from escl.evaluation.breakdown import Slice, slices_of
from escl.report.html.section import Section
from escl.report.html.subject import CardGroup, Entrant, ReportedRun, Subject
from escl.report.html.words import Words

_DIVISIONS: Final = (Division.CATEGORY, Division.TRAINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsTable:
    """One set of cards in parts: each part's name with the supporters' slices, in the order of `entrants`."""

    division: Division
    group: CardGroup
    entrants: Sequence[Entrant]
    rows: Sequence[tuple[str, Sequence[Slice | None]]]


def _build(subject: Subject, words: Words) -> list[PartsTable] | None:
    tables = []
    for division in _DIVISIONS:
        slices = {
            (number, CardGroup(crisis=one.crisis, language=one.language), one.value): one
            for run in subject.runs
            for one in slices_of(run.store, division, judging_id=run.judging_id, adjust=run.adjust)
            for number in [entrant.number for entrant in subject.entrants if _is_of(entrant, one, run_of=run)]
        }
        tables += [_table(subject, group, division, slices) for group in subject.groups]
    return [table for table in tables if len(table.rows) > 1] or None


def _is_of(entrant: Entrant, one: Slice, *, run_of: ReportedRun) -> bool:
    return entrant.run is run_of and entrant.name == one.supporter


def _table(
    subject: Subject,
    group: CardGroup,
    division: Division,
    slices: Mapping[tuple[int, CardGroup, str | None], Slice],
) -> PartsTable:
    entrants = [entrant for entrant in subject.entrants if entrant.cells(group)]
    values = sorted({value for _, where, value in slices if where == group and value is not None})
    return PartsTable(
        division=division,
        group=group,
        entrants=entrants,
        rows=[(value, [slices.get((entrant.number, group, value)) for entrant in entrants]) for value in values],
    )


CATEGORIES = Section(key="categories", build=_build)
