"""Where everything came from: what must be the same for the same to come out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from escl.core.settings import SimulationSettings, fingerprint
from escl.evaluation.certificate import Citation
from escl.report.html.section import Section
from escl.report.html.subject import ReportedRun, Subject
from escl.report.html.words import Words
from escl.store.records import AttemptRow


class _Budget(msgspec.Struct, frozen=True):
    host_bytes: int
    device_bytes: int | None = None
    device: str | None = None


class _Candidate(msgspec.Struct, frozen=True):
    strategy: str


class _Plan(msgspec.Struct, frozen=True):
    budget: _Budget
    candidates: tuple[_Candidate, ...]
    chosen: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A command that worked on the run.

    Attributes:
        strategy: How the models were to share the memory, by its plan; None without one that can be read.
        reason: Why so.
        budget: The memory there was.
    """

    row: AttemptRow
    strategy: str | None
    reason: str | None
    budget: _Budget | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProvenance:
    """One run.

    Attributes:
        simulation: None for dialogues that were spoken elsewhere.
    """

    run: ReportedRun
    generation: str
    judging: str | None
    protocol_sha256: str
    simulation: SimulationSettings | None
    attempts: Sequence[Attempt]
    citations: Sequence[Citation]
    n_adapters: int


def _build(subject: Subject, words: Words) -> list[RunProvenance]:
    return [_of(run) for run in subject.runs]


def _of(run: ReportedRun) -> RunProvenance:
    settings, judging = run.results.settings, run.judging
    return RunProvenance(
        run=run,
        generation=fingerprint(settings),
        judging=None if judging is None else fingerprint(judging),
        protocol_sha256=run.store.protocol.sha256(),
        simulation=settings if isinstance(settings, SimulationSettings) else None,
        attempts=[_attempt(row) for row in run.store.attempts()],
        citations=run.citations,
        n_adapters=0 if judging is None else len(judging.adapters),
    )


def _attempt(row: AttemptRow) -> Attempt:
    plan = _plan(row)
    chosen = None if plan is None or plan.chosen is None else plan.chosen
    return Attempt(
        row=row,
        strategy=None if plan is None or chosen is None else plan.candidates[chosen].strategy,
        reason=None if plan is None else plan.reason,
        budget=None if plan is None else plan.budget,
    )


def _plan(row: AttemptRow) -> _Plan | None:
    """Return what the attempt planned; None where it did not, or in a form of another version."""
    if row.plan is None:
        return None
    try:
        plan = msgspec.json.decode(row.plan, type=_Plan)
    except (msgspec.DecodeError, RecursionError):
        return None
    return plan if plan.chosen is None or 0 <= plan.chosen < len(plan.candidates) else None


PROVENANCE = Section(key="provenance", build=_build)
