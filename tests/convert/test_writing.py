"""A file appears under its final name whole and checked, or not at all; what was there before stays."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

import escl.convert.flow
import escl.convert.writer
from escl.convert import convert
from escl.convert.writer import put_header
from escl.errors import ConvertError, StorageError, UsageError
from escl.shelf.gguf_header import read_gguf_header
from tests.checkpoints import WRITERS, Checkpoint, Shape, write_internlm2, write_qwen2

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return write_qwen2(tmp_path / "src", shards=2)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_what_is_reported_is_what_is_there(out: Path, checkpoint: Checkpoint) -> None:
    converted = convert(checkpoint.folder, out / "m.gguf")
    raw = (out / "m.gguf").read_bytes()
    assert (converted.size_bytes, converted.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert (converted.kind, converted.architecture, converted.outtype) == ("model", "qwen2", "f16")
    header = read_gguf_header(out / "m.gguf")
    assert converted.n_tensors == len(header.tensors) == len(checkpoint.tensors)
    assert [path.name for path in out.iterdir()] == ["m.gguf"]
    assert header.metadata["general.file_type"] == 1


@pytest.mark.parametrize("architecture", WRITERS)
def test_the_same_source_gives_the_same_bytes_in_any_block_size(
    tmp_path: Path, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = WRITERS[architecture](tmp_path / "src", shape=Shape(heads=8, kv_heads=2)).folder
    hashes = set()
    for block_bytes in (1, 200, 5_000, 1 << 24):
        monkeypatch.setattr(escl.convert.writer, "BLOCK_BYTES", block_bytes)
        hashes.add(convert(folder, tmp_path / "m.gguf", force=True).sha256)
    assert len(hashes) == 1


def test_progress_counts_up_to_its_total(out: Path, checkpoint: Checkpoint) -> None:
    seen: list[tuple[int, int]] = []
    convert(checkpoint.folder, out / "m.gguf", on_progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 4
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {seen[-1][0]}


def test_an_interruption_at_any_moment_leaves_nothing(out: Path, checkpoint: Checkpoint) -> None:
    calls = 0
    convert(checkpoint.folder, out / "whole.gguf", on_progress=lambda _done, _total: None)
    (out / "whole.gguf").unlink()
    for stop_at in range(1, 200):
        calls = 0

        def interrupt(_done: int, _total: int) -> None:
            nonlocal calls
            calls += 1
            if calls == stop_at:  # noqa: B023 - called within this round only
                raise KeyboardInterrupt

        try:
            convert(checkpoint.folder, out / "m.gguf", on_progress=interrupt)
        except KeyboardInterrupt:
            assert list(out.iterdir()) == []
        else:
            break
    assert stop_at > 20
    assert calls < stop_at


def test_too_little_room_is_said_before_anything_is_written(
    out: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**9, 10**9, 10**6))
    monkeypatch.setattr(escl.convert.flow, "write_tensors", lambda *_: pytest.fail("wrote without room"))
    with pytest.raises(StorageError, match=r"0\.00 GB free; this needs 0\.07 GB"):
        convert(checkpoint.folder, out / "m.gguf")
    assert list(out.iterdir()) == []


def test_quantizing_needs_room_for_the_file_between(
    out: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_bytes = convert(checkpoint.folder, out / "m.gguf").size_bytes
    (out / "m.gguf").unlink()
    room = Usage(10**9, 10**9, n_bytes + (64 << 20))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: room)
    with pytest.raises(StorageError, match="this needs"):
        convert(checkpoint.folder, out / "m.gguf", quantize="Q4_0")
    assert list(out.iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing(
    out: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(escl.convert.flow, "put_header", fail)
    with pytest.raises(StorageError, match="No space left"):
        convert(checkpoint.folder, out / "m.gguf")
    assert list(out.iterdir()) == []


def test_a_byte_that_changes_on_the_disk_is_noticed(
    out: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:

    def put_and_flip(path: Path, header: bytes) -> None:
        put_header(path, header)
        with path.open("r+b") as file:
            file.seek(-200, os.SEEK_END)
            byte = file.read(1)[0]
            file.seek(-200, os.SEEK_END)
            file.write(bytes([byte ^ 1]))

    monkeypatch.setattr(escl.convert.flow, "put_header", put_and_flip)
    with pytest.raises(StorageError, match="reads differently from what was written"):
        convert(checkpoint.folder, out / "m.gguf")
    assert list(out.iterdir()) == []


def test_a_source_that_changes_meanwhile_is_noticed(out: Path, checkpoint: Checkpoint) -> None:
    shard = checkpoint.folder / "model-00002-of-00002.safetensors"

    whole = shard.stat().st_size

    def cut(_done: int, _total: int) -> None:
        os.truncate(shard, whole - 64)

    with pytest.raises(ConvertError, match="became shorter"):
        convert(checkpoint.folder, out / "m.gguf", on_progress=cut)
    assert list(out.iterdir()) == []


def test_an_existing_file_is_kept_unless_forced(out: Path, checkpoint: Checkpoint) -> None:
    (out / "m.gguf").write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists") as caught:
        convert(checkpoint.folder, out / "m.gguf")
    assert "--force" in (caught.value.hint or "")
    assert (out / "m.gguf").read_bytes() == b"precious"
    convert(checkpoint.folder, out / "m.gguf", force=True)
    assert read_gguf_header(out / "m.gguf").architecture == "qwen2"


def test_a_failed_forced_conversion_keeps_the_old_file(out: Path, checkpoint: Checkpoint) -> None:
    (out / "m.gguf").write_bytes(b"precious")
    (checkpoint.folder / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(ConvertError):
        convert(checkpoint.folder, out / "m.gguf", force=True)
    assert (out / "m.gguf").read_bytes() == b"precious"
    assert [path.name for path in out.iterdir()] == ["m.gguf"]


def test_a_file_that_appears_meanwhile_is_kept(out: Path, checkpoint: Checkpoint) -> None:
    def appear(done: int, total: int) -> None:
        if done == total:
            (out / "m.gguf").write_bytes(b"precious")

    with pytest.raises(StorageError, match="appeared while"):
        convert(checkpoint.folder, out / "m.gguf", on_progress=appear)
    assert (out / "m.gguf").read_bytes() == b"precious"
    assert [path.name for path in out.iterdir()] == ["m.gguf"]


def test_a_link_under_the_final_name_is_replaced_and_not_followed(
    tmp_path: Path, out: Path, checkpoint: Checkpoint
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (out / "m.gguf").symlink_to(victim)
    with pytest.raises(UsageError, match="exists"):
        convert(checkpoint.folder, out / "m.gguf")
    convert(checkpoint.folder, out / "m.gguf", force=True)
    assert victim.read_bytes() == b"precious"
    assert not (out / "m.gguf").is_symlink()


def test_the_source_is_never_overwritten(out: Path, checkpoint: Checkpoint) -> None:
    for name in ("config.json", "model-00002-of-00002.safetensors"):
        before = (checkpoint.folder / name).read_bytes()
        with pytest.raises(UsageError, match="is a file of the source"):
            convert(checkpoint.folder, checkpoint.folder / name, force=True)
        assert (checkpoint.folder / name).read_bytes() == before


def test_places_that_cannot_be_written_are_named(tmp_path: Path, out: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        convert(checkpoint.folder, tmp_path / "none" / "m.gguf")
    with pytest.raises(UsageError, match="is a folder"):
        convert(checkpoint.folder, out)
    with pytest.raises(ConvertError, match="is not a folder"):
        convert(tmp_path / "none", out / "m.gguf")


def test_options_that_contradict_each_other_are_refused(out: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match="no outtype is called f8"):
        convert(checkpoint.folder, out / "m.gguf", outtype="f8")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="round twice"):
        convert(checkpoint.folder, out / "m.gguf", outtype="q8_0", quantize="Q4_K_M")
    with pytest.raises(UsageError, match="no quantization is called Q4_K_X") as caught:
        convert(checkpoint.folder, out / "m.gguf", quantize="Q4_K_X")
    assert "Q4_K_M" in (caught.value.hint or "")
    assert list(out.iterdir()) == []


def test_rows_that_do_not_fit_q8_0_fall_back_with_a_note(tmp_path: Path) -> None:
    checkpoint = write_internlm2(tmp_path / "src", shape=Shape(hidden=64, ffn=80))
    converted = convert(checkpoint.folder, tmp_path / "m.gguf", outtype="q8_0")
    types = {tensor.name: tensor.type_name for tensor in read_gguf_header(tmp_path / "m.gguf").tensors}
    assert types["blk.0.ffn_down.weight"] == "F16"
    assert types["blk.0.ffn_up.weight"] == types["token_embd.weight"] == "Q8_0"
    assert types["blk.0.attn_norm.weight"] == "F32"
    assert [note for note in converted.notes if "2 tensors (blk.0.ffn_down.weight" in note]
