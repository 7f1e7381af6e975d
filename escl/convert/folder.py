"""Reading files of a folder that came from outside: names that stay inside it, JSON that says each thing once.

Knows no architecture and no tensor. Nothing is executed and no file is opened but regular ones.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Final

from escl.errors import ConvertError

MAX_CONFIG_BYTES: Final = 8 << 20
MAX_TOKENIZER_BYTES: Final = 256 << 20
"""The largest published tokenizer.json is 33 MB."""

JSONObject = dict[str, object]


def file_in(folder: Path, name: str) -> Path | None:
    """Return the path of the regular file `name` directly in `folder`, or None when there is none.

    A symbolic link is followed only inside `folder`, or from a Hugging Face cache snapshot to its repository's blobs.

    Raises:
        ConvertError: `name` is not a plain file name, or what stands there leads elsewhere or is no regular file.
    """
    if not name or name in (".", "..") or any(mark in name for mark in "/\\\0:"):
        raise ConvertError(f"{folder}: {name!r} is not the name of a file in this folder")
    path = folder / name
    if not path.is_symlink() and not path.exists():
        return None
    real = path.resolve()
    if not any(real.is_relative_to(allowed) for allowed in _allowed_roots(folder)):
        raise ConvertError(f"{path} is a link that leads out of the folder, to {real}")
    if not real.is_file():
        raise ConvertError(f"{path} is not a regular file" if real.exists() else f"{path} is a link to nothing")
    return path


def required_file_in(folder: Path, name: str, *, why: str) -> Path:
    """Return the path of the regular file `name` in `folder`.

    Raises:
        ConvertError: As `file_in`, or there is no such file; `why` is the hint.
    """
    path = file_in(folder, name)
    if path is None:
        raise ConvertError(f"{folder} has no {name}", hint=why)
    return path


def _allowed_roots(folder: Path) -> tuple[Path, ...]:
    real = folder.resolve()
    snapshot = snapshot_above(real)
    return (real,) if snapshot is None else (real, snapshot.parent.parent / "blobs")


def snapshot_above(folder: Path) -> Path | None:
    """Return the Hugging Face cache snapshot that `folder` is or lies in, None when it lies in none.

    huggingface_hub keeps <cache>/models--owner--repo/snapshots/<revision>/..., with links into the blobs beside it.
    """
    for candidate in (folder, *folder.parents):
        if candidate.parent.name == "snapshots" and candidate.parent.parent.name.startswith("models--"):
            return candidate
    return None


def read_json(path: Path, *, max_bytes: int = MAX_CONFIG_BYTES) -> JSONObject:
    """Return the JSON object in the file at `path`.

    Raises:
        ConvertError: Too big, not UTF-8, not JSON, a key twice in one object, NaN or infinity, or not an object.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise ConvertError(f"{path} has more than {max_bytes:,} bytes")
        loaded = parse_json(path.read_bytes())
    except OSError as error:
        raise ConvertError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConvertError(f"{path}: {error}") from error
    if not isinstance(loaded, dict):
        raise ConvertError(f"{path} does not hold a JSON object")
    return loaded


def parse_json(raw: bytes) -> object:
    """Return the value in `raw`, UTF-8 JSON in which no object holds a key twice and every number is finite.

    Raises:
        ValueError: It is anything else.
    """
    try:
        value: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    return value


def _once(pairs: list[tuple[str, object]]) -> JSONObject:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return entries


def _refuse_constant(name: str) -> object:
    raise ValueError(f"holds {name}, which is not JSON")


class Fields:
    """A JSON object with typed access to its fields; every error names the file and the key."""

    def __init__(self, entries: JSONObject, *, where: str) -> None:
        self.entries, self.where = entries, where

    def integer(self, key: str, *, default: int | None = None) -> int:
        """Return the positive integer under `key`; null and absence mean `default`.

        Raises:
            ConvertError: It is absent without a default, not an integer, or below 1.
        """
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 31:
            raise ConvertError(f"{self.where}: {key} is {value!r}, not a positive integer")
        return value

    def number(self, key: str, *, default: float | None = None) -> float:
        """Return the positive number under `key`, one that float32 can hold; null and absence mean `default`.

        Raises:
            ConvertError: It is absent without a default, or anything else.
        """
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-30 <= value <= 1e30:
            raise ConvertError(f"{self.where}: {key} is {value!r}, not a positive number")
        return float(value)

    def text(self, key: str) -> str | None:
        """Return the string under `key`, None when it is absent or null.

        Raises:
            ConvertError: It is something else.
        """
        value = self.entries.get(key)
        if value is not None and not isinstance(value, str):
            raise ConvertError(f"{self.where}: {key} is {value!r}, not text")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return the boolean under `key`; null and absence mean `default`.

        Raises:
            ConvertError: It is something else.
        """
        value = self.entries.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ConvertError(f"{self.where}: {key} is {value!r}, not true or false")
        return value

    def table(self, key: str) -> Fields:
        """Return the object under `key`, an empty one when it is absent or null.

        Raises:
            ConvertError: It is something else.
        """
        value = self.entries.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise ConvertError(f"{self.where}: {key} is not an object")
        return Fields(value, where=f"{self.where}: {key}")

    def items(self, key: str) -> list[object]:
        """Return the list under `key`, an empty one when it is absent or null.

        Raises:
            ConvertError: It is something else.
        """
        value = self.entries.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise ConvertError(f"{self.where}: {key} is not a list")
        return value

    def _value(self, key: str, default: object) -> object:
        value = self.entries.get(key)
        if value is None:
            value = default
        if value is None:
            raise ConvertError(f"{self.where} has no {key}")
        return value
