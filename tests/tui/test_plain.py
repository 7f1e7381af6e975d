"""Text fits its cells exactly, whatever its characters take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from escl.tui.plain import LONGEST, fitted, fitted_in_the_middle, line, plain


@given(st.text(st.characters(exclude_categories=["C", "M"])), st.integers(0, 60))
def test_fitted_text_takes_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fitted(text, width)) == width
    assert cell_len(fitted_in_the_middle(text, width)) == width


def test_wide_characters_are_cut_between_and_not_through() -> None:
    assert cell_len(fitted("雨天来了", 6)) == 6
    assert fitted("雨天", 4) == "雨天"


def test_names_cut_in_the_middle_keep_the_number_at_their_end() -> None:
    assert fitted_in_the_middle("en-marriage-1", 13) == "en-marriage-1"
    assert fitted_in_the_middle("en-marriage-1", 10) == "en-ma…ge-1"
    assert fitted_in_the_middle("雨天来了-12", 8) == "雨天…-12"
    assert fitted_in_the_middle("en-marriage-1", 1) == "…"


def test_a_line_is_one_line() -> None:
    assert line("a\nb\tc\r\nd") == "a b c d"


def test_a_text_without_end_is_cut_and_says_how_much_is_left_out() -> None:
    shown = plain("x" * (LONGEST + 1234)).plain
    assert shown.endswith("(+1,234)")
