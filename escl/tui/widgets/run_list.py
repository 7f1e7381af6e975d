"""The runs as a table: as many columns as the width allows, the cursor on its run whatever comes and goes."""

from __future__ import annotations

import time
from pathlib import Path

from rich.text import Text

from escl.core.dimension import LABEL_TO_PERCENT
from escl.tui.overview import Overview
from escl.tui.plain import cell, line
from escl.tui.strings import Strings
from escl.tui.widgets.table import Table

_SIGNS = {"running": "●", "finished": "✓", "interrupted": "‖", "error": "×", "killed": "×"}
_WIDE_FROM = 110
_NARROW, _WIDE = (
    ("file", "state", "cards", "supporters", "date"),
    (
        "file",
        "state",
        "dialogues",
        "cards",
        "supporters",
        "scorer",
        "date",
    ),
)
_ROOM = {"file": 18, "state": 10, "cards": 5, "date": 5, "dialogues": 9, "scorer": 18}
_WIDE_ROOM = {"file": 30, "date": 16}
_MOST_SUPPORTERS = 8


class RunList(Table):
    """One row for each run."""

    def __init__(self, words: Strings) -> None:
        super().__init__(cursor_type="row", cell_padding=1, id="runs")
        self._words = words
        self._runs: list[Overview] = []
        self._columns: tuple[str, ...] = ()
        self._sought: Path | None = None

    @property
    def chosen(self) -> Overview | None:
        """The run under the cursor."""
        return self._runs[self.cursor_row] if 0 <= self.cursor_row < len(self._runs) else None

    def stand_on(self, path: Path) -> None:
        """Go to this run when it is shown next."""
        self._sought = path

    def show(self, runs: list[Overview]) -> None:
        """List these runs; only what has changed is written anew."""
        wanted = _WIDE if self.screen.size.width >= _WIDE_FROM else _NARROW
        before, under = [run.path for run in self._runs], self._sought
        if under is None and self.chosen is not None:
            under = self.chosen.path
        paths = [run.path for run in runs]
        self._runs = runs
        rows = [[self._cell(run, column) for column in wanted] for run in runs]
        if paths == before and wanted == self._columns:
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    if self.get_cell_at((at, column)) != value:  # type: ignore[arg-type]
                        self.update_cell_at((at, column), value, update_width=True)  # type: ignore[arg-type]
            self._find(under, paths, else_row=self.cursor_row)
            return
        row_before = self.cursor_row
        self.clear(columns=wanted != self._columns)
        if wanted != self._columns:
            for name in wanted:
                self.add_column(cell(self._words(f"home.{name}")), key=name)
            self._columns = wanted
        self.add_rows(rows)
        self._find(under, paths, else_row=row_before)

    def _find(self, under: Path | None, paths: list[Path], *, else_row: int) -> None:
        """Put the cursor on its run; where that is gone, on the one that took its place."""
        if under is None:
            return
        row = paths.index(under) if under in paths else min(else_row, len(paths) - 1)
        if under == self._sought and under in paths:
            self._sought = None
        if row != self.cursor_row:
            self.move_cursor(row=row)

    def _cell(self, run: Overview, column: str) -> Text:
        if column == "file":
            return cell(line(_short(run.path), self._room("file")), "bold")
        if column == "date":
            return cell(self._date(run))
        if run.progress is None or run.work is None:
            # The path would leave no room for the reason.
            why = (run.trouble or "").removeprefix(str(run.path)).lstrip(": ")
            unreadable = {"state": self._words("state.unreadable"), "supporters": why}
            return cell(line(unreadable.get(column, ""), self._room(column)))
        states = run.progress.dialogues
        match column:
            case "state":
                if run.is_paused:
                    return cell(f"‖ {self._words('state.paused')}")
                return cell(f"{_SIGNS[run.work]} {self._words('state.' + run.work)}")
            case "dialogues":
                return cell(f"{states['complete']}/{sum(states.values())}", justify="right")
            case "cards":
                return cell(f"{run.progress.n_cards:,}", justify="right")
            case "scorer":
                return cell(line(run.progress.scorer or "–", self._room("scorer")))
            case _:
                failed = f"{self._words('home.some_failed', n=states['failed'])} · " if states["failed"] else ""
                return cell(line(failed + self._supporters(run, run.progress.supporters), self._room(column)))

    def _supporters(self, run: Overview, names: list[str]) -> str:
        """Return who is tested, with what each came to, or with how far the run is."""
        digits = 1 if self._columns == _WIDE or self.screen.size.width >= _WIDE_FROM else 0
        if run.averages:
            unread = [name for name in names if name not in run.averages]
            scores = [f"{name} {mean * LABEL_TO_PERCENT:.{digits}f}" for name, mean in run.averages.items()]
            return ", ".join([*scores, *unread][:_MOST_SUPPORTERS])
        who = ", ".join(names[:_MOST_SUPPORTERS])
        share = run.share_done
        return who if share is None or run.work == "finished" else f"{share:.0%}  {who}"

    def _date(self, run: Overview) -> str:
        if not run.changed:
            return ""
        form = "%Y-%m-%d %H:%M" if self._room("date") > _ROOM["date"] else "%m-%d"
        return time.strftime(form, time.localtime(run.changed))

    def _room(self, column: str) -> int:
        """Return the cells that a column has; the supporters have what the others leave."""
        width = self.screen.size.width
        is_wide = width >= _WIDE_FROM
        rooms = _ROOM | (_WIDE_ROOM if is_wide else {})
        if column in rooms:
            return rooms[column]
        columns = _WIDE if is_wide else _NARROW
        margins = 2 * len(columns) + (8 if is_wide else 4)
        return max(12, width - margins - sum(rooms[name] for name in columns if name in rooms))


def _short(path: Path) -> str:
    """Return how a run is called: its file's name, with its folder where that is not this one."""
    return path.name if path.resolve().parent == Path.cwd() else str(path)
