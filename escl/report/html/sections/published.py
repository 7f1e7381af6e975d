"""The paper's leaderboard of people's ratings with the runs' supporters among its models, and all that differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.core.dimension import Language
from escl.evaluation.published import PublishedRow, published_beside
from escl.report.html.section import Section
from escl.report.html.subject import Entrant, ReportedRun, Subject
from escl.report.html.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One run among the paper's models.

    Attributes:
        boards: For each language of the run the rows, the best average first, each with whose it is; None for a model
            of the paper.
        differs: Why the two cannot be compared as they stand.
    """

    run: ReportedRun
    boards: Sequence[tuple[Language, Sequence[tuple[Entrant | None, PublishedRow]]]]
    differs: Sequence[str]


def _build(subject: Subject, words: Words) -> list[Beside] | None:
    if not subject.choices.published:
        return None
    return [found for run in subject.runs if (found := _beside(subject, run)).boards] or None


def _beside(subject: Subject, run: ReportedRun) -> Beside:
    found = published_beside(run.results, run.store)
    own = {entrant.name: entrant for entrant in subject.entrants if entrant.run is run}
    rows = [(own[row.model] if row.group is None else None, row) for row in found.rows]
    boards = [(language, [one for one in rows if one[1].language is language]) for language in Language]
    return Beside(run=run, boards=[board for board in boards if board[1]], differs=found.differs)


PUBLISHED = Section(key="published", build=_build)
