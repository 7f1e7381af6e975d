"""The architectures that can be converted: for each a table of names, shapes and row orders.

A rule says where the rows of one checkpoint tensor go. A new architecture is a new table. It knows neither
config.json's fields nor tokenizers.

Sources: the classes LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM (transformers) and
InternLM2ForCausalLM (modeling_internlm2.py of internlm/internlm2-chat-7b); the tensor names of llama.cpp 0c1e57098,
src/llama-arch.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from escl.convert.dimensions import (
    Dimensions,
    ReadDimensions,
    Size,
    read_internlm2,
    read_llama,
    read_mistral,
    read_qwen2,
    read_qwen3,
)
from escl.convert.folder import Fields
from escl.errors import ConvertError

RowOrder = Callable[[Dimensions], NDArray[np.int64]]


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
        name: What config.json calls model_type.
        gguf_name: What GGUF calls general.architecture.
        hf_class: The only accepted entry of config.json's `architectures`.
        embedding, output: Checkpoint names of the two vocabulary matrices.
        output_required: llama.cpp needs output.weight even when it is the embedding.
        derived: Ends of names of tensors that hold nothing but values computed from config.json.
        vocabulary: Kind of tokenizer it is published with; "either" leaves it to the checkpoint's files.
        chat_template: Name of the chat format that the model's own code writes, for checkpoints without a template.
    """

    name: str
    gguf_name: str
    hf_class: str
    rules: tuple[Rule, ...]
    embedding: str
    output: str
    output_required: bool
    derived: tuple[str, ...]
    vocabulary: Literal["bpe", "sentencepiece", "either"]
    read_dimensions: ReadDimensions
    chat_template: str | None = None


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


def _q_pairs(dimensions: Dimensions) -> NDArray[np.int64]:
    return _rope_pairs(dimensions.heads, dimensions.head)


def _k_pairs(dimensions: Dimensions) -> NDArray[np.int64]:
    return _rope_pairs(dimensions.kv_heads, dimensions.head)


_LAYER = "model.layers.{layer}."


def _decoder(*more: Rule, q_rows: RowOrder | None = None, k_rows: RowOrder | None = None) -> tuple[Rule, ...]:
    """Return the tensors that all of transformers' decoders here have, and `more`."""
    attention: dict[str, tuple[Size, RowOrder | None]] = {"q": ("q", q_rows), "k": ("kv", k_rows), "v": ("kv", None)}
    projections = [
        Rule(
            source=f"{_LAYER}self_attn.{name}_proj.weight",
            shape=(size, "hidden"),
            parts=(Part(target=f"blk.{{layer}}.attn_{name}.weight", rows=rows),),
            linear=True,
        )
        for name, (size, rows) in attention.items()
    ]
    return (
        _same("model.embed_tokens.weight", "token_embd.weight", "vocab", "hidden"),
        _same("lm_head.weight", "output.weight", "vocab", "hidden"),
        _same("model.norm.weight", "output_norm.weight", "hidden"),
        _same(_LAYER + "input_layernorm.weight", "blk.{layer}.attn_norm.weight", "hidden"),
        *projections,
        _same(_LAYER + "self_attn.o_proj.weight", "blk.{layer}.attn_output.weight", "hidden", "q", linear=True),
        _same(_LAYER + "post_attention_layernorm.weight", "blk.{layer}.ffn_norm.weight", "hidden"),
        _same(_LAYER + "mlp.gate_proj.weight", "blk.{layer}.ffn_gate.weight", "ffn", "hidden", linear=True),
        _same(_LAYER + "mlp.up_proj.weight", "blk.{layer}.ffn_up.weight", "ffn", "hidden", linear=True),
        _same(_LAYER + "mlp.down_proj.weight", "blk.{layer}.ffn_down.weight", "hidden", "ffn", linear=True),
        *more,
    )


LLAMA = Architecture(
    name="llama",
    gguf_name="llama",
    hf_class="LlamaForCausalLM",
    rules=_decoder(q_rows=_q_pairs, k_rows=_k_pairs),
    embedding="model.embed_tokens.weight",
    output="lm_head.weight",
    output_required=False,
    derived=(".rotary_emb.inv_freq",),
    vocabulary="either",
    read_dimensions=read_llama,
)

MISTRAL = replace(LLAMA, name="mistral", hf_class="MistralForCausalLM", read_dimensions=read_mistral)

QWEN2 = replace(
    LLAMA,
    name="qwen2",
    gguf_name="qwen2",
    hf_class="Qwen2ForCausalLM",
    rules=_decoder(
        _same(_LAYER + "self_attn.q_proj.bias", "blk.{layer}.attn_q.bias", "q"),
        _same(_LAYER + "self_attn.k_proj.bias", "blk.{layer}.attn_k.bias", "kv"),
        _same(_LAYER + "self_attn.v_proj.bias", "blk.{layer}.attn_v.bias", "kv"),
    ),
    vocabulary="bpe",
    read_dimensions=read_qwen2,
)

QWEN3 = replace(
    LLAMA,
    name="qwen3",
    gguf_name="qwen3",
    hf_class="Qwen3ForCausalLM",
    rules=_decoder(
        _same(_LAYER + "self_attn.q_norm.weight", "blk.{layer}.attn_q_norm.weight", "head"),
        _same(_LAYER + "self_attn.k_norm.weight", "blk.{layer}.attn_k_norm.weight", "head"),
    ),
    vocabulary="bpe",
    read_dimensions=read_qwen3,
)

INTERNLM2 = Architecture(
    name="internlm2",
    gguf_name="internlm2",
    hf_class="InternLM2ForCausalLM",
    rules=(
        _same("model.tok_embeddings.weight", "token_embd.weight", "vocab", "hidden"),
        _same("output.weight", "output.weight", "vocab", "hidden"),
        _same("model.norm.weight", "output_norm.weight", "hidden"),
        _same(_LAYER + "attention_norm.weight", "blk.{layer}.attn_norm.weight", "hidden"),
        Rule(
            source=_LAYER + "attention.wqkv.weight",
            shape=("qkv", "hidden"),
            parts=(
                Part(target="blk.{layer}.attn_q.weight", rows=_wqkv_q),
                Part(target="blk.{layer}.attn_k.weight", rows=_wqkv_k),
                Part(target="blk.{layer}.attn_v.weight", rows=_wqkv_v),
            ),
            linear=True,
        ),
        _same(_LAYER + "attention.wo.weight", "blk.{layer}.attn_output.weight", "hidden", "q", linear=True),
        _same(_LAYER + "ffn_norm.weight", "blk.{layer}.ffn_norm.weight", "hidden"),
        _same(_LAYER + "feed_forward.w1.weight", "blk.{layer}.ffn_gate.weight", "ffn", "hidden", linear=True),
        _same(_LAYER + "feed_forward.w3.weight", "blk.{layer}.ffn_up.weight", "ffn", "hidden", linear=True),
        _same(_LAYER + "feed_forward.w2.weight", "blk.{layer}.ffn_down.weight", "hidden", "ffn", linear=True),
    ),
    embedding="model.tok_embeddings.weight",
    output="output.weight",
    output_required=True,
    derived=(".rotary_emb.inv_freq",),
    vocabulary="sentencepiece",
    read_dimensions=read_internlm2,
    chat_template="internlm2",
)

ARCHITECTURES = {architecture.name: architecture for architecture in (LLAMA, MISTRAL, QWEN2, QWEN3, INTERNLM2)}


def architecture_of(config: Fields) -> Architecture:
    """Return the table for the model that config.json describes.

    Raises:
        ConvertError: There is none, or model_type and architectures contradict each other.
    """
    model_type = config.text("model_type")
    architecture = ARCHITECTURES.get(model_type or "")
    if architecture is None:
        known = ", ".join(ARCHITECTURES)
        raise ConvertError(
            f"{config.where}: model_type {model_type!r} is unknown",
            hint=f"known: {known}; of any other model a GGUF file made elsewhere will do",
        )
    classes = config.items("architectures")
    if classes != [architecture.hf_class]:
        raise ConvertError(f"{config.where}: architectures is {classes!r}, not [{architecture.hf_class!r}]")
    return architecture
