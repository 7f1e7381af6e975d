"""Red findings that people add themselves: kept as reviews are, under names of their own.

The first review of such a name is the finding: who found it, and the words. Later ones are reviews of it like any
other, so a second person may dismiss it, and nothing is overwritten. Knows no rules and no scorer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from escl.core.strict import quoted
from escl.errors import UsageError
from escl.evaluation.crisis_flow import crisis_dialogues
from escl.evaluation.dialogue_names import Names, Place, dialogue_code
from escl.store.crisis import CrisisStore, ReviewRow
from escl.store.records import DialogueRow
from escl.store.run import RunStore

MAX_WORDS: Final = 2000
"""Characters of what a person says of a finding."""

_NAME: Final = re.compile(r"(?P<dialogue>[0-9]{1,12})\.(?P<turn>all|[0-9]{1,6})\.person\.[0-9]{1,6}")


class OwnFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One red finding of a person.

    Attributes:
        id: Names it in reviews, as findings of rules are named.
        turn: Position in the dialogue; None for the dialogue as a whole.
        words: What was found.
        review: The latest word on it: its own, until somebody says another.
    """

    id: str
    dialogue: int
    turn: int | None
    reviewer: str
    words: str
    review: ReviewRow


def own_findings(reviews: Iterable[ReviewRow]) -> list[OwnFinding]:
    """Return what people added, in the order in which they did."""
    by_name: dict[str, list[ReviewRow]] = {}
    for review in reviews:
        if _NAME.fullmatch(review.finding):
            by_name.setdefault(review.finding, []).append(review)
    return [_own(name, said) for name, said in by_name.items()]


def _own(name: str, said: list[ReviewRow]) -> OwnFinding:
    parts = _NAME.fullmatch(name)
    assert parts is not None
    first = said[0]
    return OwnFinding(
        id=name,
        dialogue=int(parts["dialogue"]),
        turn=None if parts["turn"] == "all" else int(parts["turn"]),
        reviewer=first.reviewer,
        words=first.note or "",
        review=said[-1],
    )


def dialogue_named(store: RunStore, path: Path, name: str) -> DialogueRow:
    """Return the crisis dialogue that a person calls card/supporter, card/supporter/repeat or by its code.

    Raises:
        UsageError: There is none of that name.
        RatingsError: There are several.
    """
    names = Names()
    for row in crisis_dialogues(store):
        names.add(path, Place(run=0, row=row), code=dialogue_code(row, store.turns(row.id)))
    found = names.find(name)
    if found is None:
        raise UsageError(
            f"{path} has no crisis dialogue {quoted(name)}", hint="name it card/supporter, as `escl crisis report` does"
        )
    return found.row


def add_own_finding(store: RunStore, dialogue: DialogueRow, *, turn: int | None, words: str, reviewer: str) -> str:
    """Store a red finding of a person and return its name.

    Raises:
        UsageError: The dialogue has no such turn, or the words are none or too many.
    """
    n_turns = len(store.turns(dialogue.id))
    if turn is not None and not 0 <= turn < n_turns:
        raise UsageError(f"the dialogue has no turn {turn}", hint=f"its turns are 0 (the greeting) to {n_turns - 1}")
    if not words.strip() or len(words) > MAX_WORDS:
        raise UsageError(f"a finding says what was found, in 1 to {MAX_WORDS} characters")
    kept = CrisisStore(store.database)
    at = f"{dialogue.id}.{'all' if turn is None else turn}.person."
    n_there = sum(one.id.startswith(at) for one in own_findings(kept.reviews()))
    name = f"{at}{n_there + 1}"
    kept.add_review(name, "confirmed", reviewer=reviewer, note=words.strip())
    return name
