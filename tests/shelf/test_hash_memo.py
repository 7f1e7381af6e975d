"""A large file's hash is remembered until the file changes, and nothing depends on remembering."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from escl.errors import ManifestError
from escl.shelf.hash_memo import LARGE_BYTES, remember, remembered
from escl.shelf.manifest import find_model, locate_model
from tests.tiny_gguf import Script, write_model


def large(path: Path) -> Path:
    path.touch()
    os.truncate(path, LARGE_BYTES)
    return path


def test_a_hash_is_known_while_the_file_is_as_it_was(tmp_path: Path) -> None:
    path, folder = large(tmp_path / "m"), tmp_path / "home"
    assert remembered(path, folder=folder) is None
    remember(path, "a" * 64, folder=folder)
    assert remembered(path, folder=folder) == "a" * 64
    os.utime(path, ns=(1, 1))
    assert remembered(path, folder=folder) is None
    remember(path, "b" * 64, folder=folder)
    assert remembered(path, folder=folder) == "b" * 64
    os.truncate(path, LARGE_BYTES + 1)
    os.utime(path, ns=(1, 1))
    assert remembered(path, folder=folder) is None
    path.unlink()
    assert remembered(path, folder=folder) is None


def test_many_files_are_remembered_side_by_side_and_small_ones_not_at_all(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"few bytes")
    for name in ("one", "two"):
        remember(large(tmp_path / name), name * 10, folder=tmp_path)
    remember(small, "c" * 64, folder=tmp_path)
    assert [remembered(tmp_path / name, folder=tmp_path) for name in ("one", "two", "small")] == [
        "one" * 10,
        "two" * 10,
        None,
    ]


@pytest.mark.parametrize("content", [b"", b"{", b'{"x": 1}', b"[" * 100_000, b"\xff", b" " * (2 << 20)])
def test_a_damaged_memory_is_an_empty_one_and_is_written_anew(tmp_path: Path, content: bytes) -> None:
    path = large(tmp_path / "m")
    (tmp_path / "hashes.json").write_bytes(content)
    assert remembered(path, folder=tmp_path) is None
    remember(path, "d" * 64, folder=tmp_path)
    assert remembered(path, folder=tmp_path) == "d" * 64


def test_where_nothing_can_be_kept_nothing_fails(tmp_path: Path) -> None:
    path, folder = large(tmp_path / "m"), tmp_path / "file"
    folder.write_bytes(b"in the way")
    remember(path, "e" * 64, folder=folder)
    assert remembered(path, folder=folder) is None


def test_a_model_that_was_hashed_for_a_run_is_known_to_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    path = write_model(tmp_path / "m.gguf", Script())
    os.truncate(path, LARGE_BYTES)
    assert locate_model(str(path)).sha256 is None
    found = find_model(str(path))
    assert locate_model(str(path)).sha256 == found.sha256
    path.unlink()
    with pytest.raises(ManifestError, match="is not there"):
        locate_model(str(path))
