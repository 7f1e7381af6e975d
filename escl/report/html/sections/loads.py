"""Which models were in memory when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from escl.report.html.section import Section
from escl.report.html.subject import ReportedRun, Subject
from escl.report.html.words import Words
from escl.store.records import LoadRow

_LOADS_SHOWN: Final = 60
"""Models that take turns in memory are loaded hundreds of times; the first of them show how it went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """One run's loads.

    Attributes:
        shown: The first of them, each with the seconds that it stayed; None where its end is not known.
        n: How many there were.
    """

    run: ReportedRun
    shown: Sequence[tuple[LoadRow, float | None]]
    n: int


def _build(subject: Subject, words: Words) -> list[Stays] | None:
    found = [(run, run.results.loads) for run in subject.runs]
    return [
        Stays(run=run, shown=[(load, _stayed_s(load)) for load in loads[:_LOADS_SHOWN]], n=len(loads))
        for run, loads in found
        if loads
    ] or None


def _stayed_s(load: LoadRow) -> float | None:
    if load.left_utc is None:
        return None
    try:
        return (datetime.fromisoformat(load.left_utc) - datetime.fromisoformat(load.loaded_utc)).total_seconds()
    except (ValueError, TypeError):
        # Of a damaged file: no time, or one without its zone.
        return None


LOADS = Section(key="loads", build=_build)
