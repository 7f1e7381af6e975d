"""A run's role-play validity: which dialogues have a seeker that fell out of its role, counted and never dropped."""

from __future__ import annotations

import msgspec

from escl.core.dimension import Language
from escl.core.message import Field, Message
from escl.store.records import DialogueRow
from escl.store.run import RunStore
from escl.text.seeker_checks import DEFAULT, Check, SeekerCheck, Thresholds, check_seeker

NOTICE_SHARE = 0.1
"""A result says so by itself when more than this share of its dialogues is flagged."""


class CheckedDialogue(msgspec.Struct, frozen=True, kw_only=True):
    """One complete dialogue and what was found in it."""

    dialogue: int
    card: str
    language: Language
    supporter: str
    repeat: int
    crisis: bool
    checked: SeekerCheck

    @property
    def is_flagged(self) -> bool:
        """Whether anything was found."""
        return self.checked.is_flagged


class SeekerWith(msgspec.Struct, frozen=True, kw_only=True):
    """The seeker in all its dialogues with one supporter.

    Attributes:
        flagged: Dialogues with a finding.
        by_check: Dialogues with a finding of each check, all checks named.
        n_turns: Turns of the seeker.
        mean_slope: Mean trend of its mood for each turn; None where no dialogue shows one.
        n_slopes: Dialogues that show one.
    """

    supporter: str
    n_dialogues: int
    flagged: int
    by_check: dict[Check, int]
    n_turns: int
    mean_slope: float | None
    n_slopes: int


class Validity(msgspec.Struct, frozen=True, kw_only=True):
    """The seeker's role-play over a run, crisis cards with it.

    Attributes:
        thresholds: Those that made the findings.
        n_without_card: Dialogues whose card nobody knows, as imported ones: nothing is said of copying there.
    """

    thresholds: Thresholds
    n_dialogues: int
    n_flagged: int
    n_without_card: int
    supporters: list[SeekerWith]
    dialogues: list[CheckedDialogue]

    @property
    def share(self) -> float | None:
        """The share of flagged dialogues (0-1); None without any dialogue."""
        return self.n_flagged / self.n_dialogues if self.n_dialogues else None


def validity_of(store: RunStore, *, thresholds: Thresholds = DEFAULT) -> Validity:
    """Return what the checks say of the seeker in every complete dialogue of a run."""
    cards = store.cards()
    finishes = store.finishes()
    checked = []
    for dialogue in store.dialogues():
        if dialogue.state != "complete":
            continue
        card = cards.get(dialogue.card_id)
        found = check_seeker(
            store.turns(dialogue.id),
            language=dialogue.language,
            card=card,
            finishes=finishes.get(dialogue.id, []),
            thresholds=thresholds,
        )
        checked.append(_checked(dialogue, found, crisis=card is not None and card.crisis is not None))
    names = dict.fromkeys(one.supporter for one in checked)
    return Validity(
        thresholds=thresholds,
        n_dialogues=len(checked),
        n_flagged=sum(one.is_flagged for one in checked),
        n_without_card=sum(one.card not in cards for one in checked),
        supporters=[_with(name, [one for one in checked if one.supporter == name]) for name in names],
        dialogues=checked,
    )


def validity_notice(store: RunStore) -> list[str]:
    """Return what a result must say of the seeker by itself: one line, or none when few dialogues are flagged."""
    found = validity_of(store)
    share = found.share
    if share is None or share <= NOTICE_SHARE:
        return []
    by_check = {check: sum(one.by_check[check] for one in found.supporters) for check in Check}
    most = sorted((check for check in Check if by_check[check]), key=lambda check: -by_check[check])
    kinds = [Message("seeker.kind", {"check": Message(f"check.{check.value}"), "n": by_check[check]}) for check in most]
    fields: dict[str, Field] = {"n": found.n_flagged, "all": found.n_dialogues, "share": share, "kinds": kinds}
    return [Message("seeker.flagged", fields)]


def _checked(dialogue: DialogueRow, found: SeekerCheck, *, crisis: bool) -> CheckedDialogue:
    return CheckedDialogue(
        dialogue=dialogue.id,
        card=dialogue.card_id,
        language=dialogue.language,
        supporter=dialogue.supporter,
        repeat=dialogue.repeat,
        crisis=crisis,
        checked=found,
    )


def _with(supporter: str, its_own: list[CheckedDialogue]) -> SeekerWith:
    slopes = [slope for one in its_own if (slope := one.checked.drift.slope) is not None]
    return SeekerWith(
        supporter=supporter,
        n_dialogues=len(its_own),
        flagged=sum(one.is_flagged for one in its_own),
        by_check={
            check: sum(any(f.check is check for f in one.checked.findings) for one in its_own) for check in Check
        },
        n_turns=sum(one.checked.n_turns for one in its_own),
        mean_slope=sum(slopes) / len(slopes) if slopes else None,
        n_slopes=len(slopes),
    )
