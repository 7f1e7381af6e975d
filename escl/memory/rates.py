"""How fast a model file works on this machine: what plans predict minutes from.

Owns the values, reading between them, and what is assumed where nothing was measured; `escl.memory.tune` measures.

The assumptions, for a model whose layers and output hold P parameters in W bytes:

- One decoding step of n sequences reads all weights once and every sequence's keys and values, and computes 2 P
  operations for each sequence: seconds = W / bandwidth + n (K C / bandwidth + 2 P / operations a second), where K is
  the f16 KV bytes of a token and C a context of 1,024 tokens. (Arithmetic of a decoder-only transformer: Kaplan et al.
  2020, arXiv 2001.08361, section 2.1; decoding is bound by memory: Pope et al. 2022, arXiv 2211.05102.)
- Prefill computes the same 2 P operations for each token and reads nothing worth counting.
- What is cached adds K / bandwidth to a decoded token for each token of its context where that was not measured. A CPU
  computes longer than it reads where heads share their keys: 20 ns for each head of each layer on one core (19 with
  heads of 64 values, 21 with 128: llama.cpp's flash attention for single tokens on a Zen 5).
- An adapter takes 0.15 of prefill, as measured with rank 16 on a model of 0.2B on 4 cores.
- An engine takes a second to start before it loads.
- Of a mixture of experts, the share of experts that one token uses counts.
- The bandwidths and rates of work below are those of ordinary machines, not of the best: two channels of DDR4/DDR5 and
  AVX2; a GPU of the middle class; an integrated GPU or base Apple chip. They were chosen, not measured.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal

import msgspec

from escl.memory.model_shape import shape_of
from escl.memory.workload import Tokens
from escl.shelf.gguf_header import GGUFHeader

Place = Literal["cpu", "gpu", "integrated"]

DISK_BYTES_PER_S: Final = 1e9
"""Assumed for reading a file that is not in the page cache: an ordinary NVMe disk, read in order."""

_BANDWIDTH: Final[dict[Place, float]] = {"cpu": 40e9, "gpu": 300e9, "integrated": 100e9}
_OPERATIONS: Final[dict[Place, float]] = {"cpu": 100e9, "gpu": 20e12, "integrated": 4e12}
"""A second; of the CPU, for each core."""
_LOADING: Final[dict[Place, float]] = {"cpu": 4e9, "gpu": 3e9, "integrated": 4e9}
"""Bytes a second from the page cache to where they are used."""
_HEAD_S: Final = 20e-9
_START_S: Final = 1.0
ADAPTER_SHARE: Final = 0.85
_CONTEXT: Final = 1024
_SEQUENCES: Final = (1, 2, 4, 8, 16, 32)


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The speed of one model file with its settings on one device.

    Attributes:
        prefill_tps: Prompt tokens a second, many at a time.
        decode_tps: New tokens a second over all sequences, by the number of sequences side by side.
        load_s: Seconds from the start of the engine until the model is loaded, its file in the page cache.
        source: Whether they were measured on this machine or follow from stated assumptions.
        context: Tokens in each sequence's cache where `decode_tps` holds.
        cached_s: Seconds that each further cached token adds to one decoded token.
        draw_s: Seconds to draw a token from its logits.
        adapter_share: What an adapter leaves of `prefill_tps`.
    """

    prefill_tps: float
    decode_tps: dict[int, float]
    load_s: float
    source: Literal["measured", "assumed"]
    context: int = 0
    cached_s: float = 0.0
    draw_s: float = 0.0
    adapter_share: float = ADAPTER_SHARE

    def decode_s(self, tokens: Tokens, sequences: float) -> float:
        """Return the seconds of decoding with so many sequences side by side."""
        each_s = 1 / self.decode_tps_at(sequences) + self.draw_s
        return max(0.0, tokens.decode * each_s + (tokens.attended - tokens.decode * self.context) * self.cached_s)

    def decode_tps_at(self, sequences: float) -> float:
        """Return new tokens a second with so many sequences, on a line between the two nearest numbers known.

        Above the largest each further sequence adds to a step what a prompt's token takes, the least that it can;
        below the smallest the rate falls with the number.
        """
        known = sorted(self.decode_tps)
        if sequences <= known[0]:
            return self.decode_tps[known[0]] * sequences / known[0]
        for low, high in pairwise(known):
            if sequences <= high:
                part = (sequences - low) / (high - low)
                return self.decode_tps[low] * (1 - part) + self.decode_tps[high] * part
        most, rate = known[-1], self.decode_tps[known[-1]]
        step_s = most / rate + (sequences - most) / self.prefill_tps
        return max(rate, sequences / step_s)


def assumed_rates(model: GGUFHeader, *, place: Place, cores: int) -> Rates:
    """Return the rates that the module's assumptions give a model whose layers are all in one place.

    Args:
        model: Its header.
        place: Where the layers are.
        cores: Physical cores that work on it, for the CPU.

    Raises:
        GGUFError: The header lacks a size.
    """
    weights, parameters = _read_per_token(model)
    bandwidth = _BANDWIDTH[place]
    operations = _OPERATIONS[place] * (cores if place == "cpu" else 1)
    compute_s = 2 * parameters / operations
    cached_s = assumed_cached_s(model, place=place, cores=cores)
    each_s = compute_s + cached_s * _CONTEXT
    return Rates(
        prefill_tps=1 / compute_s,
        decode_tps={n: n / (weights / bandwidth + n * each_s) for n in _SEQUENCES},
        load_s=_START_S + model.size_bytes / _LOADING[place],
        source="assumed",
        context=_CONTEXT,
        cached_s=cached_s,
    )


def assumed_cached_s(model: GGUFHeader, *, place: Place, cores: int) -> float:
    """Return the seconds that a decoded token takes for one more token in its context, with all caches in f16.

    Raises:
        GGUFError: The header lacks a size.
    """
    shape = shape_of(model)
    read_s = 2 * sum(shape.head_counts_kv) * (shape.key_length + shape.value_length) / _BANDWIDTH[place]
    if place != "cpu":
        return read_s
    n_heads = shape.n_head * sum(count > 0 for count in shape.head_counts_kv)
    return max(read_s, n_heads * _HEAD_S / cores)


def _read_per_token(model: GGUFHeader) -> tuple[float, float]:
    """Return the bytes and the parameters that one token meets. The embedding is looked up, unless it is the output."""
    used = _active_experts(model)
    has_output = any(tensor.name == "output.weight" for tensor in model.tensors)
    weights = parameters = 0.0
    for tensor in model.tensors:
        if tensor.name == "token_embd.weight" and has_output:
            continue
        share = used if "_exps." in tensor.name else 1.0
        count = 1
        for size in tensor.shape:
            count *= size
        weights += share * tensor.size_bytes
        parameters += share * count
    return weights, parameters


def _active_experts(model: GGUFHeader) -> float:
    architecture = model.architecture
    experts = model.metadata.get(f"{architecture}.expert_count")
    used = model.metadata.get(f"{architecture}.expert_used_count")
    return used / experts if isinstance(used, int) and isinstance(experts, int) and 0 < used <= experts else 1.0
