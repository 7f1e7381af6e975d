"""Units, and texts that try to break or slow whoever reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.dimension import Language
from escl.text.words import MAX_CHARS, han_share, ngrams, plain, sentences, units


def test_words_are_lower_case_and_han_characters_stand_alone() -> None:
    assert units("I can't sleep, 我睡不着 at 3am!") == ["i", "can't", "sleep", "我", "睡", "不", "着", "at", "3am"]


def test_invisible_characters_and_full_width_letters_hide_no_word() -> None:
    assert units("ki\u200bll \u202eＡＩ\u2069 I’m") == ["kill", "ai", "i'm"]


def test_sentences_end_at_marks_of_both_languages() -> None:
    assert sentences("One. Two！三。\nfour") == ["one", "two", "三", "four"]


def test_a_text_without_words_has_no_script() -> None:
    assert han_share("...!") is None
    assert han_share("好ok") == 0.5


@given(st.text(st.characters(), max_size=300))
def test_any_text_becomes_bounded_plain_text_without_surrogates_or_controls(text: str) -> None:
    found = plain(text)
    assert len(found) <= MAX_CHARS
    found.encode()
    assert not any(c in found for c in "\x00\x1b\u200b\u202e")
    assert units(text) == units(found)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 4))
def test_there_are_as_many_runs_as_places_to_begin_one(items: list[str], n: int) -> None:
    assert len(list(ngrams(items, n))) == max(0, len(items) - n + 1)


@pytest.mark.parametrize("language", list(Language))
def test_what_lies_beyond_the_bound_is_not_read(language: Language) -> None:
    assert len(units("好" * (MAX_CHARS + 500))) == MAX_CHARS
