"""Writing manifests and other small files of the user's: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import tomli_w

from escl.errors import StorageError
from escl.shelf.manifest import Manifest

_PRECIOUS: Final = {b"SQLite format 3\0": "a run, an arena or another database", b"GGUF": "a model"}
"""How files begin that are never replaced by a text."""


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `manifest` as the TOML file `path`, replacing what is there.

    Raises:
        StorageError: It cannot be written.
    """
    write_whole(path, manifest_toml(manifest))


def write_whole(path: Path, content: bytes, *, hint: str | None = None) -> None:
    """Write a file, replacing what is there, or leave everything as it was.

    Raises:
        StorageError: It cannot be written, or what is there is a run, a model or no ordinary file: one slip in a name
            must not cost what took hours. `hint` says what to do.
    """
    if (kept := _precious(path)) is not None:
        raise StorageError(f"{path} is {kept}; nothing was written", hint="name another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).chmod(0o644)
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}", hint=hint) from error


def _precious(path: Path) -> str | None:
    """Return what stands in the way at `path`, None where a file may be written."""
    try:
        if not path.exists():
            return None
        if not path.is_file():
            return "no ordinary file"
        with path.open("rb") as file:
            begins = file.read(max(map(len, _PRECIOUS)))
    except OSError:
        # Whatever it is, writing will say so.
        return None
    return next((what for magic, what in _PRECIOUS.items() if begins.startswith(magic)), None)


def manifest_toml(manifest: Manifest) -> bytes:
    """Return the TOML file that `load_manifest` reads as `manifest`."""
    fields = _without_none(msgspec.to_builtins(manifest, str_keys=True))
    assert isinstance(fields, dict)
    return tomli_w.dumps(fields).encode()


def _without_none(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: _without_none(inner) for key, inner in value.items() if inner is not None and inner not in ({}, ())
        }
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return value
