"""What is read of a dialogue: its words, labels and card, and beside it another supporter's on the same card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from escl.core.printable import printable
from escl.tui.plain import line
from escl.tui.widgets.facts import card, labels, mean_label
from escl.tui.widgets.side_by_side import SideBySide
from escl.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from escl.store.browse import Browser, Whole
    from escl.tui.strings import Strings


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What there is to read.

    Attributes:
        whole: The dialogue; None where there is none.
        beside: Of another supporter on its card; None where none is wanted or there is none.
        others: The other supporters with a dialogue on the card and repeat.
    """

    whole: Whole | None = None
    beside: Whole | None = None
    others: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is shown as harmless text."""
        return "\n\n\n".join(_as_text(one) for one in (self.whole, self.beside) if one is not None)


def look(browser: Browser, dialogue_id: int, *, beside: str | None) -> Looked:
    """Return a dialogue, and beside it that of the supporter `beside`, or of the first other where it is their own."""
    on_card = {row.supporter: row.id for row in browser.supporters_on(dialogue_id) if row.id != dialogue_id}
    other = None
    if beside is not None and on_card:
        other = browser.whole(on_card.get(beside, next(iter(on_card.values()))))
    return Looked(whole=browser.whole(dialogue_id), beside=other, others=tuple(on_card))


class Reading(Horizontal):
    """One dialogue or two, with the facts at the right where there is room."""

    def __init__(self, words: Strings) -> None:
        super().__init__()
        self._words = words
        self._is_two = False

    def compose(self) -> ComposeResult:
        """Lay the sides out."""
        which = Static(Content.styled(self._words("dialogues.looking"), "$muted"), markup=False, id="which")
        yield Vertical(which, Transcript(self._words), SideBySide(self._words), id="chat-side")
        facts = VerticalScroll(Static(markup=False, id="labels"), Static(markup=False, id="card"), id="facts-side")
        facts.can_focus = False
        yield facts

    @property
    def pane(self) -> Widget:
        """What has the focus and scrolls."""
        return self.query_one(SideBySide).rows if self._is_two else self.query_one(Transcript)

    def take_two(self, is_two: bool) -> None:
        """Make room for two dialogues, or for one."""
        self._is_two = is_two
        self.query_one(SideBySide).display = is_two
        self.query_one(Transcript).display = not is_two

    async def show(self, looked: Looked, *, place: str, chosen: str, thoughts: bool) -> None:
        """Show what there is to read; `place` says where in the list it is, and `chosen` what is listed, if not all."""
        whole, wide = looked.whole, self.screen.has_class("-wide")
        with self.app.batch_update():
            which = self._which(whole, place)
            # Where the list stands beside it, that says so.
            if chosen and self.screen.has_class("-narrow"):
                which = Content.assemble(which, "\n", (chosen, "$muted"))
            self.query_one("#which", Static).update(which)
            self.query_one("#labels", Static).update(self._labels(looked, wide=wide))
            self.query_one("#card", Static).update(card(whole, self._words))
            if not self._is_two:
                await self.query_one(Transcript).show(None if whole is None else whole.turns, thoughts=thoughts)
                return
            turns = tuple([] if one is None else one.turns for one in (whole, looked.beside))
            heads = (Content(), Content()) if whole is None else (self._head(whole), self._head(looked.beside))
            await self.query_one(SideBySide).show(heads, (turns[0], turns[1]), thoughts=thoughts)

    def _which(self, whole: Whole | None, place: str) -> Content:
        if whole is None:
            return Content.styled(self._words("dialogues.none"), "$muted")
        one = whole.dialogue
        repeat = f" · {self._words('dialogues.repeat', n=one.repeat + 1)}" if one.repeat else ""
        state = "" if one.state == "complete" else f" · {self._words('dialogue.' + one.state)}"
        supporter = "" if self._is_two else f"{line(one.supporter, 40)} · "
        return Content.assemble(
            (f"{place}   ", "$muted"), (supporter, "bold $secondary"), f"{line(one.card_id, 30)}{repeat}{state}"
        )

    def _head(self, whole: Whole | None) -> Content:
        if whole is None:
            return Content.styled(self._words("dialogues.alone"), "$muted")
        mean = mean_label(whole)
        label = "" if mean is None else f"   {self._words('dialogues.mean')} {mean:.1f}"
        return Content.assemble((line(whole.dialogue.supporter, 40), "bold $secondary"), (label, "$muted"))

    def _labels(self, looked: Looked, *, wide: bool) -> Content:
        if looked.beside is None or looked.whole is None:
            return labels(looked.whole, self._words, wide=wide)
        return Content("\n\n").join(
            Content.assemble(
                (line(one.dialogue.supporter, 30), "bold $secondary"), "\n", labels(one, self._words, wide=wide)
            )
            for one in (looked.whole, looked.beside)
        )


def _as_text(whole: Whole) -> str:
    one = whole.dialogue
    said = [f"{row.turn.speaker.value}: {printable(row.turn.text)}" for row in whole.turns]
    return "\n\n".join([f"{line(one.card_id)} · {line(one.supporter)}", *said])
