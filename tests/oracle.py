"""A plain forward pass of every architecture in numpy: what the logits of a converted model are compared with.

Written from the models' definitions (transformers' LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and
Qwen3ForCausalLM with modeling_rope_utils.py; modeling_internlm2.py of InternLM2) on the checkpoint's own tensors, so
that a mistake in the converter cannot hide in it. It shares no code with escl.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.checkpoints import Adapter, Checkpoint

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projections:
    """Queries (n, heads, head), keys and values (n, kv_heads, head) before rotation."""

    queries: Array
    keys: Array
    values: Array


class Oracle:
    """The forward pass of one checkpoint, with at most one adapter."""

    def __init__(self, checkpoint: Checkpoint, adapter: Adapter | None = None) -> None:
        self.config, self.tensors, self.adapter = checkpoint.config, checkpoint.tensors, adapter
        self.heads = int(self.config["num_attention_heads"])
        self.kv_heads = int(self.config["num_key_value_heads"])
        self.head = int(self.config.get("head_dim") or int(self.config["hidden_size"]) // self.heads)
        self.is_internlm2 = self.config["model_type"] == "internlm2"

    def logits(self, tokens: Sequence[int]) -> Array:
        """Return the logits after every token, (n, vocab)."""
        embedding = "model.tok_embeddings" if self.is_internlm2 else "model.embed_tokens"
        hidden = self.weight(embedding)[list(tokens)]
        for layer in range(int(self.config["num_hidden_layers"])):
            prefix = f"model.layers.{layer}."
            norms = ("input_layernorm", "post_attention_layernorm")
            if self.is_internlm2:
                norms = ("attention_norm", "ffn_norm")
            hidden = hidden + self.attention(prefix, self.norm(hidden, prefix + norms[0]))
            hidden = hidden + self.feed_forward(prefix, self.norm(hidden, prefix + norms[1]))
        hidden = self.norm(hidden, "model.norm")
        output = "output" if self.is_internlm2 else "lm_head"
        return hidden @ self.weight(embedding if self.config["tie_word_embeddings"] else output).T

    def weight(self, module: str) -> Array:
        return self.tensors[module + ".weight"].astype(np.float64)

    def linear(self, x: Array, module: str) -> Array:
        """Return W x + b, and the adapter's alpha / r * B A x when it changes this module."""
        y = x @ self.weight(module).T
        if module + ".bias" in self.tensors:
            y = y + self.tensors[module + ".bias"].astype(np.float64)
        factor = f"base_model.model.{module}.lora_A.weight"
        if self.adapter is not None and factor in self.adapter.tensors:
            a = self.adapter.tensors[factor].astype(np.float64)
            b = self.adapter.tensors[factor.replace("lora_A", "lora_B")].astype(np.float64)
            y = y + self.adapter.config["lora_alpha"] / self.adapter.config["r"] * (x @ a.T @ b.T)
        return y

    def norm(self, x: Array, module: str) -> Array:
        mean_square: Array = np.mean(x * x, axis=-1, keepdims=True)
        return x / np.sqrt(mean_square + float(self.config["rms_norm_eps"])) * self.weight(module)

    def projections(self, prefix: str, x: Array) -> Projections:
        n = len(x)
        if not self.is_internlm2:
            q, k, v = (self.linear(x, f"{prefix}self_attn.{name}_proj") for name in "qkv")
            per_kv = (n, self.kv_heads, self.head)
            queries, keys = q.reshape(n, self.heads, self.head), k.reshape(per_kv)
            if prefix + "self_attn.q_norm.weight" in self.tensors:
                queries, keys = (
                    self.norm(x, f"{prefix}self_attn.{name}_norm") for name, x in (("q", queries), ("k", keys))
                )
            return Projections(queries=queries, keys=keys, values=v.reshape(per_kv))
        # wqkv's outputs: for each key-value head its query heads, its key, its value.
        per_group = self.heads // self.kv_heads + 2
        fused = self.linear(x, prefix + "attention.wqkv").reshape(n, self.kv_heads, per_group, self.head)
        queries = fused[:, :, : per_group - 2].reshape(n, self.heads, self.head)
        return Projections(queries=queries, keys=fused[:, :, -2], values=fused[:, :, -1])

    def rotate(self, x: Array) -> Array:
        """Rotate each pair (i, i + head/2) by position times its frequency, as all models' `rotate_half` does."""
        half = self.head // 2
        frequencies, length = self.frequencies()
        angles = np.arange(len(x))[:, None, None] * frequencies
        first, second = x[..., :half], x[..., half:]
        cos, sin = np.cos(angles) * length, np.sin(angles) * length
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    def frequencies(self) -> tuple[Array, float]:
        """Return the angle per position of each pair, theta^(-2i/head) with its scaling, and the vectors' scale."""
        theta = float(self.config["rope_theta"])
        plain = theta ** (-np.arange(self.head // 2) * 2 / self.head)
        scaling = self.config.get("rope_scaling") or {}
        kind = scaling.get("rope_type") or scaling.get("type")
        # Dynamic scaling begins beyond the trained context, which no test reaches.
        if kind in (None, "default", "dynamic"):
            return plain, 1.0
        factor = float(scaling["factor"])
        if kind == "linear":
            return plain / factor, 1.0
        trained = int(scaling["original_max_position_embeddings"])
        if kind == "llama3":
            return np.array([llama3_frequency(each, trained=trained, **scaling) for each in plain]), 1.0
        assert kind == "yarn"

        def pair_that_turns(times: float) -> float:
            return self.head * math.log(trained / (times * 2 * math.pi)) / (2 * math.log(theta))

        first = max(math.floor(pair_that_turns(float(scaling.get("beta_fast", 32)))), 0)
        last = min(math.ceil(pair_that_turns(float(scaling.get("beta_slow", 1)))), self.head - 1)
        interpolated = np.clip((np.arange(self.head // 2) - first) / max(last - first, 0.001), 0, 1)
        return plain / factor * interpolated + plain * (1 - interpolated), 0.1 * math.log(factor) + 1

    def attention(self, prefix: str, x: Array) -> Array:
        n = len(x)
        projected = self.projections(prefix, x)
        queries, keys = self.rotate(projected.queries), self.rotate(projected.keys)
        per_kv = self.heads // self.kv_heads
        keys, values = np.repeat(keys, per_kv, axis=1), np.repeat(projected.values, per_kv, axis=1)
        scores = np.einsum("ihd,jhd->hij", queries, keys) / np.sqrt(self.head)
        # A sliding window lets a token see itself and the window - 1 tokens before it.
        window = self.config.get("sliding_window") if self.config["model_type"] == "mistral" else None
        visible = np.tri(n, dtype=bool) & ~np.tri(n, k=-(window or n), dtype=bool)
        scores = np.where(visible, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", weights, values).reshape(n, -1)
        return self.linear(mixed, prefix + ("attention.wo" if self.is_internlm2 else "self_attn.o_proj"))

    def feed_forward(self, prefix: str, x: Array) -> Array:
        names = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
        if self.is_internlm2:
            names = ("feed_forward.w1", "feed_forward.w3", "feed_forward.w2")
        gate, up = self.linear(x, prefix + names[0]), self.linear(x, prefix + names[1])
        return self.linear(gate / (1 + np.exp(-gate)) * up, prefix + names[2])


def llama3_frequency(
    frequency: float,
    *,
    trained: int,
    factor: float,
    low_freq_factor: float,
    high_freq_factor: float,
    **_others: object,
) -> float:
    """Return what Llama 3.1 makes of a pair's frequency: by its wavelength kept, divided, or between the two."""
    wavelength = 2 * math.pi / frequency
    if wavelength < trained / high_freq_factor:
        return frequency
    if wavelength > trained / low_freq_factor:
        return frequency / factor
    smooth = (trained / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor)
    return (1 - smooth) * frequency / factor + smooth * frequency
