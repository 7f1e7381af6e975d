"""Runs on disk in a line each. Reads files; to be called from a worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from escl.store.watch import Progress, Work

MOST: Final = 200
"""Runs that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One run file.

    Attributes:
        progress: None when it cannot be read; `trouble` says why.
        is_paused: Whether somebody works on it and was asked to wait.
        averages: Of each supporter over the dimensions (0-4), the best first; empty until the run is finished.
    """

    path: Path
    changed: float
    progress: Progress | None = None
    work: Work | None = None
    is_paused: bool = False
    averages: dict[str, float] = field(default_factory=dict)
    trouble: str | None = None

    @property
    def share_done(self) -> float | None:
        """How much of what is to be said and read is there, 0-1; None where that is unknown."""
        if self.progress is None or not self.progress.n_turns_asked:
            return None
        asked = self.progress.n_turns_asked + self.progress.n_readings_asked
        return min(1.0, (self.progress.n_turns + (self.progress.n_readings or 0)) / asked)


def runs_in(folder: Path, named: Iterable[Path]) -> list[tuple[Path, float]]:
    """Return the named files and the runs in `folder` with when they changed, the newest first, each once.

    What is named and not there is listed, so that it is said, unless it is in the trash.
    """
    from escl.store.watch import is_run

    named = [path for path in named if path.exists() or path.resolve() not in _deleted_from(path.parent)]
    try:
        found = [path for path in folder.glob("*.db") if is_run(path)]
    except OSError:
        found = []
    unique = {path.resolve(): path for path in (*named, *found)}
    return sorted(((path, _changed(path)) for path in unique.values()), key=lambda one: -one[1])[:MOST]


def overview(path: Path) -> Overview:
    """Return how far the run at `path` is and what it came to, or why that cannot be said."""
    from escl.errors import EsclError
    from escl.store.beside import is_paused
    from escl.store.browse import Browser
    from escl.store.database import Database
    from escl.store.watch import Watcher, is_held

    changed = _changed(path)
    try:
        with Database.reader(path) as database:
            progress = Watcher(database).progress()
            work = progress.work(is_held=is_held(path))
            averages = Browser(database).averages() if work == "finished" else {}
    except EsclError as error:
        return Overview(path=path, changed=changed, trouble=error.message)
    return Overview(
        path=path,
        changed=changed,
        progress=progress,
        work=work,
        is_paused=work == "running" and is_paused(path),
        averages=averages,
    )


def _deleted_from(folder: Path) -> set[Path]:
    from escl.store.trash import discarded

    return {one.path for one in discarded([folder])}


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
