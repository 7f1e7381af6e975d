"""A file appears on the disk under its final name, whole and flushed, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Final

from escl.errors import StorageError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows has none.
    fcntl = None

_MARGIN_BYTES: Final = 64 << 20


@contextlib.contextmanager
def staging(dst: Path) -> Iterator[Path]:
    """Give a fresh private folder beside `dst` and remove it with all it holds, whatever happens.

    Raises:
        StorageError: It cannot be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{dst.name}.", suffix=".partial", dir=dst.parent))
    except OSError as error:
        raise StorageError(f"cannot write beside {dst}: {error.strerror or error}") from error
    try:
        yield folder
    except OSError as error:
        raise StorageError(f"cannot write {dst}: {error.filename or ''} {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_room(dst: Path, needed_bytes: int) -> None:
    """Refuse when the disk of `dst` has less than `needed_bytes` and a margin free.

    Raises:
        StorageError: Too little room; the message says how much is needed and how much there is.
    """
    free = shutil.disk_usage(dst.parent).free
    if free < needed_bytes + _MARGIN_BYTES:
        raise StorageError(
            f"{dst.parent} has {free / 1e9:.2f} GB free; this needs {(needed_bytes + _MARGIN_BYTES) / 1e9:.2f} GB",
            hint="free some room or choose another place",
        )


def flush_to_disk(file: BinaryIO) -> None:
    """Return when all that was written to `file` would survive a power cut, as far as the system lets us ask."""
    file.flush()
    if fcntl is not None and hasattr(fcntl, "F_FULLFSYNC"):
        # On macOS fsync leaves the data in the drive's cache.
        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
    else:
        os.fsync(file.fileno())
    if hasattr(os, "posix_fadvise"):
        # So that the check afterwards reads the disk, not this process's memory of it.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def publish(path: Path, dst: Path, *, force: bool) -> None:
    """Give the file `path` its final name `dst`.

    Raises:
        StorageError: `dst` appeared meanwhile and `force` is off.
    """
    if os.path.lexists(dst) and not force:
        raise StorageError(f"{dst} appeared while it was being made", hint="use --force to replace it")
    path.replace(dst)
    if os.name == "posix":
        folder = os.open(dst.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
