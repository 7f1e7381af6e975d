"""Where people begin to rate: who they are, what there is to rate, how far they are, and where their answers go."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key as KeyPressed
from textual.widgets import Input, Static

from escl.core.dimension import Dimension
from escl.errors import UsageError
from escl.tui.keys import Key, bindings
from escl.tui.plain import fitted, line
from escl.tui.screens.run_screen import RunScreen, Session
from escl.tui.widgets.meters import meter

if TYPE_CHECKING:
    from escl.evaluation.rating import Pair, Unrated
    from escl.evaluation.rating_desk import Desk
    from escl.store.database import Database
    from escl.tui.strings import Strings

_NAME, _ABOUT, _METER = 12, 30, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a rater can be asked about, in their order, and how much of it they answered."""

    dialogues: list[Unrated]
    pairs: list[Pair]
    n_labels: int
    n_preferences: int

    def progress(self, is_pairs: bool) -> tuple[int, int, int]:
        """Return how many dialogues or pairs there are, and how many of how many answers were given."""
        if is_pairs:
            return len(self.pairs), self.n_preferences, len(self.pairs)
        return len(self.dialogues), self.n_labels, len(self.dialogues) * len(Dimension)


class NameInput(Input):
    """A line for a name; a digit at its beginning goes on to the screen, where it shows another view."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Tell which keys are for this line."""
        return not self._is_for_a_view(character) and super().check_consume_key(key, character)

    def _is_for_a_view(self, character: str | None) -> bool:
        return not self.value and character is not None and character in "0123456789"

    async def _on_key(self, event: KeyPressed) -> None:
        if self._is_for_a_view(event.character):
            event.prevent_default()


class RateScreen(RunScreen):
    """Labels or preferences, each with how far it is; Enter begins or goes on."""

    VIEW = "rate"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="begin", name="key.begin"),
        Key(keys="down,j", action="choose(True)", name="key.pairs", shown="↓ j", in_bar=False),
        Key(keys="up,k", action="choose(False)", name="key.labels", shown="↑ k", in_bar=False),
        Key(keys="n", action="another_name", name="key.rater"),
        Key(keys="r", action="look_again", name="key.refresh", in_bar=False),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def __init__(self, words: Strings, session: Session) -> None:
        super().__init__(words, session)
        self._asked: Asked | None = None

    def compose(self) -> ComposeResult:
        """Lay the page out."""
        name = NameInput(placeholder=self.words("rate.name_hint"), max_length=64, id="rater")
        page = Vertical(
            Static(Content.styled(self.words("rate.title"), "bold $primary"), markup=False, classes="heading"),
            Static(self.words("rate.intro"), markup=False, id="intro"),
            Static(markup=False, id="who"),
            name,
            Static(markup=False, id="what"),
            Static(markup=False, id="where"),
            classes="page",
        )
        yield from self.bars(page, title=self.session.run.path.name, view=self.VIEW)

    def load(self) -> None:
        """Ask for the name, or count what is left for whom it is."""
        rater = self.session.rating.rater
        name = self.query_one(NameInput)
        name.display = rater is None
        who = Content(self.words("rate.name"))
        if rater is None:
            self._show_who(who)
            for part in ("#what", "#where"):
                self.query_one(part, Static).update("")
            self.set_focus(name)
            return
        self.set_focus(None)
        self._show_who(Content.assemble(who, "  ", (rater, "bold")))
        self.in_background(self._count, group="count")

    def action_look_again(self) -> None:
        """Count anew."""
        self.load()

    def action_choose(self, is_pairs: bool) -> None:
        """Take labels or pairs."""
        self.session.rating.is_pairs = is_pairs
        self._show_what()

    def action_another_name(self) -> None:
        """Ask who rates."""
        self.session.rating.rater = None
        self.query_one(NameInput).value = ""
        self.load()

    def action_begin(self) -> None:
        """Begin to rate, or go on."""
        if self._asked is not None:
            self.in_background(self._begin, group="begin")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the name."""
        from escl.core.strict import identifier

        try:
            self.session.rating.rater = identifier(event.value.strip())
        except ValueError:
            self._show_who(Content.styled(self.words("rate.bad_name"), "bold $warning"))
        else:
            self.load()

    def _after_failure(self, again: bool | None) -> None:
        # A file that holds something else is another name's, and no reason to leave the run.
        if not again:
            self.session.rating.rater = None
        self.load()

    async def _count(self) -> None:
        rater = self.session.rating.rater
        if rater is None:
            return
        self.query_one("#what", Static).update(Content.styled(self.words("dialogues.looking"), "$muted"))
        self._asked = await self.ask(lambda database: _look(database, rater))
        self._show_what()

    async def _begin(self) -> None:
        from escl.tui.screens.rating import RatingScreen

        rating, asked = self.session.rating, self._asked
        rater, is_pairs = rating.rater, rating.is_pairs
        if rater is None or asked is None:
            return
        # Not in the run's thread: this is about another file.
        desk = await asyncio.to_thread(_desk, asked, rater, is_pairs=is_pairs)
        if desk.question is not None:
            _, _, n_all = asked.progress(is_pairs)
            screen = RatingScreen(self.words, self.session.run, desk, n_before=n_all - len(desk.questions))
            self.app.push_screen(screen, lambda _: self.load())

    def _show_who(self, who: Content) -> None:
        self.query_one("#who", Static).update(who)

    def _show_what(self) -> None:
        asked = self._asked
        if asked is not None:
            lines = [self._row(asked, is_pairs) for is_pairs in (False, True)]
            self.query_one("#what", Static).update(Content("\n").join(lines))
            self.query_one("#where", Static).update(self._where(asked))

    def _row(self, asked: Asked, is_pairs: bool) -> Content:
        name = "pairs" if is_pairs else "labels"
        is_chosen = is_pairs is self.session.rating.is_pairs
        start = "▸ " if is_chosen else "  "
        style = "bold $primary" if is_chosen else "bold"
        head = Content.styled(start + fitted(self.words(f"rate.{name}"), _NAME), style)
        n_subjects, n_answered, n_all = asked.progress(is_pairs)
        if not n_subjects:
            return Content.assemble(head, (self.words(f"rate.no_{name}"), "$muted"))
        said = ("✓ " if n_answered == n_all else "  ") + self.words("rate.given", n=f"{n_answered:,}", all=f"{n_all:,}")
        if self.has_class("-tiny"):
            return Content.assemble(head, said)
        about = fitted(self.words(f"rate.{name}_about", n=f"{n_subjects:,}"), _ABOUT)
        return Content.assemble(head, (about, "$muted"), meter(n_answered, n_all, _METER), "  ", said)

    def _where(self, asked: Asked) -> Content:
        from escl.evaluation.rating_sheet import sheet_name

        rating = self.session.rating
        n_subjects, n_answered, _ = asked.progress(rating.is_pairs)
        if rating.rater is None or not n_subjects:
            return Content("")
        file = sheet_name(rating.rater, pairs=rating.is_pairs)
        parts = [Content.assemble((self.words("rate.file"), "$muted"), "  ", (file, "bold"))]
        if n_answered:
            command = f"escl judge validate {file} --runs {line(self.session.run.path.name)}"
            parts.append(Content.assemble((self.words("rate.validate"), "$muted"), "\n", (command, "bold")))
        return Content("\n\n").join(parts)


def _look(database: Database, rater: str) -> Asked:
    from escl.evaluation.rating import dialogues_to_rate, pairs_to_judge
    from escl.evaluation.rating_desk import label_questions, preference_questions
    from escl.evaluation.rating_sheet import held, sheet_name
    from escl.store.run import RunStore

    runs = [RunStore.read(database)]
    # A run without any is no trouble here: the page says so.
    dialogues: list[Unrated] = []
    pairs: list[Pair] = []
    with contextlib.suppress(UsageError):
        dialogues = dialogues_to_rate(runs, rater=rater)
        pairs = pairs_to_judge(runs, rater=rater)
    labels = label_questions(
        held(Path(sheet_name(rater, pairs=False))), dialogues, dimensions=tuple(Dimension), rater=rater
    )
    preferences = preference_questions(held(Path(sheet_name(rater, pairs=True))), pairs, rater=rater)
    return Asked(
        dialogues=dialogues,
        pairs=pairs,
        n_labels=len(dialogues) * len(Dimension) - len(labels),
        n_preferences=len(pairs) - len(preferences),
    )


def _desk(asked: Asked, rater: str, *, is_pairs: bool) -> Desk[Unrated] | Desk[Pair]:
    from escl.evaluation.rating_desk import Desk, label_questions, preference_questions
    from escl.evaluation.rating_sheet import label_sheet, preference_sheet, sheet_name

    path = Path(sheet_name(rater, pairs=is_pairs))
    if is_pairs:
        sheet = preference_sheet(path)
        return Desk(preference_questions(sheet.before, asked.pairs, rater=rater), sheet)
    sheet = label_sheet(path)
    return Desk(label_questions(sheet.before, asked.dialogues, dimensions=tuple(Dimension), rater=rater), sheet)
