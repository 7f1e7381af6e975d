"""`escl score`: rate dialogues that were spoken elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import (
    AnyQuant,
    AsJson,
    Context,
    DeviceName,
    GpuLayers,
    Memory,
    NoTune,
    Out,
    Parallel,
    ProtocolName,
    RetryFailed,
    Scorer,
    Threads,
)
from escl.cli.output import progress_console
from escl.errors import UsageError

if TYPE_CHECKING:
    from escl.cli.planning import Wishes
    from escl.core.dialogue import Turn
    from escl.core.protocol import Protocol
    from escl.core.settings import ImportSettings
    from escl.memory.plan import Plan
    from escl.shelf.manifest import Model
    from escl.store.run import RunStore


def score(
    files: Annotated[list[Path], typer.Argument(help="Dialogue files as ESC-Eval's evaluate.py writes them.")],
    *,
    scorer: Scorer = None,
    protocol: ProtocolName = "open",
    memory: Memory = None,
    device: DeviceName = None,
    parallel: Parallel = None,
    ctx: Context = None,
    gpu_layers: GpuLayers = None,
    threads: Threads = None,
    any_quant: AnyQuant = False,
    no_tune: NoTune = False,
    retry_failed: RetryFailed = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Score finished dialogues: each file is one supporter, named after the file.

    Without --scorer, ESC-RANK is used if its files are on the shelf, else the demo's toy scorer, which says so.

    Example: escl score result/llama3_en.json result/Qwen_7B_en.json --scorer esc-rank --out published.db
    """
    from escl.cli.planning import Wishes, explaining_out_of_memory, plan_scoring
    from escl.cli.work import default_out, load_model, open_run, say_plan, show, work
    from escl.evaluation.engines import Engines
    from escl.evaluation.observer import RunObserver
    from escl.evaluation.run import run_scoring
    from escl.shelf.manifest import ModelRole, is_there
    from escl.store.upstream import language_of

    imported, settings, words = _imported(files, protocol)
    if scorer is None and not is_there("esc-rank"):
        progress_console().print(
            "ESC-RANK's files are not there: the demo's toy scorer rates, and its numbers mean nothing",
            style="bold yellow",
        )
    default = "esc-rank" if is_there("esc-rank") else "demo/scorer"
    model = load_model(scorer or default, ModelRole.SCORER)
    wishes = Wishes(
        memory=memory,
        device=device,
        parallel=parallel,
        ctx=ctx,
        gpu_layers=gpu_layers,
        threads=threads,
        any_quant=any_quant,
        tune=not no_tune,
    )
    path = out or default_out(settings)
    store = open_run(path, settings, words)
    try:
        for supporter, dialogues in imported.items():
            for key, turns in dialogues.items():
                store.import_dialogue(card_id=key, language=language_of(turns), supporter=supporter, turns=turns)
        plan, rater = _planned(model, store, wishes)
        say_plan(plan, [("scorer", model)])

        async def task(store: RunStore, observer: RunObserver, stop: asyncio.Event) -> None:
            async with Engines(plan, store, observer=observer, stop=stop) as engines:
                await run_scoring(
                    rater, store, engines=engines, observer=observer, stop=stop, retry_failed=retry_failed
                )

        with explaining_out_of_memory(plan, wishes, lambda less: plan_scoring(model, store, less)):
            interrupted = work(store, task)
        raise typer.Exit(show(store, path, interrupted=interrupted, as_json=as_json))
    finally:
        store.close()


def _imported(files: list[Path], protocol: str) -> tuple[dict[str, dict[str, list[Turn]]], ImportSettings, Protocol]:
    """Return the dialogues by supporter, the run's settings, and the protocol as it applies to these files."""
    from msgspec import UNSET

    from escl.core.protocol import load_protocol
    from escl.core.settings import ImportSettings
    from escl.shelf.manifest import sha256_of
    from escl.store.upstream import SEEKER_LABEL, SUPPORTER_LABELS, language_of, read_upstream

    twice = [name for name, n in Counter(path.stem for path in files).items() if n > 1]
    if twice:
        raise UsageError(f"two files are named {twice[0]}", hint="the file's name names the supporter; rename one")
    read = {path.stem: read_upstream(path) for path in files}
    label, *others = sorted({file.supporter_label for file in read.values()})
    if others:
        raise UsageError(f"the files label the supporter in two ways, {label} and {others[0]}", hint="score them apart")
    words = load_protocol(protocol)
    if words.rewriting:
        # score.py never looks at the labels: it takes the strings as the file has them.
        words = words.labelled_as(seeker=SEEKER_LABEL, supporter=label)
    settings = ImportSettings(
        files={path.stem: sha256_of(path) for path in files},
        protocol_sha256=words.sha256(),
        supporter_label=UNSET if label == SUPPORTER_LABELS[0] else label,
    )
    imported = {name: file.dialogues for name, file in read.items()}
    for language in {language_of(turns) for dialogues in imported.values() for turns in dialogues.values()}:
        words.wording(language)
    return imported, settings, words


def _planned(scorer: Model, store: RunStore, wishes: Wishes) -> tuple[Plan, Model]:
    """Return the plan and the scorer with the file that it chose; where there is none, the attempt has ended."""
    from escl.cli.planning import as_planned, plan_scoring

    try:
        plan = plan_scoring(scorer, store, wishes)
        return plan, as_planned(scorer, "scorer", plan)
    except BaseException as error:
        store.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "error")
        raise
