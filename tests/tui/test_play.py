"""A person plays the supporter in the app: chooses, answers, leaves, goes on, and is rated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from escl.store.database import Database
from escl.store.run import RunStore
from escl.tui.app import EsclApp
from escl.tui.playing import Casting, Play
from escl.tui.screens.dialogues import DialoguesScreen
from escl.tui.screens.home import HomeScreen
from escl.tui.screens.play_chat import PlayChatScreen
from escl.tui.widgets.reply_box import ReplyBox
from tests.tui.driving import drive, finished_run, seen, type_keys, until
from tests.tui.plays import Idle, half_played, idle_play
from tests.tui.test_snapshots import assert_looks_as_before, settled


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.model
@pytest.mark.kill
def test_a_play_is_left_gone_on_with_and_rated(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "Press d for the demo")
        await type_keys(pilot, "p")
        await until(app, pilot, "en-marriage-1")
        await type_keys(pilot, "minus", "minus", "minus", "j", "enter")
        await until(app, pilot, "your turn")
        await type_keys(pilot, *"I am here.", "ctrl+j", *"Tell me.", "enter")
        await until(app, pilot, "reply 2 of 2")
        await type_keys(pilot, "escape", "escape")
        assert isinstance(app.screen, HomeScreen)
        # The run has stopped where it would have asked.
        await until(app, pilot, "stopped")
        await type_keys(pilot, "r")
        await until(app, pilot, "your turn")
        await type_keys(pilot, *"Good night.", "enter")
        shown = await until(app, pilot, "Finished and kept")
        assert "en-exams-1" in shown
        assert shown.count("◂") == 7
        await type_keys(pilot, "3")
        assert isinstance(app.screen, DialoguesScreen)
        await until(app, pilot, "1 of 1")

    drive(steps, size=(160, 48))
    with Database.reader(folder / "escl-play-1.db") as database:
        store = RunStore.read(database)
        (dialogue,) = store.dialogues()
        said = [turn.text for turn in store.turns(dialogue.id)]
        assert (dialogue.supporter, said[2], said[4]) == ("human", "I am here.\nTell me.", "Good night.")


def test_a_paste_is_one_reply_harmless_and_sent_in_one_line(folder: Path) -> None:
    path, process = half_played(folder / "play.db"), Idle()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(PlayChatScreen(app.words, idle_play(path, process)))
        await until(app, pilot, "your turn")
        app.post_message(Paste("one\x1b[2J\ntwo"))
        await until(app, pilot, "two")
        assert "\x1b" not in seen(app)
        await type_keys(pilot, "enter")
        await until(app, pilot, "the seeker is writing")
        assert process.heard.readline() == "one\ufffd[2J\u2028two\n".encode()

    drive(steps)


def test_a_question_mark_is_text_and_another_key_shows_the_help(folder: Path) -> None:
    path, process = half_played(folder / "play.db"), Idle()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(PlayChatScreen(app.words, idle_play(path, process)))
        shown = await until(app, pilot, "your turn")
        assert "F1 help" in shown
        await type_keys(pilot, "question_mark")
        assert app.screen.query_one(ReplyBox).text == "?"
        await type_keys(pilot, "f1")
        await until(app, pilot, "On this screen")

    drive(steps)


def test_a_reply_that_is_too_long_stays_where_it_is_written(folder: Path) -> None:
    path, process = half_played(folder / "play.db"), Idle()

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(PlayChatScreen(app.words, idle_play(path, process)))
        await until(app, pilot, "your turn")
        box = app.screen.query_one(ReplyBox)
        box.text = "x" * 1537
        await until(app, pilot, "too long: 1,537 of 1,536 bytes")
        await type_keys(pilot, "enter")
        assert len(box.text) == 1537
        box.text = "/quit"
        await type_keys(pilot, "enter")
        assert isinstance(app.screen, HomeScreen)
        process.heard.close()

    drive(steps)
    assert process.stdin.closed


def test_a_run_that_breaks_off_says_why_gives_the_reply_back_and_is_gone_on_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, process, second = half_played(folder / "play.db"), Idle(), Idle()
    path.with_suffix(".log").write_text("error: the disk is \x1b[31mfull\n", encoding="utf-8")

    def again(path: Path, casting: Casting) -> Play:
        return idle_play(path, second)

    monkeypatch.setattr("escl.tui.screens.play_chat.start_play", again)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(PlayChatScreen(app.words, idle_play(path, process)))
        await until(app, pilot, "your turn")
        await type_keys(pilot, *"I hear you.", "enter")
        await until(app, pilot, "the seeker is writing")
        process.code = 5
        shown = await until(app, pilot, "the disk is")
        assert "r goes on" in shown
        await type_keys(pilot, "r")
        await until(app, pilot, "your turn")
        await until(app, pilot, "I hear you.")
        await type_keys(pilot, "enter")
        await until(app, pilot, "the seeker is writing")
        assert second.heard.readline() == b"I hear you.\n"

    drive(steps)


def test_a_key_that_has_nothing_to_do_says_why_and_the_language_is_named(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "Press d for the demo")
        await type_keys(pilot, "p")
        await until(app, pilot, "both languages")
        await type_keys(pilot, "g")
        await until(app, pilot, "No play was left unfinished.")
        await type_keys(pilot, "s")
        await until(app, pilot, "no other seeker")
        await type_keys(pilot, "l")
        await until(app, pilot, "cards English")

    drive(steps, notifications=True)


def test_a_run_of_models_is_no_play_to_go_on_with(folder: Path) -> None:
    path = finished_run(folder / "models.db")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        app.play(path)
        await until(app, pilot, "is no play")

    drive(steps)


@pytest.mark.parametrize("theme", ["escl-dark", "escl-light"])
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_the_screens_of_a_play_look_as_before(folder: Path, size: tuple[int, int], theme: str) -> None:
    drawn: dict[str, str] = {}
    played = finished_run(folder / "played.db", text="I cannot sleep before a night shift. 睡不着。")
    half = half_played(folder / "half.db")
    os.utime(played, (1_700_000_000, 1_700_000_000))

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "✓ finished")
        await type_keys(pilot, "p")
        await until(app, pilot, "en-marriage-1")
        drawn["play"] = await settled(app, pilot)
        await app.push_screen(PlayChatScreen(app.words, idle_play(half, Idle())))
        await until(app, pilot, "your turn")
        drawn["play-chat"] = await settled(app, pilot)
        app.pop_screen()
        await app.push_screen(PlayChatScreen(app.words, idle_play(played, Idle(code=0))))
        await until(app, pilot, "Finished and kept")
        await until(app, pilot, "supporter  4")
        drawn["play-rated"] = await settled(app, pilot)

    drive(steps, size=size, theme=theme)
    for screen, picture in drawn.items():
        assert_looks_as_before(screen, picture, size=size, theme=theme)
