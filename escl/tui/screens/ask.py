"""A question before something is started: what will happen, and the two ways on."""

from __future__ import annotations

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
    Key(keys="enter,y", action="dismiss(True)", name="key.begin"),
    Key(keys="escape,q,n", action="dismiss(False)", name="key.back", shown="esc"),
)


class AskScreen(ModalScreen[bool]):
    """A title, what is asked, and the text it is about; ends with whether to go ahead."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)

    def __init__(self, words: Strings, *, title: str, text: str, about: str) -> None:
        super().__init__()
        self._words = words
        self._title = title
        self._text = text
        self._about = about

    def compose(self) -> ComposeResult:
        """Lay the question out."""
        with VerticalScroll(classes="dialog"):
            yield Static(Content.styled(self._title, "bold $primary"), markup=False)
            yield Static(plain(f"\n{self._text}\n"), markup=False)
            yield Static(plain(self._about, "bold"), markup=False)
            yield KeyBar(self._words, _KEYS)
