"""What is missing from the means, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from escl.report.html.section import Section
from escl.report.html.subject import Entrant, Subject
from escl.report.html.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One reason.

    Attributes:
        spoken: Whether whole dialogues failed; else single readings.
        count: How often.
        first: The first message; None where there is none.
    """

    entrant: Entrant
    reason: str
    spoken: bool
    count: int
    first: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The section; `cut` counts turns that the token limit cut, `asked_again` requests that were repeated."""

    missing: Sequence[Missing]
    cut: Sequence[tuple[Entrant, int]]
    asked_again: Sequence[tuple[Entrant, int]]


def _build(subject: Subject, words: Words) -> Failures:
    return Failures(
        missing=[line for entrant in subject.entrants for line in _missing(entrant)],
        cut=[(e, n) for e in subject.entrants if (n := e.run.results.cut_turns.get(e.name, 0))],
        asked_again=[(e, n) for e in subject.entrants if (n := e.run.results.asked_again.get(e.name, 0))],
    )


def _missing(entrant: Entrant) -> list[Missing]:
    """Return each reason once: failures with their first message, then what is missing without one."""
    results = entrant.run.results
    own = {row.id for row in entrant.run.store.dialogues() if row.supporter == entrant.name}
    kinds: dict[tuple[str, bool], list[str]] = {}
    for failure in results.all_failures:
        if failure.dialogue_id in own:
            is_spoken = failure.dimension is None and failure.own is None
            kinds.setdefault((failure.error, is_spoken), []).append(failure.message)
    found = [
        Missing(entrant=entrant, reason=reason, spoken=spoken, count=len(messages), first=messages[0])
        for (reason, spoken), messages in kinds.items()
    ]
    known = {reason for reason, _ in kinds}
    counted: Counter[str] = Counter()
    for cell in results.all_cells:
        if cell.supporter == entrant.name:
            counted.update({reason: n for reason, n in cell.failed.items() if reason not in known})
    return found + [
        Missing(entrant=entrant, reason=reason, spoken=False, count=n, first=None) for reason, n in counted.items()
    ]


FAILURES = Section(key="failures", build=_build)
