"""How fast a model file works on this machine: what plans predict minutes from.

Owns the value only; `escl.memory.tune` measures it.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The speed of one model file with its settings on one device.

    Attributes:
        prefill_tps: Prompt tokens a second, many at a time.
        decode_tps: New tokens a second over all sequences, by the number of sequences side by side.
        load_s: Seconds to load the model when its file is in the page cache.
        source: Whether they were measured on this machine or follow from stated assumptions.
    """

    prefill_tps: float
    decode_tps: dict[int, float]
    load_s: float
    source: Literal["measured", "assumed"]
