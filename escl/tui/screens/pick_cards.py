"""The cards that a new run would play: listed, read, and taken from other files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from escl.tui.keys import Key, bindings
from escl.tui.plain import fitted, line, plain
from escl.tui.widgets.bars import KeyBar
from escl.tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from escl.core.card import RoleCard
    from escl.tui.strings import Strings

_KEYS = (
    Key(keys="j,down", action="move(1)", name="key.move", shown="↑↓"),
    Key(keys="a,slash", action="file", name="key.card_file"),
    Key(keys="escape,q", action="done", name="key.done", shown="esc"),
)
_MOST = 2000
"""Cards that are listed."""

Play = Callable[[tuple[Path, ...]], "tuple[RoleCard, ...]"]
"""Returns the cards that would be played from these files, bundled where none is named; raises EsclError."""


class CardsScreen(ModalScreen[tuple[Path, ...]]):
    """Ends with the files that the cards come from; none is the bundled cards."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(_KEYS),
        *bindings((Key(keys="k,up", action="move(-1)", name="key.move"),)),
    ]

    def __init__(self, words: Strings, files: tuple[Path, ...], play: Play) -> None:
        super().__init__()
        self._words = words
        self._files = files
        self._play = play
        self._cards: tuple[RoleCard, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay the list and the card out."""
        words = self._words
        with Vertical(classes="dialog cards"):
            yield Static(markup=False, id="cards-title")
            with Horizontal():
                yield OptionList(id="cards", markup=False)
                with VerticalScroll(id="card-side", can_focus=False):
                    yield Static(markup=False, id="preview")
            yield LineInput(
                value=str(self._files[0]) if self._files else "", placeholder=words("cards.file"), id="file"
            )
            yield Static(markup=False, id="trouble")
            yield KeyBar(words, _KEYS)

    def on_mount(self) -> None:
        """Begin to read the cards."""
        self.query_one("#trouble").display = False
        self.query_one(OptionList).focus()
        self._load(self._files)

    def action_move(self, by: int) -> None:
        """Move in the list."""
        cards = self.query_one(OptionList)
        if cards.has_focus and self._cards:
            cards.highlighted = max(0, min(len(self._cards[:_MOST]) - 1, (cards.highlighted or 0) + by))
        elif by < 0:
            cards.focus()

    def action_file(self) -> None:
        """Write which file the cards come from."""
        self.query_one(Input).focus()

    def action_done(self) -> None:
        """Take the files that are shown; from the line back to the list first."""
        if self.query_one(Input).has_focus:
            self.query_one(OptionList).focus()
            return
        self.dismiss(self._files)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Read the cards of the file that was written."""
        name = event.value.strip()
        self._load((Path(name).expanduser(),) if name else ())

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the card under the cursor."""
        self._show_card(self._cards[event.option_index])

    def _load(self, files: tuple[Path, ...]) -> None:
        self.run_worker(self._read(files), exclusive=True, exit_on_error=False)

    async def _read(self, files: tuple[Path, ...]) -> None:
        from escl.errors import EsclError

        trouble = self.query_one("#trouble", Static)
        try:
            cards = await asyncio.to_thread(self._play, files)
        except (EsclError, OSError, ValueError) as error:
            trouble.update(Content.assemble(("× ", "bold $error"), plain(_said(error))))
            trouble.display = True
            return
        trouble.display = False
        self._files, self._cards = files, cards
        where = ", ".join(line(str(one)) for one in files) or self._words("cards.bundled")
        title = self._words("cards.title", n=len(cards), where=where)
        self.query_one("#cards-title", Static).update(plain(line(title), "bold $primary"))
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(self._row(card)) for card in cards[:_MOST]])
        listed.focus()
        if cards:
            listed.highlighted = 0
        else:
            self.query_one("#preview", Static).update(plain(self._words("cards.none"), "$muted"))

    def _row(self, card: RoleCard) -> Content:
        return Content.assemble((fitted(line(card.id), 22), ""), f" {card.language.value}")

    def _show_card(self, card: RoleCard) -> None:
        words = self._words
        about = [words(f"language.{card.language.value}"), words(f"category.{card.category.value}")]
        about += [line(one) for one in (card.subcategory, card.source, card.crisis) if one]
        content = Content.assemble(
            plain(line(card.id), "bold"), "\n", plain(" · ".join(about), "$muted"), "\n\n", plain(card.text)
        )
        self.query_one("#preview", Static).update(content)


def _said(error: Exception) -> str:
    from escl.errors import EsclError

    if not isinstance(error, EsclError):
        return str(error)
    return f"{error.message}\n→ {error.hint}" if error.hint else error.message
