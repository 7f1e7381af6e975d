"""A radar: values from 0 to 100 on axes that go out from one middle, a closed line for each series.

The lines differ in their dots and in the sign at their corners, so that they are told apart without colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from textual.content import Content

from escl.tui.widgets.braille import SOLID, Canvas

SIGNS: Final = "●▲■◆"
MOST: Final = len(SIGNS)
"""Series that can still be told apart."""
STYLES: Final = ("$primary", "$secondary", "$success", "$warning")
_PATTERNS: Final = (SOLID, (True, True, True, False, False), (True, False, False), (True, False))
_RING: Final = (True, False, False, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One closed line.

    Attributes:
        values: From 0 to 100, in the order of the axes; None leaves the line open there.
        look: Which of the signs, patterns and colours it has.
    """

    values: Sequence[float | None]
    look: int


def radar(axes: Sequence[str], series: Sequence[Series], width: int, height: int) -> Content:
    """Return the drawing in `width` x `height` characters; the last series lies above the others."""
    canvas = Canvas(width, height)
    corners = [_corner(at, len(axes)) for at in range(len(axes))]
    # In dots, which are as high as they are wide; a line above and below is for the names.
    room = [
        (width - 2 * (cell_len(name) + 2)) / abs(x) for name, (x, _) in zip(axes, corners, strict=True) if abs(x) > 0.1
    ]
    middle, radius = (width, 2 * height), max(4.0, min(2 * (height - 2) - 1, *room))

    def place(at: int, value: float) -> tuple[float, float]:
        x, y = corners[at]
        return middle[0] + x * radius * value / 100, middle[1] + y * radius * value / 100

    for at in range(len(axes)):
        canvas.line(place(at, 0), place(at, 100), "$muted", pattern=_RING)
        for value in (50, 100):
            canvas.line(place(at, value), place((at + 1) % len(axes), value), "$muted", pattern=_RING)
        _name(canvas, axes[at], corners[at], place(at, 100))
    for one in series:
        _draw(canvas, one, [None if v is None else place(at, v) for at, v in enumerate(one.values)])
    return canvas.content()


def _corner(at: int, n: int) -> tuple[float, float]:
    """Return where an axis points: the first one up, the others clockwise."""
    angle = 2 * math.pi * at / n - math.pi / 2
    return math.cos(angle), math.sin(angle)


def _name(canvas: Canvas, name: str, corner: tuple[float, float], end: tuple[float, float]) -> None:
    column, row, size = round(end[0] / 2), round(end[1] / 4), cell_len(name)
    if abs(corner[0]) < 0.1:
        canvas.write(column - size // 2, row - 1, name, "$foreground")
    elif corner[1] > 0.8:
        canvas.write(column - (size if corner[0] < 0 else 0), row + 1, name, "$foreground")
    else:
        canvas.write(column + 2 if corner[0] > 0 else column - 1 - size, row, name, "$foreground")


def _draw(canvas: Canvas, one: Series, places: Sequence[tuple[float, float] | None]) -> None:
    style, pattern = STYLES[one.look], _PATTERNS[one.look]
    for start, end in zip(places, [*places[1:], *places[:1]], strict=True):
        if start is not None and end is not None:
            canvas.line(start, end, style, pattern=pattern)
    for corner in places:
        if corner is not None:
            canvas.write(int(corner[0]) // 2, int(corner[1]) // 4, SIGNS[one.look], f"bold {style}")
