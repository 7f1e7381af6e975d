"""A new run: who is tested, on which cards, how; what that will take is worked out while it is being chosen."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Input, Static

from escl.errors import EsclError, ManifestError
from escl.tui.choices import CHOICES, options_of
from escl.tui.draft import Draft, Scoring, shown, suggested
from escl.tui.keys import Key, bindings
from escl.tui.plain import fitted, line, plain
from escl.tui.screens.run_screen import EsclScreen
from escl.tui.widgets.fields import NAME_WIDTH, Choice, Opener
from escl.tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from escl.core.card import RoleCard
    from escl.memory.plan import Plan
    from escl.tui.offers import Offers, Tally
    from escl.tui.strings import Strings

_SETTLES_AFTER_S = 0.25
_WIDE_FROM = 110
_CARD_FIELDS = ("crisis", "language", "category", "source", "unseen", "preset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a draft comes to.

    Attributes:
        usual: The seeker and the scorer where none is named.
        tally: Its cards; None where they cannot be read.
        plan: None where there is none; `trouble` says why, and what to do.
        is_model_absent: Whether that is a model that is not here.
    """

    usual: tuple[str, str]
    tally: Tally | None = None
    plan: Plan | None = None
    trouble: tuple[str, str | None] | None = None
    is_model_absent: bool = False


class NewRunScreen(EsclScreen):
    """A form of one line for each choice, with the plan and the command that it comes to."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="nothing", name="key.choose", shown="enter"),
        Key(keys="left,right", action="nothing", name="key.change", shown="←→"),
        Key(keys="s", action="begin", name="key.begin"),
        Key(keys="y", action="copy_command", name="key.copy_command"),
        Key(keys="j,down", action="move(1)", name="key.move", shown="↑↓ jk", in_bar=False),
        Key(keys="f5", action="refresh_plan", name="key.refresh", in_bar=False),
        Key(keys="escape,q", action="leave", name="key.back", shown="esc"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(KEYS[2:]),
        *bindings((Key(keys="k,up", action="move(-1)", name="key.move"),)),
    ]

    def __init__(self, words: Strings, draft: Draft | None = None) -> None:
        super().__init__(words)
        self.draft = draft or Draft()
        self._offers: Offers | None = None
        self._outlook: Outlook | None = None
        self._cards: dict[tuple[Path, ...], list[RoleCard]] = {}

    def anew(self, words: Strings) -> NewRunScreen:
        """Return the form in other words, with what was chosen."""
        return NewRunScreen(words, self.draft)

    @property
    def out(self) -> str:
        """The file that the run will be kept in."""
        return self.draft.out.strip() or suggested(self.draft, Path.cwd())

    def compose(self) -> ComposeResult:
        """Lay the form out."""
        words, options = self.words, options_of(self.words, self.draft)
        rows = {
            field: Choice(field, words(name), options[field], getattr(self.draft, field))
            for field, name in CHOICES.items()
        }
        form = VerticalScroll(
            Opener("supporters", words("new.supporters")),
            Opener("cards", words("new.cards")),
            *(rows[field] for field in _CARD_FIELDS),
            *(row for field, row in rows.items() if field not in _CARD_FIELDS),
            Horizontal(
                Static(Content("  " + fitted(words("new.out"), NAME_WIDTH + 2)), markup=False, id="out-name"),
                LineInput(self.draft.out, id="out"),
                id="out-row",
            ),
            Opener("begin", words("new.start")),
            can_focus=False,
            id="form",
        )
        plan = VerticalScroll(
            Static(markup=False, id="plan"), Static(markup=False, id="command"), can_focus=False, id="plan-side"
        )
        yield from self.bars(Vertical(form, plan, id="new-run"), title=words("new.title"))

    def on_mount(self) -> None:
        """Begin to look what is here."""
        self.query_one("#row-supporters").focus()
        self.in_background(self._look_around, group="offers")
        self._changed()

    def on_resize(self, event: Resize) -> None:
        """Show of the plan what there is room for."""
        super().on_resize(event)
        self.call_after_refresh(self._show_outlook)

    def load(self) -> None:
        """Look at everything anew."""
        self._cards.clear()
        self.in_background(self._look_around, group="offers")
        self._changed()

    def action_nothing(self) -> None:
        """Do nothing here: the rows have these keys themselves."""

    def action_refresh_plan(self) -> None:
        """Look at the files and the machine again."""
        self.load()

    def action_leave(self) -> None:
        """Go back Home; what was chosen is forgotten."""
        self.app.pop_screen()

    def action_move(self, by: int) -> None:
        """Go to another row."""
        if by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_copy_command(self) -> None:
        """Copy the command line, once it names somebody."""
        if not self.draft.supporters:
            self.app.notify(self.words("new.choose_first"), timeout=3, markup=False)
            return
        self.app.copy_to_clipboard(shown(self.draft.words(self.out)))
        self.app.notify(self.words("dialogues.copied"), timeout=2, markup=False)

    def action_begin(self) -> None:
        """Start the run, and watch it."""
        if not self.draft.supporters:
            self.app.notify(self.words("new.choose_first"), timeout=3, markup=False)
            self.query_one("#row-supporters").focus()
            return
        if (trouble := self._why_not()) is not None:
            self.say_failed(*trouble)
            return
        self._start(Path(self.out).absolute())

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Take another choice."""
        self._take(event.field, event.value)

    def on_opener_opened(self, event: Opener.Opened) -> None:
        """Show what is chosen on a screen of its own, or begin; once, however often it is pressed."""
        if not self.is_active:
            return
        if event.field == "begin":
            self.action_begin()
        elif event.field == "cards":
            from escl.tui.screens.pick_cards import CardsScreen

            cards = CardsScreen(self.words, self.draft.files, self._played)
            self.app.push_screen(cards, lambda files: self._take("files", files or ()))
        else:
            from escl.tui.screens.pick_supporters import SupportersScreen

            offers = () if self._offers is None else self._offers.supporters
            picking = SupportersScreen(self.words, offers, self.draft.supporters)
            self.app.push_screen(picking, lambda chosen: self._take("supporters", chosen or ()))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Take another name for the file."""
        if event.value != self.draft.out:
            self.draft = replace(self.draft, out=event.value)
            self._show_outlook()

    def on_input_submitted(self) -> None:
        """Go on to the next row."""
        self.focus_next()

    def _take(self, field: str, value: Hashable) -> None:
        if getattr(self.draft, field) == value:
            return
        self.draft = replace(self.draft, **{field: value})  # type: ignore[arg-type]
        self._changed()

    def _changed(self) -> None:
        """Say what is known at once, and work the rest out when the choice has settled."""
        draft = self.draft
        self.query_one("#row-supporters", Opener).say(
            ", ".join(line(one) for one in draft.supporters) or self.words("new.nobody_yet"),
            self.words("new.chosen", n=len(draft.supporters)) if len(draft.supporters) > 1 else "",
        )
        self.query_one("#out", Input).placeholder = self.out
        self._outlook = None
        self._show_outlook()
        self.in_background(self._work_out, group="plan")

    async def _look_around(self) -> None:
        from escl.tui.offers import offers_in

        self._offers = await asyncio.to_thread(offers_in, Path.cwd())
        self._offer()

    async def _work_out(self) -> None:
        draft = self.draft
        await asyncio.sleep(_SETTLES_AFTER_S)
        outlook = await asyncio.to_thread(self._outlook_of, draft)
        if draft == self.draft or draft == replace(self.draft, out=draft.out):
            self._outlook = outlook
            self._offer()
            self._show_outlook()

    def _outlook_of(self, draft: Draft) -> Outlook:
        """Return what a draft comes to; in a thread of its own."""
        from escl.core.card_choice import read_cards
        from escl.evaluation.prospect import planned, usual_models
        from escl.memory.devices import budget_of, probe_hardware
        from escl.tui.offers import tally

        counted, usual = None, usual_models(draft.supporters)
        try:
            if draft.files not in self._cards:
                self._cards[draft.files] = read_cards(draft.files)
            counted = tally(self._cards[draft.files], draft)
            if not draft.supporters:
                return Outlook(usual=usual, tally=counted)
            hardware = probe_hardware()
            plan = planned(draft.prospect(), hardware=hardware, budget=budget_of(hardware, memory=None, device=None))
            plan.best()
        except EsclError as error:
            absent = isinstance(error, ManifestError)
            return Outlook(usual=usual, tally=counted, trouble=(error.message, error.hint), is_model_absent=absent)
        except (OSError, ValueError) as error:
            # A name that no file can have.
            return Outlook(usual=usual, tally=counted, trouble=(str(error), None))
        return Outlook(usual=usual, tally=counted, plan=plan)

    def _played(self, files: tuple[Path, ...]) -> tuple[RoleCard, ...]:
        """Return the cards that would be played from other files; in a thread of its own."""
        from escl.core.card_choice import read_cards
        from escl.tui.offers import tally

        return tally(read_cards(files), replace(self.draft, files=files)).played

    def _offer(self) -> None:
        tally = None if self._outlook is None else self._outlook.tally
        usual = ("", "") if self._outlook is None or not self.draft.supporters else self._outlook.usual
        options = options_of(self.words, self.draft, tally, self._offers, usual=usual)
        for row in self.query(Choice):
            row.offer(options[row.field])
        # Few have dimensions of their own; to the others the row would say nothing.
        self.query_one("#row-rubrics").display = len(options["rubrics"]) > 1

    def _show_outlook(self) -> None:
        words, outlook = self.words, self._outlook
        files = ", ".join(line(str(one)) for one in self.draft.files) or words("cards.bundled")
        tally = None if outlook is None else outlook.tally
        note = "" if tally is None else words("new.of", n=len(tally.played), all=tally.n_matching)
        self.query_one("#row-cards", Opener).say(files, note)
        self.query_one("#plan", Static).update(self._plan_shown())
        command = shown(self.draft.words(self.out)) if self.draft.supporters else ""
        self.query_one("#command", Static).update(plain(command))
        self.query_one("#row-begin", Opener).say(words("new.ready" if self._why_not() is None else "new.not_yet"))

    def _plan_shown(self) -> Content:
        outlook, words = self._outlook, self.words
        if not self.draft.supporters:
            return plain(words("new.choose_first"), "$muted")
        if outlook is None:
            return plain(words("new.working_out"), "$muted")
        if outlook.trouble is not None:
            return _trouble_shown(*self._way_on(*outlook.trouble))
        if outlook.plan is None or outlook.tally is None:
            return Content("")
        from escl.tui.widgets.plan_lines import plan_lines

        in_full = self.size.width >= _WIDE_FROM
        return plan_lines(words, outlook.plan, outlook.tally, supporters=len(self.draft.supporters), in_full=in_full)

    def _why_not(self) -> tuple[str, str | None] | None:
        """Return why the run cannot begin, and what to do; None when it can."""
        if not self.draft.supporters:
            return self.words("new.choose_first"), None
        if self._outlook is not None and self._outlook.trouble is not None:
            return self._way_on(*self._outlook.trouble)
        try:
            is_there = Path(self.out).exists()
        except (OSError, ValueError) as error:
            return f"{self.out}: {error}", None
        return (self.words("new.there_already", run=line(self.out)), self.words("new.other_name")) if is_there else None

    def _way_on(self, message: str, hint: str | None) -> tuple[str, str | None]:
        """Return what is wrong with what to do about it here: of a usual model that is absent, which rows to change."""
        offers, outlook, draft = self._offers, self._outlook, self.draft
        if offers is None or outlook is None or not outlook.is_model_absent:
            return message, hint
        is_absent = {
            "new.seeker": draft.seeker is None and outlook.usual[0] not in offers.seekers,
            "new.scorer": draft.scoring == Scoring() and outlook.usual[1] not in offers.scorers,
        }
        rows = [self.words(name) for name, absent in is_absent.items() if absent]
        return message, self.words("new.other_model", rows=" / ".join(rows)) if rows else hint

    def _start(self, path: Path) -> None:
        from escl.tui.app import EsclApp
        from escl.tui.processes import start

        try:
            started = start(path, self.draft.words(self.out), folder=Path.cwd())
        except (OSError, ValueError) as error:
            self.say_failed(str(error), None)
            return
        assert isinstance(self.app, EsclApp)
        self.app.pop_screen()
        self.app.open_run(path, view="live", started=started)


def _trouble_shown(message: str, hint: str | None) -> Content:
    parts = [Content.styled("× ", "bold $error"), plain(message)]
    if hint:
        parts += [Content("\n→ "), plain(hint).stylize("$primary")]
    return Content.assemble(*parts)
