"""A calibration that was applied to the scores: where its map was taken or refused, and what the check said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from escl.core.dimension import Language
from escl.evaluation.calibration import CalibratedCell, Calibration
from escl.report.html.section import Section
from escl.report.html.subject import Subject
from escl.report.html.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The calibration, the name of its file, and its lines by language."""

    made: Calibration
    file: str
    tables: Sequence[tuple[Language, Sequence[CalibratedCell]]]


def _build(subject: Subject, words: Words) -> Applied | None:
    if subject.choices.calibration is None:
        return None
    made, file = subject.choices.calibration
    tables = [(language, [cell for cell in made.cells if cell.language is language]) for language in Language]
    return Applied(made=made, file=file, tables=[table for table in tables if table[1]])


CALIBRATION = Section(key="calibration", build=_build)
