"""The lines above and below every screen: where you are, and which keys do what."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.widgets import Static

from escl.tui.keys import Key
from escl.tui.plain import fitted, line
from escl.tui.strings import Strings

VIEWS = (("live", "1"), ("scores", "2"), ("dialogues", "3"))


class TopBar(Static):
    """The name of what is shown at the left, and the views of a run at the right."""

    def __init__(self, words: Strings, *, title: str, view: str | None = None, aside: str = "") -> None:
        super().__init__(markup=False, classes="bar")
        self._words = words
        self._title = line(title)
        self._view = view
        self._aside = aside

    def render(self) -> Content:
        """Return the line; what is at the right goes first where there is little room."""
        width = self.size.width - 2
        right = self._views() if self._view is not None else Content(self._aside)
        if right.cell_length + 10 > width:
            right = Content("")
        left_width = width - right.cell_length - 7
        left = fitted(self._title, max(0, left_width))
        return Content.assemble((" escl ", "bold $primary"), " ", (left, "$foreground"), right, " ")

    def _views(self) -> Content:
        parts: list[Content] = []
        for name, key in VIEWS:
            style = "bold reverse" if name == self._view else "$muted"
            parts.append(Content.styled(f" {key} {self._words('key.' + name)} ", style))
        return Content(" ").join(parts)


class KeyBar(Static):
    """The keys that matter most here; a click on one does what it does."""

    def __init__(self, words: Strings, keys: tuple[Key, ...]) -> None:
        super().__init__(markup=False, classes="bar")
        self._words = words
        self._keys = [key for key in keys if key.in_bar]
        self._ends: list[tuple[int, str]] = []

    def render(self) -> Content:
        """Return as many keys as fit."""
        shown = Content(" ")
        self._ends = []
        for key in self._keys:
            words = self._words(key.name)
            if shown.cell_length + cell_len(f"{key.label} {words}") > self.size.width:
                break
            shown = Content.assemble(shown, (key.label, "bold $primary"), (f" {words}   ", "$muted"))
            self._ends.append((shown.cell_length, key.action))
        return shown

    def on_click(self, event: Click) -> None:
        """Do what the key under the pointer does."""
        action = next((action for end, action in self._ends if event.x < end), None)
        if action is not None:
            self.app.call_later(self.app.run_action, action, self.screen)
