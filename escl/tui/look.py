"""What one look at a run's file finds for the screen that watches it. Reads files; to be called from a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from escl.store.beside import Now
    from escl.store.database import Database
    from escl.store.residents import Memory, Swap
    from escl.store.watch import Progress, Stay, Trouble, Watcher, Work

_FAILURES = 20
_SWAPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a run is, with the latest failures, loads and unloads.

    Attributes:
        now: What it tells of this moment; None where it tells nothing.
    """

    progress: Progress
    work: Work
    is_paused: bool
    stays: list[Stay]
    memories: list[Memory]
    swaps: list[Swap]
    troubles: list[Trouble]
    now: Now | None


def look(database: Database, watcher: Watcher, path: Path, *, was_running: bool) -> Look:
    """Return how the run at `path` is, and let it know that it is watched, as long as somebody works on it."""
    from escl.store import beside
    from escl.store.residents import memories, swaps
    from escl.store.watch import is_held

    # Whether somebody works on it is asked first: what ended since then is shown by the next look.
    held = is_held(path)
    if held:
        beside.watch(path)
    elif was_running:
        # It ended after it was last told so.
        beside.unwatch(path)
    progress, stays = watcher.progress(), watcher.in_memory()
    return Look(
        progress=progress,
        work=progress.work(is_held=held),
        is_paused=held and beside.is_paused(path),
        stays=stays,
        memories=memories(database, [stay.name for stay in stays]),
        swaps=swaps(database, _SWAPS),
        troubles=watcher.troubles(_FAILURES),
        now=watcher.now(),
    )


def change_pause(path: Path) -> None:
    """Ask the run at `path` to begin nothing new, or, where that was asked, to go on.

    Raises:
        StorageError: The folder cannot be written.
    """
    from escl.store import beside

    if beside.is_paused(path):
        beside.resume(path)
    else:
        beside.pause(path)
