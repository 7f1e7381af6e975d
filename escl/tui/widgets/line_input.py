"""A line to write in that holds harmless characters only, however they come: typed, pasted, or from a file's name."""

from __future__ import annotations

from textual.widgets import Input

from escl.core.printable import printable


class LineInput(Input):
    """Text on one line, with a cursor that stands still."""

    def on_mount(self) -> None:
        """Let nothing blink."""
        self.cursor_blink = False

    def validate_value(self, value: str) -> str:
        """Return the text without what would steer a terminal or reorder the line."""
        return "".join(one for one in value if printable(one) == one and one not in "\n\t")
