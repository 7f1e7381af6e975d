"""Lines to read over another screen: a plan, the result of a check."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from escl.tui.keys import Key, bindings
from escl.tui.plain import plain
from escl.tui.widgets.bars import KeyBar

if TYPE_CHECKING:
    from escl.tui.strings import Strings

_KEYS = (
    Key(keys="escape,q,enter", action="dismiss(None)", name="key.back", shown="esc"),
    Key(keys="down,j", action="scroll(1)", name="key.move", shown="↑↓ jk", in_bar=False),
    Key(keys="up,k", action="scroll(-1)", name="key.move", in_bar=False),
)


class TextScreen(ModalScreen[None]):
    """A title and lines as they are, broken nowhere: they scroll sideways too."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)

    def __init__(self, words: Strings, *, title: str, text: str | Awaitable[str], is_table: bool = False) -> None:
        """Show `text`, or what it comes to; with `is_table` its lines stay whole."""
        super().__init__()
        self._words = words
        self._title = title
        self._text = text
        self._is_table = is_table

    def compose(self) -> ComposeResult:
        """Lay the text out."""
        text = plain(self._text) if isinstance(self._text, str) else Content.styled(self._words("text.waits"), "$muted")
        with VerticalScroll(classes="dialog widest"):
            yield Static(plain(self._title, "bold $primary"), markup=False)
            yield Static(text, markup=False, id="text", classes="table" if self._is_table else "")
            yield KeyBar(self._words, _KEYS)

    def on_mount(self) -> None:
        """Wait for the text where it is still to come."""
        if not isinstance(self._text, str):
            self.run_worker(self._wait(self._text), exit_on_error=False)

    def action_scroll(self, by: int) -> None:
        """Scroll by a line."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    async def _wait(self, coming: Awaitable[str]) -> None:
        try:
            text = await coming
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of a worker: what failed is shown in its place
            text = str(error)
            self.query_one("#text", Static).remove_class("table")
        self.query_one("#text", Static).update(plain(text))
