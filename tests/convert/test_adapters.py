"""Adapter files: names, factors, and everything that would be carried over wrongly is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escl.convert import convert
from escl.errors import ConvertError, EsclError, UsageError
from escl.shelf.gguf_header import read_gguf_header
from tests.checkpoints import (
    Adapter,
    Checkpoint,
    Tensors,
    write_adapter,
    write_internlm2,
    write_json,
    write_safetensors,
)

A0 = "base_model.model.model.layers.0.attention.wqkv.lora_A.weight"
B0 = "base_model.model.model.layers.0.attention.wqkv.lora_B.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return write_internlm2(tmp_path_factory.mktemp("base"))


@pytest.fixture
def adapter(tmp_path: Path, base: Checkpoint) -> Adapter:
    return write_adapter(tmp_path / "adapter", base)


def rewrite(adapter: Adapter, change: Callable[[Tensors], object]) -> None:
    tensors = dict(adapter.tensors)
    change(tensors)
    stored: Any = {name: ("F32", array) for name, array in tensors.items()}
    write_safetensors(adapter.folder / "adapter_model.safetensors", stored)


def refused(adapter: Adapter, base: Checkpoint, out: Path, reason: str) -> None:
    """Assert that the conversion fails with `reason` and leaves the folder `out` empty."""
    out.mkdir()
    with pytest.raises(EsclError, match=reason):
        convert(adapter.folder, out / "a.gguf", base=base.folder)
    assert list(out.iterdir()) == []


def test_wqkv_becomes_three_pairs_that_share_one_a(tmp_path: Path, base: Checkpoint, adapter: Adapter) -> None:
    converted = convert(adapter.folder, tmp_path / "a.gguf", outtype="f32", base=base.folder)
    header = read_gguf_header(tmp_path / "a.gguf")
    names = [f"blk.{layer}.attn_{part}.weight.lora_{f}" for layer in (0, 1) for f in "ab" for part in "qkv"]
    assert sorted(tensor.name for tensor in header.tensors) == sorted(names)
    assert converted.n_tensors == len(names)
    assert converted.kind == "adapter"
    # Rank 8 is stored as 16: alpha grows with it, so that their ratio, the scale, stays.
    expected = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 32.0}
    assert {key: header.metadata[key] for key in expected} == expected
    assert header.architecture == "internlm2"
    raw = (tmp_path / "a.gguf").read_bytes()
    shared = {raw[t.offset : t.offset + t.size_bytes] for t in header.tensors if t.name in names[:3]}
    assert shared == {adapter.tensors[A0].tobytes() + bytes(adapter.tensors[A0].nbytes)}
    assert {tensor.shape[1] for tensor in header.tensors if tensor.name.endswith("lora_a")} == {16}
    assert {tensor.shape[0] for tensor in header.tensors if tensor.name.endswith("lora_b")} == {16}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_rslora", True),
        ("use_dora", True),
        ("use_qalora", True),
        ("rank_pattern", {"wqkv": 4}),
        ("alpha_pattern", {"wqkv": 4}),
        ("bias", "all"),
        ("bias", "lora_only"),
        ("lora_bias", True),
        ("modules_to_save", ["output"]),
        ("layers_to_transform", [0]),
        ("layer_replication", [[0, 2]]),
        ("fan_in_fan_out", True),
        ("megatron_config", {"a": 1}),
        ("loftq_config", {"loftq_bits": 4}),
        ("init_lora_weights", "pissa"),
        ("init_lora_weights", "olora"),
        ("trainable_token_indices", [1, 2]),
        ("alora_invocation_tokens", [5]),
        ("some_later_invention", True),
        ("task_type", "SEQ_CLS"),
        ("peft_type", "IA3"),
        ("peft_type", None),
        ("r", 0),
        ("lora_alpha", None),
        ("lora_alpha", -16),
    ],
)
def test_a_setting_that_changes_the_meaning_is_refused_by_name(
    tmp_path: Path, base: Checkpoint, adapter: Adapter, key: str, value: object
) -> None:
    write_json(adapter.folder / "adapter_config.json", adapter.config | {key: value})
    refused(adapter, base, tmp_path / "out", key)


def test_settings_that_are_off_or_harmless_are_accepted(tmp_path: Path, base: Checkpoint, adapter: Adapter) -> None:
    more = {
        "peft_version": "0.18.0",
        "qalora_group_size": 16,
        "use_qalora": False,
        "eva_config": None,
        "exclude_modules": None,
        "target_parameters": None,
        "lora_bias": False,
        "init_lora_weights": "gaussian",
        "lora_dropout": 0.05,
        "revision": "main",
    }
    write_json(adapter.folder / "adapter_config.json", adapter.config | more)
    convert(adapter.folder, tmp_path / "a.gguf", base=base.folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop(B0), "lacks lora_B of model.layers.0.attention.wqkv"),
        (lambda t: t.pop(A0), "lacks lora_A"),
        (lambda t: [t.pop(A0), t.pop(B0)], r"lacks model\.layers\.0\.attention\.wqkv"),
        (lambda t: t.clear(), "no tensors|safetensors"),
        (lambda t: t.update({A0: t[A0][:4]}), r"shape \[4, 64\], not \[8, 64\]"),
        (lambda t: t.update({B0: t[B0][:-16]}), r"shape \[112, 8\], not \[128, 8\]"),
        (lambda t: t.update({A0: np.full_like(t[A0], np.nan)}), "holds NaN"),
        (lambda t: t.update({A0.replace(".0.", ".7."): t[A0]}), "the base model has 2 layers"),
        (lambda t: t.update({A0.replace("wqkv", "gate"): t[A0]}), "no adaptable module"),
        (lambda t: t.update({A0.replace("lora_A", "lora_magnitude_vector"): t[A0]}), "not a LoRA factor"),
        (lambda t: t.update({A0.removeprefix("base_model.model."): t[A0]}), "not a LoRA factor"),
        (lambda t: t.update({"base_model.model.output.lora_A.weight": t[A0]}), "no adaptable module output"),
        (lambda t: t.update({A0.replace(".weight", ".default.weight"): t[A0]}), "stands twice"),
        (
            lambda t: t.update(
                {A0.replace("wqkv", "wo"): t[A0], B0.replace("wqkv", "wo"): np.zeros((64, 8), np.float32)}
            ),
            "target_modules does not name",
        ),
    ],
)
def test_tensors_that_are_no_whole_lora_are_refused(
    tmp_path: Path, base: Checkpoint, adapter: Adapter, change: Callable[[Tensors], object], reason: str
) -> None:
    rewrite(adapter, change)
    refused(adapter, base, tmp_path / "out", reason)


def test_a_target_without_tensors_is_refused(tmp_path: Path, base: Checkpoint, adapter: Adapter) -> None:
    write_json(adapter.folder / "adapter_config.json", adapter.config | {"target_modules": ["wqkv", "wo"]})
    refused(adapter, base, tmp_path / "out", "target_modules names wo")


def test_a_pickled_adapter_is_refused(tmp_path: Path, base: Checkpoint, adapter: Adapter) -> None:
    (adapter.folder / "adapter_model.safetensors").rename(adapter.folder / "adapter_model.bin")
    refused(adapter, base, tmp_path / "out", "pickle")


def test_a_folder_that_is_no_adapter_is_refused(tmp_path: Path, base: Checkpoint, adapter: Adapter) -> None:
    (adapter.folder / "adapter_config.json").unlink()
    refused(adapter, base, tmp_path / "out", "no adapter_config.json")


def test_an_adapter_needs_its_base_and_no_quantization(tmp_path: Path, base: Checkpoint, adapter: Adapter) -> None:
    dst = tmp_path / "a.gguf"
    with pytest.raises(UsageError, match="is an adapter") as caught:
        convert(adapter.folder, dst)
    assert "--base" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="cannot be quantized"):
        convert(adapter.folder, dst, base=base.folder, quantize="Q4_K_M")
    with pytest.raises(UsageError, match="q8_0"):
        convert(adapter.folder, dst, base=base.folder, outtype="q8_0")
    with pytest.raises(ConvertError, match="not a folder"):
        convert(adapter.folder, dst, base=tmp_path / "none")
    assert not dst.exists()


def test_only_the_configuration_of_the_base_is_needed(tmp_path: Path, base: Checkpoint, adapter: Adapter) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    write_json(bare / "config.json", base.config)
    convert(adapter.folder, tmp_path / "a.gguf", base=bare)
