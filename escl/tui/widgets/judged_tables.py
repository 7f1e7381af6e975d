"""An arena's ratings with their intervals on one scale, and the pairs that were judged, the clearest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text
from textual.content import Content

from escl.tui.plain import fitted, fitted_in_the_middle, line
from escl.tui.widgets.intervals import Scale, axis, interval, ruled
from escl.tui.widgets.score_forest import plot_ink
from escl.tui.widgets.table import Table

if TYPE_CHECKING:
    from escl.evaluation.arena_results import ArenaResults, Board, JudgedPair
    from escl.tui.strings import Strings

AGREEMENTS: Final = {
    "agreed": "arena.agreed",
    "one order": "arena.one_order",
    "both equal": "arena.both_equal",
    "flipped": "arena.flipped_pair",
}
"""Words for how the two orders went together, what decides most first."""
_WIDE_FROM: Final = 120
_MOST_RANKS: Final = 5
MOST_PAIRS: Final = 500
"""Pairs that are listed."""


class JudgedTable(Table):
    """A table of either kind."""

    def __init__(self, words: Strings, *, name: str) -> None:
        super().__init__(
            cursor_type="row",
            cell_padding=0,
            cursor_foreground_priority="css",
            cursor_background_priority="css",
            id=name,
        )
        self._words = words

    def show_ratings(self, board: Board, results: ArenaResults) -> None:
        """Show a line for each supporter, the best first."""
        from escl.report.arena import equal, percent, share

        at = self.cursor_row
        self.clear(columns=True)
        scale, ticks = self._rating_scale(board)
        heads = [("arena.rating", 9), ("arena.interval", 15), ("arena.best", 8), ("arena.won", 15)]
        if self._is_wide:
            heads += [("arena.elo", 8), ("arena.rate", 17), ("arena.equal", 14)]
        self.add_column("", width=self._first)
        self.add_column(Text(axis(scale, ticks)), width=scale.width)
        for head, width in heads:
            self.add_column(Text(f"  {self._words(head)}", no_wrap=True), width=width)
        against = {one.supporter: one for one in board.against}
        for one in board.ratings:
            ends = "-" if one.low is None or one.high is None else f"{one.low:.0f}–{one.high:.0f}"
            cells = [f"{one.rating:.0f}", ends, share(one.ranks[0]) if one.ranks else "-"]
            cells.append(f"{one.wins}-{one.ties}-{one.losses}")
            if self._is_wide:
                met = against.get(one.supporter)
                won = self._words("arena.reference") if one.supporter == results.reference else "-"
                cells += [f"{one.elo:.0f}", won if met is None else percent(met.rate), equal(met) if met else ""]
            self.add_row(
                Text(fitted(line(one.supporter), self._first - 1), style="bold", no_wrap=True),
                interval(scale, one.rating, (one.low, one.high), ruled(scale, ticks), ink=plot_ink(self.app)),
                *(Text(f"  {cell}", style="bold" if not place else "") for place, cell in enumerate(cells)),
            )
        self.move_cursor(row=at)

    def show_pairs(self, pairs: Sequence[JudgedPair]) -> None:
        """Show a line for each pair: the sign stands nearer to the one that is preferred."""
        at = self.cursor_row
        self.clear(columns=True)
        self.show_header = False
        scale = Scale(low=0, high=1, width=17)
        pairs = pairs[:MOST_PAIRS]
        outcomes = [self._outcome(one) for one in pairs]
        last = 1 + max(map(cell_len, outcomes), default=0)
        card, name = self._pair_widths(pairs, self._width - scale.width - last)
        for width in (card, name, scale.width, name, last):
            self.add_column("", width=width)
        for one, outcome in zip(pairs, outcomes, strict=True):
            verdict = one.verdict
            wins = ("", "") if verdict is None or verdict.score == 0.5 else ("bold", "")[:: 1 if verdict.score else -1]
            preference = None if verdict is None else 1 - verdict.preference
            names = [fitted_in_the_middle(line(who), name - 3) for who in (one.one, one.other)]
            self.add_row(
                Text(fitted_in_the_middle(line(one.card), card - 1), no_wrap=True),
                Text(_mark(one, 1.0) + names[0], style=wins[0], no_wrap=True),
                interval(scale, preference, (None, None), "─" * 8 + "┼" + "─" * 8, ink=plot_ink(self.app)),
                Text(f" {_mark(one, 0.0)}{names[1]}", style=wins[1], no_wrap=True),
                Text(f" {outcome}", no_wrap=True),
            )
        self.move_cursor(row=at)

    def _outcome(self, one: JudgedPair) -> str:
        if one.verdict is None:
            return line(one.missing or "", 14)
        return self._words(AGREEMENTS[one.verdict.agreement])

    def _pair_widths(self, pairs: Sequence[JudgedPair], room: int) -> tuple[int, int]:
        """Return the widths of the card's column and of a supporter's, of which there are two, in `room` cells."""
        if self._is_wide:
            return self._first, 30
        cards = 1 + max((cell_len(line(one.card)) for one in pairs), default=0)
        names = 3 + max((cell_len(line(name)) for one in pairs for name in (one.one, one.other)), default=0)
        card = max(self._first, min(cards, room - 2 * names))
        return card, max(10, min(names + 2, (room - card) // 2))

    @property
    def _width(self) -> int:
        return self.app.size.width - 8

    @property
    def _is_wide(self) -> bool:
        return self._width >= _WIDE_FROM

    @property
    def _first(self) -> int:
        return 26 if self._is_wide else 12

    def _rating_scale(self, board: Board) -> tuple[Scale, list[float]]:
        ends = [end for one in board.ratings for end in (one.low, one.high, one.rating) if end is not None]
        low, high = 200 * math.floor(min(ends, default=800) / 200), 200 * math.ceil(max(ends, default=1200) / 200)
        high = max(high, low + 400)
        room = self._width - self._first - (88 if self._is_wide else 48)
        scale = Scale(low=low, high=high, width=max(11, room))
        return scale, [low, (low + high) / 2, high]


def deciding_first(pairs: Sequence[JudgedPair]) -> list[JudgedPair]:
    """Return the pairs with those first on which both orders agreed, and among these the clearest."""
    order = list(AGREEMENTS)

    def key(one: JudgedPair) -> tuple[int, float]:
        if one.verdict is None:
            return len(order), 0.0
        return order.index(one.verdict.agreement), -abs(one.verdict.preference - 0.5)

    return sorted(pairs, key=key)


def rating_detail(board: Board, at: int, reference: str, words: Strings) -> Content:
    """Return the rest about one supporter: the probability of each rank, Elo, and win rates against the reference."""
    from escl.report.arena import equal, percent, share

    one = board.ratings[at]
    parts = [f"{words('arena.elo')} {one.elo:.0f}"]
    if one.supporter == reference:
        parts.append(words("arena.reference"))
    for met in board.against:
        if met.supporter == one.supporter:
            parts += [f"{words('arena.rate')} {percent(met.rate)}", f"{words('arena.equal')} {equal(met)}"]
    if one.ranks:
        ranks = "  ".join(f"{rank} {share(p)}" for rank, p in list(enumerate(one.ranks, start=1))[:_MOST_RANKS])
        parts.append(f"{words('arena.ranks')} {ranks}")
    if one.reason:
        parts.append(line(one.reason, 80))
    return Content.assemble((line(one.supporter, 24), "bold $primary"), f"   {' · '.join(parts)}")


def _mark(one: JudgedPair, score: float) -> str:
    return "▸ " if one.verdict is not None and one.verdict.score == score else "  "
