"""What context an EngineSpec asks of llama.cpp: cells, sequences, rows of logits.

Owns the numbers that the batcher, the label reader, the dry run and the memory estimate must agree on. Loads no
llama.cpp.
"""

from __future__ import annotations

from typing import Final

import msgspec

from escl.engine.wire import EngineSpec

LABEL_ROWS: Final = 8
"""Rows of logits for each slot in one decode of the label reader, where a draft is verified position by position: the
label, what a draft keeps behind it, and some to spare. A longer draft takes more decodes, each row n_vocab floats."""

_CELL_BLOCK: Final = 256
"""llama.cpp rounds the cells of a stream up to this (GGML_PAD in llama_context's constructor)."""


class ContextShape(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of a context.

    Attributes:
        n_ctx: KV cells in all.
        n_sequences: Sequence ids run below this.
        n_outputs: Rows of logits per decode at most.
        unified: One pool of cells; else one stream of n_ctx / n_sequences cells per sequence.
    """

    n_ctx: int
    n_sequences: int
    n_outputs: int
    unified: bool


def context_shape(spec: EngineSpec, *, n_ctx: int) -> ContextShape:
    """Return the context for slots of `n_ctx` tokens each."""
    slots = 1 if spec.strict else spec.slots
    cells = -(-n_ctx // _CELL_BLOCK) * _CELL_BLOCK * slots
    if spec.purpose == "dialogue":
        return ContextShape(n_ctx=cells, n_sequences=slots, n_outputs=slots, unified=False)
    # One more sequence than slots: the last one parks the prefix that the others share.
    n_sequences = slots + 1
    return ContextShape(n_ctx=cells, n_sequences=n_sequences, n_outputs=LABEL_ROWS * slots, unified=True)
