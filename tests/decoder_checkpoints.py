"""Small random checkpoints of the llama, mistral and qwen3 architectures, each with the tokenizer of its family.

Layouts: those of meta-llama/Llama-3.1-8B-Instruct, lmsys/vicuna-7b-v1.5, 01-ai/Yi-6B-Chat,
mistralai/Mistral-7B-Instruct-v0.3 and Qwen/Qwen3-8B. The chat templates are the tests' own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import sentencepiece

from tests.checkpoints import (
    CHATML,
    WRITERS,
    Checkpoint,
    DType,
    Shape,
    Writer,
    added_entry,
    random_tensor,
    write_json,
    write_weights,
)
from tests.toy_tokenizers import (
    LLAMA3_SPECIAL,
    MISTRAL_SPECIAL,
    QWEN2_SPECIAL,
    YI_SPECIAL,
    llama2_tokenizer_model,
    llama3_tokenizer_json,
    mistral_tokenizer_model,
    qwen3_tokenizer_json,
    yi_tokenizer_model,
)

LLAMA3: Final = (
    "{% for m in messages %}{{ (bos_token if loop.first else '') + '<|start_header_id|>' + m.role + '<|end_header_id|>"
    "\n\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL: Final = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}"
    "{% else %}{{ raise_exception('no system role') }}{% endif %}{% endfor %}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What distinguishes one family's checkpoints.

    Attributes:
        tokenizer: File name and content.
        special: Texts of the control tokens.
        settings: More of tokenizer_config.json.
        ends: Texts in generation_config.json's eos_token_id.
        qk_norm: Queries and keys are normalized per head.
    """

    model_type: str
    hf_class: str
    tokenizer: tuple[str, bytes]
    special: tuple[str, ...]
    config: dict[str, Any]
    settings: dict[str, Any]
    ends: tuple[str, ...]
    pads: int = 0
    qk_norm: bool = False
    head: int | None = None
    plain: tuple[str, ...] = field(default=())


def llama3() -> Family:
    return Family(
        model_type="llama",
        hf_class="LlamaForCausalLM",
        tokenizer=("tokenizer.json", llama3_tokenizer_json().encode()),
        special=LLAMA3_SPECIAL,
        config={
            "rope_theta": 500000.0,
            "rope_scaling": {
                "factor": 8.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 64,
                "rope_type": "llama3",
            },
            "pretraining_tp": 1,
        },
        settings={"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "chat_template": LLAMA3},
        ends=("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
    )


def vicuna() -> Family:
    """Llama 2's architecture and tokenizer, and no chat template."""
    return Family(
        model_type="llama",
        hf_class="LlamaForCausalLM",
        tokenizer=("tokenizer.model", llama2_tokenizer_model()),
        special=("<unk>", "<s>", "</s>"),
        config={"rope_theta": 10000.0, "rope_scaling": None, "pretraining_tp": 1},
        settings={"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        ends=("</s>",),
    )


def yi() -> Family:
    return Family(
        model_type="llama",
        hf_class="LlamaForCausalLM",
        tokenizer=("tokenizer.model", yi_tokenizer_model()),
        special=("<unk>", *YI_SPECIAL),
        config={"rope_theta": 5000000.0},
        settings={
            "add_bos_token": False,
            "bos_token": "<|startoftext|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<unk>",
            "unk_token": "<unk>",
            "chat_template": CHATML,
        },
        ends=("<|im_end|>",),
        pads=5,
    )


def mistral() -> Family:
    return Family(
        model_type="mistral",
        hf_class="MistralForCausalLM",
        tokenizer=("tokenizer.model", mistral_tokenizer_model()),
        special=("<unk>", "<s>", "</s>", *MISTRAL_SPECIAL),
        config={"rope_theta": 1000000.0, "sliding_window": None},
        settings={"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "chat_template": MISTRAL},
        ends=("</s>",),
        head=24,
    )


def qwen3() -> Family:
    return Family(
        model_type="qwen3",
        hf_class="Qwen3ForCausalLM",
        tokenizer=("tokenizer.json", qwen3_tokenizer_json().encode()),
        special=QWEN2_SPECIAL,
        plain=("<think>", "</think>"),
        config={"rope_theta": 1000000, "attention_bias": False, "use_sliding_window": False, "sliding_window": None},
        settings={
            "add_bos_token": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "chat_template": CHATML,
        },
        ends=("<|im_end|>", "<|endoftext|>"),
        pads=11,
        qk_norm=True,
        head=32,
    )


FAMILIES: Final = {"llama3": llama3, "vicuna": vicuna, "yi": yi, "mistral": mistral, "qwen3": qwen3}


def write_family(
    folder: Path,
    family: Family,
    *,
    shape: Shape | None = None,
    seed: int = 0,
    dtype: DType = "BF16",
    tied: bool = False,
    shards: int = 1,
) -> Checkpoint:
    """Write a random checkpoint of `family`."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = shape or Shape()
    shape = replace(shape, head=shape.head or family.head)
    n_vocab = _write_tokenizer(folder, family)
    config = {
        "architectures": [family.hf_class],
        "attention_bias": False,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "max_position_embeddings": shape.context,
        "mlp_bias": False,
        "model_type": family.model_type,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": 1e-05,
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "vocab_size": n_vocab,
        **family.config,
    }
    if shape.head is not None:
        config["head_dim"] = shape.head
    write_json(folder / "config.json", config)
    rng = np.random.default_rng(seed)
    names = _tensor_shapes(shape, n_vocab=n_vocab, tied=tied, qk_norm=family.qk_norm)
    tensors = {name: random_tensor(rng, name, size) for name, size in names.items()}
    return Checkpoint(folder=folder, config=config, tensors=write_weights(folder, tensors, dtype=dtype, shards=shards))


def _write_tokenizer(folder: Path, family: Family) -> int:
    """Write the tokenizer's files and return the rows that the embedding needs."""
    name, content = family.tokenizer
    (folder / name).write_bytes(content)
    if name == "tokenizer.model":
        processor = sentencepiece.SentencePieceProcessor(model_proto=content)
        ids = {processor.id_to_piece(token): token for token in range(processor.vocab_size())}
    else:
        tokenizer = json.loads(content)
        ids = tokenizer["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    decoder = {str(ids[text]): added_entry(text) for text in family.special}
    decoder |= {str(ids[text]): added_entry(text) | {"special": False} for text in family.plain}
    write_json(folder / "tokenizer_config.json", {"added_tokens_decoder": decoder, **family.settings})
    write_json(folder / "generation_config.json", {"eos_token_id": [ids[text] for text in family.ends]})
    return len(ids) + family.pads


def _tensor_shapes(shape: Shape, *, n_vocab: int, tied: bool, qk_norm: bool) -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (n_vocab, shape.hidden)}
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        names |= {
            prefix + "input_layernorm.weight": (shape.hidden,),
            prefix + "self_attn.q_proj.weight": (shape.q, shape.hidden),
            prefix + "self_attn.k_proj.weight": (shape.kv, shape.hidden),
            prefix + "self_attn.v_proj.weight": (shape.kv, shape.hidden),
            prefix + "self_attn.o_proj.weight": (shape.hidden, shape.q),
            prefix + "post_attention_layernorm.weight": (shape.hidden,),
            prefix + "mlp.gate_proj.weight": (shape.ffn, shape.hidden),
            prefix + "mlp.up_proj.weight": (shape.ffn, shape.hidden),
            prefix + "mlp.down_proj.weight": (shape.hidden, shape.ffn),
        }
        if qk_norm:
            names |= {prefix + f"self_attn.{each}_norm.weight": (shape.head_dim,) for each in "qk"}
    names["model.norm.weight"] = (shape.hidden,)
    return names if tied else names | {"lm_head.weight": (n_vocab, shape.hidden)}


class FamilyWriter:
    """`write_family` for one family, as a writer like the others."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self,
        folder: Path,
        *,
        shape: Shape | None = None,
        seed: int = 0,
        dtype: DType = "BF16",
        tied: bool = False,
        shards: int = 1,
    ) -> Checkpoint:
        return write_family(
            folder, FAMILIES[self.name](), shape=shape, seed=seed, dtype=dtype, tied=tied, shards=shards
        )


ALL_WRITERS: Final[dict[str, Writer]] = WRITERS | {name: FamilyWriter(name) for name in FAMILIES}
