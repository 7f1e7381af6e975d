"""The real program in a terminal: the demo is started from Home, watched to its end, ranked, read, and left."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest

from escl.store.database import Database
from escl.store.watch import Watcher

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal is POSIX", allow_module_level=True)

import fcntl
import struct
import termios

ROOT = Path(__file__).parents[2]
COLUMNS, LINES = 80, 24


class Terminal:
    """`escl` in a terminal of 80 x 24, as a person sees it."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        environment |= {"PYTHONPATH": str(ROOT), "ESCL_HOME": str(folder / "home")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "escl", *words],
            cwd=folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    @property
    def text(self) -> str:
        return "\n".join(self._screen.display)

    def until(self, words: str, *, within_s: float = 30) -> str:
        deadline = time.monotonic() + within_s
        while words not in self.text:
            assert time.monotonic() < deadline, f"{words!r} is not seen:\n{self.text}"
            self._look()
        return self.text

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def ended(self, *, within_s: float = 10) -> int:
        deadline = time.monotonic() + within_s
        while self.process.poll() is None and time.monotonic() < deadline:
            self._look()
        return self.process.wait(1)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def _look(self) -> None:
        if select.select([self._ours], [], [], 0.05)[0]:
            # The terminal is gone once the program is.
            with contextlib.suppress(OSError):
                self._stream.feed(os.read(self._ours, 65536))


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
