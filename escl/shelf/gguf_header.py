"""A bounded reader of GGUF headers: metadata and the table of tensors, never the weights.

A GGUF file is hostile until it has passed here: every count, length and offset is checked against the file's own size
before anything is read or allocated, so that a few bytes cannot ask for gigabytes or for hours. It must not import
llama_cpp, gguf or numpy: a planner reads hundreds of headers, and gguf 0.19 hangs on an array that claims 2^63 items.

Source of the format: docs/gguf.md of ggml; what is refused follows `gguf_init_from_reader` in llama.cpp 0c1e57098.
"""

from __future__ import annotations

import os
import stat
import struct
from math import prod
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from escl.errors import GGUFError
from escl.shelf.ggml_types import TENSOR_TYPES

Scalar = int | float | bool | str

_SCALARS: Final = {
    0: ("uint8", struct.Struct("<B")),
    1: ("int8", struct.Struct("<b")),
    2: ("uint16", struct.Struct("<H")),
    3: ("int16", struct.Struct("<h")),
    4: ("uint32", struct.Struct("<I")),
    5: ("int32", struct.Struct("<i")),
    6: ("float32", struct.Struct("<f")),
    10: ("uint64", struct.Struct("<Q")),
    11: ("int64", struct.Struct("<q")),
    12: ("float64", struct.Struct("<d")),
}
_BOOL, _STRING, _ARRAY = 7, 8, 9
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

# Limits far above any published model (a 262k vocabulary holds under 1M strings), far below what hurts.
_MAX_KEYS: Final = 65_536
_MAX_TENSORS: Final = 65_536
_MAX_KEY_BYTES: Final = 65_535
_MAX_STRING_BYTES: Final = 64 << 20
_MAX_ARRAY_STRINGS: Final = 2_000_000
_MAX_HEADER_BYTES: Final = 512 << 20
_MAX_NAME_BYTES: Final = 63
_MAX_DIMENSIONS: Final = 4
_MAX_ALIGNMENT: Final = 65_536


class Array(msgspec.Struct, frozen=True, kw_only=True):
    """A metadata array; of a long one only the beginning is kept.

    Attributes:
        item_type: "string", "bool", or a scalar type as GGUF names it ("int32", ...).
        length: Items in the file.
        items: The first of them, at most the reader's `max_items`.
    """

    item_type: str
    length: int
    items: tuple[Scalar, ...]


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the tensor table.

    Attributes:
        shape: Elements per dimension in ggml's order: the first is the length of a row.
        type_name: ggml's name of the type, "Q4_K" for example.
        offset: Where its bytes begin, counted from the beginning of the file.
    """

    name: str
    shape: tuple[int, ...]
    type_name: str
    offset: int
    size_bytes: int


class GGUFHeader(msgspec.Struct, frozen=True, kw_only=True):
    """All that a GGUF file says about itself before the weights."""

    version: int
    alignment: int
    metadata: dict[str, Scalar | Array]
    value_types: dict[str, str]
    tensors: tuple[Tensor, ...]
    data_offset: int
    size_bytes: int

    @property
    def architecture(self) -> str:
        """What kind of model it is, "qwen2" for example.

        Raises:
            GGUFError: The key is missing or no text.
        """
        return self.text("general.architecture")

    def text(self, key: str) -> str:
        """Return the string under `key`.

        Raises:
            GGUFError: It is missing or not a string.
        """
        value = self.metadata.get(key)
        if not isinstance(value, str):
            raise GGUFError(f"the GGUF header has no text under {key}")
        return value

    def integer(self, key: str) -> int:
        """Return the integer under `key`.

        Raises:
            GGUFError: It is missing or not an integer.
        """
        value = self.metadata.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise GGUFError(f"the GGUF header has no integer under {key}")
        return value


def read_gguf_header(path: Path, *, max_items: int = 64) -> GGUFHeader:
    """Return the checked header of the GGUF file at `path`.

    Args:
        path: The file; a symbolic link is followed, a device or pipe is refused.
        max_items: Items of each metadata array that are kept.

    Raises:
        GGUFError: No such file, or not a sound GGUF file; the message says what is wrong where.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise GGUFError(f"{path} is not a regular file")
            return _Reader(file, path=path, size_bytes=status.st_size, max_items=max_items).header()
    except OSError as error:
        raise GGUFError(f"{path}: {error.strerror or error}") from error


def _open_at_once(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe would wait for someone to write into it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class _Reader:
    def __init__(self, file: BinaryIO, *, path: Path, size_bytes: int, max_items: int) -> None:
        self.file, self.path, self.size_bytes, self.max_items = file, path, size_bytes, max_items
        self.limit = min(size_bytes, _MAX_HEADER_BYTES)
        self.at = 0
        self.strings_left = _MAX_ARRAY_STRINGS

    def fail(self, what: str) -> GGUFError:
        return GGUFError(f"{self.path}: {what} (at byte {self.at:,} of {self.size_bytes:,})")

    def header(self) -> GGUFHeader:
        version, n_tensors, n_keys = self.preamble()
        metadata: dict[str, Scalar | Array] = {}
        value_types: dict[str, str] = {}
        for _ in range(n_keys):
            key = self.string(_MAX_KEY_BYTES, "a metadata key")
            if not key or key in metadata:
                raise self.fail(f"metadata key {key!r} {'stands twice' if key else 'is empty'}")
            metadata[key], value_types[key] = self.value(key)
        alignment = self.alignment(metadata, value_types)
        rows = [self.tensor_row() for _ in range(n_tensors)]
        data_offset = _padded(self.at, alignment)
        tensors = self.placed(rows, data_offset=data_offset, alignment=alignment)
        return GGUFHeader(
            version=version,
            alignment=alignment,
            metadata=metadata,
            value_types=value_types,
            tensors=tensors,
            data_offset=data_offset,
            size_bytes=self.size_bytes,
        )

    def preamble(self) -> tuple[int, int, int]:
        if self.size_bytes == 0:
            raise self.fail("the file is empty")
        magic = self.take(min(4, self.size_bytes), "the magic")
        if magic != b"GGUF":
            raise self.fail(f"not a GGUF file: it begins with {magic!r}")
        version = self.u32("the version")
        if version & 0xFFFF == 0:
            raise self.fail("a big-endian GGUF file; convert it again on this machine")
        if version not in (2, 3):
            raise self.fail(f"GGUF version {version}; only 2 and 3 can be read")
        n_tensors, n_keys = self.u64("the tensor count"), self.u64("the key count")
        if n_tensors > _MAX_TENSORS or n_keys > _MAX_KEYS:
            raise self.fail(f"claims {n_tensors:,} tensors and {n_keys:,} metadata keys")
        return version, n_tensors, n_keys

    def take(self, n: int, what: str) -> bytes:
        if n > self.limit - self.at:
            raise self.fail(f"{what} needs {n:,} bytes, but the header ends after {self.limit - self.at:,} more")
        raw = self.file.read(n)
        if len(raw) != n:
            raise self.fail(f"the file became shorter while {what} was read")
        self.at += n
        return raw

    def skip(self, n: int, what: str) -> None:
        if n > self.limit - self.at:
            raise self.fail(f"{what} needs {n:,} bytes, but the header ends after {self.limit - self.at:,} more")
        self.file.seek(n, os.SEEK_CUR)
        self.at += n

    def u32(self, what: str) -> int:
        return int(_U32.unpack(self.take(4, what))[0])

    def u64(self, what: str) -> int:
        return int(_U64.unpack(self.take(8, what))[0])

    def string(self, max_bytes: int, what: str) -> str:
        n = self.u64(f"the length of {what}")
        if n > max_bytes:
            raise self.fail(f"{what} claims {n:,} bytes; at most {max_bytes:,} are accepted")
        try:
            return self.take(n, what).decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail(f"{what} is not UTF-8") from None

    def value(self, key: str) -> tuple[Scalar | Array, str]:
        type_id = self.u32(f"the type of {key}")
        if type_id == _ARRAY:
            array = self.array(key)
            return array, f"array of {array.item_type}"
        return self.scalar(type_id, key)

    def scalar(self, type_id: int, key: str) -> tuple[Scalar, str]:
        if type_id == _STRING:
            return self.string(_MAX_STRING_BYTES, f"the value of {key}"), "string"
        if type_id == _BOOL:
            return self.flag(self.take(1, f"the value of {key}")[0], key), "bool"
        if type_id not in _SCALARS:
            raise self.fail(f"{key} has the unknown value type {type_id}")
        name, packed = _SCALARS[type_id]
        value: int | float = packed.unpack(self.take(packed.size, f"the value of {key}"))[0]
        return value, name

    def flag(self, byte: int, key: str) -> bool:
        if byte > 1:
            raise self.fail(f"{key} holds the byte {byte} where a bool stands")
        return bool(byte)

    def array(self, key: str) -> Array:
        type_id, length = self.u32(f"the item type of {key}"), self.u64(f"the length of {key}")
        if type_id == _STRING:
            return self.string_array(key, length)
        if type_id == _BOOL:
            kept = self.fixed_size(key, length, 1)
            return Array(item_type="bool", length=length, items=tuple(self.flag(byte, key) for byte in kept))
        if type_id not in _SCALARS:
            raise self.fail(f"{key} is an array of the unknown or nested type {type_id}")
        name, packed = _SCALARS[type_id]
        kept = self.fixed_size(key, length, packed.size)
        return Array(item_type=name, length=length, items=tuple(value for (value,) in packed.iter_unpack(kept)))

    def fixed_size(self, key: str, length: int, item_bytes: int) -> bytes:
        n_kept = min(length, self.max_items)
        if length * item_bytes > self.limit - self.at:
            raise self.fail(f"{key} claims {length:,} items, more than the file holds")
        kept = self.take(n_kept * item_bytes, key)
        self.skip((length - n_kept) * item_bytes, key)
        return kept

    def string_array(self, key: str, length: int) -> Array:
        # Each string has its length in front, so 8 bytes is the least that one takes.
        if length * 8 > self.limit - self.at:
            raise self.fail(f"{key} claims {length:,} strings, more than the file holds")
        self.strings_left -= length
        if self.strings_left < 0:
            raise self.fail(f"{key}: more than {_MAX_ARRAY_STRINGS:,} strings in metadata arrays")
        n_kept = min(length, self.max_items)
        items = tuple(self.string(_MAX_STRING_BYTES, f"an item of {key}") for _ in range(n_kept))
        for _ in range(length - n_kept):
            self.skip(self.u64(f"the length of an item of {key}"), f"an item of {key}")
        return Array(item_type="string", length=length, items=items)

    def alignment(self, metadata: dict[str, Scalar | Array], value_types: dict[str, str]) -> int:
        alignment = metadata.get("general.alignment", 32)
        if value_types.get("general.alignment", "uint32") != "uint32" or not isinstance(alignment, int):
            raise self.fail("general.alignment is not a uint32")
        if not 1 <= alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
            raise self.fail(f"general.alignment is {alignment}, not a power of two up to {_MAX_ALIGNMENT}")
        return alignment

    def tensor_row(self) -> Tensor:
        name = self.string(_MAX_NAME_BYTES, "a tensor's name")
        n_dimensions = self.u32(f"the rank of {name}")
        if not 1 <= n_dimensions <= _MAX_DIMENSIONS:
            raise self.fail(f"tensor {name!r} claims {n_dimensions} dimensions")
        shape = tuple(self.u64(f"the shape of {name}") for _ in range(n_dimensions))
        type_id = self.u32(f"the type of {name}")
        if type_id not in TENSOR_TYPES:
            raise self.fail(f"tensor {name!r} has the unknown type {type_id}")
        offset = self.u64(f"the offset of {name}")
        tensor_type = TENSOR_TYPES[type_id]
        n_elements = prod(shape)
        if not 0 < n_elements < 1 << 63 or shape[0] % tensor_type.block_elements:
            raise self.fail(f"tensor {name!r} of type {tensor_type.name} has the impossible shape {list(shape)}")
        size_bytes = n_elements // tensor_type.block_elements * tensor_type.block_bytes
        return Tensor(name=name, shape=shape, type_name=tensor_type.name, offset=offset, size_bytes=size_bytes)

    def placed(self, rows: list[Tensor], *, data_offset: int, alignment: int) -> tuple[Tensor, ...]:
        """Return the tensors with offsets from the file's beginning; they must lie in order, without gap or overlap."""
        if len({row.name for row in rows}) != len(rows):
            raise self.fail("two tensors have the same name")
        expected, placed = 0, []
        for row in rows:
            end = data_offset + row.offset + row.size_bytes
            if row.offset != expected:
                raise self.fail(f"tensor {row.name!r} stands at {row.offset:,} of the data, not at {expected:,}")
            if end > self.size_bytes:
                raise self.fail(
                    f"the file is cut off: tensor {row.name!r} ends at byte {end:,} of {self.size_bytes:,}; "
                    f"{end - self.size_bytes:,} bytes are missing up to there"
                )
            placed.append(msgspec.structs.replace(row, offset=data_offset + row.offset))
            expected += _padded(row.size_bytes, alignment)
        return tuple(placed)


def _padded(n: int, alignment: int) -> int:
    return -(-n // alignment) * alignment
