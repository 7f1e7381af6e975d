"""Counting work in bytes towards a total known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from escl.convert.outcome import OnProgress


@dataclass(slots=True)
class Meter:
    """Counts bytes of work towards a total known beforehand."""

    total: int
    on_progress: OnProgress | None
    done: int = 0

    def add(self, n: int) -> None:
        """Report `n` more bytes done."""
        self.done += n
        if self.on_progress is not None:
            self.on_progress(min(self.done, self.total), self.total)

    def finish(self) -> None:
        """Report that all is done, whatever the estimate of the total was."""
        self.add(max(0, self.total - self.done))
