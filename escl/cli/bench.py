"""`escl bench`: how fast escl is with the user's models on this machine, beside a plain script and bare llama.cpp."""

from __future__ import annotations

import shlex
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from escl.cli.options import AsJson, LanguageChoice, LayersOnDevice, Memory, Threads
from escl.cli.output import print_json, progress_console, results_console
from escl.core.printable import printable
from escl.errors import StorageError

if TYPE_CHECKING:
    from escl.bench.result import BenchResult
    from escl.bench.suite import Bench
    from escl.memory.devices import Hardware

_CPU_GOAL, _GPU_GOAL, _SCORING_GOAL = 3.5, 12.0, 1.8


class Comparison(StrEnum):
    """The comparisons, by the keys of escl.bench.suite."""

    TUNING = "tuning"
    BATCHING = "batching"
    SIMULATION = "simulation"
    SCORING = "scoring"
    ADAPTERS = "adapters"
    LOADING = "loading"
    ESTIMATES = "estimates"
    GROWTH = "growth"


def bench(
    supporter: Annotated[str, typer.Argument(help="A model under test: a GGUF file or a name on the shelf.")],
    *,
    seeker: Annotated[str, typer.Option(help="The model that plays the person in need.")] = "esc-role",
    scorer: Annotated[str, typer.Option(help="The model that rates.")] = "esc-rank",
    only: Annotated[list[Comparison] | None, typer.Option(help="This comparison only; can be repeated.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything.")] = False,
    dialogues: Annotated[int, typer.Option(min=2, max=255, help="Dialogues side by side, one for each card.")] = 32,
    lang: Annotated[LanguageChoice, typer.Option(help="Language of the cards.")] = LanguageChoice.ENGLISH,
    ctx: Annotated[int, typer.Option("--ctx", min=256, help="Context in tokens for each dialogue.")] = 4096,
    memory: Memory = None,
    gpu_layers: LayersOnDevice = -1,
    threads: Threads = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Save the result: Markdown for a name in .md, else JSON.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure escl with your models: simulation and scoring against a plain script, the batcher against bare llama.cpp.

    It takes minutes, or with large models hours: the plain script does all the work one after the other.

    Example: escl bench my-model-Q4_K_M.gguf --quick --only simulation
    """
    from escl.bench.evaluate import Casting, MachineUse
    from escl.bench.suite import QUICK, Bench, Effort
    from escl.cli.work import load_model
    from escl.core.card_choice import CardChoice, choose_cards
    from escl.core.protocol import load_protocol
    from escl.engine.child import physical_cores
    from escl.memory.devices import budget_of, parse_bytes, probe_hardware
    from escl.shelf.manifest import ModelRole

    words = load_protocol("open")
    limit = -(-dialogues // len(lang.languages))
    cards = choose_cards(CardChoice(languages=lang.languages, limit=limit))[:dialogues]
    casting = Casting(
        protocol=words,
        cards=tuple(cards),
        seeker=load_model(seeker, ModelRole.SEEKER),
        supporter=load_model(supporter),
        scorer=load_model(scorer, ModelRole.SCORER),
    )
    # The bundled models are small enough for runs of hundreds of dialogues.
    small = {"seeker": "demo/seeker", "supporter": "demo/warm", "scorer": "demo/scorer"}
    growth = msgspec.structs.replace(casting, **{role: load_model(name) for role, name in small.items()})
    hardware, cores = probe_hardware(), threads or physical_cores()
    on_gpu = gpu_layers != 0 and bool(hardware.devices)
    measured = Bench(
        casting=casting,
        growth=growth,
        headers=(casting.seeker.path, casting.supporter.path, casting.scorer.path),
        use=MachineUse(
            hardware=msgspec.structs.replace(hardware, physical_cores=cores),
            budget=budget_of(
                hardware,
                memory=None if memory is None else parse_bytes(memory),
                device=None if on_gpu else "cpu",
            ),
            ctx=ctx,
            threads=cores,
            gpu_layers=gpu_layers if on_gpu else 0,
        ),
        effort=QUICK if quick else Effort(),
        simulation_goal=_GPU_GOAL if on_gpu else _CPU_GOAL,
        scoring_goal=_SCORING_GOAL,
    )
    result = _measure(measured, hardware, only={one.value for one in only or Comparison}, as_json=as_json)
    if as_json:
        print_json(result)
    if out is not None:
        _save(result, out)


def _measure(measured: Bench, hardware: Hardware, *, only: set[str], as_json: bool) -> BenchResult:
    from escl.bench.machine import machine_facts
    from escl.bench.result import BenchResult
    from escl.bench.suite import bench_models, run_comparisons
    from escl.report.bench import print_table

    began, started = time.perf_counter(), datetime.now(UTC)
    # With --json, stdout is the result's alone.
    console = progress_console() if as_json else results_console()
    tables = run_comparisons(measured, only=only, on_table=lambda table: print_table(console, table))
    return BenchResult(
        started_utc=started.isoformat(timespec="seconds"),
        command=printable(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
        machine=machine_facts(hardware),
        models=bench_models(measured.casting),
        tables=tuple(tables),
        elapsed_s=time.perf_counter() - began,
    )


def _save(result: BenchResult, path: Path) -> None:
    from escl.report.bench import markdown

    try:
        if path.suffix == ".md":
            path.write_text(markdown(result), encoding="utf-8")
        else:
            path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
