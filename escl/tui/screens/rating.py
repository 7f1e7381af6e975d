"""One question after the other, blind: a dialogue and a rubric, or two dialogues; a key answers.

Nothing here says whose a dialogue is, how it was scored, or what the run's file is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from escl.tui.keys import Key, bindings
from escl.tui.plain import line
from escl.tui.screens.run_screen import EsclScreen
from escl.tui.widgets.meters import meter
from escl.tui.widgets.side_by_side import SideBySide
from escl.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from escl.core.wording import Rubric
    from escl.evaluation.rating import Pair, ShownDialogue, Unrated
    from escl.evaluation.rating_desk import Desk, Question
    from escl.store.database import Database
    from escl.store.records import TurnRow
    from escl.tui.open_run import OpenRun
    from escl.tui.strings import Strings

_METER = 16
_PREFERENCES: Final = {"1": "a", "2": "b", "0": "tie"}
_LABEL_KEYS: Final = (
    Key(keys="0", action="give('0')", name="key.label_0", in_bar=False),
    Key(keys="1", action="give('1')", name="key.label_1", in_bar=False),
    Key(keys="2", action="give('2')", name="key.label_2", in_bar=False),
    Key(keys="3", action="give('3')", name="key.label_3", in_bar=False),
    Key(keys="4", action="give('4')", name="key.label_4", in_bar=False),
)
_PREFERENCE_KEYS: Final = (
    Key(keys="1", action="give('1')", name="key.left_is_better", shown="1 ←"),
    Key(keys="2", action="give('2')", name="key.right_is_better", shown="2 →"),
    Key(keys="0", action="give('0')", name="key.neither", shown="0 ="),
)


class RatingScreen(EsclScreen):
    """Asks until nothing is left or the rater leaves; ends when it has."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="u,backspace", action="undo", name="key.take_back"),
        Key(keys="s", action="skip", name="key.skip"),
        Key(keys="J", action="scroll_question(1)", name="key.rubric", shown="J K", in_bar=False),
        Key(keys="escape,q", action="stop", name="key.back", shown="esc"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings((*_LABEL_KEYS, *KEYS)),
        # Before what is scrolled takes them.
        Binding("left", "prefer('1')", show=False, priority=True),
        Binding("right", "prefer('2')", show=False, priority=True),
        Binding("K", "scroll_question(-1)", show=False),
        Binding("equals_sign", "prefer('0')", show=False),
    ]

    def __init__(self, words: Strings, run: OpenRun, desk: Desk[Unrated] | Desk[Pair], *, n_before: int) -> None:
        """Ask a desk's questions about a run; `n_before` answers were given in earlier sittings."""
        super().__init__(words)
        self._run = run
        self._desk = desk
        self._n_before = n_before
        self._is_pairs = desk.question is not None and desk.question.column == "preference"
        self._one_at_a_time = asyncio.Lock()
        self._shown: Unrated | Pair | None = None
        self._rubrics: dict[str, Rubric] = {}

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """The answers' keys, and the others."""
        return (*(_PREFERENCE_KEYS if self._is_pairs else _LABEL_KEYS), *self.KEYS)

    def compose(self) -> ComposeResult:
        """Lay the dialogue and the question out."""
        read = SideBySide(self.words) if self._is_pairs else Transcript(self.words)
        asked = VerticalScroll(Static(markup=False, id="around"), Static(markup=False, id="asked"), id="question")
        asked.can_focus = False
        desk = Container(read, asked, id="desk", classes="pairs" if self._is_pairs else "labels")
        yield from self.bars(Static(markup=False, id="place"), desk, title=self.words("rate.title"))

    def on_mount(self) -> None:
        """Ask the first question."""
        self.load()

    def load(self) -> None:
        """Show the question."""
        self._change(lambda: None)

    def action_give(self, key: str) -> None:
        """Answer with what the key stands for, if the question has such an answer."""
        answer = _PREFERENCES.get(key) if self._is_pairs else key
        subject = self._shown
        # A key from before the dialogue was seen answers nothing.
        if answer is not None and subject is not None:
            self._change(partial(self._answer, subject, answer))

    def action_prefer(self, key: str) -> None:
        """Answer a question about two dialogues."""
        if self._is_pairs:
            self.action_give(key)

    def action_undo(self) -> None:
        """Take the last answer or skip back."""
        self._change(self._desk.take_back)

    def action_skip(self) -> None:
        """Leave this dialogue or pair for another time."""
        self._change(self._desk.skip)

    def action_scroll_question(self, by: int) -> None:
        """Scroll a rubric that is longer than its place."""
        self.query_one("#question", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_stop(self) -> None:
        """Leave; what was answered is in the file."""
        self.dismiss(None)

    def _answer(self, subject: Unrated | Pair, answer: str) -> None:
        question = self._desk.question
        if question is not None and question.subject is subject:
            self._desk.answer(answer)

    def _change(self, change: Callable[[], object]) -> None:
        """Change what is asked, one change after the other: each is on the disk before the next question is seen.

        A change that returns False changed nothing.
        """

        async def changed() -> None:
            async with self._one_at_a_time:
                if await asyncio.to_thread(change) is False:
                    self.app.notify(self.words("rate.nothing_back"), markup=False, timeout=2)
                await self._show()

        self.start(changed, group="answers")

    async def _show(self) -> None:
        question = self._desk.question
        if question is None:
            self.dismiss(None)
            return
        if question.subject is not self._shown:
            self._shown = None
            await self._show_subject(question.subject)
            self._shown = question.subject
        self._show_place()
        self._show_question(question)

    async def _show_subject(self, subject: Unrated | Pair) -> None:
        from escl.evaluation.rating import Unrated

        if isinstance(subject, Unrated):
            dialogue = await self._read(subject)
            self._rubrics = {**{each.value: rubric for each, rubric in dialogue.rubrics.items()}, **dialogue.own}
            transcript = self.query_one(Transcript)
            await transcript.show(_rows(dialogue))
            transcript.focus()
            return
        first, second = await self._read(subject.first), await self._read(subject.second)
        heads = (self._head("1", "rate.left"), self._head("2", "rate.right"))
        pair = self.query_one(SideBySide)
        await pair.show(heads, (_rows(first), _rows(second)))
        pair.rows.focus()

    async def _read(self, one: Unrated) -> ShownDialogue:
        def read(database: Database) -> ShownDialogue:
            from escl.evaluation.rating import shown
            from escl.store.run import RunStore

            return shown([RunStore.read(database)], one)

        return await self._run.ask(read)

    def _head(self, key: str, name: str) -> Content:
        return Content.assemble((key, "bold $primary"), (f"  {self.words(name)}", "bold"))

    def _show_place(self) -> None:
        desk = self._desk
        name = "rate.pair_place" if self._is_pairs else "rate.place"
        place = self.words(name, at=f"{desk.place:,}", n=f"{desk.n_subjects:,}")
        n_answered, n_all = self._n_before + desk.n_answered, self._n_before + len(desk.questions)
        given = self.words("rate.given", n=f"{n_answered:,}", all=f"{n_all:,}")
        parts = [Content.styled(place, "bold"), meter(n_answered, n_all, _METER), Content.styled(given, "$muted")]
        if self.has_class("-tiny"):
            del parts[1]
        elif not self._is_pairs:
            parts.append(Content.styled(self.words("rate.how"), "$muted"))
        self.query_one("#place", Static).update(Content("   ").join(parts))

    def _show_question(self, question: Question[Unrated] | Question[Pair]) -> None:
        around, asked = self.query_one("#around", Static), self.query_one("#asked", Static)
        about = question.dimension or question.own
        if about is None:
            around.display = False
            asked.update(Content.styled(self.words("rate.which"), "bold"))
            return
        parts = [self._one_around(each, answer, is_asked=each is question) for each, answer in self._desk.around()]
        around.update(Content("  ").join(parts))
        asked.update(_rubric(self._rubrics[about], wide=self.has_class("-wide")))
        self.query_one("#question", VerticalScroll).scroll_home(animate=False)

    def _one_around(
        self, question: Question[Unrated] | Question[Pair], answer: str | None, *, is_asked: bool
    ) -> Content:
        if question.dimension is not None:
            name = self.words(f"dimension.short.{question.dimension.value}")
        else:
            name = "" if question.own is None else line(self._rubrics[question.own].name)
        if is_asked:
            return Content.styled(f"▸{name}", "bold $primary")
        return Content.styled(name if answer is None else f"{name} {answer}", "$muted")


def _rows(dialogue: ShownDialogue) -> list[TurnRow]:
    from escl.store.records import TurnRow

    return [TurnRow(turn=turn) for turn in dialogue.turns]


def _rubric(rubric: Rubric, *, wide: bool) -> Table:
    """Return what is rated, and what each label stands for in a column beside it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    table.add_row(Text(" "), Text(line(rubric.definition), style="bold"))
    for label, level in enumerate(rubric.levels or ()):
        if wide:
            table.add_row()
        table.add_row(Text(str(label), style="bold"), Text(line(level)))
    return table
