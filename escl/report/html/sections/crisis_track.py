"""Dialogues on crisis cards: what supporters did, every finding with its turn, and the gate. No number of quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from escl.evaluation.crisis import CrisisReport, CrisisSupporter, Finding, crisis_report
from escl.report.html.section import Section
from escl.report.html.subject import Entrant, ReportedRun, Subject
from escl.report.html.words import Words
from escl.text.danger import Help, Severity

LISTED: Final = 60
"""Findings that the page lists of each run; the data have all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The crisis dialogues of one run."""

    run: ReportedRun
    report: CrisisReport
    columns: Sequence[tuple[Entrant, CrisisSupporter]]
    findings: Sequence[tuple[Entrant, Finding]]
    more: int
    helps: Sequence[Help]


def _build(subject: Subject, words: Words) -> list[Track] | None:
    tracks = [_track(subject, run) for run in subject.runs]
    return [track for track in tracks if track.columns] or None


def _track(subject: Subject, run: ReportedRun) -> Track:
    report = crisis_report(run.store)
    own = {entrant.name: entrant for entrant in subject.entrants if entrant.run is run}
    ordered = sorted(report.findings, key=lambda one: (one.severity is not Severity.RED, not one.stands))
    return Track(
        run=run,
        report=report,
        columns=[(own[one.supporter], one) for one in report.supporters],
        findings=[(own[one.supporter], one) for one in ordered[:LISTED]],
        more=max(0, len(ordered) - LISTED),
        helps=list(Help),
    )


CRISIS_TRACK = Section(key="crisis_track", build=_build)
