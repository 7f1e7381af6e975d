"""A name, a manifest or a GGUF path becomes a model whose files are those it names, or an error that says why not."""

from __future__ import annotations

import hashlib
import tempfile
from functools import cache
from pathlib import Path

import pytest
import tomli_w

from escl.core.dimension import Dimension, Language
from escl.errors import GGUFError, ManifestError
from escl.shelf.manifest import ModelRole, find_model, is_there, load_manifest, manifests
from tests.tiny_gguf import Script, write_model


@cache
def model_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_model(Path(folder) / "m.gguf", Script(table={})).read_bytes()


def write(folder: Path, **changes: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.gguf").write_bytes(model_bytes())
    fields: dict[str, object] = {
        "name": "m",
        "role": "scorer",
        "description": "a model",
        "architecture": "qwen2",
        "licence": "MIT",
        "file": {
            "path": "m.gguf",
            "size_bytes": len(model_bytes()),
            "sha256": hashlib.sha256(model_bytes()).hexdigest(),
        },
        "adapters": {"en": {"fluency": {"path": "m.gguf"}}},
        "sampling": {"temperature": 0.5},
    } | changes
    path = folder / "m.toml"
    path.write_text(tomli_w.dumps({key: value for key, value in fields.items() if value is not None}))
    return path


def test_a_manifest_becomes_a_model_with_checked_files(tmp_path: Path) -> None:
    model = find_model(str(write(tmp_path)))
    assert model.sha256 == hashlib.sha256(model_bytes()).hexdigest()
    assert model.adapters[Language.ENGLISH, Dimension.FLUENCY][0] == tmp_path / "m.gguf"
    assert model.sampling is not None
    assert model.sampling.temperature == 0.5


def test_a_plain_file_becomes_a_model_named_after_it(tmp_path: Path) -> None:
    write(tmp_path)
    model = find_model(str(tmp_path / "m.gguf"))
    assert (model.name, model.size_bytes, model.adapters) == ("m", len(model_bytes()), {})


def test_a_name_on_the_users_shelf_is_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path))
    write(tmp_path / "gguf" / "mine")
    assert "mine/m" in manifests()
    assert find_model("mine/m").path == tmp_path / "gguf" / "mine" / "m.gguf"
    assert is_there("mine/m")
    assert not is_there("mine/other")


def test_the_users_own_manifest_wins_over_one_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path))
    own = write(tmp_path / "gguf", role="seeker").rename(tmp_path / "gguf" / "esc-role.toml")
    assert manifests()["esc-role"] == own


def test_weights_for_a_manifest_that_ships_may_lie_on_the_users_shelf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path))
    wanted = tmp_path / "gguf" / load_manifest(manifests()["esc-role"]).file.path
    write(wanted.parent)
    (wanted.parent / "m.gguf").rename(wanted)
    assert find_model("esc-role").path == wanted


def test_a_model_is_not_taken_for_another_role(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="m is a scorer, not a seeker"):
        find_model(str(write(tmp_path)), role=ModelRole.SEEKER)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": {"path": "../m.gguf"}}, "leaves its folder"),
        ({"file": {"path": "/etc/hostname"}}, "leaves its folder"),
        ({"file": {"path": "C:m.gguf"}}, "leaves its folder"),
        ({"file": {"path": "none.gguf"}}, "none.gguf is not there"),
        ({"file": {"path": "m.gguf", "size_bytes": 3}}, "bytes, but its manifest says 3"),
        ({"file": {"path": "m.gguf", "sha256": "0" * 64}}, "not the file its manifest names"),
        ({"file": {"path": "m.gguf", "sha265": "0"}}, "sha265"),
        ({"role": "poet"}, "poet"),
        ({"role": None}, "role"),
        ({"adapters": {"en": {"fluecy": {"path": "m.gguf"}}}}, "fluecy"),
        ({"adapters": {"fr": {}}}, "fr"),
    ],
)
def test_a_wrong_manifest_is_refused_by_name(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        find_model(str(write(tmp_path, **changes)))


@pytest.mark.parametrize("text", ["a." * 200_000 + "b = 1", "a = " + "[" * 100_000, "name = 3\x00", "\ufeffname"])
def test_a_hostile_manifest_is_refused_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=r"m\.toml"):
        load_manifest(path)


def test_a_damaged_model_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    whole = find_model(str(write(tmp_path)))
    (tmp_path / "cut.gguf").write_bytes(whole.path.read_bytes()[:-100])
    with pytest.raises(GGUFError, match=r"cut\.gguf"):
        find_model(str(tmp_path / "cut.gguf"))


def test_an_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(ManifestError, match="esc-rank"):
        find_model("esc-rnak")


def test_every_manifest_that_ships_is_well_formed_and_named_after_its_file() -> None:
    shipped = {name: load_manifest(path) for name, path in manifests().items()}
    assert {"esc-role", "esc-rank", "demo/seeker", "demo/warm", "demo/curt", "demo/scorer"} <= shipped.keys()
    assert [name for name, manifest in shipped.items() if manifest.name != name] == []
    assert {len(by_dimension) for by_dimension in shipped["esc-rank"].adapters.values()} == {len(Dimension)}
