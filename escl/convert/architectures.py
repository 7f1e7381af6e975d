"""The architectures that can be converted: for each a table of names, shapes and row orders.

A rule says where the rows of one checkpoint tensor go. A new architecture is a new table. It reads config.json, but
neither tensors nor tokenizers.

Sources: the classes Qwen2ForCausalLM (transformers) and InternLM2ForCausalLM (modeling_internlm2.py of
internlm/internlm2-chat-7b); the tensor names of llama.cpp 0c1e57098, src/llama-arch.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from escl.convert.folder import Fields
from escl.errors import ConvertError

Size = Literal["vocab", "hidden", "ffn", "q", "kv", "qkv"]
RowOrder = Callable[["Dimensions"], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """The sizes and constants of one model, read from config.json.

    Attributes:
        tied: The output matrix is the embedding matrix.
        notes: What of the configuration does not change the numbers, but should be known.
    """

    vocab: int
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    context: int
    rms_epsilon: float
    rope_theta: float
    tied: bool
    notes: tuple[str, ...] = ()

    @property
    def head(self) -> int:
        """Elements of one attention head."""
        return self.hidden // self.heads

    def size(self, name: Size) -> int:
        """Return the length of a tensor's dimension that a rule calls `name`."""
        kv = self.kv_heads * self.head
        sizes = {"vocab": self.vocab, "hidden": self.hidden, "ffn": self.ffn, "q": self.hidden, "kv": kv}
        return self.hidden + 2 * kv if name == "qkv" else sizes[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A GGUF tensor made from rows of a checkpoint tensor.

    Attributes:
        target: GGUF name; "{layer}" stands for the layer's number.
        rows: Which source row each of its rows is; None takes all as they stand.
    """

    target: str
    rows: RowOrder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Where one checkpoint tensor goes.

    Attributes:
        source: Its name; "{layer}" stands for the layer's number.
        shape: Its dimensions by name, rows first.
        linear: It is the matrix of a linear module in a layer, so that a LoRA adapter may change it.
    """

    source: str
    shape: tuple[Size, ...]
    parts: tuple[Part, ...]
    linear: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A table: everything the converter knows about one architecture.

    Attributes:
        name: What config.json calls model_type and GGUF general.architecture.
        hf_class: The only accepted entry of config.json's `architectures`.
        embedding, output: Checkpoint names of the two vocabulary matrices.
        output_required: llama.cpp needs output.weight even when it is the embedding.
        derived: Ends of names of tensors that hold nothing but values computed from config.json.
        vocabulary: Kind of tokenizer it is published with.
    """

    name: str
    hf_class: str
    rules: tuple[Rule, ...]
    embedding: str
    output: str
    output_required: bool
    derived: tuple[str, ...]
    vocabulary: Literal["bpe", "sentencepiece"]
    read_dimensions: Callable[[Fields], Dimensions]


def _same(source: str, target: str, *shape: Size, linear: bool = False) -> Rule:
    return Rule(source=source, shape=shape, parts=(Part(target=target),), linear=linear)


def _rope_pairs(n_heads: int, head: int) -> NDArray[np.int64]:
    # ggml's NORM rope turns the pairs (0, 1), (2, 3), ...; the checkpoint turns (0, head/2), (1, head/2 + 1), ...
    within = np.arange(head).reshape(2, head // 2).T.reshape(-1)
    return (np.arange(n_heads)[:, None] * head + within).reshape(-1)


def _wqkv(dimensions: Dimensions) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    # Rows of wqkv: for each key-value head its query heads, then its key, then its value.
    head, queries = dimensions.head, dimensions.heads // dimensions.kv_heads
    groups = np.arange(dimensions.size("qkv")).reshape(dimensions.kv_heads, queries + 2, head)
    return groups[:, :queries].reshape(-1), groups[:, -2].reshape(-1), groups[:, -1].reshape(-1)


def _wqkv_q(dimensions: Dimensions) -> NDArray[np.int64]:
    return _wqkv(dimensions)[0][_rope_pairs(dimensions.heads, dimensions.head)]


def _wqkv_k(dimensions: Dimensions) -> NDArray[np.int64]:
    return _wqkv(dimensions)[1][_rope_pairs(dimensions.kv_heads, dimensions.head)]


def _wqkv_v(dimensions: Dimensions) -> NDArray[np.int64]:
    return _wqkv(dimensions)[2]


def _dimensions(config: Fields, *, context: int, tied: bool, notes: tuple[str, ...] = ()) -> Dimensions:
    heads = config.integer("num_attention_heads")
    dimensions = Dimensions(
        vocab=config.integer("vocab_size"),
        hidden=config.integer("hidden_size"),
        ffn=config.integer("intermediate_size"),
        layers=config.integer("num_hidden_layers"),
        heads=heads,
        kv_heads=config.integer("num_key_value_heads", default=heads),
        context=context,
        rms_epsilon=config.number("rms_norm_eps"),
        rope_theta=_rope_theta(config),
        tied=tied,
        notes=notes,
    )
    if dimensions.hidden % heads or heads % dimensions.kv_heads or dimensions.head % 2:
        raise ConvertError(
            f"{config.where}: hidden_size {dimensions.hidden}, {heads} heads and {dimensions.kv_heads} key-value heads "
            "do not divide evenly"
        )
    if config.integer("head_dim", default=dimensions.head) != dimensions.head:
        raise ConvertError(f"{config.where}: head_dim is not hidden_size / num_attention_heads")
    if (activation := config.text("hidden_act")) not in (None, "silu", "swish"):
        raise ConvertError(f"{config.where}: hidden_act is {activation!r}; only silu can be carried over")
    if config.entries.get("quantization_config") is not None:
        raise ConvertError(f"{config.where}: the weights are already quantized", hint="convert the original checkpoint")
    return dimensions


def _rope_theta(config: Fields) -> float:
    # transformers 5 moved rope_theta into rope_parameters.
    parameters = config.table("rope_parameters")
    return parameters.number("rope_theta", default=config.number("rope_theta", default=10_000.0))


def _rope_scaling(config: Fields) -> str | None:
    """Return the kind of rope scaling, None for none."""
    for key in ("rope_scaling", "rope_parameters"):
        table = config.table(key)
        kind = table.text("rope_type") or table.text("type")
        if kind is None and key == "rope_scaling" and table.entries:
            raise ConvertError(f"{config.where}: rope_scaling names no type")
        if kind not in (None, "default"):
            return kind
    return None


def _read_qwen2(config: Fields) -> Dimensions:
    if (scaling := _rope_scaling(config)) is not None:
        raise ConvertError(f"{config.where}: rope scaling {scaling!r} cannot be carried over faithfully")
    if config.flag("use_sliding_window", default=False):
        raise ConvertError(f"{config.where}: use_sliding_window is true; llama.cpp's qwen2 attends to everything")
    if any(kind != "full_attention" for kind in config.items("layer_types")):
        raise ConvertError(f"{config.where}: layer_types has other kinds than full_attention")
    return _dimensions(
        config,
        context=config.integer("max_position_embeddings"),
        tied=config.flag("tie_word_embeddings", default=False),
    )


def _read_internlm2(config: Fields) -> Dimensions:
    context = config.integer("max_position_embeddings")
    notes: tuple[str, ...] = ()
    scaling = _rope_scaling(config)
    if scaling == "dynamic":
        # Dynamic NTK scaling changes nothing up to max_position_embeddings (InternLM2DynamicNTKScalingRotaryEmbedding).
        notes = (f"rope scaling 'dynamic' is left out; it acts only beyond {context:,} tokens",)
    elif scaling is not None:
        raise ConvertError(f"{config.where}: rope scaling {scaling!r} cannot be carried over faithfully")
    if config.flag("bias", default=False):
        raise ConvertError(f"{config.where}: bias is true; llama.cpp's internlm2 has no biases")
    tied = config.flag("tie_word_embeddings", default=False)
    return _dimensions(config, context=context, tied=tied, notes=notes)


_QWEN2_LAYER = "model.layers.{layer}."

QWEN2 = Architecture(
    name="qwen2",
    hf_class="Qwen2ForCausalLM",
    rules=(
        _same("model.embed_tokens.weight", "token_embd.weight", "vocab", "hidden"),
        _same("lm_head.weight", "output.weight", "vocab", "hidden"),
        _same("model.norm.weight", "output_norm.weight", "hidden"),
        _same(_QWEN2_LAYER + "input_layernorm.weight", "blk.{layer}.attn_norm.weight", "hidden"),
        _same(_QWEN2_LAYER + "self_attn.q_proj.weight", "blk.{layer}.attn_q.weight", "q", "hidden", linear=True),
        _same(_QWEN2_LAYER + "self_attn.k_proj.weight", "blk.{layer}.attn_k.weight", "kv", "hidden", linear=True),
        _same(_QWEN2_LAYER + "self_attn.v_proj.weight", "blk.{layer}.attn_v.weight", "kv", "hidden", linear=True),
        _same(_QWEN2_LAYER + "self_attn.q_proj.bias", "blk.{layer}.attn_q.bias", "q"),
        _same(_QWEN2_LAYER + "self_attn.k_proj.bias", "blk.{layer}.attn_k.bias", "kv"),
        _same(_QWEN2_LAYER + "self_attn.v_proj.bias", "blk.{layer}.attn_v.bias", "kv"),
        _same(_QWEN2_LAYER + "self_attn.o_proj.weight", "blk.{layer}.attn_output.weight", "hidden", "q", linear=True),
        _same(_QWEN2_LAYER + "post_attention_layernorm.weight", "blk.{layer}.ffn_norm.weight", "hidden"),
        _same(_QWEN2_LAYER + "mlp.gate_proj.weight", "blk.{layer}.ffn_gate.weight", "ffn", "hidden", linear=True),
        _same(_QWEN2_LAYER + "mlp.up_proj.weight", "blk.{layer}.ffn_up.weight", "ffn", "hidden", linear=True),
        _same(_QWEN2_LAYER + "mlp.down_proj.weight", "blk.{layer}.ffn_down.weight", "hidden", "ffn", linear=True),
    ),
    embedding="model.embed_tokens.weight",
    output="lm_head.weight",
    output_required=False,
    derived=(".rotary_emb.inv_freq",),
    vocabulary="bpe",
    read_dimensions=_read_qwen2,
)

_INTERNLM2_LAYER = "model.layers.{layer}."

INTERNLM2 = Architecture(
    name="internlm2",
    hf_class="InternLM2ForCausalLM",
    rules=(
        _same("model.tok_embeddings.weight", "token_embd.weight", "vocab", "hidden"),
        _same("output.weight", "output.weight", "vocab", "hidden"),
        _same("model.norm.weight", "output_norm.weight", "hidden"),
        _same(_INTERNLM2_LAYER + "attention_norm.weight", "blk.{layer}.attn_norm.weight", "hidden"),
        Rule(
            source=_INTERNLM2_LAYER + "attention.wqkv.weight",
            shape=("qkv", "hidden"),
            parts=(
                Part(target="blk.{layer}.attn_q.weight", rows=_wqkv_q),
                Part(target="blk.{layer}.attn_k.weight", rows=_wqkv_k),
                Part(target="blk.{layer}.attn_v.weight", rows=_wqkv_v),
            ),
            linear=True,
        ),
        _same(_INTERNLM2_LAYER + "attention.wo.weight", "blk.{layer}.attn_output.weight", "hidden", "q", linear=True),
        _same(_INTERNLM2_LAYER + "ffn_norm.weight", "blk.{layer}.ffn_norm.weight", "hidden"),
        _same(_INTERNLM2_LAYER + "feed_forward.w1.weight", "blk.{layer}.ffn_gate.weight", "ffn", "hidden", linear=True),
        _same(_INTERNLM2_LAYER + "feed_forward.w3.weight", "blk.{layer}.ffn_up.weight", "ffn", "hidden", linear=True),
        _same(_INTERNLM2_LAYER + "feed_forward.w2.weight", "blk.{layer}.ffn_down.weight", "hidden", "ffn", linear=True),
    ),
    embedding="model.tok_embeddings.weight",
    output="output.weight",
    output_required=True,
    derived=(".rotary_emb.inv_freq",),
    vocabulary="sentencepiece",
    read_dimensions=_read_internlm2,
)

ARCHITECTURES = {architecture.name: architecture for architecture in (QWEN2, INTERNLM2)}


def architecture_of(config: Fields) -> Architecture:
    """Return the table for the model that config.json describes.

    Raises:
        ConvertError: There is none, or model_type and architectures contradict each other.
    """
    model_type = config.text("model_type")
    architecture = ARCHITECTURES.get(model_type or "")
    if architecture is None:
        known = ", ".join(ARCHITECTURES)
        raise ConvertError(f"{config.where}: model_type {model_type!r} is unknown", hint=f"known: {known}")
    classes = config.items("architectures")
    if classes != [architecture.hf_class]:
        raise ConvertError(f"{config.where}: architectures is {classes!r}, not [{architecture.hf_class!r}]")
    return architecture
