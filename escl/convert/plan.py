"""Which rows of which source tensor become which GGUF tensor: the whole conversion decided before a byte is written.

Knows names, shapes and types; reads no numbers and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import cast

import numpy as np
from numpy.typing import NDArray

from escl.convert.architectures import Architecture, Rule
from escl.convert.dimensions import Dimensions
from escl.convert.outcome import OutType
from escl.convert.precision import Q8_0_BLOCK, SOURCE_TYPES, SourceType, StoredType
from escl.convert.shards import Shard, SourceTensor
from escl.errors import ConvertError
from escl.shelf.ggml_types import TENSOR_TYPES, TYPE_IDS

_STORED: dict[OutType, StoredType] = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A tensor of the GGUF file.

    Attributes:
        shape: Rows first; the last dimension is contiguous. GGUF writes it the other way round.
    """

    name: str
    shape: tuple[int, ...]
    stored_as: StoredType

    @property
    def row_bytes(self) -> int:
        """Bytes of one row; a one-dimensional tensor is one row."""
        _, elements, size_bytes = TENSOR_TYPES[TYPE_IDS[self.stored_as]]
        return self.shape[-1] // elements * size_bytes

    @property
    def size_bytes(self) -> int:
        return prod(self.shape[:-1]) * self.row_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where one source tensor goes.

    Attributes:
        parts: Each target with the source row that each of its rows is; None takes all rows as they stand. A target
            that has more rows, or longer ones, than the source gives ends in zeros.
        row_unit: Rows that are read together, so that a block's rows stay together in every target.
    """

    source: SourceTensor
    dtype: SourceType
    parts: tuple[tuple[Target, NDArray[np.int64] | None], ...]
    row_unit: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A GGUF tensor that no source tensor gives: float32 numbers worked out from config.json."""

    target: Target
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole conversion: per shard and source tensor its route. Tensors without a route are read past."""

    shards: tuple[Shard, ...]
    routes: Mapping[str, Route]
    notes: tuple[str, ...]
    computed: tuple[Computed, ...] = ()

    @property
    def targets(self) -> list[Target]:
        """The GGUF tensors in the order in which they lie in the file: the source's, then what was computed."""
        ordered = [
            self.routes[tensor.name] for shard in self.shards for tensor in shard.tensors if tensor.name in self.routes
        ]
        routed = [target for route in ordered for target, _ in route.parts]
        return routed + [computed.target for computed in self.computed]

    @property
    def source_bytes(self) -> int:
        return sum(shard.size_bytes for shard in self.shards)


def plan_model(
    architecture: Architecture, dimensions: Dimensions, *, shards: Sequence[Shard], outtype: OutType
) -> Plan:
    """Return the plan for a checkpoint.

    Raises:
        ConvertError: A tensor is unknown, missing, of the wrong shape or of a type that cannot be read.
    """
    found = tensors_by_name(shards)
    typing = _Typing(outtype)
    routes: dict[str, Route] = {}
    for rule, layer in _expected(architecture, dimensions):
        name = rule.source.format(layer=layer)
        if name == architecture.output and dimensions.tied:
            continue
        if name not in found:
            raise ConvertError(f"tensor {name} is missing from the checkpoint", hint="is a shard missing?")
        routes[name] = _route(rule, layer, found[name], dimensions=dimensions, typing=typing)
    if dimensions.tied and architecture.output_required:
        embedding = routes[architecture.embedding]
        output = typing.target("output.weight", embedding.source.shape)
        routes[architecture.embedding] = Route(
            source=embedding.source, dtype=embedding.dtype, parts=(*embedding.parts, (output, None))
        )
    _refuse_unknown(found, routes, architecture, dimensions)
    return Plan(
        shards=tuple(shards),
        routes=routes,
        notes=(*dimensions.notes, *typing.notes()),
        computed=_rope_divisors(dimensions),
    )


def _rope_divisors(dimensions: Dimensions) -> tuple[Computed, ...]:
    if dimensions.rope.divisors is None:
        return ()
    values = np.array(dimensions.rope.divisors, dtype=np.float32)
    return (Computed(target=Target(name="rope_freqs.weight", shape=values.shape, stored_as="F32"), values=values),)


def tensors_by_name(shards: Iterable[Shard]) -> dict[str, SourceTensor]:
    """Return all tensors of `shards`; no name stands in two of them (escl.convert.shards saw to that)."""
    return {tensor.name: tensor for shard in shards for tensor in shard.tensors}


def _expected(architecture: Architecture, dimensions: Dimensions) -> Iterable[tuple[Rule, int]]:
    for rule in architecture.rules:
        layers = range(dimensions.layers) if "{layer}" in rule.source else range(1)
        for layer in layers:
            yield rule, layer


def _route(rule: Rule, layer: int, source: SourceTensor, *, dimensions: Dimensions, typing: _Typing) -> Route:
    shape = tuple(dimensions.size(size) for size in rule.shape)
    if source.shape != shape:
        raise ConvertError(f"tensor {source.name} has the shape {list(source.shape)}; config.json says {list(shape)}")
    parts = []
    for part in rule.parts:
        rows = part.rows(dimensions) if part.rows is not None else None
        part_shape = shape if rows is None else (len(rows), *shape[1:])
        parts.append((typing.target(part.target.format(layer=layer), part_shape), rows))
    unit = dimensions.head if any(rows is not None for _, rows in parts) else 1
    return Route(source=source, dtype=readable_type(source), parts=tuple(parts), row_unit=unit)


def readable_type(source: SourceTensor) -> SourceType:
    """Return the number format of `source`.

    Raises:
        ConvertError: It is not one of the three that can be read.
    """
    if source.dtype not in SOURCE_TYPES:
        raise ConvertError(f"tensor {source.name} is {source.dtype}; only {', '.join(SOURCE_TYPES)} can be read")
    return cast(SourceType, source.dtype)


def _refuse_unknown(
    found: Mapping[str, SourceTensor], routes: Mapping[str, Route], architecture: Architecture, dimensions: Dimensions
) -> None:
    for name in found:
        if name in routes or name.endswith(architecture.derived):
            continue
        if not (dimensions.tied and name == architecture.output):
            raise ConvertError(f"tensor {name} is unknown to architecture {architecture.name}")


class _Typing:
    """Chooses how each tensor is stored and remembers where it could not follow the wish."""

    def __init__(self, outtype: OutType) -> None:
        self.wish = _STORED[outtype]
        self.fallen_back: list[str] = []

    def target(self, name: str, shape: tuple[int, ...]) -> Target:
        stored_as: StoredType = "F32" if len(shape) == 1 else self.wish
        if stored_as == "Q8_0" and shape[-1] % Q8_0_BLOCK:
            self.fallen_back.append(name)
            stored_as = "F16"
        return Target(name=name, shape=shape, stored_as=stored_as)

    def notes(self) -> tuple[str, ...]:
        if not self.fallen_back:
            return ()
        first, n = self.fallen_back[0], len(self.fallen_back)
        return (f"{n} tensors ({first}, ...) are f16: their rows do not divide into q8_0's blocks of {Q8_0_BLOCK}",)


def stored_type(outtype: OutType) -> StoredType:
    """Return ggml's name for `outtype`."""
    return _STORED[outtype]
