"""Scores as a table: a supporter in each line, a dimension in each column, and below each score its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.color import Color

from escl.core.dimension import Dimension
from escl.tui.plain import fitted, line
from escl.tui.widgets.intervals import whole_ends
from escl.tui.widgets.meters import level
from escl.tui.widgets.table import Table

if TYPE_CHECKING:
    from escl.stats.summary import Cell, Tally
    from escl.tui.strings import Strings

DIMENSIONS = tuple(Dimension)
_CELL, _WIDE_CELL = 9, 14
_WIDE_FROM = 140
"""Cells: there is room for the dimensions' whole names and a decimal more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What of the scores is shown, whatever way.

    Attributes:
        order: The supporters.
        sort: By which dimension they are in this order; None as the run names them.
        lowest_first: Whether the lowest score stands first there.
        own: The user's own dimensions by their names, each with its supporters' cells.
    """

    cells: Mapping[tuple[str, Dimension], Cell]
    order: list[str]
    sort: Dimension | None
    lowest_first: bool = False
    own: Sequence[tuple[str, Mapping[str, Tally]]] = ()

    def is_best(self, one: Cell) -> bool:
        """Whether no other supporter has a higher score in this dimension, and some have one at all."""
        return is_best(one, [cell for (_, dimension), cell in self.cells.items() if dimension is one.dimension])


def is_best(one: Tally, among: Iterable[Tally]) -> bool:
    """Return whether nobody among these has a higher score, and some others have one at all."""
    peers = [cell.score.mean for cell in among if cell.score.mean is not None]
    return len(peers) > 1 and one.score.mean == max(peers)


def marks(one: Tally) -> str:
    """Return the signs that belong to a score: its labels are saturated, not all dialogues are in."""
    saturated = one.spread is not None and one.spread.saturated
    return ("s" if saturated else "") + ("!" if one.n_used < one.n_asked else "")


class ScoreTable(Table):
    """The cursor is on a supporter in a dimension."""

    def __init__(self, words: Strings) -> None:
        super().__init__(
            cursor_type="cell",
            cell_padding=0,
            cursor_foreground_priority="css",
            cursor_background_priority="css",
            id="board",
        )
        self._words = words
        self._cell_width = _CELL
        self._shown: Shown | None = None

    @property
    def at(self) -> tuple[str, Dimension | None] | None:
        """What is under the cursor; no dimension at a supporter's name."""
        if self._shown is None or not 0 <= self.cursor_row < len(self._shown.order):
            return None
        column = self.cursor_column - 1
        return self._shown.order[self.cursor_row], DIMENSIONS[column] if 0 <= column < len(DIMENSIONS) else None

    def show(self, shown: Shown) -> None:
        """Show these scores; the cursor stays where it is."""
        at = (self.cursor_row, self.cursor_column)
        self._shown = shown
        self.clear(columns=True)
        width = self.app.size.width
        self._cell_width = _WIDE_CELL if width >= _WIDE_FROM else _CELL
        names = "dimension." if self._cell_width == _WIDE_CELL else "dimension.short."
        room = max(10, min(36, width - 6 - self._cell_width * len(DIMENSIONS)))
        self.add_column(self._head("scores.supporter", None, room), width=room)
        for dimension in DIMENSIONS:
            self.add_column(self._head(names + dimension.value, dimension, self._cell_width), width=self._cell_width)
        for supporter in shown.order:
            name = Text(fitted(line(supporter), room - 1), style="bold", no_wrap=True)
            cells = [self._cell(shown.cells.get((supporter, dimension)), shown) for dimension in DIMENSIONS]
            self.add_row(name, *cells, height=3)
        self.move_cursor(row=at[0], column=at[1] or 1)

    def _head(self, name: str, dimension: Dimension | None, width: int) -> Text:
        sign = ""
        if dimension is not None and self._shown is not None and dimension is self._shown.sort:
            sign = "▲" if self._shown.lowest_first else "▼"
        return Text(fitted(self._words(name) + sign, width), style="bold", no_wrap=True)

    def _cell(self, one: Cell | None, shown: Shown) -> Text:
        if one is None or one.score.mean is None:
            return Text(fitted("   -", self._cell_width))
        mean, signs = one.score.mean, marks(one)
        heat = self._heat(mean)
        interval, digits = "", int(self._cell_width == _WIDE_CELL)
        if one.score.low is not None and one.score.high is not None:
            low, high = one.score.low, one.score.high
            interval = f"{low:.1f}–{high:.1f}" if digits else whole_ends(low, high)
        score = f"{mean:4.1f}" if mean < 99.95 else " 100"
        gap = " " if digits or len(signs) < 2 else ""
        width = self._cell_width - 1
        best = "▸" if shown.is_best(one) else " "
        first = fitted(f"{best}{score}{gap}{level(mean / 100)}{gap * digits}{signs}", width)
        return Text.assemble((first, heat + Style(bold=True)), " \n", (fitted(f" {interval}", width), heat))

    def _heat(self, mean: float) -> Style:
        """Return a background that is warmer the higher the score, under which the text stays readable."""
        colours = self.app.theme_variables
        ground, warm = Color.parse(colours["background"]), Color.parse(colours["primary"])
        return Style(bgcolor=ground.blend(warm, 0.05 + 0.35 * mean / 100).rich_color)
