"""Number formats: from what safetensors holds to what GGUF holds, row block by row block.

bfloat16 has no numpy type: it is kept as the upper half of a float32's bits. Nothing here knows a tensor's name.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from gguf.constants import GGMLQuantizationType
from gguf.quants import quantize
from numpy.typing import NDArray

SourceType = Literal["F32", "F16", "BF16"]
StoredType = Literal["F32", "F16", "BF16", "Q8_0"]
Rows = NDArray[Any]
"""Rows of one number format; bfloat16 as uint16 bit patterns."""

SOURCE_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}

Q8_0_BLOCK: Final = 32
_BF16_EXPONENT: Final = 0x7F80
_Q8_0_LARGEST: Final = 127 * 65_504.0
"""A block's scale is its largest magnitude / 127, held as float16."""


class TooLargeError(ValueError):
    """A finite number became infinite in the format it was to be stored in."""


def all_finite(rows: Rows, source: SourceType) -> bool:
    """Return whether `rows` hold neither NaN nor infinity."""
    if source == "BF16":
        return not bool(np.any((rows & _BF16_EXPONENT) == _BF16_EXPONENT))
    return bool(np.isfinite(rows).all())


def as_float32(rows: Rows, source: SourceType) -> NDArray[np.float32]:
    """Return `rows` as float32; this is exact."""
    if source == "BF16":
        return (rows.astype(np.uint32) << 16).view(np.float32)
    return rows.astype(np.float32, copy=False)


def stored(rows: Rows, source: SourceType, target: StoredType) -> Rows:
    """Return finite `rows` as GGUF stores them in the type `target`, rounded to nearest.

    Raises:
        TooLargeError: A number does not fit.
    """
    if source == target:
        return np.ascontiguousarray(rows)
    wide = as_float32(rows, source)
    if target == "F32":
        return np.ascontiguousarray(wide)
    if target == "F16":
        with np.errstate(over="ignore"):
            half = wide.astype(np.float16)
        return _finite(half, bool(np.isfinite(half).all()))
    if target == "BF16":
        bits = quantize(wide, GGMLQuantizationType.BF16).view(np.uint16)
        return _finite(bits, all_finite(bits, "BF16"))
    largest = max(float(wide.max(initial=0)), -float(wide.min(initial=0)))
    _finite(wide, largest <= _Q8_0_LARGEST)
    blocks: Rows = quantize(wide, GGMLQuantizationType.Q8_0)
    return blocks


def _finite(rows: Rows, fits: bool) -> Rows:
    if not fits:
        raise TooLargeError
    return rows
