"""Before a play: with which card, seeker and scorer a person speaks as the supporter."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from escl.tui.keys import Key, bindings
from escl.tui.plain import cell, line, plain
from escl.tui.playing import MOST_ROUNDS, USUAL_ROUNDS, Casting, Choices, casting_of, choices, start_play
from escl.tui.processes import free_name
from escl.tui.screens.run_screen import EsclScreen
from escl.tui.widgets.table import Table

if TYPE_CHECKING:
    from escl.core.card import RoleCard
    from escl.core.dimension import Language
    from escl.tui.strings import Strings

_COLUMNS = ("play.card", "play.about", "play.problem")


class PlayScreen(EsclScreen):
    """The cards, the one under the cursor in full, and who plays with it."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="play", name="key.play_card"),
        Key(keys="r", action="surprise", name="key.surprise"),
        Key(keys="g", action="go_on", name="key.go_on"),
        Key(keys="l", action="next_language", name="key.card_language"),
        Key(keys="s", action="next_seeker", name="key.seeker"),
        Key(keys="c", action="next_scorer", name="key.scorer"),
        Key(keys="plus,equals_sign", action="rounds(1)", name="key.more_rounds", shown="+", in_bar=False),
        Key(keys="minus", action="rounds(-1)", name="key.fewer_rounds", shown="-", in_bar=False),
        Key(keys="j,down", action="move(1)", name="key.move", shown="↑↓ jk", in_bar=False),
        Key(keys="escape,q", action="leave", name="key.back", shown="esc"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(KEYS),
        *bindings((Key(keys="k,up", action="move(-1)", name="key.move"),)),
    ]

    def __init__(self, words: Strings, *, left: Path | None = None) -> None:
        super().__init__(words)
        self._left = left
        self._choices: Choices | None = None
        self._cards: list[RoleCard] = []
        self._language: Language | None = None
        self._seeker, self._scorer = 0, 0
        self._rounds = USUAL_ROUNDS

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        table = Table(cursor_type="row", cell_padding=1, id="cards")
        table.display = False
        yield from self.bars(
            Vertical(
                Static(Content.styled(self.words("play.what"), "$muted"), markup=False, id="what"),
                Static(markup=False, id="cast"),
                table,
                VerticalScroll(Static(markup=False, id="card-text"), id="card-whole"),
                classes="page",
            ),
            title=self.words("play.title"),
        )

    def on_mount(self) -> None:
        """Begin to look."""
        table = self.query_one(Table)
        for name in _COLUMNS:
            table.add_column(cell(self.words(name)), key=name)
        self.load()

    def on_screen_resume(self) -> None:
        """Look again after a play."""
        self.load()

    def load(self) -> None:
        """Look at cards, shelf and runs."""
        self.in_background(self._look, group="choices")

    def action_move(self, by: int) -> None:
        """Move in the list."""
        table = self.query_one(Table)
        table.move_cursor(row=table.cursor_row + by)

    def action_play(self) -> None:
        """Play the card under the cursor."""
        at = self.query_one(Table).cursor_row
        if 0 <= at < len(self._cards):
            self._begin(self._cards[at])

    def action_surprise(self) -> None:
        """Play a card of those listed, and show it only at the end."""
        if self._cards:
            self._begin(random.choice(self._cards))

    def action_go_on(self) -> None:
        """Go on with the play that was left."""
        if self._choices is None:
            return
        path, among = self._choices.unfinished, self._choices
        if path is None:
            self.app.notify(self.words("play.nothing_left"), markup=False, timeout=3)
            return
        left = path
        self.in_background(lambda: self._go_on(left, among), group="go on")

    def action_next_language(self) -> None:
        """List the cards of the next language, and after the last those of all."""
        from escl.core.dimension import Language

        known: list[Language | None] = [None, *Language]
        self._language = known[(known.index(self._language) + 1) % len(known)]
        self._show_cast()
        self._list()

    def action_next_seeker(self) -> None:
        """Take the next seeker on the shelf."""
        if self._choices is None:
            return
        if len(self._choices.seekers) < 2:
            self.app.notify(self.words("play.one_seeker"), markup=False, timeout=3)
            return
        self._seeker = (self._seeker + 1) % len(self._choices.seekers)
        self._show_cast()

    def action_next_scorer(self) -> None:
        """Take the next scorer on the shelf, and after the last none."""
        if self._choices is not None:
            self._scorer = (self._scorer + 1) % (len(self._choices.scorers) + 1)
            self._show_cast()

    def action_rounds(self, by: int) -> None:
        """Play longer or shorter."""
        self._rounds = min(MOST_ROUNDS, max(1, self._rounds + by))
        self._show_cast()

    def action_leave(self) -> None:
        """Go back Home."""
        self.app.pop_screen()

    def on_data_table_row_highlighted(self) -> None:
        """Show the card under the cursor."""
        self._show_card()

    def on_data_table_row_selected(self) -> None:
        """Play the card that was clicked."""
        self.action_play()

    async def _look(self) -> None:
        found = await asyncio.to_thread(choices, Path.cwd())
        self.take(found)
        if self._left is not None:
            left, self._left = self._left, None
            await self._go_on(left, found)

    def take(self, found: Choices) -> None:
        """Show these choices."""
        is_new = self._choices is None or self._choices.cards != found.cards
        self._choices = found
        self._show_cast()
        if is_new:
            self._list()

    def _list(self) -> None:
        if self._choices is None:
            return
        self._cards = self._choices.cards_in(self._language)
        table = self.query_one(Table)
        table.clear()
        room = max(12, self.size.width - 56)
        for card in self._cards:
            about = f"{self.words(f'language.{card.language.value}')} · {self.words(f'category.{card.category.value}')}"
            table.add_row(cell(line(card.id, 22), "bold"), cell(line(about, 24)), cell(line(card.problem, room)))
        table.display = True
        table.focus()
        self._show_card()

    def _show_card(self) -> None:
        at = self.query_one(Table).cursor_row
        shown = plain(self._cards[at].text) if 0 <= at < len(self._cards) else Content("")
        self.query_one("#card-text", Static).update(shown)

    def _show_cast(self) -> None:
        if self._choices is None:
            return
        language = self._language
        parts = [
            (self.words("play.seeker"), self._named(self._choices.seekers, self._seeker, "play.no_seeker")),
            (self.words("play.scorer"), self._named(self._choices.scorers, self._scorer, "play.no_scorer")),
            (self.words("play.rounds"), str(self._rounds)),
            (self.words("play.cards"), self.words(f"language.{language.value}" if language else "play.all_cards")),
        ]
        shown = Content("   ").join(Content.assemble((f"{name} ", "$muted"), (said, "bold")) for name, said in parts)
        if self._choices.unfinished is not None:
            name = line(self._choices.unfinished.name, 30)
            left = Content.assemble(("g", "bold $primary"), f" {self.words('play.unfinished', run=name)}")
            shown = Content.assemble(shown, "\n", left)
        self.query_one("#cast", Static).update(shown)

    def _named(self, names: list[str], at: int, none: str) -> str:
        return line(names[at], 28) if at < len(names) else self.words(none)

    def _begin(self, card: RoleCard) -> None:
        if self._choices is None:
            return
        if not self._choices.seekers:
            self.say_failed(self.words("play.no_seeker_here"), "escl models pull esc-role")
            return
        scorers = self._choices.scorers
        casting = Casting(
            seeker=self._choices.seekers[self._seeker],
            scorer=scorers[self._scorer] if self._scorer < len(scorers) else None,
            card_id=card.id,
            rounds=self._rounds,
        )
        self._start(free_name(Path.cwd(), "escl-play"), casting)

    async def _go_on(self, path: Path, among: Choices) -> None:
        from escl.store.database import Database

        def asked() -> Casting:
            with Database.reader(path) as database:
                return casting_of(database, among)

        self._start(path, await asyncio.to_thread(asked))

    def _start(self, path: Path, casting: Casting) -> None:
        from escl.tui.screens.play_chat import PlayChatScreen

        try:
            play = start_play(path, casting)
        except OSError as error:
            self.say_failed(str(error), None)
            return
        self.app.push_screen(PlayChatScreen(self.words, play))
