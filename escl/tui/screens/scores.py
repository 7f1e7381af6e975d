"""The leaderboard: supporters by dimensions, each with its interval; from a score to the dialogues behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from escl.core.dimension import Dimension
from escl.tui.keys import Key, bindings
from escl.tui.plain import line, plain
from escl.tui.screens.run_screen import RunScreen, ScoreLayout, Session
from escl.tui.widgets.score_forest import ScoreForest
from escl.tui.widgets.score_radar import ScoreRadar
from escl.tui.widgets.score_table import ScoreTable, Shown
from escl.tui.widgets.table import Table

if TYPE_CHECKING:
    from escl.core.dimension import Language
    from escl.evaluation.leaderboard import Leaderboard
    from escl.stats.summary import Cell, Tally
    from escl.store.database import Database
    from escl.tui.strings import Strings

_LEGENDS: dict[ScoreLayout, tuple[str, ...]] = {
    "table": ("scale", "marks", "limits"),
    "forest": ("marks", "limits"),
    "radar": ("radar", "limits"),
}
_LAYOUTS: tuple[ScoreLayout, ...] = tuple(_LEGENDS)


class ScoresScreen(RunScreen):
    """Scores with intervals, as a table, a forest plot or a radar, for one language and category at a time."""

    VIEW = "scores"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="dialogues_of_cell", name="key.cell"),
        Key(keys="v", action="next_layout", name="key.layout"),
        Key(keys="s", action="sort", name="key.sort"),
        Key(keys="L", action="next_card_language", name="key.card_language"),
        Key(keys="c", action="next_category", name="key.category"),
        Key(keys="x", action="crisis", name="key.crisis", in_bar=False),
        Key(keys="h,left,l,right", action="move_cell(0, 1)", name="key.move", shown="←↓↑→ hjkl", in_bar=False),
        Key(keys="r", action="look_again", name="key.refresh", in_bar=False),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings((*KEYS[:6], KEYS[7])),
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

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        body = Vertical(
            Static(Content.styled(self.words("scores.loading"), "$muted"), markup=False, id="choice"),
            Vertical(ScoreTable(self.words), ScoreForest(self.words), ScoreRadar(self.words), id="views"),
            Static(markup=False, id="detail"),
            Static(markup=False, id="legend"),
            classes="page",
        )
        yield from self.bars(body, title=self.session.run.path.name, view=self.VIEW)

    def on_mount(self) -> None:
        """Begin to look, with nothing to be seen before it is there."""
        self._show_layout(None)
        super().on_mount()

    def load(self) -> None:
        """Work the scores out."""
        self.in_background(self._look, group="scores")

    def on_resize(self, event: Resize) -> None:
        """Lay the scores out for the new width."""
        super().on_resize(event)
        if self._board is not None:
            self.call_after_refresh(self._show)

    def action_look_again(self) -> None:
        """Work the scores out anew."""
        self.load()

    def action_next_layout(self) -> None:
        """Show the scores another way."""
        at = _LAYOUTS.index(self.session.scores.layout) + 1
        self.session.scores.layout = _LAYOUTS[at % len(_LAYOUTS)]
        self._show()

    def action_move_cell(self, down: int, right: int) -> None:
        """Move the cursor of what is shown."""
        table = self._focused
        table.move_cursor(row=table.cursor_row + down, column=table.cursor_column + right)

    def action_sort(self) -> None:
        """Sort by the dimension under the cursor, the best first, then the lowest; else as the run names them."""
        scores, by = self.session.scores, None if self._at is None else self._at[1]
        scores.lowest_first = by is scores.sort and not scores.lowest_first
        scores.sort = by
        self._show()

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
        if self._board is None:
            return
        if not self._board.has_crisis:
            self.app.notify(self.words("scores.no_crisis"), markup=False, timeout=3)
            return
        self.session.scores.crisis = not self.session.scores.crisis
        self._show()

    def action_dialogues_of_cell(self) -> None:
        """List the dialogues behind the score under the cursor, the lowest first."""
        from escl.store.browse import Wanted

        at = self._at
        if self._board is None or at is None:
            return
        self.session.wanted = Wanted(
            supporter=at[0],
            language=self._language(self._board),
            category=self.session.scores.category,
            dimension=at[1],
            order="lowest",
        )
        self.session.at = 0
        self.lead_to_dialogues()

    def on_data_table_cell_selected(self) -> None:
        """Follow a click or Enter on a cell."""
        self.action_dialogues_of_cell()

    def on_data_table_row_selected(self) -> None:
        """Follow a click or Enter on a line."""
        self.action_dialogues_of_cell()

    def on_data_table_cell_highlighted(self) -> None:
        """Say what is under the cursor."""
        self._show_detail()

    def on_data_table_row_highlighted(self) -> None:
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
        """Take the colours from the new theme."""
        self._show()

    @property
    def _view(self) -> ScoreTable | ScoreForest | ScoreRadar:
        """What shows the scores now."""
        kinds: dict[ScoreLayout, type[ScoreTable] | type[ScoreForest] | type[ScoreRadar]]
        kinds = {"table": ScoreTable, "forest": ScoreForest, "radar": ScoreRadar}
        shown = self.query_one(kinds[self.session.scores.layout])
        assert isinstance(shown, (ScoreTable, ScoreForest, ScoreRadar))
        return shown

    @property
    def _focused(self) -> Table:
        shown = self._view
        return shown.names if isinstance(shown, ScoreRadar) else shown

    @property
    def _at(self) -> tuple[str, Dimension | None] | None:
        return self._view.at

    def _show_layout(self, layout: ScoreLayout | None) -> None:
        for name, kind in (("table", ScoreTable), ("forest", ScoreForest), ("radar", ScoreRadar)):
            self.query_one(kind).display = name == layout

    def _show(self) -> None:
        board = self._board
        cells = {} if board is None else self._cells(board)
        if board is None or not cells:
            self._show_layout(None)
            self._show_choice(board, self.words("scores.none"))
            return
        view = self.session.scores
        self._show_layout(view.layout)
        order = _sorted(cells, view.sort, lowest_first=view.lowest_first)
        self._view.show(
            Shown(cells=cells, order=order, sort=view.sort, lowest_first=view.lowest_first, own=self._own(board))
        )
        self._focused.focus()
        self._show_choice(board, None)
        self._show_detail()
        self._show_legend(board)

    def _show_legend(self, board: Leaderboard) -> None:
        from escl.core.dimension import Language
        from escl.core.message import in_language

        spoken = Language(self.words.language)
        notices = [plain(f"! {line(in_language(one, spoken), 400)}", "$warning") for one in board.notices]
        legend = [plain(self.words(f"scores.{name}"), "$muted") for name in _LEGENDS[self.session.scores.layout]]
        self.query_one("#legend", Static).update(Content("\n").join([*notices, *legend]))

    def _cells(self, board: Leaderboard) -> dict[tuple[str, Dimension], Cell]:
        if not board.languages:
            return {}
        language, crisis = self._language(board), self.session.scores.crisis
        return {
            (one.supporter, one.dimension): one
            for one in board.cells
            if one.language is language and one.crisis is crisis
        }

    def _own(self, board: Leaderboard) -> list[tuple[str, dict[str, Tally]]]:
        """Return the user's own dimensions by their names, with the cells of the cards that are shown."""
        language, crisis = self._language(board), self.session.scores.crisis
        found = [
            (own.dimension.shown(language), {one.supporter: one for one in own.cells if _is_on(one, language, crisis)})
            for own in board.own
        ]
        return [(name, cells) for name, cells in found if cells]

    def _language(self, board: Leaderboard) -> Language:
        chosen = self.session.scores.language
        if chosen is not None and chosen in board.languages:
            return chosen
        rated = {one.language for one in board.cells if one.score.mean is not None}
        return next((one for one in board.languages if one in rated), board.languages[0])

    def _show_choice(self, board: Leaderboard | None, said: str | None) -> None:
        scores = self.session.scores
        parts: list[str] = []
        if board is not None and board.languages:
            parts.append(self.words(f"language.{self._language(board).value}"))
        parts.append(self.words("scores.all" if scores.category is None else f"category.{scores.category}"))
        parts.append(self.words("scores.crisis" if scores.crisis else "scores.quality"))
        shown = [Content.styled(" · ".join(parts), "bold")]
        if board is not None and board.scorer is not None and not self.has_class("-tiny"):
            shown += [Content("   "), Content.styled(line(board.scorer), "$muted")]
        if said is not None:
            shown.append(Content(f"\n\n{said}"))
        self.query_one("#choice", Static).update(Content.assemble(*shown))

    def _show_detail(self) -> None:
        found = self._under_cursor()
        detail = self.query_one("#detail", Static)
        detail.display = found is not None
        if found is None:
            return
        name, one = found
        words = self.words
        counts = "  ".join(f"{label}:{n}" for label, n in enumerate(one.label_counts))
        said = words("scores.detail", n=one.n_used, asked=one.n_asked, cards=one.score.n_clusters)
        reasons = [one.score.reason] if one.score.reason else []
        reasons += [f"{n} {reason}" for reason, n in one.failed.items()]
        detail.update(
            Content.assemble(
                (f"{line(one.supporter)} · {name}", "bold $primary"),
                f"   {said}   {words('scores.labels')} {counts}",
                *([Content.styled("\n" + line("; ".join(reasons), 300), "$warning")] if reasons else []),
            )
        )

    def _under_cursor(self) -> tuple[str, Tally] | None:
        """Return the dimension's name and the cell under the cursor; one of the user's own names its scorer too."""
        at, board, view = self._at, self._board, self._view
        if at is None or board is None:
            return None
        if at[1] is not None:
            cell = self._cells(board).get((at[0], at[1]))
            return None if cell is None else (self.words(f"dimension.{at[1].value}"), cell)
        name = view.own if isinstance(view, ScoreForest) else None
        language, crisis = self._language(board), self.session.scores.crisis
        own = next((each for each in board.own if line(each.dimension.shown(language)) == name), None)
        cells = [] if own is None else own.cells
        cell_of_own = next((one for one in cells if one.supporter == at[0] and _is_on(one, language, crisis)), None)
        if own is None or cell_of_own is None:
            return None
        return f"{line(own.dimension.shown(language))} · {line(own.scorer)}", cell_of_own


def _is_on(one: Tally, language: Language, crisis: bool) -> bool:
    return one.language is language and one.crisis is crisis


def _sorted(cells: dict[tuple[str, Dimension], Cell], by: Dimension | None, *, lowest_first: bool) -> list[str]:
    """Return the supporters, the best in dimension `by` first, or the lowest; those without a score stand last."""
    names = list(dict.fromkeys(supporter for supporter, _ in cells))
    if by is None:
        return names
    means = {name: mean for name in names if (name, by) in cells and (mean := cells[name, by].score.mean) is not None}
    scored = sorted(means, key=means.__getitem__, reverse=not lowest_first)
    return scored + [name for name in names if name not in means]
