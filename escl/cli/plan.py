"""`escl plan`: what fits on this machine, and how long it will take, before anything is loaded."""

from __future__ import annotations

from typing import Annotated

import typer

from escl.cli.options import (
    AnyQuant,
    AsJson,
    CardCategory,
    CardFiles,
    CardIds,
    CardLanguage,
    CardLimit,
    CardSource,
    Context,
    CrisisCards,
    DeviceName,
    GpuLayers,
    LanguageChoice,
    MaxTokens,
    Memory,
    Parallel,
    ProtocolName,
    Quick,
    Repeats,
    Rounds,
    Rubrics,
    Sample,
    Scorer,
    Seeker,
    Supporters,
    Threads,
    UnseenCards,
    card_choice,
)
from escl.cli.planning import Wishes, fixed_by, machine_and_budget
from escl.errors import UsageError


def plan(
    supporters: Supporters,
    *,
    seeker: Seeker = None,
    scorer: Scorer = None,
    no_score: Annotated[bool, typer.Option("--no-score", help="Plan without a scorer.")] = False,
    cards: CardFiles = None,
    lang: CardLanguage = LanguageChoice.BOTH,
    limit: CardLimit = None,
    quick: Quick = False,
    sample: Sample = None,
    crisis: CrisisCards = False,
    category: CardCategory = None,
    source: CardSource = None,
    unseen: UnseenCards = False,
    card: CardIds = None,
    rounds: Rounds = None,
    repeats: Repeats = 1,
    strict: Annotated[bool, typer.Option("--strict", help="One dialogue at a time, no KV reuse.")] = False,
    protocol: ProtocolName = "open",
    rubrics: Rubrics = None,
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
    from escl.evaluation.prospect import Prospect, planned
    from escl.report.plan import print_plan

    if rubrics and no_score:
        raise UsageError("--rubrics is for the scorer, and with --no-score there is none", hint="leave out one")
    chosen = card_choice(
        cards,
        lang,
        limit=limit,
        quick=quick,
        sample=sample,
        crisis=crisis,
        category=category,
        source=source,
        unseen=unseen,
        ids=card,
        supporters=supporters,
    )
    prospect = Prospect(
        supporters=tuple(supporters),
        cards=chosen,
        seeker=seeker,
        scorer=scorer,
        is_scored=not no_score,
        rounds=rounds,
        repeats=repeats,
        protocol=protocol,
        rubrics=tuple(rubrics or ()),
        max_tokens=max_tokens,
    )
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
    made = planned(prospect, hardware=hardware, budget=budget, fixed=fixed_by(wishes, strict=strict))
    if as_json:
        print_json(made)
    else:
        print_plan(results_console(), made)
    made.best()
