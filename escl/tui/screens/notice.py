"""Something did not work: what, and the ways on."""

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

if TYPE_CHECKING:
    from escl.tui.strings import Strings

_KEYS = (
    Key(keys="escape,q,enter", action="dismiss(False)", name="key.back"),
    Key(keys="r", action="dismiss(True)", name="key.refresh"),
)


class NoticeScreen(ModalScreen[bool]):
    """A message over the screen it is about; ends with whether to try again."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)

    def __init__(self, words: Strings, *, message: str, hint: str | None = None) -> None:
        super().__init__()
        self._words = words
        self._message = message
        self._hint = hint

    def compose(self) -> ComposeResult:
        """Lay the message out."""
        parts = [Content.styled(self._words("notice.title"), "bold $error"), Content("\n\n"), plain(self._message)]
        if self._hint:
            parts += [Content("\n\n→ "), plain(self._hint)]
        parts.append(Content.styled("\n\n" + self._words("notice.ways"), "$muted"))
        with VerticalScroll(classes="dialog"):
            yield Static(Content.assemble(*parts), markup=False)
