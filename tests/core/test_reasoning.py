"""What a model thinks aloud is told from what it says, however it is marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escl.core.reasoning import MARKERS, split_reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "said"),
    [
        ("Hello.", None, "Hello."),
        (" Hello <b>. ", None, " Hello <b>. "),
        ("<think>She is sad.</think>\n\nI am sorry.", "She is sad.", "I am sorry."),
        ("<think>\n\n</think>\n\nI am sorry.", None, "I am sorry."),
        ("[THINK]She is sad.[/THINK]I am sorry.", "She is sad.", "I am sorry."),
        ("<thinking>She is sad.</thinking> I am sorry.", "She is sad.", "I am sorry."),
        # The template wrote the opening itself.
        ("She is sad.\n</think>\nI am sorry.", "She is sad.", "I am sorry."),
        # The token limit cut the reply.
        ("<think>She is sad. I might", "She is sad. I might", ""),
        ("I am sorry. <think>More?", "More?", "I am sorry."),
        ("<think>a</think>One.<think>b</think>Two.", "a\n\nb", "One.Two."),
        ("<think>What does <think> mean?</think>Nothing.", "What does\n\nmean?", "Nothing."),
        ("<think>a</think>b</think>c", "a\n\nb", "c"),
    ],
)
def test_reasoning_and_reply_are_told_apart(text: str, reasoning: str | None, said: str) -> None:
    assert split_reasoning(text) == (reasoning, said)


@given(st.lists(st.sampled_from([*MARKERS, "a", "b ", "\n", "<"])).map("".join))
def test_no_marker_is_ever_said_and_nothing_that_is_marked_is_lost(text: str) -> None:
    reasoning, said = split_reasoning(text)
    assert not any(marker in said for marker in MARKERS)
    if not any(marker in text for marker in MARKERS):
        assert (reasoning, said) == (None, text)
    letters = [letter for letter in text.replace("think", "").replace("THINK", "") if letter in "ab"]
    kept = [letter for letter in (reasoning or "") + said if letter in "ab"]
    assert sorted(kept) == sorted(letters)
