"""The checks of a seeker: each finds what it is for, and no text breaks or slows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escl.core.card_file import load_cards
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Language
from escl.store.upstream import read_upstream
from escl.text.seeker_checks import Check, Finish, SeekerCheck, check_seeker
from escl.text.words import MAX_CHARS
from tests.runs import CARD

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "data" / "esc-eval"
EN, ZH = Language.ENGLISH, Language.CHINESE


def talk(*said: str) -> list[Turn]:
    """Return a dialogue: greeting, then seeker and supporter by turns."""
    speakers = (Speaker.SEEKER, Speaker.SUPPORTER)
    turns = [Turn(speaker=speakers[at % 2], text=text) for at, text in enumerate(said)]
    return [Turn(speaker=Speaker.SUPPORTER, text="Hello, what brings you here?"), *turns]


def checks(found: SeekerCheck) -> list[tuple[Check, int | None]]:
    return [(finding.check, finding.turn) for finding in found.findings]


def found_in(
    *said: str, language: Language = EN, finishes: Sequence[Finish | None] = ()
) -> list[tuple[Check, int | None]]:
    return checks(check_seeker(talk(*said), language=language, card=CARD, finishes=finishes))


GOOD = (
    "It's my shifts, I hardly sleep.",
    "That sounds exhausting. When did it begin?",
    "In spring, when they changed the rota without asking any of us.",
    "And how do you get through the night then?",
)


def test_a_plain_dialogue_is_not_flagged() -> None:
    assert found_in(*GOOD) == []


def test_a_turn_that_supports_is_a_role_break_at_its_place() -> None:
    assert found_in(*GOOD, "How can I help you?", "Sorry?") == [(Check.ROLE_BREAK, 5)]


def test_a_card_read_out_in_the_first_person_is_copied() -> None:
    problem = "She has worked nights for six years and since the spring she cannot fall asleep before a shift any more."
    long_card = msgspec.structs.replace(CARD, text=CARD.text.replace(CARD.problem, problem))
    told = problem.replace("She has", "I have").replace("she", "I")
    said = ("Hi.", "Hello again.", told, "I see, and what did the people at work say when it began?")
    found = check_seeker(talk(*said), language=EN, card=long_card)
    assert checks(found) == [(Check.CARD_COPIED, 3)]


def test_a_card_told_whole_in_the_first_turn_is_told_at_once() -> None:
    problem = (
        "His bakery failed, the landlord wants four months of rent, brother lent money, children know nothing yet."
    )
    card = msgspec.structs.replace(CARD, text=CARD.text.replace(CARD.problem, problem))
    first = "My bakery failed. The landlord wants rent for months, my brother lent money and the children know nothing."
    assert (Check.TOLD_AT_ONCE, 1) in checks(check_seeker(talk(first, "Oh."), language=EN, card=card))


def test_without_a_card_nothing_is_said_of_copying() -> None:
    found = check_seeker(talk(*GOOD), language=EN)
    assert found.copied is None
    assert found.told_share is None


def test_a_switch_of_language_is_seen_both_ways() -> None:
    assert (Check.OTHER_LANGUAGE, 1) in found_in("我最近总是睡不着觉", "Sorry?")
    assert (Check.OTHER_LANGUAGE, 1) in found_in("I cannot sleep at all these days", "什么？", language=ZH)
    assert found_in("我在 Netflix 上看了很多剧还是睡不着", "然后呢，你做了些什么？", language=ZH) == []


def test_saying_the_same_again_and_looping_are_repetition() -> None:
    first = "In spring they changed the rota without asking any of us."
    assert found_in(first, "Go on, please.", first, "And then, what did you do?") == [(Check.REPETITION, 3)]
    assert (Check.REPETITION, 1) in found_in("I cannot sleep " * 6, "That must be hard on you and others.")


def test_short_thanks_may_be_said_twice() -> None:
    assert found_in("Thank you for that.", "Go on, please.", "Thank you for that.", "Of course, go on.") == []


def test_giving_back_the_supporters_words_is_an_echo() -> None:
    said = "You could write down what you would need to stay awake."
    assert (Check.ECHO, 3) in found_in("Hi.", said, said, "Hm.")


def test_empty_and_cut_turns_are_found() -> None:
    assert (Check.EMPTY, 1) in found_in(" ...\u200b ", "Are you there?")
    assert (Check.CUT, 3) in found_in(*GOOD, finishes=[None, "stop", "stop", "length", "length"])


def test_a_lecture_beside_a_terse_supporter_is_out_of_length() -> None:
    lecture = "so then this happened and that came next, which nobody had seen coming, and after it yet another thing"
    assert (Check.LENGTH, None) in found_in(lecture, "Okay.")


@given(
    st.lists(st.text(st.characters(), max_size=60), min_size=1, max_size=7),
    st.sampled_from(Language),
    st.lists(st.sampled_from([None, "stop", "length"]), max_size=9),
)
@settings(deadline=None)
def test_any_text_is_checked_and_every_finding_names_a_seekers_turn(
    said: list[str], language: Language, finishes: list[Finish | None]
) -> None:
    turns = talk(*said)
    found = check_seeker(turns, language=language, card=CARD, finishes=finishes)
    assert found == check_seeker(turns, language=language, card=CARD, finishes=finishes)
    for finding in found.findings:
        assert finding.turn is None or turns[finding.turn].speaker is Speaker.SEEKER
        assert len(finding.what) < 120


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a'",
        "' ",
        "不",
        "不很",
        "不没有",
        "\u202e",
        "age: ",
        "\n:",
        "i'm ",
        "as a ",
        "我我",
        "sorry you",
        "ai\u200b",
        "。.",
    ],
)
@pytest.mark.parametrize("language", list(Language))
def test_long_hostile_texts_come_to_an_end(unit: str, language: Language) -> None:
    """A pattern that backtracks over these would not within anyone's patience."""
    text = unit * (1_000_000 // len(unit))
    found = check_seeker(talk(text, text, text), language=language, card=CARD)
    assert found.n_units <= 2 * MAX_CHARS


@pytest.mark.skipif(not UPSTREAM.is_dir(), reason="ESC-Eval's example files are not here")
def test_upstreams_example_dialogues_are_clean_but_for_one_card_told_at_once() -> None:
    flagged = {}
    for name, language in (("llama3_en", EN), ("Qwen_7B_zh", ZH)):
        cards = load_cards(UPSTREAM / f"test_{language.value}.json")
        dialogues = read_upstream(UPSTREAM / f"result/{name}.json").dialogues
        for (key, turns), card in zip(dialogues.items(), cards, strict=True):
            if found := checks(check_seeker(turns, language=language, card=card)):
                flagged[name, key] = {check for check, _ in found}
    assert flagged == {
        ("Qwen_7B_zh", "1"): {Check.CARD_COPIED, Check.TOLD_AT_ONCE},
        ("Qwen_7B_zh", "2"): {Check.TOLD_AT_ONCE},
    }
