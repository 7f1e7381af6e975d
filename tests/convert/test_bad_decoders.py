"""Checkpoints of the llama, mistral and qwen3 families that cannot be carried over are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escl.convert import convert
from escl.errors import EsclError
from tests.checkpoints import Checkpoint, Shape
from tests.damage import Damage, broken_text, configured, poke, refused, tokenizer, weights, without
from tests.decoder_checkpoints import ALL_WRITERS

Q_NORM = "model.layers.1.self_attn.q_norm.weight"
BIAS = "model.layers.0.self_attn.q_proj.bias"


def both(first: Damage, second: Damage) -> Damage:
    def damage(checkpoint: Checkpoint) -> None:
        first(checkpoint)
        second(checkpoint)

    return damage


def unlike(change: Any) -> Damage:  # noqa: ANN401
    """Return the damage of another split in tokenizer.json."""
    return tokenizer(lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(change))


DAMAGE: dict[str, tuple[str, Damage, str]] = {
    "Llama with biases": ("vicuna", configured(attention_bias=True), "attention_bias is true"),
    "Llama with MLP biases": ("vicuna", configured(mlp_bias=True), "mlp_bias is true"),
    "a bias nobody announced": (
        "vicuna",
        weights(lambda t: t.update({BIAS: t["model.norm.weight"]})),
        f"tensor {BIAS} is unknown to architecture llama",
    ),
    "a mixture of experts": (
        "mistral",
        configured(model_type="mixtral", architectures=["MixtralForCausalLM"]),
        "'mixtral' is unknown",
    ),
    "a class of another architecture": ("mistral", configured(architectures=["LlamaForCausalLM"]), "architectures"),
    "Llama for classification": ("vicuna", configured(architectures=["LlamaForSequenceClassification"]), "architect"),
    "an odd head": ("vicuna", configured(head_dim=15), "do not divide"),
    "a head that the weights contradict": ("vicuna", configured(head_dim=32), r"config\.json says \[128, 64\]"),
    "half a head turned": ("vicuna", configured(partial_rotary_factor=0.5), "partial_rotary_factor"),
    "layers that see differently": (
        "mistral",
        configured(layer_types=["full_attention", "chunked_attention"]),
        "layer_types",
    ),
    "a window of nothing": ("mistral", configured(sliding_window=0), "sliding_window is 0"),
    "Qwen3 with sliding windows": ("qwen3", configured(use_sliding_window=True), "use_sliding_window"),
    "Qwen3 with biases": ("qwen3", configured(attention_bias=True), "attention_bias is true"),
    "Qwen3 without its norms": ("qwen3", weights(lambda t: t.pop(Q_NORM)), f"{Q_NORM} is missing"),
    "Qwen3 with a norm for all heads": (
        "qwen3",
        weights(lambda t: t.update({Q_NORM: t["model.norm.weight"]})),
        r"shape \[64\]; config\.json says \[32\]",
    ),
    "NaN in a norm": ("qwen3", poke(Q_NORM, float("nan")), f"{Q_NORM} holds NaN"),
    "infinity in a permuted matrix": (
        "llama3",
        poke("model.layers.1.self_attn.k_proj.weight", float("inf")),
        "k_proj.weight holds NaN or infinity",
    ),
    "no tokenizer at all": ("llama3", without("tokenizer.json"), "no tokenizer.model"),
    "another split": ("llama3", unlike({"pattern": {"Regex": r"\p{N}{1,4}|.+"}}), "pre_tokenizer"),
    "a split by text": ("llama3", unlike({"pattern": {"String": " "}}), "pre_tokenizer"),
    "an inverted split": ("llama3", unlike({"invert": True}), "pre_tokenizer"),
    "merged splits": ("llama3", unlike({"behavior": "MergedWithNext"}), "pre_tokenizer"),
    "Llama 3's split with a normalizer": ("llama3", tokenizer(lambda t: t.update(normalizer={"type": "NFC"})), "none"),
    "texts begun with another token": (
        "llama3",
        broken_text("tokenizer_config.json", '{"bos_token": "<|eom_id|>", "eos_token": "<|eot_id|>"}'),
        "begins texts with '<|begin_of_text|>'",
    ),
    "no bos token, but one before every text": (
        "llama3",
        broken_text("tokenizer_config.json", '{"eos_token": "<|eot_id|>"}'),
        "begins texts with",
    ),
    "a bos token beyond the vocabulary": (
        "vicuna",
        broken_text("tokenizer_config.json", '{"bos_token": "<start>"}'),
        "bos_token '<start>' is not in the vocabulary",
    ),
    "no end at all": (
        "qwen3",
        both(broken_text("tokenizer_config.json", "{}"), broken_text("generation_config.json", "{}")),
        "names the eos token",
    ),
    "a tokenizer.model of Llama 3's kind": ("vicuna", broken_text("tokenizer.model", "IQ== 0\n"), "not a Sentence"),
    "added tokens without a number": (
        "vicuna",
        both(broken_text("tokenizer_config.json", "{}"), broken_text("added_tokens.json", '{"<a>": "x"}')),
        "not a token with an id",
    ),
    "a generation config that is a list": ("yi", broken_text("generation_config.json", "[]"), "JSON object"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_refused_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    family, damage, reason = DAMAGE[kind]
    checkpoint = ALL_WRITERS[family](tmp_path / "src", dtype="F32")
    damage(checkpoint)
    refused(checkpoint, tmp_path / "out", reason)


def test_an_unknown_architecture_says_which_are_known_and_what_else_will_do(tmp_path: Path) -> None:
    checkpoint = ALL_WRITERS["vicuna"](tmp_path / "src")
    configured(model_type="gemma2")(checkpoint)
    error = refused(checkpoint, tmp_path / "out", "'gemma2' is unknown")
    for known in ("llama", "mistral", "qwen2", "qwen3", "internlm2", "GGUF"):
        assert known in (error.hint or "")


NUMBERS = (0, -1, 1, 2**31, 10**400, 1e308, 1e-300, 0.5)
VALUES = st.sampled_from([None, True, *NUMBERS, "", "x", "silu", [], ["x"], [1], {}, {"a": 1}])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("family", ["llama3", "yi"])
def test_any_value_in_any_configuration_is_converted_or_refused(
    tmp_path: Path, family: str, data: st.DataObject
) -> None:
    source = tmp_path / "src"
    if not source.exists():
        ALL_WRITERS[family](source, shape=Shape(hidden=16, ffn=16, layers=1))
    name = data.draw(st.sampled_from(["config.json", "tokenizer_config.json", "generation_config.json"]))
    sound = (source / name).read_text(encoding="utf-8")
    content = json.loads(sound)
    key = data.draw(st.sampled_from([*content, "rope_parameters", "added_tokens_decoder", "quantization_config"]))
    content[key] = data.draw(VALUES)
    (source / name).write_text(json.dumps(content), encoding="utf-8")
    try:
        convert(source, tmp_path / "out.gguf", force=True)
    except EsclError:
        assert not (tmp_path / "out.gguf").exists()
    finally:
        (source / name).write_text(sound, encoding="utf-8")
    (tmp_path / "out.gguf").unlink(missing_ok=True)
