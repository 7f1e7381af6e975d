"""A bundle as one uncompressed tar archive, which may be cut into volumes.

The archive has one spelling: headers that follow from names and sizes, zeros between, two blocks of zeros at the
end. So it is never parsed: what the manifest implies is computed and compared. Only the first header's size is read.
`tar xf` and, after `cat NAME.tar.*`, any other tool unpack it.
"""

from __future__ import annotations

import os
import re
import tarfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, count
from pathlib import Path
from typing import BinaryIO, Final

from escl.bundle.folder import BLOCK_BYTES, open_regular
from escl.bundle.paths import MANIFEST
from escl.convert.disk import flush_to_disk
from escl.errors import BundleError

_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = bytes(2 * _BLOCK)
# FAT cannot state times before 1980.
_MTIME: Final = 315_532_800
_SIZE_FIELD: Final = slice(124, 136)
_VOLUME: Final = re.compile(r"(?P<archive>.+\.tar)\.\d{3}", re.ASCII)


def header(name: str, size_bytes: int) -> bytes:
    """Return the one header of a file: a ustar block, with a pax record before it for a name over 100 characters."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size_bytes, _MTIME, 0o644
    return member.tobuf(tarfile.PAX_FORMAT)


def archive_bytes(sizes: Mapping[str, int]) -> int:
    """Return the size of the archive of files of these sizes."""
    return sum(len(header(name, size)) + _padded(size) for name, size in sizes.items()) + len(_END)


def volume_paths(destination: Path, total_bytes: int, volume_bytes: int) -> list[Path]:
    """Return the files that an archive becomes: itself, or NAME.tar.001 and so on when it is larger than a volume.

    Raises:
        BundleError: There would be more than 999.
    """
    if total_bytes <= volume_bytes:
        return [destination]
    n = -(-total_bytes // volume_bytes)
    if n > 999:
        raise BundleError(f"the archive would have {n:,} volumes; 999 is the most", hint="give a larger --volume-size")
    return [destination.with_name(f"{destination.name}.{number:03d}") for number in range(1, n + 1)]


class ArchiveWriter:
    """Writes an archive's files in order, cutting it into volumes."""

    def __init__(self, paths: Iterable[Path], volume_bytes: int) -> None:
        self._paths, self._volume_bytes = iter(paths), volume_bytes
        self._file: BinaryIO | None = None
        self._left = 0

    def add(self, name: str, size_bytes: int, blocks: Iterable[bytes]) -> None:
        """Write a file of just this size."""
        self._write(header(name, size_bytes))
        for block in blocks:
            self._write(block)
        self._write(bytes(_padded(size_bytes) - size_bytes))

    def close(self) -> None:
        """Write the end and flush the last volume to the disk."""
        self._write(_END)
        self._close_volume()

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            if not self._left:
                self._close_volume()
                self._file, self._left = next(self._paths).open("xb"), self._volume_bytes
            assert self._file is not None
            self._file.write(view[: self._left])
            written = min(len(view), self._left)
            view, self._left = view[written:], self._left - written

    def _close_volume(self) -> None:
        if self._file is not None:
            with self._file:
                flush_to_disk(self._file)


class ArchiveReader:
    """Reads the files of a bundle in an archive."""

    def __init__(self, source: Path) -> None:
        self._paths = _volumes(source)
        sizes = [_size(path) for path in self._paths]
        self._ends = list(accumulate(sizes))
        self._places: dict[str, tuple[int, int]] = {}

    def manifest(self, limit: int) -> bytes:
        """Return the bytes of manifest.json, refusing more than `limit`."""
        first = self._read(0, _BLOCK)
        field = first[_SIZE_FIELD]
        size = int(field[:-1], 8) if re.fullmatch(rb"[0-7]{11}\0", field) else None
        if size is None or first != header(MANIFEST, size):
            raise BundleError(f"{self._paths[0]} is no archive that escl made")
        if size > limit:
            raise BundleError(f"{MANIFEST} is larger than {limit:,} bytes")
        return self._read(_BLOCK, size)

    def expect(self, sizes: Mapping[str, int]) -> None:
        """Refuse the archive unless it holds exactly these files in this order, spelt as escl spells them.

        Raises:
            BundleError: With the file's name.
        """
        expected = archive_bytes(sizes)
        if self._ends[-1] != expected:
            raise BundleError(
                f"the archive has {self._ends[-1]:,} bytes, but its manifest implies {expected:,}",
                hint="it was not copied whole, or a volume is missing; copy it again",
            )
        at = 0
        for name, size in sizes.items():
            head = header(name, size)
            if self._read(at, len(head)) != head:
                raise BundleError(f"the header of {name} in the archive is damaged")
            at += len(head)
            self._places[name] = (at, size)
            if any(self._read(at + size, _padded(size) - size)):
                raise BundleError(f"the padding after {name} in the archive is damaged")
            at += _padded(size)
        if self._read(at, len(_END)) != _END:
            raise BundleError("the end of the archive is damaged")

    def blocks(self, name: str, size: int) -> Iterator[bytes]:
        """Return the bytes of a file piece by piece; `expect` has placed it."""
        at, left = self._places[name]
        assert left == size
        while left:
            n = min(left, BLOCK_BYTES)
            yield self._read(at, n)
            at, left = at + n, left - n

    def _read(self, at: int, n: int) -> bytes:
        pieces = []
        while n:
            number = bisect_right(self._ends, at)
            if number == len(self._ends):
                raise BundleError(f"{self._paths[-1]} is cut off")
            start = self._ends[number - 1] if number else 0
            piece = _piece(self._paths[number], at - start, min(n, self._ends[number] - at))
            pieces.append(piece)
            at, n = at + len(piece), n - len(piece)
        return b"".join(pieces)


def is_archive(source: Path) -> bool:
    """Return whether a path is named as archives and their volumes are."""
    return source.suffix == ".tar" or _VOLUME.fullmatch(source.name) is not None


def _volumes(source: Path) -> list[Path]:
    """Return the files of the archive that `source`, or any volume of it, names."""
    if source.suffix == ".tar" and source.exists():
        return [source]
    volume = _VOLUME.fullmatch(source.name)
    archive = source.with_name(volume["archive"]) if volume else source
    paths = []
    for number in count(1):
        path = archive.with_name(f"{archive.name}.{number:03d}")
        if not path.exists():
            break
        paths.append(path)
    if not paths:
        raise BundleError(f"{archive} is not there, nor its first volume {archive.name}.001")
    return paths


def _size(path: Path) -> int:
    with open_regular(path) as file:
        return os.fstat(file.fileno()).st_size


def _piece(path: Path, at: int, n: int) -> bytes:
    with open_regular(path) as file:
        try:
            file.seek(at)
            piece = file.read(n)
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    if not piece:
        raise BundleError(f"{path} became shorter while it was read")
    return piece


def _padded(n: int) -> int:
    return -(-n // _BLOCK) * _BLOCK
