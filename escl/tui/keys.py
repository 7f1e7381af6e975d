"""A screen's keys, said once: the bindings, the bar at the bottom and the help page are made of them."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One thing that keys do on a screen.

    Attributes:
        keys: As Textual names them, with commas between; the first is shown.
        name: The word for it in `escl.tui.strings`.
        shown: What the bar writes for the key; None is the first key itself.
        in_bar: Whether the bar at the bottom names it; the help page always does.
    """

    keys: str
    action: str
    name: str
    shown: str | None = None
    in_bar: bool = True

    @property
    def label(self) -> str:
        """How the key is written for people."""
        return self.shown or self.keys.partition(",")[0]


MOVE = Key(keys="down,j", action="move(1)", name="key.move", shown="↑↓ jk", in_bar=False)

EVERYWHERE = (
    Key(keys="question_mark,f1", action="app.help", name="key.help", shown="?"),
    Key(keys="ctrl+p,colon", action="app.command_palette", name="key.palette", shown="^p", in_bar=False),
    Key(keys="t", action="app.next_theme", name="key.theme", in_bar=False),
    Key(keys="ctrl+l", action="app.next_language", name="key.language", shown="^l", in_bar=False),
    Key(keys="ctrl+q", action="app.quit", name="key.quit", shown="^q", in_bar=False),
)
"""What works on every screen."""

WHILE_WRITING = (Key(keys="f1", action="app.help", name="key.help", shown="F1"), *EVERYWHERE[1:])
"""The same where a question mark is part of a text."""

IN_A_RUN = (
    Key(keys="1", action="app.show_view('live')", name="key.live", in_bar=False),
    Key(keys="2", action="app.show_view('scores')", name="key.scores", in_bar=False),
    Key(keys="3", action="app.show_view('dialogues')", name="key.dialogues", in_bar=False),
    Key(keys="4", action="app.show_view('compare')", name="key.compare", in_bar=False),
    Key(keys="5", action="app.show_view('arena')", name="key.arena", in_bar=False),
    Key(keys="6", action="app.show_view('rate')", name="key.rate", in_bar=False),
    Key(keys="escape,q", action="app.step_back", name="key.back", shown="esc"),
)
"""What works on every screen about one run; the bar at the top names the views."""


def bindings(keys: tuple[Key, ...]) -> list[BindingType]:
    """Return Textual's bindings of these keys."""
    return [Binding(key.keys, key.action, key.name, show=False) for key in keys]
