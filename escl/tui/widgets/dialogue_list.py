"""A list of any number of dialogues that holds only the pages around what is seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from escl.tui.keys import Key, bindings
from escl.tui.plain import fitted, fitted_in_the_middle, line

if TYPE_CHECKING:
    from escl.store.browse import Found

PAGE = 100
_PAGES = 12
_KEYS = (
    Key(keys="down,j", action="move(1)", name="key.next"),
    Key(keys="up,k", action="move(-1)", name="key.previous"),
    Key(keys="pagedown,ctrl+d", action="page(1)", name="key.next"),
    Key(keys="pageup,ctrl+u", action="page(-1)", name="key.previous"),
    Key(keys="home,g", action="move(-1000000000)", name="key.previous"),
    Key(keys="end,G", action="move(1000000000)", name="key.next"),
    Key(keys="enter", action="open", name="key.open"),
)


class DialogueList(ScrollView, can_focus=True):
    """One line for each dialogue. Asks for pages by message, and shows an ellipsis until they come."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"dialogue-list--cursor", "dialogue-list--row"}
    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)

    cursor: reactive[int] = reactive(0)

    class PageNeeded(Message):
        """Rows from `start` on are seen and not there."""

        def __init__(self, start: int) -> None:
            super().__init__()
            self.start = start

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, at: int) -> None:
            super().__init__()
            self.at = at

    class Opened(Message):
        """A row was chosen."""

        def __init__(self, at: int) -> None:
            super().__init__()
            self.at = at

    def __init__(self) -> None:
        super().__init__()
        self._n = 0
        self._widest = 0
        self._pages: OrderedDict[int, list[Found]] = OrderedDict()
        self._asked: set[int] = set()

    def show(self, n: int, at: int = 0, *, supporters: Sequence[str]) -> None:
        """Show a list of `n` dialogues of `supporters` with the cursor on row `at`; all rows are asked for anew."""
        self._n = n
        self._widest = max((cell_len(line(name)) for name in supporters), default=0)
        self._pages.clear()
        self._asked.clear()
        self.virtual_size = Size(0, n)
        self.set_reactive(DialogueList.cursor, min(at, max(0, n - 1)))
        self._keep_cursor_seen()
        self.refresh()

    def grow(self, n: int) -> None:
        """Let the list have `n` dialogues, of which those at its beginning are the ones it has."""
        # The last page may have been short.
        self._pages.pop((self._n - 1) // PAGE * PAGE, None)
        self._n = n
        self.virtual_size = Size(0, n)
        self.refresh()

    def take(self, start: int, rows: list[Found]) -> None:
        """Show the rows that were asked for from `start` on."""
        self._asked.discard(start)
        self._pages[start] = rows
        while len(self._pages) > _PAGES:
            self._pages.popitem(last=False)
        self.refresh()

    def validate_cursor(self, at: int) -> int:
        """Return the nearest row that there is."""
        return min(max(0, at), max(0, self._n - 1))

    def watch_cursor(self, before: int, after: int) -> None:
        """Follow the cursor, and say where it is."""
        self._keep_cursor_seen()
        self.refresh()
        if before != after:
            self.post_message(self.Moved(after))

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor += by

    def action_page(self, by: int) -> None:
        """Move the cursor by what is seen."""
        self.cursor += by * max(1, self.size.height - 1)

    def action_open(self) -> None:
        """Choose the row under the cursor."""
        if self._n:
            self.post_message(self.Opened(self.cursor))

    def on_click(self, event: Click) -> None:
        """Choose the row that was clicked."""
        at = self.scroll_offset.y + event.y
        if at < self._n:
            self.cursor = at
            self.post_message(self.Opened(at))

    def render_line(self, y: int) -> Strip:
        """Return the row at line `y` of what is seen."""
        at = self.scroll_offset.y + y
        width = self.size.width
        is_cursor = at == self.cursor and at < self._n
        style = self.get_component_rich_style("dialogue-list--cursor" if is_cursor else "dialogue-list--row")
        if at >= self._n:
            return Strip.blank(width, self.rich_style)
        found = self._row(at)
        if found is None:
            text = fitted("▸ …" if is_cursor else "  …", width)
        else:
            text = _row(found, width, self._widest, is_cursor)
        return Strip([Segment(text, style + Style(bold=is_cursor))], width)

    def _row(self, at: int) -> Found | None:
        start = at // PAGE * PAGE
        if start in self._pages:
            self._pages.move_to_end(start)
            page = self._pages[start]
            return page[at - start] if at - start < len(page) else None
        if start not in self._asked:
            self._asked.add(start)
            self.post_message(self.PageNeeded(start))
        return None

    def _keep_cursor_seen(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)


def _row(found: Found, width: int, widest: int, is_cursor: bool) -> str:
    """Return a dialogue in exactly `width` cells: card, supporter, label, and a sign where something is wrong.

    The card has what the supporters' names, of which the `widest` has so many cells, leave over.
    """
    label = {"pending": "·", "speaking": "…", "failed": "×"}.get(found.state, "-")
    if found.label is not None:
        label = f"{found.label:.1f}"
    sign = "!" if found.troubled else " "
    name = line(found.card_id) + (f" #{found.repeat + 1}" if found.repeat else "")
    room = max(0, width - 10)
    card = room if room < 16 else room - min(widest + 2, room * 3 // 5)
    start = "▸ " if is_cursor else "  "
    who = fitted_in_the_middle(line(found.supporter), room - card)
    return fitted(f"{start}{fitted_in_the_middle(name, card)} {who} {label:>3}{sign} ", width)
