"""A run at work is watched: what is being said, what the memory holds, who came and went; it is paused and goes on."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from textual.pilot import Pilot

from escl.core.dialogue import Speaker
from escl.store import beside
from escl.store.beside import Now, Speech
from escl.store.records import FailureRow
from escl.store.residents import Share
from escl.store.watch import Said
from escl.tui.app import EsclApp
from escl.tui.screens import live as live_module
from escl.tui.screens.live import LiveScreen
from escl.tui.screens.notice import NoticeScreen
from escl.tui.strings import Strings
from escl.tui.widgets.residents import memory_bar
from escl.tui.widgets.speaking import speaking_lines
from tests.tui.driving import drive, seen, type_keys, until
from tests.tui.live_runs import run_at_work, say, tell
from tests.tui.test_snapshots import assert_looks_as_before, folder, settled

__all__ = ["folder"]

ENGLISH = Strings("en")


def test_what_is_being_said_grows_and_becomes_the_next_turn(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with run_at_work(path, text="Good evening.") as store:

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            tell(store, "That sounds")
            await until(app, pilot, "That sounds▌")
            tell(store, "That sounds hard. 睡不着")
            shown = await until(app, pilot, "That sounds hard. 睡不着▌")
            assert "turn 3, seeker" in shown
            say(store, 1, 3, "That sounds hard. 睡不着吗?")
            tell(store, "I hear", of=(1,))
            shown = await until(app, pilot, "turn 4, supporter")
            assert "I hear▌" in shown

        drive(steps, path, size=(160, 48))


def test_watching_says_so_and_leaving_says_it_no_more(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with run_at_work(path) as store:

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            await until(app, pilot, "Being spoken")
            assert beside.watched_at(path) is not None
            store.finish("finished")
            store.close()
            await until(app, pilot, "✓ finished")

        drive(steps, path)
    assert {one.name for one in tmp_path.iterdir()} <= {"one.db", "one.db.lock"}


def test_p_pauses_and_goes_on(folder: Path) -> None:
    path = folder / "one.db"
    with run_at_work(path):

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            # Home says "running" too, before this run is opened.
            await until(app, pilot, "Being spoken")
            await type_keys(pilot, "p")
            await until(app, pilot, "‖ paused")
            assert beside.is_paused(path)
            await type_keys(pilot, "p")
            await until(app, pilot, "● running")
            assert not beside.is_paused(path)
            # Another terminal pauses it.
            beside.pause(path)
            await until(app, pilot, "‖ paused")
            await type_keys(pilot, "escape")
            await until(app, pilot, "Emotional-support models")
            shown = await until(app, pilot, "‖ paused")
            assert "one.db" in shown

        drive(steps, path)


def test_memory_swaps_and_speed_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with run_at_work(path) as store:

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            tell(store, "Oh", n_generated=10)
            shown = await until(app, pilot, "CUDA0")
            assert "15.0 GiB of 22.0 GiB" in shown
            assert "weights 10.0 GiB" in shown
            assert "KV 4.0 GiB" in shown
            assert "− curt" in shown
            assert "after 1:30" in shown
            assert "+ warm" in shown
            assert "in 4.2 s" in shown
            for n in itertools.count(2):
                tell(store, "Oh", n_generated=n * 1000)
                say(store, 1, n + 1, "Oh")
                await pilot.pause(0.1)
                rows = {row.split()[0]: row for row in seen(app).splitlines() if "/s " in row}
                if all("▇" in rows.get(name, "") for name in ("tokens/s", "turns/s")):
                    break
                assert n < 500, seen(app)

        drive(steps, path, size=(160, 48))


def test_failures_are_shown_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with run_at_work(path) as store:

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            await until(app, pilot, "Being spoken")
            assert "Failures" not in seen(app)
            crash = FailureRow(dialogue_id=2, error="GaveUpError", message="the engine died three times", position=3)
            store.add_failure(crash)
            await until(app, pilot, "GaveUpError: the engine died")

        drive(steps, path, size=(160, 48))


def test_of_many_failures_of_a_run_at_work_the_latest_have_a_line_each_with_its_words_apart(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with run_at_work(path) as store:
        for at in range(1, 6):
            store.add_failure(FailureRow(dialogue_id=at, error="SupporterError", message="no reply " * 60, position=2))

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            shown = await until(app, pilot, "and 4 earlier")
            rows = shown.splitlines()
            (at,) = (at for at, row in enumerate(rows) if "×" in row)
            assert "moving warm  turns 2  SupporterError: no reply" in rows[at]
            assert "and 4 earlier" in rows[at + 1]
            store.finish("error")
            store.close()
            ended = await until(app, pilot, "× failed")
            assert "earlier" not in ended

        drive(steps, path)


def test_a_run_that_has_ended_has_no_time_left(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with run_at_work(path) as store:

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            await until(app, pilot, "Being spoken")
            say(store, 1, 3, "Oh")
            await until(app, pilot, " left")
            store.finish("interrupted")
            store.close()
            ended = await until(app, pilot, "‖ stopped")
            assert " left" not in ended
            # Nor is it offered to stop or pause it.
            assert ENGLISH("key.stop") not in ended
            assert ENGLISH("key.pause") not in ended

        drive(steps, path)


@pytest.mark.parametrize("size", [(80, 24), (160, 48), (40, 10)])
def test_hostile_text_that_is_being_said_is_shown_harmlessly(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "one.db"
    hostile = "\x1b[2J\x9b31m[@click=app.quit]x[/]\u202eevil\r\n" * 20
    with run_at_work(path, text=hostile) as store:
        with store.database.transaction() as connection:
            connection.execute("UPDATE load SET name = ?", (hostile,))

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            shown = await until(app, pilot, "0 failed")
            for _ in range(20):
                await pilot.pause(0.05)
            shown += seen(app)
            assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
            assert isinstance(app.screen, LiveScreen)

        drive(steps, path, size=size)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"x" * 2**20])
def test_what_cannot_be_read_beside_the_run_leaves_its_stored_turns(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.db"
    with run_at_work(path, text="Good evening."):
        path.with_name("one.db.live").write_bytes(content)

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            shown = await until(app, pilot, "Good evening.")
            assert "▌" not in shown

        drive(steps, path, size=(160, 48))


@pytest.mark.parametrize("width", [30, 60, 100, 150])
@pytest.mark.parametrize("text", ["I hear. " * 80, "睡不着" * 200, "a" * 900, ""])
def test_the_end_of_what_grows_and_the_beginning_of_what_was_said_fit_the_width(width: int, text: str) -> None:
    said = [
        Said(dialogue_id=at, card_id="c", supporter="s", repeat=0, position=2, speaker=Speaker.SUPPORTER, text=text)
        for at in (1, 2)
    ]
    speech = Speech(dialogue_id=1, text=f"{text}END")
    now = Now(attempt=1, n_evaluated=0, n_generated=0, speaking=(speech,))
    rows = speaking_lines(ENGLISH, said, now, width).split("\n")
    assert max(row.cell_length for row in rows) <= width
    assert sum("END▌" in row.plain for row in rows) == 1


@pytest.mark.parametrize("limit", [0, 1, 100, 10**12])
@pytest.mark.parametrize("width", [1, 3, 40])
def test_a_bar_has_its_width_and_shows_whatever_takes_anything(limit: int, width: int) -> None:
    bar = memory_bar(Share(weights=60, kv=1, buffers=20), limit, width).plain
    assert len(bar) == width
    if width == 40 and limit >= 100:
        assert all(sign in bar for sign in "█▓▒")
    assert memory_bar(Share(), limit or 1, width).plain == "─" * width


@pytest.mark.parametrize("theme", ["escl-dark", "escl-light"])
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_a_run_at_work_looks_as_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], theme: str
) -> None:
    # Looked at by hand, at moments a second apart whatever the clock says.
    monkeypatch.setattr(live_module, "_EVERY_S", 3600.0)
    monkeypatch.setattr(live_module, "_SPEAKING_EVERY_S", 3600.0)
    clock = itertools.count()
    monkeypatch.setattr(live_module, "_now_s", lambda: float(next(clock)))
    path = folder / "night-shift.db"
    drawn: list[str] = []
    with run_at_work(path, text="I hear how hard that is for you, night after night. 睡不着。") as store:

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            await until(app, pilot, "Being spoken")
            screen = app.screen
            assert isinstance(screen, LiveScreen)
            for at in range(1, 31):
                tell(store, "And what helps you to rest during the day?", n_generated=at * 40 + at % 3 * 25)
                if at % 5 == 0:
                    say(store, 4, at // 5 + 2, "It is the noise.")
                await app.workers.wait_for_complete()
                screen.load()
            drawn.append(await settled(app, pilot))

        drive(steps, path, size=size, theme=theme)
    assert_looks_as_before("live-at-work", drawn[0], size=size, theme=theme)


def test_a_run_that_vanishes_while_it_is_watched_is_told_once_and_left_and_keys_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "one.db"
    failed: list[str] = []
    say_failed = LiveScreen.say_failed

    def noted(screen: LiveScreen, message: str, hint: str | None) -> None:
        failed.append(message)
        say_failed(screen, message, hint)

    monkeypatch.setattr(LiveScreen, "say_failed", noted)
    with run_at_work(path):

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            await until(app, pilot, "one.db")
            await type_keys(pilot, "enter")
            await until(app, pilot, "Being spoken")
            path.rename(folder / "gone")
            await until(app, pilot, "is not there")
            # The screen behind goes on looking, and goes on failing.
            while len(failed) < 4:
                await pilot.pause(0.01)
            assert sum(isinstance(one, NoticeScreen) for one in app.screen_stack) == 1
            await type_keys(pilot, "escape")
            await until(app, pilot, "n new run")
            await type_keys(pilot, "question_mark")
            await until(app, pilot, "On this screen")

        drive(steps)


def test_forty_by_ten_has_the_gauges_one_below_the_other(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with run_at_work(path):

        async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
            await until(app, pilot, "● running")
            await settled(app, pilot)
            speed, memory = (app.screen.query_one(name).region for name in ("#speed", "#memory"))
            assert speed.width == memory.width > 30
            assert speed.bottom < memory.y

        drive(steps, path, size=(40, 10))
