from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from escl.core.dimension import Language
from escl.text.copying import content, copied_share, loop_share, n_copied, runs, same_person
from escl.text.words import units

_ITEMS = st.lists(st.sampled_from("abcd"), max_size=30)


@given(_ITEMS, _ITEMS, st.integers(1, 4))
def test_copied_units_are_those_in_a_shared_run(text: list[str], source: list[str], n: int) -> None:
    there = runs(source, n)
    covered = {at + k for at in range(len(text) - n + 1) if tuple(text[at : at + n]) in there for k in range(n)}
    assert n_copied(text, there, n) == len(covered)


@given(_ITEMS.filter(lambda items: len(items) >= 3))
def test_a_text_is_all_of_it_in_itself(text: list[str]) -> None:
    assert copied_share(text, text, 3) == 1.0


def test_a_card_told_in_the_first_person_is_a_copy_of_it() -> None:
    card, turn = (same_person(units(text)) for text in ("She has lost her job and is ashamed.", "I have lost my job"))
    assert turn == card[: len(turn)]


def test_a_loop_is_what_was_said_before_in_the_same_text() -> None:
    assert loop_share(units("go on " * 20), 3) > 0.9
    assert loop_share(units("each word here is said once and never again"), 3) == 0.0


def test_content_is_long_words_or_pairs_of_characters() -> None:
    assert content("The debt of my brother", Language.ENGLISH) == {"debt", "brother"}
    assert content("我失眠", Language.CHINESE) == {"我失", "失眠"}
