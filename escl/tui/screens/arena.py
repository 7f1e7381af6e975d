"""What a judge made of the run's supporters: ratings, how far it can be believed, and the pairs that decided."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from escl.errors import ExitCode
from escl.tui.judged import Judged, judged
from escl.tui.keys import Key, bindings
from escl.tui.plain import line
from escl.tui.screens.run_screen import RunScreen, Session
from escl.tui.strings import told
from escl.tui.widgets.judged_tables import JudgedTable, deciding_first, rating_detail

if TYPE_CHECKING:
    from escl.evaluation.arena_results import Board, JudgedPair
    from escl.stats.pairwise import Consistency
    from escl.tui.judging import Judging
    from escl.tui.strings import Strings

_EVERY_S: Final = 1.0
"""How often is looked for what a judge at work has said."""


class ArenaScreen(RunScreen):
    """The ratings above, the pairs of one language and dimension below."""

    VIEW = "arena"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="open", name="key.pair"),
        Key(keys="tab", action="other_table", name="key.judged"),
        Key(keys="n", action="begin", name="key.ask_judge"),
        Key(keys="L", action="next_board", name="key.card_language"),
        Key(keys="J", action="next_arena", name="key.judge"),
        Key(keys="s", action="stop_judging", name="key.stop_judging", in_bar=False),
        Key(keys="down,j", action="move(1)", name="key.move", shown="↑↓ jk", in_bar=False),
        Key(keys="r", action="look_again", name="key.refresh", in_bar=False),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings((*KEYS, Key(keys="up,k", action="move(-1)", name="key.move")))

    def __init__(self, words: Strings, session: Session) -> None:
        super().__init__(words, session)
        self._now: Judged | None = None
        self._pairs: list[JudgedPair] = []

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        body = Vertical(
            Static(Content.styled(self.words("arena.loading"), "$muted"), markup=False, id="choice"),
            Static(markup=False, id="work"),
            Static(markup=False, id="said"),
            Vertical(
                JudgedTable(self.words, name="ratings"),
                Static(markup=False, id="detail"),
                JudgedTable(self.words, name="pairs"),
                id="tables",
            ),
            Static(markup=False, id="legend"),
            classes="page",
        )
        yield from self.bars(body, title=self.session.run.path.name, view=self.VIEW)

    def on_mount(self) -> None:
        """Begin to look, with nothing to be seen before it is there."""
        self.query_one("#tables").display = False
        self.query_one("#work").display = False
        self.set_interval(_EVERY_S, self._tick)
        super().on_mount()

    def load(self) -> None:
        """Find what was judged."""
        self.in_background(self._look, group="arena")

    def on_resize(self, event: Resize) -> None:
        """Lay the tables out for the new size."""
        super().on_resize(event)
        if self._now is not None:
            self.call_after_refresh(self._show)

    def themed(self) -> None:
        """Take the colours from the new theme."""
        self._show()

    def action_look_again(self) -> None:
        """Look anew."""
        self.load()

    def action_move(self, by: int) -> None:
        """Move the cursor of the table that has it."""
        table = self._table
        table.move_cursor(row=table.cursor_row + by)

    def action_other_table(self) -> None:
        """Go to the pairs, or back to the ratings."""
        self.query_one("#ratings" if self._table.id == "pairs" else "#pairs", JudgedTable).focus()

    def action_open(self) -> None:
        """Go from the ratings to the pairs, and from a pair to its dialogues."""
        table = self._table
        if table.id == "ratings":
            self.action_other_table()
        elif self._now is not None and 0 <= table.cursor_row < len(self._pairs):
            self.session.arena.pair = self._pairs[table.cursor_row]
            self.session.arena.path = self._now.path
            self.app.call_later(self.app.run_action, "app.show_view('pair')")

    def action_next_board(self) -> None:
        """Show the next language or dimension."""
        self.session.arena.board += 1
        self._show()

    def action_next_arena(self) -> None:
        """Show what the next judge has said."""
        now = self._now
        if now is not None and now.path is not None and len(now.arenas) > 1:
            at = now.arenas.index(now.path) + 1
            self.session.arena.path = now.arenas[at % len(now.arenas)]
            self.load()

    def action_begin(self) -> None:
        """Let a judge compare: choose who, see how long it takes, and start."""
        if self._now is None:
            return
        if self._is_at_work:
            self.app.notify(self.words("arena.busy"), markup=False)
        elif len(self._now.supporters) < 2:
            self.app.notify(self.words("arena.alone"), markup=False)
        else:
            self.in_background(self._choose_judge, group="judge")

    def action_stop_judging(self) -> None:
        """Ask the judge that is at work to stop; what it has said is kept."""
        from escl.tui.processes import ask_to_stop

        started, now = self.session.arena.started, self._now
        path = started.path if started is not None else now.path if now is not None and now.is_held else None
        if path is not None:
            ask_to_stop(path)
            self.app.notify(self.words("arena.stopping"), markup=False)

    def on_data_table_row_selected(self) -> None:
        """Follow a click or Enter on a line."""
        self.action_open()

    def on_data_table_row_highlighted(self) -> None:
        """Say the rest about the supporter under the cursor."""
        now, board, at = self._now, self._board, self.query_one("#ratings", JudgedTable).cursor_row
        if now is not None and now.results is not None and board is not None and 0 <= at < len(board.ratings):
            self.query_one("#detail", Static).update(rating_detail(board, at, now.results.reference, self.words))

    async def _choose_judge(self) -> None:
        from escl.tui.judging import judges_for, judging_of
        from escl.tui.screens.choice import ChoiceScreen

        run, shown = self.session.run.path, self._now
        if shown is None:
            return
        judges = await asyncio.to_thread(judges_for, run, shown.supporters)
        if not judges:
            self.app.notify(self.words("arena.no_judges"), markup=False)
            return

        def chosen(at: int | None) -> None:
            if at is not None:
                judging = judging_of(run, judges[at], shown)
                self.in_background(lambda: self._rehearse(judging), group="judge")

        names = [Path(one).name if one.endswith(".gguf") else one for one in judges]
        self.app.push_screen(ChoiceScreen(self.words, title=self.words("arena.who"), options=names), chosen)

    async def _rehearse(self, judging: Judging) -> None:
        from escl.tui.judging import name_of
        from escl.tui.screens.ask import AskScreen
        from escl.tui.screens.text import TextScreen

        title = self.words("arena.compare", judge=line(name_of(judging.judge), 48))
        self._say_work(Content.styled(self.words("arena.rehearsing"), "$muted"))
        try:
            said, can_begin = await judging.rehearsed()
        finally:
            self._say_work(None)
        if not can_begin:
            self.app.push_screen(TextScreen(self.words, title=title, text=said))
            return
        question = AskScreen(self.words, title=title, text=self.words("arena.goes_on"), about=said)
        self.app.push_screen(question, lambda agreed: self._start_judging(judging) if agreed else None)

    def _start_judging(self, judging: Judging) -> None:
        try:
            self.session.arena.started = judging.start()
        except OSError as error:
            self._say_ended(str(error))
            return
        self.session.arena.path = judging.arena
        self.load()

    def _say_ended(self, said: str) -> None:
        from escl.tui.screens.text import TextScreen

        self.app.push_screen(TextScreen(self.words, title=self.words("arena.ended_badly"), text=said))

    @property
    def _is_at_work(self) -> bool:
        return self.session.arena.started is not None or (self._now is not None and self._now.is_held)

    def _tick(self) -> None:
        if self.is_active and self._is_at_work:
            self.look_again(self._look, group="arena")

    async def _look(self) -> None:
        run, arena = self.session.run.path, self.session.arena
        started = arena.started
        # Asked first, so that the last look is at all that was said.
        has_ended = started is not None and started.has_ended
        self._now = await self.ask(lambda database: judged(run, database, arena.path))
        if started is not None and has_ended:
            arena.started = None
            if started.exit_code not in (ExitCode.OK, ExitCode.INCOMPLETE, ExitCode.INTERRUPTED):
                self._say_ended("\n".join(started.last_lines()))
        self._show()

    @property
    def _table(self) -> JudgedTable:
        pairs = self.query_one("#pairs", JudgedTable)
        return pairs if pairs.has_focus else self.query_one("#ratings", JudgedTable)

    @property
    def _board(self) -> Board | None:
        results = None if self._now is None else self._now.results
        return results.boards[self.session.arena.board % len(results.boards)] if results and results.boards else None

    def _show(self) -> None:
        now, board = self._now, self._board
        if now is None:
            return
        self._say_work(self._working() if self._is_at_work else None)
        self.query_one("#tables").display = board is not None
        said = self.query_one("#said", Static)
        said.display = board is not None
        if board is None or now.results is None:
            self.query_one("#choice", Static).update("" if self._is_at_work else self._none(now))
            self.query_one("#legend", Static).update("")
            return
        results = now.results
        self.query_one("#choice", Static).update(self._heading(board, line(results.settings.judge, 40)))
        said.update(self._believed(board))
        was = self._table
        self.query_one("#ratings", JudgedTable).show_ratings(board, results)
        found = [one for one in results.pairs if (one.language, one.dimension) == (board.language, board.dimension)]
        self._pairs = deciding_first(found)
        self.query_one("#pairs", JudgedTable).show_pairs(self._pairs)
        legend = [self.words("arena.legend", reference=line(results.reference, 24))]
        legend += [line(told(one, self.words), 300) for one in (*results.forced, *results.notices)]
        self.query_one("#legend", Static).update(Content.styled("\n".join(legend), "$muted"))
        was.focus()

    def _say_work(self, said: Content | None) -> None:
        work = self.query_one("#work", Static)
        work.display = said is not None
        work.update(said or "")

    def _working(self) -> Content:
        now, started, words = self._now, self.session.arena.started, self.words
        said = words("arena.at_work")
        # Before it has said anything, another judge's results are shown.
        if now is not None and now.results is not None and (started is None or started.path == now.path):
            said = words("arena.so_far", n=len(now.results.pairs), all=now.results.n_possible)
        return Content.assemble(
            ("● ", "$primary"),
            (said, "bold"),
            "   ",
            ("s", "bold $primary"),
            (f" {words('key.stop_judging')}", "$muted"),
        )

    def _none(self, now: Judged) -> Content:
        name = shlex.quote(line(self.session.run.path.name, 200))
        alone = len(now.supporters) < 2
        runs = f"{name} OTHER.db" if alone else name
        parts = [Content.styled(self.words("arena.none"), "bold")]
        if alone:
            parts.append(Content(f"\n{self.words('arena.alone')}"))
        else:
            parts.append(Content(f"\n\n{self.words('arena.press')}"))
        parts.append(Content(f"\n\n{self.words('arena.begin')}\n\n"))
        parts.append(Content.styled(f"  escl arena {runs} --judge MODEL.gguf", "bold $primary"))
        return Content.assemble(*parts)

    def _heading(self, board: Board, judge: str) -> Content:
        words = self.words
        n = words("arena.pairs", n=board.n_judged)
        if board.failed:
            n = words("arena.some_pairs", n=board.n_judged, asked=board.n_asked)
        what = f"{words('language.' + board.language.value)} · {words('dimension.' + board.dimension.value)} · {n}"
        return Content.assemble((what, "bold"), (f"   {words('arena.judge', judge=judge)}", "$muted"))

    def _believed(self, board: Board) -> Content:
        """Return how far the judge can be believed, and what it failed on."""
        said = [Content(one) for one in self._consistency(board.consistency)] if board.n_judged else []
        for reason, n in board.failed.items():
            said.append(Content.styled(self.words("arena.failed", n=n, reason=line(reason, 100)), "$warning"))
        return Content("\n").join(said)

    def _consistency(self, found: Consistency) -> list[str]:
        from escl.report.arena import MUCH_FLIPPED, ends

        flipped, first, counts = found.flip_rate.mean or 0.0, found.first_rate, found.counts
        said = [
            self.words(
                "arena.orders",
                agreed=counts["agreed"],
                equal=counts["both equal"],
                one=counts["one order"],
                flipped=counts["flipped"],
                share=f"{100 * flipped:.0f}",
                ends=ends(found.flip_rate),
            )
        ]
        if first.mean is not None:
            said.append(self.words("arena.first", share=f"{100 * first.mean:.0f}", ends=ends(first)))
        return [*said, self.words("arena.flipped")] if flipped > MUCH_FLIPPED else said
