"""Counts the network connections that this process tries to open, so that a run can say that there were none.

Python raises an audit event for every `connect` of a socket; a hook counts those that leave the machine's own pipes.
On Windows asyncio connects in another way and uses loopback sockets for its own pipes, so there only what is added here
counts. Code in C that calls connect() itself is not seen.
"""

from __future__ import annotations

import sys
from typing import Final

_ATTEMPTS: Final = [0]
_WATCHING: Final[list[bool]] = []


def watch() -> None:
    """Count from now on; a second call changes nothing."""
    if not _WATCHING and sys.platform != "win32":
        _WATCHING.append(True)
        sys.addaudithook(_count)


def attempted() -> int:
    """Return how many connections were tried since the first `watch`."""
    return _ATTEMPTS[0]


def add(count: int) -> None:
    """Count connections that a child process tried to open, or that raise no event."""
    _ATTEMPTS[0] += count


def _count(event: str, arguments: tuple[object, ...]) -> None:
    # The address of a socket between processes of one machine is a path; that of a network, a tuple.
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        _ATTEMPTS[0] += 1
