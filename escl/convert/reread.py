"""Reading a written GGUF file again: is it, byte for byte, what was meant?"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from escl.convert.plan import Target
from escl.convert.progress import Meter
from escl.errors import StorageError
from escl.shelf.gguf_header import GGUFHeader, read_gguf_header

_CHUNK_BYTES: Final = 4 << 20


def reread(path: Path, *, targets: Sequence[Target], checksums: Mapping[str, int] | None, meter: Meter) -> str:
    """Read the finished file and return its SHA-256; it must hold just the tensors that were meant.

    Args:
        path: The file.
        targets: Names and shapes it must have; with `checksums` also types and bytes.
        checksums: CRC-32 of each tensor's bytes; None for a quantized file, whose bytes nobody knows beforehand.
        meter: Counts the bytes read.

    Raises:
        StorageError: It differs from what was written: the disk or its file system is at fault.
    """
    header = read_gguf_header(path)
    expected = {target.name: target for target in targets}
    if {tensor.name for tensor in header.tensors} != set(expected):
        raise StorageError(f"{path} does not hold the tensors that were written")
    for tensor in header.tensors:
        target = expected[tensor.name]
        if tensor.shape != target.shape[::-1] or (checksums is not None and tensor.type_name != target.stored_as):
            raise StorageError(f"{path}: tensor {tensor.name} is {tensor.type_name} {list(tensor.shape)} after writing")
    return _hash_file(path, header, checksums, meter)


def _hash_file(path: Path, header: GGUFHeader, checksums: Mapping[str, int] | None, meter: Meter) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        at = 0
        for tensor in header.tensors:
            for raw in _chunks(file, tensor.offset - at):
                digest.update(raw)
            checksum = 0
            for raw in _chunks(file, tensor.size_bytes):
                digest.update(raw)
                checksum = zlib.crc32(raw, checksum)
                meter.add(len(raw))
            at = tensor.offset + tensor.size_bytes
            if checksums is not None and checksum != checksums[tensor.name]:
                raise StorageError(f"{path}: tensor {tensor.name} reads differently from what was written")
        for raw in _chunks(file, header.size_bytes - at):
            digest.update(raw)
    return digest.hexdigest()


def _chunks(file: BinaryIO, n: int) -> Iterator[bytes]:
    while n > 0:
        raw = file.read(min(n, _CHUNK_BYTES))
        if not raw:
            raise StorageError("the written file became shorter while it was read")
        n -= len(raw)
        yield raw
