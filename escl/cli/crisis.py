"""`escl crisis`: what supporters do with people in danger, apart from quality: findings, reviews by people, a gate."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escl.cli.options import AsJson, Context, DeviceName, GpuLayers, Memory, NoTune, Parallel, RetryFailed, Threads
from escl.cli.output import print_json, progress_console, results_console
from escl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from escl.cli.planning import Wishes
    from escl.evaluation.crisis import CrisisReport, Finding
    from escl.evaluation.observer import RunObserver
    from escl.shelf.manifest import Model
    from escl.store.run import RunStore

crisis_app = typer.Typer(name="crisis", no_args_is_help=True)

RunFile = Annotated[Path, typer.Argument(help="File of a run with crisis cards (`escl run --crisis`).")]


class Verdict(StrEnum):
    """What a person makes of a finding."""

    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


@crisis_app.callback()
def crisis() -> None:
    """Look at dialogues on crisis cards: no scores, but findings. No clinical instrument."""


@crisis_app.command()
def ask(
    run: RunFile,
    *,
    scorer: Annotated[str, typer.Option(help="Who answers: any GGUF file that follows instructions, or its name.")],
    retry_failed: RetryFailed = False,
    memory: Memory = None,
    device: DeviceName = None,
    parallel: Parallel = None,
    ctx: Context = None,
    gpu_layers: GpuLayers = None,
    threads: Threads = None,
    no_tune: NoTune = False,
    as_json: AsJson = False,
) -> None:
    """Let a scorer answer escl's question flow about every crisis dialogue; the same command resumes.

    A scorer that was trained for one rubric, as ESC-RANK's adapters and the demo's are, does not follow it: two control
    questions show that, and then its answers do not count.

    Example: escl crisis ask crisis.db --scorer qwen2.5-7b-instruct-Q4_K_M.gguf
    """
    import msgspec

    from escl.cli.planning import Wishes
    from escl.cli.work import load_model, open_run
    from escl.evaluation.crisis import crisis_report
    from escl.store.database import Database
    from escl.store.run import RunStore

    # Adapters were trained to answer other questions.
    model = msgspec.structs.replace(load_model(scorer), adapters={})
    with Database.reader(run) as database:
        earlier = RunStore.read(database)
        settings, words = earlier.settings, earlier.protocol
        _crisis_cards_or_fail(earlier, run)
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
    store = open_run(run, settings, words)
    try:
        interrupted = _ask(model, store, wishes, retry_failed=retry_failed)
        _show(crisis_report(store), as_json=as_json)
    finally:
        store.close()
    raise typer.Exit(ExitCode.INTERRUPTED if interrupted else ExitCode.OK)


@crisis_app.command()
def report(
    run: RunFile,
    *,
    gate: Annotated[
        bool,
        typer.Option("--gate", help="Exit code 9 when a red finding stands, 8 when something was not looked at."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the findings in crisis dialogues, with their turns and what people made of them.

    Example: escl crisis report crisis.db --gate
    """
    from escl.evaluation.crisis import crisis_report
    from escl.report.crisis import print_crisis_gate
    from escl.store.database import Database
    from escl.store.run import RunStore

    with Database.reader(run) as database:
        store = RunStore.read(database)
        if not gate:
            _crisis_cards_or_fail(store, run)
        found = crisis_report(store)
    _show(found, as_json=as_json)
    if not gate:
        return
    if not as_json:
        print_crisis_gate(results_console(), found.gate)
    if found.gate.red:
        raise typer.Exit(ExitCode.RED_FINDING)
    raise typer.Exit(ExitCode.OK if found.gate.passed else ExitCode.GATE)


@crisis_app.command()
def review(
    run: RunFile,
    *,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who looks; stored with every verdict.")],
    finding: Annotated[str | None, typer.Option(metavar="ID", help="Give a verdict on this finding alone.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="With --finding: the verdict.")] = None,
    note: Annotated[str | None, typer.Option(help="With --finding: why.")] = None,
    as_json: AsJson = False,
) -> None:
    """Go through the findings that nobody has looked at, one key each: c confirm, d dismiss, s skip, q quit.

    Verdicts are kept in the run and never overwritten: the latest counts. A dismissed finding fails no gate.

    Example: escl crisis review crisis.db --by "A. Lee"
    Example: escl crisis review crisis.db --by "A. Lee" --finding 3.5.rules.secrecy --verdict dismissed --note "a quote"
    """
    from escl.evaluation.crisis import crisis_report
    from escl.store.crisis import CrisisStore
    from escl.store.database import Database
    from escl.store.run import RunStore

    if (finding is None) != (verdict is None):
        raise UsageError("--finding and --verdict go together", hint="without both, the queue is gone through")
    if not by.strip():
        raise UsageError("--by names nobody", hint="give the name of who looks")
    with Database.writer(run) as database:
        store = RunStore.read(database)
        kept = CrisisStore(database)
        found = crisis_report(store)
        if finding is not None and verdict is not None:
            if finding not in {one.id for one in found.findings}:
                raise UsageError(f"{run} has no finding {finding}", hint="`escl crisis report RUN --json` names them")
            kept.add_review(finding, verdict.value, reviewer=by, note=note)
        else:
            for one, said in _go_through(store, found.queue):
                kept.add_review(one.id, said.value, reviewer=by)
        after = crisis_report(store)
    if as_json:
        print_json({"gate": after.gate, "queue": after.queue})
    else:
        line = f"{after.gate.red} red findings stand, {len(after.queue)} findings wait for a person"
        results_console().print(line, markup=False)


def _go_through(store: RunStore, queue: list[Finding]) -> list[tuple[Finding, Verdict]]:
    """Return what the person at the terminal says of each finding, until the queue or the person ends."""
    from escl.report.crisis import print_finding

    console = progress_console()
    said: list[tuple[Finding, Verdict]] = []
    for at, one in enumerate(queue, start=1):
        print_finding(console, one, store.turns(one.dialogue))
        console.print(f"{at} of {len(queue)}: [c]onfirm, [d]ismiss, [s]kip, [q]uit? ", end="", markup=False)
        key = _key()
        if key == "q":
            break
        if key in "cd":
            said.append((one, Verdict.CONFIRMED if key == "c" else Verdict.DISMISSED))
    return said


def _key() -> str:
    """Return c, d, s or q as typed; the end of the input is q."""
    while True:
        try:
            typed = input().strip().lower()[:1]
        except EOFError:
            return "q"
        if typed in ("c", "d", "s", "q"):
            return typed
        progress_console().print("c, d, s or q: ", end="", markup=False)


def _crisis_cards_or_fail(store: RunStore, run: Path) -> None:
    from escl.evaluation.crisis_flow import crisis_dialogues

    if not crisis_dialogues(store):
        raise UsageError(f"{run} has no dialogue on a crisis card", hint="`escl run SUPPORTER --crisis` plays them")


def _ask(model: Model, store: RunStore, wishes: Wishes, *, retry_failed: bool) -> bool:
    """Let the scorer answer what is left; return whether the user stopped it."""
    from escl.cli.planning import explaining_out_of_memory, plan_scoring
    from escl.cli.work import say_plan, work
    from escl.core.flow import crisis_flow
    from escl.evaluation.crisis_flow import Inquiry, ask_all, by_dialogue, is_left
    from escl.evaluation.engines import Engines
    from escl.evaluation.run import judging_settings
    from escl.store.crisis import CrisisStore
    from escl.store.records import ModelRow

    kept, flow = CrisisStore(store.database), crisis_flow()
    asking_id = kept.add_asking(flow, judging_settings(store, model))
    known = by_dialogue(kept.answers(asking_id), retry_failed=retry_failed)
    if not is_left(store, flow, known):
        store.finish("finished")
        return False
    row = ModelRow(
        role="scorer", name=model.name, sha256=model.sha256, size_bytes=model.size_bytes, notice=model.notice
    )
    store.add_models([row])
    plan = plan_scoring(model, store, wishes)
    say_plan(plan, [("scorer", model)])

    async def task(store: RunStore, observer: RunObserver, stop: asyncio.Event) -> None:
        async with Engines(plan, store, observer=observer, stop=stop) as engines:
            inquiry = Inquiry(
                store=store,
                kept=kept,
                asking_id=asking_id,
                flow=flow,
                handle=engines.handle("scorer", model.name),
                parallel=2 * engines.seat("scorer", model.name).spec.slots,
                stop=stop,
            )
            await ask_all(inquiry, known)

    with explaining_out_of_memory(plan, wishes, lambda less: plan_scoring(model, store, less)):
        return work(store, task)


def _show(found: CrisisReport, *, as_json: bool) -> None:
    from escl.evaluation.crisis import NOT_THIS
    from escl.report.crisis import print_crisis

    if as_json:
        print_json({"crisis": found, "queue": [one.id for one in found.queue], "not_this": NOT_THIS})
    else:
        print_crisis(results_console(), found)
