"""Whether the seeker of one dialogue played its role: measures, findings, and the thresholds that make a finding.

Deterministic: the same turns give the same findings everywhere. What each threshold means, and why it is where it is,
is in docs/validity.md. Knows no run; says nothing about the supporter, whose turns serve for comparison only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import chain
from typing import Final, Literal

import msgspec

from escl.core.card import RoleCard
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.core.message import Message
from escl.core.printable import printable
from escl.text.affect import Drift, drift
from escl.text.copying import content, copied_share, loop_share, n_copied, runs, same_person
from escl.text.role_break import RoleBreak, role_breaks
from escl.text.words import han_share, run_length, units


class Check(StrEnum):
    """What is checked; the value names it in results."""

    ROLE_BREAK = "role-break"
    CARD_COPIED = "card-copied"
    TOLD_AT_ONCE = "told-at-once"
    OTHER_LANGUAGE = "other-language"
    REPETITION = "repetition"
    ECHO = "echo"
    EMPTY = "empty"
    CUT = "cut"
    LENGTH = "length"


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """From where on a measure is a finding; a dialogue with any finding is flagged.

    Attributes:
        copied_words: Words of one turn that stand in its card too, in runs of `run_words` or more, persons made one.
        copied_characters: The same in Chinese, in runs of `run_characters`.
        run_words: English words in a row that count as taken over.
        run_characters: Han characters in a row that count as taken over.
        told_share: Share of what the card is about that the first turn tells (0-1).
        told_content: Cards about fewer words, or pairs of characters, are not checked for that.
        other_script: Share of a turn in the script of the other language (0-1).
        repeated_share: Share of a turn that an earlier turn of the same speaker said too (0-1).
        repeated_units: Turns of fewer words or characters are too short to repeat anything.
        loop_share: Share of a turn's runs that it said before (0-1).
        echoed_share: Share of a turn that the supporter said just before (0-1).
        shortest: Seeker's words for each of the supporter's, below which the seeker hardly speaks.
        longest: The same, above which the seeker lectures.
    """

    copied_words: int = 12
    copied_characters: int = 20
    run_words: int = 5
    run_characters: int = 8
    told_share: float = 0.5
    told_content: int = 12
    other_script: float = 0.5
    repeated_share: float = 0.7
    repeated_units: int = 8
    loop_share: float = 0.5
    echoed_share: float = 0.7
    shortest: float = 0.02
    longest: float = 3.0


DEFAULT: Final = Thresholds()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a seeker.

    Attributes:
        turn: Its position in the dialogue (0 is the greeting); None for the dialogue as a whole.
        what: What was found, in a few words, fit for a screen.
    """

    check: Check
    turn: int | None
    what: str


class SeekerCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks say of one dialogue.

    Attributes:
        findings: In the order of the turns.
        n_turns: Turns of the seeker.
        n_units: Words or Han characters of the seeker.
        length_ratio: Units of the seeker for each of the supporter's, without the greeting; None when it said nothing.
        told_share: Share of what the card is about that the first turn tells (0-1); None without a card, or with one
            that says too little.
        copied: Units that the seeker took from its card; None without a card.
        drift: The seeker's mood over its turns. It is shown and never flags.
    """

    findings: tuple[Finding, ...]
    n_turns: int
    n_units: int
    length_ratio: float | None
    told_share: float | None
    copied: int | None
    drift: Drift

    @property
    def is_flagged(self) -> bool:
        """Whether anything was found."""
        return bool(self.findings)


Finish = Literal["stop", "length"]


def check_seeker(
    turns: Sequence[Turn],
    *,
    language: Language,
    card: RoleCard | None = None,
    finishes: Sequence[Finish | None] = (),
    thresholds: Thresholds = DEFAULT,
) -> SeekerCheck:
    """Return what the checks say of the seeker in one dialogue.

    Args:
        turns: From the greeting on.
        language: What the seeker should speak.
        card: What it played; None when nobody knows, and then nothing is said of copying.
        finishes: How each turn ended; may be shorter than the turns.
        thresholds: From where on a measure is a finding.
    """
    seeker = [(at, turn.text) for at, turn in enumerate(turns) if turn.speaker is Speaker.SEEKER]
    cut = [units(text) for _, text in seeker]
    supporter = sum(len(units(turn.text)) for turn in turns[1:] if turn.speaker is Speaker.SUPPORTER)
    n_units = sum(map(len, cut))
    ratio = n_units / supporter if supporter else None
    told = _told(seeker, card, language, thresholds)
    n = run_length(language, words=thresholds.run_words, characters=thresholds.run_characters)
    copied = None if card is None else _copied(cut, card, n)
    each = (
        finding
        for (at, text), said, before in zip(seeker, cut, _before(cut), strict=True)
        for finding in _of_turn(at, text, said, before, language=language, thresholds=thresholds)
    )
    findings = chain(
        each,
        _echoes(turns, thresholds, language),
        _cut(seeker, finishes),
        _of_card(seeker, told, copied, language=language, thresholds=thresholds),
        _of_length(ratio, thresholds),
    )
    return SeekerCheck(
        findings=tuple(sorted(findings, key=lambda one: (one.turn is None, one.turn or 0, one.check))),
        n_turns=len(seeker),
        n_units=n_units,
        length_ratio=ratio,
        told_share=told,
        copied=None if copied is None else sum(copied),
        drift=drift([text for _, text in seeker], language),
    )


def _of_turn(
    at: int, text: str, said: list[str], before: list[list[str]], *, language: Language, thresholds: Thresholds
) -> Iterable[Finding]:
    """Yield what is wrong with a turn by itself and beside the seeker's earlier ones."""
    if not said:
        yield Finding(check=Check.EMPTY, turn=at, what=Message("seeker.no-word"))
        return
    for kind, words in role_breaks(text, language).items():
        yield Finding(check=Check.ROLE_BREAK, turn=at, what=_role_break(kind, words))
    han = han_share(text) or 0.0
    other = han if language is Language.ENGLISH else 1 - han
    if other >= thresholds.other_script and len(said) >= thresholds.repeated_units // 2:
        yield Finding(check=Check.OTHER_LANGUAGE, turn=at, what=_share("seeker.other-script", other))
    n = run_length(language, words=3, characters=4)
    if len(said) < thresholds.repeated_units:
        return
    if (looped := loop_share(said, n)) >= thresholds.loop_share:
        yield Finding(check=Check.REPETITION, turn=at, what=_share("seeker.looped", looped))
    again = max((copied_share(said, earlier, n) for earlier in before), default=0.0)
    if again >= thresholds.repeated_share:
        yield Finding(check=Check.REPETITION, turn=at, what=_share("seeker.repeated", again))


def _role_break(kind: RoleBreak, words: str) -> Message:
    return Message("seeker.role-break", {"kind": Message(f"role-break.{kind.name}"), "words": printable(words)})


def _share(key: str, share: float) -> Message:
    return Message(key, {"share": share})


def _echoes(turns: Sequence[Turn], thresholds: Thresholds, language: Language) -> Iterable[Finding]:
    n = run_length(language, words=3, characters=4)
    for at in range(1, len(turns)):
        if turns[at].speaker is not Speaker.SEEKER:
            continue
        said = units(turns[at].text)
        echoed = copied_share(said, units(turns[at - 1].text), n)
        if len(said) >= thresholds.repeated_units and echoed >= thresholds.echoed_share:
            yield Finding(check=Check.ECHO, turn=at, what=_share("seeker.echoed", echoed))


def _cut(seeker: Sequence[tuple[int, str]], finishes: Sequence[Finish | None]) -> Iterable[Finding]:
    for at, _ in seeker:
        if at < len(finishes) and finishes[at] == "length":
            yield Finding(check=Check.CUT, turn=at, what=Message("seeker.cut"))


def _of_card(
    seeker: Sequence[tuple[int, str]],
    told: float | None,
    copied: Sequence[int] | None,
    *,
    language: Language,
    thresholds: Thresholds,
) -> Iterable[Finding]:
    if told is not None and told >= thresholds.told_share:
        yield Finding(check=Check.TOLD_AT_ONCE, turn=seeker[0][0], what=_share("seeker.told", told))
    limit = run_length(language, words=thresholds.copied_words, characters=thresholds.copied_characters)
    unit = "words" if language is Language.ENGLISH else "characters"
    for (at, _), count in zip(seeker, copied or (), strict=False):
        if count >= limit:
            yield Finding(check=Check.CARD_COPIED, turn=at, what=Message(f"seeker.copied-{unit}", {"n": count}))


def _of_length(ratio: float | None, thresholds: Thresholds) -> Iterable[Finding]:
    if ratio is not None and not thresholds.shortest <= ratio <= thresholds.longest:
        yield Finding(check=Check.LENGTH, turn=None, what=Message("seeker.length", {"ratio": ratio}))


def _told(
    seeker: Sequence[tuple[int, str]], card: RoleCard | None, language: Language, thresholds: Thresholds
) -> float | None:
    if card is None or not seeker:
        return None
    about = content(card.problem, language)
    if len(about) < thresholds.told_content:
        return None
    return len(about & content(seeker[0][1], language)) / len(about)


def _copied(cut: Sequence[list[str]], card: RoleCard, n: int) -> list[int]:
    source = runs(same_person(units(card.problem)), n)
    return [n_copied(same_person(said), source, n) for said in cut]


def _before(cut: Sequence[list[str]]) -> Iterable[list[list[str]]]:
    return (list(cut[:at]) for at in range(len(cut)))
