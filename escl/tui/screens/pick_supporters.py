"""Who is tested: what is here to be ticked, and a line for everything else that `escl run` takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from escl.tui.keys import Key, bindings
from escl.tui.plain import fitted, line, plain
from escl.tui.widgets.bars import KeyBar
from escl.tui.widgets.line_input import LineInput
from escl.tui.widgets.meters import size

if TYPE_CHECKING:
    from escl.tui.offers import Offer
    from escl.tui.strings import Strings

_KEYS = (
    Key(keys="space,enter", action="tick", name="key.toggle", shown="space"),
    Key(keys="a,slash", action="add", name="key.add"),
    Key(keys="escape,q", action="done", name="key.done", shown="esc"),
)
_NAME = 34


class SupportersScreen(ModalScreen[tuple[str, ...]]):
    """Ends with the supporters that are ticked, in the order in which they were."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings((_KEYS[0], _KEYS[1], _KEYS[2])),
        *bindings(
            (
                Key(keys="j,down", action="move(1)", name="key.move"),
                Key(keys="k,up", action="move(-1)", name="key.move"),
                Key(keys="tab", action="switch", name="key.move"),
            )
        ),
    ]

    def __init__(self, words: Strings, offers: tuple[Offer, ...], chosen: tuple[str, ...]) -> None:
        super().__init__()
        self._words = words
        self._offers = list(offers)
        self._chosen = list(chosen)

    def compose(self) -> ComposeResult:
        """Lay the list out."""
        words = self._words
        known = {offer.reference for offer in self._offers}
        self._offers += [_typed(one) for one in self._chosen if one not in known]
        with Vertical(classes="dialog wide"):
            yield Static(Content.styled(words("pick.title"), "bold $primary"), markup=False)
            yield OptionList(*(Option(self._prompt(offer)) for offer in self._offers), id="offers", markup=False)
            yield Static(plain(words("pick.other"), "$muted"), markup=False, classes="finding")
            yield LineInput(placeholder=words("pick.example"), id="other")
            yield Static(markup=False, id="trouble")
            yield KeyBar(words, _KEYS)

    def on_mount(self) -> None:
        """Begin where there is something to tick."""
        self.query_one("#trouble").display = False
        self.query_one(OptionList if self._offers else Input).focus()
        if self._offers:
            self.query_one(OptionList).highlighted = 0

    def action_move(self, by: int) -> None:
        """Move in the list, and at its end to the line below."""
        offers = self.query_one(OptionList)
        if not offers.has_focus:
            if by < 0:
                offers.focus()
            return
        at = (offers.highlighted or 0) + by
        if at >= len(self._offers):
            self.query_one(Input).focus()
        else:
            offers.highlighted = max(0, at)

    def action_switch(self) -> None:
        """Change between the list and the line."""
        (self.query_one(Input) if self.query_one(OptionList).has_focus else self.query_one(OptionList)).focus()

    def action_add(self) -> None:
        """Write what is not in the list."""
        self.query_one(Input).focus()

    def action_tick(self) -> None:
        """Tick or untick what is under the cursor."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self._toggle(at)

    def action_done(self) -> None:
        """Take what is ticked; from the line back to the list first."""
        if self.query_one(Input).has_focus and self._offers:
            self.query_one(OptionList).focus()
            return
        self.dismiss(tuple(self._chosen))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tick or untick what was clicked."""
        self._toggle(event.option_index)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look whether what was written can be tested."""
        reference = event.value.strip()
        if reference:
            self.run_worker(self._add(reference), exclusive=True, exit_on_error=False)

    async def _add(self, reference: str) -> None:
        from escl.errors import EsclError
        from escl.tui.offers import checked

        trouble = self.query_one("#trouble", Static)
        try:
            offer = await asyncio.to_thread(checked, reference)
        except (EsclError, OSError, ValueError) as error:
            trouble.update(self._trouble(error))
            trouble.display = True
            return
        trouble.display = False
        self.query_one(Input).value = ""
        known = [one.reference for one in self._offers]
        if reference not in known:
            self._offers.append(offer)
            self.query_one(OptionList).add_option(Option(self._prompt(offer)))
            known.append(reference)
        if reference not in self._chosen:
            self._toggle(known.index(reference))

    def _toggle(self, at: int) -> None:
        reference = self._offers[at].reference
        if reference in self._chosen:
            self._chosen.remove(reference)
        else:
            self._chosen.append(reference)
        self.query_one(OptionList).replace_option_prompt_at_index(at, self._prompt(self._offers[at]))

    def _prompt(self, offer: Offer) -> Content:
        is_on = offer.reference in self._chosen
        detail = self._words(f"pick.{offer.kind}")
        if offer.size_bytes is not None:
            detail = f"{fitted(detail, max(10, cell_len(detail)))} {size(offer.size_bytes):>9}"
        return Content.assemble(
            ("[x] " if is_on else "[ ] ", "bold"),
            (fitted(line(offer.reference), _NAME), "bold" if is_on else ""),
            f" {detail}",
        )

    def _trouble(self, error: Exception) -> Content:
        from escl.errors import EsclError

        said = error.message if isinstance(error, EsclError) else str(error)
        hint = error.hint if isinstance(error, EsclError) else None
        parts = [Content.styled("× ", "bold $error"), plain(said)]
        if hint:
            parts += [Content("\n→ "), plain(hint)]
        return Content.assemble(*parts)


def _typed(reference: str) -> Offer:
    from escl.tui.offers import Offer

    return Offer(reference=reference, kind="outside")
