"""The real program in a terminal: the demo is started, stopped, resumed, watched to its end, ranked, read, and left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from escl.store.database import Database
from escl.store.watch import Watcher

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal is POSIX", allow_module_level=True)

from tests.tui.terminal import Terminal


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    log = tmp_path / "escl-demo-1.log"
    assert not log.exists() or "Traceback" not in log.read_text(encoding="utf-8")


@pytest.mark.model
@pytest.mark.kill
def test_a_demo_is_started_stopped_resumed_outlives_its_app_and_is_ranked_and_read_with_few_keys(folder: Path) -> None:
    pressed: list[str] = []

    def press(terminal: Terminal, key: str) -> None:
        pressed.append(key)
        terminal.press(key)

    first = Terminal(folder)
    try:
        first.until("Press d for the demo")
        press(first, "d")
        first.until("● running", within_s=60)
        press(first, "s")
        first.until("‖ stopped", within_s=60)
    finally:
        first.close()
    second = Terminal(folder)
    try:
        second.until("‖ stopped")
        press(second, "r")
        second.until("escl demo")
        press(second, "\r")
        second.until("● running", within_s=60)
    finally:
        # The connection is lost, and the run goes on.
        second.close()
    third = Terminal(folder, "tui", "escl-demo-1.db")
    try:
        third.until("The run is finished", within_s=120)
        press(third, "2")
        # What is painted arrives piece by piece.
        for words in ("Fluency", "demo/warm", "demo/curt"):
            third.until(words)
        assert len(pressed) <= 5, pressed
        press(third, "\r")
        third.until("1 of 4")
        # Back to the table that led here, and from there Home.
        press(third, "q")
        third.until("its dialogues")
        press(third, "q")
        third.until("✓ finished")
        press(third, "q")
        assert third.ended() == 0
        assert "Traceback" not in third.text
    finally:
        third.close()
    with Database.reader(folder / "escl-demo-1.db") as database:
        assert Watcher(database).progress().outcome == "finished"
        assert len(database.rows("SELECT 1 FROM attempt")) == 2
