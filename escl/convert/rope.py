"""Rotary position embeddings: what config.json says of them, and how GGUF says the same.

Knows numbers only: no tensors of a checkpoint, no architecture's name.

Sources: transformers' modeling_rope_utils.py; llama.cpp 0c1e57098, src/llama-model.cpp (the keys under rope.scaling),
src/models/llama.cpp (rope_freqs.weight divides each pair's frequency).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from escl.convert.folder import Fields
from escl.errors import ConvertError

Scaling = Literal["linear", "dynamic", "yarn", "llama3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rope:
    """Rotary embeddings of one model.

    Attributes:
        theta: Base of the frequencies: pair i of n turns by theta^(-i / n) a position.
        keys: What GGUF says of their scaling, under "<architecture>.rope.scaling.".
        divisors: What each pair's frequency is divided by, when no key can say it.
    """

    theta: float
    keys: Mapping[str, str | int | float] = field(default_factory=dict)
    divisors: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()


def read_rope(config: Fields, *, head: int, context: int, known: tuple[Scaling, ...]) -> Rope:
    """Return the rotary embeddings that config.json describes.

    Args:
        config: config.json, of transformers 4 (rope_theta, rope_scaling) or 5 (rope_parameters).
        head: Elements of one attention head.
        context: max_position_embeddings.
        known: The kinds of scaling that llama.cpp computes for this architecture.

    Raises:
        ConvertError: Another kind of scaling, or one whose numbers are missing.
    """
    # transformers 5 moved rope_theta into rope_parameters.
    parameters = config.table("rope_parameters")
    theta = parameters.number("rope_theta", default=config.number("rope_theta", default=10_000.0))
    if parameters.number("partial_rotary_factor", default=config.number("partial_rotary_factor", default=1.0)) != 1.0:
        raise ConvertError(f"{config.where}: partial_rotary_factor is not 1; llama.cpp would turn the whole head")
    kind, table = _scaling(config)
    if kind is None:
        return Rope(theta=theta)
    if kind not in known:
        raise ConvertError(
            f"{config.where}: rope scaling {kind!r} cannot be carried over faithfully",
            hint=f"for this architecture: none, {', '.join(known)}",
        )
    return _KINDS[kind](table, theta, head, context)


def _scaling(config: Fields) -> tuple[str | None, Fields]:
    """Return the kind of rope scaling, None for none, and the table with its numbers."""
    for key in ("rope_scaling", "rope_parameters"):
        table = config.table(key)
        kind = table.text("rope_type") or table.text("type")
        if kind is None and key == "rope_scaling" and table.entries:
            raise ConvertError(f"{config.where}: rope_scaling names no type")
        if kind not in (None, "default"):
            return kind, table
    return None, config


def _dynamic(_table: Fields, theta: float, _head: int, context: int) -> Rope:
    # Dynamic NTK scaling changes nothing up to max_position_embeddings.
    return Rope(theta=theta, notes=(f"rope scaling 'dynamic' is left out; it acts only beyond {context:,} tokens",))


def _linear(table: Fields, theta: float, _head: int, _context: int) -> Rope:
    return Rope(theta=theta, keys={"type": "linear", "factor": table.number("factor")})


def _yarn(table: Fields, theta: float, _head: int, context: int) -> Rope:
    factor = table.number("factor")
    for key in ("mscale", "mscale_all_dim", "attention_factor"):
        if table.entries.get(key) is not None:
            raise ConvertError(f"{table.where}: {key} is set; only YaRN's own attention factor can be carried over")
    if not table.flag("truncate", default=True):
        raise ConvertError(f"{table.where}: truncate is false, which llama.cpp does not do")
    return Rope(
        theta=theta,
        keys={
            "type": "yarn",
            "factor": factor,
            "original_context_length": table.integer("original_max_position_embeddings", default=context),
            "yarn_beta_fast": table.number("beta_fast", default=32.0),
            "yarn_beta_slow": table.number("beta_slow", default=1.0),
        },
    )


def _llama3(table: Fields, theta: float, head: int, _context: int) -> Rope:
    factor, trained = table.number("factor"), table.integer("original_max_position_embeddings")
    low, high = table.number("low_freq_factor"), table.number("high_freq_factor")
    if low >= high:
        raise ConvertError(f"{table.where}: low_freq_factor is not below high_freq_factor")
    turns = trained * theta ** (-np.arange(0, head, 2) / head) / (2 * math.pi)
    # Pairs that turn often over the trained context stay; those that turn rarely are slowed; between them a blend.
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    divisors = 1 / (kept + (1 - kept) / factor)
    return Rope(theta=theta, divisors=tuple(float(divisor) for divisor in divisors))


_KINDS: Final[Mapping[str, Callable[[Fields, float, int, int], Rope]]] = {
    "dynamic": _dynamic,
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
}
