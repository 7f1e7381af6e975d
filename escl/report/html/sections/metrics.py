"""Automatic text metrics of the supporters, and how they go with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.core.dimension import Dimension, Language
from escl.evaluation.text_metrics import METRICS, Correlation, SupporterMetrics, text_metrics
from escl.report.html.section import Section
from escl.report.html.subject import Entrant, ReportedRun, Subject
from escl.report.html.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTable:
    """One run in one language.

    Attributes:
        rows: Each supporter's metrics.
        labels: Whose labels the correlations are with, a name; None where they are people's, or where there are none.
        correlations: For each metric that varies, by dimension; None where there is none.
        n: Dialogues in the correlations at most.
    """

    run: ReportedRun
    language: Language
    rows: Sequence[tuple[Entrant, SupporterMetrics]]
    labels: str | None
    correlations: Sequence[tuple[str, Sequence[Correlation | None]]]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The section.

    Attributes:
        by_people: Whether the labels are people's.
        referenced: Whether there were dialogues to set the runs' beside.
        n_unknown: Dialogues named in the ratings that a run does not hold, over all runs.
    """

    tables: Sequence[MetricTable]
    by_people: bool
    referenced: bool
    n_unknown: int


def _build(subject: Subject, words: Words) -> Metrics | None:
    choices = subject.choices
    if not choices.metrics:
        return None
    tables: list[MetricTable] = []
    n_unknown = 0
    for run in subject.runs:
        found = text_metrics(
            run.store,
            references=choices.references,
            ratings=choices.ratings,
            path=run.path,
            judging_id=run.judging_id,
        )
        n_unknown += found.n_unknown
        own = {entrant.name: entrant for entrant in subject.entrants if entrant.run is run}
        for language in Language:
            rows = [(own[one.supporter], one) for one in found.supporters if one.language is language]
            known = [one for one in found.correlations if one.language is language]
            if rows:
                tables.append(
                    MetricTable(
                        run=run,
                        language=language,
                        rows=rows,
                        labels=found.labels,
                        correlations=_by_metric(known),
                        n=max((one.n for one in known), default=0),
                    )
                )
    if not tables:
        return None
    return Metrics(
        tables=tables,
        by_people=choices.ratings is not None,
        referenced=choices.references is not None,
        n_unknown=n_unknown,
    )


def _by_metric(known: Sequence[Correlation]) -> list[tuple[str, list[Correlation | None]]]:
    found = {(one.metric, one.dimension): one for one in known}
    rows = [(metric, [found.get((metric, dimension)) for dimension in Dimension]) for metric in METRICS]
    return [row for row in rows if any(row[1])]


METRICS_SECTION = Section(key="metrics", build=_build)
