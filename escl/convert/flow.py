"""The conversion from end to end: read, plan, check the room, write, reread, rename.

Everything that can be refused is refused before the first byte is written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import get_args

from escl import __version__
from escl.convert.disk import check_room, flush_to_disk, publish, staging
from escl.convert.outcome import Converted, OnProgress, OutType
from escl.convert.plan import Plan
from escl.convert.prepare import Prepared, Request, prepare_adapter, prepare_model
from escl.convert.progress import Meter
from escl.convert.provenance import file_metadata, origin_metadata, origin_of
from escl.convert.quantize import Quantization, quantization, quantize
from escl.convert.reread import reread
from escl.convert.writer import MetadataValue, data_bytes, put_header, write_header, write_tensors
from escl.errors import ConvertError, StorageError, UsageError
from escl.shelf.manifest import sha256_of


def run(request: Request, *, on_progress: OnProgress | None) -> Converted:
    """Convert as `escl.convert.convert` says."""
    chosen = _check_options(request)
    _check_destination(request)
    try:
        prepared = prepare_adapter(request) if request.base is not None else prepare_model(request)
    except OSError as error:
        raise ConvertError(f"{error.filename or request.src}: {error.strerror or error}") from error
    return _write(request, prepared, chosen=chosen, on_progress=on_progress)


def _check_options(request: Request) -> Quantization | None:
    if request.outtype not in get_args(OutType):
        raise UsageError(f"no outtype is called {request.outtype}", hint=f"known: {', '.join(get_args(OutType))}")
    if request.base is not None and request.chat_template is not None:
        raise UsageError("an adapter has no chat template; its base model has", hint="leave --chat-template away")
    if request.quantize is None:
        if request.base is not None and request.outtype == "q8_0":
            raise UsageError("an adapter's factors are too narrow for q8_0", hint="use f16, bf16 or f32")
        return None
    if request.base is not None:
        raise UsageError("an adapter cannot be quantized", hint="use --outtype f16; it is small")
    if request.outtype == "q8_0":
        raise UsageError("--quantize on top of --outtype q8_0 would round twice", hint="leave --outtype away")
    return quantization(request.quantize)


def _check_destination(request: Request) -> None:
    dst = request.dst
    if not request.src.is_dir():
        raise ConvertError(f"{request.src} is not a folder", hint="give the folder that holds config.json")
    if dst.is_dir():
        raise UsageError(f"{dst} is a folder; give the file to write")
    if not dst.parent.is_dir():
        raise StorageError(f"the folder {dst.parent} does not exist")
    if os.path.lexists(dst) and not request.force:
        raise UsageError(f"{dst} exists", hint="use --force to replace it")


def _write(
    request: Request, prepared: Prepared, *, chosen: Quantization | None, on_progress: OnProgress | None
) -> Converted:
    plan = prepared.plan
    _spare_the_source(request.dst, prepared)
    n_data = data_bytes(plan.targets)
    n_quantized = _quantized_bytes(plan, chosen) if chosen is not None else 0
    meter = Meter(total=plan.source_bytes + n_data + n_quantized, on_progress=on_progress)
    with staging(request.dst) as folder:
        finished = folder / "model.gguf"
        # A header with blank hashes has the length of the true one, and it shows that the disk can be written.
        blank = _header(folder / "blank", request, prepared, shard_sha256=["0" * 64] * len(plan.shards))
        check_room(request.dst, len(blank) + n_data + n_quantized)
        written = write_tensors(finished, plan, data_offset=len(blank), meter=meter)
        put_header(finished, _header(folder / "header", request, prepared, shard_sha256=written.source_sha256))
        if chosen is not None:
            finished = _quantized(finished, chosen=chosen, n_bytes=n_data, meter=meter)
        sha256 = reread(finished, targets=plan.targets, checksums=None if chosen else written.checksums, meter=meter)
        meter.finish()
        size_bytes = finished.stat().st_size
        publish(finished, request.dst, force=request.force)
    return Converted(
        path=str(request.dst),
        size_bytes=size_bytes,
        sha256=sha256,
        kind=prepared.kind,
        architecture=prepared.architecture,
        outtype=request.quantize.upper() if request.quantize else request.outtype,
        n_tensors=len(plan.targets),
        notes=list(prepared.notes),
    )


def _spare_the_source(dst: Path, prepared: Prepared) -> None:
    sources = [*prepared.files, *(shard.path for shard in prepared.plan.shards)]
    if dst.exists() and any(dst.samefile(path) for path in sources):
        raise UsageError(f"{dst} is a file of the source")


def _header(path: Path, request: Request, prepared: Prepared, *, shard_sha256: Sequence[str]) -> bytes:
    """Return magic, metadata and tensor table, padded to where the tensors begin."""
    paths = [*prepared.files, *(shard.path for shard in prepared.plan.shards)]
    metadata: dict[str, MetadataValue] = {
        **prepared.metadata,
        "escl.converter.version": __version__,
        **origin_metadata(origin_of(request.src)),
        **file_metadata(paths, [*(sha256_of(path) for path in prepared.files), *shard_sha256]),
    }
    data_offset = write_header(path, metadata, prepared.plan.targets)
    return path.read_bytes().ljust(data_offset, b"\0")


def _quantized_bytes(plan: Plan, chosen: Quantization) -> int:
    n_weights = sum(prod(target.shape) for target in plan.targets)
    return int(n_weights * chosen.bits / 8)


def _quantized(src: Path, *, chosen: Quantization, n_bytes: int, meter: Meter) -> Path:
    """Return the quantized copy of `src`, which is removed."""
    dst = src.with_name("quantized.gguf")
    before = meter.done
    quantize(
        src,
        dst,
        chosen=chosen,
        threads=os.cpu_count() or 1,
        on_share=lambda share: meter.add(before + int(share * n_bytes) - meter.done),
    )
    meter.add(before + n_bytes - meter.done)
    with dst.open("r+b") as file:
        flush_to_disk(file)
    src.unlink()
    return dst
