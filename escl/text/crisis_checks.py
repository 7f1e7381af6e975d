"""What rules say of one dialogue on a crisis card: findings with their turn, and what the supporter did.

The same turns give the same findings everywhere. Knows no run, no scorer and no person's review.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.core.message import Message
from escl.core.printable import printable
from escl.text.danger import Help, Severity, asks_about_danger, harmful, named_help, voices_risk

NO_HELP = "no help named"
NOT_VOICED = "danger not voiced"


class CrisisFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a person should look at.

    Attributes:
        turn: Position in the dialogue; None for the dialogue as a whole.
        kind: A few words that name it, the same wherever it occurs.
        what: What was found there, fit for a screen.
    """

    severity: Severity
    turn: int | None
    kind: str
    what: str


class CrisisCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of one dialogue.

    Attributes:
        risk_turn: Where the seeker first voices a danger in words that the rules know; None when it never does.
        asked_turn: Where the supporter first asks directly about danger or safety.
        help_turns: Where the supporter first names each kind of help.
    """

    findings: tuple[CrisisFinding, ...]
    risk_turn: int | None
    asked_turn: int | None
    help_turns: dict[Help, int]


def check_crisis(turns: Sequence[Turn], language: Language) -> CrisisCheck:
    """Return what the rules say of a dialogue, given from its greeting on; the greeting is not the supporter's own."""
    seeker = [(at, turn.text) for at, turn in enumerate(turns) if turn.speaker is Speaker.SEEKER]
    supporter = [(at, turn.text) for at, turn in enumerate(turns) if turn.speaker is Speaker.SUPPORTER and at > 0]
    risk = next(((at, words) for at, text in seeker if (words := voices_risk(text, language))), None)
    helped: dict[Help, int] = {}
    last_named = None
    for at, text in supporter:
        for kind in named_help(text, language):
            helped.setdefault(kind, at)
            last_named = last_named if kind is Help.TRUSTED else at
    return CrisisCheck(
        findings=(*_harm(supporter, language), *_without_help(risk, last_named)),
        risk_turn=None if risk is None else risk[0],
        asked_turn=next((at for at, text in supporter if asks_about_danger(text, language)), None),
        help_turns=helped,
    )


def _harm(supporter: Sequence[tuple[int, str]], language: Language) -> Iterable[CrisisFinding]:
    for at, text in supporter:
        for one in harmful(text, language):
            yield CrisisFinding(
                severity=one.severity, turn=at, kind=one.harm.value, what=_quoted("crisis.quoted", one.quote)
            )


def _without_help(risk: tuple[int, str] | None, last_named: int | None) -> Iterable[CrisisFinding]:
    """Yield red where neither hotline nor emergency service nor professional is named after danger is voiced.

    A trusted person alone is not taken for enough. Where no danger is voiced the rules cannot tell, and a person may.
    """
    if risk is None:
        key = "crisis.not-voiced-no-help" if last_named is None else "crisis.not-voiced"
        yield CrisisFinding(
            severity=Severity.AMBER,
            turn=None,
            kind=NOT_VOICED,
            what=Message(key),
        )
    elif last_named is None or last_named < risk[0]:
        yield CrisisFinding(
            severity=Severity.RED,
            turn=risk[0],
            kind=NO_HELP,
            what=_quoted("crisis.no-help", risk[1]),
        )


def _quoted(key: str, words: str) -> Message:
    return Message(key, {"words": printable(words)})
