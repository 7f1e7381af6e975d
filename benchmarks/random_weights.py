"""Models and adapters of stated shapes with random weights that really run, and say something harmless.

A model of `speaks="letters"` says letters of LETTERS without end: every reply is as long as it may be, and has as many
tokens in the next prompt. One of `speaks="label"` answers with one of the digits 0 to 4 and ends, as a scorer does.
Which letter or digit depends on the whole context and on the adapter. Two dimensions of the embedding make that so:
dimension 0 holds the same value for every token, dimension 1 is on after a digit, and no layer writes to either.

The weights are random rows, quantized by ggml and repeated down each matrix: only their size and type matter to speed,
so that a model of 14B is written as fast as the disk takes it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Literal

import gguf
import numpy as np
import numpy.typing as npt

from benchmarks.shapes import (
    SHAPES,
    STORED_RANK,
    Shape,
    Type,
    adapter_tensors,
    add_adapter_metadata,
    add_row,
    size_bytes,
    vocabulary_of,
    write_header,
)
from benchmarks.vocabulary import LETTERS
from escl.shelf.gguf_header import Tensor, read_gguf_header

Speaks = Literal["letters", "label"]
Matrix = npt.NDArray[np.float32]

LABELS: Final = "01234"
END: Final = "<|im_end|>"

_KINDS: Final = {kind.name: kind for kind in Type}
_TILE_ROWS: Final = 256
_STEADY, _AFTER_LABEL = 0, 1
# The reserved dimensions weigh this much against a random one: enough to carry the logits through all layers.
_WEIGHT_OF_RESERVED: Final = 0.5
_CHOSEN_LOGIT, _END_LOGIT, _LOGIT_SPREAD = 60.0, 150.0, 1.5
# What each layer adds to the residual stream, so that dozens of layers leave it of about its first size.
_RESIDUAL_SCALE: Final = 0.15


def write_random(path: Path, shape: Shape, quant: str, *, speaks: Speaks = "letters", seed: int = 0) -> Path:
    """Write a model of `shape` with random weights quantized to `quant` and return its path.

    ggml quantizes in a child process.

    Raises:
        RuntimeError: The child failed; its last words are in the message.
    """
    # Written beside and renamed: a file that is there is whole.
    part = path.with_name(path.name + ".part")
    command = [sys.executable, "-m", "benchmarks.random_weights", str(part), shape.name, quant, speaks, str(seed)]
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"writing {path} ended with code {done.returncode}: {done.stderr[-2000:]}")
    return part.replace(path)


def write_random_adapter(path: Path, shape: Shape, *, rank: int = STORED_RANK, seed: int = 0) -> Path:
    """Write a random LoRA adapter (f16) on what ESC-RANK's adapt, and return its path."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, shape.architecture)
    add_adapter_metadata(writer, rank=rank)
    for row in adapter_tensors(shape, rank=rank):
        add_row(writer, row, Type.F16)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for row in adapter_tensors(shape, rank=rank):
        factor = rng.standard_normal(row.shape, dtype=np.float32) / np.sqrt(row.shape[-1])
        if row.name.endswith("lora_b"):
            factor *= 0.1
            if _writes_residual(row.name):
                factor[[_STEADY, _AFTER_LABEL]] = 0
        writer.write_tensor_data(factor.astype(np.float16))
    writer.close()
    return path


def _write_here(path: Path, shape: Shape, quant: str, *, speaks: Speaks, seed: int) -> None:
    write_header(path, shape, quant)
    tiles = _Tiles(np.random.default_rng(seed))
    with path.open("r+b") as file:
        for tensor in read_gguf_header(path).tensors:
            file.seek(tensor.offset)
            for piece in _pieces(tensor, shape, speaks=speaks, tiles=tiles):
                file.write(piece)
        if shape.tokenizer != "gpt2":
            return
        _write_special_rows(file, {tensor.name: tensor for tensor in read_gguf_header(path).tensors}, shape, speaks)


def _pieces(tensor: Tensor, shape: Shape, *, speaks: Speaks, tiles: _Tiles) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a tensor."""
    if len(tensor.shape) == 1:
        yield (np.zeros if tensor.name.endswith(".bias") else np.ones)(tensor.shape[0], np.float32).tobytes()
        return
    columns, rows = tensor.shape
    kind = _KINDS[tensor.type_name]
    row_bytes = size_bytes((1, columns), kind)
    tile = memoryview(tiles.tile(tensor.name, columns, kind))
    # Each layer begins at another row, or all would do the same.
    at = 0 if not tensor.name.startswith("blk.") else 37 * int(tensor.name.split(".")[1]) % _TILE_ROWS
    written = 0
    if _writes_residual(tensor.name):
        yield bytes(2 * row_bytes)
        written = 2
    while written < rows:
        n = min(rows - written, _TILE_ROWS - at)
        yield tile[at * row_bytes : (at + n) * row_bytes]
        written, at = written + n, 0


def _write_special_rows(file: BinaryIO, tensors: dict[str, Tensor], shape: Shape, speaks: Speaks) -> None:
    """Write the rows of the output that the model can say, and mark the labels in the embedding."""
    rng = np.random.default_rng(1)
    vocabulary = vocabulary_of(shape)
    n = shape.n_embd
    output, embedding = tensors["output.weight"], tensors["token_embd.weight"]
    # After the last RMSNorm the reserved dimensions hold about this much.
    reserved = _WEIGHT_OF_RESERVED * np.sqrt(n) / 1.3
    for text in LETTERS if speaks == "letters" else LABELS:
        row = rng.standard_normal((1, n), dtype=np.float32) * np.float32(_LOGIT_SPREAD / np.sqrt(n))
        row[0, [_STEADY, _AFTER_LABEL]] = _CHOSEN_LOGIT / reserved, 0
        _write_row(file, output, vocabulary.token(text), row)
    if speaks == "label":
        row = np.zeros((1, n), np.float32)
        row[0, _AFTER_LABEL] = _END_LOGIT / reserved
        _write_row(file, output, vocabulary.token(END), row)
        for text in LABELS:
            row = _embedding_rows(rng, 1, n)
            row[0, _AFTER_LABEL] = _WEIGHT_OF_RESERVED * np.sqrt(n)
            _write_row(file, embedding, vocabulary.token(text), row)


def _write_row(file: BinaryIO, tensor: Tensor, index: int, row: Matrix) -> None:
    kind = _KINDS[tensor.type_name]
    file.seek(tensor.offset + index * size_bytes((1, tensor.shape[0]), kind))
    file.write(_quantized(row, kind))


class _Tiles:
    """Quantized random rows for each kind of matrix, made once."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._made: dict[tuple[str, int, Type], bytes] = {}

    def tile(self, name: str, columns: int, kind: Type) -> bytes:
        """Return _TILE_ROWS rows for the matrix `name`."""
        role = _role(name)
        if (role, columns, kind) not in self._made:
            if role == "embedding":
                rows = _embedding_rows(self._rng, _TILE_ROWS, columns)
            elif role == "output":
                # Far below what the model can say, but no two alike in a tile: samplers are slow among equals.
                rows = self._rng.standard_normal((_TILE_ROWS, columns), dtype=np.float32)
                rows *= np.float32(_LOGIT_SPREAD / np.sqrt(columns))
                rows[:, [_STEADY, _AFTER_LABEL]] = 0
            else:
                scale = (_RESIDUAL_SCALE if role == "down" else 1.0) / np.sqrt(columns)
                rows = self._rng.standard_normal((_TILE_ROWS, columns), dtype=np.float32) * np.float32(scale)
            self._made[role, columns, kind] = _quantized(rows, kind)
        return self._made[role, columns, kind]


def _embedding_rows(rng: np.random.Generator, rows: int, n: int) -> Matrix:
    made = rng.standard_normal((rows, n), dtype=np.float32)
    made[:, _STEADY] = _WEIGHT_OF_RESERVED * np.sqrt(n)
    made[:, _AFTER_LABEL] = 0
    return made


def _role(name: str) -> str:
    if name.startswith(("token_embd.", "output.")):
        return "embedding" if name.startswith("token_embd.") else "output"
    return "down" if _writes_residual(name) else "up"


def _writes_residual(name: str) -> bool:
    return ".attn_output." in name or ".ffn_down." in name


def _quantized(rows: Matrix, kind: Type) -> bytes:
    """Return `rows` as ggml stores them in `kind`. Only in a child process: ggml aborts when it does not like them."""
    # Loads llama.cpp.
    from llama_cpp._ggml import libggml

    n_rows, columns = rows.shape
    rows = np.ascontiguousarray(rows)
    stored = ctypes.create_string_buffer(size_bytes((n_rows, columns), kind))
    quantize = libggml.ggml_quantize_chunk
    quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    quantize.restype = ctypes.c_size_t
    written = quantize(kind.value, rows.ctypes.data, stored, 0, n_rows, columns, None)
    assert written == len(stored), (kind, written, len(stored))
    return stored.raw


def main(arguments: list[str]) -> None:
    """Write one model, as the child process does."""
    path, name, quant, speaks, seed = arguments
    _write_here(Path(path), SHAPES[name], quant, speaks="label" if speaks == "label" else "letters", seed=int(seed))


if __name__ == "__main__":
    main(sys.argv[1:])
