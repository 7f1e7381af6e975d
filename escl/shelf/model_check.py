"""Is a sound GGUF file a model that escl can load? What llama.cpp refuses without a reason, or dies of, gets one here.

Works on headers only and must not import llama_cpp.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from escl.errors import GGUFError
from escl.shelf.gguf_header import Array, GGUFHeader

_MAX_LAYERS: Final = 512
"""LLAMA_MAX_LAYERS of llama.cpp 0c1e57098."""

# llama.cpp reads these as arrays of just this type without looking.
_TOKENIZER_ARRAYS: Final = {
    "tokenizer.ggml.tokens": ("string",),
    "tokenizer.ggml.merges": ("string",),
    "tokenizer.ggml.scores": ("float32", "int32"),
    "tokenizer.ggml.token_type": ("int32", "uint32"),
}


def check_model(header: GGUFHeader, *, path: Path) -> None:
    """Refuse a GGUF file that is not a whole language model with a tokenizer.

    Raises:
        GGUFError: It is an adapter, a projector, one part of several, or lacks what every model has; the message says.
    """
    kind = header.metadata.get("general.type", "model")
    if kind != "model":
        raise GGUFError(f"{path} is not a model but a GGUF file of type {kind!r}")
    parts = header.metadata.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise GGUFError(f"{path} is one of {parts} parts", hint="merge them with llama-gguf-split --merge")
    architecture = _architecture(header, path)
    if architecture == "clip":
        raise GGUFError(f"{path} is an image projector (mmproj), not a language model")
    layers = header.metadata.get(f"{architecture}.block_count")
    if isinstance(layers, bool) or not isinstance(layers, int) or not 1 <= layers <= _MAX_LAYERS:
        raise GGUFError(f"{path}: {architecture}.block_count is {layers!r}, not 1 to {_MAX_LAYERS}")
    if not header.tensors:
        raise GGUFError(f"{path} holds no weights, only a header")
    _check_tokenizer(header, path)


def _architecture(header: GGUFHeader, path: Path) -> str:
    architecture = header.metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise GGUFError(f"{path} does not say its architecture (general.architecture)")
    return architecture


def _check_tokenizer(header: GGUFHeader, path: Path) -> None:
    lengths = {}
    for key, allowed in _TOKENIZER_ARRAYS.items():
        value = header.metadata.get(key)
        if value is None:
            continue
        if not isinstance(value, Array) or value.item_type not in allowed:
            raise GGUFError(f"{path}: {key} is {header.value_types[key]}, not an array of {allowed[0]}")
        lengths[key] = value.length
    n_tokens = lengths.pop("tokenizer.ggml.tokens", 0)
    lengths.pop("tokenizer.ggml.merges", None)
    if n_tokens == 0:
        raise GGUFError(f"{path} has no vocabulary (tokenizer.ggml.tokens)")
    for key, length in lengths.items():
        if length != n_tokens:
            raise GGUFError(f"{path}: {key} has {length:,} entries for {n_tokens:,} tokens")
