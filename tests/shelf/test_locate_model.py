"""A model is located by names and sizes alone, so that planning for gigabytes reads headers only."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import tomli_w

from escl.core.dimension import Dimension, Language
from escl.errors import ManifestError
from escl.shelf.manifest import ModelRole, locate_model


def write(folder: Path, **file: object) -> Path:
    (folder / "m.gguf").touch()
    # A hole of 40 GB: reading it would take minutes.
    os.truncate(folder / "m.gguf", 40 * 10**9)
    fields = {
        "name": "m",
        "role": "scorer",
        "description": "a model",
        "architecture": "qwen2",
        "licence": "MIT",
        "file": {"path": "m.gguf", **file},
        "adapters": {"en": {"fluency": {"path": "m.gguf"}}},
        "sampling": {"max_tokens": 77},
    }
    path = folder / "m.toml"
    path.write_text(tomli_w.dumps(fields))
    return path


def test_a_manifests_files_are_found_unread(tmp_path: Path) -> None:
    promised = "0" * 64
    model = locate_model(str(write(tmp_path, sha256=promised)), role=ModelRole.SCORER)
    assert (model.name, model.path, model.sha256) == ("m", tmp_path / "m.gguf", promised)
    assert model.adapters == {(Language.ENGLISH, Dimension.FLUENCY): tmp_path / "m.gguf"}
    assert model.sampling is not None
    assert model.sampling.max_tokens == 77


def test_a_plain_file_is_named_after_itself(tmp_path: Path) -> None:
    write(tmp_path)
    model = locate_model(str(tmp_path / "m.gguf"))
    assert (model.name, model.sha256, model.adapters) == ("m", None, {})


def test_a_small_file_is_hashed_at_once(tmp_path: Path) -> None:
    (tmp_path / "s.gguf").write_bytes(b"small")
    assert locate_model(str(tmp_path / "s.gguf")).sha256 == hashlib.sha256(b"small").hexdigest()


def test_what_is_missing_or_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="is not there"):
        locate_model(str(tmp_path / "other.gguf"))
    with pytest.raises(ManifestError, match="its manifest says 5"):
        locate_model(str(write(tmp_path, size_bytes=5)))
    with pytest.raises(ManifestError, match="no model named"):
        locate_model("nobody")
    with pytest.raises(ManifestError, match="is a scorer, not a seeker"):
        locate_model(str(write(tmp_path)), role=ModelRole.SEEKER)
