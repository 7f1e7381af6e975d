"""Scores as a forest plot: a line for each supporter in each dimension, its interval on one scale for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import App

from escl.core.dimension import Dimension
from escl.tui.plain import fitted, line
from escl.tui.widgets.intervals import Ink, Scale, axis, interval, ruled, whole_ends
from escl.tui.widgets.score_table import DIMENSIONS, Shown, is_best, marks
from escl.tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escl.stats.summary import Tally
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line; `dimension` is None for one of the user's own, `among` has the cells of all supporters in it."""

    supporter: str
    name: str
    dimension: Dimension | None
    cell: Tally | None
    among: list[Tally]


class ScoreForest(Table):
    """The cursor is on a supporter in a dimension; the user's own dimensions stand below the seven."""

    def __init__(self, words: Strings) -> None:
        super().__init__(
            cursor_type="row",
            cell_padding=0,
            cursor_foreground_priority="css",
            cursor_background_priority="css",
            id="forest",
        )
        self._words = words
        self._lines: list[_Line] = []

    @property
    def at(self) -> tuple[str, Dimension | None] | None:
        """What is under the cursor; no dimension where that is the user's own."""
        one = self._lines[self.cursor_row] if 0 <= self.cursor_row < len(self._lines) else None
        return None if one is None else (one.supporter, one.dimension)

    @property
    def own(self) -> str | None:
        """The name of the user's own dimension under the cursor; None in one of the seven."""
        one = self._lines[self.cursor_row] if 0 <= self.cursor_row < len(self._lines) else None
        return None if one is None or one.dimension is not None else one.name

    def show(self, shown: Shown) -> None:
        """Show these scores; the cursor stays where it is."""
        at = self._lines[self.cursor_row] if 0 <= self.cursor_row < len(self._lines) else None
        self._lines = self._lines_of(shown)
        self.clear(columns=True)
        room = self.app.size.width - 8
        is_wide = room >= 120
        kind, who = 14 if is_wide else 12, 34 if is_wide else 16
        scale = Scale(low=0, high=100, width=max(9, (room - kind - who - _NUMBERS) // 4 * 4 + 1))
        ground, ink = ruled(scale, _TICKS), plot_ink(self.app)
        self.add_column("", width=kind)
        self.add_column(Text(fitted(self._words("scores.supporter"), who), style="bold"), width=who)
        self.add_column(Text(axis(scale, _TICKS)), width=scale.width)
        self.add_column("", width=_NUMBERS)
        for each in self._lines:
            one = each.cell
            score = None if one is None else one.score
            ends = (None, None) if score is None else (score.low, score.high)
            self.add_row(
                Text(fitted(each.name if each.supporter == shown.order[0] else "", kind), style="bold"),
                Text(fitted(line(each.supporter), who - 1), no_wrap=True),
                interval(scale, None if score is None else score.mean, ends, ground, ink=ink),
                _numbers(one, is_best=one is not None and is_best(one, each.among)),
                height=2 if is_wide and each.supporter == shown.order[-1] else 1,
            )
        places = [(one.supporter, one.name) for one in self._lines]
        if at is not None and (at.supporter, at.name) in places:
            self.move_cursor(row=places.index((at.supporter, at.name)))

    def _lines_of(self, shown: Shown) -> list[_Line]:
        blocks: list[tuple[str, Dimension | None, Mapping[str, Tally]]] = [
            (
                self._words(f"dimension.{dimension.value}"),
                dimension,
                {name: shown.cells[name, dimension] for name in shown.order if (name, dimension) in shown.cells},
            )
            for dimension in DIMENSIONS
        ]
        blocks += [(line(name), None, cells) for name, cells in shown.own]
        return [
            _Line(supporter=who, name=name, dimension=dimension, cell=cells.get(who), among=list(cells.values()))
            for name, dimension, cells in blocks
            for who in shown.order
        ]


def _numbers(one: Tally | None, *, is_best: bool) -> Text:
    if one is None or one.score.mean is None:
        return Text("       -")
    ends = ""
    if one.score.low is not None and one.score.high is not None:
        ends = whole_ends(one.score.low, one.score.high)
    best = "▸" if is_best else " "
    return Text.assemble("  ", (f"{best}{one.score.mean:4.1f}", "bold"), f"  {ends:<7}", marks(one))
