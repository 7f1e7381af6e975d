"""A person at the terminal, or lines from a pipe, as the supporter: shows what the seeker says, reads the reply.

Owns how words are shown and read. Knows no model and no database.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from escl.cli.output import progress_console
from escl.core.dialogue import Message
from escl.core.printable import printable
from escl.errors import UsageError
from escl.supporters.person import Answer, as_reply

_PASTED_WITHIN_S: Final = 0.05
_LONGEST_LINE: Final = 1 << 20
_NAMES: Final = {"user": ("seeker", "bold"), "assistant": ("you", "cyan"), "system": ("task", "dim")}
_HOW: Final = "Enter sends a reply. Ctrl-D stops: everything is kept, and the same command goes on."


def the_person() -> Answer:
    """Return who answers: the person at the terminal, or the lines that are piped in.

    Raises:
        UsageError: Standard input is neither.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        return Talk(progress_console(), _typed, is_piped=False)
    if sys.stdin is not None and _is_stream(sys.stdin.fileno()):
        return Talk(progress_console(), _piped, is_piped=True)
    raise UsageError(
        "human answers in a terminal, and standard input is none",
        hint="run it in a terminal, or pipe replies in, one in each line",
    )


class Talk:
    """What was shown of each dialogue, and the next reply."""

    def __init__(self, console: Console, read: Callable[[], str | None], *, is_piped: bool) -> None:
        self._console, self._read, self._is_piped = console, read, is_piped
        self._shown: dict[str, int] = {}
        self._n_read = 0

    def __call__(self, *, session: str, messages: Sequence[Message], longest_bytes: int) -> str | None:
        """Return the next reply; None at the end of input and when the person stops.

        Raises:
            UsageError: A reply that was piped in is too long.
        """
        self._show(session, messages)
        with _ending_reads():
            while (typed := self._read()) is not None:
                self._n_read += 1
                reply = as_reply(typed)
                n_bytes = len(reply.encode())
                if n_bytes > longest_bytes:
                    self._refuse(n_bytes, longest_bytes)
                elif reply:
                    return self._taken(session, messages, reply)
        return None

    def _taken(self, session: str, messages: Sequence[Message], reply: str) -> str:
        self._shown[session] = len(messages) + 1
        if not self._is_piped:
            self._console.print(Text("the seeker is writing…", style="dim"))
        return reply

    def _show(self, session: str, messages: Sequence[Message]) -> None:
        if not self._shown:
            self._console.print(Text(_HOW, style="dim"))
        lines = Table.grid(padding=(0, 2))
        lines.add_column(justify="right", no_wrap=True, min_width=6)
        lines.add_column(overflow="fold")
        for message in messages[self._shown.get(session, 0) :]:
            name, style = _NAMES[message.role]
            lines.add_row(Text(name, style="dim"), Text(printable(message.content), style=style))
        self._console.print(lines)

    def _refuse(self, n_bytes: int, longest_bytes: int) -> None:
        said = f"has {n_bytes:,} bytes, and {longest_bytes:,} are allowed"
        if self._is_piped:
            raise UsageError(f"reply {self._n_read} of those piped in {said}", hint="--max-tokens allows longer ones")
        self._console.print(Text(f"Too long: this {said}. Arrow up brings it back.", style="yellow"))


def _typed() -> str | None:
    """Return what the person types until Enter, a paste of several lines as one."""
    # With it, input() edits the line, and takes a paste as one.
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
    prompt = "   you  "
    try:
        if not sys.stdout.isatty():
            sys.stderr.write(prompt)
            sys.stderr.flush()
            prompt = ""
        lines = [input(prompt)]
        while _more_is_there():
            lines.append(input())
    except EOFError:
        return None
    return "\n".join(lines)


def _more_is_there() -> bool:
    if sys.platform == "win32":
        return False
    import select

    return bool(select.select([sys.stdin], [], [], _PASTED_WITHIN_S)[0])


def _piped() -> str | None:
    line = sys.stdin.buffer.readline(_LONGEST_LINE)
    return line.decode("utf-8", "replace") if line else None


def _is_stream(number: int) -> bool:
    mode = os.fstat(number).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


@contextlib.contextmanager
def _ending_reads() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the reading in here as the end of input does; afterwards they are the run's again."""
    # asyncio hears signals through this descriptor, and would hear these once more.
    wakeup = signal.set_wakeup_fd(-1)
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, signal.default_int_handler)) for number in numbers]
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
