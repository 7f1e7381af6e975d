"""Supporters as people write them, good and bad; imported by the child process, by the name that a test gives it."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path


class Kind:
    """The shape of upstream's classes: made without arguments, called with the messages."""

    def __init__(self) -> None:
        print("loading, on stdout")  # noqa: T201
        self.calls = 0

    def __call__(self, messages: list[dict[str, str]]) -> str:
        self.calls += 1
        print("answering, on stdout")  # noqa: T201
        return f"I hear you ({self.calls}): {messages[0]['role']}, {messages[-1]['content']}"


class Holder:
    @staticmethod
    def inner(messages: list[dict[str, str]]) -> str:
        return "<think>Hm.</think>Go on."


def raises(messages: list[dict[str, str]]) -> str:
    raise ValueError("no\nluck \ud800")


class RudeError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raises_rudely(messages: list[dict[str, str]]) -> str:
    raise RudeError


def leaves(messages: list[dict[str, str]]) -> str:
    sys.exit(3)


def dies(messages: list[dict[str, str]]) -> str:
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    os._exit(7)


def sleeps(messages: list[dict[str, str]]) -> str:
    time.sleep(60)
    return "late"


def sleeps_once(messages: list[dict[str, str]]) -> str:
    mark = Path(messages[0]["content"])
    if not mark.exists():
        mark.touch()
        time.sleep(60)
    return "awake"


def number(messages: list[dict[str, str]]) -> int:
    return 7


async def later(messages: list[dict[str, str]]) -> str:
    return "later"


def empty(messages: list[dict[str, str]]) -> str:
    return " \n"


def huge(messages: list[dict[str, str]]) -> str:
    return "a" * (1 << 21)


def half(messages: list[dict[str, str]]) -> str:
    return "\ud800"


def writes_to_fd_1(messages: list[dict[str, str]]) -> str:
    os.write(1, b"\x00\x00\x00\x02hi")
    return "fine"


def connects(messages: list[dict[str, str]]) -> str:
    try:
        socket.create_connection(("127.0.0.1", int(messages[0]["content"]))).close()
    except OSError:
        return "refused"
    return "connected"


class NeedsArguments:
    def __init__(self, path: str) -> None: ...

    def __call__(self, messages: list[dict[str, str]]) -> str:
        return ""


class NotCallable: ...
