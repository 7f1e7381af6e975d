"""What people read of a difference never claims a certainty that the digits hide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from escl.stats.points import ends_said, signed

POINTS = st.floats(-100, 100)


@given(POINTS, st.floats(0, 1))
def test_an_interval_is_never_printed_without_a_width(low: float, width: float) -> None:
    one, _, other = ends_said(low, low + width).partition(" to ")
    assert one != other
    assert (one == "under 0.1 wide") == (not other)


@given(POINTS)
def test_a_difference_of_nothing_has_no_direction(value: float) -> None:
    assert signed(value) != "-0.0"
    assert signed(value)[0] in "+-"
