"""`escl score`: rate dialogues that were spoken elsewhere. `escl report`: show a run again."""

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
from escl.core.division import Division
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


def report(
    run: Annotated[Path, typer.Argument(help="File of a run.")],
    *,
    judging: Annotated[
        int | None,
        typer.Option(min=1, help="Which judging to show, 1 for the first. Default: the latest used."),
    ] = None,
    loads: Annotated[
        bool, typer.Option("--loads", help="Show which models were in memory when, with seconds and bytes.")
    ] = False,
    by: Annotated[
        Division | None, typer.Option("--by", help="Divide the scores by this; round: how much was said when.")
    ] = None,
    validity: Annotated[
        bool, typer.Option("--validity", help="Show in which dialogues the seeker fell out of its role, and how.")
    ] = False,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--export",
            metavar="FORMAT DIR",
            help="Write the run into DIR instead. The format esc-eval: result/ and score/ as ESC-Eval has them.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the results of a run again, or export them.

    Example: escl report my-model.db --json

    Example: escl report my-model.db --by category

    Example: escl report my-model.db --export esc-eval exported
    """
    from escl.cli.output import print_json, results_console
    from escl.cli.work import show
    from escl.report.loads import print_loads
    from escl.store.database import Database
    from escl.store.run import RunStore

    with Database.reader(run) as database:
        store = RunStore.read(database)
        if export is not None:
            _export(store, *export, judging_id=judging, as_json=as_json)
            return
        if by is not None:
            _divided(store, by, judging_id=judging, as_json=as_json)
            return
        if validity:
            _validity(store, as_json=as_json)
            return
        if loads:
            if as_json:
                print_json({"loads": store.loads()})
            else:
                print_loads(results_console(), store.loads())
            return
        raise typer.Exit(show(store, run, interrupted=False, as_json=as_json, judging_id=judging))


def _divided(store: RunStore, division: Division, *, judging_id: int | None, as_json: bool) -> None:
    from escl.cli.output import print_json, results_console
    from escl.evaluation.breakdown import slices_of
    from escl.report.breakdown import print_rounds, print_slices

    if division is Division.ROUND:
        rounds = store.rounds()
        if as_json:
            print_json({"by": division, "rounds": rounds})
        else:
            print_rounds(results_console(), rounds)
        return
    slices = slices_of(store, division, judging_id=judging_id)
    if as_json:
        print_json({"by": division, "slices": slices})
    else:
        print_slices(results_console(), slices, division=division)


def _validity(store: RunStore, *, as_json: bool) -> None:
    from escl.cli.output import print_json, results_console
    from escl.evaluation.validity import validity_of
    from escl.report.validity import print_validity

    found = validity_of(store)
    if as_json:
        print_json({"validity": found})
    else:
        print_validity(results_console(), found)


def _export(store: RunStore, form: str, folder: Path, *, judging_id: int | None, as_json: bool) -> None:
    from escl.cli.output import print_json, results_console
    from escl.core.printable import printable
    from escl.report.esc_eval import export_esc_eval

    if form != "esc-eval":
        raise UsageError(f"no export format {form}", hint="known: esc-eval")
    exported = export_esc_eval(store, folder, judging_id=judging_id)
    if as_json:
        print_json({"exported": exported})
        return
    for file in exported:
        left_out = f", {file.n_left_out} left out because they are not finished" if file.n_left_out else ""
        line = f"{file.path}: {file.n_dialogues} dialogues{left_out}"
        results_console().print(printable(line), markup=False, soft_wrap=True)
