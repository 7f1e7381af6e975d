"""Runs that were deleted and can come back: moved into a folder beside where they were, and out of it again.

Owns the folder `.escl-trash` and its layout: one folder for each deleted run, named by when, with the run's file and
what was beside it under their own names. Deletes nothing for good, overwrites nothing, and follows no link.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from escl.errors import StorageError
from escl.store import beside
from escl.store.database import locked

FOLDER: Final = ".escl-trash"


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """A run in the trash.

    Attributes:
        entry: Its folder in the trash.
        path: Where its file was.
    """

    entry: Path
    path: Path


def discard(path: Path) -> Discarded:
    """Move the run at `path` with its lock, journal and log into the trash, and return where it is.

    Raises:
        StorageError: A process works on it, it is a link or no file, or the folder cannot be written.
    """
    if not _is_plain(path):
        raise StorageError(f"{path} is no plain file", hint="what is no file of a run is yours to remove")
    lock_path = path.with_name(path.name + ".lock")
    if os.path.lexists(lock_path) and not _is_plain(lock_path):
        raise StorageError(f"{lock_path} is no plain file", hint="a run's lock is one: do not trust this folder")
    try:
        with locked(path):
            # What a killed run told those who watched it is no part of it, and would stay behind, readable.
            beside.clear(path)
            entry = _new_entry(path.parent)
            # The run first: killed right after, undo finds it with what is still beside its old place.
            for one in (path, *_beside(path)):
                if _is_plain(one):
                    one.rename(entry / one.name)
        if _is_plain(lock_path):
            lock_path.rename(entry / lock_path.name)
    except OSError as error:
        raise StorageError(f"{path} cannot be moved to the trash: {error.strerror or error}") from error
    return Discarded(entry=entry, path=path)


def discarded(folders: Iterable[Path]) -> list[Discarded]:
    """Return what is in the trash of these folders, the last one deleted first."""
    found = []
    for folder in {folder.resolve() for folder in folders}:
        for entry in _entries(folder / FOLDER):
            if (name := _run_in(entry)) is not None:
                found.append(Discarded(entry=entry, path=folder / name))
    return sorted(found, key=lambda one: one.entry.name, reverse=True)


def restore(run: Discarded) -> None:
    """Move a run out of the trash, back to where it was.

    Raises:
        StorageError: Something else is there by now, or the folder cannot be written.
    """
    files = [one for one in run.entry.iterdir() if _is_plain(one)]
    taken = [run.path.with_name(one.name) for one in files if os.path.lexists(run.path.with_name(one.name))]
    if taken:
        raise StorageError(
            f"{taken[0]} is there already, and nothing is overwritten",
            hint=f"rename it; the deleted run stays in {run.entry}",
        )
    try:
        # The run last: until it is back, undo can be asked for again.
        for one in sorted(files, key=lambda file: file.name == run.path.name):
            one.rename(run.path.with_name(one.name))
        run.entry.rmdir()
    except OSError as error:
        raise StorageError(f"{run.path} cannot be brought back: {error.strerror or error}") from error


def _new_entry(folder: Path) -> Path:
    trash = folder / FOLDER
    trash.mkdir(mode=0o700, exist_ok=True)
    if not stat.S_ISDIR(trash.lstat().st_mode):
        raise StorageError(f"{trash} is no folder", hint="it may be a link; remove it")
    entry = trash / f"{time.time_ns():020}"
    entry.mkdir(mode=0o700)
    return entry


def _entries(trash: Path) -> list[Path]:
    try:
        if not stat.S_ISDIR(trash.lstat().st_mode):
            return []
        return [entry for entry in trash.iterdir() if stat.S_ISDIR(entry.lstat().st_mode)]
    except OSError:
        return []


def _run_in(entry: Path) -> str | None:
    """Return the name of the run in an entry: the file that the others are beside; None where there is none."""
    try:
        names = {one.name for one in entry.iterdir() if _is_plain(one)}
    except OSError:
        return None
    return next((name for name in sorted(names, key=len) if names <= {name, *_names_beside(name)}), None)


def _beside(path: Path) -> list[Path]:
    return [path.with_name(name) for name in _names_beside(path.name) if name != f"{path.name}.lock"]


def _names_beside(name: str) -> list[str]:
    log = [f"{name.removesuffix('.db')}.log"] if name.endswith(".db") else []
    return [f"{name}-journal", f"{name}.lock", *log]


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
