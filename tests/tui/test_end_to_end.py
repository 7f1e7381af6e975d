"""The real program in a terminal: the demo is started from Home, watched to its end, ranked, read, and left."""

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
def test_a_demo_from_home_outlives_its_app_and_is_watched_ranked_and_read_in_another(folder: Path) -> None:
    first = Terminal(folder)
    try:
        first.until("Press d for the demo")
        first.press("d")
        first.until("● running", within_s=60)
        first.process.kill()
    finally:
        first.close()
    second = Terminal(folder, "tui", "escl-demo-1.db")
    try:
        second.until("The run is finished", within_s=120)
        second.press("2")
        # What is painted arrives piece by piece.
        for words in ("Fluency", "demo/warm", "demo/curt"):
            second.until(words)
        second.press("\r")
        second.until("1 of 4")
        second.press("q")
        second.until("✓ finished")
        second.press("q")
        assert second.ended() == 0
        assert "Traceback" not in second.text
    finally:
        second.close()
    with Database.reader(folder / "escl-demo-1.db") as database:
        assert Watcher(database).progress().outcome == "finished"
