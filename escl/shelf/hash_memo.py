"""Remembers the hashes of large files, so that a plan finds what was measured of a model without reading gigabytes.

Only a memory aid: a file counts as known while its size and time of change are as they were. Nothing is ever verified
against it; whoever loads a model for a run hashes it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

LARGE_BYTES: Final = 64 << 20
"""Smaller files are hashed in no time and are not remembered."""

_NAME: Final = "hashes.json"
_MAX_BYTES: Final = 1 << 20
_MAX_FILES: Final = 1000


class _Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    size_bytes: int
    changed_ns: int
    sha256: str


def remembered(path: Path, *, folder: Path) -> str | None:
    """Return the sha256 that `path` had when it was last hashed, None if it has changed since or never was.

    Args:
        path: The file.
        folder: Where the memory is kept.
    """
    seen = _read(folder).get(str(path))
    try:
        status = path.stat()
    except OSError:
        return None
    is_same = seen is not None and (seen.size_bytes, seen.changed_ns) == (status.st_size, status.st_mtime_ns)
    return seen.sha256 if seen is not None and is_same else None


def remember(path: Path, sha256: str, *, folder: Path) -> None:
    """Remember the hash of a large file; where that cannot be written, nothing is lost but time."""
    with contextlib.suppress(OSError):
        status = path.stat()
        if status.st_size < LARGE_BYTES:
            return
        files = _read(folder)
        seen = _Seen(size_bytes=status.st_size, changed_ns=status.st_mtime_ns, sha256=sha256)
        if files.get(str(path)) == seen:
            return
        # The oldest go first; a file that is hashed again moves to the end.
        files.pop(str(path), None)
        kept = dict(list(files.items())[-(_MAX_FILES - 1) :]) | {str(path): seen}
        _write(folder, msgspec.json.format(msgspec.json.encode(kept), indent=1))


def _read(folder: Path) -> dict[str, _Seen]:
    try:
        with (folder / _NAME).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        return msgspec.json.decode(content, type=dict[str, _Seen]) if len(content) <= _MAX_BYTES else {}
    except (OSError, UnicodeDecodeError, RecursionError, msgspec.DecodeError):
        return {}


def _write(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(beside).replace(folder / _NAME)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
