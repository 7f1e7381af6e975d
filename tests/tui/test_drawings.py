"""What is drawn with characters stands where its numbers say, and is told apart without colour."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.style import Style

from escl.tui.widgets.braille import Canvas
from escl.tui.widgets.intervals import Ink, Scale, around_zero, axis, interval, ruled, whole_ends
from escl.tui.widgets.radar import MOST, SIGNS, Series, radar

PLAIN = Ink(ground=Style(), whisker=Style(), point=Style())
SCALE = Scale(low=0, high=100, width=21)
NAMES = ("Fluency", "Expression", "Empathy", "Information", "Humanoid", "Skillful", "Overall")


def drawn(mean: float | None, low: float | None, high: float | None, *, scale: Scale = SCALE) -> str:
    return interval(scale, mean, (low, high), " " * scale.width, ink=PLAIN).plain


def test_an_interval_stands_where_its_numbers_say() -> None:
    assert drawn(50, 25, 75) == "     ├────●────┤     "
    assert drawn(50, None, None) == "          ●          "
    assert drawn(None, None, None) == " " * 21
    assert drawn(50, 49.9, 50.1) == "          ●          "


@pytest.mark.parametrize(
    ("low", "high", "shown"), [(99.87, 99.98, "99–100"), (64.0, 73.0, "64–73"), (63.6, 72.2, "63–73")]
)
def test_whole_ends_hold_what_lies_between(low: float, high: float, shown: str) -> None:
    assert whole_ends(low, high) == shown


def test_an_interval_beyond_the_scale_ends_in_an_arrow() -> None:
    assert drawn(-3, -20, 10) == "◂─┤                  "
    narrow = Scale(low=-10, high=10, width=21)
    assert drawn(5, -30, 30, scale=narrow) == "◂──────────────●────▸"


def test_the_ground_shows_zero_and_the_margin_and_the_scale_its_values() -> None:
    scale = Scale(low=-10, high=10, width=21)
    assert around_zero(scale, 5) == "     ░░░░░│░░░░░     "
    assert interval(scale, 2, (-3, 7), around_zero(scale, 5), ink=PLAIN).plain == "     ░░├──┼─●────┤   "
    assert ruled(SCALE, (0, 50, 100)) == "┊         ┊         ┊"
    assert axis(SCALE, (0, 50, 100)) == "0        50       100"
    assert axis(scale, (-10, 0, 10), signed=True) == "-10       0       +10"


def test_values_of_a_scale_without_room_are_left_out_and_never_run_together() -> None:
    shown = axis(Scale(low=-100, high=100, width=12), (-100, -50, 0, 50, 100), signed=True)
    assert cell_len(shown) == 12
    assert shown.split() == ["-100", "0", "+100"]


def test_a_canvas_sets_the_dots_of_braille() -> None:
    canvas = Canvas(2, 1)
    canvas.dot(0, 0, "")
    canvas.dot(3, 3, "")
    canvas.dot(99, 99, "")
    assert canvas.content().plain == "⠁⢀"


def test_wide_characters_on_a_canvas_keep_the_lines_as_long() -> None:
    canvas = Canvas(8, 2)
    canvas.write(1, 0, "流畅性", "")
    canvas.write(5, 1, "流畅性", "")
    assert [cell_len(one) for one in canvas.content().plain.split("\n")] == [8, 8]


@pytest.mark.parametrize(("width", "height"), [(44, 16), (90, 34), (20, 6)])
def test_a_radar_fills_its_room_and_never_more(width: int, height: int) -> None:
    lines = radar(NAMES, [Series(values=[50.0] * 7, look=0)], width, height).plain.split("\n")
    assert [cell_len(one) for one in lines] == [width] * height


def test_each_series_of_a_radar_has_a_sign_at_every_corner_that_it_has_a_value_for() -> None:
    values: list[list[float | None]] = [[90.0] * 7, [70.0] * 6 + [None], [50.0] * 7, [30.0] * 7]
    shown = radar(NAMES, [Series(values=one, look=at) for at, one in enumerate(values)], 90, 36).plain
    assert [shown.count(sign) for sign in SIGNS] == [7, 6, 7, 7]
    assert all(name in shown for name in NAMES)
    assert len(values) == MOST


def test_a_higher_value_lies_further_out() -> None:
    low, high = (radar(NAMES, [Series(values=[value] * 7, look=0)], 60, 24).plain.split("\n") for value in (20.0, 90.0))
    rows = [[at for at, one in enumerate(lines) if "●" in one] for lines in (low, high)]
    assert rows[1][0] < rows[0][0] < rows[0][-1] < rows[1][-1]
