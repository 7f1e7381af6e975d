"""escl's batcher against a bare loop over llama_decode, with the settings that tuning found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from escl.bench.evaluate import MachineUse
from escl.bench.result import Row, Table, faster, missing
from escl.bench.tuning import tuning_of
from escl.engine.trial import Compared, Comparison, Setting, Stand
from escl.errors import EngineError
from escl.memory.tuning_store import Tuned
from escl.shelf.manifest import Model

OTHER: Final = "a bare loop over llama_decode"
GOAL: Final = 0.97
_WITHIN_S: Final = 300.0


def compare_batching(
    model: Model, use: MachineUse, *, sequences: Sequence[int], prompt_tokens: int, steps: int, rounds: int
) -> Table:
    """Return how fast the batcher is against the bare loop, prefill and decode apart, by number of dialogues."""
    setting = _setting(use, tuning_of(model, use))
    rows: list[Row] = []
    for count in sequences:
        asked = Comparison(setting=setting, sequences=count, prompt_tokens=prompt_tokens, steps=steps, rounds=rounds)
        rows += _compare(model.path, asked)
    return Table(
        key="batching",
        title=f"The batcher on {model.name}",
        other=OTHER,
        rows=tuple(rows),
        facts={
            "prompt tokens of each": prompt_tokens,
            "new tokens of each": steps,
            "threads": setting.threads,
            "repack": str(setting.repack),
            "n_ubatch": setting.n_ubatch,
            "gpu layers": use.gpu_layers,
        },
        notes=("Both choose greedily, in one context of one process, a batch each in turns; two rounds warm up.",),
    )


def _compare(path: Path, asked: Comparison) -> list[Row]:
    names = [f"{part}, {asked.sequences} sequences" for part in ("prefill", "decode")]
    try:
        # A process for each: one that cannot be measured takes none of the others with it.
        with Stand(path) as stand:
            found = stand.compare(asked, within_s=_WITHIN_S)
    except EngineError as error:
        return [missing(name, "tokens/s", why=error.message, goal=GOAL) for name in names]
    return [
        faster(name, "tokens/s", pairs, goal=GOAL)
        for name, pairs in zip(names, (_prefill(found), _decode(found)), strict=True)
    ]


def _prefill(found: Compared) -> list[tuple[float, float]]:
    n = found.prefill_tokens
    return [(n / ours, n / bare) for ours, bare in zip(found.batcher_prefill_s, found.bare_prefill_s, strict=True)]


def _decode(found: Compared) -> list[tuple[float, float]]:
    n = found.decode_tokens
    return [(n / ours, n / bare) for ours, bare in zip(found.batcher_decode_s, found.bare_decode_s, strict=True)]


def _setting(use: MachineUse, tuned: Tuned) -> Setting:
    found = tuned.settings
    return Setting(
        threads=found.threads or use.threads,
        repack=found.repack,
        n_ubatch=found.n_ubatch,
        flash_attention=found.flash_attention,
        gpu_layers=use.gpu_layers,
        device=use.device,
    )
