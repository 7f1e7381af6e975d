"""The lines above and below every screen: where you are, and which keys do what."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.widgets import Static

from escl.tui.keys import Key
from escl.tui.plain import fitted, line
from escl.tui.strings import Strings

VIEWS = (
    ("live", "1"),
    ("scores", "2"),
    ("dialogues", "3"),
    ("compare", "4"),
    ("arena", "5"),
    ("rate", "6"),
)

Spots = list[tuple[range, str]]
"""Which columns of a bar do what when they are clicked."""


class TopBar(Static):
    """The name of what is shown at the left, and the views of a run at the right."""

    def __init__(self, words: Strings, *, title: str, view: str | None = None, aside: str = "") -> None:
        super().__init__(markup=False, classes="bar")
        self._words = words
        self._title = line(title)
        self._view = view
        self._aside = aside
        self._spots: Spots = []

    def render(self) -> Content:
        """Return the line; what is at the right is said shorter, or not at all, where there is little room."""
        width = self.size.width - 2
        choices = [(Content(self._aside), Spots())]
        if self._view is not None:
            choices = [self._views(), self._views(gap=""), self._views(named=False)]
        fitting = [one for one in choices if one[0].cell_length + 16 <= width]
        right, spots = fitting[0] if fitting else (Content(""), [])
        left = fitted(self._title, max(0, width - right.cell_length - 6))
        start = self.size.width - 1 - right.cell_length
        self._spots = [(range(start + one.start, start + one.stop), action) for one, action in spots]
        return Content.assemble((" escl ", "bold $primary"), " ", (left, "$foreground"), right, " ")

    def on_click(self, event: Click) -> None:
        """Show the view whose name was clicked."""
        follow(self, event, self._spots)

    def _views(self, *, named: bool = True, gap: str = " ") -> tuple[Content, Spots]:
        """Return the views with a `gap` between them, all of them `named` or this one only, and where each stands."""
        shown, spots = Content(""), Spots()
        for name, key in VIEWS:
            is_here = name == self._view
            said = f" {key} {self._words('key.' + name)} " if named or is_here else f" {key} "
            before = gap if spots else ""
            start = shown.cell_length + len(before)
            spots.append((range(start, start + cell_len(said)), f"app.show_view('{name}')"))
            shown = Content.assemble(shown, before, (said, "bold reverse" if is_here else "$muted"))
        return shown, spots


class KeyBar(Static):
    """The keys that matter most here; a click on one does what it does."""

    def __init__(self, words: Strings, keys: tuple[Key, ...]) -> None:
        super().__init__(markup=False, classes="bar")
        self._words = words
        self._keys = [key for key in keys if key.in_bar]
        self._spots: Spots = []

    def show(self, keys: tuple[Key, ...]) -> None:
        """Name these keys from now on."""
        self._keys = [key for key in keys if key.in_bar]
        self.refresh()

    def render(self) -> Content:
        """Return as many keys as fit, the way out and the help among them."""
        shown, spots = Content(" "), Spots()
        for key in self._fitting():
            words = f" {self._words(key.name)}"
            start = shown.cell_length
            spots.append((range(start, start + cell_len(key.label + words)), key.action))
            shown = Content.assemble(shown, (key.label, "bold $primary"), (f"{words}   ", "$muted"))
        self._spots = spots
        return shown

    def on_click(self, event: Click) -> None:
        """Do what the key that was clicked does."""
        follow(self, event, self._spots)

    def _fitting(self) -> list[Key]:
        room, fitting = self.size.width + 2, []
        for key in (*self._keys[-2:], *self._keys[:-2]):
            room -= cell_len(f"{key.label} {self._words(key.name)}   ")
            if room < 0:
                break
            fitting.append(key)
        return [key for key in self._keys if key in fitting]


def follow(bar: Static, event: Click, spots: Spots) -> None:
    """Do the action of the spot that was clicked, as if its key had been pressed on the bar's screen."""
    for columns, action in spots:
        if event.x in columns:
            event.stop()
            bar.app.call_later(bar.app.run_action, action, bar.screen)
