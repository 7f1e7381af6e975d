"""The estimates beside what llama.cpp would allocate, and beside the peak of real loads.

Owns the comparison as data: benchmarks print it, tests hold it within bounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from escl.core.dialogue import Message
from escl.core.sampling import Sampling
from escl.engine.client import Engine
from escl.engine.context_shape import context_shape
from escl.engine.dry_run import dry_run
from escl.engine.wire import EngineSpec
from escl.memory.estimate import estimate
from escl.shelf.gguf_header import read_gguf_header

Part = Literal["KV cells", "work memory", "logits", "all but weights", "whole process"]

_WORD: Final = " a"
_PROBE_WORDS: Final = 64
_REPLY_TOKENS: Final = 8
_REPORTS_EVERY_S: Final = 0.3


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate and what it stands against.

    Attributes:
        model: The file's name.
        setting: What of the EngineSpec differs from its defaults.
        against: Where the reference comes from: llama.cpp's dry allocation, or the peak of a real process.
    """

    model: str
    setting: str
    part: Part
    against: Literal["dry allocation", "measured peak"]
    estimated_bytes: int
    reference_bytes: int

    @property
    def ratio(self) -> float:
        """Estimate by reference."""
        return self.estimated_bytes / self.reference_bytes


def against_dry_run(spec: EngineSpec) -> tuple[Compared, ...]:
    """Return the parts of an estimate beside llama.cpp's dry allocation for the same spec; CPU only.

    The file may be a header without data. Logits: llama.cpp begins with a row for each sequence and grows to the rows
    of the largest batch; the reference is its bytes for a row times those rows.

    Raises:
        EngineError: llama.cpp refuses the file or the settings.
        GGUFError: The header is unsound.
    """
    header, real = read_gguf_header(Path(spec.model)), dry_run(spec)
    host = estimate(header, spec).host
    context = context_shape(spec, n_ctx=spec.ctx_per_slot)
    logits = sum(real.output_bytes.values()) * context.n_outputs // context.n_sequences
    work = sum(real.compute_bytes.values())
    parts: tuple[tuple[Part, int, int], ...] = (
        ("KV cells", host.kv, real.kv_bytes),
        ("work memory", host.compute, work),
        ("logits", host.output, logits),
        ("all but weights", host.kv + host.compute + host.output, real.kv_bytes + work + logits),
    )
    return tuple(_row(spec, part, "dry allocation", estimated, reference) for part, estimated, reference in parts)


async def against_peak(spec: EngineSpec) -> Compared:
    """Return an estimate beside the peak of a process that loads the model and fills every slot to its full context.

    Raises:
        EngineError: The model cannot be loaded or does not answer.
        GGUFError: The header is unsound.
    """
    header = read_gguf_header(Path(spec.model))
    adapters = [read_gguf_header(Path(path)) for path in spec.adapters.values()]
    estimated = estimate(header, spec, adapters=adapters).host.total
    return _row(spec, "whole process", "measured peak", estimated, await measured_peak(spec))


async def measured_peak(spec: EngineSpec) -> int:
    """Return the most memory that an engine's process had resident when all its slots were full, in bytes."""
    async with await Engine.start(spec) as engine:
        words = await _words(engine, engine.ready.n_ctx_per_slot - _REPLY_TOKENS)
        adapters: list[str | None] = [*spec.adapters]
        for adapter in adapters or [None]:
            slots = range(engine.ready.slots)
            await asyncio.gather(*(_ask(engine, spec, adapter, slot=slot, words=words) for slot in slots))
        # The child reports when its last report is a while ago and it has something to do.
        await asyncio.sleep(_REPORTS_EVERY_S)
        await _ask(engine, spec, None, slot=0, words=1)
        assert engine.progress is not None
        return max(engine.ready.peak_rss_bytes, engine.progress.peak_rss_bytes)


async def _words(engine: Engine, n_tokens: int) -> int:
    """Return how many words make a prompt of almost `n_tokens`."""
    empty = await engine.count_tokens([Message("user", "")])
    probe = await engine.count_tokens([Message("user", _WORD * _PROBE_WORDS)])
    return int((n_tokens - probe) / max(1.0, (probe - empty) / _PROBE_WORDS)) + _PROBE_WORDS


async def _ask(engine: Engine, spec: EngineSpec, adapter: str | None, *, slot: int, words: int) -> None:
    if spec.purpose == "labels":
        rest = _WORD * (words - 1)
        await engine.read_label(adapter=adapter, system=None, prefix=_WORD, rest=rest, max_tokens=_REPLY_TOKENS)
        return
    sampling = Sampling(temperature=0.0, top_p=1.0, top_k=0, repeat_penalty=1.0, max_tokens=_REPLY_TOKENS)
    messages = [Message("user", _WORD * words)]
    await engine.generate(session=f"slot {slot}", messages=messages, sampling=sampling, seed=0)


def _row(
    spec: EngineSpec, part: Part, against: Literal["dry allocation", "measured peak"], estimated: int, reference: int
) -> Compared:
    return Compared(
        model=Path(spec.model).stem,
        setting=setting_of(spec),
        part=part,
        against=against,
        estimated_bytes=estimated,
        reference_bytes=reference,
    )


def setting_of(spec: EngineSpec) -> str:
    """Return what decides a spec's memory, in words."""
    words: Sequence[str] = (
        f"{spec.slots} x {spec.ctx_per_slot} tokens",
        f"for {spec.purpose}",
        f"ubatch {spec.n_ubatch}",
        f"KV {spec.kv_type}",
        *(["no flash attention"] if spec.flash_attention is False else []),
        *(["repacked"] if spec.repack else []),
        *([f"{len(spec.adapters)} adapters"] if spec.adapters else []),
    )
    return ", ".join(words)
