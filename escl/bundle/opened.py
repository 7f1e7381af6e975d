"""Opening a bundle: everything that can be checked without reading the files themselves, and then their hashes.

Owns the order of the checks. Writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from escl.bundle.archive import ArchiveReader, is_archive
from escl.bundle.folder import FolderReader
from escl.bundle.manifest import (
    MAX_MANIFEST_BYTES,
    SIGNATURE_BYTES,
    BundledFile,
    Manifest,
    decode_manifest,
    signed_by,
    stored_files,
    stored_of,
    stored_sizes,
    sums,
)
from escl.bundle.paths import MANIFEST, SIGNATURE, SUMS
from escl.bundle.signing import is_signed_by
from escl.errors import BundleError

OnProgress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


class Reader(Protocol):
    """Reads the files of a bundle from a folder or an archive."""

    def manifest(self, limit: int) -> bytes:
        """Return the bytes of manifest.json, refusing more than `limit`."""
        ...

    def expect(self, sizes: Mapping[str, int]) -> None:
        """Refuse the bundle unless it holds exactly these files of these sizes."""
        ...

    def blocks(self, name: str, size: int) -> Iterator[bytes]:
        """Return the bytes of a file piece by piece, refusing fewer or more than `size`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBundle:
    """A bundle that has passed the quick checks.

    Attributes:
        content: The bytes of manifest.json.
        signature: None for a bundle that is not signed; else it is that of `manifest.signer`.
        fingerprint: The SHA-256 of SHA256SUMS, which stands for all the rest.
    """

    manifest: Manifest
    content: bytes
    signature: bytes | None
    fingerprint: str
    reader: Reader

    def read(self, file: BundledFile) -> Iterator[bytes]:
        """Return a file's bytes, its parts joined, checking every hash on the way.

        Raises:
            BundleError: At its end at the latest, when it is not the file that the manifest names.
        """
        whole = hashlib.sha256()
        for stored in stored_of(file):
            digest = hashlib.sha256()
            for block in self.reader.blocks(stored.name, stored.size_bytes):
                digest.update(block)
                if file.parts:
                    whole.update(block)
                yield block
            if digest.hexdigest() != stored.sha256:
                raise BundleError(f"{stored.name} is not the file that the manifest names: its sha256 differs")
        if file.parts and whole.hexdigest() != file.sha256:
            raise BundleError(f"{file.path} is not the file that the manifest names: its parts' sha256 differs")


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a bundle.

    Attributes:
        created: When it was made, UTC.
        is_full: Whether the hashes of all files were compared; else only names, sizes, sums and signature.
        problems: What is damaged; empty for a sound bundle.
    """

    source: str
    name: str
    created: str
    fingerprint: str
    signer: str | None
    n_files: int
    size_bytes: int
    is_full: bool
    problems: list[str]


def open_bundle(source: Path) -> OpenBundle:
    """Return the bundle at `source`: its manifest, sums and signature fit each other, and its files their sizes.

    Raises:
        BundleError: It is no bundle, incomplete, changed or hostile.
    """
    reader = _reader(source)
    content = reader.manifest(MAX_MANIFEST_BYTES)
    manifest = decode_manifest(content)
    sizes = stored_sizes(manifest, content)
    reader.expect(sizes)
    signature = None
    if manifest.signer is not None:
        signature = b"".join(reader.blocks(SIGNATURE, SIGNATURE_BYTES))
    stated = b"".join(reader.blocks(SUMS, sizes[SUMS]))
    if stated != sums(manifest, content, signature):
        raise BundleError(f"{SUMS} does not fit {MANIFEST} and its signature; one of them was changed")
    if manifest.signer is not None and not is_signed_by(manifest.signer, content, signature or b""):
        raise BundleError(f"the signature of {MANIFEST} is not by the key that it names")
    return OpenBundle(
        manifest=manifest,
        content=content,
        signature=signature,
        fingerprint=hashlib.sha256(stated).hexdigest(),
        reader=reader,
    )


def verify(
    source: Path, *, full: bool = True, trust: str | None = None, on_progress: OnProgress | None = None
) -> Verified:
    """Return whether the bundle at `source` is as it was made, and by whom.

    Args:
        source: The folder or archive.
        full: Compare every file's hash; else what `open_bundle` does.
        trust: The public key that must have signed it, in hex.
        on_progress: Called after each block.

    Raises:
        BundleError: As `open_bundle`, or not signed by `trust`; damaged files are `problems`, so that all are named.
    """
    bundle = open_bundle(source)
    if trust is not None and bundle.manifest.signer != trust:
        raise BundleError(f"the bundle is {signed_by(bundle.manifest)}, not by {trust}")
    problems = _damaged(bundle, on_progress) if full else []
    manifest = bundle.manifest
    return Verified(
        source=str(source),
        name=manifest.name,
        created=manifest.created,
        fingerprint=bundle.fingerprint,
        signer=manifest.signer,
        n_files=len(manifest.files),
        size_bytes=sum(file.size_bytes for file in manifest.files),
        is_full=full,
        problems=problems,
    )


def _damaged(bundle: OpenBundle, on_progress: OnProgress | None) -> list[str]:
    total, done = sum(stored.size_bytes for stored in stored_files(bundle.manifest)), 0
    problems = []
    for file in bundle.manifest.files:
        before = done
        try:
            for block in bundle.read(file):
                done += len(block)
                if on_progress is not None:
                    on_progress(done, total)
        except BundleError as error:
            problems.append(error.message)
        done = before + file.size_bytes
    return problems


def _reader(source: Path) -> Reader:
    if source.is_dir():
        return FolderReader(source)
    if is_archive(source):
        return ArchiveReader(source)
    raise BundleError(
        f"{source} is no bundle", hint="give its folder, its archive (.tar) or the archive's first volume"
    )
