"""The person who answers as the supporter, as a run asks: one reply at a time, bounded, or the wish to stop.

Knows no terminal: who asks the person is handed in. Knows no dialogue and no database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Protocol

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.core.whole_text import whole_text
from escl.errors import NotBegunError
from escl.supporters.outside import Said

_BYTES_OF_A_TOKEN: Final = 3
"""So many of UTF-8 are a token or more: one Chinese character, or most of an English word."""

LINE_BREAK: Final = "\u2028"
"""Unicode's line separator: how a reply that comes as one line holds a line break."""


def longest_reply(max_tokens: int) -> int:
    """Return how many bytes a person's reply may have, so that it is no longer than a model's of `max_tokens`."""
    return _BYTES_OF_A_TOKEN * max_tokens


def as_reply(typed: str) -> str:
    """Return what was typed as the reply that is kept; "" where nothing was said."""
    return whole_text(typed.replace("\r\n", "\n").replace(LINE_BREAK, "\n").strip())


class Answer(Protocol):
    """Asks the person for the next reply; None when the person stops.

    May hold up everything: while a person thinks, nothing else of a run is under way.
    """

    def __call__(self, *, session: str, messages: Sequence[Message], longest_bytes: int) -> str | None: ...


class Person:
    """One person during a run."""

    def __init__(self, answer: Answer, *, stop: asyncio.Event) -> None:
        """Ask nothing yet; `stop` is set when the person stops."""
        self._answer, self._stop = answer, stop

    async def preload(self) -> None:
        """Nothing has to be loaded."""

    async def release(self) -> None:
        """Nothing is held."""

    async def generate(self, *, session: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> Said:
        """Return what the person says.

        Raises:
            NotBegunError: The person stopped, or the run was stopped before.
        """
        if self._stop.is_set():
            raise NotBegunError
        began = time.monotonic()
        text = self._answer(session=session, messages=messages, longest_bytes=longest_reply(sampling.max_tokens))
        if text is None:
            self._stop.set()
            raise NotBegunError
        return Said(text=text, reasoning=None, finish="stop", busy_s=time.monotonic() - began)
