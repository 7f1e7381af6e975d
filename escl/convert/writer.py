"""Writing a GGUF file from a plan.

Each source file is read once, from beginning to end, and hashed on the way; matrices go in row blocks, so memory does
not grow with the checkpoint. It knows no architecture and no tokenizer.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from escl.convert.disk import flush_to_disk
from escl.convert.plan import Computed, Plan, Route, Target
from escl.convert.precision import SOURCE_TYPES, Rows, TooLargeError, all_finite, stored
from escl.convert.progress import Meter
from escl.convert.shards import Shard
from escl.errors import ConvertError

MetadataValue = str | bool | int | float | list[str] | list[int] | list[float]
"""int is stored as uint32, float as float32, their lists as int32 and float32 arrays."""

BLOCK_BYTES: Final = 4 << 20
"""Source bytes handled at a time: small enough to stay in the cache from one step to the next."""


class _Hash(Protocol):
    def update(self, data: bytearray, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the writing left behind for the check.

    Attributes:
        source_sha256: Hash of each shard, in the plan's order.
        checksums: CRC-32 of each target's bytes.
    """

    source_sha256: list[str]
    checksums: dict[str, int]


def write_header(path: Path, metadata: Mapping[str, MetadataValue], targets: Sequence[Target]) -> int:
    """Write magic, metadata and tensor table to the new file `path` and return where the tensors' bytes begin.

    Raises:
        ConvertError: A text is no Unicode.
    """
    # GGUFWriter leaves out empty texts and lists; none is meant to be there.
    writer = GGUFWriter(path, str(metadata["general.architecture"]))
    for key, value in metadata.items():
        _add(writer, key, value)
    for target in targets:
        kind = GGMLQuantizationType[target.stored_as]
        writer.add_tensor_info(target.name, target.shape, np.dtype(np.float32), target.size_bytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return padded(path.stat().st_size)


def _add(writer: GGUFWriter, key: str, value: MetadataValue) -> None:
    if key == "general.architecture":
        return
    _check_text(key, value)
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _check_text(key: str, value: MetadataValue) -> None:
    # JSON can spell half a surrogate pair, which no UTF-8 text can hold.
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and not _is_unicode(text):
            raise ConvertError(f"{key} would hold {text[:80]!r}, which is no Unicode text")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def padded(n: int) -> int:
    """Return `n` rounded up to GGUF's alignment."""
    return -(-n // 32) * 32


def tensor_offsets(targets: Sequence[Target], data_offset: int) -> dict[str, int]:
    """Return where each target's bytes begin in a file whose data begins at `data_offset`."""
    offsets, at = {}, data_offset
    for target in targets:
        offsets[target.name] = at
        at += padded(target.size_bytes)
    return offsets


def data_bytes(targets: Sequence[Target]) -> int:
    """Return the bytes of all targets with their padding."""
    return sum(padded(target.size_bytes) for target in targets)


def write_tensors(path: Path, plan: Plan, *, data_offset: int, meter: Meter) -> Written:
    """Write the tensors of `plan` into the new file `path`, leaving its first `data_offset` bytes for the header.

    Raises:
        ConvertError: A tensor holds NaN or infinity, or numbers too large for its type.
    """
    targets = plan.targets
    with path.open("xb") as file:
        file.truncate(data_offset + data_bytes(targets))
        copier = _Copier(file, offsets=tensor_offsets(targets, data_offset), meter=meter)
        source_sha256 = [copier.copy(shard, plan.routes) for shard in plan.shards]
        for computed in plan.computed:
            copier.put(computed)
        flush_to_disk(file)
    return Written(source_sha256=source_sha256, checksums=copier.checksums)


class _Copier:
    def __init__(self, out: BinaryIO, *, offsets: Mapping[str, int], meter: Meter) -> None:
        self.out, self.offsets, self.meter = out, offsets, meter
        self.checksums = dict.fromkeys(offsets, 0)

    def copy(self, shard: Shard, routes: Mapping[str, Route]) -> str:
        """Copy all routed tensors of `shard` and return the hash of the whole file."""
        digest = hashlib.sha256()
        with shard.path.open("rb", buffering=0) as file:
            header_bytes = shard.tensors[0].offset if shard.tensors else shard.size_bytes
            self._read(file, header_bytes, digest, shard)
            for tensor in shard.tensors:
                route = routes.get(tensor.name)
                n_rows = prod(tensor.shape[:-1]) if route is not None else tensor.size_bytes
                row_bytes = tensor.size_bytes // n_rows if n_rows else 0
                unit = route.row_unit if route is not None else 1
                step = max(unit, BLOCK_BYTES // max(row_bytes, 1) // unit * unit)
                for first in range(0, n_rows, step):
                    raw = self._read(file, min(step, n_rows - first) * row_bytes, digest, shard)
                    if route is not None:
                        self._store(route, raw, first)
                if route is not None:
                    self._count_zero_rows(route)
            if file.read(1):
                raise ConvertError(f"{shard.path} grew while it was read")
        return digest.hexdigest()

    def put(self, computed: Computed) -> None:
        """Write numbers that come from no shard."""
        name, raw = computed.target.name, computed.values.astype("<f4").tobytes()
        self.checksums[name] = zlib.crc32(raw)
        self.out.seek(self.offsets[name])
        self.out.write(raw)

    def _read(self, file: BinaryIO, n: int, digest: _Hash, shard: Shard) -> bytearray:
        raw = bytearray(n)
        view, at = memoryview(raw), 0
        while at < n:
            got = file.readinto(view[at:])  # type: ignore[attr-defined]
            if not got:
                raise ConvertError(f"{shard.path} became shorter while it was read")
            at += got
        digest.update(raw)
        self.meter.add(n)
        return raw

    def _store(self, route: Route, raw: bytearray, first: int) -> None:
        rows = np.frombuffer(raw, dtype=SOURCE_TYPES[route.dtype]).reshape(-1, route.source.shape[-1])
        if not all_finite(rows, route.dtype):
            raise ConvertError(f"tensor {route.source.name} holds NaN or infinity; the checkpoint is damaged")
        for target, order in route.parts:
            if order is None:
                self._write(route, target, rows, at_row=first)
                continue
            chosen = np.flatnonzero((order >= first) & (order < first + len(rows)))
            if len(chosen):
                # A block holds whole heads, and an order moves rows only within a head: the rows are neighbours.
                assert chosen[-1] - chosen[0] + 1 == len(chosen)
                self._write(route, target, rows[order[chosen] - first], at_row=int(chosen[0]))

    def _count_zero_rows(self, route: Route) -> None:
        """Add to the checksums the rows that nothing was written to: the file was made of zeros."""
        for target, order in route.parts:
            if len(target.shape) > 1:
                n_written = route.source.shape[0] if order is None else len(order)
                zeros = bytes((target.shape[0] - n_written) * target.row_bytes)
                self.checksums[target.name] = zlib.crc32(zeros, self.checksums[target.name])

    def _write(self, route: Route, target: Target, rows: Rows, *, at_row: int) -> None:
        if (missing := target.shape[-1] - rows.shape[-1]) > 0:
            rows = np.pad(rows, ((0, 0), (0, missing)))
        try:
            encoded = stored(rows, route.dtype, target.stored_as)
        except TooLargeError:
            raise ConvertError(
                f"tensor {route.source.name} holds numbers too large for {target.stored_as}",
                hint="use --outtype bf16 or --outtype f32",
            ) from None
        self.checksums[target.name] = zlib.crc32(encoded.data, self.checksums[target.name])
        self.out.seek(self.offsets[target.name] + at_row * target.row_bytes)
        self.out.write(encoded.data)


def put_header(path: Path, header: bytes) -> None:
    """Write `header` over the beginning of the file `path` and force everything to the disk."""
    with path.open("r+b") as file:
        file.write(header)
        flush_to_disk(file)
