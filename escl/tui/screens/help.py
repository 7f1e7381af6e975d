"""The keys of the screen below, from the same table that binds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from escl.tui.keys import Key, bindings

if TYPE_CHECKING:
    from escl.tui.strings import Strings

_KEYS = (Key(keys="escape,q,question_mark,enter", action="dismiss(None)", name="key.back"),)


class HelpScreen(ModalScreen[None]):
    """A table of keys."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)

    def __init__(self, words: Strings, keys: tuple[Key, ...], everywhere: tuple[Key, ...]) -> None:
        super().__init__()
        self._words = words
        self._keys, self._everywhere = keys, everywhere

    def compose(self) -> ComposeResult:
        """Lay the keys out."""
        words = self._words
        with VerticalScroll(classes="dialog"):
            yield Static(Content.styled(words("help.title"), "bold $primary"), markup=False)
            yield Static(self._table("help.here", self._keys), markup=False)
            yield Static(self._table("help.everywhere", self._everywhere), markup=False)
            yield Static(Content.styled("\n" + words("help.close"), "$muted"), markup=False)

    def _table(self, title: str, keys: tuple[Key, ...]) -> Content:
        lines = [Content.styled(f"\n{self._words(title)}", "bold")]
        for key in keys:
            label = written(key)
            gap = " " * max(1, 18 - cell_len(label))
            lines.append(Content.assemble("  ", (label, "bold $primary"), gap, self._words(key.name)))
        return Content("\n").join(lines)


def written(key: Key) -> str:
    """Return every key of a binding as people write them."""
    if key.shown is not None and key.shown != "esc":
        return key.shown
    spelled = {"escape": "esc", "question_mark": "?", "colon": ":", "slash": "/"}
    return " ".join(spelled.get(one, one.replace("ctrl+", "^")) for one in key.keys.split(","))
