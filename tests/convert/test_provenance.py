"""A converted file says where it came from: repository, revision, and the hash of every file that was read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from escl import __version__
from escl.convert import convert
from escl.convert.provenance import Origin, origin_of
from escl.shelf.gguf_header import Array, GGUFHeader, read_gguf_header
from tests.checkpoints import WRITERS, write_adapter, write_internlm2, write_qwen2

REVISION = "0123456789abcdef0123456789abcdef01234567"


def hashes(header: GGUFHeader) -> dict[str, str]:
    names, digests = header.metadata["escl.source.files"], header.metadata["escl.source.sha256"]
    assert isinstance(names, Array)
    assert isinstance(digests, Array)
    return {str(name): str(digest) for name, digest in zip(names.items, digests.items, strict=True)}


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("architecture", WRITERS)
def test_every_file_that_was_read_is_hashed(tmp_path: Path, architecture: str, shards: int) -> None:
    checkpoint = WRITERS[architecture](tmp_path / "src", shards=shards)
    convert(checkpoint.folder, tmp_path / "m.gguf")
    header = read_gguf_header(tmp_path / "m.gguf")
    everything = list(checkpoint.folder.iterdir())
    assert hashes(header) == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in everything}
    assert header.text("escl.converter.version") == __version__


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src")
    adapter = write_adapter(tmp_path / "fluency_en", checkpoint)
    convert(adapter.folder, tmp_path / "a.gguf", base=checkpoint.folder)
    header = read_gguf_header(tmp_path / "a.gguf")
    assert header.text("escl.source.base_model") == "internlm/internlm2-chat-7b"
    assert header.text("general.name") == "fluency_en"
    assert set(hashes(header)) == {"adapter_config.json", "config.json", "adapter_model.safetensors"}


def test_a_cache_snapshot_says_repository_and_revision(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--some-one--a--b" / "snapshots" / REVISION
    checkpoint = write_qwen2(snapshot)
    convert(checkpoint.folder, tmp_path / "m.gguf")
    header = read_gguf_header(tmp_path / "m.gguf")
    assert header.text("escl.source.repository") == header.text("general.name") == "some-one/a--b"
    assert header.text("escl.source.revision") == REVISION
    assert origin_of(snapshot / "sub") == Origin(repository="some-one/a--b", revision=REVISION)


def test_a_downloaded_folder_says_its_revision(tmp_path: Path) -> None:
    log = tmp_path / ".cache" / "huggingface" / "download"
    (log / "sub").mkdir(parents=True)
    (tmp_path / "sub").mkdir()
    for name in ("config.json", "tokenizer.json", "sub/adapter_config.json"):
        (log / (name + ".metadata")).write_text(f"{REVISION}\netag\n1700000000.0\n")
    assert origin_of(tmp_path) == Origin(repository=None, revision=REVISION)
    assert origin_of(tmp_path / "sub") == Origin(repository=None, revision=REVISION)
    (log / "config.json.metadata").write_text("f" * 40 + "\netag\n1\n")
    assert origin_of(tmp_path) == Origin(repository=None, revision=None)


def test_an_unknown_origin_is_not_made_up(tmp_path: Path) -> None:
    assert origin_of(tmp_path) == Origin(repository=None, revision=None)
    checkpoint = write_qwen2(tmp_path / "my-model")
    convert(checkpoint.folder, tmp_path / "m.gguf")
    header = read_gguf_header(tmp_path / "m.gguf")
    assert header.text("general.name") == "my-model"
    assert not [key for key in header.metadata if key.startswith("escl.source.re")]
