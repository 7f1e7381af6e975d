"""The real program in a pseudo-terminal, as a person sees it and as the terminal is told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

import pyte

ROOT = Path(__file__).parents[2]


class Terminal:
    """`escl` in a terminal of its own: closing it hangs up, as a lost connection does."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
        program: tuple[str, ...] = ("-m", "escl"),
    ) -> None:
        columns, lines = size
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.written = bytearray()
        self._is_closed = False
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        known = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        known |= {"PYTHONPATH": str(ROOT), "ESCL_HOME": str(folder / "home")}

        def lead() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, *program, *words],
            cwd=folder,
            env={**known, **(environment or {})},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            # It leads the terminal's session, so that it is hung up on.
            preexec_fn=lead,
        )
        os.close(theirs)

    @property
    def text(self) -> str:
        """What is on the screen."""
        lines = [self._screen.buffer[y] for y in range(self._screen.lines)]
        return "\n".join("".join(line[x].data for x in range(self._screen.columns)) for line in lines)

    def cells(self) -> list[pyte.screens.Char]:
        """Return every cell of the screen, with its colours."""
        return [self._screen.buffer[y][x] for y in range(self._screen.lines) for x in range(self._screen.columns)]

    def until(self, words: str, *, within_s: float = 30) -> str:
        """Wait until `words` are on the screen, and return its text."""
        deadline = time.monotonic() + within_s
        while words not in self.text:
            assert time.monotonic() < deadline, f"{words!r} is not seen:\n{self.text}"
            self.look()
        return self.text

    def press(self, keys: str) -> None:
        """Send what the keys send."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Make the terminal so large, and tell the program."""
        self._screen.resize(lines, columns)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def ended(self, *, within_s: float = 10) -> int:
        """Wait for the program's end, and return its exit code."""
        deadline = time.monotonic() + within_s
        while self.process.poll() is None and time.monotonic() < deadline:
            self.look()
        self.look()
        return self.process.wait(1)

    def close(self) -> None:
        """Hang up, and see to it that nothing is left."""
        if not self._is_closed:
            os.close(self._ours)
        self._is_closed = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def look(self, wait_s: float = 0.05) -> None:
        """Take what the program writes within `wait_s` to the screen."""
        self._stream.feed(self.read(wait_s))

    def read(self, wait_s: float = 0.05) -> bytes:
        """Return what the program writes within `wait_s`, past the screen."""
        written = b""
        if select.select([self._ours], [], [], wait_s)[0]:
            # The terminal is gone once the program is.
            with contextlib.suppress(OSError):
                written = os.read(self._ours, 65536)
        self.written += written
        return written
