"""ggml's graph allocator, replayed: how large a buffer becomes when a graph's tensors come and go in order.

Follows ggml-alloc.c of llama.cpp 0c1e57098: inputs first, best fit among the holes, memory of an argument reused by
operations that may write in place, everything freed after its last use. Knows nothing of transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_ALIGNMENT: Final = 32
"""TENSOR_ALIGNMENT of ggml's CPU buffers; devices use 128 or 256, which adds kilobytes."""


@dataclass(slots=True, eq=False)
class Node:
    """A tensor of a graph.

    Attributes:
        size_bytes: Its memory; 0 for one that lies outside (a write into the KV cache).
        sources: Its arguments inside the graph, in ggml's order.
        view_of: The tensor whose memory it shows; it has none of its own then.
        in_place: Its operation may write over an argument of the same size.
        kept: An output of the graph: never freed.
    """

    size_bytes: int
    sources: tuple[Node, ...] = ()
    view_of: Node | None = None
    in_place: bool = False
    kept: bool = False
    _children: int = 0
    _views: int = 0
    _offset: int | None = None


@dataclass(slots=True)
class Graph:
    """Tensors in the order in which ggml computes them, inputs in the order in which it meets them."""

    inputs: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)

    def expand(self, node: Node) -> None:
        """Append a tensor after all that it needs (ggml_visit_parents_graph)."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        for source in node.sources:
            self.expand(source)
        (self.nodes if node.sources else self.inputs).append(node)

    def buffer_bytes(self) -> int:
        """Return the size of the buffer that holds the graph; may be called once."""
        holes = _Holes()
        for node in self.inputs:
            node._offset = holes.take(node.size_bytes)
        for node in self.nodes:
            if node.view_of is not None:
                node.view_of._views += 1
            for source in node.sources:
                source._children += 1
        for node in self.nodes:
            if node.view_of is None and node.size_bytes:
                _place(node, holes)
            _leave(node.sources, holes)
        return holes.peak


def view(node: Node) -> Node:
    """Return a tensor that shows the memory of another in another shape."""
    return Node(node.size_bytes, (node,), view_of=node.view_of or node)


def _place(node: Node, holes: _Holes) -> None:
    for parent in node.sources if node.in_place else ():
        # A view has no memory of its own to give away.
        if parent._offset is None or parent.kept or parent.size_bytes != node.size_bytes:
            continue
        if parent._children == 1 and parent._views == 0:
            node._offset, parent._offset = parent._offset, None
            return
    node._offset = holes.take(node.size_bytes)


def _leave(sources: Sequence[Node], holes: _Holes) -> None:
    """Free the arguments that nothing needs any more."""
    for parent in sources:
        parent._children -= 1
        if parent._children or parent._views:
            continue
        owner = parent
        if parent.view_of is not None:
            owner = parent.view_of
            owner._views -= 1
        if owner._views == 0 and owner._children == 0 and owner._offset is not None and not owner.kept:
            holes.give(owner._offset, owner.size_bytes)
            owner._offset = None


class _Holes:
    """Free ranges of a buffer that grows at its end; `peak` is how large it became."""

    def __init__(self) -> None:
        self.peak = 0
        self._ranges: list[tuple[int, int]] = [(0, 1 << 62)]

    def take(self, size: int) -> int:
        size = _aligned(size)
        fitting = [(length, index) for index, (_, length) in enumerate(self._ranges[:-1]) if length >= size]
        # The smallest hole, of equal ones the last; the open end only when nothing else fits.
        least = min(fitting, default=None)
        index = len(self._ranges) - 1 if least is None else max(i for length, i in fitting if length == least[0])
        offset, length = self._ranges[index]
        if length == size:
            del self._ranges[index]
        else:
            self._ranges[index] = (offset + size, length - size)
        self.peak = max(self.peak, offset + size)
        return offset

    def give(self, offset: int, size: int) -> None:
        self._ranges.append((offset, _aligned(size)))
        self._ranges.sort()
        merged: list[tuple[int, int]] = []
        for start, length in self._ranges:
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + length)
            else:
                merged.append((start, length))
        self._ranges = merged


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
