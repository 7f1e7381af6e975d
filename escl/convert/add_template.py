"""Gives a GGUF file that has no chat template one, and changes nothing else.

Only the metadata grows: the tensor table and every byte of the weights are copied as they stand. Older files of good
models have none, because llama.cpp once kept formats in its own code.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from escl.convert.chat_templates import check_marks, chosen_template
from escl.convert.disk import check_room, flush_to_disk, publish, staging
from escl.errors import ConvertError
from escl.shelf.ggml_types import TYPE_IDS
from escl.shelf.gguf_header import Array, GGUFHeader, Tensor, read_gguf_header

TEMPLATE_KEY: Final = "tokenizer.chat_template"
_PREAMBLE: Final = struct.Struct("<4sIQQ")
_STRING: Final = 8
_ALL_ITEMS: Final = 2_000_000
_BLOCK: Final = 1 << 22


def add_template(src: Path, dst: Path, choice: str) -> None:
    """Write `dst`, the GGUF file `src` with a chat template.

    Args:
        src: A file without one.
        dst: The file to write; it must not exist.
        choice: A format by its name in escl.convert.chat_templates, or the path of a file with a Jinja template.

    Raises:
        UsageError: There is no such template, or the vocabulary lacks a token that it writes.
        ConvertError: The file has a template already.
        GGUFError: It is malformed.
        StorageError: There is no room, or `dst` cannot be written.
    """
    header = _bare_header(src)
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    check_marks(choice, {str(token) for token in tokens.items} if isinstance(tokens, Array) else set())
    with src.open("rb") as file:
        begin = _with_template(file.read(header.data_offset), header, chosen_template(choice)[0])
        check_room(dst, len(begin) + header.size_bytes - header.data_offset)
        with staging(dst) as folder:
            written = folder / "model.gguf"
            with written.open("wb") as copy:
                copy.write(begin)
                file.seek(header.data_offset)
                while block := file.read(_BLOCK):
                    copy.write(block)
                flush_to_disk(copy)
            publish(written, dst, force=False)


def has_added(src: Path, dst: Path, choice: str) -> bool:
    """Return whether `dst` is, byte for byte, what `add_template` writes; arguments and errors as there."""
    header = _bare_header(src)
    with src.open("rb") as file, dst.open("rb") as made:
        begin = _with_template(file.read(header.data_offset), header, chosen_template(choice)[0])
        if dst.stat().st_size != len(begin) + header.size_bytes - header.data_offset or made.read(len(begin)) != begin:
            return False
        file.seek(header.data_offset)
        while block := file.read(_BLOCK):
            if made.read(_BLOCK) != block:
                return False
    return True


def _bare_header(src: Path) -> GGUFHeader:
    header = read_gguf_header(src, max_items=_ALL_ITEMS)
    if TEMPLATE_KEY in header.metadata:
        raise ConvertError(f"{src} has a chat template already")
    return header


def _with_template(begin: bytes, header: GGUFHeader, template: str) -> bytes:
    """Return what stands before the weights, with one more key after the others."""
    table = b"".join(_row(tensor, header.data_offset) for tensor in header.tensors)
    at = begin.rfind(table)
    if at < _PREAMBLE.size:
        raise ConvertError("the tensor table of the GGUF file is not written as llama.cpp writes it")
    magic, version, n_tensors, n_keys = _PREAMBLE.unpack_from(begin)
    grown = (
        _PREAMBLE.pack(magic, version, n_tensors, n_keys + 1)
        + begin[_PREAMBLE.size : at]
        + _text(TEMPLATE_KEY)
        + struct.pack("<I", _STRING)
        + _text(template)
        + table
    )
    return grown + b"\0" * (-len(grown) % header.alignment)


def _row(tensor: Tensor, data_offset: int) -> bytes:
    shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
    return _text(tensor.name) + shape + struct.pack("<IQ", TYPE_IDS[tensor.type_name], tensor.offset - data_offset)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw
