"""Two dialogues on one card, turn beside turn, scrolled together."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from escl.tui.keys import bindings
from escl.tui.widgets.transcript import SCROLLING, turn_content

if TYPE_CHECKING:
    from escl.store.records import TurnRow
    from escl.tui.strings import Strings


class Rows(VerticalScroll, can_focus=True):
    """What is scrolled."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(SCROLLING)


class SideBySide(Vertical):
    """A row for each position, so that what was said at the same point stands side by side, however long it is."""

    def __init__(self, words: Strings) -> None:
        super().__init__()
        self._words = words
        self._rows: list[tuple[Horizontal, Static, Static]] = []

    def compose(self) -> ComposeResult:
        """Lay the two heads out above the turns."""
        heads = (Static(markup=False, classes="head"), Static(markup=False, classes="head"))
        yield Horizontal(*heads, classes="heads")
        yield Rows()

    @property
    def rows(self) -> Rows:
        """What has the focus."""
        return self.query_one(Rows)

    async def show(
        self,
        heads: tuple[Content, Content],
        turns: tuple[list[TurnRow], list[TurnRow]],
        *,
        thoughts: bool = False,
    ) -> None:
        """Show two dialogues, each below its head."""
        for head, content in zip(self.query(".head").results(Static), heads, strict=True):
            head.update(content)
        n = max(len(side) for side in turns)
        await self._have_rows(n)
        for at, (row, *cells) in enumerate(self._rows):
            row.display = at < n
            for cell, side in zip(cells, turns, strict=True):
                is_said = at < len(side)
                cell.update(turn_content(at, side[at], self._words, thoughts=thoughts) if is_said else "")
                cell.set_class(is_said, "said")
                cell.set_class(is_said and side[at].turn.speaker.value == "supporter", "supporter")
        self.rows.scroll_home(animate=False)

    async def _have_rows(self, n: int) -> None:
        more: list[Horizontal] = []
        for _ in range(n - len(self._rows)):
            left, right = Static(markup=False, classes="turn"), Static(markup=False, classes="turn")
            more.append(Horizontal(left, right, classes="row"))
            self._rows.append((more[-1], left, right))
        if more:
            await self.rows.mount_all(more)
