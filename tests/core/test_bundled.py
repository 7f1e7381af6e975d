"""The bundled folders are ours, in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from escl.core import bundled as bundled_module
from escl.core.bundled import bundled


@pytest.mark.parametrize("name", ["gguf", "role_cards"])
def test_a_checkout_has_its_folders(name: str) -> None:
    assert bundled(name).is_dir()


def test_an_installed_package_finds_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "escl" / "bundled" / "gguf"
    inside.mkdir(parents=True)
    (tmp_path / "gguf").mkdir()
    monkeypatch.setattr(bundled_module, "_PACKAGE", tmp_path / "escl")
    assert bundled("gguf") == inside


def test_another_package_of_the_same_name_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gguf").mkdir()
    monkeypatch.setattr(bundled_module, "_PACKAGE", tmp_path / "escl")
    with pytest.raises(FileNotFoundError, match="lacks its gguf/ folder"):
        bundled("gguf")
