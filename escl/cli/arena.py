"""`escl arena`: let a judge compare the dialogues of several supporters, and rate the supporters."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from escl.cli.options import (
    AsJson,
    Context,
    DeviceName,
    GpuLayers,
    Memory,
    NoTune,
    Parallel,
    RetryFailed,
    Threads,
)
from escl.cli.output import print_json, progress_console, results_console
from escl.core.dimension import Dimension
from escl.core.printable import printable
from escl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from escl.cli.planning import Wishes
    from escl.core.judging import JudgingRubric
    from escl.core.settings import ArenaSettings
    from escl.evaluation.arena_results import ArenaResults
    from escl.evaluation.contest import Contest
    from escl.memory.plan import Plan
    from escl.report.live import LineObserver
    from escl.shelf.manifest import Model
    from escl.store.arena import ArenaStore, ComparisonFailure, ComparisonRow, Question


def arena(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs whose supporters meet, card by card.")],
    *,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Who compares: any GGUF file, manifest or name on the shelf. Without one, what --out holds is shown."
        ),
    ] = None,
    rubric: Annotated[
        str, typer.Option(help="The judge's instructions: open, or a TOML or JSON file.", metavar="NAME|FILE")
    ] = "open",
    dimension: Annotated[
        list[Dimension] | None, typer.Option(help="Compare in this respect; may be given again. Default: overall.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare all others with this supporter; win rates are against it."),
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="Compare every two supporters. The default without --baseline.")
    ] = False,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Judge so many pairs at most, chosen to narrow the ratings most.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show pairs, tokens and minutes; judge nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Compare runs with other cards, seeker, protocol or rounds too.")
    ] = False,
    retry_failed: RetryFailed = False,
    memory: Memory = None,
    device: DeviceName = None,
    parallel: Parallel = None,
    ctx: Context = None,
    gpu_layers: GpuLayers = None,
    threads: Threads = None,
    no_tune: NoTune = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File of the arena (SQLite). Default: named by judge and rubric."),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the ratings as CSV too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let a judge compare two supporters' dialogues on the same card, in both orders, and rate the supporters.

    What was read is kept and never asked again, from whichever run it comes; the same command resumes.

    Example: escl arena my-model.db --judge qwen2.5-7b-instruct-Q4_K_M.gguf --dry-run
    Example: escl arena mine.db theirs.db --judge demo/judge --baseline theirs --json
    """
    if judge is None:
        raise typer.Exit(_show_kept(runs, out, baseline=baseline, force=force, csv=csv, as_json=as_json))
    from escl.cli.planning import Wishes
    from escl.cli.work import load_model
    from escl.core.judging import load_rubric
    from escl.core.settings import ArenaSettings
    from escl.evaluation.arena_results import arena_results
    from escl.evaluation.contest import contest_of
    from escl.evaluation.run import llama_cpp_version

    words = load_rubric(rubric)
    wanted = list(dict.fromkeys(dimension)) if dimension else [Dimension.OVERALL]
    contest = contest_of(runs, words, dimensions=wanted, baseline=baseline, everyone=everyone, force=force)
    model = _judge(load_model(judge))
    settings = ArenaSettings(
        judge=model.name,
        sha256=model.sha256,
        rubric=words.name,
        rubric_sha256=words.sha256(),
        llama_cpp=llama_cpp_version(),
    )
    path = out or default_out(settings)
    wishes = Wishes(
        memory=memory,
        device=device,
        parallel=parallel,
        ctx=ctx,
        gpu_layers=gpu_layers,
        threads=threads,
        tune=not no_tune,
        named_only=True,
    )
    if dry_run:
        _show_plan(model, contest, words, wishes, path=path, settings=settings, budget=budget, as_json=as_json)
        return
    store = open_arena(path, settings, words, notice=model.notice)
    try:
        if retry_failed:
            store.retry_failed()
        known: dict[Question, ComparisonRow | ComparisonFailure] = {**store.comparisons(), **store.failures()}
        interrupted = _compare(model, contest, words, wishes, store=store, known=known, budget=budget)
        notices = [model.notice] if model.notice else []
        results = arena_results(contest, known, settings, budget=budget, notices=notices)
        raise typer.Exit(_show(results, path, interrupted=interrupted, csv=csv, as_json=as_json))
    finally:
        store.close()


def default_out(settings: ArenaSettings) -> Path:
    """Return the file of an arena without `--out`: one for each judge and rubric."""
    from escl.core.settings import fingerprint

    return Path(f"escl-arena-{fingerprint(settings)[:8]}.db")


def open_arena(path: Path, settings: ArenaSettings, rubric: JudgingRubric, *, notice: str | None = None) -> ArenaStore:
    """Open or create the arena file `path` for writing and note this command in it."""
    import shlex
    import sys
    from importlib import metadata

    from escl.store.arena import ARENA, ArenaStore
    from escl.store.database import Database

    versions = {name: metadata.version(name) for name in ("escl", "llama-cpp-python", "numpy")}
    database = Database.writer(path, ARENA)
    try:
        return ArenaStore.begin(
            database, settings, rubric, command=printable(shlex.join(sys.argv)), versions=versions, notice=notice
        )
    except BaseException:
        database.close()
        raise


def _show_kept(
    runs: list[Path], arena: Path | None, *, baseline: str | None, force: bool, csv: Path | None, as_json: bool
) -> ExitCode:
    from escl.evaluation.arena_results import kept_results

    if arena is None:
        raise UsageError("nobody is there to judge", hint="name a --judge, or with --out an arena that was kept")
    results = kept_results(arena, runs, baseline=baseline, force=force)
    return _show(results, arena, interrupted=False, csv=csv, as_json=as_json)


def _judge(model: Model) -> Model:
    """Return the model without adapters: a scorer's were trained to answer other questions."""
    return msgspec.structs.replace(model, adapters={})


def planned(
    judge: Model,
    contest: Contest,
    rubric: JudgingRubric,
    wishes: Wishes,
    known: dict[Question, ComparisonRow | ComparisonFailure],
    *,
    budget: int | None,
) -> Plan:
    """Return the plan of reading what is left, measuring the judge first where that pays.

    Raises:
        NothingFitsError: The judge fits in no way; the error says what would.
    """
    from escl.cli.planning import fixed_by, machine_and_budget, measure_unknown
    from escl.evaluation.arena import extent
    from escl.memory.plan import plan_for
    from escl.memory.workload import comparing_workload

    hardware, room = machine_and_budget(wishes)
    lengths = extent(contest, known, budget=budget).lengths
    workload = comparing_workload(lengths, rubric, list(dict.fromkeys(dimension for _, dimension in contest.boards)))

    def plan() -> Plan:
        return plan_for(
            None, [], judge, workload=workload, budget=room, hardware=hardware, fixed=fixed_by(wishes, strict=False)
        )

    first = plan()
    return plan() if wishes.tune and measure_unknown([judge], first, hardware, room) else first


def _compare(
    judge: Model,
    contest: Contest,
    rubric: JudgingRubric,
    wishes: Wishes,
    *,
    store: ArenaStore,
    known: dict[Question, ComparisonRow | ComparisonFailure],
    budget: int | None,
) -> bool:
    """Let the judge read what is left; return whether the user stopped it."""
    from escl.cli.planning import explaining_out_of_memory
    from escl.cli.work import work
    from escl.evaluation.arena import extent, hold
    from escl.memory.plan import chosen_line

    reach = extent(contest, known, budget=budget)
    if reach.n_known == reach.n_readings:
        store.finish("finished")
        return False
    try:
        plan = planned(judge, contest, rubric, wishes, known, budget=budget)
        line = printable(chosen_line(plan)).replace("the scorer", "the judge")
        progress_console().print(line, markup=False, soft_wrap=True)
    except BaseException as error:
        store.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "error")
        raise

    async def task(store: ArenaStore, observer: LineObserver, stop: asyncio.Event) -> None:
        await hold(contest, store, rubric, plan=plan, known=known, budget=budget, observer=observer, stop=stop)

    def replan(less: Wishes) -> Plan:
        return planned(judge, contest, rubric, less, known, budget=budget)

    with explaining_out_of_memory(plan, wishes, replan):
        return work(store, task)


def _show_plan(
    judge: Model,
    contest: Contest,
    rubric: JudgingRubric,
    wishes: Wishes,
    *,
    path: Path,
    settings: ArenaSettings,
    budget: int | None,
    as_json: bool,
) -> None:
    from dataclasses import replace

    from escl.evaluation.arena import extent
    from escl.memory.plan import chosen_line
    from escl.report.arena import DryRun, print_dry_run

    known = _known_in(path, settings)
    reach = extent(contest, known, budget=budget)
    shown = DryRun(
        arena=str(path),
        n_pairs=reach.n_pairs,
        n_readings=reach.n_readings,
        n_known=reach.n_known,
        pairs={
            f"{language.value}/{dimension.value}": len(pairs) for (language, dimension), pairs in contest.boards.items()
        },
    )
    line = "nothing is left to judge"
    if reach.n_known < reach.n_readings:
        plan = planned(judge, contest, rubric, replace(wishes, tune=False), known, budget=budget)
        best, tokens = plan.best(), plan.workload.comparing()
        line = chosen_line(plan).replace("the scorer", "the judge")
        shown = msgspec.structs.replace(
            shown,
            n_prefill=round(tokens.prefill),
            n_decode=round(tokens.decode),
            seconds=best.seconds.total,
            is_assumed=bool(plan.assumed),
            peak_host_bytes=best.peak_host_bytes,
        )
    if as_json:
        print_json(shown)
        return
    print_dry_run(results_console(), shown, line)


def _known_in(path: Path, settings: ArenaSettings) -> dict[Question, ComparisonRow | ComparisonFailure]:
    """Return what the arena in `path` holds already, if it is there.

    Raises:
        StorageError: It is another judge's, or no arena.
    """
    from escl.store.arena import ARENA, ArenaStore
    from escl.store.database import Database

    if not path.exists():
        return {}
    with Database.reader(path, ARENA) as database:
        store = ArenaStore.read(database)
        store.refuse_other_settings(settings)
        return {**store.comparisons(), **store.failures()}


def _show(shown: ArenaResults, path: Path, *, interrupted: bool, csv: Path | None, as_json: bool) -> ExitCode:
    from escl.report.arena import print_arena
    from escl.report.arena_csv import as_csv
    from escl.shelf.written import write_whole

    if csv is not None:
        write_whole(csv, as_csv(shown).encode(), hint="name another --csv")
    if as_json:
        print_json({"arena": str(path), "interrupted": interrupted, "is_complete": shown.is_complete, "results": shown})
    else:
        print_arena(results_console(), shown)
    console = progress_console()
    if interrupted:
        console.print("Stopped; every reading so far is kept. The same command goes on.", markup=False)
        return ExitCode.INTERRUPTED
    console.print(f"The arena is kept in {printable(str(path))}", markup=False, soft_wrap=True)
    return ExitCode.INCOMPLETE if shown.has_gaps else ExitCode.OK
