"""Long work on the shelf as the app sees it: begun, how far it is, stopped, and how it ended.

Owns the process of `escl.tui.shelf_job`. It goes on while other screens are looked at, and ends with the app.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from escl.tui.processes import said_by

if TYPE_CHECKING:
    from escl.shelf.inventory import ShelfModel
    from escl.tui.shelf_job import Convert, Done, Failed, Pull, Step, Task

_LONGEST_LINE: Final = 1 << 22
_STOP_WITHIN_S: Final = 15.0
_TOYS: Final = "demo/"


class ShelfWork:
    """One task.

    Attributes:
        step: How far it is; None before anything is known.
        ended: How it ended; None while it goes on, and when it was stopped.
        is_over: Whether its process has ended.
        notes: What became known on the way.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.step: Step | None = None
        self.ended: Done | Failed | None = None
        self.is_over = False
        self.is_stopping = False
        self.notes: list[str] = []
        self._began = time.monotonic()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at the pace so far; None where nothing is done yet."""
        if self.step is None or not 0 < self.step.done < self.step.total:
            return None
        spent = time.monotonic() - self._began
        return spent * (self.step.total - self.step.done) / self.step.done

    async def run(self) -> None:
        """Do the task to its end."""
        try:
            await self._run()
        finally:
            self.is_over = True
            await self._reap()

    def stop(self) -> None:
        """Ask it to stop; what was received is kept."""
        self.is_stopping = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def _run(self) -> None:
        from escl.tui.shelf_job import Done, Failed, Note, Report, Step

        try:
            self._process = process = await self._start()
        except OSError as error:
            self.ended = Failed(message=str(error))
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(self.task) + b"\n")
        if self.is_stopping:
            process.stdin.close()
        decoder = msgspec.json.Decoder(Report)
        while line := await process.stdout.readline():
            match decoder.decode(line):
                case Step() as step:
                    self.step = step
                case Note(text=text):
                    self.notes.append(text)
                case Done() | Failed() as ended:
                    self.ended = ended
        code = await process.wait()
        if self.ended is None and not self.is_stopping:
            self.ended = Failed(message=f"the process that worked on it ended with code {code}")

    async def _start(self) -> asyncio.subprocess.Process:
        # -P: no module of the folder stands in for an installed one. A session of its own: Ctrl-C is the app's.
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "escl.tui.shelf_job"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            limit=_LONGEST_LINE,
        )

    async def _reap(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _STOP_WITHIN_S)
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


def pull_of(said: list[str]) -> Pull:
    """Return the pull that a form was filled in for: a name, and a quantization or nothing."""
    from escl.tui.shelf_job import Pull

    name, quantize = said
    return Pull(name=name, quantize=quantize or None)


def convert_of(said: list[str]) -> Convert:
    """Return the conversion that a form was filled in for: a folder, a quantization and a file, or nothing."""
    from escl.tui.shelf_job import Convert

    src, quantize, dst = said
    folder = Path(src).expanduser()
    usual = Path.cwd() / f"{folder.name}{f'-{quantize.upper()}' if quantize else ''}.gguf"
    target = Path(dst).expanduser() if dst else usual
    return Convert(src=str(folder), dst=str(target), quantize=quantize or None)


async def planned(models: Sequence[ShelfModel], *, width: int) -> str:
    """Return what `escl plan` prints for these models, where none of them supports with a person.

    Args:
        models: One of each role that is not to be the usual one.
        width: Of the sentences, in cells. The tables are as wide as they are.
    """
    by_role = {role: [model.name for model in models if model.role == role] for role in ("seeker", "scorer")}
    others = [model.name for model in models if model.role not in by_role]
    if all(model.name.startswith(_TOYS) for model in models):
        # Beside toys the real ones would need to be here.
        by_role = {role: names or [f"{_TOYS}{role}"] for role, names in by_role.items()}
    words = [f"--{role}={names[0]}" for role, names in by_role.items() if names]
    said, _ = await said_by(("plan", *words, "--", *(others or ["human"])), folder=Path.cwd())
    lines = said.split("\n")
    return "\n".join(line if _is_row(line) else _wrapped(line, width) for line in map(str.rstrip, lines))


def _is_row(line: str) -> bool:
    """Whether a line is a table's: only there is more than one space between words."""
    return "─" in line or "  " in line.strip()


def _wrapped(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False)
