"""A bundle as a folder: reading its files as an unknown hand left them, and writing a new one.

Follows no link and reads no device. Knows names and sizes; what they mean is the manifest's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from escl.bundle.manifest import MAX_FILES
from escl.bundle.paths import MANIFEST, shown
from escl.convert.disk import flush_to_disk
from escl.errors import BundleError

BLOCK_BYTES: Final = 1 << 22

_READ_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_MAX_DEPTH: Final = 16
_SHOWN: Final = 5


class FolderReader:
    """Reads the files of a bundle in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def manifest(self, limit: int) -> bytes:
        """Return the bytes of manifest.json, refusing more than `limit`."""
        try:
            with open_regular(self._root / MANIFEST) as file:
                content = file.read(limit + 1)
        except FileNotFoundError:
            raise BundleError(f"{self._root} holds no {MANIFEST}; it is no bundle") from None
        if len(content) > limit:
            raise BundleError(f"{MANIFEST} is larger than {limit:,} bytes")
        return content

    def expect(self, sizes: Mapping[str, int]) -> None:
        """Refuse the folder unless it holds exactly these files, of these sizes, and nothing that is no plain file.

        Raises:
            BundleError: With the names.
        """
        # Of a flood of files only as many are looked at as it takes to refuse them.
        found = dict(islice(_walk(self._root, "", 0), 2 * MAX_FILES))
        if missing := [name for name in sizes if name not in found]:
            raise BundleError(f"the bundle lacks {_listed(missing)}", hint="it was not copied whole; copy it again")
        if surplus := [name for name in found if name not in sizes]:
            raise BundleError(
                f"the bundle holds what its manifest does not name: {_listed(surplus)}",
                hint="if the system put it there (.DS_Store, ._*), delete it; else do not trust this stick",
            )
        for name, size in sizes.items():
            if found[name] != size:
                raise BundleError(f"{name} has {found[name]:,} bytes, but its manifest says {size:,}")

    def blocks(self, name: str, size: int) -> Iterator[bytes]:
        """Return the bytes of a file piece by piece.

        Raises:
            BundleError: It has fewer or more than `size`.
        """
        with open_regular(self._root / name) as file:
            yield from exactly(file, size, name)
            if file.read(1):
                raise BundleError(f"{name} is longer than its manifest says")


class FolderWriter:
    """Writes the files of a bundle into a new folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, name: str, size_bytes: int, blocks: Iterable[bytes]) -> None:
        """Write a file of just this size."""
        del size_bytes  # An archive has to know it beforehand; here it follows.
        write_new(self._root / name, blocks)

    def close(self) -> None:
        """Nothing is left to write."""


def open_regular(path: Path) -> BinaryIO:
    """Open a plain file for reading; a link, a pipe or a device is refused.

    Raises:
        FileNotFoundError: There is none.
        BundleError: It is no plain file or cannot be read.
    """
    try:
        handle = os.open(path, _READ_FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}; links are refused") from error
    file = os.fdopen(handle, "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise BundleError(f"{path} is no plain file")
    return file


def exactly(file: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    """Return the next `size` bytes of `file` piece by piece.

    Raises:
        BundleError: It ends before, or the medium fails.
    """
    left = size
    while left:
        try:
            block = file.read(min(BLOCK_BYTES, left))
        except OSError as error:
            raise BundleError(f"{name} cannot be read: {error.strerror or error}") from error
        if not block:
            raise BundleError(f"{name} is shorter than its manifest says")
        left -= len(block)
        yield block


def write_new(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a file that must not exist yet, making its folders, and flush it to the disk.

    Raises:
        OSError: The disk or the file system refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, _WRITE_FLAGS, 0o644), "wb", buffering=0) as file:
        for block in blocks:
            view = memoryview(block)
            while view:
                view = view[file.write(view) :]
        flush_to_disk(file)


def _walk(root: Path, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
    if depth > _MAX_DEPTH:
        raise BundleError(f"{shown(prefix)} is nested too deep")
    try:
        entries = sorted(os.scandir(root / prefix), key=lambda entry: entry.name)
    except OSError as error:
        raise BundleError(f"{root / prefix} cannot be read: {error.strerror or error}") from error
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, f"{name}/", depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield name, entry.stat(follow_symlinks=False).st_size
        else:
            raise BundleError(f"{shown(name)} is no plain file: a link, a device or a pipe")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(shown(name) for name in names[:_SHOWN]) + more
