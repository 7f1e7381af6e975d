"""Commands as processes of their own: runs, which outlive the app and are stopped as by Ctrl-C, and short answers."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_LOG_TAIL: Final = 12
_FAILED: Final = "error:"
"""Begins the line in which a command says why it ended."""
_LOG_BYTES: Final = 16_384
_TABLE_COLUMNS: Final = "140"
"""Wide enough that no column of a plan's tables is cut; they take no more than they need."""


class Started:
    """A command that was started from here, with what it says."""

    def __init__(self, path: Path, process: subprocess.Popen[bytes], log: Path, *, since: int = 0) -> None:
        self.path = path
        self.log = log
        self._process = process
        self._since = since

    @property
    def has_ended(self) -> bool:
        """Whether the command is over, whatever its outcome."""
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it goes on."""
        return self._process.poll()

    def last_lines(self) -> list[str]:
        """Return the end of what the command said: what failed, where it says so, else the last lines."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(self._since, self.log.stat().st_size - _LOG_BYTES))
                said = file.read().decode("utf-8", errors="replace")
        except OSError:
            return []
        lines = said.splitlines()
        failed = max((at for at, line in enumerate(lines) if line.startswith(_FAILED)), default=-_LOG_TAIL)
        return lines[failed:][:_LOG_TAIL]


def start_demo(folder: Path) -> Started:
    """Start `escl demo` on a new run file in `folder`.

    Raises:
        OSError: The folder cannot be written.
    """
    path = free_name(folder, "escl-demo")
    return start(path, ("demo", "--out", str(path)), folder=folder)


def start(path: Path, words: Sequence[str], *, folder: Path) -> Started:
    """Start an `escl` command that works on the run at `path`; what it says goes to the end of the log beside that.

    Args:
        path: The run's file.
        words: What follows `escl`.
        folder: Where the command is given.

    Raises:
        OSError: The log's or the command's folder is not there or cannot be written.
    """
    process, log, since = run_beside(path, words, folder=folder, stdin=subprocess.DEVNULL)
    return Started(path, process, log, since=since)


def run_beside(
    path: Path, words: Sequence[str], *, folder: Path, stdin: int
) -> tuple[subprocess.Popen[bytes], Path, int]:
    """Return the process of an `escl` command, its log, and where in that its own words begin; otherwise as `start`."""
    log = path.with_suffix(".log")
    flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(log, flags, 0o600), "ab") as said:  # noqa: PTH123 - a descriptor, not a path
        since = os.fstat(said.fileno()).st_size
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "escl", *words],
            cwd=folder,
            stdin=stdin,
            stdout=said,
            stderr=subprocess.STDOUT,
            # -P: no module of the folder stands in for an installed one.
            # A session of its own: a closed terminal ends the app and not the run.
            start_new_session=True,
        )
    return process, log, since


async def said_by(words: Sequence[str], *, folder: Path) -> tuple[str, int]:
    """Return what an `escl` command prints, without colours, and its exit code; it is killed if nobody waits for it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "escl", *words),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "COLUMNS": _TABLE_COLUMNS, "NO_COLOR": "1"},
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return said.decode("utf-8", "replace").strip("\n"), process.returncode


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


def free_name(folder: Path, stem: str) -> Path:
    """Return the first name in `folder` that neither a run nor a log has."""
    for n in itertools.count(1):
        path = folder / f"{stem}-{n}.db"
        if not path.exists() and not path.with_suffix(".log").exists():
            return path
    raise AssertionError("counting ends never")
