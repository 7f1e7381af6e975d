"""The leaderboard: supporters by dimensions, each with its interval; from a cell to the dialogues behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.color import Color
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import DataTable, Static

from escl.core.dimension import Dimension
from escl.tui.keys import Key, bindings
from escl.tui.plain import fitted, line
from escl.tui.screens.run_screen import RunScreen, Session
from escl.tui.widgets.meters import level

if TYPE_CHECKING:
    from escl.core.dimension import Language
    from escl.evaluation.leaderboard import Leaderboard
    from escl.stats.summary import Cell
    from escl.store.database import Database
    from escl.tui.strings import Strings

_CELL, _WIDE_CELL = 9, 14
_WIDE_FROM = 140
"""Cells: there is room for the dimensions' whole names and a decimal more."""
_DIMENSIONS = tuple(Dimension)


class ScoresScreen(RunScreen):
    """Scores with intervals, sorted by any column, for one language and category at a time."""

    VIEW = "scores"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="dialogues_of_cell", name="key.cell"),
        Key(keys="s", action="sort", name="key.sort"),
        Key(keys="L", action="next_card_language", name="key.card_language"),
        Key(keys="c", action="next_category", name="key.category"),
        Key(keys="x", action="crisis", name="key.crisis", in_bar=False),
        Key(keys="h,left,l,right", action="move_cell(0, 1)", name="key.move", shown="←↓↑→ hjkl", in_bar=False),
        Key(keys="r", action="look_again", name="key.refresh", in_bar=False),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings((*KEYS[:5], KEYS[6])),
        *bindings(
            (
                Key(keys="h", action="move_cell(0, -1)", name="key.move"),
                Key(keys="l", action="move_cell(0, 1)", name="key.move"),
                Key(keys="j", action="move_cell(1, 0)", name="key.move"),
                Key(keys="k", action="move_cell(-1, 0)", name="key.move"),
            )
        ),
    ]

    def __init__(self, words: Strings, session: Session) -> None:
        super().__init__(words, session)
        self._board: Leaderboard | None = None
        self._order: list[str] = []
        self._cell_width = _CELL

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        table: DataTable[Text] = DataTable(
            cursor_type="cell",
            cell_padding=0,
            cursor_foreground_priority="css",
            cursor_background_priority="css",
            id="board",
        )
        table.display = False
        body = Vertical(
            Static(Content.styled(self.words("scores.loading"), "$muted"), markup=False, id="choice"),
            table,
            Static(markup=False, id="detail"),
            Static(markup=False, id="legend"),
            classes="page",
        )
        yield from self.bars(body, title=self.session.run.path.name, view=self.VIEW)

    def load(self) -> None:
        """Work the scores out."""
        self.in_background(self._look, group="scores")

    def on_resize(self, event: Resize) -> None:
        """Lay the table out for the new width."""
        super().on_resize(event)
        if self._board is not None:
            self.call_after_refresh(self._show)

    def action_look_again(self) -> None:
        """Work the scores out anew."""
        self.load()

    def action_move_cell(self, down: int, right: int) -> None:
        """Move between cells."""
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + down, column=table.cursor_column + right)

    def action_sort(self) -> None:
        """Sort by the column under the cursor, the best first; by the name's column, as the run names them."""
        self.session.scores.sort = self._dimension()
        # A table that is filled again before it was laid out stays blank.
        self.call_after_refresh(self._show)

    def action_next_card_language(self) -> None:
        """Show the cards of the next language."""
        if self._board is not None and self._board.languages:
            languages = self._board.languages
            at = languages.index(self._language(self._board)) + 1
            self.session.scores.language = languages[at % len(languages)]
            self._show()

    def action_next_category(self) -> None:
        """Show the cards of the next category, and after the last those of all."""
        if self._board is not None:
            choices = [None, *(str(one) for one in self._board.categories)]
            at = choices.index(self.session.scores.category) + 1
            self.session.scores.category = choices[at % len(choices)]
            self.load()

    def action_crisis(self) -> None:
        """Show the crisis cards in place of the others, or the others again."""
        if self._board is not None and self._board.has_crisis:
            self.session.scores.crisis = not self.session.scores.crisis
            self._show()

    def action_dialogues_of_cell(self) -> None:
        """List the dialogues behind the cell under the cursor, the lowest first."""
        from escl.store.browse import Wanted

        table = self.query_one(DataTable)
        if self._board is None or not 0 <= table.cursor_row < len(self._order):
            return
        dimension = self._dimension()
        self.session.wanted = Wanted(
            supporter=self._order[table.cursor_row],
            language=self._language(self._board),
            category=self.session.scores.category,
            dimension=dimension,
            order="lowest",
        )
        self.session.at = 0
        self.app.call_later(self.app.run_action, "app.show_view('dialogues')")

    def on_data_table_cell_selected(self) -> None:
        """Follow a click or Enter on a cell."""
        self.action_dialogues_of_cell()

    def on_data_table_cell_highlighted(self) -> None:
        """Say what is under the cursor."""
        self._show_detail()

    async def _look(self) -> None:
        category = self.session.scores.category

        def query(database: Database) -> Leaderboard:
            from escl.core.card import Category
            from escl.evaluation.leaderboard import Leaderboards

            if self.session.boards is None:
                self.session.boards = Leaderboards()
            return self.session.boards.of(database, category=None if category is None else Category(category))

        self._board = await self.ask(query)
        only_crisis = all(one.crisis for one in self._board.cells) and bool(self._board.cells)
        self.session.scores.crisis = only_crisis or (self.session.scores.crisis and self._board.has_crisis)
        self._show()

    def themed(self) -> None:
        """Take the heat's colours from the new theme."""
        self._show()

    def _show(self) -> None:
        board = self._board
        table = self.query_one(DataTable)
        if board is None or not board.languages or not board.cells:
            table.display = False
            self._show_choice(board, self.words("scores.none"))
            return
        cells = self._cells(board)
        self._order = self._sorted(cells)
        at = (table.cursor_row, table.cursor_column)
        table.clear(columns=True)
        self._cell_width = _WIDE_CELL if self.size.width >= _WIDE_FROM else _CELL
        names = "dimension." if self._cell_width == _WIDE_CELL else "dimension.short."
        width = max(10, min(36, self.size.width - 6 - self._cell_width * len(_DIMENSIONS)))
        table.add_column(self._head("scores.supporter", None, width), width=width)
        for dimension in _DIMENSIONS:
            table.add_column(self._head(names + dimension.value, dimension, self._cell_width), width=self._cell_width)
        for supporter in self._order:
            name = Text(fitted(line(supporter), width - 1), style="bold", no_wrap=True)
            scores = [self._cell(cells.get((supporter, dimension)), cells) for dimension in _DIMENSIONS]
            table.add_row(name, *scores, height=3)
        table.display = True
        table.move_cursor(row=at[0], column=at[1] or 1)
        table.focus()
        self._show_choice(board, None)
        self._show_detail()
        legend = "\n".join(self.words(f"scores.{name}") for name in ("scale", "marks", "limits"))
        self.query_one("#legend", Static).update(Content.styled(legend, "$muted"))

    def _cells(self, board: Leaderboard) -> dict[tuple[str, Dimension], Cell]:
        language, crisis = self._language(board), self.session.scores.crisis
        return {
            (one.supporter, one.dimension): one
            for one in board.cells
            if one.language is language and one.crisis is crisis
        }

    def _language(self, board: Leaderboard) -> Language:
        chosen = self.session.scores.language
        return chosen if chosen in board.languages and chosen is not None else board.languages[0]

    def _sorted(self, cells: dict[tuple[str, Dimension], Cell]) -> list[str]:
        names = list(dict.fromkeys(supporter for supporter, _ in cells))
        by = self.session.scores.sort
        if by is None:
            return names
        means = {name: cells[name, by].score.mean for name in names if (name, by) in cells}
        return sorted(names, key=lambda name: -(mean if (mean := means.get(name)) is not None else -1.0))

    def _head(self, name: str, dimension: Dimension | None, width: int) -> Text:
        sign = "▼" if dimension is not None and dimension is self.session.scores.sort else ""
        return Text(fitted(self.words(name) + sign, width), style="bold", no_wrap=True)

    def _cell(self, one: Cell | None, cells: dict[tuple[str, Dimension], Cell]) -> Text:
        if one is None or one.score.mean is None:
            return Text(fitted("   -", self._cell_width))
        mean = one.score.mean
        marks = ("s" if one.spread is not None and one.spread.saturated else "") + (
            "!" if one.n_used < one.n_asked else ""
        )
        peers = [c.score.mean for (_, d), c in cells.items() if d is one.dimension and c.score.mean is not None]
        is_best = len(peers) > 1 and mean == max(peers)
        heat = self._heat(mean)
        interval, digits = "", int(self._cell_width == _WIDE_CELL)
        if one.score.low is not None and one.score.high is not None:
            interval = f"{one.score.low:.{digits}f}–{one.score.high:.{digits}f}"
        shown = f"{mean:4.1f}" if mean < 99.95 else " 100"
        gap = " " if digits or len(marks) < 2 else ""
        width = self._cell_width - 1
        first = fitted(f"{'▸' if is_best else ' '}{shown}{gap}{level(mean / 100)}{gap * digits}{marks}", width)
        return Text.assemble((first, heat + Style(bold=True)), " \n", (fitted(f" {interval}", width), heat))

    def _heat(self, mean: float) -> Style:
        """Return a background that is warmer the higher the score, under which the text stays readable."""
        colours = self.app.theme_variables
        ground, warm = Color.parse(colours["background"]), Color.parse(colours["primary"])
        return Style(bgcolor=ground.blend(warm, 0.05 + 0.35 * mean / 100).rich_color)

    def _dimension(self) -> Dimension | None:
        at = self.query_one(DataTable).cursor_column - 1
        return _DIMENSIONS[at] if 0 <= at < len(_DIMENSIONS) else None

    def _show_choice(self, board: Leaderboard | None, said: str | None) -> None:
        scores = self.session.scores
        parts: list[str] = []
        if board is not None and board.languages:
            parts.append(self.words(f"language.{self._language(board).value}"))
        parts.append(self.words("scores.all" if scores.category is None else f"category.{scores.category}"))
        parts.append(self.words("scores.crisis" if scores.crisis else "scores.quality"))
        shown = [Content.styled(" · ".join(parts), "bold")]
        if board is not None and board.scorer is not None:
            shown += [Content("   "), Content.styled(line(board.scorer), "$muted")]
        if said is not None:
            shown.append(Content(f"\n\n{said}"))
        self.query_one("#choice", Static).update(Content.assemble(*shown))

    def _show_detail(self) -> None:
        table, board = self.query_one(DataTable), self._board
        detail = self.query_one("#detail", Static)
        dimension = self._dimension()
        if board is None or not board.languages or dimension is None or not 0 <= table.cursor_row < len(self._order):
            detail.update("")
            return
        supporter = self._order[table.cursor_row]
        one = self._cells(board).get((supporter, dimension))
        if one is None:
            detail.update("")
            return
        words = self.words
        counts = "  ".join(f"{label}:{n}" for label, n in enumerate(one.label_counts))
        said = words("scores.detail", n=one.n_used, asked=one.n_asked, cards=one.score.n_clusters)
        reasons = [one.score.reason] if one.score.reason else []
        reasons += [f"{n} {reason}" for reason, n in one.failed.items()]
        detail.update(
            Content.assemble(
                (f"{line(supporter)} · {words('dimension.' + dimension.value)}", "bold $primary"),
                f"   {said}   {words('scores.labels')} {counts}",
                *([Content.styled("\n" + line("; ".join(reasons), 300), "$warning")] if reasons else []),
            )
        )
