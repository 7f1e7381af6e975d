"""Which quantization of a checkpoint suits this machine, decided before anything big is downloaded.

The rule: the largest of Q8_0, Q6_K, Q5_K_M and Q4_K_M whose weights, with the KV cache of one dialogue and some work
memory, fit what the models may take here. A seeker and a supporter talk with each other, so each may fill one half; a
scorer works alone and may fill all of it. Where none fits, Q4_K_M: below it answers change too much to be the same
instrument, and `escl plan` shows how it can be run nevertheless. It is a rough sum; `escl plan` counts exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from escl.convert.architectures import architecture_of
from escl.convert.dimensions import Dimensions
from escl.convert.folder import Fields, read_json
from escl.convert.quantize import quantization
from escl.memory.devices import Budget, in_size
from escl.shelf.manifest import ModelRole

CANDIDATES: Final = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")
_DIALOGUE_TOKENS: Final = 4096
"""The context that a plan gives a dialogue by default."""
_WORK_BYTES: Final = 512 << 20
F16_BYTES: Final = 2


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """A choice and its reason in words."""

    quantization: str
    reason: str


def read_sizes(folder: Path, weights_bytes: int) -> tuple[Dimensions, int]:
    """Return the dimensions of the checkpoint in `folder` and how many weights its files hold.

    Raises:
        ConvertError: config.json is malformed, or of an architecture that is not known.
    """
    path = folder / "config.json"
    config = Fields(read_json(path), where=str(path))
    dimensions = architecture_of(config).read_dimensions(config)
    # transformers called it torch_dtype up to its version 4.
    kind = config.text("dtype") or config.text("torch_dtype")
    return dimensions, weights_bytes // (4 if kind == "float32" else F16_BYTES)


def quantized_bytes(n_weights: int, name: str) -> int:
    """Return about how many bytes `n_weights` weights take in a quantization."""
    return int(n_weights * quantization(name).bits / 8)


def choose_quantization(
    dimensions: Dimensions, n_weights: int, *, role: ModelRole, budget: Budget, candidates: Sequence[str] = CANDIDATES
) -> Fit:
    """Return the quantization that the rule above gives.

    Args:
        dimensions: Of the model.
        n_weights: How many it has.
        role: Decides its share of the memory.
        budget: What engines may take.
        candidates: From the largest to the smallest.
    """
    room = budget.host_bytes if budget.device_bytes is None else budget.device_bytes
    share = 1 if role in (ModelRole.SCORER, ModelRole.JUDGE) else 2
    allowed = room // share
    kv = 2 * dimensions.layers * dimensions.kv_heads * dimensions.head * F16_BYTES * _DIALOGUE_TOKENS
    needs = {name: quantized_bytes(n_weights, name) + kv + _WORK_BYTES for name in candidates}
    part = "" if share == 1 else "half of "
    chosen = next((name for name, need in needs.items() if need <= allowed), None)
    if chosen is not None:
        reason = f"needs about {in_size(needs[chosen])} and may take {part}{in_size(room)}"
        return Fit(quantization=chosen, reason=reason)
    least = candidates[-1]
    reason = (
        f"needs about {in_size(needs[least])}, more than {part}{in_size(room)}; nothing smaller is made unasked, and "
        "`escl plan` shows how it can be run"
    )
    return Fit(quantization=least, reason=reason)
