"""Making a bundle: hash everything, write it beside the destination, and give it its name when it is whole.

Owns the order of steps and the cutting into parts; what goes in is the caller's.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec

from escl import __version__
from escl.bundle.archive import ArchiveWriter, archive_bytes, is_archive, volume_paths
from escl.bundle.bom import bill_of_materials
from escl.bundle.contents import Contents, Item
from escl.bundle.folder import BLOCK_BYTES, FolderWriter
from escl.bundle.manifest import (
    BundledFile,
    Manifest,
    Part,
    WheelTarget,
    check_manifest,
    encode_manifest,
    stored_of,
    stored_sizes,
    sums,
)
from escl.bundle.opened import OnProgress
from escl.bundle.paths import BOM, MANIFEST, SIGNATURE, SUMS, WHEELS
from escl.bundle.signing import Signer
from escl.bundle.wheels import Wheel, requirements
from escl.convert.disk import check_room, publish, staging
from escl.errors import BundleError, StorageError, UsageError

VOLUME_BYTES: Final = 3900 << 20
"""Fits FAT32, whose files end 1 byte below 4 GiB, with room to spare."""
MIN_VOLUME_BYTES: Final = 1 << 10
MAX_VOLUME_BYTES: Final = (8 << 30) - 1
"""The largest file that a tar header can state."""


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was made.

    Attributes:
        paths: The folder, the archive, or its volumes.
        fingerprint: The SHA-256 of SHA256SUMS, to carry apart from the bundle.
        models: What they are called on the far side.
        size_bytes: Of all files before they are cut.
    """

    paths: list[str]
    name: str
    created: str
    fingerprint: str
    signer: str | None
    models: list[str]
    n_files: int
    size_bytes: int


def create(
    destination: Path,
    contents: Contents,
    *,
    wheels: Sequence[Wheel] = (),
    target: WheelTarget | None = None,
    signer: Signer | None = None,
    volume_bytes: int = VOLUME_BYTES,
    on_progress: OnProgress | None = None,
) -> Created:
    """Write a bundle to `destination` and return what was written.

    Args:
        destination: A folder, or with a name ending in .tar an archive. Must not exist; its parent must.
        contents: What goes in.
        wheels: The packages among the contents.
        target: What machines the wheels are for.
        signer: The key to sign with.
        volume_bytes: No file on the medium becomes larger.
        on_progress: Called after each block; everything is read twice, once to hash and once to copy.

    Raises:
        UsageError: The destination exists, or its name cannot name a bundle.
        BundleError: A file is not what its manifest promises, or changed while it was read.
        StorageError: No room, or the medium cannot be written.
    """
    _check_destination(destination, volume_bytes)
    items = list(contents.items)
    total = sum(_size(item) for item in items)
    check_room(destination, total)
    meter = _Meter(2 * total, on_progress)
    files = {item.path: _hashed(item, volume_bytes, meter) for item in items}
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    extra = _derived(_name(destination), created, contents, wheels, files)
    files |= {item.path: _hashed(item, volume_bytes, meter) for item in extra}
    items += extra
    manifest = Manifest(
        name=_name(destination),
        created=created,
        escl=__version__,
        signer=signer.public_key if signer else None,
        wheels=target,
        files=tuple(files[path] for path in sorted(files)),
    )
    check_manifest(manifest)
    content = encode_manifest(manifest)
    signature = signer.sign(content) if signer else None
    stated = sums(manifest, content, signature)
    heads = {MANIFEST: content} | ({SIGNATURE: signature} if signature is not None else {}) | {SUMS: stated}
    paths = [destination]
    if is_archive(destination):
        paths = volume_paths(destination, archive_bytes(stored_sizes(manifest, content)), volume_bytes)
    with staging(destination) as folder:
        staged = [folder / path.name for path in paths]
        writer = ArchiveWriter(staged, volume_bytes) if is_archive(destination) else FolderWriter(staged[0])
        _write(writer, heads, sorted(items, key=lambda item: item.path), files, meter)
        # Without its first volume an archive is not there yet.
        for path, final in zip(reversed(staged), reversed(paths), strict=True):
            publish(path, final, force=False)
    return Created(
        paths=[str(path) for path in paths],
        name=manifest.name,
        created=created,
        fingerprint=hashlib.sha256(stated).hexdigest(),
        signer=manifest.signer,
        models=[model.reference for model in contents.models],
        n_files=len(manifest.files),
        size_bytes=sum(file.size_bytes for file in manifest.files),
    )


class _Meter:
    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total, self._done, self._on_progress = total, 0, on_progress

    def add(self, n: int) -> None:
        self._done += n
        if self._on_progress is not None:
            # What follows from the hashes is small and not in the total.
            self._on_progress(min(self._done, self._total), self._total)


def _check_destination(destination: Path, volume_bytes: int) -> None:
    if not destination.parent.is_dir():
        raise StorageError(f"the folder {destination.parent} does not exist")
    _name(destination)
    if is_archive(destination) and destination.suffix != ".tar":
        raise UsageError(f"{destination} is named as a volume", hint="name the archive, ending in .tar")
    if os.path.lexists(destination) or next(destination.parent.glob(f"{destination.name}.[0-9][0-9][0-9]"), None):
        raise UsageError(f"{destination} exists", hint="give a name that does not exist yet; a bundle is never changed")
    if not MIN_VOLUME_BYTES <= volume_bytes <= MAX_VOLUME_BYTES:
        raise UsageError("--volume-size must be between 1 KiB and 8 GiB less a byte")


def _name(destination: Path) -> str:
    name = destination.name.removesuffix(".tar")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", name, re.ASCII):
        raise UsageError(f"{name!r} cannot name a bundle", hint="use letters, digits, dots, dashes and underscores")
    return name


def _size(item: Item) -> int:
    try:
        return len(item.source) if isinstance(item.source, bytes) else item.source.stat().st_size
    except OSError as error:
        raise BundleError(f"the source of {item.path} cannot be read: {error.strerror or error}") from error


def _hashed(item: Item, volume_bytes: int, meter: _Meter) -> BundledFile:
    """Return the manifest's entry for an item, with parts if it is larger than a volume."""
    whole, size_bytes = hashlib.sha256(), 0
    parts: list[Part] = []
    digest, part_bytes = hashlib.sha256(), 0
    for block in _blocks(item, volume_bytes):
        meter.add(len(block))
        whole.update(block)
        digest.update(block)
        size_bytes += len(block)
        part_bytes += len(block)
        if part_bytes == volume_bytes:
            parts.append(Part(size_bytes=part_bytes, sha256=digest.hexdigest()))
            digest, part_bytes = hashlib.sha256(), 0
    if part_bytes:
        parts.append(Part(size_bytes=part_bytes, sha256=digest.hexdigest()))
    if item.sha256 is not None and whole.hexdigest() != item.sha256:
        raise BundleError(f"the source of {item.path} is not the file its manifest names: sha256 {whole.hexdigest()}")
    return BundledFile(
        path=item.path,
        size_bytes=size_bytes,
        sha256=whole.hexdigest(),
        parts=tuple(parts) if len(parts) > 1 else (),
    )


def _blocks(item: Item, volume_bytes: int) -> Iterator[bytes]:
    """Return an item's bytes piece by piece; no piece crosses from one volume into the next."""
    if isinstance(item.source, bytes):
        for at in range(0, len(item.source), volume_bytes):
            yield item.source[at : at + volume_bytes]
        return
    try:
        with item.source.open("rb") as file:
            left = volume_bytes
            while block := file.read(min(BLOCK_BYTES, left)):
                yield block
                left = left - len(block) or volume_bytes
    except OSError as error:
        raise BundleError(f"{item.source} cannot be read: {error.strerror or error}") from error


def _derived(
    name: str, created: str, contents: Contents, wheels: Sequence[Wheel], files: Mapping[str, BundledFile]
) -> list[Item]:
    """Return the files that follow from the others' hashes: the BOM and the wheels' requirements."""
    digests = {path: file.sha256 for path, file in files.items()}
    items = [Item(path=BOM, source=bill_of_materials(name, created, contents, wheels, digests))]
    if wheels:
        pinned = [(wheel, digests[f"{WHEELS}/{wheel.path.name}"]) for wheel in wheels]
        items.append(Item(path=f"{WHEELS}/requirements.txt", source=requirements(pinned)))
    return items


class _Writer(Protocol):
    def add(self, name: str, size_bytes: int, blocks: Iterable[bytes]) -> None: ...
    def close(self) -> None: ...


def _write(
    writer: _Writer,
    heads: Mapping[str, bytes],
    items: Sequence[Item],
    files: Mapping[str, BundledFile],
    meter: _Meter,
) -> None:
    for name, head in heads.items():
        writer.add(name, len(head), [head])
    for item in items:
        blocks = _again(item, files[item.path], meter)
        for stored in stored_of(files[item.path]):
            writer.add(stored.name, stored.size_bytes, _next_bytes(blocks, stored.size_bytes))
        # Nothing is left, but the check at the end has still to run.
        for _ in blocks:
            pass
    writer.close()


def _again(item: Item, file: BundledFile, meter: _Meter) -> Iterator[bytes]:
    """Return an item's bytes a second time, refusing at the end what has changed since it was hashed."""
    digest, left = hashlib.sha256(), file.size_bytes
    for block in _blocks(item, file.parts[0].size_bytes if file.parts else max(file.size_bytes, 1)):
        digest.update(block)
        left -= len(block)
        if left < 0:
            break
        meter.add(len(block))
        yield block
    if left or digest.hexdigest() != file.sha256:
        raise BundleError(f"the source of {item.path} changed while the bundle was made", hint="make it again")


def _next_bytes(blocks: Iterator[bytes], n: int) -> Iterator[bytes]:
    while n > 0:
        block = next(blocks, b"")
        if not block:
            return
        n -= len(block)
        yield block
