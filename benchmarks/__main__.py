"""`python -m benchmarks` (`make bench`): every comparison on models with random weights, in one run.

Prints the tables and saves them as JSON and Markdown under benchmarks/results.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from benchmarks.models import MEDIUM, REAL, SMALL, SMALLEST, Choice, cast, headers
from escl.bench.evaluate import MachineUse
from escl.bench.machine import machine_facts
from escl.bench.result import BenchModel, BenchResult, Row, Table, missing
from escl.bench.suite import COMPARISONS, QUICK, Bench, Effort, bench_models, run_comparisons
from escl.engine.child import physical_cores
from escl.memory.devices import Hardware, budget_of, probe_hardware
from escl.report.bench import markdown, print_table

RESULTS: Final = Path(__file__).resolve().parent / "results"
DIALOGUES: Final = 32
CPU_GOAL, GPU_GOAL, SCORING_GOAL = 3.5, 12.0, 1.8
CTX: Final = 2048
_ON_GPU: Final = ("tuning", "batching", "simulation", "scoring", "adapters", "loading")
_NO_GPU: Final = "llama.cpp can use no accelerator on this machine"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    asked = _parser().parse_args(words)
    began, started = time.perf_counter(), datetime.now(UTC)
    hardware = probe_hardware()
    with tempfile.TemporaryDirectory(prefix="escl-bench-models-") as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        # What is measured of models that exist for a benchmark only is kept beside them, not with the user's own.
        os.environ["ESCL_HOME"] = str(folder.resolve())
        models, tables = _measure(folder, hardware, asked)
    result = BenchResult(
        started_utc=started.isoformat(timespec="seconds"),
        command=shlex.join(["python", "-m", "benchmarks", *words]),
        machine=machine_facts(hardware),
        models=models,
        tables=tables,
        elapsed_s=time.perf_counter() - began,
    )
    say(f"saved {save(result, asked.results)}")
    return 0


def say(line: str) -> None:
    """Write a note to stderr."""
    Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)


def save(result: BenchResult, folder: Path, *, about: str | None = None) -> Path:
    """Write `result` as JSON and as Markdown, named by date, what it is about, and machine; return the JSON's path."""
    folder.mkdir(parents=True, exist_ok=True)
    words = (result.started_utc[:10], about, result.machine.slug)
    path = folder / f"{'-'.join(word for word in words if word is not None)}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    path.with_suffix(".md").write_text(markdown(result), encoding="utf-8")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast escl is on this machine.")
    parser.add_argument("--quick", action="store_true", help="less of everything: under two minutes")
    parser.add_argument(
        "--medium",
        action="store_true",
        help="models of 1.5 and 1.8 billion parameters, not 0.6 and 0.2: about 50 minutes",
    )
    parser.add_argument("--only", action="append", choices=[*COMPARISONS, "gpu"], help="this comparison; repeatable")
    parser.add_argument("--keep", type=Path, help="keep the model files in this folder, and use those that are there")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the results are saved")
    parser.add_argument("--threads", type=int, default=physical_cores(), help="threads of both sides")
    return parser


def _measure(
    folder: Path, hardware: Hardware, asked: argparse.Namespace
) -> tuple[tuple[BenchModel, ...], tuple[Table, ...]]:
    console = Console(highlight=False)

    def on_table(table: Table) -> None:
        print_table(console, table)

    only = asked.only or [*COMPARISONS, "gpu"]
    models: tuple[BenchModel, ...] = ()
    tables: list[Table] = []
    if set(only) - {"gpu"}:
        bench = _bench(folder, MEDIUM if asked.medium else SMALL, hardware, asked, gpu=False)
        models += bench_models(bench.casting)
        tables += run_comparisons(bench, only=only, on_table=on_table)
    if "gpu" in only and hardware.devices:
        bench = _bench(folder, REAL, hardware, asked, gpu=True)
        models += bench_models(bench.casting)
        where = hardware.devices[0].description
        tables += [_on(where, table) for table in run_comparisons(bench, only=_ON_GPU, on_table=on_table)]
    elif "gpu" in only:
        tables.append(_not_measured())
        on_table(tables[-1])
    return models, tuple(tables)


def _bench(folder: Path, choice: Choice, hardware: Hardware, asked: argparse.Namespace, *, gpu: bool) -> Bench:
    dialogues = DIALOGUES // 4 if asked.quick else DIALOGUES
    growth = None if gpu else cast(folder, SMALLEST, dialogues=DIALOGUES, say=say)
    return Bench(
        casting=cast(folder, choice, dialogues=dialogues, say=say),
        growth=growth,
        headers=headers(folder),
        use=MachineUse(
            hardware=msgspec.structs.replace(hardware, physical_cores=asked.threads),
            budget=budget_of(hardware, memory=None, device=None if gpu else "cpu"),
            ctx=CTX,
            threads=asked.threads,
            gpu_layers=-1 if gpu else 0,
            tune_s=6.0 if asked.quick else 20.0,
        ),
        effort=_effort(asked, gpu=gpu),
        simulation_goal=GPU_GOAL if gpu else CPU_GOAL,
        scoring_goal=SCORING_GOAL,
    )


def _effort(asked: argparse.Namespace, *, gpu: bool) -> Effort:
    if asked.quick:
        return QUICK
    if gpu:
        return Effort(rounds=5, batch_steps=64)
    # With models that size a comparison takes minutes, and what disturbs it for a second weighs little.
    return Effort(scoring_pairs=1) if asked.medium else Effort()


def _on(device: str, table: Table) -> Table:
    return msgspec.structs.replace(table, key=f"gpu {table.key}", title=f"{table.title}, on {device}")


def _not_measured() -> Table:
    shapes = ", ".join(dict.fromkeys(shape.name for shape in (REAL.seeker, REAL.supporter, REAL.scorer)))
    rows: list[Row] = [
        missing("simulation", "turns/s", why=_NO_GPU, goal=GPU_GOAL),
        missing("scoring", "readings/s", why=_NO_GPU, goal=SCORING_GOAL),
        missing("batching", "tokens/s", why=_NO_GPU, goal=0.97),
    ]
    return Table(key="gpu", title=f"On a GPU ({shapes} at {REAL.quant})", other="as above", rows=tuple(rows))


if __name__ == "__main__":
    sys.exit(main())
