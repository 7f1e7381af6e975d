"""The sizes and constants of one model as config.json states them, and what of it no GGUF file could say.

It reads config.json, but neither tensors nor tokenizers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from escl.convert.folder import Fields
from escl.convert.rope import Rope, Scaling, read_rope
from escl.errors import ConvertError

Size = Literal["vocab", "hidden", "ffn", "q", "kv", "qkv", "head"]
ReadDimensions = Callable[[Fields], "Dimensions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """The sizes and constants of one model, read from config.json.

    Attributes:
        head: Elements of one attention head.
        context: Tokens up to which llama.cpp computes what the source computes, and no more than it was trained for.
        tied: The output matrix is the embedding matrix.
        notes: What of the configuration does not change the numbers, but should be known.
    """

    vocab: int
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    context: int
    rms_epsilon: float
    rope: Rope
    tied: bool
    notes: tuple[str, ...] = ()

    def size(self, name: Size) -> int:
        """Return the length of a tensor's dimension that a rule calls `name`."""
        q, kv = self.heads * self.head, self.kv_heads * self.head
        sizes = {"vocab": self.vocab, "hidden": self.hidden, "ffn": self.ffn, "head": self.head}
        return sizes[name] if name in sizes else {"q": q, "kv": kv, "qkv": q + 2 * kv}[name]


def read_qwen2(config: Fields) -> Dimensions:
    """Return the dimensions of a Qwen2 checkpoint.

    Raises:
        ConvertError: The configuration is malformed or cannot be carried over faithfully, as for all of these.
    """
    _refuse_sliding_windows(config)
    return _dimensions(config, own_head=False, scalings=("yarn",))


def read_qwen3(config: Fields) -> Dimensions:
    """Return the dimensions of a Qwen3 checkpoint."""
    _refuse_sliding_windows(config)
    _refuse_biases(config, "attention_bias")
    # Qwen3Config's default, whatever the hidden size.
    return _dimensions(config, own_head=True, default_head=128, scalings=("yarn",))


def read_internlm2(config: Fields) -> Dimensions:
    """Return the dimensions of an InternLM2 checkpoint."""
    _refuse_biases(config, "bias")
    return _dimensions(config, own_head=False, scalings=("dynamic",))


def read_llama(config: Fields) -> Dimensions:
    """Return the dimensions of a Llama checkpoint (Llama 2 and 3, Vicuna, Yi)."""
    _refuse_biases(config, "attention_bias", "mlp_bias")
    return _dimensions(config, own_head=True, scalings=("linear", "dynamic", "yarn", "llama3"))


def read_mistral(config: Fields) -> Dimensions:
    """Return the dimensions of a Mistral checkpoint, whose context ends with its sliding window."""
    context = config.integer("max_position_embeddings")
    window = config.integer("sliding_window", default=context)
    _refuse_layer_types(config, also="sliding_attention")
    notes: tuple[str, ...] = ()
    if window < context:
        notes = (
            f"the context is cut from {context:,} to {window:,} tokens, the sliding window: up to there llama.cpp's "
            "full attention is the same",
        )
    return _dimensions(config, own_head=True, scalings=("linear", "yarn"), window=min(window, context), notes=notes)


def _dimensions(
    config: Fields,
    *,
    own_head: bool,
    scalings: tuple[Scaling, ...],
    default_head: int | None = None,
    window: int | None = None,
    notes: tuple[str, ...] = (),
) -> Dimensions:
    heads, hidden = config.integer("num_attention_heads"), config.integer("hidden_size")
    kv_heads = config.integer("num_key_value_heads", default=heads)
    stated = config.entries.get("head_dim") is not None or default_head is not None
    head = config.integer("head_dim", default=default_head or max(1, hidden // heads))
    if heads % kv_heads or head % 2 or (head * heads != hidden and not stated):
        raise ConvertError(
            f"{config.where}: hidden_size {hidden}, {heads} heads and {kv_heads} key-value heads do not divide evenly"
        )
    if head * heads != hidden and not own_head:
        raise ConvertError(f"{config.where}: head_dim is not hidden_size / num_attention_heads")
    if (activation := config.text("hidden_act")) not in (None, "silu", "swish"):
        raise ConvertError(f"{config.where}: hidden_act is {activation!r}; only silu can be carried over")
    if config.entries.get("quantization_config") is not None:
        raise ConvertError(f"{config.where}: the weights are already quantized", hint="convert the original checkpoint")
    context = config.integer("max_position_embeddings")
    rope = read_rope(config, head=head, context=context, known=scalings)
    return Dimensions(
        vocab=config.integer("vocab_size"),
        hidden=hidden,
        ffn=config.integer("intermediate_size"),
        layers=config.integer("num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head=head,
        context=window or context,
        rms_epsilon=config.number("rms_norm_eps"),
        rope=rope,
        tied=config.flag("tie_word_embeddings", default=False),
        notes=(*notes, *rope.notes),
    )


def _refuse_biases(config: Fields, *keys: str) -> None:
    for key in keys:
        if config.flag(key, default=False):
            raise ConvertError(f"{config.where}: {key} is true; no rule here carries those biases over")


def _refuse_sliding_windows(config: Fields) -> None:
    if config.flag("use_sliding_window", default=False):
        raise ConvertError(f"{config.where}: use_sliding_window is true; llama.cpp attends to everything")
    _refuse_layer_types(config)


def _refuse_layer_types(config: Fields, *, also: str = "full_attention") -> None:
    if any(kind not in ("full_attention", also) for kind in config.items("layer_types")):
        raise ConvertError(f"{config.where}: layer_types has other kinds than full_attention")
