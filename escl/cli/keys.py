"""Single keys from the terminal, without Enter. Knows no question."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from escl.errors import UsageError

Keys = Callable[[], str]
"""Waits for a key and returns its character; "" when there are no more."""


@contextmanager
def terminal_keys() -> Iterator[Keys]:
    """Give the keys of the terminal that standard input is, and leave the terminal as it was.

    Raises:
        UsageError: Standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError("rating needs a terminal to read keys from", hint="or write the CSV file by hand")
    if sys.platform == "win32":
        import msvcrt

        yield msvcrt.getwch
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        # Ctrl-C stays Ctrl-C.
        tty.setcbreak(number)
        yield lambda: sys.stdin.read(1)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
