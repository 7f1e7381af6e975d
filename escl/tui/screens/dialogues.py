"""Dialogues: a list that filters and searches, and the chat, card and labels of the one under the cursor.

Beside it, where that is wanted, stands what another supporter made of the same card.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from escl.core.dimension import Dimension
from escl.tui.keys import Key, bindings
from escl.tui.screens.run_screen import RunScreen, Session
from escl.tui.widgets.dialogue_list import PAGE, DialogueList
from escl.tui.widgets.filters import chosen, filters
from escl.tui.widgets.line_input import LineInput
from escl.tui.widgets.reading import Looked, Reading, look

if TYPE_CHECKING:
    from escl.store.browse import Browser, Doubt, Found, Wanted
    from escl.store.database import Database
    from escl.tui.strings import Strings

T = TypeVar("T")
V = TypeVar("V")

_BELOW = (None, 3.0, 2.0, 1.0)
_ORDERS = ("planned", "lowest", "highest")
_TYPING_S = 0.2
_SLICE = 500
"""Dialogues in which words are looked for before what was found is shown."""


class DialoguesScreen(RunScreen):
    """One dialogue beside the list it is from; on a narrow terminal one of the two at a time."""

    VIEW = "dialogues"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="n", action="step(1)", name="key.next"),
        Key(keys="p,N", action="step(-1)", name="key.previous", in_bar=False),
        Key(keys="slash", action="search", name="key.search", shown="/"),
        Key(keys="s", action="next_supporter", name="key.supporter"),
        Key(keys="L", action="next_card_language", name="key.card_language", in_bar=False),
        Key(keys="d", action="next_dimension", name="key.dimension", in_bar=False),
        Key(keys="b", action="next_below", name="key.below", in_bar=False),
        Key(keys="e", action="next_doubt", name="key.doubt", in_bar=False),
        Key(keys="f", action="troubled", name="key.troubled", in_bar=False),
        Key(keys="v", action="beside", name="key.beside"),
        Key(keys="o", action="next_order", name="key.order"),
        Key(keys="c", action="clear", name="key.clear", in_bar=False),
        Key(keys="tab,enter", action="other_side", name="key.list", shown="tab", in_bar=False),
        Key(keys="y", action="copy", name="key.copy", in_bar=False),
        Key(keys="w", action="thoughts", name="key.reasoning", in_bar=False),
        Key(keys="r", action="look_again", name="key.refresh", in_bar=False),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self, words: Strings, session: Session) -> None:
        super().__init__(words, session)
        self._browser: Browser | None = None
        self._ids: array[int] | None = None
        self._supporters: list[str] = []
        self._languages: list[str] = []
        self._doubts: list[Doubt] = []
        self._looked = Looked()
        self._thoughts = False

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        search = LineInput(placeholder=self.words("dialogues.search"), id="search")
        search.display = False
        listed = Vertical(Static(markup=False, id="filters"), search, DialogueList(), id="list-side")
        yield from self.bars(
            Horizontal(listed, Reading(self.words), id="sides"), title=self.session.run.path.name, view=self.VIEW
        )

    def on_mount(self) -> None:
        """Begin to look, in the list where that is seen."""
        super().on_mount()
        self._show_one_or_two()
        self.call_after_refresh(self._focus_what_is_seen)

    def _focus_what_is_seen(self) -> None:
        # It may have been left before it was laid out.
        if not self.is_attached:
            return
        seen = self.query_one(DialogueList) if self.query_one("#list-side").display else self.query_one(Reading).pane
        seen.focus()

    def load(self) -> None:
        """Find the dialogues that are wanted."""
        self._browser = None
        self._find(self.session.at)

    @property
    def wanted(self) -> Wanted:
        """Which dialogues are listed."""
        if self.session.wanted is None:
            from escl.store.browse import Wanted

            self.session.wanted = Wanted()
        return self.session.wanted

    def action_look_again(self) -> None:
        """Find the dialogues anew."""
        self.load()

    def action_step(self, by: int) -> None:
        """Show the next or an earlier dialogue."""
        self.query_one(DialogueList).cursor += by

    def action_search(self) -> None:
        """Type what to find."""
        search = self.query_one(Input)
        search.display = True
        self.add_class("reading-list")
        self.set_focus(search)

    def action_next_supporter(self) -> None:
        """List the dialogues of the next supporter, and after the last those of all."""
        self._want(supporter=_after(self.wanted.supporter, [None, *self._supporters]))

    def action_next_card_language(self) -> None:
        """List the dialogues of the next language, and after the last those of all."""
        from escl.core.dimension import Language

        self._want(language=_after(self.wanted.language, [None, *map(Language, self._languages)]))

    def action_next_dimension(self) -> None:
        """Let the listed label be of the next dimension, and after the last the mean."""
        self._want(dimension=_after(self.wanted.dimension, [None, *Dimension]))

    def action_next_below(self) -> None:
        """List the dialogues below the next label."""
        self._want(below=_after(self.wanted.below, list(_BELOW)))

    def action_next_doubt(self) -> None:
        """List the dialogues about which scorers disagree, then those of which the scorer was unsure, then all."""
        self._want(doubt=_after(self.wanted.doubt, [None, *self._doubts]))

    def action_troubled(self) -> None:
        """List the dialogues in which something went wrong, or all again."""
        self._want(troubled=not self.wanted.troubled)

    def action_beside(self) -> None:
        """Show what the next supporter made of the same card beside this, and after the last nothing."""
        reading, beside = self.query_one(Reading), self._looked.beside
        was_read = reading.pane.has_focus or self.has_class("-narrow")
        shown = None if beside is None else beside.dialogue.supporter
        self.session.beside = _after(shown, [None, *self._looked.others])
        if was_read:
            self.remove_class("reading-list")
        self._show_one_or_two()
        if was_read or not self.query_one("#list-side").display:
            reading.pane.focus()
        self.in_background(self._show_dialogue, group="dialogue")

    def _show_one_or_two(self) -> None:
        is_two = self.session.beside is not None
        self.set_class(is_two, "beside")
        self.query_one(Reading).take_two(is_two)

    def action_next_order(self) -> None:
        """Change the order."""
        self._want(order=_after(self.wanted.order, list(_ORDERS)))

    def action_clear(self) -> None:
        """List all dialogues."""
        from escl.store.browse import Wanted

        self.session.wanted = Wanted()
        search = self.query_one(Input)
        search.value = ""
        search.display = False
        self._find(0)

    def action_other_side(self) -> None:
        """Go to the dialogue, or back to the list."""
        if self.query_one(DialogueList).has_focus:
            self.remove_class("reading-list")
            self.query_one(Reading).pane.focus()
        else:
            self.add_class("reading-list")
            self.query_one(DialogueList).focus()

    def action_copy(self) -> None:
        """Copy the dialogue as text."""
        if text := self._looked.text:
            self.app.copy_to_clipboard(text)
            self.app.notify(self.words("dialogues.copied"), markup=False, timeout=2)

    def action_thoughts(self) -> None:
        """Show or hide what the speakers thought."""
        self._thoughts = not self._thoughts
        self.in_background(self._show_dialogue, group="dialogue")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search once the typing rests."""
        if event.value != self.wanted.text:
            self.session.wanted = msgspec.structs.replace(self.wanted, text=event.value)
            self._find(0, after_s=_TYPING_S)

    def on_input_submitted(self) -> None:
        """Go to what was found."""
        self.query_one(DialogueList).focus()

    def on_key(self, event: object) -> None:
        """Let Escape leave the search line first."""
        from textual.events import Key as KeyPressed

        search = self.query_one(Input)
        if isinstance(event, KeyPressed) and event.key == "escape" and search.has_focus:
            event.stop()
            event.prevent_default()
            search.display = bool(search.value)
            self.query_one(DialogueList).focus()

    def on_dialogue_list_page_needed(self, event: DialogueList.PageNeeded) -> None:
        """Fetch the rows that are seen."""
        self.start(partial(self._fetch, event.start), group="pages")

    def on_dialogue_list_moved(self, event: DialogueList.Moved) -> None:
        """Show the dialogue under the cursor."""
        self.session.at = event.at
        self.in_background(self._show_dialogue, group="dialogue")

    def on_dialogue_list_opened(self) -> None:
        """Read the dialogue."""
        self.action_other_side()

    def _want(self, **changes: object) -> None:
        self.session.wanted = msgspec.structs.replace(self.wanted, **changes)
        self._find(0)

    def _find(self, at: int, *, after_s: float = 0.0) -> None:
        async def find() -> None:
            await asyncio.sleep(after_s)
            wanted = self.wanted
            ids = await self._browse(lambda browser: browser.find(wanted))
            if wanted.text.split():
                await self._search(wanted.text, ids, at)
            else:
                self._take(ids, at)
                self._show_filters()
            self.in_background(self._show_dialogue, group="dialogue")

        self.in_background(find, group="find")

    async def _search(self, text: str, ids: array[int], at: int) -> None:
        """List those dialogues that hold the words of `text`, as they are found; newer work ends it between slices."""
        found = array("q")
        is_shown = False
        for start in range(0, len(ids), _SLICE):
            some = ids[start : start + _SLICE]
            self._show_filters(searched=(start, len(ids)))
            found.extend(await self._browse(partial(_holding, text=text, ids=some)))
            if is_shown:
                self.query_one(DialogueList).grow(len(found))
            elif len(found) > at:
                is_shown = True
                self._take(found, at)
            else:
                continue
            self.in_background(self._show_dialogue, group="dialogue")
        if not is_shown:
            self._take(found, at)
        self._show_filters()

    def _take(self, ids: array[int], at: int) -> None:
        self._ids = ids
        self.query_one(DialogueList).show(len(ids), at, supporters=self._supporters)

    async def _fetch(self, start: int) -> None:
        ids, dimension = self._ids, self.wanted.dimension
        if ids is None:
            return
        page = ids[start : start + PAGE]
        rows: list[Found] = await self._browse(lambda browser: browser.rows(page, dimension=dimension))
        if ids is self._ids:
            self.query_one(DialogueList).take(start, rows)

    async def _browse(self, query: Callable[[Browser], T]) -> T:
        def asked(database: Database) -> T:
            from escl.store.browse import Browser

            if self._browser is None:
                self._browser = Browser(database)
                self._supporters = self._browser.known("supporter")
                self._languages = self._browser.known("language")
                self._doubts = self._browser.doubts()
            return query(self._browser)

        return await self.ask(asked)

    async def _show_dialogue(self) -> None:
        ids, at = self._ids, self.query_one(DialogueList).cursor
        self._looked = Looked()
        if ids:
            wanted = partial(look, dialogue_id=ids[at], beside=self.session.beside)
            self._looked = await self._browse(wanted)
        place = self.words("dialogues.count", at=f"{at + 1:,}", n=f"{len(ids or ()):,}")
        await self.query_one(Reading).show(
            self._looked, place=place, chosen=chosen(self.wanted, self.words), thoughts=self._thoughts
        )

    def _show_filters(self, *, searched: tuple[int, int] | None = None) -> None:
        self.query_one("#filters", Static).update(filters(self.wanted, self.words, searched=searched))


def _holding(browser: Browser, *, text: str, ids: array[int]) -> list[int]:
    return browser.holding(text, ids)


def _after(chosen: V, choices: list[V]) -> V:
    """Return the choice that comes after `chosen`, in a circle."""
    at = choices.index(chosen) if chosen in choices else -1
    return choices[(at + 1) % len(choices)]
