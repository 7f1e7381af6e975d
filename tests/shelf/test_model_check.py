"""A GGUF file that is no whole language model is refused with the reason that llama.cpp does not give."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from escl.errors import GGUFError
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.model_check import check_model
from tests.gguf_bytes import F32, I32, STRING, U8, Value, array, gguf_bytes, key, string, tensor, text, u32

TOKENS = array(STRING, [string("a"), string("b")])
SOUND: dict[str, Value] = {
    "general.architecture": text("qwen2"),
    "qwen2.block_count": u32(2),
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.scores": array(F32, [bytes(4)] * 2),
    "tokenizer.ggml.token_type": array(I32, [struct.pack("<i", 1)] * 2),
}


def check(path: Path, metadata: dict[str, Value], *, weights: bool = True) -> None:
    keys = [key(name, value) for name, value in metadata.items()]
    path.write_bytes(gguf_bytes(keys, [tensor("w", [32])] if weights else [], payload=bytes(128)))
    check_model(read_gguf_header(path), path=path)


def test_a_whole_model_passes(tmp_path: Path) -> None:
    check(tmp_path / "m.gguf", SOUND)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"general.type": text("adapter")}, "type 'adapter'"),
        ({"general.type": text("mmproj")}, "type 'mmproj'"),
        ({"general.architecture": text("clip"), "clip.block_count": u32(2)}, "projector"),
        ({"general.architecture": u32(1)}, "architecture"),
        ({"split.count": u32(3)}, "one of 3 parts"),
        ({"qwen2.block_count": u32(513)}, "block_count is 513"),
        ({"qwen2.block_count": text("2")}, "block_count is '2'"),
        ({"tokenizer.ggml.tokens": array(U8, [b"a", b"b"])}, "tokens is array of uint8"),
        ({"tokenizer.ggml.tokens": array(STRING, [])}, "no vocabulary"),
        ({"tokenizer.ggml.tokens": text("a")}, "tokens is string"),
        ({"tokenizer.ggml.scores": array(U8, [b"\0"] * 2)}, "scores is array of uint8"),
        ({"tokenizer.ggml.scores": array(F32, [bytes(4)])}, "1 entries for 2 tokens"),
        ({"tokenizer.ggml.token_type": array(F32, [bytes(4)] * 2)}, "token_type is array of float32"),
    ],
)
def test_refuses_with_the_reason(tmp_path: Path, changes: dict[str, Value], reason: str) -> None:
    with pytest.raises(GGUFError, match=reason):
        check(tmp_path / "m.gguf", SOUND | changes)


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GGUFError, match="no weights"):
        check(tmp_path / "m.gguf", SOUND, weights=False)
