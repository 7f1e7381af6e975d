"""Scores as a radar: a few supporters on the seven dimensions, and the numbers of the one that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.coordinate import Coordinate
from textual.widgets import Static

from escl.core.dimension import Dimension
from escl.tui.plain import fitted, line
from escl.tui.widgets.intervals import whole_ends
from escl.tui.widgets.radar import MOST, SIGNS, STYLES, Series, radar
from escl.tui.widgets.score_table import DIMENSIONS, Shown
from escl.tui.widgets.table import Table

if TYPE_CHECKING:
    from textual.events import Resize

    from escl.tui.strings import Strings


class Drawing(Static):
    """The radar itself; drawn anew when its size changes."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="drawing")
        self._axes: list[str] = []
        self._series: list[Series] = []

    def show(self, axes: list[str], series: list[Series]) -> None:
        """Draw these series."""
        self._axes, self._series = axes, series
        self._draw()

    def on_resize(self, event: Resize) -> None:
        """Fill the new size."""
        self._draw()

    def _draw(self) -> None:
        if self.size.width > 10 and self.size.height > 4:
            self.update(radar(self._axes, self._series, self.size.width, self.size.height))


class ScoreRadar(Horizontal):
    """The cursor is on a supporter, whose line lies above the others'."""

    def __init__(self, words: Strings) -> None:
        super().__init__(id="radar")
        self._words = words
        self._shown: Shown | None = None

    def compose(self) -> ComposeResult:
        """Lay the drawing out with the names at its right."""
        names = Table(
            cursor_type="row", cell_padding=0, show_header=False, cursor_foreground_priority="css", id="names"
        )
        yield Drawing()
        yield Vertical(names, Static(markup=False, id="numbers"), id="radar-side")

    @property
    def names(self) -> Table:
        """What has the focus."""
        return self.query_one("#names", Table)

    @property
    def at(self) -> tuple[str, Dimension | None] | None:
        """Who is under the cursor, in no dimension."""
        row = self.names.cursor_row
        return None if self._shown is None or not 0 <= row < len(self._shown.order) else (self._shown.order[row], None)

    def show(self, shown: Shown) -> None:
        """Show these scores; the cursor stays where it is."""
        row = self.names.cursor_row
        self._shown = shown
        self.names.clear(columns=True)
        self.names.add_column("", width=48 if self.screen.has_class("-wide") else 26)
        for _ in shown.order:
            self.names.add_row(Text())
        self.names.move_cursor(row=row)
        self._draw()

    def on_data_table_row_highlighted(self) -> None:
        """Draw the chosen supporter above the others."""
        self._draw()

    def _draw(self) -> None:
        shown, chosen = self._shown, max(0, self.names.cursor_row)
        if shown is None or chosen >= len(shown.order):
            return
        looks = _looks(len(shown.order), chosen)
        for at, name in enumerate(shown.order):
            self.names.update_cell_at(Coordinate(at, 0), self._signed(name, looks.get(at)))
        order = [*(at for at in looks if at != chosen), chosen]
        series = [Series(values=[self._mean(shown, at, one) for one in DIMENSIONS], look=looks[at]) for at in order]
        axes = [self._words(f"dimension.{one.value}") for one in DIMENSIONS]
        self.query_one(Drawing).show(axes, series)
        numbers = [self._number(shown, chosen, one) for one in DIMENSIONS]
        self.query_one("#numbers", Static).update(Content("\n").join(numbers))

    def _signed(self, name: str, look: int | None) -> Text:
        sign = " " if look is None else SIGNS[look]
        style = "" if look is None else self.app.theme_variables[STYLES[look].removeprefix("$")]
        return Text.assemble((f"{sign} ", style), fitted(line(name), 46), no_wrap=True)

    @staticmethod
    def _mean(shown: Shown, at: int, dimension: Dimension) -> float | None:
        one = shown.cells.get((shown.order[at], dimension))
        return None if one is None else one.score.mean

    def _number(self, shown: Shown, at: int, dimension: Dimension) -> Content:
        one = shown.cells.get((shown.order[at], dimension))
        name = fitted(self._words(f"dimension.{dimension.value}"), 12)
        if one is None or one.score.mean is None:
            return Content(f"{name}    -")
        low, high = one.score.low, one.score.high
        ends = "" if low is None or high is None else whole_ends(low, high)
        return Content.assemble(name, (f" {one.score.mean:5.1f}", "bold"), (f"  {ends}", "$muted"))


def _looks(n: int, chosen: int) -> dict[int, int]:
    """Return which of n supporters are drawn, by their place, and how: the first ones, and always the chosen one."""
    first = [*range(min(n, MOST))]
    if chosen not in first:
        first[-1] = chosen
    return {at: look for look, at in enumerate(first)}
