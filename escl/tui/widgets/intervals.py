"""Means with their intervals drawn as one line each, on a scale that all lines share: `├──●──┤`.

Knows numbers and characters; whose they are, and what the colours are, is the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from escl.tui.plain import fitted

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where a value is drawn.

    Attributes:
        low: The value of the first column.
        high: Of the last.
        width: Columns, two or more.
    """

    low: float
    high: float
    width: int

    def column(self, value: float) -> int:
        """Return the column of `value`, of the nearest end where it lies beyond."""
        share = (value - self.low) / (self.high - self.low)
        return round(min(1.0, max(0.0, share)) * (self.width - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """What the parts of a line look like; their characters tell them apart without it."""

    ground: Style
    whisker: Style
    point: Style


def interval(
    scale: Scale, mean: float | None, ends: tuple[float | None, float | None], ground: str, *, ink: Ink
) -> Text:
    """Return a mean with its interval on `ground`; an arrow stands for what lies beyond the scale.

    Args:
        scale: Of all lines.
        mean: None draws the ground alone.
        ends: Of the interval; Nones draw the mean alone.
        ground: What is behind it, `scale.width` characters of one cell each.
        ink: The colours.
    """
    columns, styles = list(ground), [ink.ground] * scale.width
    low, high = ends
    if mean is not None and low is not None and high is not None:
        first, last = scale.column(low), scale.column(high)
        for at in range(first, last + 1):
            columns[at] = "┼" if columns[at] == "│" else "─"
            styles[at] = ink.whisker
        if last > first:
            columns[first] = "◂" if low < scale.low else "├"
            columns[last] = "▸" if high > scale.high else "┤"
    if mean is not None:
        columns[scale.column(mean)] = "◂" if mean < scale.low else "▸" if mean > scale.high else "●"
        styles[scale.column(mean)] = ink.point
    return Text.assemble(*zip(columns, styles, strict=True), no_wrap=True)


def ruled(scale: Scale, at: Iterable[float]) -> str:
    """Return a ground with a thin line at each of these values."""
    columns = [" "] * scale.width
    for value in at:
        columns[scale.column(value)] = "┊"
    return "".join(columns)


def around_zero(scale: Scale, margin: float) -> str:
    """Return a ground with a line at zero, shaded where a difference is within the margin."""
    columns = [" "] * scale.width
    for at in range(scale.column(-margin), scale.column(margin) + 1):
        columns[at] = "░"
    columns[scale.column(0)] = "│"
    return "".join(columns)


def axis(scale: Scale, at: Sequence[float], *, signed: bool = False) -> str:
    """Return the values of the scale, each above its own column as far as there is room."""
    shown = ""
    for value in at:
        label = f"{value:+g}" if signed and value else f"{value:g}"
        start = min(max(0, scale.column(value) - len(label) // 2), scale.width - len(label))
        if start > cell_len(shown) or not shown:
            shown = shown.ljust(start) + label
    return fitted(shown, scale.width)


def whole_ends(low: float, high: float) -> str:
    """Return the ends in whole numbers, rounded outward: a mean shown with a decimal lies within them."""
    return f"{math.floor(low + _ROUNDING)}–{math.ceil(high - _ROUNDING)}"
