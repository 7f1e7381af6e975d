"""Home: the runs that are here, the way to a first one, and whether this machine is ready."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Static

from escl.tui.keys import Key, bindings
from escl.tui.overview import Overview, overview, runs_in
from escl.tui.plain import cell, line
from escl.tui.processes import start_demo
from escl.tui.screens.machine import MachineScreen
from escl.tui.screens.run_screen import EsclScreen

if TYPE_CHECKING:
    from rich.text import Text

    from escl.doctor.finding import Diagnosis
    from escl.tui.app import EsclApp
    from escl.tui.strings import Strings

_AGAIN_S = 3.0
_LOOK_AFTER_S, _EXAMINE_AFTER_S = 0.02, 0.3
_SIGNS = {"running": "●", "finished": "✓", "interrupted": "‖", "error": "×", "killed": "×"}


class HomeScreen(EsclScreen):
    """The list of runs. Looks again every few seconds, at changed files only."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key(keys="enter", action="open", name="key.open"),
        Key(keys="d", action="demo", name="key.demo"),
        Key(keys="m", action="machine", name="key.machine"),
        Key(keys="r", action="refresh_runs", name="key.refresh", in_bar=False),
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
        self._shown: list[Path] = []
        self._diagnosis = diagnosis

    @property
    def escl(self) -> EsclApp:
        """The app, as what it is."""
        from escl.tui.app import EsclApp

        assert isinstance(self.app, EsclApp)
        return self.app

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        table: DataTable[Text] = DataTable(cursor_type="row", cell_padding=1, id="runs")
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
        table = self.query_one(DataTable)
        for name in ("file", "state", "dialogues", "supporters", "date"):
            table.add_column(cell(self.words(f"home.{name}")), key=name)
        self.set_interval(_AGAIN_S, self._look_again)
        # What these import would hold up the first paint.
        self.set_timer(_LOOK_AFTER_S, self.load)
        if self._diagnosis is None:
            self.set_timer(_EXAMINE_AFTER_S, lambda: self.in_background(self._examine, group="machine"))
        else:
            self._show_diagnosis(self._diagnosis)

    def on_screen_resume(self) -> None:
        """Look again after another screen."""
        if self._shown:
            self.load()

    def load(self) -> None:
        """Look at the run files."""
        self.in_background(self._look, group="runs")

    def action_refresh_runs(self) -> None:
        """Look at every file again, changed or not."""
        self._known.clear()
        self.load()

    def action_move(self, by: int) -> None:
        """Move in the list."""
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + by)

    def action_open(self) -> None:
        """Open the run under the cursor where there is most to see."""
        row = self.query_one(DataTable).cursor_row
        if not 0 <= row < len(self._shown):
            return
        known = self._known.get(self._shown[row])
        if known is None or known.progress is None:
            self.say_failed(self.words("state.unreadable") if known is None else known.trouble or "", None)
        elif known.work != "finished":
            self.escl.open_run(known.path, view="live")
        else:
            self.escl.open_run(known.path, view="dialogues" if known.progress.n_readings is None else "scores")

    def on_data_table_row_selected(self) -> None:
        """Open the run that was clicked."""
        self.action_open()

    def action_demo(self) -> None:
        """Start the demo, and watch it."""
        try:
            started = start_demo(Path.cwd())
        except OSError as error:
            self.say_failed(str(error), None)
            return
        self.escl.open_run(started.path, view="live", started=started)

    def action_machine(self) -> None:
        """Show what was found about the machine."""
        if self._diagnosis is not None:
            self.app.push_screen(MachineScreen(self.words, self._diagnosis))

    def _look_again(self) -> None:
        if self.is_current:
            self.load()

    async def _look(self) -> None:
        paths = await asyncio.to_thread(runs_in, Path.cwd(), self._named)
        for path, changed in paths:
            known = self._known.get(path)
            if known is None or known.changed != changed or known.work == "running":
                self._known[path] = await asyncio.to_thread(overview, path)
        self._show([path for path, _ in paths])

    def _show(self, paths: list[Path]) -> None:
        table, welcome = self.query_one(DataTable), self.query_one("#welcome", Static)
        if not paths:
            muted = [self.words("home.none"), "", self.words("home.begin"), "", self.words("home.own")]
            welcome.update(Content("\n".join(muted)))
        welcome.display, table.display = not paths, bool(paths)
        rows = [self._row(self._known[path]) for path in paths]
        if paths == self._shown:
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    if table.get_cell_at((at, column)) != value:  # type: ignore[arg-type]
                        table.update_cell_at((at, column), value, update_width=True)  # type: ignore[arg-type]
            return
        under = self._shown[table.cursor_row] if self._shown and table.cursor_row < len(self._shown) else None
        table.clear()
        table.add_rows(rows)
        self._shown = paths
        if under in paths:
            table.move_cursor(row=paths.index(under))
        if paths:
            table.focus()

    def _row(self, run: Overview) -> list[Text]:
        date = time.strftime("%m-%d %H:%M", time.localtime(run.changed)) if run.changed else ""
        room = max(12, self.size.width - 62)
        name = cell(line(_short(run.path), 24), "bold")
        if run.progress is None or run.work is None:
            return [
                name,
                cell(self.words("state.unreadable")),
                cell(""),
                cell(line(run.trouble or "", room)),
                cell(date),
            ]
        states = run.progress.dialogues
        return [
            name,
            cell(f"{_SIGNS[run.work]} {self.words('state.' + run.work)}"),
            cell(f"{states['complete']}/{sum(states.values())}", justify="right"),
            cell(line(", ".join(run.progress.supporters[:8]), room)),
            cell(date),
        ]

    async def _examine(self) -> None:
        diagnosis = await asyncio.to_thread(
            _diagnosis, self.size.width, self.size.height, self.app.console.color_system
        )
        self._diagnosis = self.escl.diagnosis = diagnosis
        self._show_diagnosis(diagnosis)

    def _show_diagnosis(self, diagnosis: Diagnosis) -> None:
        failed, warned = diagnosis.count("fail"), diagnosis.count("warn")
        said, sign, style = self.words("home.ready"), "✓", "$success"
        if failed:
            said, sign, style = self.words("home.failed", n=failed), "×", "bold $error"
        elif warned:
            said, sign, style = self.words("home.warned", n=warned), "✓", "$success"
        more = (f"  {self.words('home.more')}", "$muted")
        self.query_one("#machine", Static).update(Content.assemble((f"{sign} ", style), said, more))


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


def _short(path: Path) -> str:
    """Return how a run is called: its file's name, with its folder where that is not this one."""
    return path.name if path.resolve().parent == Path.cwd() else str(path)
