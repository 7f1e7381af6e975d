"""Whatever is the matter with a run's file, every view of it says so, offers a way on, and takes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from escl.tui.app import EsclApp
from escl.tui.screens.home import HomeScreen
from escl.tui.screens.run_screen import RunScreen
from tests.tui.driving import drive, finished_run, type_keys, until
from tests.tui.every_screen import SCREENS, rest, show

VIEWS = [one for one in SCREENS if issubclass(one, RunScreen)]
ASKED_FIRST = {"rate": ("a", "n", "n", "enter")}
"""What a view wants to know before it looks into the file; it asks that again when the file cannot be read."""


def _missing(path: Path) -> None:
    path.unlink()


def _damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _foreign(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE run (x)")
    other.close()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return finished_run(tmp_path / "run.db")


@pytest.mark.parametrize("harm", [_missing, _damaged, _cut, _foreign])
@pytest.mark.parametrize("screen", VIEWS, ids=lambda one: one.__name__)
def test_a_view_of_a_file_that_cannot_be_read_says_why_and_leads_home(
    path: Path, screen: type[RunScreen], harm: Callable[[Path], None]
) -> None:
    harm(path)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await rest(app, pilot)
        app.open_run(path, view=screen.VIEW)
        await rest(app, pilot)
        asked = ASKED_FIRST.get(screen.VIEW, ())
        await type_keys(pilot, *asked)
        shown = await until(app, pilot, "This did not work")
        assert "bug in escl" not in shown
        await type_keys(pilot, "r")
        await rest(app, pilot)
        await until(app, pilot, "This did not work")
        await type_keys(pilot, "escape")
        await rest(app, pilot)
        await type_keys(pilot, *(["escape"] if asked else []))
        await rest(app, pilot)
        assert isinstance(app.screen, HomeScreen)

    drive(steps)


@pytest.mark.parametrize("screen", VIEWS, ids=lambda one: one.__name__)
def test_a_view_whose_file_goes_away_says_so_whatever_is_asked_next(path: Path, screen: type[RunScreen]) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await show(app, pilot, screen, path)
        path.unlink()
        asked = ASKED_FIRST.get(screen.VIEW, ())
        if asked:
            await type_keys(pilot, *asked)
        else:
            app.screen.load()  # type: ignore[attr-defined]
        shown = await until(app, pilot, "is not there")
        assert "bug in escl" not in shown
        for _ in range(2 if asked else 1):
            await type_keys(pilot, "escape")
            await rest(app, pilot)
        assert isinstance(app.screen, HomeScreen)

    drive(steps)
