"""A plain forward pass of Qwen2 and InternLM2 in numpy: what the logits of a converted model are compared with.

Written from the models' definitions (transformers' Qwen2ForCausalLM; modeling_internlm2.py of InternLM2) on the
checkpoint's own tensors, so that a mistake in the converter cannot hide in it. It shares no code with escl.
"""

from __future__ import annotations

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
        self.head = int(self.config["hidden_size"]) // self.heads
        self.is_qwen2 = self.config["model_type"] == "qwen2"

    def logits(self, tokens: Sequence[int]) -> Array:
        """Return the logits after every token, (n, vocab)."""
        embedding = "model.embed_tokens" if self.is_qwen2 else "model.tok_embeddings"
        hidden = self.weight(embedding)[list(tokens)]
        for layer in range(int(self.config["num_hidden_layers"])):
            prefix = f"model.layers.{layer}."
            norms = ("input_layernorm", "post_attention_layernorm") if self.is_qwen2 else ("attention_norm", "ffn_norm")
            hidden = hidden + self.attention(prefix, self.norm(hidden, prefix + norms[0]))
            hidden = hidden + self.feed_forward(prefix, self.norm(hidden, prefix + norms[1]))
        hidden = self.norm(hidden, "model.norm")
        output = "lm_head" if self.is_qwen2 else "output"
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
        if self.is_qwen2:
            q, k, v = (self.linear(x, f"{prefix}self_attn.{name}_proj") for name in "qkv")
            per_kv = (n, self.kv_heads, self.head)
            return Projections(
                queries=q.reshape(n, self.heads, self.head), keys=k.reshape(per_kv), values=v.reshape(per_kv)
            )
        # wqkv's outputs: for each key-value head its query heads, its key, its value.
        per_group = self.heads // self.kv_heads + 2
        fused = self.linear(x, prefix + "attention.wqkv").reshape(n, self.kv_heads, per_group, self.head)
        queries = fused[:, :, : per_group - 2].reshape(n, self.heads, self.head)
        return Projections(queries=queries, keys=fused[:, :, -2], values=fused[:, :, -1])

    def rotate(self, x: Array) -> Array:
        """Rotate each pair (i, i + head/2) by position * theta^(-2i/head), as both models' `rotate_half` does."""
        half = self.head // 2
        frequencies = float(self.config["rope_theta"]) ** (-np.arange(half) * 2 / self.head)
        angles = np.arange(len(x))[:, None, None] * frequencies
        first, second = x[..., :half], x[..., half:]
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    def attention(self, prefix: str, x: Array) -> Array:
        n = len(x)
        projected = self.projections(prefix, x)
        queries, keys = self.rotate(projected.queries), self.rotate(projected.keys)
        per_kv = self.heads // self.kv_heads
        keys, values = np.repeat(keys, per_kv, axis=1), np.repeat(projected.values, per_kv, axis=1)
        scores = np.einsum("ihd,jhd->hij", queries, keys) / np.sqrt(self.head)
        scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", weights, values).reshape(n, -1)
        return self.linear(mixed, prefix + ("self_attn.o_proj" if self.is_qwen2 else "attention.wo"))

    def feed_forward(self, prefix: str, x: Array) -> Array:
        names = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
        if not self.is_qwen2:
            names = ("feed_forward.w1", "feed_forward.w3", "feed_forward.w2")
        gate, up = self.linear(x, prefix + names[0]), self.linear(x, prefix + names[1])
        return self.linear(gate / (1 + np.exp(-gate)) * up, prefix + names[2])
