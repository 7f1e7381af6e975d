"""A dialogue as a chat. Its turns' widgets are kept and filled anew, so that the next dialogue is there at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from escl.tui.keys import Key, bindings
from escl.tui.plain import plain
from escl.tui.strings import Strings

if TYPE_CHECKING:
    from escl.store.records import TurnRow

SCROLLING = (
    Key(keys="down,j", action="scroll_down", name="key.move"),
    Key(keys="up,k", action="scroll_up", name="key.move"),
    Key(keys="ctrl+d", action="page_down", name="key.move"),
    Key(keys="ctrl+u", action="page_up", name="key.move"),
    Key(keys="g", action="scroll_home", name="key.move"),
    Key(keys="G", action="scroll_end", name="key.move"),
)


class Transcript(VerticalScroll, can_focus=True):
    """The turns of one dialogue, the seeker's at the left and the supporter's indented."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(SCROLLING)

    def __init__(self, words: Strings) -> None:
        super().__init__()
        self._words = words
        self._turns: list[Static] = []

    async def show(self, turns: list[TurnRow] | None, *, thoughts: bool = False) -> None:
        """Show these turns, with what the speakers thought where that is wanted; without a dialogue, nothing."""
        is_empty, turns = turns == [], turns or []
        contents = [turn_content(at, turn, self._words, thoughts=thoughts) for at, turn in enumerate(turns)]
        if is_empty:
            contents = [Content.styled(self._words("dialogues.no_turns"), "$muted")]
        more = [Static(markup=False, classes="turn") for _ in range(len(contents) - len(self._turns))]
        if more:
            self._turns += more
            await self.mount_all(more)
        for at, widget in enumerate(self._turns):
            widget.display = at < len(contents)
            if at < len(contents):
                widget.update(contents[at])
                widget.set_class(at < len(turns) and turns[at].turn.speaker.value == "supporter", "supporter")
        self.scroll_home(animate=False)


def turn_content(at: int, row: TurnRow, words: Strings, *, thoughts: bool) -> Content:
    """Return the turn at position `at`: who speaks, what stands out, and what is said."""
    speaker = row.turn.speaker.value
    mark = words("speaker.greeting") if at == 0 else str(at)
    style = "$secondary" if speaker == "supporter" else "$primary"
    parts: list[Content] = [Content.assemble((words(f"speaker.{speaker}"), f"bold {style}"), (f"  {mark}", "$muted"))]
    if row.finish == "length":
        parts.append(Content.styled(f"  ! {words('dialogues.cut')}", "bold $warning"))
    if thoughts and row.reasoning:
        thought = plain(row.reasoning)
        parts += [Content(f"\n[{words('dialogues.thought')}] "), thought.stylize("italic $muted")]
    return Content.assemble(*parts, "\n", plain(row.turn.text))
