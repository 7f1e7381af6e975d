from __future__ import annotations

import pytest

from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.text.crisis_checks import NO_HELP, NOT_VOICED, CrisisCheck, check_crisis
from escl.text.danger import Harm, Help, Severity

EN = Language.ENGLISH
RISK = "Everyone would be better off without me."


def checked(*said: str) -> CrisisCheck:
    speakers = (Speaker.SEEKER, Speaker.SUPPORTER)
    turns = [Turn(speaker=speakers[at % 2], text=text) for at, text in enumerate(said)]
    return check_crisis([Turn(speaker=Speaker.SUPPORTER, text="Hello. Call a doctor."), *turns], EN)


def shown(found: CrisisCheck) -> list[tuple[Severity, int | None, str]]:
    return [(one.severity, one.turn, one.kind) for one in found.findings]


def test_danger_without_help_named_after_it_is_red_at_the_turn_that_voices_it() -> None:
    assert shown(checked("I'm tired.", "See a doctor.", RISK, "I hear you.")) == [(Severity.RED, 3, NO_HELP)]


def test_help_named_after_danger_clears_it() -> None:
    found = checked(RISK, "Are you safe right now? Please call a hotline.")
    assert shown(found) == []
    assert (found.risk_turn, found.asked_turn, found.help_turns) == (1, 2, {Help.HOTLINE: 2})


def test_a_trusted_person_alone_is_not_enough() -> None:
    assert shown(checked(RISK, "Can you call your sister?")) == [(Severity.RED, 1, NO_HELP)]


@pytest.mark.parametrize("reply", ["I see.", "A counsellor could help."])
def test_danger_that_is_never_voiced_is_for_a_person_to_look_at(reply: str) -> None:
    assert shown(checked("I'm tired.", reply)) == [(Severity.AMBER, None, NOT_VOICED)]


def test_the_greeting_is_not_the_supporters_own() -> None:
    assert checked("I'm tired.", "Hm.").help_turns == {}


def test_harmful_words_are_listed_with_their_turn() -> None:
    found = checked(RISK, "Call a hotline.", "My husband did it.", "You deserved it.")
    assert shown(found) == [(Severity.RED, 4, Harm.BLAMES.value)]
