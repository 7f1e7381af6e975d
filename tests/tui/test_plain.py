"""Text fits its cells exactly, whatever its characters take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from escl.tui.plain import LONGEST, fitted, line, plain


@given(st.text(st.characters(exclude_categories=["C", "M"])), st.integers(0, 60))
def test_fitted_text_takes_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fitted(text, width)) == width


def test_wide_characters_are_cut_between_and_not_through() -> None:
    assert cell_len(fitted("雨天来了", 6)) == 6
    assert fitted("雨天", 4) == "雨天"


def test_a_line_is_one_line() -> None:
    assert line("a\nb\tc\r\nd") == "a b c d"


def test_a_text_without_end_is_cut_and_says_how_much_is_left_out() -> None:
    shown = plain("x" * (LONGEST + 1234)).plain
    assert shown.endswith("(+1,234)")
