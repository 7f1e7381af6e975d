"""How much work memory one computation of a transformer takes: llama.cpp's graph for it.

A closed formula would miss by tens of percent: what counts is which tensors live at once *and* which holes the freed
ones leave. So the tensors are listed in llama.cpp's order and given to the same allocator. Sources, all of llama.cpp
0c1e57098: llama-graph.cpp, llama-kv-cache.cpp, and models/qwen2.cpp, qwen3.cpp, internlm2.cpp, llama.cpp, whose layers
are alike. Knows nothing of files or devices.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from escl.memory.allocator import Graph, Node, view

_F32: Final = 4
# From the second layer on a graph repeats itself; the last one and the output differ.
_ENOUGH_LAYERS: Final = 4
_VALUE_ROTATION: Final = 64


class WorkShape(msgspec.Struct, frozen=True, kw_only=True):
    """What decides the size of a computation.

    Attributes:
        n_tokens: Tokens computed at once.
        n_cells: KV cells that a token may attend to: those of one stream.
        n_outputs: Tokens whose logits are wanted.
        flash: Flash attention, which never holds all attention weights.
        rotated: Keys and values are rotated before they are stored, as llama.cpp does with quantized ones.
        normed_heads: Queries and keys are normalized by head (qwen3).
        biased: Queries, keys and values have biases (qwen2).
        lora_rank: Rank of the adapter that is on; 0 for none.
        adapted: The matrices that it changes: "attn_q", "ffn_up" and so on.
    """

    n_layers: int
    n_embd: int
    n_ff: int
    n_head: int
    n_head_kv: int
    key_length: int
    value_length: int
    n_vocab: int
    n_tokens: int
    n_cells: int
    n_outputs: int
    flash: bool
    rotated: bool = False
    normed_heads: bool = False
    biased: bool = False
    lora_rank: int = 0
    adapted: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def work_bytes(shape: WorkShape) -> int:
    """Return the size of llama.cpp's compute buffer on a device that computes everything."""
    return _Transformer(shape).graph().buffer_bytes()


class _Transformer:
    def __init__(self, shape: WorkShape) -> None:
        self.shape, self.made = shape, Graph()
        n_tokens = shape.n_tokens
        self.rows = n_tokens
        self.positions = Node(n_tokens * 4)
        self.key_places = Node(n_tokens * 8)
        # Without flash attention values are stored transposed, element by element.
        self.value_places = Node(n_tokens * 8 * (1 if shape.flash else shape.n_head_kv * shape.value_length))
        self.mask = Node(shape.n_cells * n_tokens * (2 if shape.flash else 4))
        self.key_rotation = Node(_key_rotation(shape.key_length) ** 2 * _F32)
        self.value_rotation = Node(_VALUE_ROTATION**2 * _F32)

    def graph(self) -> Graph:
        shape = self.shape
        flow = Node(self.sized(shape.n_embd), (Node(shape.n_tokens * 4),))
        self.made.expand(flow)
        # The way in for embeddings instead of tokens: never used here, always allocated.
        self.made.expand(Node(self.sized(shape.n_embd)))
        n_layers = min(shape.n_layers, _ENOUGH_LAYERS)
        for layer in range(n_layers):
            flow = self.layer(flow, is_last=layer == n_layers - 1)
        final = self.norm(flow)
        final.kept = True
        logits = self.product(final, shape.n_vocab, "output")
        logits.kept = True
        self.made.expand(logits)
        return self.made

    def sized(self, width: int) -> int:
        return self.rows * width * _F32

    def norm(self, node: Node) -> Node:
        normed = Node(node.size_bytes, (node,), in_place=True)
        return Node(node.size_bytes, (normed,), in_place=True)

    def product(self, node: Node, width: int, matrix: str) -> Node:
        """Return a weight matrix times `node`, rows of `width`, with what the adapter adds."""
        shape, size = self.shape, self.sized(width)
        base = Node(size, (node,))
        if not shape.lora_rank or matrix not in shape.adapted:
            return base
        wide = Node(size, (Node(self.sized(shape.lora_rank), (node,)),))
        return Node(size, (base, Node(size, (wide,), in_place=True)), in_place=True)

    def layer(self, flow: Node, *, is_last: bool) -> Node:
        shape = self.shape
        attended = self.product(self.attention(self.norm(flow)), shape.n_embd, "attn_output")
        if is_last:
            self.rows = shape.n_outputs
            chosen = Node(shape.n_outputs * 4)
            attended = Node(self.sized(shape.n_embd), (attended, chosen))
            flow = Node(self.sized(shape.n_embd), (flow, chosen))
        middle = Node(self.sized(shape.n_embd), (attended, flow), in_place=True)
        normed = self.norm(middle)
        gate = self.product(normed, shape.n_ff, "ffn_gate")
        up = self.product(normed, shape.n_ff, "ffn_up")
        down = self.product(Node(self.sized(shape.n_ff), (gate, up)), shape.n_embd, "ffn_down")
        return Node(self.sized(shape.n_embd), (down, middle), in_place=True)

    def attention(self, normed: Node) -> Node:
        shape = self.shape
        query = self.head(normed, shape.n_head * shape.key_length, "attn_q")
        key = self.head(normed, shape.n_head_kv * shape.key_length, "attn_k")
        value = view(self.projected(normed, shape.n_head_kv * shape.value_length, "attn_v"))
        if shape.rotated:
            query, key = self.rotate(query, self.key_rotation), self.rotate(key, self.key_rotation)
            value = self.rotate(value, self.value_rotation)
        stored = Node(0, (view(key), self.key_places)), Node(0, (view(value), self.value_places))
        for node in (query, value, key, *stored):
            self.made.expand(node)
        attended = self.attend(view(view(query)))
        self.made.expand(attended)
        return self.rotate(attended, self.value_rotation) if shape.rotated else attended

    def projected(self, normed: Node, width: int, matrix: str) -> Node:
        node = self.product(normed, width, matrix)
        return Node(node.size_bytes, (node,), in_place=True) if self.shape.biased else node

    def head(self, normed: Node, width: int, matrix: str) -> Node:
        """Return queries or keys with their positions rotated in."""
        split = view(self.projected(normed, width, matrix))
        if self.shape.normed_heads:
            split = self.norm(split)
        return Node(split.size_bytes, (split, self.positions), in_place=True)

    def rotate(self, node: Node, rotation: Node) -> Node:
        return view(Node(node.size_bytes, (rotation, view(node))))

    def attend(self, query: Node) -> Node:
        shape = self.shape
        size = self.sized(shape.n_head * shape.value_length)
        if shape.flash:
            return view(Node(size, (query, self.mask)))
        weights_size = shape.n_head * shape.n_cells * shape.n_tokens * _F32
        weights = Node(weights_size, (Node(weights_size, (query,)), self.mask), in_place=True)
        return Node(size, (view(Node(size, (weights,))),))


def _key_rotation(key_length: int) -> int:
    """Return the side of the rotation: the largest 64 * 2^n that divides a head (build_input_k_rot)."""
    side = 64
    while side * 2 <= key_length and key_length % (side * 2) == 0:
        side *= 2
    return side
