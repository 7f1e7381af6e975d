"""Runs as processes of their own: started so that they outlive the app, and asked to stop as Ctrl-C asks."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

_LOG_TAIL: Final = 12
_LOG_BYTES: Final = 16_384


class Started:
    """A command that was started from here, with what it says."""

    def __init__(self, path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.path = path
        self.log = log
        self._process = process

    @property
    def has_ended(self) -> bool:
        """Whether the command is over, whatever its outcome."""
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it goes on."""
        return self._process.poll()

    def last_lines(self) -> list[str]:
        """Return the end of what the command said, as it said it."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _LOG_BYTES))
                said = file.read().decode("utf-8", errors="replace")
        except OSError:
            return []
        return said.splitlines()[-_LOG_TAIL:]


def start_demo(folder: Path) -> Started:
    """Start `escl demo` on a new run file in `folder`.

    Raises:
        OSError: The folder cannot be written.
    """
    path = _free(folder, "escl-demo")
    log = path.with_suffix(".log")
    descriptor = os.open(log, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with open(descriptor, "wb") as said:  # noqa: PTH123 - a descriptor, not a path
        process = subprocess.Popen(
            [sys.executable, "-m", "escl", "demo", "--out", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            # A session of its own: a closed terminal ends the app and not the run.
            start_new_session=True,
        )
    return Started(path, process, log)


def ask_to_stop(path: Path) -> bool:
    """Ask the process that works on the run at `path` to stop after its turns in flight; False where none is found."""
    import psutil

    lock = str(path.with_name(path.name + ".lock").resolve())
    for process in psutil.process_iter(["name"]):
        try:
            if process.pid != os.getpid() and any(file.path == lock for file in process.open_files()):
                process.send_signal(signal.SIGINT)
                return True
        except (psutil.Error, OSError):
            continue
    return False


def _free(folder: Path, stem: str) -> Path:
    """Return the first name in `folder` that neither a run nor a log has."""
    for n in itertools.count(1):
        path = folder / f"{stem}-{n}.db"
        if not path.exists() and not path.with_suffix(".log").exists():
            return path
    raise AssertionError("counting ends never")
