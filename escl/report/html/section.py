"""What a section of the page is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from escl.report.html.subject import Subject
from escl.report.html.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section.

    Attributes:
        key: Names its template, its words and its place on the page.
        build: Returns what the template shows; None leaves the section out, because there is nothing to show.
    """

    key: str
    build: Callable[[Subject, Words], object | None]
