"""The conversion from end to end: read, plan, check the room, write, reread, rename.

Everything that can be refused is refused before the first byte is written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal, get_args

from escl import __version__
from escl.convert.architectures import Architecture, Dimensions, architecture_of
from escl.convert.bpe import read_bpe
from escl.convert.disk import check_room, flush_to_disk, publish, staging
from escl.convert.folder import Fields, file_in, read_json, required_file_in
from escl.convert.lora import plan_adapter, read_lora_config
from escl.convert.outcome import Converted, OnProgress, OutType
from escl.convert.plan import Plan, plan_model, tensors_by_name
from escl.convert.progress import Meter
from escl.convert.provenance import file_metadata, origin_metadata, origin_of
from escl.convert.quantize import Quantization, quantization, quantize
from escl.convert.reread import reread
from escl.convert.sentencepiece import read_sentencepiece
from escl.convert.shards import SourceTensor, find_shards
from escl.convert.system_prompt import default_system_prompt
from escl.convert.writer import MetadataValue, data_bytes, put_header, write_header, write_tensors
from escl.errors import ConvertError, StorageError, UsageError
from escl.shelf.manifest import sha256_of

# `enum llama_ftype` of llama.h.
_FILE_TYPES: dict[OutType, int] = {"f32": 0, "f16": 1, "q8_0": 7, "bf16": 32}
_QUANTIZATION_VERSION = 2
"""GGML_QNT_VERSION of ggml.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of `escl.convert.convert`."""

    src: Path
    dst: Path
    outtype: OutType
    quantize: str | None
    base: Path | None
    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that is known before the first byte is written.

    Attributes:
        files: Source files besides the shards.
    """

    kind: Literal["model", "adapter"]
    architecture: str
    plan: Plan
    metadata: Mapping[str, MetadataValue]
    files: Sequence[Path]
    notes: Sequence[str]


def run(request: Request, *, on_progress: OnProgress | None) -> Converted:
    """Convert as `escl.convert.convert` says."""
    chosen = _check_options(request)
    _check_destination(request)
    try:
        prepared = _prepare_adapter(request) if request.base is not None else _prepare_model(request)
    except OSError as error:
        raise ConvertError(f"{error.filename or request.src}: {error.strerror or error}") from error
    return _write(request, prepared, chosen=chosen, on_progress=on_progress)


def _check_options(request: Request) -> Quantization | None:
    if request.outtype not in get_args(OutType):
        raise UsageError(f"no outtype is called {request.outtype}", hint=f"known: {', '.join(get_args(OutType))}")
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


def _prepare_model(request: Request) -> Prepared:
    src = request.src
    if file_in(src, "config.json") is None and file_in(src, "adapter_config.json") is not None:
        raise UsageError(f"{src} is an adapter", hint="name its base model's folder with --base")
    config, config_path = _config(src)
    architecture = architecture_of(config)
    dimensions = architecture.read_dimensions(config)
    shards = find_shards(src, stem="model")
    plan = plan_model(architecture, dimensions, shards=shards, outtype=request.outtype)
    _check_tied(architecture, dimensions, plan, src)
    reader = read_bpe if architecture.vocabulary == "bpe" else read_sentencepiece
    vocabulary, vocabulary_files = reader(src, config=config, n_vocab=dimensions.vocab)
    prompt, prompt_files, prompt_notes = _system_prompt(architecture, src)
    metadata: dict[str, MetadataValue] = {
        "general.architecture": architecture.name,
        "general.type": "model",
        "general.name": origin_of(src).repository or _folder_name(src),
        "general.file_type": _FILE_TYPES[request.outtype],
        "general.quantization_version": _QUANTIZATION_VERSION,
        **_model_metadata(architecture, dimensions),
        **vocabulary.metadata(),
        **prompt,
    }
    return Prepared(
        kind="model",
        architecture=architecture.name,
        plan=plan,
        metadata=metadata,
        files=[config_path, *vocabulary_files, *prompt_files, *_index(src, "model")],
        notes=[*plan.notes, *vocabulary.notes, *prompt_notes],
    )


def _config(folder: Path) -> tuple[Fields, Path]:
    path = required_file_in(folder, "config.json", why="give the folder of a Hugging Face checkpoint")
    return Fields(read_json(path), where=str(path)), path


def _index(folder: Path, stem: str) -> list[Path]:
    path = file_in(folder, f"{stem}.safetensors.index.json")
    return [] if path is None else [path]


def _folder_name(folder: Path) -> str:
    # A file system may hold names that are no Unicode.
    return folder.resolve().name.encode(errors="replace").decode() or "model"


def _model_metadata(architecture: Architecture, dimensions: Dimensions) -> dict[str, MetadataValue]:
    keys: dict[str, MetadataValue] = {
        "block_count": dimensions.layers,
        "context_length": dimensions.context,
        "embedding_length": dimensions.hidden,
        "feed_forward_length": dimensions.ffn,
        "attention.head_count": dimensions.heads,
        "attention.head_count_kv": dimensions.kv_heads,
        "attention.layer_norm_rms_epsilon": dimensions.rms_epsilon,
        "rope.freq_base": dimensions.rope_theta,
    }
    return {f"{architecture.name}.{key}": value for key, value in keys.items()}


def _check_tied(architecture: Architecture, dimensions: Dimensions, plan: Plan, src: Path) -> None:
    """Refuse a checkpoint that says its output matrix is the embedding, but holds another one."""
    found = tensors_by_name(plan.shards)
    output = found.get(architecture.output)
    if not dimensions.tied or output is None:
        return
    embedding = found[architecture.embedding]
    if (output.dtype, output.shape) != (embedding.dtype, embedding.shape) or not _same_bytes(plan, output, embedding):
        raise ConvertError(f"{src}: config.json ties the embeddings, but {output.name} differs from {embedding.name}")


def _same_bytes(plan: Plan, one: SourceTensor, other: SourceTensor) -> bool:
    paths = {tensor.name: shard.path for shard in plan.shards for tensor in shard.tensors}
    with paths[one.name].open("rb") as first, paths[other.name].open("rb") as second:
        first.seek(one.offset)
        second.seek(other.offset)
        left = one.size_bytes
        while left > 0:
            n = min(left, 1 << 20)
            if first.read(n) != second.read(n):
                return False
            left -= n
    return True


def _system_prompt(architecture: Architecture, src: Path) -> tuple[dict[str, str], list[Path], list[str]]:
    if architecture.name != "internlm2":
        return {}, [], []
    path = file_in(src, "modeling_internlm2.py")
    if path is None:
        return {}, [], ["no modeling_internlm2.py, so the default system prompt of chat is unknown and not stored"]
    prompt, problem = default_system_prompt(path)
    if prompt is None:
        return {}, [], [problem or ""]
    return {"escl.chat.default_system_prompt": prompt}, [path], []


def _prepare_adapter(request: Request) -> Prepared:
    src, base = request.src, request.base
    assert base is not None
    if not base.is_dir():
        raise ConvertError(f"{base} is not a folder", hint="--base names the base model's checkpoint folder")
    base_config, base_config_path = _config(base)
    architecture = architecture_of(base_config)
    dimensions = architecture.read_dimensions(base_config)
    config, config_path = read_lora_config(src)
    shards = find_shards(src, stem="adapter_model")
    plan = plan_adapter(architecture, dimensions, config=config, shards=shards, outtype=request.outtype)
    metadata: dict[str, MetadataValue] = {
        "general.architecture": architecture.name,
        "general.type": "adapter",
        "general.name": _folder_name(src),
        "general.file_type": _FILE_TYPES[request.outtype],
        "adapter.type": "lora",
        "adapter.lora.alpha": config.stored_alpha,
    }
    if config.base_model:
        metadata["escl.source.base_model"] = config.base_model
    return Prepared(
        kind="adapter",
        architecture=architecture.name,
        plan=plan,
        metadata=metadata,
        files=[config_path, base_config_path, *_index(src, "adapter_model")],
        notes=list(plan.notes),
    )


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
