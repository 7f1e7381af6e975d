"""What a run tells those who watch it, and their wish to pause: asked of the files beside it while it works.

Nothing here reaches a dialogue: watched or not, paused or not, the same is said. Knows no engine from the inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from escl.engine.wire import Progress
from escl.evaluation.observer import RunObserver
from escl.memory.pool import Pool
from escl.store import beside
from escl.store.beside import MOST_CHARS, MOST_SPEAKING, Now, Speech
from escl.store.run import RunStore

_EVERY_S: Final = 0.25
_WATCHED_FOR_S: Final = 5.0
"""Who watches says so every second; after this long without a sign nobody does."""


class Tokens:
    """Counts tokens over all engines of a run, those that have left too."""

    def __init__(self) -> None:
        self.n_evaluated = self.n_generated = 0
        self._last: dict[str, tuple[int, int]] = {}

    def loaded(self, name: str) -> None:
        """Begin a new engine's count; its own totals begin at nothing."""
        self._last[name] = 0, 0

    def progressed(self, name: str, progress: Progress) -> None:
        """Add what an engine did since it last said."""
        evaluated, generated = self._last.get(name, (0, 0))
        self.n_evaluated += max(0, progress.n_prompt_evaluated - evaluated)
        self.n_generated += max(0, progress.n_generated - generated)
        self._last[name] = progress.n_prompt_evaluated, progress.n_generated


class Aside:
    """Looks at the files beside a run while `looking`, pauses it and tells what is being said."""

    def __init__(
        self,
        store: RunStore,
        pool: Pool,
        *,
        tokens: Tokens,
        observer: RunObserver,
        stop: asyncio.Event,
    ) -> None:
        """Do nothing yet.

        Args:
            store: The run.
            pool: Whose engines speak, and whose `go` is cleared while the run is paused.
            tokens: What is told of speed.
            observer: Hears of pauses.
            stop: Once set, nothing is paused any more.
        """
        self._path, self._attempt = store.database.path, store.attempt
        self._pool, self._tokens, self._observer, self._stop = pool, tokens, observer, stop
        # Only a change counts as a sign: neither a file that was left nor another machine's clock says anything.
        self._sign = beside.watched_at(self._path)
        self._signed: float | None = None

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Look several times a second while in here."""
        looks = asyncio.create_task(self._look_on())
        try:
            yield
        finally:
            looks.cancel()
            await asyncio.gather(looks, return_exceptions=True)
            beside.hush(self._path)

    async def _look_on(self) -> None:
        try:
            while True:
                self.look()
                await asyncio.sleep(_EVERY_S)
        finally:
            self._pool.go.set()

    def look(self) -> None:
        """Heed what those who watch ask for, and tell them what they want to know."""
        self._heed_pause()
        is_watched = self._is_watched()
        if self._pool.is_watched and not is_watched:
            beside.hush(self._path)
        self._pool.watch(is_watched=is_watched)
        if is_watched:
            beside.tell(self._path, self._now())

    def _heed_pause(self) -> None:
        wanted = beside.is_paused(self._path) and not self._stop.is_set()
        is_paused = not self._pool.go.is_set()
        if wanted is is_paused:
            return
        if wanted:
            self._pool.go.clear()
        else:
            self._pool.go.set()
        self._observer.paused(is_paused=wanted)

    def _is_watched(self) -> bool:
        sign, now = beside.watched_at(self._path), time.monotonic()
        if sign != self._sign:
            self._sign, self._signed = sign, None if sign is None else now
        return self._signed is not None and now - self._signed < _WATCHED_FOR_S

    def _now(self) -> Now:
        # Sessions are dialogues; the first of them stay the same from look to look.
        said = sorted((int(session), text) for session, text in self._pool.speaking().items())
        return Now(
            attempt=self._attempt,
            n_evaluated=self._tokens.n_evaluated,
            n_generated=self._tokens.n_generated,
            speaking=tuple(
                Speech(dialogue_id=dialogue_id, text=text[-MOST_CHARS:]) for dialogue_id, text in said[:MOST_SPEAKING]
            ),
        )
