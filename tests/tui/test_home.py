"""Home says what each run came to, and takes care of it: gone on with, deleted, brought back."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from textual.events import Key as KeyPressed
from textual.pilot import Pilot

from escl.core.dimension import Dimension
from escl.doctor.finding import Diagnosis, ok
from escl.evaluation.results import chosen_judging, scored_of
from escl.report.html.shown import average
from escl.store.browse import Browser
from escl.store.database import Database
from escl.store.records import FailureRow
from escl.store.run import RunStore
from escl.store.watch import Watcher
from escl.tui.app import EsclApp
from escl.tui.processes import start
from escl.tui.screens.ask import AskScreen
from escl.tui.screens.home import HomeScreen
from escl.tui.screens.live import LiveScreen
from escl.tui.screens.run_screen import RunScreen
from tests.runs import begin, card, rated
from tests.tui.driving import drive, finished_run, type_keys, until


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_averages_are_those_of_the_report_best_first(folder: Path) -> None:
    labels: dict[str, dict[str, list[float | None]]] = {
        "low": {"a": [1.0, 2.0], "b": [None, 0.25]},
        "high": {"a": [3.5, 3.0], "b": [2.0, 4.0]},
    }
    cards = [card("c", crisis="violence")]
    for own in labels.values():
        own["c"] = [0.0]
    path = rated(folder / "one.db", labels, cards=cards)
    with Database.reader(path) as database:
        found = Browser(database).averages()
        store = RunStore.read(database)
        judging_id, _ = chosen_judging(store, None)
        assert judging_id is not None
        scored = [one for one in scored_of(store, judging_id) if not one.crisis]
    assert len(scored) == 2 * 4 * len(Dimension)
    assert list(found) == ["high", "low"]
    for name, mean in found.items():
        reported = average(one for one in scored if one.supporter == name).mean
        assert reported is not None
        assert mean * 25 == pytest.approx(reported)


def test_home_shows_cards_and_averages_of_what_is_finished_and_progress_of_the_rest(folder: Path) -> None:
    finished_run(folder / "one.db")
    begin(folder / "two.db").close()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        lines = (await until(app, pilot, "two.db")).splitlines()
        (one,) = (line for line in lines if "one.db" in line)
        assert one.split()[:7] == ["one.db", "✓", "finished", "4", "warm", "70,", "curt"]
        (two,) = (line for line in lines if "two.db" in line)
        assert two.split()[1:6] == ["×", "cut", "off", "1", "0%"]

    drive(steps)


def test_home_says_how_many_dialogues_of_a_finished_run_failed(folder: Path) -> None:
    store = begin(folder / "one.db")
    store.set_state(1, "speaking")
    store.add_failure(FailureRow(dialogue_id=1, error="GaveUpError", message="three times", position=1))
    store.finish("finished")
    store.close()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        shown = await until(app, pilot, "✓ finished")
        assert "1 failed · supporter" in shown

    drive(steps)


@pytest.mark.parametrize("reopened", [False, True])
def test_a_deleted_run_comes_back_also_in_another_app(folder: Path, *, reopened: bool) -> None:
    path = finished_run(folder / "one.db")

    async def delete(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "✓ finished")
        await type_keys(pilot, "x")
        await until(app, pilot, "No run is here yet")
        assert not path.exists()
        if not reopened:
            await undo(app, pilot)

    async def undo(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "No run is here yet")
        await type_keys(pilot, "u")
        await until(app, pilot, "✓ finished")
        await type_keys(pilot, "u")
        await until(app, pilot, "Nothing was deleted here")

    drive(delete, notifications=True)
    if reopened:
        drive(undo, notifications=True)
    assert path.exists()


def test_a_run_that_is_worked_on_is_not_deleted(folder: Path) -> None:
    path = finished_run(folder / "one.db")
    with Database.writer(path):

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            await until(app, pilot, "● running")
            await type_keys(pilot, "x")
            shown = await until(app, pilot, "another process is working")
            assert "stop it first" in shown
            assert "--out" not in shown
            await type_keys(pilot, "escape")
            await until(app, pilot, "● running")
            await type_keys(pilot, "r")
            await until(app, pilot, "enter watches it")

        drive(steps, notifications=True)
    assert path.exists()


def test_a_command_from_a_file_is_shown_harmlessly_and_not_started_unasked(folder: Path) -> None:
    command = "escl run '[@click=app.quit]x[/]' '\x1b[2J' --out elsewhere.db"
    store = begin(folder / "one.db")
    store.database.rows("UPDATE attempt SET command = ?", command)
    store.close()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "cut off")
        await type_keys(pilot, "r")
        shown = await until(app, pilot, "Go on with this run")
        assert "[@click=app.quit]x[/]" in shown
        assert "\x1b" not in shown
        assert "elsewhere" not in shown
        await type_keys(pilot, "escape")
        assert not isinstance(app.screen, AskScreen | LiveScreen)

    drive(steps, size=(100, 30))
    assert {path.name for path in folder.iterdir()} <= {"one.db", "one.db.lock"}


@pytest.mark.model
@pytest.mark.kill
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_run_goes_on_from_home_to_its_end(folder: Path) -> None:
    path = folder / "demo.db"
    words = ("demo", "--limit", "6", "--lang", "en", "--out", "demo.db")
    begun = start(path, words, folder=folder)

    async def kill(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "● running")
        os.killpg(begun._process.pid, signal.SIGKILL)
        await until(app, pilot, "× cut off")
        await type_keys(pilot, "r")
        await until(app, pilot, "Go on with this run")
        await type_keys(pilot, "enter")
        assert isinstance(app.screen, LiveScreen)
        await until(app, pilot, "The run is finished", within_s=120)

    drive(kill)
    with Database.reader(path) as database:
        progress = Watcher(database).progress()
        assert progress.outcome == "finished"
        assert len(database.rows("SELECT 1 FROM attempt")) == 2


def test_the_machine_is_looked_at_again_when_that_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mended = Diagnosis(escl="0", findings=(ok("memory", "32 GiB"),))
    monkeypatch.setattr("escl.tui.screens.home._diagnosis", lambda columns, lines, colours: mended)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "with 1 to note")
        await type_keys(pilot, "c")
        await until(app, pilot, "close programs")
        await type_keys(pilot, "r")
        await until(app, pilot, "32 GiB")
        await type_keys(pilot, "escape")
        await until(app, pilot, "This machine is ready. ")

    drive(steps)


def test_models_that_came_are_counted_when_home_is_seen_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([(5, 11), (6, 12)])
    monkeypatch.setattr("escl.tui.screens.home._models", lambda: next(counts, (6, 12)))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "models here: 5 of 11")
        await type_keys(pilot, "m")
        await until(app, pilot, "demo/warm")
        await type_keys(pilot, "escape")
        await until(app, pilot, "models here: 6 of 12")

    drive(steps)


def test_enter_pressed_twice_at_once_opens_a_run_once_and_escape_leads_home(folder: Path) -> None:
    finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "one.db")
        for _ in range(2):
            app.post_message(KeyPressed("enter", None))
        await until(app, pilot, "warm · Fluency")
        assert sum(isinstance(one, RunScreen) for one in app.screen_stack) == 1
        await type_keys(pilot, "escape")
        await until(app, pilot, "n new run")
        assert isinstance(app.screen, HomeScreen)

    drive(steps)


def test_home_stands_on_the_run_that_was_left(folder: Path) -> None:
    for at, name in enumerate(("one.db", "two.db", "three.db")):
        os.utime(finished_run(folder / name), (at, at))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "one.db")
        home = app.screen
        assert isinstance(home, HomeScreen)
        chosen = home.runs.chosen
        assert chosen is not None
        assert chosen.path.name == "three.db"
        app.open_run(folder / "one.db", view="scores")
        await until(app, pilot, "scores 0-100")
        await type_keys(pilot, "escape")
        while (chosen := home.runs.chosen) is None or chosen.path.name != "one.db":
            await pilot.pause(0.01)

    drive(steps)


def test_of_a_file_that_is_no_run_the_reason_is_seen_where_there_is_little_room(folder: Path) -> None:
    broken = finished_run(folder / "broken.db")
    broken.write_bytes(broken.read_bytes()[:4096])

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        shown = await until(app, pilot, "unreadable")
        assert str(folder) not in shown
        assert "cannot be opened" in shown

    drive(steps, size=(80, 24))
