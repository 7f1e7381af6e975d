"""What a model's header says about its size in memory, layer by layer.

Owns the reading of hyperparameters and of the tensor table, for any architecture that names its sizes as llama.cpp's
transformers do (qwen2, qwen3, internlm2, llama and their like), and for recurrent models (Mamba, RWKV). Reads no
weights.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

import msgspec

from escl.errors import GGUFError
from escl.shelf.gguf_header import Array, GGUFHeader

_BLOCK: Final = re.compile(r"blk\.(\d+)\.(.+)\.(?:weight|bias)")
_INPUT: Final = re.compile(r"token_embd|token_types|position_embd")
_MAX_LAYERS: Final = 4096
_MAX_SIZE: Final = 1 << 24
"""Of heads, widths and vocabularies; far above what any known model has."""
_MAX_CONTEXT: Final = (1 << 31) - 1


class ModelShape(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of a model.

    Attributes:
        n_ff: 0 where there is no attention.
        n_head: 0 where there is no attention; then head_counts_kv, key_length and value_length are 0 too.
        head_counts_kv: KV heads by layer.
        n_merges: Merges of a byte-pair vocabulary; they take memory as the tokens do.
        layer_bytes: Weights by layer.
        input_bytes: Weights that look tokens up; llama.cpp keeps them in main memory always.
        embedding_bytes: Of those the token embedding's.
        output_bytes: Weights behind the last layer; with tied embeddings those of the embedding again.
        tied: Whether the output is the embedding's own matrix.
        embedding_type: ggml's type of the embedding.
        largest_tensor: Bytes of the largest weight matrix in a layer.
        widest_row: Elements of the longest row of a matrix in a layer, and the type of that matrix.
        state_bytes: What a recurrent layer keeps of one sequence; 0 where the header names no such state.
    """

    n_layers: int
    n_embd: int
    n_ff: int
    n_head: int
    head_counts_kv: tuple[int, ...]
    key_length: int
    value_length: int
    n_vocab: int
    n_merges: int
    n_tensors: int
    n_ctx_train: int
    normed_heads: bool
    biased: bool
    layer_bytes: tuple[int, ...]
    input_bytes: int
    embedding_bytes: int
    output_bytes: int
    tied: bool
    embedding_type: str
    largest_tensor: int
    widest_row: tuple[int, str]
    state_bytes: int

    @property
    def has_attention(self) -> bool:
        """Whether any layer attends to earlier tokens by keys and values."""
        return self.n_head > 0


def shape_of(header: GGUFHeader) -> ModelShape:
    """Return the sizes that a model's header gives.

    Raises:
        GGUFError: A size is missing or impossible; the message names its key.
    """
    keys = _Keys(header)
    n_layers, n_embd = keys.size("block_count", most=_MAX_LAYERS), keys.size("embedding_length")
    n_head = 0 if keys.is_absent("attention.head_count") else keys.most("attention.head_count")
    weights = _Weights(header, n_layers)
    return ModelShape(
        n_layers=n_layers,
        n_embd=n_embd,
        n_ff=keys.most("feed_forward_length") if n_head else 0,
        n_head=n_head,
        head_counts_kv=keys.by_layer("attention.head_count_kv", n_layers, default=n_head),
        key_length=keys.head_length("attention.key_length", n_embd, n_head),
        value_length=keys.head_length("attention.value_length", n_embd, n_head),
        n_vocab=_length(header, "tokenizer.ggml.tokens") or keys.size("vocab_size"),
        n_merges=_length(header, "tokenizer.ggml.merges"),
        n_tensors=len(header.tensors),
        n_ctx_train=keys.size("context_length", most=_MAX_CONTEXT),
        normed_heads="attn_q_norm" in weights.parts,
        biased=weights.has_bias,
        layer_bytes=tuple(weights.layers[layer] for layer in range(n_layers)),
        input_bytes=weights.input_bytes,
        embedding_bytes=weights.embedding_bytes,
        output_bytes=weights.output_bytes + (weights.embedding_bytes if weights.tied else 0),
        tied=weights.tied,
        embedding_type=weights.embedding_type,
        largest_tensor=weights.largest,
        widest_row=weights.widest_row,
        state_bytes=keys.state_bytes(n_embd),
    )


class _Weights:
    """The tensor table, summed up."""

    def __init__(self, header: GGUFHeader, n_layers: int) -> None:
        self.layers: defaultdict[int, int] = defaultdict(int)
        self.parts: set[str] = set()
        self.input_bytes = self.output_bytes = self.embedding_bytes = 0
        self.has_bias, self.tied, self.embedding_type = False, True, "F32"
        self.widest_row, self.largest = (0, "F32"), 0
        for tensor in header.tensors:
            if match := _BLOCK.fullmatch(tensor.name):
                self.layers[min(int(match[1]), n_layers - 1)] += tensor.size_bytes
                self.parts.add(match[2])
                self.has_bias |= tensor.name.endswith("attn_q.bias")
                if len(tensor.shape) > 1:
                    self.largest = max(self.largest, tensor.size_bytes)
                    self.widest_row = max(self.widest_row, (tensor.shape[0], tensor.type_name))
            elif _INPUT.match(tensor.name):
                self.input_bytes += tensor.size_bytes
                if tensor.name == "token_embd.weight":
                    self.embedding_bytes, self.embedding_type = tensor.size_bytes, tensor.type_name
            else:
                self.output_bytes += tensor.size_bytes
                self.tied &= tensor.name != "output.weight"


class _Keys:
    """Hyperparameters under the architecture's name."""

    def __init__(self, header: GGUFHeader) -> None:
        self._header, self._prefix = header, header.architecture

    def is_absent(self, name: str) -> bool:
        """Return whether a size is not there, or 0 for every layer, as those of attention are in recurrent models."""
        value = self._header.metadata.get(f"{self._prefix}.{name}", 0)
        items = value.items if isinstance(value, Array) else (value,)
        return all(item == 0 and not isinstance(item, bool) for item in items)

    def size(self, name: str, *, default: int | None = None, most: int = _MAX_SIZE) -> int:
        """Return a positive integer.

        Raises:
            GGUFError: It is missing and has no default, is not positive, or is above `most`.
        """
        key = f"{self._prefix}.{name}"
        if default is not None and key not in self._header.metadata:
            return default
        return _checked(key, self._header.integer(key), most=most)

    def optional(self, name: str) -> int:
        """Return a size that not every model has; 0 where it is absent."""
        return 0 if self.is_absent(name) else self.size(name)

    def head_length(self, name: str, n_embd: int, n_head: int) -> int:
        """Return the length of a head's keys or values: as stated, else the heads' share of the embedding."""
        if not n_head:
            return 0
        if n_embd < n_head and f"{self._prefix}.{name}" not in self._header.metadata:
            raise GGUFError(
                f"{self._prefix}.attention.head_count is {n_head:,}, more than {self._prefix}.embedding_length, "
                f"{n_embd:,}"
            )
        return self.size(name, default=n_embd // n_head)

    def state_bytes(self, n_embd: int) -> int:
        """Return what a recurrent layer keeps of a sequence in float32 (n_embd_r and n_embd_s of llama-hparams.cpp)."""
        if head := self.optional("wkv.head_size"):
            return 4 * n_embd * (head + (self.optional("token_shift_count") or 2))
        state, inner = self.optional("ssm.state_size"), self.optional("ssm.inner_size")
        convolved = max(0, self.optional("ssm.conv_kernel") - 1)
        return 4 * (state * inner + convolved * (inner + 2 * self.optional("ssm.group_count") * state))

    def most(self, name: str) -> int:
        """Return a size that may differ by layer: the largest."""
        value = self._header.metadata.get(f"{self._prefix}.{name}")
        return max(self._items(name, value)) if isinstance(value, Array) else self.size(name)

    def by_layer(self, name: str, n_layers: int, *, default: int) -> tuple[int, ...]:
        """Return a size for each layer; beyond the items that the reader kept, the largest; all 0 without attention."""
        if not default:
            return (0,) * n_layers
        value = self._header.metadata.get(f"{self._prefix}.{name}")
        if not isinstance(value, Array):
            return (self.size(name, default=default),) * n_layers
        items = self._items(name, value)[:n_layers]
        return (*items, *[max(items)] * (n_layers - len(items)))

    def _items(self, name: str, array: Array) -> list[int]:
        items = [item for item in array.items if isinstance(item, int) and item >= 0]
        if not items or len(items) != len(array.items):
            raise GGUFError(f"{self._prefix}.{name} holds something other than sizes")
        _checked(f"{self._prefix}.{name}", max(items))
        return items


def _checked(key: str, value: int, *, most: int = _MAX_SIZE) -> int:
    if value <= 0:
        raise GGUFError(f"{key} is {value}; without a positive number no memory can be estimated")
    if value > most:
        raise GGUFError(f"{key} is {value:,}; at most {most:,} is accepted")
    return value


def _length(header: GGUFHeader, key: str) -> int:
    value = header.metadata.get(key)
    return value.length if isinstance(value, Array) else 0
