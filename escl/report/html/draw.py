"""The page's figures, drawn by matplotlib. Knows dimensions, numbers of supporters and scores: no text from outside.

Words are drawn as keys and put in afterwards, so that neither the machine's fonts nor a name decides anything here.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from escl.core.dimension import Dimension
from escl.report.html.svg import PAINT, SERIES, embedded
from escl.stats.cluster import ClusteredMean

MOST_IN_RADAR: Final = 5
"""More polygons than these hide one another."""

MARKS: Final = ("o", "s", "^", "D", "v", "P")
DASHES: Final[tuple[tuple[int, tuple[float, ...] | None], ...]] = (
    (0, None),
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (3, 1)),
    (0, (8, 3)),
)
_INCH: Final = 72
_RINGS: Final = (25, 50, 75, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A supporter's scores (0-100) by dimension; its number gives it colour, mark and dash."""

    number: int
    scores: Mapping[Dimension, ClusteredMean]

    @property
    def _at(self) -> int:
        return (self.number - 1) % len(MARKS)

    @property
    def colour(self) -> str:
        """As matplotlib is told; the page puts its own in."""
        return SERIES[self._at]

    @property
    def mark(self) -> str:
        """The shape of its points."""
        return MARKS[self._at]

    @property
    def dash(self) -> tuple[int, tuple[float, ...] | None]:
        """The dashes of its lines."""
        return DASHES[self._at]


def draw_radar(drawn: Sequence[Drawn], names: Mapping[Dimension, str], *, prefix: str) -> str:
    """Return a radar of the means as SVG.

    Args:
        drawn: The supporters; each has every mean.
        names: What the dimensions are called.
        prefix: Begins every id in the picture, so that two pictures on one page share none.
    """
    figure = Figure(figsize=(340 / _INCH, 300 / _INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-170, 170)
    axes.set_ylim(-146, 154)
    spokes = [(math.sin(turn), math.cos(turn)) for turn in _turns()]
    half = math.pi / len(Dimension)
    for ring in _RINGS:
        _polygon(axes, [ring] * len(spokes), spokes, color=PAINT["rule"], linewidth=1.2 if ring == 100 else 0.8)
        if ring != 100:
            x, y = (ring * math.cos(half) * along for along in (math.sin(half), math.cos(half)))
            axes.text(x, y, str(ring), fontsize=9, color=PAINT["muted"], ha="center", va="center")
    for x, y in spokes:
        axes.plot([0, 100 * x], [0, 100 * y], color=PAINT["rule"], linewidth=0.8)
    for dimension, (x, y) in zip(Dimension, spokes, strict=True):
        align = "center" if abs(x) < 0.2 else "left" if x > 0 else "right"
        axes.text(109 * x, 112 * y, dimension.value, fontsize=11.5, color=PAINT["ink"], ha=align, va="center")
    for one in drawn:
        means = [one.scores[dimension].mean or 0.0 for dimension in Dimension]
        _polygon(axes, means, spokes, color=one.colour, linewidth=1.8, linestyle=one.dash)
        axes.plot(*_points(means, spokes), linestyle="", marker=one.mark, markersize=5, color=one.colour)
    return _svg(figure, names, prefix)


def draw_forest(drawn: Sequence[Drawn], names: Mapping[Dimension, str], *, prefix: str) -> str:
    """Return the means with their intervals as SVG, dimension by dimension; the arguments are those of a radar."""
    step = 13 * len(drawn) + 12
    height = step * len(Dimension) + 26
    figure = Figure(figsize=(340 / _INCH, height / _INCH))
    axes = figure.add_axes((92 / 340, 0, 236 / 340, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 100)
    axes.set_ylim(height, 0)
    bottom = step * len(Dimension)
    for tick in (0, *_RINGS):
        axes.plot([tick, tick], [4, bottom], color=PAINT["rule"], linewidth=0.8, clip_on=False)
        axes.text(tick, bottom + 16, str(tick), fontsize=9.5, color=PAINT["muted"], ha="center", va="baseline")
    for row, dimension in enumerate(Dimension):
        middle = step * (row + 0.5)
        axes.text(-5, middle + 4, dimension.value, fontsize=11.5, color=PAINT["ink"], ha="right", va="baseline")
        for at, one in enumerate(drawn):
            y = middle + 13 * (at - (len(drawn) - 1) / 2)
            _whisker(axes, one, one.scores.get(dimension), y)
    return _svg(figure, names, prefix)


def _whisker(axes: Axes, one: Drawn, score: ClusteredMean | None, y: float) -> None:
    if score is None or score.mean is None:
        return
    if score.low is not None and score.high is not None:
        ends = [score.low, score.high]
        axes.plot(ends, [y, y], color=one.colour, linewidth=2, solid_capstyle="round", clip_on=False)
    axes.plot([score.mean], [y], linestyle="", marker=one.mark, markersize=6, color=one.colour, clip_on=False)


def _turns() -> list[float]:
    return [2 * math.pi * at / len(Dimension) for at in range(len(Dimension))]


def _points(
    radii: Sequence[float], spokes: Sequence[tuple[float, float]], *, closed: bool = False
) -> tuple[list[float], list[float]]:
    xs = [radius * x for radius, (x, _) in zip(radii, spokes, strict=True)]
    ys = [radius * y for radius, (_, y) in zip(radii, spokes, strict=True)]
    return (xs + xs[:1], ys + ys[:1]) if closed else (xs, ys)


def _polygon(
    axes: Axes,
    radii: Sequence[float],
    spokes: Sequence[tuple[float, float]],
    *,
    color: str,
    linewidth: float,
    linestyle: tuple[int, tuple[float, ...] | None] = (0, None),
) -> None:
    axes.plot(*_points(radii, spokes, closed=True), color=color, linewidth=linewidth, linestyle=linestyle)


def _svg(figure: Figure, names: Mapping[Dimension, str], prefix: str) -> str:
    figure.patch.set_visible(False)
    written = io.BytesIO()
    # The salt makes ids the same every time; without the date the whole picture is.
    FigureCanvasSVG(figure)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return embedded(written.getvalue(), {key.value: name for key, name in names.items()}, prefix=prefix)
