"""What the scores are evidence of, and what they are not."""

from __future__ import annotations

from escl.report.html.section import Section
from escl.report.html.subject import Subject
from escl.report.html.words import Words


def _build(subject: Subject, words: Words) -> bool:
    return True


LIMITS = Section(key="limits", build=_build)
