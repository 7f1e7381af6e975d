"""Small bundles to check, damage and forge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from escl.bundle.contents import Contents, Item
from escl.bundle.create import Created, create
from escl.bundle.manifest import BundledFile, Manifest, decode_manifest, encode_manifest, sums
from escl.bundle.paths import MANIFEST, SIGNATURE, SUMS
from escl.bundle.signing import Signer, make_key

WEIGHTS = hashlib.shake_256(b"weights").digest(5000)
FILES = {
    "home/gguf/toy/q8.gguf": WEIGHTS,
    "home/gguf/toy.toml": b'name = "toy"\n',
    "home/cards/mine.toml": b"# cards\n",
    "licences/toy.txt": b"Do as you like.\n",
    "wheels/toy-1.0-py3-none-any.whl": b"PK",
}


def contents(files: dict[str, bytes] | None = None) -> Contents:
    """Return contents of these files, by path; `FILES` if left out."""
    items = tuple(Item(path=path, source=source) for path, source in sorted((files or FILES).items()))
    return Contents(items=items, models=(), protocols=(), cards=())


def signer(folder: Path, name: str = "maker.key") -> Signer:
    """Return the signer of that name, whose key is made in `folder` the first time."""
    if not (folder / name).exists():
        make_key(folder / name)
    return Signer(folder / name)


def make(
    destination: Path, files: dict[str, bytes] | None = None, *, by: Signer | None = None, volume_bytes: int = 2048
) -> Created:
    """Write a bundle of these files; the weights of `FILES` take three parts of 2,048 bytes."""
    return create(destination, contents(files), signer=by, volume_bytes=volume_bytes)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a bundle."""
    return decode_manifest((folder / MANIFEST).read_bytes())


def forge(folder: Path, change: Callable[[Manifest], Manifest], *, by: Signer | None = None) -> None:
    """Rewrite a bundle's manifest, with sums and a signature that fit it, as someone with a key could."""
    manifest = change(read_manifest(folder))
    manifest = msgspec.structs.replace(manifest, signer=by.public_key if by else None)
    content = encode_manifest(manifest)
    signature = by.sign(content) if by else None
    (folder / MANIFEST).write_bytes(content)
    (folder / SUMS).write_bytes(sums(manifest, content, signature))
    (folder / SIGNATURE).unlink(missing_ok=True)
    if signature is not None:
        (folder / SIGNATURE).write_bytes(signature)


def with_file(path: str, content: bytes = b"x", *, size_bytes: int | None = None) -> Callable[[Manifest], Manifest]:
    """Return a change that adds an entry for a file to a manifest, in its place."""

    def change(manifest: Manifest) -> Manifest:
        size = len(content) if size_bytes is None else size_bytes
        added = BundledFile(path=path, size_bytes=size, sha256=hashlib.sha256(content).hexdigest())
        return msgspec.structs.replace(
            manifest, files=tuple(sorted([*manifest.files, added], key=lambda file: file.path))
        )

    return change


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below `folder` by its path, the lock and the bundles' records apart."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name != ".bundle.lock"
        and not path.relative_to(folder).parts[0].startswith("bundles")
    }
