"""A converted model computes what its checkpoint computes: llama.cpp's logits against the numpy oracle's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from escl.convert import OutType, convert
from tests.checkpoints import DType, Shape, write_adapter, write_internlm2
from tests.decoder_checkpoints import ALL_WRITERS
from tests.llama_run import loaded
from tests.oracle import Array, Oracle

pytestmark = pytest.mark.model

TOKENS = [3, 270, 41, 41, 300, 7, 128, 260, 99, 5, 310, 64]
HEADS = {"MHA": 4, "GQA": 2, "MQA": 1}
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
INTERNLM2_LINEAR = ("wqkv", "wo", "w1", "w2", "w3")


def relative_error(found: NDArray[np.float32], expected: Array) -> float:
    """Return the largest deviation in units of the logits' own spread."""
    return float(np.abs(found - expected).max() / expected.std())


def rms_error(found: NDArray[np.float32], expected: Array) -> float:
    """Return the deviation's root mean square in units of the logits' own spread."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


@pytest.mark.parametrize("architecture", ALL_WRITERS)
@pytest.mark.parametrize("kv_heads", HEADS.values(), ids=HEADS)
def test_f32_logits_agree_with_the_oracle(tmp_path: Path, architecture: str, kv_heads: int) -> None:
    checkpoint = ALL_WRITERS[architecture](tmp_path / "src", shape=Shape(kv_heads=kv_heads), shards=3)
    convert(checkpoint.folder, tmp_path / "model.gguf", outtype="f32")
    with loaded(tmp_path / "model.gguf") as model:
        assert relative_error(model.logits(TOKENS), Oracle(checkpoint).logits(TOKENS)) < 1e-4


@pytest.mark.parametrize("kv_heads", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize(
    ("architecture", "targets"),
    [
        ("internlm2", ("wqkv",)),
        ("internlm2", INTERNLM2_LINEAR),
        ("qwen2", ("q_proj", "v_proj")),
        ("qwen2", LINEAR),
        ("llama3", ("q_proj", "k_proj")),
        ("vicuna", LINEAR),
        ("mistral", LINEAR),
        ("qwen3", LINEAR),
    ],
)
def test_adapters_agree_with_the_oracle_and_leave_the_base_alone(
    tmp_path: Path, architecture: str, targets: tuple[str, ...], kv_heads: int
) -> None:
    checkpoint = ALL_WRITERS[architecture](tmp_path / "src", shape=Shape(kv_heads=kv_heads))
    adapter = write_adapter(tmp_path / "adapter", checkpoint, targets=targets)
    convert(checkpoint.folder, tmp_path / "model.gguf", outtype="f32")
    convert(adapter.folder, tmp_path / "adapter.gguf", outtype="f32", base=checkpoint.folder)
    with loaded(tmp_path / "model.gguf") as model:
        adapted, base = model.logits(TOKENS, adapter=tmp_path / "adapter.gguf"), model.logits(TOKENS)
    expected = Oracle(checkpoint, adapter).logits(TOKENS)
    assert relative_error(adapted, expected) < 1e-4
    assert relative_error(base, Oracle(checkpoint).logits(TOKENS)) < 1e-4
    assert relative_error(base, expected) > 0.1, "the adapter changes too little for this test to mean anything"


@pytest.mark.parametrize("architecture", ALL_WRITERS)
def test_tied_embeddings_give_the_same_logits(tmp_path: Path, architecture: str) -> None:
    checkpoint = ALL_WRITERS[architecture](tmp_path / "src", tied=True)
    convert(checkpoint.folder, tmp_path / "model.gguf", outtype="f32")
    with loaded(tmp_path / "model.gguf") as model:
        assert relative_error(model.logits(TOKENS), Oracle(checkpoint).logits(TOKENS)) < 1e-4


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_every_source_format_is_read_exactly(tmp_path: Path, dtype: DType) -> None:
    checkpoint = write_internlm2(tmp_path / "src", dtype=dtype)
    convert(checkpoint.folder, tmp_path / "model.gguf", outtype="f32")
    with loaded(tmp_path / "model.gguf") as model:
        assert relative_error(model.logits(TOKENS), Oracle(checkpoint).logits(TOKENS)) < 1e-4


# About twice the largest deviation over 20 seeds; llama.cpp rounds activations to the weights' type as well.
@pytest.mark.parametrize(("outtype", "bound"), [("f16", 0.004), ("bf16", 0.03), ("q8_0", 0.1)])
@pytest.mark.parametrize("architecture", ALL_WRITERS)
def test_rounded_weights_stay_near_the_oracle(
    tmp_path: Path, architecture: str, outtype: OutType, bound: float
) -> None:
    checkpoint = ALL_WRITERS[architecture](tmp_path / "src", dtype="F32")
    convert(checkpoint.folder, tmp_path / "model.gguf", outtype=outtype)
    with loaded(tmp_path / "model.gguf") as model:
        found, expected = model.logits(TOKENS), Oracle(checkpoint).logits(TOKENS)
    assert 1e-4 < rms_error(found, expected) < bound
