"""A person finds the way: from Home to the scores, to the dialogues behind a cell, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from escl.tui.app import EsclApp
from escl.tui.screens.dialogues import DialoguesScreen
from escl.tui.screens.live import LiveScreen
from escl.tui.screens.scores import ScoresScreen
from escl.tui.themes import THEMES
from tests.tui.driving import drive, finished_run, seen, type_keys, until


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_home_without_runs_leads_to_the_demo(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        shown = await until(app, pilot, "Press d for the demo")
        assert "This machine is ready, with 1 to note." in shown

    drive(steps)


def test_home_lists_runs_and_enter_opens_the_scores(folder: Path) -> None:
    finished_run(folder / "one.db")
    (folder / "other.db").write_bytes(b"not a run")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        shown = await until(app, pilot, "one.db")
        assert "finished" in shown
        assert "warm 70, curt 45" in shown
        assert "other.db" not in shown
        await type_keys(pilot, "enter")
        assert isinstance(app.screen, ScoresScreen)
        shown = await until(app, pilot, "Fluency")
        assert shown.index("warm") < shown.index("curt")
        await type_keys(pilot, "escape")
        await until(app, pilot, "enter open")

    drive(steps)


def test_enter_on_a_cell_lists_its_dialogues_the_lowest_first(folder: Path) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "Fluency")
        await type_keys(pilot, "j", "l", "enter")
        assert isinstance(app.screen, DialoguesScreen)
        shown = await until(app, pilot, "1 of 4")
        assert "curt · English · Expression" in shown
        assert "lowest first" in shown
        assert "curt · card-3" in shown
        await type_keys(pilot, "escape")
        await until(app, pilot, "warm · Fluency")
        assert isinstance(app.screen, ScoresScreen)
        # Asked for by themselves they lead Home, as every view does.
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 4")
        await type_keys(pilot, "escape")
        await until(app, pilot, "n new run")

    drive(steps, path, size=(160, 48))


def test_sorting_puts_the_best_first_and_says_by_what(folder: Path) -> None:
    path = finished_run(folder / "one.db", supporters=("zeta", "alpha"))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "zeta · Fluency")
        await type_keys(pilot, "s")
        shown = await until(app, pilot, "Fluency▼")
        assert shown.index("zeta") < shown.index("alpha")

    drive(steps, path)


def test_dialogues_step_filter_and_search(folder: Path) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        assert seen(app).count("I cannot sleep.") == 5
        await type_keys(pilot, "n", "n")
        await until(app, pilot, "3 of 8")
        await type_keys(pilot, "p")
        await until(app, pilot, "2 of 8")
        await type_keys(pilot, "s")
        await until(app, pilot, "1 of 4")
        await type_keys(pilot, "c")
        await until(app, pilot, "1 of 8")
        await type_keys(pilot, "slash", *"card-2")
        await until(app, pilot, "1 of 2")
        await type_keys(pilot, *" zebra")
        await until(app, pilot, "No dialogue is like that")
        await type_keys(pilot, "enter", "c")
        await until(app, pilot, "1 of 8")

    drive(steps, path, size=(160, 48))


def test_on_a_narrow_terminal_tab_changes_between_list_and_dialogue(folder: Path) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "3")
        shown = await until(app, pilot, "1 of 8")
        assert "I cannot sleep." in shown
        await type_keys(pilot, "tab")
        shown = await until(app, pilot, "as planned")
        assert "I cannot sleep." not in shown
        await type_keys(pilot, "j", "enter")
        await until(app, pilot, "2 of 8")

    drive(steps, path)


def test_help_shows_the_keys_of_its_screen(folder: Path) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        for view, word in (("1", "stop after this turn"), ("2", "its dialogues"), ("3", "copy dialogue")):
            await type_keys(pilot, view, "question_mark")
            shown = await until(app, pilot, "On this screen")
            assert word in shown
            await type_keys(pilot, "escape")

    drive(steps, path, size=(100, 40))


def test_themes_and_language_change_while_a_run_is_open(folder: Path) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "Fluency")
        for theme in (*THEMES[1:], THEMES[0]):
            await type_keys(pilot, "t")
            assert app.theme == theme.name
        await type_keys(pilot, "ctrl+l")
        assert isinstance(app.screen, ScoresScreen)
        await until(app, pilot, "流畅性")
        await type_keys(pilot, "escape")
        await until(app, pilot, "本机已就绪")

    drive(steps, path)


def test_the_palette_does_what_a_key_does(folder: Path) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "finished")
        await type_keys(pilot, "ctrl+p")
        await pilot.pause(0.1)
        await type_keys(pilot, *"scores")
        await pilot.pause(0.5)
        await type_keys(pilot, "enter")
        await until(app, pilot, "Fluency")
        assert isinstance(app.screen, ScoresScreen)

    drive(steps, path)


def test_the_palette_speaks_the_apps_language(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "本机已就绪")
        await type_keys(pilot, "ctrl+p")
        await until(app, pilot, "查找命令…")
        await type_keys(pilot, "ctrl+p", "escape")
        await until(app, pilot, "本机已就绪")

    drive(steps, language="zh")


def test_a_run_that_is_named_is_opened(folder: Path) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "The run is finished")
        assert isinstance(app.screen, LiveScreen)

    drive(steps, path)
