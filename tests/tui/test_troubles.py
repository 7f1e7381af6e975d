"""What goes wrong becomes a message with a way on, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner

from escl.cli.main import app as commands
from escl.errors import StorageError
from escl.store.database import Database
from escl.store.records import FailureRow
from escl.tui.app import EsclApp
from escl.tui.open_run import OpenRun
from escl.tui.processes import Started, ask_to_stop
from escl.tui.screens.home import HomeScreen
from tests.runs import begin
from tests.tui.driving import drive, finished_run, seen, type_keys, until


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_damaged_run_is_listed_and_says_why_it_cannot_be_read(folder: Path) -> None:
    path = finished_run(folder / "bad.db")
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    path.write_bytes(content)
    finished_run(folder / "good.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        shown = await until(app, pilot, "bad.db")
        assert "unreadable" in shown
        assert "good.db" in shown
        app.open_run(path, view="scores")
        await until(app, pilot, "This did not work")
        await type_keys(pilot, "escape")
        await until(app, pilot, "good.db")
        assert isinstance(app.screen, HomeScreen)

    drive(steps)


def test_a_file_that_vanishes_while_it_is_read_is_told_and_left(folder: Path) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "The run is finished")
        await type_keys(pilot, "3")
        await until(app, pilot, "1 of 8")
        path.unlink()
        await type_keys(pilot, "n")
        await until(app, pilot, "is not there any more")
        await type_keys(pilot, "r")
        await until(app, pilot, "is not there")
        await type_keys(pilot, "escape")
        await until(app, pilot, "n new run")

    drive(steps, path)


def test_a_locked_file_is_told_and_waited_for_while_keys_work(folder: Path) -> None:
    path = finished_run(folder / "one.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "looking…")
        # Far less than SQLite waits by itself.
        await until(app, pilot, "locked by another program: tried again", within_s=20)
        await type_keys(pilot, "2")
        await until(app, pilot, "working out the scores")
        await until(app, pilot, "locked by another program: tried again", within_s=20)
        await type_keys(pilot, "question_mark")
        await until(app, pilot, "On this screen")
        await type_keys(pilot, "escape")
        other.execute("ROLLBACK")
        await until(app, pilot, "Fluency")
        while "locked by" in seen(app):
            await pilot.pause(0.01)

    drive(steps, path)
    other.close()


@pytest.mark.parametrize("query", ["SELECT 1 FROM run", "SELECT 1 FROM no_such_table"])
def test_a_question_waits_for_the_lock_however_often_it_is_refused_and_tells_other_errors(
    folder: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr("escl.tui.open_run.WAITS_S", 0.01)
    path = finished_run(folder / "one.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    run = OpenRun(path)

    async def asked() -> int:
        found = asyncio.ensure_future(run.ask(lambda database: len(database.rows(query))))
        while not run.is_locked:
            await asyncio.sleep(0.01)
        assert not found.done()
        other.execute("ROLLBACK")
        return await found

    if "no_such" in query:
        with pytest.raises(StorageError, match="no_such_table"):
            asyncio.run(asked())
    else:
        assert asyncio.run(asked()) == 1
    assert not run.is_locked
    run.close()
    other.close()


def test_a_run_that_was_cut_off_says_how_to_go_on_and_what_failed(folder: Path) -> None:
    path = folder / "cut.db"
    store = begin(path)
    store.set_state(1, "speaking")
    store.add_failure(FailureRow(dialogue_id=1, error="EngineCrashedError", message="the child died", position=1))
    store.close()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        shown = await until(app, pilot, "run the same command again")
        assert "cut off" in shown
        assert "EngineCrashedError: the child died" in shown

    drive(steps, path)


def test_a_command_that_ends_before_its_run_began_shows_what_it_said(folder: Path) -> None:
    log = folder / "x.log"
    with log.open("wb") as said:
        process = subprocess.Popen([sys.executable, "-c", "print('error: no memory'); exit(4)"], stdout=said)
    process.wait()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        app.open_run(folder / "x.db", view="live", started=Started(folder / "x.db", process, log))
        shown = await until(app, pilot, "error: no memory")
        assert "× failed" in shown
        await type_keys(pilot, "escape")
        await until(app, pilot, "n new run")

    drive(steps)


@pytest.mark.kill
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_process_that_works_on_a_run_is_asked_to_stop_as_by_ctrl_c(folder: Path) -> None:
    path = finished_run(folder / "one.db")
    program = (
        "import sys, pathlib, time; from escl.store.database import Database\n"
        "database = Database.writer(pathlib.Path(sys.argv[1])); print('held', flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    sys.exit(7)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert ask_to_stop(path) is True
        assert process.wait(30) == 7


def test_no_process_is_asked_to_stop_where_none_works_on_the_run(folder: Path) -> None:
    assert ask_to_stop(finished_run(folder / "one.db")) is False


@pytest.mark.parametrize("size", [(40, 10), (2, 2)])
def test_a_tiny_terminal_shows_what_fits_and_comes_back(folder: Path, size: tuple[int, int]) -> None:
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "The run is finished")
        for view, words in (("2", "Fluency"), ("3", "1 of 8"), ("1", "finished")):
            await type_keys(pilot, view)
            await until(app, pilot, words)
            await pilot.resize_terminal(*size)
            await pilot.pause(0.05)
            await type_keys(pilot, "question_mark", "escape", "j", "tab")
            await pilot.resize_terminal(80, 24)
            await until(app, pilot, "esc back")
        await type_keys(pilot, "escape")
        await pilot.resize_terminal(*size)
        await pilot.pause(0.05)
        await pilot.resize_terminal(80, 24)
        await until(app, pilot, "one.db")
        assert "one.db" in seen(app)

    drive(steps, path)


def test_no_color_leaves_no_colour_and_every_sign(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    path = finished_run(folder / "one.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "✓ finished")
        await type_keys(pilot, "2")
        await until(app, pilot, "▸70.3")
        assert app.no_color
        for strip in app.screen._compositor.render_strips():
            for segment in strip.apply_filter(app._filters[0], app.styles.background):
                colour = segment.style.color if segment.style is not None else None
                if colour is not None and colour.triplet is not None:
                    assert len(set(colour.triplet)) == 1, segment

    drive(steps, path)


@pytest.mark.parametrize("view", ["scores", "dialogues", "compare"])
def test_a_word_in_the_file_that_escl_does_not_know_is_told_as_damage_and_led_away_from(
    folder: Path, view: str
) -> None:
    path = finished_run(folder / "odd.db")
    with Database.writer(path) as database, database.transaction() as connection:
        connection.execute("UPDATE card SET category = 'x'")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "odd.db")
        app.open_run(path, view=view)
        shown = await until(app, pilot, "This did not work")
        assert "is damaged" in shown
        assert "bug in escl" not in shown
        await type_keys(pilot, "escape")
        await until(app, pilot, "n new run")

    drive(steps, size=(160, 48))
    for words in (["report", str(path)], ["compare", str(path)]):
        done = CliRunner().invoke(commands, words)
        assert isinstance(done.exception, StorageError)
        assert "card-0: Invalid enum value 'x'" in done.exception.message


def test_home_lists_the_other_runs_while_one_is_locked_and_that_one_when_it_is_free(folder: Path) -> None:
    finished_run(folder / "good.db")
    path = finished_run(folder / "stuck.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        shown = await until(app, pilot, "locked by another program", within_s=20)
        assert "good.db" in shown
        assert "stuck.db" in shown
        other.execute("ROLLBACK")
        for _ in range(3000):
            await pilot.pause(0.01)
            if seen(app).count("✓ finished") == 2:
                break
        assert seen(app).count("✓ finished") == 2

    drive(steps)
    other.close()
