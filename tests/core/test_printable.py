"""What is shown cannot steer a terminal or hide text; ordinary text in any script is shown as it is."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from escl.core.printable import printable, printable_json

EMOJI_JOINED = ["👩‍⚕️", "👨‍👩‍👧", "🧘🏽‍♀️", "❤️‍🔥"]


@pytest.mark.parametrize(
    "text",
    [
        "plain text\tand\nlines",
        "“你好”，最近怎么样？",
        "Zoë, São Paulo, Łódź",
        "日本語 한국어 العربية עברית हिन्दी",
        *EMOJI_JOINED,
    ],
)
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    "hidden",
    [
        "\x00",
        "\x07",
        "\x08",
        "\x1b",
        "\x7f",
        "\x9b",
        "\xad",
        "\u061c",
        "\u200b",
        "\u200d",
        "\u200e",
        "\u2028",
        "\u202e",
        "\u2060",
        "\u2066",
        "\u3164",
        "\ufeff",
        "\ud800",
        "\U000e0041",
        "\U000e0100",
    ],
)
def test_a_character_that_steers_or_hides_is_shown_as_a_replacement(hidden: str) -> None:
    assert printable(f"a{hidden}b") == "a\ufffdb"


def test_a_terminal_sequence_is_disarmed() -> None:
    assert printable("\x1b]0;owned\x07\x1b[2J") == "\ufffd]0;owned\ufffd\ufffd[2J"


@pytest.mark.parametrize("text", ["a\r\nb", "a\rb", "a\nb"])
def test_every_line_end_becomes_a_newline(text: str) -> None:
    assert printable(text) == "a\nb"


@given(st.text())
def test_nothing_invisible_is_left(text: str) -> None:
    for character in printable(text):
        category = unicodedata.category(character)
        assert category not in {"Cs", "Zl", "Zp"}
        assert category != "Cc" or character in "\t\n"


@given(st.text())
@example("\x9b2J \u202e \x7f \U000e0041 \u2028 \u200d")
@example("\U0001f468\u200d\U0001f469")
def test_json_says_the_same_and_holds_nothing_that_steers_a_terminal(text: str) -> None:
    raw = json.dumps({text: [text]}, ensure_ascii=False, indent=2)
    shown = printable_json(raw)
    assert json.loads(shown) == {text: [text]}
    assert printable(shown) == shown


@given(st.text())
def test_showing_twice_is_showing_once(text: str) -> None:
    assert printable(printable(text)) == printable(text)
