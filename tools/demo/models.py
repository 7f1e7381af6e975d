"""The two tiny transformers that the demo models are, in torch, named as their Hugging Face checkpoints name them.

Owns the forward pass only. It must not know phrase banks, labels or files.

Both layouts are Llama-like: RMSNorm, rotary positions in half rotation, grouped-query attention, SwiGLU.
`qwen2` has separate q/k/v projections with bias; `internlm2` fuses them into one `wqkv` whose rows are grouped by
key-value head: the query heads of the group, then its key head, then its value head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of a model.

    Attributes:
        n_adapters: LoRA adapters on `wqkv` trained together with the base; 0 for none.
        rank: Rank of each adapter.
        alpha: LoRA scale numerator; the scale is alpha / rank.
    """

    vocab: int
    width: int = 192
    layers: int = 6
    heads: int = 6
    kv_heads: int = 2
    ff: int = 512
    context: int = 4096
    rope_base: float = 10000.0
    epsilon: float = 1e-6
    n_adapters: int = 0
    rank: int = 8
    alpha: int = 16

    @property
    def head_dim(self) -> int:
        return self.width // self.heads


def rope_tables(length: int, shape: Shape) -> tuple[Tensor, Tensor]:
    """Return cos and sin, each [length, head_dim]."""
    inverse = shape.rope_base ** (-torch.arange(0, shape.head_dim, 2).float() / shape.head_dim)
    angles = torch.outer(torch.arange(length).float(), inverse)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x [..., T, head_dim] turned by its position (half rotation, as Llama in transformers)."""
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * cos + turned * sin


class RMSNorm(nn.Module):
    """x / rms(x) * weight."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x.float(), (x.shape[-1],), self.weight, self.epsilon)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return causal attention; q [B, H, T, D], k and v [B, Hkv, T, D] -> [B, T, H*D]."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return out.transpose(1, 2).flatten(2)


class FusedAttention(nn.Module):
    """InternLM2's attention: `wqkv` and `wo`, with adapters a[i], b[i] on `wqkv` chosen per sample."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        rows = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
        self.wqkv = nn.Linear(shape.width, rows, bias=False)
        self.wo = nn.Linear(shape.heads * shape.head_dim, shape.width, bias=False)
        self.lora_a = nn.Parameter(torch.randn(shape.n_adapters, shape.rank, shape.width) / shape.width**0.5)
        self.lora_b = nn.Parameter(torch.zeros(shape.n_adapters, rows, shape.rank))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, adapter: Tensor | None) -> Tensor:
        s = self.shape
        qkv = self.wqkv(x)
        if adapter is not None:
            low = torch.bmm(x.to(qkv.dtype), self.lora_a[adapter].transpose(1, 2).to(qkv.dtype))
            qkv = qkv + torch.bmm(low, self.lora_b[adapter].transpose(1, 2).to(qkv.dtype)) * (s.alpha / s.rank)
        per_group = s.heads // s.kv_heads
        qkv = qkv.view(*x.shape[:2], s.kv_heads, per_group + 2, s.head_dim)
        q = qkv[..., :per_group, :].flatten(2, 3).transpose(1, 2)
        k, v = qkv[..., -2, :].transpose(1, 2), qkv[..., -1, :].transpose(1, 2)
        return self.wo(attend(rotate(q, cos, sin), rotate(k, cos, sin), v))


class SplitAttention(nn.Module):
    """Qwen2's attention: q, k, v with bias, o without."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        rows, kv_rows = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.width, rows, bias=True)
        self.k_proj = nn.Linear(shape.width, kv_rows, bias=True)
        self.v_proj = nn.Linear(shape.width, kv_rows, bias=True)
        self.o_proj = nn.Linear(rows, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, adapter: Tensor | None) -> Tensor:
        s = self.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(*x.shape[:2], -1, s.head_dim).transpose(1, 2)

        q, k, v = heads(self.q_proj(x)), heads(self.k_proj(x)), heads(self.v_proj(x))
        return self.o_proj(attend(rotate(q, cos, sin), rotate(k, cos, sin), v))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.ff, bias=False)
        self.up = nn.Linear(shape.width, shape.ff, bias=False)
        self.down = nn.Linear(shape.ff, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """Attention and SwiGLU, each behind a norm and beside a residual."""

    def __init__(self, shape: Shape, *, fused: bool) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(shape.width, shape.epsilon)
        self.attention = FusedAttention(shape) if fused else SplitAttention(shape)
        self.ffn_norm = RMSNorm(shape.width, shape.epsilon)
        self.mlp = SwiGLU(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, adapter: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin, adapter)
        return x + self.mlp(self.ffn_norm(x))


class Decoder(nn.Module):
    """Token ids [B, T] -> hidden states [B, T, width]; `logits` projects the chosen ones onto the vocabulary."""

    def __init__(self, shape: Shape, *, fused: bool) -> None:
        super().__init__()
        self.shape, self.fused = shape, fused
        self.embeddings = nn.Embedding(shape.vocab, shape.width)
        self.blocks = nn.ModuleList(Block(shape, fused=fused) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.width, shape.epsilon)
        self.output = nn.Linear(shape.width, shape.vocab, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                deep = name.endswith(("wo.weight", "o_proj.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * shape.layers) ** 0.5 if deep else 0.04)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, adapter: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return the final hidden states, normed, and the hidden states before each block."""
        cos, sin = rope_tables(tokens.shape[1], self.shape)
        x, before = self.embeddings(tokens), []
        for block in self.blocks:
            before.append(x)
            x = block(x, cos, sin, adapter)
        return self.norm(x), before

    def logits(self, hidden: Tensor) -> Tensor:
        return self.output(hidden)
