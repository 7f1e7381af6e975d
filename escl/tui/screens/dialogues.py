"""Dialogues: a list that filters and searches, and the chat, card and labels of the one under the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from escl.core.dimension import Dimension
from escl.core.printable import printable
from escl.tui.keys import Key, bindings
from escl.tui.plain import line
from escl.tui.screens.run_screen import RunScreen, Session
from escl.tui.widgets.dialogue_list import PAGE, DialogueList
from escl.tui.widgets.facts import card, labels
from escl.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from array import array

    from escl.store.browse import Browser, Found, Wanted, Whole
    from escl.store.database import Database
    from escl.tui.strings import Strings

T = TypeVar("T")
V = TypeVar("V")

_BELOW = (None, 3.0, 2.0, 1.0)
_ORDERS = ("planned", "lowest", "highest")
_TYPING_S = 0.2


class DialoguesScreen(RunScreen):
    """One dialogue beside the list it is from; on a narrow terminal one of the two at a time."""

    VIEW = "dialogues"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="n", action="step(1)", name="key.next"),
        Key(keys="p,N", action="step(-1)", name="key.previous"),
        Key(keys="slash", action="search", name="key.search", shown="/"),
        Key(keys="s", action="next_supporter", name="key.supporter"),
        Key(keys="L", action="next_card_language", name="key.card_language", in_bar=False),
        Key(keys="d", action="next_dimension", name="key.dimension", in_bar=False),
        Key(keys="b", action="next_below", name="key.below", in_bar=False),
        Key(keys="f", action="troubled", name="key.troubled", in_bar=False),
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
        self._whole: Whole | None = None
        self._thoughts = False

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        search = Input(placeholder=self.words("dialogues.search"), id="search")
        search.display = False
        listed = Vertical(Static(markup=False, id="filters"), search, DialogueList(), id="list-side")
        reading = Vertical(Static(markup=False, id="which"), Transcript(self.words), id="chat-side")
        facts = VerticalScroll(Static(markup=False, id="labels"), Static(markup=False, id="card"), id="facts-side")
        facts.can_focus = False
        yield from self.bars(Horizontal(listed, reading, facts), title=self.session.run.path.name, view=self.VIEW)

    def on_mount(self) -> None:
        """Begin to look, in the list where that is seen."""
        super().on_mount()
        self.call_after_refresh(self._focus_what_is_seen)

    def _focus_what_is_seen(self) -> None:
        seen = self.query_one(DialogueList) if self.query_one("#list-side").display else self.query_one(Transcript)
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
        search.focus()

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

    def action_troubled(self) -> None:
        """List the dialogues in which something went wrong, or all again."""
        self._want(troubled=not self.wanted.troubled)

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
            self.query_one(Transcript).focus()
        else:
            self.add_class("reading-list")
            self.query_one(DialogueList).focus()

    def action_copy(self) -> None:
        """Copy the dialogue as text."""
        if self._whole is not None:
            said = [f"{row.turn.speaker.value}: {printable(row.turn.text)}" for row in self._whole.turns]
            self.app.copy_to_clipboard("\n\n".join(said))
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
            self._ids = ids
            self.query_one(DialogueList).show(len(ids), at)
            self._show_filters()
            await self._show_dialogue()

        self.query_one("#which", Static).update(Content.styled(self.words("dialogues.looking"), "$muted"))
        self.in_background(find, group="find")

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
            return query(self._browser)

        return await self.ask(asked)

    async def _show_dialogue(self) -> None:
        ids, at = self._ids, self.query_one(DialogueList).cursor
        which = self.query_one("#which", Static)
        if not ids:
            self._whole = None
            which.update(Content.styled(self.words("dialogues.none"), "$muted"))
        else:
            dialogue_id = ids[at]
            self._whole = await self._browse(lambda browser: browser.whole(dialogue_id))
            which.update(self._which(at, len(ids)))
        whole = self._whole
        self.query_one("#labels", Static).update(labels(whole, self.words, wide=self.has_class("-wide")))
        self.query_one("#card", Static).update(card(whole, self.words))
        await self.query_one(Transcript).show([] if whole is None else whole.turns, thoughts=self._thoughts)

    def _which(self, at: int, n: int) -> Content:
        whole = self._whole
        if whole is None:
            return Content("")
        one = whole.dialogue
        repeat = f" · {self.words('dialogues.repeat', n=one.repeat + 1)}" if one.repeat else ""
        state = "" if one.state == "complete" else f" · {self.words('dialogue.' + one.state)}"
        return Content.assemble(
            (f"{self.words('dialogues.count', at=f'{at + 1:,}', n=f'{n:,}')}   ", "$muted"),
            (line(one.supporter, 40), "bold $secondary"),
            f" · {line(one.card_id, 30)}{repeat}{state}",
        )

    def _show_filters(self) -> None:
        wanted, words = self.wanted, self.words
        dimension = words("dialogues.mean" if wanted.dimension is None else f"dimension.{wanted.dimension.value}")
        shown = [line(wanted.supporter)] if wanted.supporter is not None else []
        shown += [words(f"language.{wanted.language.value}")] if wanted.language is not None else []
        shown += [words(f"category.{wanted.category}")] if wanted.category is not None else []
        if wanted.below is not None:
            shown.append(words("dialogues.below", dimension=dimension, label=f"{wanted.below:g}"))
        elif wanted.dimension is not None:
            shown.append(dimension)
        shown += [words("dialogues.troubled")] if wanted.troubled else []
        shown += [f"“{line(wanted.text)}”"] if wanted.text else []
        chosen = " · ".join(shown) or words("dialogues.all")
        order = Content.styled(words(f"dialogues.order.{wanted.order}"), "$muted")
        self.query_one("#filters", Static).update(Content.assemble((chosen, "bold"), "\n", order))


def _after(chosen: V, choices: list[V]) -> V:
    """Return the choice that comes after `chosen`, in a circle."""
    at = choices.index(chosen) if chosen in choices else -1
    return choices[(at + 1) % len(choices)]
