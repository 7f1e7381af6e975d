"""A few lines to fill in over another screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from escl.core.printable import printable
from escl.tui.keys import Key, bindings
from escl.tui.plain import plain
from escl.tui.widgets.bars import KeyBar
from escl.tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from escl.tui.strings import Strings

_KEYS = (
    Key(keys="enter", action="agree", name="key.begin"),
    Key(keys="tab", action="app.focus_next", name="key.next_field"),
    Key(keys="escape", action="dismiss(None)", name="key.back", shown="esc"),
)
_LONGEST = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One line to fill in.

    Attributes:
        about: What belongs there, shown while it is empty.
    """

    name: str
    about: str
    value: str = ""
    is_needed: bool = True


class FormScreen(ModalScreen[list[str] | None]):
    """Ends with what was filled in, in the fields' order; None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)
    AUTO_FOCUS = "Input"

    def __init__(self, words: Strings, *, title: str, text: str, fields: Sequence[Field]) -> None:
        super().__init__()
        self._words = words
        self._title = title
        self._text = text
        self._fields = fields

    def compose(self) -> ComposeResult:
        """Lay the fields out."""
        with VerticalScroll(classes="dialog"):
            yield Static(plain(self._title, "bold $primary"), markup=False)
            yield Static(plain(f"\n{self._text}\n"), markup=False)
            for field in self._fields:
                yield Static(Content.styled(printable(field.name), "$muted"), markup=False)
                yield LineInput(value=printable(field.value), placeholder=printable(field.about), max_length=_LONGEST)
            yield KeyBar(self._words, _KEYS)

    def on_input_submitted(self) -> None:
        """Go to the next field that is needed and empty, or end."""
        self.action_agree()

    def action_agree(self) -> None:
        """End with what was filled in, once nothing that is needed is empty."""
        inputs = list(self.query(Input))
        for field, line in zip(self._fields, inputs, strict=True):
            if field.is_needed and not line.value.strip():
                line.focus()
                return
        self.dismiss([line.value.strip() for line in inputs])
