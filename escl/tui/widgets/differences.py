"""Differences between two supporters as forest plots around zero: by dimension, and by card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.text import Text

from escl.tui.plain import fitted, fitted_in_the_middle, line
from escl.tui.strings import told
from escl.tui.widgets.intervals import Scale, around_zero, axis, interval
from escl.tui.widgets.score_forest import plot_ink
from escl.tui.widgets.table import Table

if TYPE_CHECKING:
    from escl.evaluation.compare import Group, Row
    from escl.evaluation.deciding import CardDifference
    from escl.tui.strings import Strings

_LIMITS: Final = (10.0, 20.0, 40.0, 60.0, 80.0, 100.0)
_WIDE_FROM: Final = 120
MOST_CARDS: Final = 200
"""Cards that are listed."""


class Differences(Table):
    """A line for each difference; all such tables of a screen put the same value into the same column."""

    def __init__(self, words: Strings, *, name: str) -> None:
        super().__init__(
            cursor_type="row",
            cell_padding=0,
            cursor_foreground_priority="css",
            cursor_background_priority="css",
            id=name,
        )
        self._words = words
        self._limit = _LIMITS[-1]
        self._margin = 0.0

    def show_rows(self, group: Group, *, margin: float) -> None:
        """Show a line for each dimension, and the average last."""
        self._limit, self._margin = limit_of(group, margin), margin
        at = self.cursor_row
        self._begin(["compare.difference", *self._more_heads(), "compare.verdict"])
        for row in lines_of(group):
            found = row.comparison
            ends = (found.difference.low, found.difference.high)
            self.add_row(
                Text(fitted(named(row, self._words), self._first), style="bold"),
                self._drawn(found.difference.mean, ends),
                *self._numbers(row),
                Text(self._verdict(row), no_wrap=True),
            )
        self.move_cursor(row=at)

    def show_cards(self, cards: Sequence[CardDifference], limit_as: Differences, names: tuple[str, str]) -> None:
        """Show a line for each card, on the scale of `limit_as`, with the scores of both under their `names`."""
        self._limit, self._margin = limit_as._limit, limit_as._margin
        self._begin(["compare.difference"])
        width = max(8, (self._width - self._first - self._scale.width - 9) // 2)
        for name in names:
            self.add_column(Text(fitted_in_the_middle(f"  {line(name)}", width)), width=width)
        for one in cards[:MOST_CARDS]:
            self.add_row(
                Text(fitted_in_the_middle(line(one.card), self._first), no_wrap=True),
                self._drawn(one.difference, (None, None)),
                Text(f"  {one.difference + 0.0:+6.1f}", style="bold"),
                *(Text(f"  {value:5.1f}", no_wrap=True) for value in (one.first, one.second)),
            )

    @property
    def _width(self) -> int:
        return self.app.size.width - 8

    @property
    def _is_wide(self) -> bool:
        return self._width >= _WIDE_FROM

    @property
    def _first(self) -> int:
        return 20 if self._is_wide else 14

    @property
    def _scale(self) -> Scale:
        room = self._width - self._first - (90 if self._is_wide else 32)
        # An odd number of columns has one in the middle, which is zero.
        return Scale(low=-self._limit, high=self._limit, width=max(9, (room - 1) // 4 * 4 + 1))

    def _more_heads(self) -> list[str]:
        more = ["compare.interval", "compare.p", "compare.effect", "compare.detectable", "compare.cards"]
        return more if self._is_wide else []

    def _begin(self, heads: list[str]) -> None:
        self.clear(columns=True)
        self.add_column("", width=self._first)
        ticks = [self._limit * share for share in (-1, -0.5, 0, 0.5, 1)]
        self.add_column(Text(axis(self._scale, ticks, signed=True)), width=self._scale.width)
        widths = {"compare.difference": 9, "compare.interval": 17, "compare.detectable": 11, "compare.verdict": 23}
        for head in heads:
            self.add_column(Text(f"  {self._words(head)}", no_wrap=True), width=widths.get(head, 10))

    def _drawn(self, mean: float | None, ends: tuple[float | None, float | None]) -> Text:
        ground = around_zero(self._scale, self._margin)
        return interval(self._scale, mean, ends, ground, ink=plot_ink(self.app))

    def _numbers(self, row: Row) -> list[Text]:
        from escl.report.compare import detectable_shown, p_shown
        from escl.stats.points import signed

        found = row.comparison
        texts = [f"  {signed(found.difference.mean):>6}"]
        if self._is_wide:
            asked = found.n_cards + sum(found.left_out.values())
            texts += [
                "  " + ends_of(row, self._words),
                "  " + p_shown(found.p_holm),
                "  " + ("-" if found.effect is None else f"{found.effect + 0.0:+.1f}"),
                "  " + detectable_shown(found.detectable),
                f"  {found.n_cards}" + ("" if asked == found.n_cards else f"/{asked}"),
            ]
        return [Text(texts[0], style="bold"), *(Text(one, no_wrap=True) for one in texts[1:])]

    def _verdict(self, row: Row) -> str:
        from escl.report.compare import MARKS

        found = row.comparison
        needed = "" if found.cards_needed is None else f" ~{found.cards_needed:,}"
        return f"  {MARKS[found.verdict][0]} {self._words(verdict_word(found.verdict))}{needed}"


def verdict_word(verdict: str) -> str:
    """Return the name of the verdict's word."""
    return "compare.verdict." + verdict.replace(" ", "_")


def lines_of(group: Group) -> list[Row]:
    """Return the lines of a table: the seven dimensions, their average, and the user's own."""
    return [*group.rows, *group.own]


def named(row: Row, words: Strings) -> str:
    """Return a dimension's name, or that of the average."""
    from escl.evaluation.compare import OwnRow
    from escl.evaluation.sides import AVERAGE

    if isinstance(row, OwnRow):
        return line(row.name)
    return words("compare.average" if row.dimension == AVERAGE else f"dimension.{row.dimension}")


def ends_of(row: Row, words: Strings) -> str:
    """Return the interval of a difference in numbers, or why there is none."""
    from escl.report.compare import interval_shown

    return line(told(interval_shown(row.comparison.difference, between=" … "), words), 16)


def limit_of(group: Group, margin: float) -> float:
    """Return how far the scale reaches on either side so that the intervals lie on it."""
    ends = [
        abs(end)
        for row in lines_of(group)
        for end in (row.comparison.difference.low, row.comparison.difference.high, row.comparison.difference.mean)
        if end is not None
    ]
    most = max([2 * margin, *ends])
    return next((limit for limit in _LIMITS if limit >= most), _LIMITS[-1])
