"""Writes trained models as Hugging Face checkpoints: Qwen2's and InternLM2's layouts, PEFT adapters on the latter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from tools.demo.models import Decoder, Shape

_QWEN2 = {
    "attention.q_proj": "self_attn.q_proj",
    "attention.k_proj": "self_attn.k_proj",
    "attention.v_proj": "self_attn.v_proj",
    "attention.o_proj": "self_attn.o_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}
_INTERNLM2 = {
    "attention.wqkv": "attention.wqkv",
    "attention.wo": "attention.wo",
    "attention_norm": "attention_norm",
    "ffn_norm": "ffn_norm",
    "mlp.gate": "feed_forward.w1",
    "mlp.up": "feed_forward.w3",
    "mlp.down": "feed_forward.w2",
}


def save_model(model: Decoder, folder: Path, *, eos: int, pad: int, bos: int | None) -> None:
    """Write config.json, generation_config.json and model.safetensors into `folder`."""
    shape = model.shape
    config = {
        "architectures": ["InternLM2ForCausalLM" if model.fused else "Qwen2ForCausalLM"],
        "model_type": "internlm2" if model.fused else "qwen2",
        "bos_token_id": bos,
        "eos_token_id": eos,
        "pad_token_id": pad,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "initializer_range": 0.02,
        "intermediate_size": shape.ff,
        "max_position_embeddings": shape.context,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.rope_base,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": shape.vocab,
    }
    config |= {"bias": False, "rope_scaling": None} if model.fused else {"use_sliding_window": False}
    _write_json(folder / "config.json", {key: value for key, value in config.items() if value is not None})
    _write_json(folder / "generation_config.json", {"eos_token_id": eos, "pad_token_id": pad})
    names = _stored_names(model)
    state = model.state_dict()
    tensors = {stored: _plain(state[name]) for name, stored in names.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def load_model(model: Decoder, folder: Path) -> None:
    """Give the model the weights that `save_model` wrote into `folder`, of a model of the same shape; no adapters."""
    tensors = load_file(folder / "model.safetensors")
    weights = {name: tensors[stored] for name, stored in _stored_names(model).items()}
    model.load_state_dict(weights, strict=False)


def _stored_names(model: Decoder) -> dict[str, str]:
    """Return how the checkpoint calls each tensor of the model, adapters left out."""
    names = {
        "embeddings.weight": "model.tok_embeddings.weight" if model.fused else "model.embed_tokens.weight",
        "norm.weight": "model.norm.weight",
        "output.weight": "output.weight" if model.fused else "lm_head.weight",
    }
    table = _INTERNLM2 if model.fused else _QWEN2
    return {name: names.get(name) or _in_layer(name, table) for name in model.state_dict() if ".lora_" not in name}


def save_adapter(model: Decoder, number: int, folder: Path, *, base: str) -> None:
    """Write adapter `number` as PEFT saves a LoRA on `wqkv`."""
    shape: Shape = model.shape
    _write_json(
        folder / "adapter_config.json",
        {
            "base_model_name_or_path": base,
            "bias": "none",
            "fan_in_fan_out": False,
            "inference_mode": True,
            "init_lora_weights": True,
            "lora_alpha": shape.alpha,
            "lora_dropout": 0.0,
            "modules_to_save": None,
            "peft_type": "LORA",
            "r": shape.rank,
            "rank_pattern": {},
            "alpha_pattern": {},
            "target_modules": ["wqkv"],
            "task_type": "CAUSAL_LM",
            "use_dora": False,
            "use_rslora": False,
        },
    )
    state = model.state_dict()
    tensors = {}
    for layer in range(shape.layers):
        for factor in "AB":
            source = state[f"blocks.{layer}.attention.lora_{factor.lower()}"][number]
            name = f"base_model.model.model.layers.{layer}.attention.wqkv.lora_{factor}.weight"
            tensors[name] = _plain(source)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _in_layer(name: str, table: Mapping[str, str]) -> str:
    _, layer, rest = name.split(".", 2)
    module, leaf = rest.rsplit(".", 1)
    return f"model.layers.{layer}.{table[module]}.{leaf}"


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().float().contiguous().clone()


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
