"""All comparisons, in order: what is measured on which models with how much effort."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import msgspec

from escl.bench.adapters import measure_adapter_cost
from escl.bench.batching import compare_batching
from escl.bench.estimates import check_estimates
from escl.bench.evaluate import Casting, MachineUse
from escl.bench.growth import measure_growth
from escl.bench.loading import measure_loading
from escl.bench.result import BenchModel, Table
from escl.bench.scoring import compare_scoring
from escl.bench.simulation import compare_simulation
from escl.bench.tuning import best_prefill_tps, show_tuning, tuned_spec, tuning_of
from escl.engine.wire import EngineSpec
from escl.memory.workload import SUPPORTER_REPLY
from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.manifest import Model


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How much work each comparison does.

    Attributes:
        max_tokens: Of a supporter's turn in the simulation; the usual length by default.
        batch_sizes: Dialogues side by side that the batcher is measured with.
        growth_sizes: Dialogues of the runs that are compared for growth.
        pairs: How often the two sides of the long comparisons go.
        scoring_pairs: The same for scoring, and `rounds_of_batcher` for the batcher.
        with_reuse: Whether scoring is also compared with a script that keeps the rubric's KV.
    """

    rounds: int = 2
    max_tokens: int = SUPPORTER_REPLY
    scoring_rounds: int = 2
    batch_sizes: tuple[int, ...] = (1, 4, 8, 16, 32)
    batch_prompt_tokens: int = 128
    batch_steps: int = 16
    rounds_of_batcher: int = 5
    scoring_pairs: int = 3
    growth_sizes: tuple[int, ...] = (8, 32, 128, 512)
    growth_rounds: int = 1
    growth_tokens: int = 8
    pairs: int = 1
    adapter_prompts: int = 4
    adapter_pairs: int = 3
    with_reuse: bool = True


QUICK: Final = Effort(
    rounds=1,
    max_tokens=16,
    scoring_rounds=1,
    batch_sizes=(1, 8),
    batch_steps=8,
    rounds_of_batcher=1,
    scoring_pairs=1,
    growth_sizes=(8, 32),
    adapter_prompts=2,
    adapter_pairs=1,
    with_reuse=False,
)


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a benchmark is made of.

    Attributes:
        casting: The models of the comparisons.
        growth: Those of the growth runs, small ones if there are; None leaves growth out.
        headers: Models, or their headers alone, whose estimates are compared with llama.cpp's dry allocation.
        simulation_goal: Least ratio of turns a second; so for `scoring_goal` and readings.
    """

    casting: Casting
    growth: Casting | None
    headers: tuple[Path, ...]
    use: MachineUse
    effort: Effort
    simulation_goal: float
    scoring_goal: float


def _simulation(bench: Bench) -> Table:
    effort = bench.effort
    return compare_simulation(
        bench.casting,
        bench.use,
        rounds=effort.rounds,
        max_tokens=effort.max_tokens,
        pairs=effort.pairs,
        goal=bench.simulation_goal,
    )


def _scoring(bench: Bench) -> Table:
    effort = bench.effort
    best = best_prefill_tps(tuning_of(bench.casting.scorer, bench.use))
    return compare_scoring(
        bench.casting,
        bench.use,
        rounds=effort.scoring_rounds,
        pairs=effort.scoring_pairs,
        goal=bench.scoring_goal,
        best_prefill_tps=best,
        with_reuse=effort.with_reuse,
    )


def _batching(bench: Bench) -> Table:
    effort = bench.effort
    return compare_batching(
        bench.casting.supporter,
        bench.use,
        sequences=effort.batch_sizes,
        prompt_tokens=effort.batch_prompt_tokens,
        steps=effort.batch_steps,
        rounds=effort.rounds_of_batcher,
    )


def _loading(bench: Bench) -> Table:
    return measure_loading(_models(bench), bench.use)


def _tuning(bench: Bench) -> Table:
    return show_tuning(_models(bench), bench.use)


def _estimates(bench: Bench) -> Table:
    ctx = bench.use.ctx
    dry = [EngineSpec(model=str(path), ctx_per_slot=ctx, gpu_layers=0, device="cpu") for path in bench.headers]
    if bench.use.gpu_layers:
        return check_estimates(dry, [])
    loaded = (
        tuned_spec(bench.casting.supporter, bench.use),
        tuned_spec(bench.casting.scorer, bench.use, purpose="labels"),
    )
    return check_estimates(dry, [msgspec.structs.replace(spec, slots=2, ctx_per_slot=512) for spec in loaded])


def _models(bench: Bench) -> list[Model]:
    casting = bench.casting
    return list({model.path: model for model in (casting.seeker, casting.supporter, casting.scorer)}.values())


def _adapters(bench: Bench) -> Table:
    effort = bench.effort
    return measure_adapter_cost(
        bench.casting.scorer, bench.use, prompts=effort.adapter_prompts, pairs=effort.adapter_pairs
    )


def _growth(bench: Bench) -> Table:
    effort = bench.effort
    assert bench.growth is not None
    return measure_growth(
        bench.growth,
        bench.use,
        sizes=effort.growth_sizes,
        rounds=effort.growth_rounds,
        max_tokens=effort.growth_tokens,
    )


COMPARISONS: Final[dict[str, Callable[[Bench], Table]]] = {
    "tuning": _tuning,
    "batching": _batching,
    "simulation": _simulation,
    "scoring": _scoring,
    "adapters": _adapters,
    "loading": _loading,
    "estimates": _estimates,
    "growth": _growth,
}


def run_comparisons(bench: Bench, *, only: Collection[str], on_table: Callable[[Table], None]) -> list[Table]:
    """Measure what `only` names, in the order of COMPARISONS; `on_table` is called with each table when it is there."""
    tables = []
    for key, compare in COMPARISONS.items():
        if key not in only or (key == "growth" and bench.growth is None):
            continue
        began = time.perf_counter()
        table = msgspec.structs.replace(compare(bench), elapsed_s=time.perf_counter() - began)
        tables.append(table)
        on_table(table)
    return tables


def bench_models(casting: Casting) -> tuple[BenchModel, ...]:
    """Return what stands in the result about the models."""
    roles = {"seeker": casting.seeker, "supporter": casting.supporter, "scorer": casting.scorer}
    return tuple(_bench_model(role, model) for role, model in roles.items())


def _bench_model(role: str, model: Model) -> BenchModel:
    header = read_gguf_header(model.path)
    layers = header.integer(f"{header.architecture}.block_count")
    width = header.integer(f"{header.architecture}.embedding_length")
    return BenchModel(
        role=role,
        name=model.name,
        size_bytes=model.size_bytes,
        sha256=model.sha256,
        description=f"{header.architecture}, {layers} layers, width {width}, {len(model.adapters)} adapters",
    )
