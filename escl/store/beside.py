"""What a run and those who watch it tell each other, in small files beside the run's own.

`NAME.db.watched` is touched by whoever watches, `NAME.db.live` is what the run then tells several times a second, and
while `NAME.db.paused` is there nothing new is begun. None of them is needed: what cannot be written or read is not
told, and no fact is kept here. Whoever can write to the folder can write these files, so what is read is bounded and
checked, and no link is followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Annotated, Final

import msgspec

from escl.errors import StorageError

MOST_SPEAKING: Final = 16
"""Dialogues whose turn is told while it is written."""
MOST_CHARS: Final = 2000
"""Of each of them, the last so many."""
MAX_BYTES: Final = 1 << 18
"""Of what a run tells: the above in characters of four bytes, or escaped as six."""

_LIVE: Final = ".live"
_NEW: Final = ".live.new"
_WATCHED: Final = ".watched"
_PAUSED: Final = ".paused"

# Of POSIX: neither a link is followed nor a named pipe waited for.
_SAFELY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """The end of what is being said in a dialogue, in the turn that is not stored yet."""

    dialogue_id: Count
    text: Annotated[str, msgspec.Meta(max_length=MOST_CHARS)]


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does at this moment.

    Attributes:
        attempt: The number of the command that tells it.
        n_evaluated: Prompt tokens that its engines evaluated so far; `n_generated` those that they wrote.
    """

    attempt: Count
    n_evaluated: Count
    n_generated: Count
    speaking: Annotated[tuple[Speech, ...], msgspec.Meta(max_length=MOST_SPEAKING)]


_decoder: Final = msgspec.json.Decoder(Now)


def tell(path: Path, now: Now) -> None:
    """Write what the run at `path` does now, whole or not at all; readable for its owner only, as the run is."""
    made = _beside(path, _NEW)
    with contextlib.suppress(OSError):
        made.unlink(missing_ok=True)
        descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _SAFELY, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(msgspec.json.encode(now))
        # Windows refuses while somebody reads the old one; the next time is soon.
        made.replace(_beside(path, _LIVE))


def told(path: Path) -> Now | None:
    """Return what the run at `path` told last; None where it tells nothing, or nothing that can be read."""
    try:
        descriptor = os.open(_beside(path, _LIVE), os.O_RDONLY | _SAFELY)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(MAX_BYTES + 1)
        return None if len(content) > MAX_BYTES else _decoder.decode(content)
    except (OSError, UnicodeDecodeError, RecursionError, msgspec.DecodeError):
        return None


def watch(path: Path) -> None:
    """Let the run at `path` know that it is watched; to be repeated every second or so."""
    with contextlib.suppress(OSError):
        _touch(_beside(path, _WATCHED))


def watched_at(path: Path) -> int | None:
    """Return a number that changes whenever somebody says to watch the run at `path`; None while nobody does."""
    return _plain_file(_beside(path, _WATCHED))


def pause(path: Path) -> None:
    """Ask the run at `path` to begin nothing new until `resume`.

    Raises:
        StorageError: The folder cannot be written.
    """
    marker = _beside(path, _PAUSED)
    try:
        _touch(marker)
    except OSError as error:
        raise StorageError(f"{marker} cannot be written: {error.strerror}", hint="s stops the run instead") from error


def resume(path: Path) -> None:
    """Let the run at `path` go on.

    Raises:
        StorageError: The marker cannot be removed.
    """
    marker = _beside(path, _PAUSED)
    try:
        marker.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{marker} cannot be removed: {error.strerror}", hint="remove it yourself") from error


def is_paused(path: Path) -> bool:
    """Return whether somebody asked the run at `path` to begin nothing new."""
    return _plain_file(_beside(path, _PAUSED)) is not None


def unwatch(path: Path) -> None:
    """Remove the sign that the run at `path` is watched; whoever else watches sets it anew."""
    _remove(path, _WATCHED)


def hush(path: Path) -> None:
    """Remove what the run at `path` told."""
    _remove(path, _LIVE, _NEW)


def clear(path: Path) -> None:
    """Remove all that was left beside the run at `path`: a pause ends with the command that it was meant for."""
    _remove(path, _LIVE, _NEW, _WATCHED, _PAUSED)


def _remove(path: Path, *endings: str) -> None:
    for ending in endings:
        with contextlib.suppress(OSError):
            _beside(path, ending).unlink(missing_ok=True)


def _touch(marker: Path) -> None:
    descriptor = os.open(marker, os.O_CREAT | os.O_WRONLY | _SAFELY, 0o600)
    try:
        os.utime(descriptor if os.utime in os.supports_fd else marker)
    finally:
        os.close(descriptor)


def _plain_file(path: Path) -> int | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else None


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
