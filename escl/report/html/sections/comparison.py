"""Supporters compared card by card, every number that the verdicts rest on."""

from __future__ import annotations

from collections.abc import Sequence

from escl.report.html.section import Section
from escl.report.html.subject import Compared, Subject
from escl.report.html.words import Words


def _build(subject: Subject, words: Words) -> Sequence[Compared] | None:
    return subject.compared or None


COMPARISON = Section(key="comparison", build=_build)
