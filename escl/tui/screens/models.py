"""The shelf: which models are here, what they are, and bringing, checking, converting, planning and removing them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from escl.tui.keys import Key, bindings
from escl.tui.plain import cell, fitted, line, plain
from escl.tui.screens.ask import AskScreen
from escl.tui.screens.form import Field, FormScreen
from escl.tui.screens.run_screen import EsclScreen
from escl.tui.screens.text import TextScreen
from escl.tui.shelf_job import Convert, Failed, Pull, Verify
from escl.tui.shelf_work import ShelfWork, convert_of, planned, pull_of
from escl.tui.widgets.meters import clock, meter, size
from escl.tui.widgets.table import Table

if TYPE_CHECKING:
    from rich.text import Text

    from escl.shelf.inventory import ShelfModel
    from escl.shelf.removal import Removal
    from escl.tui.app import EsclApp
    from escl.tui.shelf_job import Task
    from escl.tui.strings import Strings

_EVERY_S = 0.25
_PLAN_WIDTH, _PLAN_FRAME = 98, 6
_FIRST = ("is", "licence", "licence note")
"""What is said of a model before the rest."""
_SIGNS = {"here": "✓", "not here": "·", "incomplete": "!", "unreadable": "×"}
_HEADINGS = (
    "models.mark",
    "models.name",
    "models.role",
    "models.state",
    "models.quant",
    "models.size",
    "models.licence",
)


class ModelsScreen(EsclScreen):
    """A table of models, what is known of the one under the cursor, and the work that is under way."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="p", action="pull", name="key.pull"),
        Key(keys="a", action="pull_other", name="key.pull_other"),
        Key(keys="v", action="verify", name="key.verify"),
        Key(keys="V", action="verify_all", name="key.verify_all", in_bar=False),
        Key(keys="c", action="convert", name="key.convert"),
        Key(keys="x", action="remove", name="key.remove"),
        Key(keys="space", action="mark", name="key.mark", in_bar=False),
        Key(keys="w", action="plan", name="key.plan"),
        Key(keys="s", action="stop_work", name="key.stop_work", in_bar=False),
        Key(keys="f5", action="look_again", name="key.refresh", in_bar=False),
        Key(keys="j,down", action="move(1)", name="key.move", shown="↑↓ jk", in_bar=False),
        Key(keys="escape,q", action="leave", name="key.back", shown="esc"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(KEYS),
        *bindings((Key(keys="k,up", action="move(-1)", name="key.move"),)),
    ]

    def __init__(self, words: Strings) -> None:
        super().__init__(words)
        self._models: list[ShelfModel] = []
        self._marked: set[str] = set()
        self._under: str | None = None

    @property
    def escl(self) -> EsclApp:
        """The app, as what it is."""
        from escl.tui.app import EsclApp

        assert isinstance(self.app, EsclApp)
        return self.app

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        table = Table(cursor_type="row", cell_padding=1, id="models")
        table.display = False
        yield from self.bars(
            Vertical(
                Static(Content.styled(self.words("models.looking"), "$muted"), markup=False, id="work"),
                table,
                VerticalScroll(Static(markup=False, id="about"), id="about-whole"),
                classes="page",
            ),
            title=self.words("models.title"),
        )

    def on_mount(self) -> None:
        """Begin to look."""
        table = self.query_one(Table)
        for name in _HEADINGS:
            table.add_column(cell(self.words(name)), key=name)
        self.set_interval(_EVERY_S, self._tick)
        self.load()

    def load(self) -> None:
        """Look at the shelf."""
        self.in_background(self._look, group="shelf")

    def action_look_again(self) -> None:
        """Look at the shelf again."""
        self.load()

    def action_move(self, by: int) -> None:
        """Move in the list."""
        table = self.query_one(Table)
        table.move_cursor(row=table.cursor_row + by)

    def action_leave(self) -> None:
        """Go back Home; what is under way goes on."""
        self.app.pop_screen()

    def action_mark(self) -> None:
        """Take the model under the cursor into the plan, or out of it."""
        if (model := self._chosen) is not None:
            self._marked ^= {model.name}
            self._fill()

    def action_pull(self) -> None:
        """Bring the model under the cursor, once that was agreed to."""
        if (model := self._chosen) is None:
            return
        task = Pull(name=model.name)
        text, about = self.words("models.pull_text"), line(model.source or model.name)
        question = AskScreen(self.words, title=self._named(task).capitalize(), text=text, about=about)
        self.app.push_screen(question, lambda agreed: self._begin(task) if agreed else None)

    def action_pull_other(self) -> None:
        """Bring a model that is named."""
        words = self.words
        fields = [
            Field(name=words("models.repository"), about="hf.co/owner/repo:Q4_K_M"),
            Field(name=words("models.quantization"), about=words("models.best_quant"), is_needed=False),
        ]
        form = FormScreen(
            words, title=words("key.pull_other").capitalize(), text=words("models.pull_text"), fields=fields
        )
        self.app.push_screen(form, lambda said: self._begin(pull_of(said)) if said else None)

    def action_verify(self) -> None:
        """Hash the files of the model under the cursor."""
        if (model := self._chosen) is not None:
            self._begin(Verify(name=model.name))

    def action_verify_all(self) -> None:
        """Hash the files of every model that is here."""
        self._begin(Verify())

    def action_convert(self) -> None:
        """Make a GGUF file of a checkpoint folder."""
        words = self.words
        fields = [
            Field(name=words("models.checkpoint"), about="~/models/my-checkpoint"),
            Field(name=words("models.quantization"), about="Q4_K_M", value="Q4_K_M", is_needed=False),
            Field(name=words("models.target"), about=words("models.target_about"), is_needed=False),
        ]
        form = FormScreen(
            words, title=words("key.convert").capitalize(), text=words("models.convert_text"), fields=fields
        )
        self.app.push_screen(form, lambda said: self._begin(convert_of(said)) if said else None)

    def action_remove(self) -> None:
        """Remove the model under the cursor, once that was agreed to."""
        if (model := self._chosen) is not None:
            self.in_background(lambda: self._ask_to_remove(model.name), group="removal")

    def action_plan(self) -> None:
        """Show what fits and how long it takes, for the marked models or the one under the cursor."""
        marked = [model for model in self._models if model.name in self._marked]
        chosen = self._chosen
        models = marked or ([] if chosen is None else [chosen])
        if models:
            names = ", ".join(line(model.name, 40) for model in models)
            title = self.words("models.plan", names=names)
            width = min(_PLAN_WIDTH, self.size.width - _PLAN_FRAME)
            self.app.push_screen(TextScreen(self.words, title=title, text=planned(models, width=width), is_table=True))

    def action_stop_work(self) -> None:
        """Stop what is under way; what was received is kept."""
        if (work := self.escl.shelf_work) is not None and not work.is_over:
            work.stop()
            self._show_work()

    def on_data_table_row_highlighted(self) -> None:
        """Show the model under the cursor."""
        self._under = None if self._chosen is None else self._chosen.name
        self.in_background(self._describe, group="about")

    @property
    def _chosen(self) -> ShelfModel | None:
        at = self.query_one(Table).cursor_row
        return self._models[at] if 0 <= at < len(self._models) else None

    def _begin(self, task: Task) -> None:
        if self.escl.shelf_work is not None:
            self.app.notify(self.words("models.busy"), markup=False)
            return
        self.escl.shelf_work = ShelfWork(task)
        self.app.run_worker(self.escl.shelf_work.run(), group="shelf work", exit_on_error=False)
        self._show_work()

    def _tick(self) -> None:
        if not self.is_active:
            return
        work = self.escl.shelf_work
        if work is not None and work.is_over:
            self.escl.shelf_work = None
            self._say_ended(work)
            self.load()
        self._show_work()

    def _say_ended(self, work: ShelfWork) -> None:
        if isinstance(work.ended, Failed):
            self.say_failed(work.ended.message, work.ended.hint)
        elif work.ended is None:
            self.app.notify(self.words("models.stopped"), markup=False)
        else:
            title = self.words("models.bad" if work.ended.is_bad else "models.done", what=self._named(work.task))
            lines = [*work.ended.lines, *(note for note in work.notes if note not in work.ended.lines)]
            self.app.push_screen(TextScreen(self.words, title=title, text="\n".join(lines)))

    def _show_work(self) -> None:
        work = self.escl.shelf_work
        said = Content.styled(self.words("models.about"), "$muted") if work is None else self._progress(work)
        self.query_one("#work", Static).update(said)

    def _progress(self, work: ShelfWork) -> Content:
        words = self.words
        name = Content.assemble(("● ", "$primary"), (self._named(work.task), "bold"))
        if work.is_stopping:
            return Content.assemble(name, f"   {words('models.stopping')}")
        stops = Content.assemble("   ", ("s", "bold $primary"), (f" {words('key.stop_work')}", "$muted"))
        step = work.step
        if step is None:
            return Content.assemble(name, (f"   {words('models.begins')}", "$muted"), stops)
        left = "" if work.left_s is None else f"   {words('live.left', time=clock(work.left_s))}"
        bar = meter(step.done, step.total, max(8, min(40, self.size.width // 4)))
        amount = f"  {size(step.done)} / {size(step.total)}{left}"
        return Content.assemble(
            name, stops, "\n", bar, amount, "\n", (line(step.what, max(1, self.size.width - 8)), "$muted")
        )

    def _named(self, task: Task) -> str:
        match task:
            case Pull(name=name):
                return self.words("models.pulling", model=line(name, 48))
            case Verify(name=name):
                return self.words(
                    "models.verifying", model=self.words("models.all") if name is None else line(name, 48)
                )
            case Convert(src=src):
                return self.words("models.converting", model=line(src, 48))

    async def _look(self) -> None:
        from escl.shelf.inventory import inventory

        self.take(await asyncio.to_thread(inventory))

    def take(self, models: list[ShelfModel]) -> None:
        """Show these models."""
        self._models = models
        self._fill()
        self._show_work()
        self.in_background(self._describe, group="about")

    def _fill(self) -> None:
        table = self.query_one(Table)
        under = self._under
        table.clear()
        for model in self._models:
            table.add_row(*self._row(model))
        table.display = bool(self._models)
        names = [model.name for model in self._models]
        table.move_cursor(row=names.index(under) if under in names else 0)
        table.focus()

    def _row(self, model: ShelfModel) -> list[Text]:
        amount = "" if model.size_bytes is None else size(model.size_bytes)
        state = f"{_SIGNS[model.state]} {self.words(_STATES[model.state])}"
        room = max(16, min(60, self.size.width - 56))
        return [
            cell("▸" if model.name in self._marked else " ", "bold"),
            cell(line(model.name, room), "bold"),
            cell(line(model.role, 10)),
            cell(state),
            cell(line(model.quantization or "", 8)),
            cell(amount, justify="right"),
            cell(line(model.licence or "", max(10, min(40, self.size.width - 72)))),
        ]

    async def _describe(self) -> None:
        from escl.errors import EsclError
        from escl.shelf.inventory import describe

        model = self._chosen
        if model is None:
            return
        try:
            rows = (await asyncio.to_thread(describe, model.name)).rows()
        except EsclError as error:
            self.query_one("#about", Static).update(plain(error.message))
            return
        shown = [row for row in rows if row[0] not in ("name", "role", "quantization")]
        shown.sort(key=lambda row: row[0] not in _FIRST)
        lines = [Content.assemble((fitted(name, 15), "$muted"), plain(said)) for name, said in shown]
        self.query_one("#about", Static).update(Content("\n").join(lines))

    async def _ask_to_remove(self, name: str) -> None:
        from escl.shelf.removal import removal

        found = await asyncio.to_thread(removal, name)
        text = self.words("models.remove_text", size=size(found.size_bytes))
        about = "\n".join(found.paths)
        question = AskScreen(
            self.words, title=self.words("models.remove", model=line(name, 48)), text=text, about=about
        )
        self.app.push_screen(question, lambda agreed: self._go_remove(found) if agreed else None)

    def _go_remove(self, found: Removal) -> None:
        async def remove_it() -> None:
            from escl.shelf.removal import remove

            await asyncio.to_thread(remove, found)
            await self._look()

        self.in_background(remove_it, group="removal")


_STATES = {
    "here": "models.here",
    "not here": "models.not_here",
    "incomplete": "models.incomplete",
    "unreadable": "models.unreadable",
}
