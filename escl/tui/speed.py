"""How fast an amount grew lately: what the app notes while it watches. Knows no run."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 60.0
_EVERY_S: Final = 1.0
_HISTORY: Final = 240


class Speed:
    """Knows only what it was told, so it begins when watching begins; to be told about once a second."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=int(WINDOW_S / _EVERY_S) + 1)
        self.history: deque[float] = deque(maxlen=_HISTORY)

    def note(self, now: float, amount: int) -> None:
        """Take the amount at a time in seconds."""
        if self._marks and now > self._marks[-1][0]:
            before, last = self._marks[-1]
            self.history.append(max(0.0, (amount - last) / (now - before)))
        self._marks.append((now, amount))

    def rest(self) -> None:
        """Forget the last minute: what comes after a pause is not slowed by it."""
        self._marks.clear()

    @property
    def per_s(self) -> float | None:
        """Growth per second over the last minute; None where nothing grew or too little is known."""
        if len(self._marks) < 2:
            return None
        (since, before), (now, amount) = self._marks[0], self._marks[-1]
        return (amount - before) / (now - since) if now > since and amount > before else None
