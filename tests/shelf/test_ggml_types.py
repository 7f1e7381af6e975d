"""The table of tensor types is llama.cpp's own."""

from __future__ import annotations

import ctypes
from pathlib import Path

import llama_cpp
import pytest

from escl.shelf.ggml_types import TENSOR_TYPES

pytestmark = pytest.mark.model


def test_block_sizes_are_those_of_the_c_library() -> None:
    folder = Path(llama_cpp.__file__).parent / "lib"
    library = next(folder.glob("*ggml-base*"))
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_type_name.restype = ctypes.c_char_p
    ggml.ggml_blck_size.restype = ctypes.c_int64
    ggml.ggml_type_size.restype = ctypes.c_size_t
    for number, known in TENSOR_TYPES.items():
        assert ggml.ggml_type_name(number).decode().upper() == known.name
        assert (ggml.ggml_blck_size(number), ggml.ggml_type_size(number)) == known[1:]


def test_no_type_is_missing() -> None:
    constants = {value for name, value in vars(llama_cpp).items() if name.startswith("GGML_TYPE_")}
    removed = {4, 5, 31, 32, 33, 36, 37, 38}
    assert constants - removed - {max(TENSOR_TYPES) + 1} <= TENSOR_TYPES.keys()
