"""The manifests that ship say where their models come from, and mark what is not pinned."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

from escl.convert.architectures import ARCHITECTURES
from escl.convert.chat_templates import NAMED
from escl.core.bundled import bundled
from escl.core.dimension import Dimension, Language
from escl.errors import ManifestError
from escl.shelf.manifest import Manifest, ModelRole, load_manifest

SHIPPED = {path.stem: path for path in bundled("gguf").glob("*.toml")}


def shipped(name: str) -> Manifest:
    return load_manifest(SHIPPED[name])


def test_the_instruments_are_pinned_to_the_commits_of_the_study() -> None:
    role, rank = shipped("esc-role"), shipped("esc-rank")
    assert role.source is not None
    assert (role.role, role.source.repo) == (ModelRole.SEEKER, "haidequanbu/ESC-Role")
    assert role.source.revision == "2e2a4733d2e71da242f348aad165fe171acd5df7"
    assert rank.source is not None
    assert rank.adapter_source is not None
    assert (rank.source.repo, rank.adapter_source.repo) == ("internlm/internlm2-chat-7b", "haidequanbu/ESC-RANK")
    assert rank.source.revision == "c2ba64483dc50b3f8eb2d8271c4b9877a79ed2e2"
    assert rank.adapter_source.revision == "450bf2eb5376c79e371aaf432925810243de1527"


def test_esc_rank_has_a_folder_and_a_file_for_each_language_and_dimension() -> None:
    rank = shipped("esc-rank")
    assert rank.adapter_source is not None
    for language in Language:
        for dimension in Dimension:
            folder = rank.adapter_source.folders[language][dimension]
            assert folder == dimension.value + ("_en" if language is Language.ENGLISH else "")
            assert rank.adapters[language][dimension].path == f"esc-rank/{dimension.value}_{language.value}.gguf"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_manifest_names_a_source_that_the_converter_can_carry_over(name: str) -> None:
    manifest = shipped(name)
    assert manifest.source is not None
    assert manifest.licence_note
    assert manifest.chat_template is None or manifest.chat_template in NAMED
    assert any(manifest.architecture == known.gguf_name for known in ARCHITECTURES.values())


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_is_not_pinned_must_be_marked(name: str, tmp_path: Path) -> None:
    fields = tomllib.loads(SHIPPED[name].read_text(encoding="utf-8"))
    path = tmp_path / "m.toml"
    for wrong in (fields["unpinned"][1:], [*fields["unpinned"], "file"]):
        path.write_text(tomli_w.dumps(fields | {"unpinned": wrong}))
        with pytest.raises(ManifestError, match="unpinned lists"):
            load_manifest(path)


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"repo": "a/b", "revision": "main"}},
        {"source": {"repo": "b"}},
        {"source": {"repo": "../b"}},
        {"source": {"repo": "a/b", "files": [{"path": "x", "sha256": "ABC"}]}},
        {"source": {"repo": "a/b", "files": [{"path": "x", "size_bytes": -1}]}},
        {"source": {"repo": "a/b", "branch": "x"}},
    ],
)
def test_a_malformed_source_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    fields = tomllib.loads(SHIPPED["esc-role"].read_text(encoding="utf-8"))
    path = tmp_path / "m.toml"
    path.write_text(tomli_w.dumps(fields | change))
    with pytest.raises(ManifestError, match=r"m\.toml"):
        load_manifest(path)
