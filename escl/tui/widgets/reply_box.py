"""Where a person writes a reply: Enter sends it, and a paste of several lines is one."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key, Paste
from textual.message import Message
from textual.widgets import TextArea

from escl.core.printable import printable

_NEW_LINE = ("ctrl+j", "shift+enter", "alt+enter")


class ReplyBox(TextArea):
    """A few lines of text that grow with what is written."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "screen.scroll_chat(-1)", show=False),
        Binding("pagedown", "screen.scroll_chat(1)", show=False),
    ]

    class Sent(Message):
        """The person wants this to be said."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, highlight_cursor_line=False, soft_wrap=True)
        self.cursor_blink = False

    async def _on_key(self, event: Key) -> None:
        # For other keys the widget's own handler comes after this one.
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            if self.text.strip():
                self.post_message(self.Sent(self.text))
        elif event.key in _NEW_LINE:
            event.stop()
            event.prevent_default()
            self.insert("\n")

    async def _on_paste(self, event: Paste) -> None:
        # What steers a terminal would steer this one when it is drawn. The widget's own handler comes after this one.
        event.text = printable(event.text)
