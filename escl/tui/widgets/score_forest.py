"""Scores as a forest plot: a line for each supporter in each dimension, its interval on one scale for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import App
from textual.widgets import DataTable

from escl.core.dimension import Dimension
from escl.tui.plain import fitted, line
from escl.tui.widgets.intervals import Ink, Scale, axis, interval, ruled
from escl.tui.widgets.score_table import DIMENSIONS, Shown, marks

if TYPE_CHECKING:
    from escl.stats.summary import Cell
    from escl.tui.strings import Strings

_TICKS = (0, 25, 50, 75, 100)
_NUMBERS = 19
"""Columns of the score, its interval and its marks."""


def plot_ink(app: App[object]) -> Ink:
    """Return the colours of intervals in the theme that the app has."""
    colours = app.theme_variables
    return Ink(
        ground=Style.parse(colours["muted"]) + Style(dim=True),
        whisker=Style.parse(colours["primary"]),
        point=Style.parse(colours["primary"]) + Style(bold=True),
    )


class ScoreForest(DataTable[Text]):
    """The cursor is on a supporter in a dimension."""

    def __init__(self, words: Strings) -> None:
        super().__init__(
            cursor_type="row",
            cell_padding=0,
            cursor_foreground_priority="css",
            cursor_background_priority="css",
            id="forest",
        )
        self._words = words
        self._lines: list[tuple[str, Dimension]] = []

    @property
    def at(self) -> tuple[str, Dimension | None] | None:
        """What is under the cursor."""
        return self._lines[self.cursor_row] if 0 <= self.cursor_row < len(self._lines) else None

    def show(self, shown: Shown) -> None:
        """Show these scores; the cursor stays where it is."""
        at = self.at
        self._lines = [(name, dimension) for dimension in DIMENSIONS for name in shown.order]
        self.clear(columns=True)
        room = self.app.size.width - 8
        is_wide = room >= 120
        kind, who = 14 if is_wide else 12, 34 if is_wide else 16
        scale = Scale(low=0, high=100, width=(room - kind - who - _NUMBERS) // 4 * 4 + 1)
        ground, ink = ruled(scale, _TICKS), plot_ink(self.app)
        self.add_column("", width=kind)
        self.add_column(Text(fitted(self._words("scores.supporter"), who), style="bold"), width=who)
        self.add_column(Text(axis(scale, _TICKS)), width=scale.width)
        self.add_column("", width=_NUMBERS)
        for name, dimension in self._lines:
            is_first = name == shown.order[0]
            one = shown.cells.get((name, dimension))
            score = None if one is None else one.score
            ends = (None, None) if score is None else (score.low, score.high)
            self.add_row(
                Text(fitted(self._words(f"dimension.{dimension.value}") if is_first else "", kind), style="bold"),
                Text(fitted(line(name), who - 1), no_wrap=True),
                interval(scale, None if score is None else score.mean, ends, ground, ink=ink),
                _numbers(one, shown),
                height=2 if is_wide and name == shown.order[-1] else 1,
            )
        if at in self._lines:
            self.move_cursor(row=self._lines.index(at))


def _numbers(one: Cell | None, shown: Shown) -> Text:
    if one is None or one.score.mean is None:
        return Text("       -")
    ends = ""
    if one.score.low is not None and one.score.high is not None:
        ends = f"{one.score.low:.0f}–{one.score.high:.0f}"
    best = "▸" if shown.is_best(one) else " "
    return Text.assemble("  ", (f"{best}{one.score.mean:4.1f}", "bold"), f"  {ends:<7}", marks(one))
