"""What a conversion is asked for and what it gives back. Light: nothing here imports numpy or gguf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

OutType = Literal["f32", "f16", "bf16", "q8_0"]
"""How matrices are stored. One-dimensional tensors (norms, biases) are always f32."""

OUT_TYPES: tuple[OutType, ...] = ("f32", "f16", "bf16", "q8_0")

OnProgress = Callable[[int, int], None]
"""Called with bytes done and bytes to do; both count reading, quantizing and the check at the end."""


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """A GGUF file that was written, reread and found equal to what was meant.

    Attributes:
        sha256: Hash of the whole file, 64 hex digits.
        outtype: Storage type of the matrices: an OutType, or the quantization's name ("Q4_K_M").
        notes: What the user should know, a sentence each: what was left out, what differs from the source.
    """

    path: str
    size_bytes: int
    sha256: str
    kind: Literal["model", "adapter"]
    architecture: str
    outtype: str
    n_tensors: int
    notes: list[str]
