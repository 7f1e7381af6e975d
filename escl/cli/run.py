"""`escl run` and `escl demo`: a whole evaluation."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.dry_run import show_dry_run
from escl.cli.ending import PLAYS_ALL, Ending, looked, sampled, say_ending
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
    Margin,
    MaxTokens,
    Memory,
    NoTune,
    Out,
    Parallel,
    ProtocolName,
    Quick,
    Repeats,
    RetryFailed,
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
from escl.core.card import cards_sha256
from escl.core.card_choice import CardChoice, choose_cards
from escl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from escl.cli.planning import Wishes
    from escl.core.dialogue import Turn
    from escl.core.own_dimension import OwnDimension
    from escl.evaluation.run import Simulation
    from escl.evaluation.until_sure import Look
    from escl.memory.choices import Role
    from escl.shelf.manifest import Model
    from escl.store.run import RunStore

EXCERPT_TURNS = 5


def run(
    supporters: Supporters,
    *,
    cards: CardFiles = None,
    lang: CardLanguage = LanguageChoice.BOTH,
    limit: CardLimit = None,
    crisis: CrisisCards = False,
    quick: Quick = False,
    sample: Sample = None,
    category: CardCategory = None,
    source: CardSource = None,
    unseen: UnseenCards = False,
    card: CardIds = None,
    rounds: Rounds = None,
    repeats: Repeats = 1,
    seeker: Seeker = None,
    scorer: Scorer = None,
    no_score: Annotated[
        bool, typer.Option("--no-score", help="Simulate only; the same command without this scores.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="One dialogue at a time, no KV reuse, the named files only: same machine, same bytes. Slower.",
        ),
    ] = False,
    protocol: ProtocolName = "open",
    rubrics: Rubrics = None,
    max_tokens: MaxTokens = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=10.0, help="Of the supporters; 0 is greedy. Default: its manifest's, else the protocol's."
        ),
    ] = None,
    stop_when_sure: Annotated[
        bool,
        typer.Option("--stop-when-sure", help="End once it is sure which of two supporters is better on average."),
    ] = False,
    margin: Margin = 0.2,
    retry_failed: RetryFailed = False,
    memory: Memory = None,
    device: DeviceName = None,
    parallel: Parallel = None,
    ctx: Context = None,
    gpu_layers: GpuLayers = None,
    threads: Threads = None,
    any_quant: AnyQuant = False,
    no_tune: NoTune = False,
    out: Out = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and the tables to come; load and write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the seeker talk with each supporter from role cards, score the dialogues, show the results.

    Every turn is saved at once: after Ctrl-C, a crash or a power cut, the same command goes on where it was.

    A supporter is a GGUF file or a name on the shelf; an endpoint, http://127.0.0.1:8080/v1#model; Python code,
    python:package.module:Name; a TOML file of any of these; or human, and you answer. docs/supporters.md has them all.

    Example: escl run my-model-Q4_K_M.gguf --lang en --limit 20 --out my-model.db
    """
    from escl.cli.outside import load_supporter
    from escl.cli.planning import Wishes
    from escl.cli.work import load_model
    from escl.core.own_dimension import own_for
    from escl.core.protocol import load_protocol
    from escl.evaluation.prospect import usual_models
    from escl.evaluation.run import Simulation
    from escl.shelf.manifest import ModelRole

    if strict and parallel is not None and parallel > 1:
        raise UsageError(
            f"--strict speaks one dialogue at a time, which --parallel {parallel} contradicts", hint="leave out one"
        )
    if stop_when_sure and (len(supporters) != 2 or no_score or crisis):
        raise UsageError(
            "--stop-when-sure compares the scores of two supporters on quality cards",
            hint="name two supporters, without --no-score and --crisis",
        )
    if rubrics and no_score:
        raise UsageError("--rubrics is for the scorer, and with --no-score there is none", hint="leave out one")
    choice = card_choice(
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
    chosen = choose_cards(choice)
    called = "quick" if quick else "sample" if sample is not None else None
    if called is not None:
        chosen = sampled(chosen, choice, name=called)
    words = load_protocol(protocol)
    tested = [load_supporter(name, parallel=parallel) for name in supporters]
    languages = {card.language for card in chosen}
    for language in languages:
        words.wording(language)
    usual_seeker, usual_scorer = usual_models(supporters)
    simulation = Simulation(
        protocol=words,
        cards=chosen,
        seeker=load_model(seeker or usual_seeker, ModelRole.SEEKER),
        supporters=tested,
        rounds=rounds or words.default_rounds(),
        repeats=repeats,
        own=own_for(rubrics or (), languages),
        seed=seed,
        strict=strict,
        temperature=temperature,
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
        tune=not (no_tune or dry_run),
    )
    scorer_name = None if no_score else scorer or usual_scorer
    ending = Ending(margin=margin if stop_when_sure else None, sample=called)
    raise typer.Exit(
        _evaluate(
            simulation,
            scorer_name,
            wishes,
            out=out,
            as_json=as_json,
            retry_failed=retry_failed,
            ending=ending,
            dry_run=dry_run,
        )
    )


def demo(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Cards of each language.")] = 4,
    lang: Annotated[LanguageChoice, typer.Option(help="Language of the cards.")] = LanguageChoice.BOTH,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Run a whole evaluation on the bundled toy models: seeker, two supporters, scorer. No network, no GPU.

    Example: escl demo --limit 2 --out demo.db
    """
    from escl.cli.planning import Wishes
    from escl.cli.work import load_model
    from escl.core.protocol import load_protocol
    from escl.evaluation.run import Simulation

    # Models this small are slower on several threads than on one.
    wishes = Wishes(device="cpu", parallel=8, ctx=2048, threads=1, tune=False)
    simulation = Simulation(
        protocol=load_protocol("open"),
        cards=choose_cards(CardChoice(languages=lang.languages, limit=limit)),
        seeker=load_model("demo/seeker"),
        supporters=[load_model("demo/warm"), load_model("demo/curt")],
        seed=seed,
    )
    with tempfile.TemporaryDirectory(prefix="escl-demo-") as folder:
        path = out or Path(folder) / "demo.db"
        code = _evaluate(
            simulation, "demo/scorer", wishes, out=path, as_json=as_json, excerpt=True, is_kept=out is not None
        )
    raise typer.Exit(code)


def _evaluate(
    simulation: Simulation,
    scorer_name: str | None,
    wishes: Wishes,
    *,
    out: Path | None,
    as_json: bool,
    excerpt: bool = False,
    is_kept: bool = True,
    retry_failed: bool = False,
    ending: Ending = PLAYS_ALL,
    dry_run: bool = False,
) -> int:
    from escl.cli.outside import answering, say_outside
    from escl.cli.planning import as_planned, cast_as_planned, explaining_out_of_memory, plan_run
    from escl.cli.work import default_out, load_model, open_run, say_plan, show, work
    from escl.evaluation.engines import Engines
    from escl.evaluation.observer import RunObserver
    from escl.evaluation.until_sure import Work, until_sure
    from escl.shelf.manifest import ModelRole

    scorer = None if scorer_name is None else load_model(scorer_name, ModelRole.SCORER)
    plan = plan_run(simulation, scorer, wishes)
    named = seats(simulation, scorer)
    simulation = cast_as_planned(simulation, plan)
    scorer = None if scorer is None else as_planned(scorer, "scorer", plan)
    settings = simulation.settings(cards_sha256(simulation.cards))
    path = out or default_out(settings)
    say_plan(plan, named, at_most=ending.margin is not None)
    say_outside(simulation)
    if dry_run:
        return show_dry_run(simulation, scorer, plan, path=path, as_json=as_json)

    answer = answering(simulation)
    looks: list[Look] = []

    async def task(store: RunStore, observer: RunObserver, stop: asyncio.Event) -> None:
        async with Engines(
            plan, store, observer=observer, stop=stop, outside=simulation.outside, answer=answer
        ) as engines:
            playing = Work(
                simulation=simulation, scorer=scorer, store=store, engines=engines, observer=observer, stop=stop
            )
            if ending.margin is None:
                await playing.play(simulation.cards)
            else:
                looking = partial(looked, store, path, margin=ending.margin)
                looks.extend(await until_sure(simulation.cards, play=playing.play, looked=looking, stop=stop))

    store = open_run(path, settings, simulation.protocol)
    try:
        if retry_failed:
            _retry_failed(store, scorer, simulation.own)
        with explaining_out_of_memory(plan, wishes, lambda less: plan_run(simulation, scorer, less)):
            interrupted = work(store, task, is_talking=answer is not None)
        if excerpt and not as_json:
            _print_excerpts(store)
        code = show(store, path if is_kept else None, interrupted=interrupted, as_json=as_json)
        say_ending(ending, looks, store, path)
        return code
    finally:
        store.close()


def _retry_failed(store: RunStore, scorer: Model | None, own: Sequence[OwnDimension]) -> None:
    """Let what the speakers gave up be said again, and what this scorer gave up be read again."""
    from escl.evaluation.run import judging_settings, own_judging_settings

    store.retry_failed()
    if scorer is None:
        return
    store.retry_failed(judging_id=store.add_judging(judging_settings(store, scorer)))
    for each in own:
        store.retry_failed(judging_id=store.add_judging(own_judging_settings(store, scorer, each)))


def seats(simulation: Simulation, scorer: Model | None) -> list[tuple[Role, Model]]:
    """Return the models of a run that are loaded here with their roles, in the plan's order."""
    speaking: list[tuple[Role, Model]] = [("seeker", simulation.seeker)]
    speaking += [("supporter", model) for model in simulation.loaded_here]
    return speaking if scorer is None else [*speaking, ("scorer", scorer)]


def _print_excerpts(store: RunStore) -> None:
    from escl.cli.output import results_console
    from escl.report.terminal import dialogue_panel

    for title, turns in excerpts(store):
        results_console().print(dialogue_panel(turns, title=title))


def excerpts(store: RunStore) -> Iterator[tuple[str, list[Turn]]]:
    """Yield the opening of each supporter's first dialogue, all on the same card, to show what a run is made of."""
    finished = [dialogue for dialogue in store.dialogues() if dialogue.state == "complete"]
    for dialogue in finished:
        if dialogue.card_id == finished[0].card_id and dialogue.repeat == 0:
            turns = store.turns(dialogue.id)[:EXCERPT_TURNS]
            yield f"{dialogue.supporter} · card {dialogue.card_id}, the first {len(turns)} turns", turns
