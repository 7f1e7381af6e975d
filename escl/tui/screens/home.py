"""Home: the runs that are here and what can be done with them, the way to a first one, and the state of the machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from escl.errors import UsageError
from escl.tui.keys import Key, bindings
from escl.tui.overview import Overview, overview, runs_in
from escl.tui.plain import line
from escl.tui.playing import is_play
from escl.tui.processes import Started, start, start_demo
from escl.tui.screens.run_screen import EsclScreen
from escl.tui.widgets.run_list import RunList

if TYPE_CHECKING:
    from escl.doctor.finding import Diagnosis
    from escl.tui.app import EsclApp
    from escl.tui.resuming import Resumption
    from escl.tui.strings import Strings

_AGAIN_S, _WAITS_S = 3.0, 1.0
_LOOK_AFTER_S, _EXAMINE_AFTER_S = 0.02, 0.3


class HomeScreen(EsclScreen):
    """The list of runs. Looks again every few seconds, at changed files only."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="open", name="key.open"),
        Key(keys="n", action="new_run", name="key.new_run"),
        Key(keys="d", action="demo", name="key.demo"),
        Key(keys="p", action="app.play", name="key.play"),
        Key(keys="m", action="app.models", name="key.models"),
        Key(keys="r", action="resume", name="key.resume"),
        Key(keys="x", action="delete", name="key.delete"),
        Key(keys="u", action="undo", name="key.undo", in_bar=False),
        Key(keys="c", action="machine", name="key.machine", in_bar=False),
        Key(keys="f5", action="refresh_runs", name="key.refresh", in_bar=False),
        Key(keys="j,down", action="move(1)", name="key.move", shown="↑↓ jk", in_bar=False),
        Key(keys="q", action="app.quit", name="key.quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(KEYS),
        *bindings((Key(keys="k,up", action="move(-1)", name="key.move"),)),
    ]

    def __init__(self, words: Strings, named: tuple[Path, ...], diagnosis: Diagnosis | None) -> None:
        super().__init__(words)
        self._named = named
        self._known: dict[Path, Overview] = {}
        self._reading: dict[Path, asyncio.Future[Overview]] = {}
        self._diagnosis = diagnosis
        self._models: tuple[int, int] | None = None

    @property
    def escl(self) -> EsclApp:
        """The app, as what it is."""
        from escl.tui.app import EsclApp

        assert isinstance(self.app, EsclApp)
        return self.app

    @property
    def runs(self) -> RunList:
        """The table of runs."""
        return self.query_one(RunList)

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        table = RunList(self.words)
        table.display = False
        # Enter is the screen's: it opens the run.
        yield from self.bars(
            Vertical(
                Static(self.words("home.runs"), markup=False, classes="heading"),
                Static(Content.styled(self.words("home.looking"), "$muted"), markup=False, id="welcome"),
                table,
                classes="page",
            ),
            Static(Content.styled(self.words("home.checking"), "$muted"), markup=False, id="machine"),
            title="",
            aside=self.words("home.tagline"),
        )

    def on_mount(self) -> None:
        """Begin to look at the files and the machine."""
        self.set_interval(_AGAIN_S, self._look_again)
        # What these import would hold up the first paint.
        self.set_timer(_LOOK_AFTER_S, self.load)
        self.set_timer(_EXAMINE_AFTER_S, lambda: self.in_background(self._examine, group="machine"))
        if self._diagnosis is not None:
            self._show_machine()

    def on_resize(self, event: Resize) -> None:
        """Lay the table out for the new width."""
        super().on_resize(event)
        if self.runs.display:
            self.call_after_refresh(self.load)

    def on_screen_resume(self) -> None:
        """Look again after another screen."""
        if self.runs.display:
            self.load()
        if self._models is not None and self._diagnosis is not None:
            # Models may have come or gone.
            self.in_background(self._examine, group="models")

    def load(self) -> None:
        """Look at the run files."""
        self.in_background(self._look, group="runs")

    def action_refresh_runs(self) -> None:
        """Look at every file again, changed or not."""
        self._known.clear()
        self.load()

    def action_move(self, by: int) -> None:
        """Move in the list."""
        self.runs.move_cursor(row=self.runs.cursor_row + by)

    def action_open(self) -> None:
        """Open the run under the cursor where there is most to see."""
        run = self.runs.chosen
        if run is None:
            return
        if run.progress is None:
            self.say_failed(run.trouble or self.words("state.unreadable"), None)
        elif run.work != "finished":
            self.escl.open_run(run.path, view="live")
        else:
            self.escl.open_run(run.path, view="dialogues" if run.progress.n_readings is None else "scores")

    def on_data_table_row_selected(self) -> None:
        """Open the run that was clicked."""
        self.action_open()

    def action_new_run(self) -> None:
        """Lay out a run of one's own."""
        from escl.tui.screens.new_run import NewRunScreen

        self.app.push_screen(NewRunScreen(self.words))

    def action_demo(self) -> None:
        """Start the demo, and watch it."""
        try:
            started = start_demo(Path.cwd())
        except OSError as error:
            self.say_failed(str(error), None)
            return
        self._watch(started)

    def action_resume(self) -> None:
        """Go on with the run under the cursor, once its command was seen and agreed to."""
        from escl.tui.resuming import resumption
        from escl.tui.screens.ask import AskScreen

        run = self.runs.chosen
        if run is None or run.progress is None:
            return
        if run.work in ("running", "finished"):
            self.app.notify(self.words(f"resume.{run.work}"), markup=False)
            return
        if is_play(run.progress.supporters):
            self.escl.play(run.path)
            return
        try:
            going_on = resumption(run.progress.command, run.path)
        except UsageError as error:
            self.say_failed(error.message, error.hint)
            return
        text = self.words("resume.text", folder=line(str(going_on.folder)))
        question = AskScreen(self.words, title=self.words("resume.title"), text=text, about=going_on.shown)
        self.app.push_screen(question, lambda agreed: self._go_on(run.path, going_on) if agreed else None)

    def action_delete(self) -> None:
        """Move the run under the cursor to the trash."""
        run = self.runs.chosen
        if run is not None:
            self.in_background(lambda: self._delete(run.path), group="trash")

    def action_undo(self) -> None:
        """Bring the run back that was deleted last."""
        self.in_background(self._undo, group="trash")

    def action_machine(self) -> None:
        """Show what was found about the machine."""
        from escl.tui.screens.machine import MachineScreen

        if self._diagnosis is not None:
            self.app.push_screen(MachineScreen(self.words, self._diagnosis), self._examine_again)

    def _watch(self, started: Started) -> None:
        self.escl.open_run(started.path, view="live", started=started)

    def _go_on(self, path: Path, going_on: Resumption) -> None:
        try:
            started = start(path, going_on.words, folder=going_on.folder)
        except OSError as error:
            self.say_failed(str(error), None)
            return
        self._watch(started)

    async def _delete(self, path: Path) -> None:
        from escl.store.trash import FOLDER, discard
        from escl.store.watch import is_held

        if await asyncio.to_thread(is_held, path):
            self.say_failed(self.words("trash.at_work", run=line(path.name, 40)), self.words("trash.stop_first"))
            return
        await asyncio.to_thread(discard, path)
        self.app.notify(self.words("trash.deleted", run=line(path.name, 40), folder=FOLDER), markup=False)
        await self._look()

    async def _undo(self) -> None:
        from escl.store.trash import discarded, restore

        found = await asyncio.to_thread(discarded, {Path.cwd(), *(path.parent for path in self._named)})
        if not found:
            self.app.notify(self.words("trash.empty"), markup=False)
            return
        await asyncio.to_thread(restore, found[0])
        self.app.notify(self.words("trash.restored", run=line(found[0].path.name, 40)), markup=False)
        await self._look()

    def _look_again(self) -> None:
        if self.is_current:
            self.look_again(self._look, group="runs")

    async def _look(self) -> None:
        paths = await asyncio.to_thread(runs_in, Path.cwd(), self._named)
        for path, changed in paths:
            known = self._known.get(path)
            if known is None or known.changed != changed or known.work == "running":
                await self._read(path)
        self._show([path for path, _ in paths])

    async def _read(self, path: Path) -> None:
        """Read a run's file; one that answers slowly, as a locked one does, does not hide the others."""
        if path not in self._reading:
            self._reading[path] = asyncio.ensure_future(asyncio.to_thread(overview, path))
        done, _ = await asyncio.wait([self._reading[path]], timeout=_WAITS_S)
        if done:
            self._known[path] = self._reading.pop(path).result()
        else:
            self._known.setdefault(path, Overview(path=path, changed=0.0, trouble=self.words("state.locked")))

    def _show(self, paths: list[Path]) -> None:
        welcome = self.query_one("#welcome", Static)
        if not paths:
            lines = [self.words("home.none"), "", self.words("home.begin"), "", self.words("home.own")]
            welcome.update(Content("\n".join(lines)))
        was_there = self.runs.display
        welcome.display, self.runs.display = not paths, bool(paths)
        self.runs.show([self._known[path] for path in paths])
        if paths and not was_there:
            self.runs.focus()

    def _examine_again(self, again: bool | None) -> None:
        async def examined() -> None:
            self._diagnosis = None
            await self._examine()
            self.action_machine()

        if again:
            self.in_background(examined, group="machine")

    async def _examine(self) -> None:
        self._models = await asyncio.to_thread(_models)
        if self._diagnosis is None:
            self._diagnosis = self.escl.diagnosis = await asyncio.to_thread(
                _diagnosis, self.size.width, self.size.height, self.app.console.color_system
            )
        self._show_machine()

    def _show_machine(self) -> None:
        diagnosis = self._diagnosis
        assert diagnosis is not None
        failed, warned = diagnosis.count("fail"), diagnosis.count("warn")
        said, sign, style = self.words("home.ready"), "✓", "$success"
        if failed:
            said, sign, style = self.words("home.failed", n=failed), "×", "bold $error"
        elif warned:
            said, sign, style = self.words("home.warned", n=warned), "✓", "$success"
        parts = [Content.assemble((f"{sign} ", style), said, (f" {self.words('home.more')}", "$primary"))]
        if self._models is not None:
            here, known = self._models
            parts.append(Content.styled(self.words("home.models", here=here, known=known), "$muted"))
        self.query_one("#machine", Static).update(Content("   ").join(parts))


def _models() -> tuple[int, int]:
    """Return how many models are here, of how many the shelf knows."""
    from escl.shelf.inventory import inventory

    models = inventory()
    return sum(model.state == "here" for model in models), len(models)


def _diagnosis(columns: int, lines: int, colours: str | None) -> Diagnosis:
    from escl.doctor.diagnose import diagnose
    from escl.doctor.surroundings import Terminal

    return diagnose(
        Terminal(
            is_terminal=True,
            columns=columns,
            lines=lines,
            encoding="utf-8",
            colours=colours,
            no_color="NO_COLOR" in os.environ,
        )
    )
