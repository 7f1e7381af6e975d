"""Small random checkpoints in the real layouts of Qwen2 and InternLM2, and PEFT adapters for them.

A writer returns the float32 tensors that the files hold after rounding, so that an oracle computes with the same
numbers. Layouts: those of Qwen/Qwen1.5-14B-Chat, internlm/internlm2-chat-7b and the adapters of haidequanbu/ESC-RANK.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from tests.toy_tokenizers import INTERNLM2_SPECIAL, QWEN2_SPECIAL, internlm2_tokenizer_model, qwen2_tokenizer_json

DType = Literal["F32", "F16", "BF16"]
Tensors = dict[str, NDArray[np.float32]]

CHATML: Final = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SYSTEM_PROMPT: Final = "You are a toy assistant.\n- You answer briefly.\n- 你也说中文。"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A written checkpoint.

    Attributes:
        tensors: By the names in the files.
    """

    folder: Path
    config: dict[str, Any]
    tensors: Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A written PEFT adapter; `tensors` by the names in the file."""

    folder: Path
    config: dict[str, Any]
    tensors: Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a small model."""

    hidden: int = 64
    ffn: int = 96
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    context: int = 512
    head: int | None = None

    @property
    def head_dim(self) -> int:
        return self.head or self.hidden // self.heads

    @property
    def q(self) -> int:
        return self.head_dim * self.heads

    @property
    def kv(self) -> int:
        return self.head_dim * self.kv_heads


def write_qwen2(
    folder: Path,
    *,
    shape: Shape | None = None,
    seed: int = 0,
    dtype: DType = "BF16",
    tied: bool = False,
    shards: int = 1,
    pads: int = 13,
) -> Checkpoint:
    """Write a random Qwen2 chat checkpoint: QKV bias, byte-level BPE, `pads` rows that no token has."""
    shape = shape or Shape()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = json.loads(qwen2_tokenizer_json())
    n_vocab = max(token["id"] for token in tokenizer["added_tokens"]) + 1 + pads
    rng = np.random.default_rng(seed)
    names: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (n_vocab, shape.hidden)}
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        names |= {
            prefix + "input_layernorm.weight": (shape.hidden,),
            prefix + "self_attn.q_proj.weight": (shape.hidden, shape.hidden),
            prefix + "self_attn.q_proj.bias": (shape.hidden,),
            prefix + "self_attn.k_proj.weight": (shape.kv, shape.hidden),
            prefix + "self_attn.k_proj.bias": (shape.kv,),
            prefix + "self_attn.v_proj.weight": (shape.kv, shape.hidden),
            prefix + "self_attn.v_proj.bias": (shape.kv,),
            prefix + "self_attn.o_proj.weight": (shape.hidden, shape.hidden),
            prefix + "post_attention_layernorm.weight": (shape.hidden,),
            prefix + "mlp.gate_proj.weight": (shape.ffn, shape.hidden),
            prefix + "mlp.up_proj.weight": (shape.ffn, shape.hidden),
            prefix + "mlp.down_proj.weight": (shape.hidden, shape.ffn),
        }
    names["model.norm.weight"] = (shape.hidden,)
    if not tied:
        names["lm_head.weight"] = (n_vocab, shape.hidden)
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": _id_of(tokenizer, "<|endoftext|>"),
        "eos_token_id": _id_of(tokenizer, "<|im_end|>"),
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.ffn,
        "max_position_embeddings": shape.context,
        "max_window_layers": shape.layers,
        "model_type": "qwen2",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": n_vocab,
    }
    write_json(folder / "config.json", config)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    special = {str(_id_of(tokenizer, text)): added_entry(text) for text in QWEN2_SPECIAL}
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "added_tokens_decoder": special,
            "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
            "bos_token": None,
            "chat_template": CHATML,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )
    write_json(
        folder / "generation_config.json",
        {"eos_token_id": [_id_of(tokenizer, "<|im_end|>"), _id_of(tokenizer, "<|endoftext|>")], "do_sample": True},
    )
    tensors = {name: random_tensor(rng, name, size) for name, size in names.items()}
    return Checkpoint(folder=folder, config=config, tensors=write_weights(folder, tensors, dtype=dtype, shards=shards))


def write_internlm2(
    folder: Path,
    *,
    shape: Shape | None = None,
    seed: int = 0,
    dtype: DType = "BF16",
    tied: bool = False,
    shards: int = 1,
    with_code: bool = True,
    tokenizer_model: bytes | None = None,
) -> Checkpoint:
    """Write a random InternLM2 chat checkpoint: fused wqkv, SentencePiece, chat tokens in tokenizer_config.json."""
    shape = shape or Shape()
    folder.mkdir(parents=True, exist_ok=True)
    pieces = tokenizer_model or internlm2_tokenizer_model()
    n_vocab = sentencepiece.SentencePieceProcessor(model_proto=pieces).vocab_size()
    rng = np.random.default_rng(seed)
    names: dict[str, tuple[int, ...]] = {"model.tok_embeddings.weight": (n_vocab, shape.hidden)}
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        names |= {
            prefix + "attention.wqkv.weight": (shape.hidden + 2 * shape.kv, shape.hidden),
            prefix + "attention.wo.weight": (shape.hidden, shape.hidden),
            prefix + "feed_forward.w1.weight": (shape.ffn, shape.hidden),
            prefix + "feed_forward.w3.weight": (shape.ffn, shape.hidden),
            prefix + "feed_forward.w2.weight": (shape.hidden, shape.ffn),
            prefix + "attention_norm.weight": (shape.hidden,),
            prefix + "ffn_norm.weight": (shape.hidden,),
        }
    names["model.norm.weight"] = (shape.hidden,)
    if not tied:
        names["output.weight"] = (n_vocab, shape.hidden)
    config = {
        "architectures": ["InternLM2ForCausalLM"],
        "attn_implementation": "eager",
        "auto_map": {
            "AutoConfig": "configuration_internlm2.InternLM2Config",
            "AutoModelForCausalLM": "modeling_internlm2.InternLM2ForCausalLM",
        },
        "bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.ffn,
        "max_position_embeddings": shape.context,
        "model_type": "internlm2",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "pad_token_id": 2,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {"factor": 2.0, "type": "dynamic"},
        "rope_theta": 1000000,
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": n_vocab,
    }
    write_json(folder / "config.json", config)
    (folder / "tokenizer.model").write_bytes(pieces)
    special = {str(number): added_entry(text) for number, text in enumerate(("<unk>", "<s>", "</s>"))}
    first = n_vocab - len(INTERNLM2_SPECIAL)
    special |= {str(first + number): added_entry(text) for number, text in enumerate(INTERNLM2_SPECIAL)}
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "added_tokens_decoder": special,
            "additional_special_tokens": list(reversed(INTERNLM2_SPECIAL)),
            "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]},
            "bos_token": "<s>",
            "chat_template": "{{ bos_token }}" + CHATML,
            "clean_up_tokenization_spaces": False,
            "eos_token": "</s>",
            "pad_token": "</s>",
            "tokenizer_class": "InternLM2Tokenizer",
            "unk_token": "<unk>",
        },
    )
    if with_code:
        (folder / "modeling_internlm2.py").write_text(internlm2_code(), encoding="utf-8")
    tensors = {name: random_tensor(rng, name, size) for name, size in names.items()}
    return Checkpoint(folder=folder, config=config, tensors=write_weights(folder, tensors, dtype=dtype, shards=shards))


def write_adapter(
    folder: Path,
    checkpoint: Checkpoint,
    *,
    targets: Sequence[str] = ("wqkv",),
    rank: int = 8,
    alpha: int = 16,
    seed: int = 1,
    dtype: DType = "F32",
) -> Adapter:
    """Write a random PEFT LoRA adapter on every layer's `targets`, with the keys that ESC-RANK's adapters have."""
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "alpha_pattern": {},
        "auto_mapping": None,
        "base_model_name_or_path": "internlm/internlm2-chat-7b",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layer_replication": None,
        "layers_pattern": None,
        "layers_to_transform": None,
        "loftq_config": {},
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "megatron_config": None,
        "megatron_core": "megatron.core",
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": {},
        "revision": None,
        "target_modules": list(targets),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    write_json(folder / "adapter_config.json", config)
    rng = np.random.default_rng(seed)
    tensors: Tensors = {}
    for name, weight in checkpoint.tensors.items():
        module = name.removesuffix(".weight")
        if weight.ndim == 2 and any(module.endswith("." + target) for target in targets):
            # PEFT starts with B = 0, which would hide every mistake.
            a = rng.normal(0, 0.2, (rank, weight.shape[1])).astype(np.float32)
            b = rng.normal(0, 0.2, (weight.shape[0], rank)).astype(np.float32)
            tensors |= {f"base_model.model.{module}.lora_A.weight": a, f"base_model.model.{module}.lora_B.weight": b}
    rounded = {name: rounded_to(tensor, dtype) for name, tensor in tensors.items()}
    write_safetensors(folder / "adapter_model.safetensors", {name: (dtype, array) for name, array in rounded.items()})
    return Adapter(folder=folder, config=config, tensors=rounded)


def write_weights(folder: Path, tensors: Tensors, *, dtype: DType, shards: int) -> Tensors:
    """Write `tensors` as model.safetensors, or as `shards` files with an index; return them as the files hold them."""
    rounded = {name: rounded_to(tensor, dtype) for name, tensor in tensors.items()}
    if shards == 1:
        write_safetensors(folder / "model.safetensors", {name: (dtype, array) for name, array in rounded.items()})
        return rounded
    names = list(rounded)
    weight_map: dict[str, str] = {}
    for number in range(shards):
        file_name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = names[number::shards]
        weight_map |= dict.fromkeys(part, file_name)
        write_safetensors(folder / file_name, {name: (dtype, rounded[name]) for name in part})
    total = sum(tensor.size for tensor in rounded.values()) * (4 if dtype == "F32" else 2)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(folder / "model.safetensors.index.json", index)
    return rounded


def write_safetensors(path: Path, tensors: Mapping[str, tuple[DType, NDArray[np.float32]]]) -> None:
    """Write float32 arrays under the given types, in the given order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    chunks, at = [], 0
    for name, (dtype, array) in tensors.items():
        raw = encoded(array, dtype)
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + len(raw)]}
        chunks.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def encoded(array: NDArray[np.float32], dtype: DType) -> bytes:
    """Return the little-endian bytes of `array` as `dtype`; bfloat16 by cutting the lower half off."""
    if dtype == "BF16":
        return (np.ascontiguousarray(array).view(np.uint32) >> 16).astype("<u2").tobytes()
    return array.astype("<f4" if dtype == "F32" else "<f2").tobytes()


def rounded_to(array: NDArray[np.float32], dtype: DType) -> NDArray[np.float32]:
    """Return `array` as it is after having been stored as `dtype`."""
    if dtype == "BF16":
        return (np.ascontiguousarray(array).view(np.uint32) & 0xFFFF0000).view(np.float32)
    return array.astype(np.float16).astype(np.float32) if dtype == "F16" else array


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2), encoding="utf-8")


def random_tensor(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name.endswith("norm.weight"):
        return rng.normal(1.0, 0.2, shape).astype(np.float32)
    # Large enough that attention, biases and activations are far from their linear beginnings.
    spread = 0.3 if len(shape) == 1 or "embed" in name else 1.5 / np.sqrt(shape[-1])
    return rng.normal(0.0, spread, shape).astype(np.float32)


def added_entry(text: str) -> dict[str, object]:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {"content": text, **flags}


def _id_of(tokenizer: dict[str, Any], text: str) -> int:
    return next(int(token["id"]) for token in tokenizer["added_tokens"] if token["content"] == text)


class Writer(Protocol):
    """What both writers take."""

    def __call__(
        self,
        folder: Path,
        *,
        shape: Shape | None = ...,
        seed: int = ...,
        dtype: DType = ...,
        tied: bool = ...,
        shards: int = ...,
    ) -> Checkpoint: ...


WRITERS: Final[dict[str, Writer]] = {"qwen2": write_qwen2, "internlm2": write_internlm2}


def internlm2_code(prompt: str = SYSTEM_PROMPT) -> str:
    """Return a modeling_internlm2.py in the shape of the real one; running it raises."""
    lines = "\n".join(f"        {line!r}" for line in prompt.splitlines(keepends=True))
    return f"""raise RuntimeError("a checkpoint's code was run")


class InternLM2ForCausalLM:
    def build_inputs(self, tokenizer, query, history=[], meta_instruction=""):
        pass

    def chat(
        self,
        tokenizer,
        query,
        history=None,
        max_new_tokens: int = 1024,
        meta_instruction: str =
{lines},
        **kwargs,
    ):
        pass
"""
