"""Runs on disk in a line each. Reads files; to be called from a worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
    """

    path: Path
    changed: float
    progress: Progress | None = None
    work: Work | None = None
    trouble: str | None = None


def runs_in(folder: Path, named: Iterable[Path]) -> list[tuple[Path, float]]:
    """Return the named files and the runs in `folder` with when they changed, the newest first, each once."""
    from escl.store.watch import is_run

    try:
        found = [path for path in folder.glob("*.db") if is_run(path)]
    except OSError:
        found = []
    unique = {path.resolve(): path for path in (*named, *found)}
    return sorted(((path, _changed(path)) for path in unique.values()), key=lambda one: -one[1])[:MOST]


def overview(path: Path) -> Overview:
    """Return how far the run at `path` is, or why that cannot be said."""
    from escl.errors import EsclError
    from escl.store.database import Database
    from escl.store.watch import Watcher, is_held

    changed = _changed(path)
    try:
        with Database.reader(path) as database:
            progress = Watcher(database).progress()
    except EsclError as error:
        return Overview(path=path, changed=changed, trouble=error.message)
    return Overview(path=path, changed=changed, progress=progress, work=progress.work(is_held=is_held(path)))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
