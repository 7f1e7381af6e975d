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
    from escl.report.live import LineObserver
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
    red: Annotated[
        str | None,
        typer.Option(metavar="CARD/SUPPORTER", help="Add a red finding of your own about this dialogue; --note is it."),
    ] = None,
    turn: Annotated[
        int | None, typer.Option(min=0, help="With --red: the turn, 0 for the greeting. Default: the whole dialogue.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="With --finding: why. With --red: what you found.")] = None,
    as_json: AsJson = False,
) -> None:
    """Go through the findings that nobody has looked at, one key each: c confirm, d dismiss, s skip, q quit, a add.

    Verdicts are kept in the run and never overwritten: the latest counts. A dismissed finding fails no gate. What rules
    and scorer missed you add yourself, with its turn and your words; the gate counts it like any other red finding.

    Example: escl crisis review crisis.db --by "A. Lee"
    Example: escl crisis review crisis.db --by "A. Lee" --finding 3.5.rules.secrecy --verdict dismissed --note "a quote"
    Example: escl crisis review crisis.db --by "A. Lee" --red en-crisis-self-injury-1/mine --turn 4 --note "mocks"
    """
    from escl.evaluation.crisis import crisis_report
    from escl.evaluation.own_findings import add_own_finding, dialogue_named
    from escl.store.crisis import CrisisStore
    from escl.store.database import Database
    from escl.store.run import RunStore

    _check_review(by, finding=finding, verdict=verdict, red=red, turn=turn, note=note)
    with Database.writer(run) as database:
        store = RunStore.read(database)
        found = crisis_report(store)
        if finding is not None and verdict is not None:
            if finding not in {one.id for one in found.findings}:
                raise UsageError(f"{run} has no finding {finding}", hint="`escl crisis report RUN --json` names them")
            CrisisStore(database).add_review(finding, verdict.value, reviewer=by, note=note)
        elif red is not None:
            add_own_finding(store, dialogue_named(store, run, red), turn=turn, words=note or "", reviewer=by)
        else:
            _go_through(store, found.queue, by)
        after = crisis_report(store)
    if as_json:
        print_json({"gate": after.gate, "queue": after.queue})
    else:
        line = f"{after.gate.red} red findings stand, {len(after.queue)} findings wait for a person"
        results_console().print(line, markup=False)


def _check_review(
    by: str, *, finding: str | None, verdict: Verdict | None, red: str | None, turn: int | None, note: str | None
) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: They do not.
    """
    if (finding is None) != (verdict is None):
        raise UsageError("--finding and --verdict go together", hint="without both, the queue is gone through")
    if red is not None and (finding is not None or note is None):
        raise UsageError("--red adds a finding of your own, and --note says what it is", hint="leave out --finding")
    if red is None and turn is not None:
        raise UsageError("--turn says where a finding of your own is", hint="name its dialogue with --red")
    if not by.strip():
        raise UsageError("--by names nobody", hint="give the name of who looks")


def _go_through(store: RunStore, queue: list[Finding], by: str) -> None:
    """Store what the person at the terminal says of each finding, until the queue or the person ends."""
    from escl.report.crisis import print_finding
    from escl.store.crisis import CrisisStore

    console = progress_console()
    kept = CrisisStore(store.database)
    for at, one in enumerate(queue, start=1):
        print_finding(console, one, store.turns(one.dialogue))
        key = "a"
        while key == "a":
            offered = "[c]onfirm, [d]ismiss, [a]dd a red finding of your own here, [s]kip, [q]uit? "
            console.print(f"{at} of {len(queue)}: {offered}", end="", markup=False)
            key = _key()
            if key == "a":
                _add(store, one, by)
        if key == "q":
            return
        if key in "cd":
            kept.add_review(one.id, "confirmed" if key == "c" else "dismissed", reviewer=by)


def _add(store: RunStore, near: Finding, by: str) -> None:
    """Ask for a finding about the same dialogue and store it; what cannot be one is said, and nothing is stored."""
    from escl.evaluation.own_findings import add_own_finding

    console = progress_console()
    console.print("its turn (nothing: the whole dialogue): ", end="", markup=False)
    typed = (_typed() or "").strip()
    if typed and not (typed.isascii() and typed.isdigit()):
        console.print("no number: nothing was added", markup=False)
        return
    console.print("what you found: ", end="", markup=False)
    words = _typed() or ""
    (dialogue,) = (row for row in store.dialogues() if row.id == near.dialogue)
    try:
        add_own_finding(store, dialogue, turn=int(typed) if typed else None, words=words, reviewer=by)
    except UsageError as error:
        console.print(f"nothing was added: {error}", markup=False)


def _typed() -> str | None:
    """Return a line of the input, None at its end."""
    try:
        return input()
    except EOFError:
        return None


def _key() -> str:
    """Return c, d, a, s or q as typed; the end of the input is q."""
    while (line := _typed()) is not None:
        typed = line.strip().lower()[:1]
        if typed and typed in "cdasq":
            return typed
        progress_console().print("c, d, a, s or q: ", end="", markup=False)
    return "q"


def _crisis_cards_or_fail(store: RunStore, run: Path) -> None:
    from escl.evaluation.crisis_flow import crisis_dialogues

    if not crisis_dialogues(store):
        raise UsageError(f"{run} has no dialogue on a crisis card", hint="`escl run SUPPORTER --crisis` plays them")


def _ask(model: Model, store: RunStore, wishes: Wishes, *, retry_failed: bool) -> bool:
    """Let the scorer answer what is left; return whether the user stopped it."""
    from escl.cli.planning import explaining_out_of_memory, plan_reading
    from escl.cli.work import say_plan, work
    from escl.core.flow import crisis_flow
    from escl.evaluation.crisis_flow import Inquiry, ask_all, by_dialogue, open_prompts
    from escl.evaluation.engines import Engines
    from escl.evaluation.run import judging_settings
    from escl.memory.workload import asking_workload
    from escl.store.crisis import CrisisStore
    from escl.store.records import ModelRow

    kept, flow = CrisisStore(store.database), crisis_flow()
    asking_id = kept.add_asking(flow, judging_settings(store, model))
    known = by_dialogue(kept.answers(asking_id, flow), retry_failed=retry_failed)
    asked = open_prompts(store, flow, known)
    if not any(asked.values()):
        store.finish("finished")
        return False
    row = ModelRow(
        role="scorer", name=model.name, sha256=model.sha256, size_bytes=model.size_bytes, notice=model.notice
    )
    store.add_models([row])
    workload = asking_workload(asked)
    plan = plan_reading(model, workload, wishes)
    # An answer may make the questions behind it superfluous.
    say_plan(plan, [("scorer", model)], at_most=True)

    async def task(store: RunStore, observer: LineObserver, stop: asyncio.Event) -> None:
        async with Engines(plan, store, observer=observer, stop=stop) as engines:
            inquiry = Inquiry(
                store=store,
                kept=kept,
                asking_id=asking_id,
                flow=flow,
                handle=engines.handle("scorer", model.name),
                parallel=2 * engines.seat("scorer", model.name).spec.slots,
                observer=observer,
                stop=stop,
            )
            await ask_all(inquiry, known)

    with explaining_out_of_memory(plan, wishes, lambda less: plan_reading(model, workload, less)):
        return work(store, task)


def _show(found: CrisisReport, *, as_json: bool) -> None:
    from escl.evaluation.crisis import NOT_THIS
    from escl.report.crisis import print_crisis

    if as_json:
        print_json({"crisis": found, "queue": [one.id for one in found.queue], "not_this": NOT_THIS})
    else:
        print_crisis(results_console(), found)
