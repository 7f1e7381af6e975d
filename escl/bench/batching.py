"""escl's batcher against a bare loop over llama_decode, and how fast bare llama.cpp evaluates prompts here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from escl.bench.evaluate import MachineUse
from escl.bench.result import Row, Table, faster, missing
from escl.engine.trial import Compared, Comparison, Probe, Setting, Stand
from escl.errors import EngineError
from escl.shelf.manifest import Model

OTHER: Final = "a bare loop over llama_decode"
GOAL: Final = 0.97
_WITHIN_S: Final = 300.0
_UBATCHES: Final = (512, 1024)


def compare_batching(
    model: Model, use: MachineUse, *, sequences: Sequence[int], prompt_tokens: int, steps: int, rounds: int
) -> Table:
    """Return how fast the batcher is against the bare loop, prefill and decode apart, by number of dialogues."""
    rows: list[Row] = []
    for count in sequences:
        asked = Comparison(
            setting=_setting(use), sequences=count, prompt_tokens=prompt_tokens, steps=steps, rounds=rounds
        )
        rows += _compare(model.path, asked)
    return Table(
        key="batching",
        title=f"The batcher on {model.name}",
        other=OTHER,
        rows=tuple(rows),
        facts={
            "prompt tokens of each": prompt_tokens,
            "new tokens of each": steps,
            "threads": use.threads,
            "gpu layers": use.gpu_layers,
        },
        notes=("Both choose greedily, in one context of one process, in turns; a first round warms up.",),
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


def best_prefill_tps(model: Model, use: MachineUse, *, prompt_tokens: int, repeats: int) -> float | None:
    """Return the most prompt tokens a second that bare llama.cpp evaluates without adapters, over the settings tried.

    Weights rearranged for the CPU or not, and two sizes of micro-batch; None when none of them could be measured.
    """
    best = None
    with Stand(model.path) as stand:
        for repack in (False, True):
            for n_ubatch in _UBATCHES:
                asked = Probe(
                    setting=_setting(use, repack=repack, n_ubatch=n_ubatch), prompt_tokens=prompt_tokens, steps=0
                )
                try:
                    seconds = [stand.probe(asked, within_s=_WITHIN_S).prefill_s for _ in range(repeats)]
                except EngineError:
                    continue
                best = max(best or 0.0, prompt_tokens / min(seconds))
    return best


def _setting(use: MachineUse, *, repack: bool = True, n_ubatch: int = 512) -> Setting:
    return Setting(threads=use.threads, repack=repack, n_ubatch=n_ubatch, gpu_layers=use.gpu_layers)
