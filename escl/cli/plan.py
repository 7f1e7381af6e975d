"""`escl plan`: what fits on this machine, and how long it will take, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from escl.cli.options import AsJson, LanguageChoice, ProtocolName, Scorer, Threads
from escl.cli.run import DEMO_PREFIX, choose_cards


def plan(
    supporters: Annotated[list[str], typer.Argument(help="Models under test: GGUF files or names on the shelf.")],
    *,
    seeker: Annotated[
        str | None,
        typer.Option(help="The model that plays the person in need. [esc-role; demo/seeker for demo/ models]"),
    ] = None,
    scorer: Scorer = None,
    no_score: Annotated[bool, typer.Option("--no-score", help="Plan without a scorer.")] = False,
    cards: Annotated[
        list[Path] | None, typer.Option(help="Role cards (ours or upstream's JSON); the bundled ones when not given.")
    ] = None,
    lang: Annotated[LanguageChoice, typer.Option(help="Language of the cards.")] = LanguageChoice.BOTH,
    limit: Annotated[int | None, typer.Option(min=1, help="Cards of each language at most, in file order.")] = None,
    crisis: Annotated[
        bool, typer.Option("--crisis", help="Use the crisis cards instead of the quality cards.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of a dialogue.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="Dialogues for each card and supporter.")] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="One dialogue at a time, no KV reuse.")] = False,
    protocol: ProtocolName = "open",
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a supporter's turn at most. [its manifest's, else 512]")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            help="Rehearse a machine with so much memory, 8GiB for example: of the accelerator, else main memory.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="An accelerator's name (CUDA0), or cpu. [the one with most free memory]"),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, max=255, help="Dialogues side by side. [what fits and pays, up to 32]")
    ] = None,
    ctx: Annotated[
        int | None, typer.Option("--ctx", min=256, help="Context in tokens for each dialogue. [4096]")
    ] = None,
    gpu_layers: Annotated[
        int | None,
        typer.Option("--gpu-layers", min=-1, help="Layers on the accelerator; -1 is all. [as many as fit]"),
    ] = None,
    any_quant: Annotated[
        bool, typer.Option("--any-quant", help="Also consider files beside a model that differ in quantization only.")
    ] = False,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Show what fits into memory, which way is the fastest, and how long it will take. Reads headers, no weights.

    Example: escl plan my-model-Q4_K_M.gguf --lang en --limit 20 --memory 8GiB
    """
    from escl.cli.output import print_json, results_console
    from escl.core.protocol import load_protocol
    from escl.memory.devices import budget_of, parse_bytes, probe_hardware
    from escl.memory.parts import Fixed
    from escl.memory.plan import plan_for
    from escl.memory.workload import workload_of
    from escl.report.plan import print_plan
    from escl.shelf.manifest import ModelRole, locate_model, manifests

    limit_bytes = None if memory is None else parse_bytes(memory)
    chosen = choose_cards(cards, lang, limit=limit, crisis=crisis)
    workload = workload_of(chosen, load_protocol(protocol), rounds=rounds, repeats=repeats)
    toys = all(name.startswith(DEMO_PREFIX) and name in manifests() for name in supporters)
    scorer_name = None if no_score else scorer or ("demo/scorer" if toys else "esc-rank")
    speaking = locate_model(seeker or ("demo/seeker" if toys else "esc-role"), role=ModelRole.SEEKER)
    tested = [locate_model(name) for name in supporters]
    rating = None if scorer_name is None else locate_model(scorer_name, role=ModelRole.SCORER)
    hardware = probe_hardware()
    made = plan_for(
        speaking,
        tested,
        rating,
        workload=workload,
        budget=budget_of(hardware, memory=limit_bytes, device=device),
        hardware=hardware,
        fixed=Fixed(
            parallel=parallel, ctx=ctx, gpu_layers=gpu_layers, threads=threads, any_quant=any_quant, strict=strict
        ),
        max_tokens=max_tokens,
    )
    if as_json:
        print_json(made)
    else:
        print_plan(results_console(), made)
    made.best()
