"""GGUF headers put together by hand, sound or broken in any place."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Value = tuple[int, bytes]
"""A metadata value: GGUF's number of its type, and its bytes."""

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)


def string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def text(value: str | bytes) -> Value:
    return STRING, string(value)


def u32(value: int) -> Value:
    return U32, struct.pack("<I", value)


def array(item_type: int, items: Sequence[bytes], *, length: int | None = None) -> Value:
    """Return an array value; `length` overrides the true number of items."""
    n = len(items) if length is None else length
    return ARRAY, struct.pack("<IQ", item_type, n) + b"".join(items)


def key(name: str | bytes, value: Value) -> bytes:
    return string(name) + struct.pack("<I", value[0]) + value[1]


def tensor(name: str | bytes, shape: Sequence[int], *, type_id: int = 0, offset: int = 0) -> bytes:
    sizes = b"".join(struct.pack("<Q", size) for size in shape)
    return string(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", type_id, offset)


def gguf_bytes(
    keys: Sequence[bytes] = (),
    tensors: Sequence[bytes] = (),
    *,
    payload: bytes = b"",
    magic: bytes = b"GGUF",
    version: int = 3,
    n_tensors: int | None = None,
    n_keys: int | None = None,
    alignment: int = 32,
) -> bytes:
    """Return a file; counts may lie. The data section begins at the next multiple of `alignment`."""
    n_tensors = len(tensors) if n_tensors is None else n_tensors
    n_keys = len(keys) if n_keys is None else n_keys
    head = magic + struct.pack("<IQQ", version, n_tensors, n_keys) + b"".join(keys) + b"".join(tensors)
    return head + b"\0" * (-len(head) % alignment) + payload if tensors else head
