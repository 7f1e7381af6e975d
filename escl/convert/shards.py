"""The tensors of a checkpoint: which safetensors files hold them, and where in those files.

Every file passes the safetensors library's own strict check first. Reading is left to the writer, which goes through
each file once from beginning to end. It knows no architecture.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open

from escl.convert.folder import Fields, file_in, parse_json, read_json
from escl.errors import ConvertError

_PICKLE_SUFFIXES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_PICKLE_HINT: Final = (
    "pickle files can run code when they are opened, so they never are here; download the repository's "
    "safetensors files (some lie in a pull request: hf download --revision refs/pr/NUMBER), save the checkpoint again "
    "with safe_serialization=True, or use a GGUF file made elsewhere"
)
_DTYPE_BYTES: Final = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTensor:
    """A tensor in a safetensors file.

    Attributes:
        dtype: As safetensors names it: "BF16", "F16", "F32", ...
        shape: Row-major; the last dimension is contiguous.
        offset: Where its bytes begin, counted from the beginning of the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A safetensors file: its tensors in the order of their bytes."""

    path: Path
    size_bytes: int
    tensors: tuple[SourceTensor, ...]


def find_shards(folder: Path, *, stem: str) -> tuple[Shard, ...]:
    """Return the checked safetensors files of `folder` that are named after `stem` ("model" or "adapter_model").

    Raises:
        ConvertError: None or a pickle instead, a shard missing or malformed, a name that leaves the folder, or a
            tensor that is missing, doubled, or where the index does not say.
    """
    index = file_in(folder, f"{stem}.safetensors.index.json")
    single = file_in(folder, f"{stem}.safetensors")
    if index is not None:
        return _indexed(folder, index)
    if single is not None:
        return (read_shard(single),)
    raise _nothing_found(folder, stem)


def _nothing_found(folder: Path, stem: str) -> ConvertError:
    names = sorted(path.name for path in folder.iterdir())
    if pickles := [name for name in names if name.endswith(_PICKLE_SUFFIXES)]:
        return ConvertError(f"{folder} holds its weights in a pickle file ({pickles[0]})", hint=_PICKLE_HINT)
    if shards := [name for name in names if name.endswith(".safetensors")]:
        return ConvertError(
            f"{folder} has {shards[0]} but no {stem}.safetensors and no {stem}.safetensors.index.json",
            hint="the index file says which shards there are; download it too",
        )
    return ConvertError(f"{folder} has no {stem}.safetensors", hint="is this the checkpoint's folder?")


def _indexed(folder: Path, index: Path) -> tuple[Shard, ...]:
    weight_map: dict[str, str] = {}
    for tensor, file_name in Fields(read_json(index), where=str(index)).table("weight_map").entries.items():
        if not isinstance(file_name, str) or not file_name.endswith(".safetensors"):
            raise ConvertError(f"{index}: weight_map sends {tensor} to {file_name!r}, not a safetensors file")
        weight_map[tensor] = file_name
    if not weight_map:
        raise ConvertError(f"{index} has an empty weight_map")
    shards = []
    for file_name in sorted(set(weight_map.values())):
        path = file_in(folder, file_name)
        if path is None:
            raise ConvertError(
                f"{folder} lacks the shard {file_name} that {index.name} names", hint="download it again"
            )
        shards.append(read_shard(path))
    _check_index(weight_map, shards, index)
    return tuple(shards)


def _check_index(weight_map: dict[str, str], shards: list[Shard], index: Path) -> None:
    found: dict[str, str] = {}
    for shard in shards:
        for tensor in shard.tensors:
            if tensor.name in found:
                raise ConvertError(f"tensor {tensor.name} stands twice: in {found[tensor.name]} and {shard.path.name}")
            if weight_map.get(tensor.name) != shard.path.name:
                named = weight_map.get(tensor.name, "nowhere")
                raise ConvertError(f"tensor {tensor.name} is in {shard.path.name}, but {index.name} says {named}")
            found[tensor.name] = shard.path.name
    if missing := sorted(weight_map.keys() - found.keys()):
        raise ConvertError(f"tensor {missing[0]} is not in {weight_map[missing[0]]}, where {index.name} says it is")


def read_shard(path: Path) -> Shard:
    """Return what the safetensors file at `path` holds.

    Raises:
        ConvertError: The safetensors library refuses it (truncated, overlapping, with holes, ...).
    """
    try:
        with safe_open(path, framework="numpy") as checked:
            names = set(checked.keys())
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            header = parse_json(file.read(header_bytes))
    except (SafetensorError, OSError, ValueError) as error:
        raise ConvertError(f"{path} is not a sound safetensors file: {error}", hint="download it again") from error
    if not isinstance(header, dict):
        raise ConvertError(f"{path}: its header is not a JSON object")
    header.pop("__metadata__", None)
    if set(header) != names:
        raise ConvertError(f"{path}: its header reads differently to two parsers")
    tensors = [
        _tensor(name, Fields(entry, where=f"{path}: {name}"), 8 + header_bytes) for name, entry in header.items()
    ]
    return Shard(path=path, size_bytes=size_bytes, tensors=tuple(sorted(tensors, key=lambda tensor: tensor.offset)))


def _tensor(name: str, entry: Fields, data_offset: int) -> SourceTensor:
    dtype = entry.text("dtype") or ""
    shape = tuple(size for size in entry.items("shape") if isinstance(size, int))
    begin, end = (at for at in entry.items("data_offsets") if isinstance(at, int))
    return SourceTensor(name=name, dtype=dtype, shape=shape, offset=data_offset + begin, size_bytes=end - begin)
