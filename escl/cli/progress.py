"""Progress of long work in bytes, and signals that end it as Ctrl-C does. Shared by commands that write big files."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from time import monotonic
from types import FrameType
from typing import Protocol

from rich.console import Console

from escl.cli.output import progress_console
from escl.core.printable import printable

_LINE_EVERY_S = 10.0


class Show(Protocol):
    """Shows bytes done of bytes to do; `now` says what is being done when that changes."""

    def __call__(self, done: int, total: int, now: str = ..., /) -> None: ...


@contextlib.contextmanager
def termination_interrupts() -> Iterator[None]:
    """Let SIGTERM and a closed terminal do what Ctrl-C does, so that they leave no half-written file either."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Show]:
    """Give a callback that shows bytes done and the time left: a bar on a terminal, a line now and then elsewhere."""
    console = progress_console()
    if not console.is_terminal:
        yield _Lines(console, printable(what)).show
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.table import Column

    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(printable(what), total=None)

        def show(done: int, total: int, now: str = "", /) -> None:
            bar.update(task, description=printable(now or what), completed=done, total=total)

        yield show


class _Lines:
    """Progress as plain lines, at most one every ten seconds."""

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what = console, what
        self._start = self._last = monotonic()

    def show(self, done: int, total: int, now: str = "", /) -> None:
        clock = monotonic()
        if clock - self._last < _LINE_EVERY_S or not done:
            return
        self._last = clock
        left_s = (clock - self._start) * (total - done) / done
        what = printable(now) or self._what
        self._console.print(
            f"{what}: {done / 1e9:.2f} of {total / 1e9:.2f} GB, about {left_s:,.0f} s left", markup=False
        )
