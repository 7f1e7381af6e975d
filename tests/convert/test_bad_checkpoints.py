"""A checkpoint that cannot be carried over faithfully is refused by name, and nothing is left behind."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escl.convert import convert
from tests.checkpoints import write_internlm2, write_qwen2, write_safetensors
from tests.damage import (
    Damage,
    broken_text,
    configured,
    cut_to,
    header,
    indexed,
    only_a_pickle,
    poke,
    refused,
    scaling,
    tokenizer,
    weights,
    without,
)

Q_PROJ = "model.layers.1.self_attn.q_proj.weight"
FIRST = "model-00001-of-00002.safetensors"
SECOND = "model-00002-of-00002.safetensors"


def overlap(entries: dict[str, Any]) -> None:
    one, other = entries["model.norm.weight"], entries["model.layers.0.input_layernorm.weight"]
    one["data_offsets"] = other["data_offsets"]


def wider(entries: dict[str, Any]) -> None:
    entries["model.norm.weight"]["shape"] = [65]


def beyond(entries: dict[str, Any]) -> None:
    entries["model.norm.weight"]["data_offsets"][1] += 2**40


def twin_ids(content: dict[str, Any]) -> None:
    vocab = content["model"]["vocab"]
    vocab["zzzz"] = vocab["a"]


QWEN2_DAMAGE: dict[str, tuple[Damage, str]] = {
    "no config": (without("config.json"), "no config.json"),
    "config is no JSON": (broken_text("config.json", "{"), r"config\.json"),
    "config is a list": (broken_text("config.json", "[]"), "JSON object"),
    "config holds NaN": (broken_text("config.json", '{"a": NaN}'), "NaN"),
    "config says a key twice": (broken_text("config.json", '{"a": 1, "a": 2}'), "'a' stands twice"),
    "config nested too deep": (broken_text("config.json", "[" * 200_000), "nested too deep"),
    "config is not UTF-8": (broken_text("config.json", b"\xff"), r"config\.json"),
    "unknown architecture": (configured(model_type="gemma2"), "model_type 'gemma2' is unknown"),
    "no architecture": (configured(model_type=...), "model_type None"),
    "another class": (configured(architectures=["Qwen2ForSequenceClassification"]), "architectures"),
    "another activation": (configured(hidden_act="gelu"), "hidden_act"),
    "sliding window": (configured(use_sliding_window=True), "use_sliding_window"),
    "layer types": (configured(layer_types=["full_attention", "sliding_attention"]), "layer_types"),
    "LongRoPE": (scaling(type="longrope", factor=4.0), "longrope"),
    "LongRoPE of transformers 5": (configured(rope_parameters={"rope_type": "longrope"}), "longrope"),
    "Llama 3's scaling, which llama.cpp's qwen2 lacks": (scaling(rope_type="llama3", factor=4.0), "llama3"),
    "YaRN without a factor": (scaling(type="yarn"), "has no factor"),
    "YaRN with another length": (scaling(type="yarn", factor=2.0, attention_factor=1.0), "attention_factor"),
    "scaling without a type": (scaling(factor=4.0), "names no type"),
    "already quantized": (configured(quantization_config={"quant_method": "gptq"}), "already quantized"),
    "heads that do not divide": (configured(num_attention_heads=5), "do not divide"),
    "another head size": (configured(head_dim=32), "head_dim"),
    "text for a number": (configured(hidden_size="64"), "hidden_size is '64'"),
    "a negative number": (configured(num_hidden_layers=-1), "num_hidden_layers is -1"),
    "true for a number": (configured(num_hidden_layers=True), "num_hidden_layers is True"),
    "a missing number": (configured(intermediate_size=...), "no intermediate_size"),
    "an epsilon of 0": (configured(rms_norm_eps=0.0), "rms_norm_eps is 0"),
    "too few layers": (configured(num_hidden_layers=1), r"tensor model\.layers\.1\.\S+ is unknown"),
    "too many layers": (configured(num_hidden_layers=3), r"tensor model\.layers\.2\.\S+ is missing"),
    "another hidden size": (configured(hidden_size=32), "has the shape"),
    "another vocabulary": (configured(vocab_size=600), "has the shape"),
    "no weights": (without("model.safetensors"), "no model.safetensors"),
    "pytorch_model.bin": (only_a_pickle("pytorch_model.bin"), "pickle"),
    "a .pt file": (only_a_pickle("model.pt"), "pickle"),
    "a .pth file": (only_a_pickle("consolidated.00.pth"), "pickle"),
    "unknown tensor": (weights(lambda t: t.update(extra=t["model.norm.weight"])), "tensor extra is unknown"),
    "missing tensor": (weights(lambda t: t.pop(Q_PROJ)), f"tensor {Q_PROJ} is missing"),
    "missing bias": (weights(lambda t: t.pop("model.layers.0.self_attn.k_proj.bias")), "k_proj.bias is missing"),
    "missing lm_head": (weights(lambda t: t.pop("lm_head.weight")), "lm_head.weight is missing"),
    "wrong shape": (weights(lambda t: t.update({Q_PROJ: t[Q_PROJ][:-1]})), "shape"),
    "transposed": (
        weights(lambda t: t.update({(n := "model.layers.0.mlp.up_proj.weight"): np.ascontiguousarray(t[n].T)})),
        r"shape \[64, 96\]; config\.json says \[96, 64\]",
    ),
    "NaN": (poke(Q_PROJ, float("nan")), f"{Q_PROJ} holds NaN"),
    "infinity": (poke("model.norm.weight", float("-inf")), "model.norm.weight holds NaN or infinity"),
    "too large for f16": (poke(Q_PROJ, 70_000.0), f"{Q_PROJ} holds numbers too large for F16"),
    "untied but said to be tied": (configured(tie_word_embeddings=True), "ties the embeddings"),
    "truncated": (cut_to(0.9), "safetensors"),
    "truncated in the header": (cut_to(0.001), "safetensors"),
    "empty file": (cut_to(0), "safetensors"),
    "overlapping tensors": (header(overlap), "safetensors"),
    "shape and size differ": (header(wider), "safetensors"),
    "tensor beyond the file": (header(beyond), "safetensors"),
    "tensor not covered": (header(lambda e: e.pop(Q_PROJ)), "safetensors"),
    "an integer tensor": (header(lambda e: e[Q_PROJ].update(dtype="I32")), "is I32"),
    "header of 2^60 bytes": (broken_text("model.safetensors", struct.pack("<Q", 2**60) + b"{}"), "safetensors"),
    "no tokenizer.json": (without("tokenizer.json"), "no tokenizer.json"),
    "another pre-tokenizer": (tokenizer(lambda t: t["pre_tokenizer"]["pretokenizers"].pop(0)), "pre_tokenizer"),
    "another pattern": (
        tokenizer(lambda t: t["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\p{N}{1,3}")),
        "pre_tokenizer",
    ),
    "another normalizer": (tokenizer(lambda t: t.update(normalizer={"type": "NFKC"})), "normalizer"),
    "no normalizer": (tokenizer(lambda t: t.update(normalizer=None)), "normalizer"),
    "another model": (tokenizer(lambda t: t["model"].update(type="Unigram")), "not a byte-level BPE"),
    "byte fallback": (tokenizer(lambda t: t["model"].update(byte_fallback=True)), "not a byte-level BPE"),
    "ignore_merges": (tokenizer(lambda t: t["model"].update(ignore_merges=True)), "ignore_merges"),
    "word suffixes": (tokenizer(lambda t: t["model"].update(end_of_word_suffix="</w>")), "end_of_word_suffix"),
    "no merges": (tokenizer(lambda t: t["model"].update(merges=[])), "no merges"),
    "a merge of three": (tokenizer(lambda t: t["model"]["merges"].append(["a", "b", "c"])), "merge"),
    "a merge into nothing": (tokenizer(lambda t: t["model"]["merges"].append(["ÿ", "ÿ"])), "not in vocab"),
    "two pieces with one id": (tokenizer(twin_ids), "no number or taken"),
    "a piece beyond the vocabulary": (tokenizer(lambda t: t["model"]["vocab"].update(zzzz=10**6)), "1000000"),
    "a byte without a piece": (tokenizer(lambda t: t["model"]["vocab"].pop("ÿ")), "lacks 'ÿ'"),
    "an added token over another": (tokenizer(lambda t: t["added_tokens"][0].update(id=7)), "token"),
    "an added token without text": (tokenizer(lambda t: t["added_tokens"][0].update(content="")), "added_tokens"),
    "an added token that stands elsewhere": (
        tokenizer(lambda t: t["added_tokens"].append({"id": 505, "content": "a", "special": True})),
        "same text 'a'",
    ),
    "a template that is no Unicode": (
        broken_text("tokenizer_config.json", r'{"chat_template": "\ud800"}'),
        "no Unicode text",
    ),
    "an unknown eos": (
        broken_text("tokenizer_config.json", '{"eos_token": "<|nothing|>"}'),
        "eos_token '<|nothing|>' is not in the vocabulary",
    ),
}


@pytest.mark.parametrize("kind", QWEN2_DAMAGE)
def test_a_damaged_checkpoint_is_refused_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    damage, reason = QWEN2_DAMAGE[kind]
    checkpoint = write_qwen2(tmp_path / "src", dtype="F32")
    damage(checkpoint)
    refused(checkpoint, tmp_path / "out", reason)


INTERNLM2_DAMAGE: dict[str, tuple[Damage, str]] = {
    "linear rope scaling": (scaling(type="linear", factor=2.0), "linear"),
    "biases": (configured(bias=True), "bias is true"),
    "no tokenizer.model": (without("tokenizer.model"), "no tokenizer.model"),
    "fewer tokens than pieces": (configured(vocab_size=400), "shape|pieces"),
    "no SentencePiece model": (broken_text("tokenizer.model", "nothing"), "not a SentencePiece model"),
    "an empty SentencePiece model": (broken_text("tokenizer.model", ""), "no pieces"),
    "added tokens that contradict each other": (
        broken_text("tokenizer.json", '{"added_tokens": [{"id": 494, "content": "<|other|>"}]}'),
        "in another",
    ),
}


@pytest.mark.parametrize("kind", INTERNLM2_DAMAGE)
def test_a_damaged_internlm2_checkpoint_is_refused_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    damage, reason = INTERNLM2_DAMAGE[kind]
    checkpoint = write_internlm2(tmp_path / "src")
    damage(checkpoint)
    refused(checkpoint, tmp_path / "out", reason)


INDEX_DAMAGE: dict[str, tuple[Damage, str]] = {
    "a missing shard": (without(SECOND), f"lacks the shard {SECOND}"),
    "a path out of the folder": (indexed(lambda m: m.update({Q_PROJ: f"../{FIRST}"})), "not the name of a file"),
    "an absolute path": (indexed(lambda m: m.update({Q_PROJ: "/etc/passwd.safetensors"})), "not the name of a file"),
    "a Windows path": (indexed(lambda m: m.update({Q_PROJ: r"..\x.safetensors"})), "not the name of a file"),
    "a drive": (indexed(lambda m: m.update({Q_PROJ: "C:x.safetensors"})), "not the name of a file"),
    "a NUL": (indexed(lambda m: m.update({Q_PROJ: "x\0.safetensors"})), "not the name of a file"),
    "a pickle shard": (indexed(lambda m: m.update({Q_PROJ: "pytorch_model.bin"})), "not a safetensors file"),
    "a number": (indexed(lambda m: m.update({Q_PROJ: 7})), "not a safetensors file"),  # type: ignore[dict-item]
    "a tensor that no shard holds": (indexed(lambda m: m.update(extra=FIRST)), "tensor extra is not in"),
    "a tensor that the index forgets": (indexed(lambda m: m.pop(Q_PROJ)), f"{Q_PROJ} is in .* nowhere"),
    "a tensor in another shard": (
        indexed(lambda m: m.update({Q_PROJ: SECOND if m[Q_PROJ] == FIRST else FIRST})),
        f"{Q_PROJ} is in",
    ),
    "an empty map": (indexed(lambda m: m.clear()), "empty weight_map"),
    "no index": (without("model.safetensors.index.json"), "no model.safetensors.index.json"),
}


@pytest.mark.parametrize("kind", INDEX_DAMAGE)
def test_a_damaged_index_is_refused_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    damage, reason = INDEX_DAMAGE[kind]
    checkpoint = write_qwen2(tmp_path / "src", dtype="F32", shards=2)
    damage(checkpoint)
    refused(checkpoint, tmp_path / "out", reason)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src", dtype="F32", shards=2)
    half = {name: ("F32", array) for name, array in list(checkpoint.tensors.items())[1::2]}
    doubled: Any = half | {"model.embed_tokens.weight": ("F32", checkpoint.tensors["model.embed_tokens.weight"])}
    write_safetensors(checkpoint.folder / SECOND, doubled)
    refused(checkpoint, tmp_path / "out", r"model\.embed_tokens\.weight stands twice|is in model-00002")


def test_numbers_too_large_for_f16_are_kept_by_bf16_and_f32(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src", dtype="F32")
    poke(Q_PROJ, 70_000.0)(checkpoint)
    error = refused(checkpoint, tmp_path / "out", "too large for F16")
    assert "bf16" in (error.hint or "")
    convert(checkpoint.folder, tmp_path / "a.gguf", outtype="bf16")
    convert(checkpoint.folder, tmp_path / "b.gguf", outtype="f32")


def test_numbers_too_large_for_the_scale_of_q8_0_are_refused(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src", dtype="F32")
    poke(Q_PROJ, 9e6)(checkpoint)
    refused(checkpoint, tmp_path / "out", "too large for Q8_0", outtype="q8_0")


def test_tensors_computed_from_the_configuration_are_passed_over(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src")
    convert(checkpoint.folder, tmp_path / "a.gguf", outtype="f32")
    frequencies = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(8, np.float32)}
    weights(lambda tensors: tensors.update(frequencies))(checkpoint)
    converted = convert(checkpoint.folder, tmp_path / "b.gguf", outtype="f32")
    assert converted.n_tensors == len(checkpoint.tensors)


def test_tied_embeddings_stored_twice_are_accepted_when_they_are_equal(tmp_path: Path) -> None:
    checkpoint = write_qwen2(tmp_path / "src", tied=True)
    weights(lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"]}))(checkpoint)
    assert convert(checkpoint.folder, tmp_path / "a.gguf").n_tensors == len(checkpoint.tensors)
