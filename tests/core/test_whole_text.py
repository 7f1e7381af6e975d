"""Whatever text a dialogue holds can be sent, and what can be sent is sent as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.whole_text import whole_text

HIGH, LOW = "\ud83d", "\ude00"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (HIGH, "\ufffd"),
        (f"a{LOW}b", "a\ufffdb"),
        (HIGH + LOW, "😀"),
        (LOW + HIGH, "\ufffd\ufffd"),
        (f"{HIGH} {LOW}", "\ufffd \ufffd"),
        ("\ufeffBegin", "\ufeffBegin"),
        (f"\ufeffBegin{HIGH}", "\ufeffBegin\ufffd"),
    ],
)
def test_half_a_character_is_replaced_and_two_halves_are_one(text: str, whole: str) -> None:
    assert whole_text(text) == whole


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_encoded_and_whole_text_stays(text: str) -> None:
    whole = whole_text(text)
    whole.encode()
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert whole == text
