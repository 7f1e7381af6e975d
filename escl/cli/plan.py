"""`escl plan`: what fits on this machine, and how long it will take, before anything is loaded."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from escl.cli.options import (
    AnyQuant,
    AsJson,
    CardFiles,
    CardLanguage,
    CardLimit,
    Context,
    CrisisCards,
    DeviceName,
    GpuLayers,
    LanguageChoice,
    MaxTokens,
    Memory,
    Parallel,
    ProtocolName,
    Repeats,
    Rounds,
    Scorer,
    Seeker,
    Supporters,
    Threads,
)
from escl.cli.planning import Wishes, fixed_by, machine_and_budget
from escl.cli.run import DEMO_PREFIX, choose_cards


def plan(
    supporters: Supporters,
    *,
    seeker: Seeker = None,
    scorer: Scorer = None,
    no_score: Annotated[bool, typer.Option("--no-score", help="Plan without a scorer.")] = False,
    cards: CardFiles = None,
    lang: CardLanguage = LanguageChoice.BOTH,
    limit: CardLimit = None,
    crisis: CrisisCards = False,
    rounds: Rounds = None,
    repeats: Repeats = 1,
    strict: Annotated[bool, typer.Option("--strict", help="One dialogue at a time, no KV reuse.")] = False,
    protocol: ProtocolName = "open",
    max_tokens: MaxTokens = None,
    memory: Memory = None,
    device: DeviceName = None,
    parallel: Parallel = None,
    ctx: Context = None,
    gpu_layers: GpuLayers = None,
    threads: Threads = None,
    any_quant: AnyQuant = False,
    as_json: AsJson = False,
) -> None:
    """Show what fits into memory, which way is the fastest, and how long it will take. Reads headers, no weights.

    Example: escl plan my-model-Q4_K_M.gguf --lang en --limit 20 --memory 8GiB
    """
    from escl.cli.output import print_json, results_console
    from escl.core.dialogue import Speaker
    from escl.core.protocol import load_protocol
    from escl.memory.plan import plan_for
    from escl.memory.workload import workload_of
    from escl.report.plan import print_plan
    from escl.shelf.manifest import ModelRole, locate_model, manifests
    from escl.supporters.reference import outside_supporter

    chosen = choose_cards(cards, lang, limit=limit, crisis=crisis)
    toys = all(name.startswith(DEMO_PREFIX) and name in manifests() for name in supporters)
    scorer_name = None if no_score else scorer or ("demo/scorer" if toys else "esc-rank")
    speaking = locate_model(seeker or ("demo/seeker" if toys else "esc-role"), role=ModelRole.SEEKER)
    elsewhere = {name: found for name in supporters if (found := outside_supporter(name)) is not None}
    words = load_protocol(protocol)
    default = words.default_sampling(Speaker.SUPPORTER)
    located = [locate_model(name) for name in supporters if name not in elsewhere]
    tested = [msgspec.structs.replace(one, sampling=one.sampling or default) for one in located]
    speaking = msgspec.structs.replace(speaking, sampling=speaking.sampling or words.default_sampling(Speaker.SEEKER))
    longest = [max_tokens or (one.sampling or default).max_tokens for one in elsewhere.values()]
    workload = workload_of(chosen, words, rounds=rounds or words.default_rounds(), repeats=repeats, outside=longest)
    rating = None if scorer_name is None else locate_model(scorer_name, role=ModelRole.SCORER)
    wishes = Wishes(
        memory=memory,
        device=device,
        parallel=parallel,
        ctx=ctx,
        gpu_layers=gpu_layers,
        threads=threads,
        any_quant=any_quant,
    )
    hardware, budget = machine_and_budget(wishes)
    made = plan_for(
        speaking,
        tested,
        rating,
        workload=workload,
        budget=budget,
        hardware=hardware,
        fixed=fixed_by(wishes, strict=strict),
        max_tokens=max_tokens,
    )
    if as_json:
        print_json(made)
    else:
        print_plan(results_console(), made)
    made.best()
