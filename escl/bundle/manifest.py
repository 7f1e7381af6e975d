"""The manifest of a bundle: its one spelling, its checks, and the SHA256SUMS that follow from it.

Works on bytes and values; touches no disk and no signature.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, Literal

import msgspec

from escl.bundle.paths import BOM, MANIFEST, SIGNATURE, SUMS, check_path, check_together, installed_at, part_name
from escl.core.printable import printable
from escl.errors import BundleError

MAX_MANIFEST_BYTES: Final = 8 << 20
MAX_FILES: Final = 10_000
"""Stored files, parts counted; a real bundle has about a hundred."""
MAX_FILE_BYTES: Final = 1 << 42
MAX_SMALL_BYTES: Final = 16 << 20
"""The BOM, manifests, protocols and cards, which are read whole."""
SIGNATURE_BYTES: Final = 64

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CREATED: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One piece of a file that is larger than a volume."""

    size_bytes: int
    sha256: str


class BundledFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a bundle, as it is when its parts are joined.

    Attributes:
        parts: The pieces in order; empty for a file that is stored whole.
    """

    path: str
    size_bytes: int
    sha256: str
    parts: tuple[Part, ...] = ()


class WheelTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For which machines the wheels are.

    Attributes:
        platform: A platform tag of PEP 425, such as win_amd64.
        python: Such as 3.12.
    """

    platform: str
    python: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What manifest.json holds.

    Attributes:
        created: UTC, to the second; also the bundle's version: of one signer's bundles a later one is newer.
        escl: The version of escl that made it.
        signer: The Ed25519 public key in hex, None for a bundle that is not signed.
    """

    format: Literal["escl-bundle"] = "escl-bundle"
    format_version: Literal[1] = 1
    name: str
    created: str
    escl: str
    signer: str | None
    wheels: WheelTarget | None
    files: tuple[BundledFile, ...]


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it lies on the stick: one of the manifest's, or one part of it."""

    name: str
    size_bytes: int
    sha256: str


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the one spelling of a manifest."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decode_manifest(content: bytes) -> Manifest:
    """Return the manifest that `content` spells.

    Raises:
        BundleError: It is no manifest, is not spelt as `encode_manifest` does, or names what no bundle may hold.
    """
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{MANIFEST} cannot be read: {printable(str(error))}") from error
    if encode_manifest(manifest) != content:
        raise BundleError(f"{MANIFEST} is not spelt as escl writes it; it was changed")
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Refuse a manifest that claims the impossible or names what no bundle may hold.

    Raises:
        BundleError: With the field or the file.
    """
    _check_head(manifest)
    if sum(max(1, len(file.parts)) for file in manifest.files) > MAX_FILES:
        raise BundleError(f"{MANIFEST} names more than {MAX_FILES:,} files")
    for file in manifest.files:
        _check_file(file)
    for before, after in pairwise(manifest.files):
        if before.path >= after.path:
            raise BundleError(f"{MANIFEST}: {after.path} stands after {before.path}; paths must be sorted and unlike")
    if BOM not in {file.path for file in manifest.files}:
        raise BundleError(f"{MANIFEST} names no {BOM}")
    check_together([MANIFEST, SIGNATURE, SUMS, *(stored.name for stored in stored_files(manifest))])


def signed_by(manifest: Manifest) -> str:
    """Return who signed, in words that go on from "the bundle is ..."."""
    return "not signed" if manifest.signer is None else f"signed by {manifest.signer}"


def stored_files(manifest: Manifest) -> Iterator[StoredFile]:
    """Return the files and parts as they lie on the stick, in the manifest's order."""
    for file in manifest.files:
        yield from stored_of(file)


def stored_of(file: BundledFile) -> list[StoredFile]:
    """Return a file's parts as they lie on the stick, or the file itself when it is stored whole."""
    if not file.parts:
        return [StoredFile(name=file.path, size_bytes=file.size_bytes, sha256=file.sha256)]
    return [
        StoredFile(name=part_name(file.path, number), size_bytes=part.size_bytes, sha256=part.sha256)
        for number, part in enumerate(file.parts, start=1)
    ]


def sums(manifest: Manifest, content: bytes, signature: bytes | None) -> bytes:
    """Return SHA256SUMS: a line for each stored file, for manifest.json (`content`) and for its signature, sorted."""
    digests = {stored.name: stored.sha256 for stored in stored_files(manifest)}
    digests[MANIFEST] = hashlib.sha256(content).hexdigest()
    if signature is not None:
        digests[SIGNATURE] = hashlib.sha256(signature).hexdigest()
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode("ascii")


def stored_sizes(manifest: Manifest, content: bytes) -> dict[str, int]:
    """Return the size of everything that must be there, in the order of an archive; nothing else may be."""
    sizes = {MANIFEST: len(content)}
    if manifest.signer is not None:
        sizes[SIGNATURE] = SIGNATURE_BYTES
    # The sums' length does not depend on what the signature is.
    sizes[SUMS] = len(sums(manifest, content, bytes(SIGNATURE_BYTES) if manifest.signer is not None else None))
    return sizes | {stored.name: stored.size_bytes for stored in stored_files(manifest)}


def _check_head(manifest: Manifest) -> None:
    labels = {"name": manifest.name, "escl": manifest.escl}
    if manifest.wheels is not None:
        labels |= {"wheels.platform": manifest.wheels.platform, "wheels.python": manifest.wheels.python}
    for field, label in labels.items():
        if not _LABEL.fullmatch(label):
            raise BundleError(f"{MANIFEST}: {field} must be 1 to 64 letters, digits, dots, dashes, plus or underscores")
    if not _CREATED.fullmatch(manifest.created):
        raise BundleError(f"{MANIFEST}: created must be a time in UTC such as 2026-01-31T12:00:00Z")
    if manifest.signer is not None and not _SHA256.fullmatch(manifest.signer):
        raise BundleError(f"{MANIFEST}: signer must be 64 hex digits")


def _check_file(file: BundledFile) -> None:
    check_path(file.path)
    pieces = [*file.parts, Part(size_bytes=file.size_bytes, sha256=file.sha256)]
    for piece in pieces:
        if not 0 <= piece.size_bytes <= MAX_FILE_BYTES:
            raise BundleError(f"{MANIFEST}: {file.path} has an impossible size, {piece.size_bytes}")
        if not _SHA256.fullmatch(piece.sha256):
            raise BundleError(f"{MANIFEST}: {file.path} has a sha256 that is none")
    if file.parts and sum(part.size_bytes for part in file.parts) != file.size_bytes:
        raise BundleError(f"{MANIFEST}: the parts of {file.path} do not add up to its size")
    if _is_small(file.path) and (file.size_bytes > MAX_SMALL_BYTES or file.parts):
        raise BundleError(f"{MANIFEST}: {file.path} claims {file.size_bytes:,} bytes; such a file is small")


def _is_small(path: str) -> bool:
    target = installed_at(path)
    return path == BOM or (target is not None and target.suffix != ".gguf")
