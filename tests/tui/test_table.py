"""The table: whatever is painted or laid out between two steps of it, what is seen at last is what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.coordinate import Coordinate

from escl.tui.widgets.table import Table
from tests.tui.driving import seen

_Step = Callable[["_App"], object]


class _App(App[None]):
    CSS = "Table { height: auto; max-height: 1fr; } Vertical { height: 1fr; }"

    def compose(self) -> ComposeResult:
        table = Table(cursor_type="row")
        table.display = False
        yield Vertical(table)

    @property
    def table(self) -> Table:
        return self.query_one(Table)

    def fill(self, *words: str) -> None:
        self.table.clear()
        if not self.table.columns:
            self.table.add_column("word")
        for word in words:
            self.table.add_row(Text(word))
        self.table.display = True


def _shown_after(*steps: _Step | None) -> list[str]:
    """Do these steps at once, and wait at each None; return what is seen at last."""

    async def driven() -> str:
        app = _App()
        async with app.run_test(size=(40, 10)) as pilot:
            for step in (None, *steps, None):
                if step is not None:
                    step(app)
                    continue
                for _ in range(5):
                    await pilot.pause(0.02)
            return seen(app)

    return [row.strip() for row in asyncio.run(driven()).splitlines() if row.strip()]


def _paint(app: _App) -> None:
    app.table.render_lines(app.table.size.region)


def _lay_out(app: _App) -> None:
    app.screen._refresh_layout()


_BETWEEN: list[list[_Step | None]] = [[], [None], [_paint], [_lay_out], [_lay_out, _paint], [_lay_out, None, _paint]]


@pytest.mark.parametrize("between", _BETWEEN)
def test_a_table_that_was_filled_is_seen_whole(between: list[_Step | None]) -> None:
    steps = [lambda app: app.fill("short", "words"), *between, lambda app: app.fill("a much longer one"), _paint]
    assert _shown_after(*steps) == ["word", "a much longer one"]


@pytest.mark.parametrize("between", _BETWEEN)
def test_a_cell_that_needs_more_room_gets_it(between: list[_Step | None]) -> None:
    def grow(app: _App) -> None:
        app.table.update_cell_at(Coordinate(0, 0), Text("a much longer one"), update_width=True)

    steps = [lambda app: app.fill("short", "words"), *between, grow, _paint]
    assert _shown_after(*steps) == ["word", "a much longer one", "words"]
