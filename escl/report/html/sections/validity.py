"""Whether the simulated seeker played its role: what was found, how often, and in which dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from escl.evaluation.validity import CheckedDialogue, SeekerWith, validity_of
from escl.report.html.section import Section
from escl.report.html.subject import Entrant, Subject
from escl.report.html.words import Words
from escl.text.seeker_checks import Check, Thresholds

_LISTED: Final = 40
"""Dialogues that the page lists; the command that it names has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeekerRole:
    """The section.

    Attributes:
        seekers: The seeker beside each supporter.
        checks: Those that found anything.
        flagged: The first flagged dialogues, each with whose it is.
        n_flagged: How many there are.
    """

    seekers: Sequence[tuple[Entrant, SeekerWith]]
    checks: Sequence[Check]
    thresholds: Thresholds
    flagged: Sequence[tuple[Entrant, CheckedDialogue]]
    n_flagged: int
    n_dialogues: int
    n_without_card: int


def _build(subject: Subject, words: Words) -> SeekerRole | None:
    found = [(run, validity_of(run.store)) for run in subject.runs]
    by_name = {(id(entrant.run), entrant.name): entrant for entrant in subject.entrants}
    seekers = [(by_name[id(run), one.supporter], one) for run, validity in found for one in validity.supporters]
    if not seekers:
        return None
    flagged = [
        (by_name[id(run), one.supporter], one)
        for run, validity in found
        for one in validity.dialogues
        if one.is_flagged
    ]
    return SeekerRole(
        seekers=seekers,
        checks=[check for check in Check if any(one.by_check[check] for _, one in seekers)],
        thresholds=found[0][1].thresholds,
        flagged=flagged[:_LISTED],
        n_flagged=len(flagged),
        n_dialogues=sum(validity.n_dialogues for _, validity in found),
        n_without_card=sum(validity.n_without_card for _, validity in found),
    )


VALIDITY = Section(key="validity", build=_build)
