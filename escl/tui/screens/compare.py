"""Two supporters compared card by card: the differences around zero, the verdicts, and the cards that decided."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from escl.tui.comparing import Comparison, compared, dialogue_on
from escl.tui.keys import Key, bindings
from escl.tui.plain import line, plain
from escl.tui.screens.choice import ChoiceScreen
from escl.tui.screens.run_screen import RunScreen, Session
from escl.tui.widgets.differences import Differences, lines_of, named
from escl.tui.widgets.verdicts import detail, heading, notes, sentence

if TYPE_CHECKING:
    from escl.evaluation.compare import Group
    from escl.evaluation.deciding import CardDifference
    from escl.tui.strings import Strings

_SHORT = 36
"""Lines under which there is room for one of the tables only."""


class CompareScreen(RunScreen):
    """A table of dimensions, and one of cards for the dimension under the cursor; where it is low, one at a time."""

    VIEW = "compare"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="open", name="key.deciding"),
        Key(keys="a", action="choose('side')", name="key.first"),
        Key(keys="b", action="choose('against')", name="key.second"),
        Key(keys="f", action="other_run", name="key.other_run"),
        Key(keys="L", action="next_group", name="key.card_language"),
        Key(keys="tab", action="other_table", name="key.cards", in_bar=False),
        Key(keys="F", action="force", name="key.force", in_bar=False),
        Key(keys="down,j", action="move(1)", name="key.move", shown="↑↓ jk", in_bar=False),
        Key(keys="r", action="look_again", name="key.refresh", in_bar=False),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings((*KEYS, Key(keys="up,k", action="move(-1)", name="key.move")))

    def __init__(self, words: Strings, session: Session) -> None:
        super().__init__(words, session)
        self._now: Comparison | None = None
        self._cards: list[CardDifference] = []
        self._at_cards = False

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        body = Vertical(
            Static(Content.styled(self.words("compare.loading"), "$muted"), markup=False, id="choice"),
            Vertical(
                Differences(self.words, name="dimensions"),
                Static(markup=False, id="detail"),
                Static(markup=False, id="cards-head"),
                Differences(self.words, name="cards"),
                id="tables",
            ),
            Static(markup=False, id="notes"),
            Static(markup=False, id="legend"),
            classes="page",
        )
        yield from self.bars(body, title=self.session.run.path.name, view=self.VIEW)

    def on_mount(self) -> None:
        """Begin to look, with nothing to be seen before it is there."""
        self.query_one("#tables").display = False
        super().on_mount()

    def load(self) -> None:
        """Compare the two."""
        self.in_background(self._look, group="compare")

    def on_resize(self, event: Resize) -> None:
        """Lay the tables out for the new size."""
        super().on_resize(event)
        self.set_class(event.size.height < _SHORT, "-short")
        if self._now is not None:
            self.call_after_refresh(self._show)

    def themed(self) -> None:
        """Take the colours from the new theme."""
        self._show()

    def action_look_again(self) -> None:
        """Compare anew."""
        self.load()

    def action_move(self, by: int) -> None:
        """Move the cursor of the table that has it."""
        table = self._table
        table.move_cursor(row=table.cursor_row + by)

    def steps_back(self) -> bool:
        """Go from the cards back to the dimensions, where they took their place."""
        if self._at_cards:
            self.action_other_table()
            return True
        return False

    def action_other_table(self) -> None:
        """Go to the cards, or back to the dimensions."""
        if self._now is not None and self._now.found is not None:
            self._at_cards = not self._at_cards
            self._show_tables()

    def action_open(self) -> None:
        """Go from a dimension to its cards, and from a card to its two dialogues."""
        if not self._at_cards:
            self.action_other_table()
        elif 0 <= self._table.cursor_row < len(self._cards):
            self.in_background(partial(self._read, self._cards[self._table.cursor_row].card), group="read")

    def action_choose(self, which: str) -> None:
        """Choose one of the two supporters."""
        now = self._now
        if now is None or not now.names:
            return
        names = list(now.names)
        other = self.session.compared.other
        shown = [f"{name} ({other.name})" if is_other and other else name for name, is_other in names]

        def take(at: int | None) -> None:
            if at is not None:
                setattr(self.session.compared, which, names[at])
                self.load()

        title = self.words("compare.first" if which == "side" else "compare.second")
        self.app.push_screen(ChoiceScreen(self.words, title=title, options=shown), take)

    def action_other_run(self) -> None:
        """Choose a run beside this one, whose supporters may be compared too."""
        from escl.tui.overview import runs_in

        own = self.session.run.path
        runs = [path for path, _ in runs_in(own.parent, ()) if path.resolve() != own.resolve()]
        if not runs:
            self.app.notify(self.words("compare.no_runs"), markup=False, timeout=3)
            return

        def take(at: int | None) -> None:
            if at is not None:
                self._take_other(runs[at - 1] if at else None)

        options = [self.words("compare.no_other"), *(path.name for path in runs)]
        self.app.push_screen(ChoiceScreen(self.words, title=self.words("compare.runs"), options=options), take)

    def action_force(self) -> None:
        """Compare what is not comparable all the same, and say so."""
        if self._now is not None and self._now.can_force:
            self.session.compared.force = True
            self.load()

    def action_next_group(self) -> None:
        """Show the next set of cards: a language, both pooled, the crisis cards."""
        self.session.compared.group += 1
        self._show()

    def on_data_table_row_selected(self) -> None:
        """Follow a click or Enter on a line."""
        self.action_open()

    def on_data_table_row_highlighted(self) -> None:
        """Say what is under the cursor, and find the cards behind a dimension."""
        if not self._at_cards:
            self.in_background(self._look_at_cards, group="cards")

    def _take_other(self, path: Path | None) -> None:
        chosen = self.session.compared
        chosen.other, chosen.force, chosen.group = path, False, 0
        chosen.side = chosen.against = None
        self.load()

    async def _look(self) -> None:
        chosen, path = self.session.compared, self.session.run.path
        self._now = await self.ask(lambda database: compared(path, database, chosen))
        self._show()

    async def _look_at_cards(self) -> None:
        now, group, row = self._now, self._group, self.query_one("#dimensions", Differences).cursor_row
        if now is None or now.sides is None or group is None or not 0 <= row < len(rows := lines_of(group)):
            return
        (one, other), dimension = now.sides, rows[row].dimension

        def look() -> list[CardDifference]:
            from escl.evaluation.deciding import deciding_cards

            return deciding_cards(one, other, dimension, group.language, crisis=group.crisis)

        # Everything was read already: no file is asked.
        self._cards = await asyncio.to_thread(look)
        self.query_one("#detail", Static).update(detail(rows[row], self.words))
        head = self.words("compare.deciding", dimension=named(rows[row], self.words))
        self.query_one("#cards-head", Static).update(Content.styled(head, "$muted"))
        cards, lines = self.query_one("#cards", Differences), self.query_one("#dimensions", Differences)
        cards.show_cards(self._cards, lines, (one.supporter, other.supporter))

    async def _read(self, card: str) -> None:
        """Open the two dialogues on a card, side by side where both are in this run."""
        now, own = self._now, self.session.run.path
        if now is None or now.sides is None:
            return
        here = [side.supporter for side in now.sides if side.path == own]
        if not here:
            said = self.words("compare.elsewhere", run=line(str(now.sides[0].path), 200))
            self.app.notify(said, markup=False, timeout=4)
            return
        found = await self.ask(lambda database: dialogue_on(database, card, here[0]))
        if found is not None:
            self.session.wanted, self.session.at = found
            self.session.beside = here[1] if len(here) > 1 else None
            self.lead_to_dialogues()

    @property
    def _table(self) -> Differences:
        return self.query_one("#cards" if self._at_cards else "#dimensions", Differences)

    @property
    def _group(self) -> Group | None:
        found = None if self._now is None else self._now.found
        return found.groups[self.session.compared.group % len(found.groups)] if found and found.groups else None

    def _show(self) -> None:
        now, group = self._now, self._group
        if now is None:
            return
        self.query_one("#tables").display = group is not None
        self.query_one("#legend").set_class(group is None, "none")
        choice = self.query_one("#choice", Static)
        if now.found is None or group is None:
            choice.update(self._trouble(now))
            self.query_one("#notes", Static).update("")
            return
        head = heading(now.found, group, self.words)
        # The rows say the same.
        is_tiny = self.has_class("-tiny")
        choice.update(head if is_tiny else Content.assemble(head, "\n", sentence(group, self.words)))
        self.query_one("#dimensions", Differences).show_rows(group, margin=now.found.margin)
        said = notes(now.found, group, self.words)
        self.query_one("#notes", Static).update(said)
        self.query_one("#notes").set_class(not said.plain, "none")
        legend = self.words("compare.legend", margin=f"{now.found.margin:g}")
        self.query_one("#legend", Static).update(Content.styled(legend, "$muted"))
        self._show_tables()
        self.in_background(self._look_at_cards, group="cards")

    def _trouble(self, now: Comparison) -> Content:
        if not now.names:
            return Content(self.words("scores.none"))
        if now.trouble is None:
            return Content(self.words("compare.one"))
        ways = f"\n\n{self.words('compare.force')}" if now.can_force else ""
        return Content.assemble(plain(now.trouble), ways)

    def _show_tables(self) -> None:
        self.query_one("#dimensions").set_class(self._at_cards, "hidden")
        for one in ("#cards", "#cards-head"):
            self.query_one(one).set_class(not self._at_cards, "hidden")
        self._table.focus()
