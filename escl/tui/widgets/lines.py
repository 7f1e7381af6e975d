"""Lines that change often: the screen is laid out anew only when they need more or less room than before."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Lines(Static):
    """Text that is shown as it is, any number of times a second."""

    def __init__(self, *, id: str) -> None:
        super().__init__(markup=False, id=id)
        self._shown: Content | None = None

    def show(self, content: Content) -> None:
        """Show `content`; what is shown already costs nothing."""
        if self._shown is not None and self._shown.is_same(content):
            return
        self._shown = content
        width, height = self.size
        fits = width > 0 and len(content.wrap(width)) == height
        self.update(content, layout=not fits)
