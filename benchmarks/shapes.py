"""Models of stated shapes as GGUF files without weights: a real header, a real tensor table, and a hole for the data.

llama.cpp's dry load (no_alloc) and escl's header reader take them for the real thing. Knows how llama.cpp chooses a
type for each tensor; random weights are `benchmarks.random_weights`' business.

Source of the choice of types: `llama_tensor_get_type` in llama-quant.cpp of llama.cpp 0c1e57098; a test compares it
with the quantizer's own dry run.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import gguf
import numpy as np

from benchmarks.vocabulary import CHATML, Vocabulary, byte_level, sentence_pieces

Type = gguf.GGMLQuantizationType


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What decides a model's size and speed.

    Attributes:
        n_ctx_train: Context that the file declares.
        attention_bias: Whether q, k and v have biases, as qwen2's do.
        tokenizer: "gpt2" has bytes and merges, "llama" is SentencePiece.
    """

    name: str
    architecture: Literal["qwen2", "internlm2", "llama"]
    layers: int
    n_embd: int
    n_ff: int
    n_head: int
    n_head_kv: int
    n_vocab: int
    n_ctx_train: int = 32_768
    attention_bias: bool = False
    tokenizer: Literal["gpt2", "llama"] = "gpt2"

    @property
    def n_kv(self) -> int:
        """Width of keys, and of values."""
        return self.n_embd // self.n_head * self.n_head_kv


def _qwen2(name: str, *, layers: int, width: tuple[int, int], heads: tuple[int, int], n_vocab: int = 151_936) -> Shape:
    return Shape(
        name=name,
        architecture="qwen2",
        layers=layers,
        n_embd=width[0],
        n_ff=width[1],
        n_head=heads[0],
        n_head_kv=heads[1],
        n_vocab=n_vocab,
        attention_bias=True,
    )


def _internlm2(name: str, *, layers: int, width: tuple[int, int], heads: tuple[int, int], tokenizer: str) -> Shape:
    return Shape(
        name=name,
        architecture="internlm2",
        layers=layers,
        n_embd=width[0],
        n_ff=width[1],
        n_head=heads[0],
        n_head_kv=heads[1],
        n_vocab=92_544,
        tokenizer="llama" if tokenizer == "llama" else "gpt2",
    )


# From each model's config.json. The small ones have an output matrix of their own where the real one shares it with
# the embedding: their output is what makes them say something harmless.
QWEN1_5_14B: Final = _qwen2("Qwen1.5-14B", layers=40, width=(5120, 13_696), heads=(40, 40), n_vocab=152_064)
QWEN1_5_7B: Final = _qwen2("Qwen1.5-7B", layers=32, width=(4096, 11_008), heads=(32, 32))
INTERNLM2_7B: Final = _internlm2("InternLM2-7B", layers=32, width=(4096, 14_336), heads=(32, 8), tokenizer="llama")
RUNNABLE_INTERNLM2_7B: Final = _internlm2("scorer-7B", layers=32, width=(4096, 14_336), heads=(32, 8), tokenizer="gpt2")
LLAMA_3_8B: Final = Shape(
    name="Llama-3-8B",
    architecture="llama",
    layers=32,
    n_embd=4096,
    n_ff=14_336,
    n_head=32,
    n_head_kv=8,
    n_vocab=128_256,
    n_ctx_train=8192,
)
QWEN2_1_5B: Final = _qwen2("1.5B", layers=28, width=(1536, 8960), heads=(12, 2))
QWEN2_0_5B: Final = _qwen2("0.5B", layers=24, width=(896, 4864), heads=(14, 2))
# Widths that are multiples of 256, as those of large models are: every matrix then has the type its name says.
QWEN2_0_6B: Final = _qwen2("0.6B", layers=24, width=(1024, 3072), heads=(16, 4))
INTERNLM2_0_2B: Final = _internlm2("scorer-0.2B", layers=16, width=(768, 2048), heads=(12, 4), tokenizer="gpt2")
INTERNLM2_1_8B: Final = _internlm2("scorer-1.8B", layers=24, width=(2048, 8192), heads=(16, 8), tokenizer="gpt2")
INTERNLM2_0_3B: Final = _internlm2("scorer-0.3B", layers=16, width=(1024, 3584), heads=(16, 4), tokenizer="gpt2")
TINY: Final = _qwen2("tiny", layers=2, width=(256, 512), heads=(4, 2), n_vocab=4096)
TINY_SCORER: Final = Shape(
    name="scorer-tiny",
    architecture="internlm2",
    layers=2,
    n_embd=256,
    n_ff=512,
    n_head=4,
    n_head_kv=2,
    n_vocab=4096,
)

REAL_SHAPES: Final = (QWEN1_5_14B, QWEN1_5_7B, INTERNLM2_7B, LLAMA_3_8B)
SMALL_SHAPES: Final = (
    QWEN2_1_5B,
    QWEN2_0_6B,
    QWEN2_0_5B,
    INTERNLM2_1_8B,
    INTERNLM2_0_3B,
    INTERNLM2_0_2B,
    TINY,
    TINY_SCORER,
)
SHAPES: Final = {shape.name: shape for shape in (*REAL_SHAPES, RUNNABLE_INTERNLM2_7B, *SMALL_SHAPES)}


class TensorRow(NamedTuple):
    """A tensor to be: `shape` in numpy's order, rows first."""

    name: str
    shape: tuple[int, ...]

    @property
    def is_matrix(self) -> bool:
        """Whether it is quantized; vectors stay f32."""
        return len(self.shape) > 1


def tensors_of(shape: Shape) -> Iterator[TensorRow]:
    """Yield the tensors of a model of this shape, in the order of the file."""
    yield TensorRow("token_embd.weight", (shape.n_vocab, shape.n_embd))
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield TensorRow(block + "attn_norm.weight", (shape.n_embd,))
        for part, rows in (("attn_q", shape.n_embd), ("attn_k", shape.n_kv), ("attn_v", shape.n_kv)):
            yield TensorRow(f"{block}{part}.weight", (rows, shape.n_embd))
            if shape.attention_bias:
                yield TensorRow(f"{block}{part}.bias", (rows,))
        yield TensorRow(block + "attn_output.weight", (shape.n_embd, shape.n_embd))
        yield TensorRow(block + "ffn_norm.weight", (shape.n_embd,))
        yield TensorRow(block + "ffn_gate.weight", (shape.n_ff, shape.n_embd))
        yield TensorRow(block + "ffn_up.weight", (shape.n_ff, shape.n_embd))
        yield TensorRow(block + "ffn_down.weight", (shape.n_embd, shape.n_ff))
    yield TensorRow("output_norm.weight", (shape.n_embd,))
    yield TensorRow("output.weight", (shape.n_vocab, shape.n_embd))


QUANTS: Final = {
    "F16": (gguf.LlamaFileType.MOSTLY_F16, Type.F16),
    "Q8_0": (gguf.LlamaFileType.MOSTLY_Q8_0, Type.Q8_0),
    "Q6_K": (gguf.LlamaFileType.MOSTLY_Q6_K, Type.Q6_K),
    "Q5_K_M": (gguf.LlamaFileType.MOSTLY_Q5_K_M, Type.Q5_K),
    "Q4_K_M": (gguf.LlamaFileType.MOSTLY_Q4_K_M, Type.Q4_K),
    "IQ4_XS": (gguf.LlamaFileType.MOSTLY_IQ4_XS, Type.IQ4_XS),
    "Q3_K_M": (gguf.LlamaFileType.MOSTLY_Q3_K_M, Type.Q3_K),
}
"""Name -> the file's type and the type of most of its tensors."""

# What takes over when a row's length is no multiple of 256.
_FALLBACK: Final = {
    Type.Q3_K: Type.Q4_0,
    Type.IQ4_XS: Type.IQ4_NL,
    Type.Q4_K: Type.Q5_0,
    Type.Q5_K: Type.Q5_1,
    Type.Q6_K: Type.Q8_0,
}


def type_of(row: TensorRow, shape: Shape, quant: str) -> Type:
    """Return the type that llama.cpp's quantizer gives a tensor of a model quantized to `quant`.

    Raises:
        KeyError: `quant` is not in QUANTS.
    """
    most = QUANTS[quant][1]
    if not row.is_matrix:
        return Type.F32
    chosen = most
    if quant not in ("F16", "Q8_0"):
        chosen = _k_quant(row.name, shape, quant, most)
    return _FALLBACK.get(chosen, chosen) if row.shape[-1] % gguf.GGML_QUANT_SIZES[chosen][0] else chosen


def _k_quant(name: str, shape: Shape, quant: str, most: Type) -> Type:
    if name == "output.weight":
        return Type.Q6_K
    layer = int(name.split(".")[1]) if name.startswith("blk.") else 0
    if ".attn_v." in name:
        return _of_values(layer, shape, quant, most)
    if ".ffn_down." in name:
        return _of_down(layer, shape.layers, quant, most)
    if ".attn_output." in name and quant == "Q3_K_M":
        return Type.Q4_K
    return most


def _of_values(layer: int, shape: Shape, quant: str, most: Type) -> Type:
    if quant in ("Q4_K_M", "Q5_K_M"):
        return Type.Q6_K if _gets_more_bits(layer, shape.layers) else most
    if quant == "IQ4_XS":
        return Type.Q5_K if shape.n_head >= 4 * shape.n_head_kv else most
    if quant == "Q3_K_M":
        return Type.Q5_K if layer < 2 else Type.Q4_K
    return most


def _of_down(layer: int, layers: int, quant: str, most: Type) -> Type:
    if quant in ("Q4_K_M", "Q5_K_M"):
        return Type.Q6_K if _gets_more_bits(layer, layers) else most
    if quant == "IQ4_XS":
        return Type.Q5_K if layer < layers // 8 else most
    if quant == "Q3_K_M":
        return Type.Q5_K if layer < layers // 16 else Type.Q4_K
    return most


def _gets_more_bits(layer: int, layers: int) -> bool:
    """Return whether the M quantizations spend more on this layer: the outer eighths and each third between them."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def size_bytes(shape: tuple[int, ...], kind: Type) -> int:
    """Return the bytes that a tensor takes in a file."""
    elements, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    return math.prod(shape) // elements * block_bytes


def write_header(path: Path, shape: Shape, quant: str) -> Path:
    """Write a GGUF file of `shape` quantized to `quant`, its data a hole of the right size; return its path."""
    writer = gguf.GGUFWriter(path, shape.architecture)
    add_metadata(writer, shape, quant)
    for row in tensors_of(shape):
        add_row(writer, row, type_of(row, shape, quant))
    return finish_with_hole(writer, path)


STORED_RANK: Final = 16
"""ESC-RANK's adapters have rank 8, which escl convert stores as 16."""


def write_adapter_header(path: Path, shape: Shape, *, rank: int = STORED_RANK) -> Path:
    """Write the header of a LoRA adapter (f16) as ESC-RANK has them, its data a hole; return its path."""
    writer = gguf.GGUFWriter(path, shape.architecture)
    add_adapter_metadata(writer, rank=rank)
    for row in adapter_tensors(shape, rank=rank):
        add_row(writer, row, Type.F16)
    return finish_with_hole(writer, path)


# What ESC-RANK's wqkv becomes.
_ADAPTED: Final = ("attn_q", "attn_k", "attn_v")


def adapter_tensors(shape: Shape, *, rank: int) -> Iterator[TensorRow]:
    """Yield the two factors of each adapted matrix of a LoRA adapter."""
    for row in tensors_of(shape):
        if row.name.split(".")[-2] in _ADAPTED and row.is_matrix:
            rows, columns = row.shape
            yield TensorRow(row.name + ".lora_a", (rank, columns))
            yield TensorRow(row.name + ".lora_b", (rows, rank))


def add_adapter_metadata(writer: gguf.GGUFWriter, *, rank: int) -> None:
    """Say that the file is a LoRA adapter whose scale is 1."""
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))


def add_row(writer: gguf.GGUFWriter, row: TensorRow, kind: Type) -> None:
    """Announce a tensor to the writer."""
    writer.add_tensor_info(row.name, row.shape, np.dtype(np.float16), size_bytes(row.shape, kind), raw_dtype=kind)


def finish_with_hole(writer: gguf.GGUFWriter, path: Path) -> Path:
    """Write what was announced and make the file as long as its data would be; return its path."""
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    padded = gguf.GGUFWriter.ggml_pad
    begin = padded(path.stat().st_size, writer.data_alignment)
    data = sum(padded(tensor.nbytes, writer.data_alignment) for tensor in writer.tensors[0].values())
    os.truncate(path, begin + data)
    return path


def add_metadata(writer: gguf.GGUFWriter, shape: Shape, quant: str) -> None:
    """Give the writer everything that the header of a model says."""
    writer.add_name(f"{shape.name}, no trained weights")
    writer.add_context_length(shape.n_ctx_train)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_head)
    writer.add_head_count_kv(shape.n_head_kv)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1_000_000.0)
    if shape.architecture == "llama":
        writer.add_rope_dimension_count(shape.n_embd // shape.n_head)
        writer.add_vocab_size(shape.n_vocab)
    writer.add_file_type(QUANTS[quant][0])
    writer.add_chat_template(CHATML)
    _add_vocabulary(writer, vocabulary_of(shape))


def vocabulary_of(shape: Shape) -> Vocabulary:
    """Return the vocabulary that goes with a shape."""
    return byte_level(shape.n_vocab) if shape.tokenizer == "gpt2" else sentence_pieces(shape.n_vocab)


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre("qwen2" if vocabulary.model == "gpt2" else "default")
    writer.add_token_list(list(vocabulary.texts))
    writer.add_token_types(vocabulary.types)
    if vocabulary.merges:
        writer.add_token_merges(list(vocabulary.merges))
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    is_bpe = vocabulary.model == "gpt2"
    writer.add_bos_token_id(vocabulary.token("<|endoftext|>" if is_bpe else "<s>"))
    writer.add_eos_token_id(vocabulary.token("<|im_end|>"))
    writer.add_add_bos_token(not is_bpe)
