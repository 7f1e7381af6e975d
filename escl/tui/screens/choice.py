"""A list to choose one thing from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from escl.tui.keys import Key, bindings
from escl.tui.plain import line, plain
from escl.tui.widgets.bars import KeyBar

if TYPE_CHECKING:
    from escl.tui.strings import Strings

_KEYS = (
    Key(keys="enter", action="take", name="key.choose"),
    Key(keys="down,j", action="move(1)", name="key.move", shown="↑↓ jk"),
    Key(keys="up,k", action="move(-1)", name="key.move", in_bar=False),
    Key(keys="escape,q", action="dismiss(None)", name="key.back", shown="esc"),
)


class ChoiceScreen(ModalScreen[int | None]):
    """Ends with the place of what was chosen, or with None."""

    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)

    def __init__(self, words: Strings, *, title: str, options: Sequence[str], at: int = 0) -> None:
        super().__init__()
        self._words = words
        self._title = title
        self._options = [plain(line(one, 200)) for one in options]
        self._at = at

    def compose(self) -> ComposeResult:
        """Lay the list out."""
        options = OptionList(*self._options, markup=False)
        options.highlighted = self._at if self._options else None
        with Vertical(classes="dialog"):
            yield Static(Content.styled(self._title, "bold $primary"), markup=False)
            yield options
            yield KeyBar(self._words, _KEYS)

    def action_move(self, by: int) -> None:
        """Go to the next or an earlier line."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if by > 0 else options.action_cursor_up()

    def action_take(self) -> None:
        """Choose what is under the cursor."""
        self.dismiss(self.query_one(OptionList).highlighted)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Follow a click or Enter on a line."""
        self.dismiss(event.option_index)
