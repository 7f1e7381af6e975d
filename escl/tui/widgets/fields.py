"""The rows of a form: a name and what was chosen, one line each, for the keys and for the mouse."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Static

from escl.tui.plain import fitted, line

NAME_WIDTH = 13
_NOTES_AT = 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing that can be chosen.

    Attributes:
        note: Said of it.
        aside: Said of it while the row has the keys.
    """

    value: Hashable
    text: str
    note: str = ""
    aside: str = ""


class Row(Static, can_focus=True):
    """One line of a form."""

    def __init__(self, name: str, label: str) -> None:
        super().__init__(markup=False, classes="row", id=f"row-{name}")
        self.field = name
        self._label = label

    def on_focus(self) -> None:
        """Show that the keys are for this row."""
        self.refresh()

    def on_blur(self) -> None:
        """Show that they are not any more."""
        self.refresh()

    def _line(self, value: str, note: str, before: str = "  ", after: str = "") -> Content:
        room = self.size.width - NAME_WIDTH - 2 - cell_len(before + after)
        shown = line(value, max(4, room - (cell_len(note) + 3 if note else 0)))
        gap = max(3, _NOTES_AT - NAME_WIDTH - 2 - cell_len(before + shown + after))
        sign, style = ("▸ ", "bold $primary") if self.has_focus else ("  ", "$foreground")
        return Content.assemble(
            (sign, "bold $primary"),
            (fitted(self._label, NAME_WIDTH), style),
            (before, "$primary"),
            (shown, "bold" if self.has_focus else ""),
            (after, "$primary"),
            (" " * gap + note if note else "", "$muted"),
        )


class Choice(Row):
    """One of a few: left and right take the one before and the next, a click the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space,enter", "step(1)", show=False),
        Binding("left,h", "step(-1)", show=False),
    ]

    class Changed(Message):
        """Another one was taken."""

        def __init__(self, field: str, value: Hashable) -> None:
            super().__init__()
            self.field = field
            self.value = value

    def __init__(self, name: str, label: str, options: Sequence[Option], value: Hashable = None) -> None:
        super().__init__(name, label)
        self._options = list(options)
        self._value = value

    def offer(self, options: Sequence[Option]) -> None:
        """Let these be chosen; what was chosen stays, named by its value where it is not among them."""
        self._options = list(options)
        self.refresh()

    def render(self) -> Content:
        """Return the row."""
        option = self._options[self._at] if self._at is not None else Option(value=self._value, text=str(self._value))
        before, after = ("‹ ", " ›") if self.has_focus else ("  ", "  ")
        return self._line(option.text, option.note or (option.aside if self.has_focus else ""), before, after)

    def action_step(self, by: int) -> None:
        """Take a neighbour."""
        if not self._options:
            return
        at = 0 if self._at is None else (self._at + by) % len(self._options)
        self._value = self._options[at].value
        self.refresh()
        self.post_message(self.Changed(self.field, self._value))

    def on_click(self, event: Click) -> None:
        """Take the one before where its sign is clicked, else the next."""
        self.action_step(-1 if NAME_WIDTH < event.x < NAME_WIDTH + 4 else 1)

    @property
    def _at(self) -> int | None:
        return next((at for at, one in enumerate(self._options) if one.value == self._value), None)


class Opener(Row):
    """Something that is chosen on a screen of its own, or done: enter or a click opens it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("right,l,space,enter", "press", show=False)]

    class Opened(Message):
        """It is to be opened."""

        def __init__(self, field: str) -> None:
            super().__init__()
            self.field = field

    def __init__(self, name: str, label: str) -> None:
        super().__init__(name, label)
        self._value, self._note = "", ""

    def say(self, value: str, note: str = "") -> None:
        """Show what was chosen."""
        self._value, self._note = value, note
        self.refresh()

    def render(self) -> Content:
        """Return the row."""
        return self._line(self._value, self._note, after=" …" if self.has_focus else "")

    def action_press(self) -> None:
        """Ask for it to be opened."""
        self.post_message(self.Opened(self.field))

    def on_click(self) -> None:
        """Ask for it to be opened."""
        self.action_press()
