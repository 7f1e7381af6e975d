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
from escl.tui.screens.run_screen import Rated, RunScreen, Session
from escl.tui.widgets.meters import meter

if TYPE_CHECKING:
    from escl.core.own_dimension import OwnDimension
    from escl.evaluation.rating import Pair, Unrated
    from escl.evaluation.rating_desk import Desk
    from escl.store.database import Database
    from escl.tui.strings import Strings

_NAME, _ABOUT, _METER = 12, 30, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a rater can be asked about, in their order, and how much of it they have still to answer.

    Attributes:
        own: Dimensions of the user's own that the run was read in.
    """

    dialogues: list[Unrated]
    pairs: list[Pair]
    own: list[OwnDimension]
    n_left: dict[Rated, int]

    @property
    def kinds(self) -> list[Rated]:
        """What can be chosen."""
        return ["labels", "own", "pairs"] if self.own else ["labels", "pairs"]

    def progress(self, what: Rated) -> tuple[int, int, int]:
        """Return how many dialogues or pairs there are, and how many of how many answers were given."""
        if what == "pairs":
            n_subjects = n_all = len(self.pairs)
        else:
            asked = [len(self._dimensions_of(one, what)) for one in self.dialogues]
            n_subjects, n_all = sum(n > 0 for n in asked), sum(asked)
        return n_subjects, n_all - self.n_left[what], n_all

    def _dimensions_of(self, one: Unrated, what: Rated) -> list[str]:
        if what == "labels":
            return list(Dimension)
        return [own.key for own in self.own if one.language in own.languages]


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
        Key(keys="down,j", action="choose(1)", name="key.next", shown="↓ j", in_bar=False),
        Key(keys="up,k", action="choose(-1)", name="key.previous", shown="↑ k", in_bar=False),
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

    def action_choose(self, by: int) -> None:
        """Take what is listed below or above."""
        if self._asked is not None:
            kinds = self._asked.kinds
            at = kinds.index(self.session.rating.what) + by
            self.session.rating.what = kinds[min(max(at, 0), len(kinds) - 1)]
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
        # Another run may have been rated in dimensions that this one was not read in.
        if self.session.rating.what not in self._asked.kinds:
            self.session.rating.what = "labels"
        self._show_what()

    async def _begin(self) -> None:
        from escl.tui.screens.rating import RatingScreen

        rating, asked = self.session.rating, self._asked
        rater, what = rating.rater, rating.what
        if rater is None or asked is None:
            return
        # Not in the run's thread: this is about another file.
        desk = await asyncio.to_thread(_desk, asked, rater, what)
        if desk.question is not None:
            _, _, n_all = asked.progress(what)
            screen = RatingScreen(self.words, self.session.run, desk, n_before=n_all - len(desk.questions))
            self.app.push_screen(screen, lambda _: self.load())

    def _show_who(self, who: Content) -> None:
        self.query_one("#who", Static).update(who)

    def _show_what(self) -> None:
        asked = self._asked
        if asked is not None:
            lines = [self._row(asked, what) for what in asked.kinds]
            self.query_one("#what", Static).update(Content("\n").join(lines))
            self.query_one("#where", Static).update(self._where(asked))

    def _row(self, asked: Asked, what: Rated) -> Content:
        is_chosen = what == self.session.rating.what
        start = "▸ " if is_chosen else "  "
        style = "bold $primary" if is_chosen else "bold"
        head = Content.styled(start + fitted(self.words(f"rate.{what}"), _NAME), style)
        n_subjects, n_answered, n_all = asked.progress(what)
        if not n_subjects:
            return Content.assemble(head, (self.words(f"rate.no_{what}"), "$muted"))
        said = ("✓ " if n_answered == n_all else "  ") + self.words("rate.given", n=f"{n_answered:,}", all=f"{n_all:,}")
        if self.has_class("-tiny"):
            return Content.assemble(head, said)
        about = fitted(self.words(f"rate.{what}_about", n=n_subjects), _ABOUT)
        return Content.assemble(head, (about, "$muted"), meter(n_answered, n_all, _METER), "  ", said)

    def _where(self, asked: Asked) -> Content:
        from escl.evaluation.rating_sheet import sheet_name

        rating = self.session.rating
        n_subjects, n_answered, _ = asked.progress(rating.what)
        if rating.rater is None or not n_subjects:
            return Content("")
        file = sheet_name(rating.rater, pairs=rating.what == "pairs")
        parts = [Content.assemble((self.words("rate.file"), "$muted"), "  ", (file, "bold"))]
        if n_answered:
            command = f"escl judge validate {file} --runs {line(self.session.run.path.name)}"
            parts.append(Content.assemble((self.words("rate.validate"), "$muted"), "\n", (command, "bold")))
        return Content("\n\n").join(parts)


def _look(database: Database, rater: str) -> Asked:
    from escl.evaluation.rating import dialogues_to_rate, own_dimensions, pairs_to_judge
    from escl.evaluation.rating_desk import label_questions, preference_questions
    from escl.evaluation.rating_sheet import held, sheet_name
    from escl.store.run import RunStore

    runs = [RunStore.read(database)]
    own = own_dimensions(runs, [each.key for _, each in runs[0].own_judgings()])
    # A run without any is no trouble here: the page says so.
    dialogues: list[Unrated] = []
    pairs: list[Pair] = []
    with contextlib.suppress(UsageError):
        dialogues = dialogues_to_rate(runs, rater=rater)
        pairs = pairs_to_judge(runs, rater=rater)
    labels = held(Path(sheet_name(rater, pairs=False)))
    preferences = held(Path(sheet_name(rater, pairs=True)))
    n_left: dict[Rated, int] = {
        "labels": len(label_questions(labels, dialogues, dimensions=tuple(Dimension), rater=rater)),
        "own": len(label_questions(labels, dialogues, dimensions=(), own=own, rater=rater)),
        "pairs": len(preference_questions(preferences, pairs, rater=rater)),
    }
    return Asked(dialogues=dialogues, pairs=pairs, own=own, n_left=n_left)


def _desk(asked: Asked, rater: str, what: Rated) -> Desk[Unrated] | Desk[Pair]:
    from escl.evaluation.rating_desk import Desk, label_questions, preference_questions
    from escl.evaluation.rating_sheet import label_sheet, preference_sheet, sheet_name

    path = Path(sheet_name(rater, pairs=what == "pairs"))
    if what == "pairs":
        sheet = preference_sheet(path)
        return Desk(preference_questions(sheet.before, asked.pairs, rater=rater), sheet)
    sheet = label_sheet(path)
    seven, own = (tuple(Dimension), ()) if what == "labels" else ((), asked.own)
    return Desk(label_questions(sheet.before, asked.dialogues, dimensions=seven, own=own, rater=rater), sheet)
